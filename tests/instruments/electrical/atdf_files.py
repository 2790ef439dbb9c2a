"""An ATDF file that says the same as the STDF writer's sample."""

SAMPLE = """\
FAR:A|4|2|U
MIR:L1|P1|prog|node|tester|22:13:20 14-NOV-2023|22:15:00 14-NOV-2023|op|P|3|s1|FT1
SDR:1|1|1,2|handler|H-7
PMR:1|0|ch1|VDD|vdd|1|1
PMR:2|0|ch2|OUT|out|1|1
PGR:32768|ALL|1,2
WIR:1|22:16:40 14-NOV-2023|1|W1
PIR:1|1
PIR:1|2
PTR:100|1|1|0.5|P||vout|||V|0.25|0.75|%9.3f|%8.2f|%7.1f
PTR:100|1|2|0.625|P
MPR:200|1|1|1,4|0.25,0.5|P||leak||LH|A|0|1|0.5|0.25|V|1,2
MPR:200|1|2|1,4|0.75,2.0|F|H
FTR:300|1|1|F||v|ts1|77|||1||||2|3|||2|op
FTR:300|1|2|P
PRR:1|1|A|3|F|2|20|4|-7|||1500
PRR:1|2|B|3|F|2|20|5|-7|||1500
PIR:1|1
PTR:100|1|1|0.5|P
PRR:1|1|A2|1|P|1|1|4|-7|C||1500
WRR:1|22:26:40 14-NOV-2023|3|W1|1|||1
TSR:||100|vout|P|3|0
TSR:||200|leak|M|2|1
TSR:||300|func|F|2|1
HBR:||1|1|P|good
HBR:||2|2|F|bad
PCR:|||||
DTR:hel
 lo
GDR:U7|F0.5|Tx
MRR:22:28:20 14-NOV-2023||done
"""

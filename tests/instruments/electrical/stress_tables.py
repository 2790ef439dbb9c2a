"""Tables of lifetimes, readouts and unit evidence for tests."""

LIFETIMES = """# rows: 5
# devices: 81
status,time_h,lower_h,upper_h,count,entry_h,lot_id,mode,temperature_c,Oven
exact,12.5,,,1,,L1,leakage,125,A
interval,,48,168,2,,L1,open,125,A
left,,,48,1,,L2,,125,B
right,1000,,,76,,L2,,125,B
exact,700,,,1,24,L2,open,150,B
"""

READOUTS = """# devices: 2
device_id,time [min],parameter,value,unit,low_limit,high_limit,result,stress
D1,0,vth,0.45,V,0.4,0.5,pass,HTOL
D1,2880,vth,0.47,V,0.4,0.5,pass,HTOL
D2,2880,idss,1.5e-6,A,,1e-6,fail,HTOL
"""

UNIT_EVIDENCE = """# rows: 4
# failed: 1
unit_id,judged_at,outcome,known_at,lot_id,electrical.iddq [uA],electrical.vmin_v,neighbourhood.failed,Tool
U1,2024-01-02T08:00:00+00:00,survived,2024-06-01,L1,1.25,0.71,0,A
U2,2024-01-02 09:30,failed,2024-03-01T12:00:00+02:00,L1,9.5,,3,A
U3,2024-02-01,,,L2,,0.69,1,B
U4,2024-02-01,Survived,2024-06-01,L2,1.5,0.7,,B
"""

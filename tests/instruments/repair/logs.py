"""One laser job and one ion-beam job, each in the three syntaxes."""

LASER_CSV = """# tool: LR-7
# steps: 2
Step,Operation,Start time,Wavelength [nm],Pulse width (fs),Pulse energy [nJ],Fluence [J/cm²],Passes,Depth [µm],Score
1,coarse,2024-05-01T10:00:00+02:00,515,350,1500,0.35,4,1.25,7
2,fine,2024-05-01T10:01:30+02:00,515,350,,0.2,2,,8.5
"""

LASER_JSON = (
    '{"schema": "laser/3", "tool": "LR-7", "steps": 2, "units": {"depth": "um"}}\n'
    '{"step": 1, "step_type": "laser", "started": "2024-05-01T08:00:00Z", "pulse": {"wavelength_nm": 515,'
    ' "energy_uj": 1.5, "divider": 1, "polarization": "vertical"}, "beam_shift": {"x_um": 2.5, "y_um": -1},'
    ' "pattern": {"pixel_dwell_ms": 1.5, "type": {"box": {"passes": 4, "pitch_x_um": 0.5, "scan_type": "raster"}}},'
    ' "depth": 1.25, "laser_power": {"value": 0.25, "unit": "W"}, "position": {"x_mm": 0.5, "t_deg": 30.0}}\n'
    "\n"
    '{"step": 2, "step_type": "laser", "started": "2024-05-01T08:01:30Z", "pulse": {"wavelength_nm": 1030},'
    ' "depth": null, "note": [1, 2]}\n'
)

FIB_CSV = """Step\tSite\tBeam [kV]\tCurrent [pA]\tIon\tGas\tTime [min]\tTarget depth [nm]\tDepth (nm)\tEndpoint\tResult
1\tD17\t30\t65000\tGa\t\t1.5\t500\t512.5\tcurrent drop\tok
2\tD17\t5\t40\tGa\tXeF2\t0.5\t20\t18\ttime\tok
"""

FIB_XML = """<?xml version="1.0" encoding="utf-8"?>
<log xmlns="urn:tool" tool="FX-2" steps="2">
  <!-- <step number="99"/> is only an example -->
  <operator>nn</operator>
  <step number="1" site="D17">
    <voltage units="kV">30</voltage><current units="pA">65000</current><ion>Ga</ion>
    <mill><dwell_time units="us">2.5</dwell_time><repeats>3</repeats></mill>
    <duration units="min">1.5</duration><depth units="um">0.5125</depth>
  </step>
  <step number="2" site="D17">
    <voltage units="kV">5</voltage><current units="pA">40</current><gas>XeF2</gas><depth units="um"/>
  </step>
</log>
"""

FIB_JSON = (
    '{"step": 1, "beam_kv": 30, "beam_na": 65, "gas": null, "dwell_time": "2.5 us", "passes": 3, "time_s": 90}\n'
    '{"step": 2, "beam_kv": 5, "beam_na": 0.04, "gas": "XeF2", "dwell_time": "100 ns", "passes": 1, "time_s": 30}\n'
)

"""SIMULATED repairs of a defect list by three tools whose rates are known."""

import numpy as np

RATES = {"LR-1": 0.6, "FX-2": 0.9, "EB-3": 0.97}
SHIFT_UM = (120.0, -40.0)
CLASSES = {1: "bridge", 2: "pinhole"}


def klarf(xy: np.ndarray, classes: list[int], first_id: int = 1) -> str:
    """A KLARF 1.2 file of the defects; positions in um about the centre."""
    rows = "\n".join(
        f" {first_id + index} {x:.3f} {y:.3f} 0 0 0.5 {kind}"
        for index, ((x, y), kind) in enumerate(zip(xy.tolist(), classes, strict=True))
    )
    names = "\n".join(f' {number} "{name}"' for number, name in CLASSES.items())
    return f"""FileVersion 1 2;
FileTimestamp 05-01-24 10:00:00;
InspectionStationID "X" "Y" "Z";
SampleType WAFER;
ResultTimestamp 05-01-24 10:00:00;
LotID "L";
SampleSize 1 200;
SetupID "S" 05-01-24 10:00:00;
StepID "T";
SampleOrientationMarkType NOTCH;
OrientationMarkLocation DOWN;
DiePitch 200000 200000;
DieOrigin 0 0;
WaferID "W";
Slot 1;
SampleCenterLocation 0 0;
ClassLookup {len(CLASSES)}
{names};
InspectionTest 1;
SampleTestPlan 1
 0 0;
AreaPerTest 1.0;
DefectRecordSpec 7 DEFECTID XREL YREL XINDEX YINDEX DSIZE CLASSNUMBER ;
DefectList
{rows};
SummarySpec 5 TESTNO NDEFECT DEFDENSITY NDIE NDEFDIE ;
SummaryList
 1 {len(classes)} 1.0 1 1;
EndOfFile;
"""


def simulate(count: int = 150, seed: int = 4) -> tuple[np.ndarray, list[int], str, list[bool]]:
    """Positions and classes of defects, the log of their repairs, and whether each held.

    Two of three runs name their defect; the others have only a place, in a frame that is shifted.
    """
    generator = np.random.default_rng(seed)
    xy = generator.uniform(-40_000, 40_000, (count, 2))
    classes = generator.integers(1, 3, count).tolist()
    lines, held = [], []
    for index in range(count):
        tool = list(RATES)[int(generator.integers(0, 3))]
        held.append(bool(generator.random() < RATES[tool]))
        x, y = xy[index] + SHIFT_UM + generator.normal(0, 0.3, 2)
        identity = str(index + 1) if index % 3 else ""
        beam = {"LR-1": "515,350,,,", "FX-2": ",,30,0.05,Ga", "EB-3": ",,1,0.05,electron"}[tool]
        minute = index
        time = f"2024-05-{1 + minute // 720:02d}T{10 + minute % 720 // 60:02d}:{minute % 60:02d}:00Z"
        word = "ok" if held[-1] else "failed"
        lines.append(f"1,repair,{tool},J{index},R1,{identity},{time},{beam},{x:.3f},{y:.3f},{word}")
    header = (
        "# simulated: yes\nStep,Operation,Tool,Job,recipe_name,Defect,Start time,Wavelength [nm],Pulse width (fs),"
        "Beam [kV],Current [nA],Ion,x [um],y [um],Result\n"
    )
    return xy, classes, header + "\n".join(lines) + "\n", held

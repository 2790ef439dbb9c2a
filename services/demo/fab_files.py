"""Files of a simulated fab: logs of lots, what became of their dies, lifetimes, readouts, a layout, an inspection.

Everything is SIMULATED and says so where its format has a place for that. A leakage far from the others' makes a
failure in the field likelier, so that there is something to find.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from instruments.mask import gdsii_walk as gdsii

LOTS = 8
"""The last is not shipped yet."""
FIRST_TEST = datetime(2024, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLANTED = 40
RADIUS = 10
RING = (5, 5)
"""About this good die all others fail: what a good die in a bad neighbourhood is."""
SHIFT_UA = 0.8

LIFETIMES = """# simulated: true
# devices: 3000
status,time_h,lower_h,upper_h,count
left,,,48,7
interval,,48,168,3
interval,,168,500,2
interval,,500,1000,1
right,1000,,,2987
"""
"""Of one test, to be fitted."""

STRESS_TESTS = """# simulated: true
status,time_h,lower_h,upper_h,count,lot_id,stress,temperature_c,mode
interval,,48,168,1,L1,HTOL,125,oxide
interval,,500,1000,1,L2,HTOL,125,oxide
right,1000,,,2308,L2,HTOL,125,
interval,,0,48,2,L3,ELFR,125,oxide
right,48,,,2998,L3,ELFR,125,
interval,,0,24,5,L4,burn-in,125,oxide
interval,,24,48,3,L4,burn-in,125,oxide
right,48,,,9992,L4,burn-in,125,
"""
"""Of operating life, early life and burn-in, to be reported."""


@dataclass(frozen=True)
class TestedLot:
    """One wafer of a lot: places of its dies, which failed their test, which have a leakage far from the others'."""

    name: str
    tested_at: datetime
    column: NDArray[np.int64]
    row: NDArray[np.int64]
    failed: NDArray[np.bool_]
    leakage_ua: NDArray[np.float64]
    delay_ns: NDArray[np.float64]
    planted: NDArray[np.int64]


def simulate_lot(number: int) -> TestedLot:
    """Return the lot ``number`` of :data:`LOTS`; the same number gives the same lot."""
    numbers = np.random.default_rng(number)
    grid = np.arange(-RADIUS, RADIUS + 1)
    column, row = (each.ravel() for each in np.meshgrid(grid, grid))
    inside = np.hypot(column, row) <= RADIUS
    column, row = column[inside], row[inside]
    common = numbers.normal(size=column.size)
    leakage = 5 + 0.6 * np.hypot(column, row) / RADIUS + 0.1 * common
    delay = 2 + 0.05 * (0.95 * common + np.sqrt(1 - 0.95**2) * numbers.normal(size=column.size))
    failed = np.maximum(abs(column - RING[0]), abs(row - RING[1])) == 1
    planted = np.sort(numbers.choice(np.flatnonzero(~failed & (np.hypot(column, row) < RADIUS - 1)), PLANTED, False))
    leakage[planted] += SHIFT_UA
    return TestedLot(
        f"L{number}", FIRST_TEST + timedelta(days=7 * number), column, row, failed, leakage, delay, planted
    )


def write_log(lot: TestedLot) -> str:
    """Return the tester's log of ``lot`` as ATDF."""
    times = [f"{lot.tested_at + timedelta(minutes=at):%H:%M:%S %d-%b-%Y}".upper() for at in (0, 2, 4, 14, 16)]
    lines = [
        "FAR:A|4|2|U",
        f"MIR:{lot.name}|P1|prog|node|tester|{times[0]}|{times[1]}|op|P|3|s1|FT1",
        "DTR:simulated: true",
        f"WIR:1|{times[2]}|1|W1",
    ]
    for die in range(lot.column.size):
        limits = ("||leakage|||uA|0|20", "||delay|||ns|0|20") if die == 0 else ("", "")
        verdict, code = ("F", 2) if lot.failed[die] else ("P", 1)
        lines += [
            "PIR:1|1",
            f"PTR:100|1|1|{float(lot.leakage_ua[die])!r}|P{limits[0]}",
            f"PTR:200|1|1|{float(lot.delay_ns[die])!r}|P{limits[1]}",
            f"PRR:1|1|W1-{die}|2|{verdict}|{code}|{code}|{lot.column[die]}|{lot.row[die]}|||100",
        ]
    lines += [f"WRR:1|{times[3]}|{lot.column.size}|W1|1|||1", f"MRR:{times[4]}||done"]
    return "\n".join(lines) + "\n"


def write_outcomes(lots: list[TestedLot]) -> str:
    """Return what became of the dies that passed: half of those with a far leakage fail in the field, else 2 %."""
    numbers = np.random.default_rng(5)
    lines = ["# simulated: true", "unit_id,judged_at,outcome,known_at,lot_id,wafer_id,die_x,die_y"]
    for lot in lots:
        far = set(lot.planted.tolist())
        for die in np.flatnonzero(~lot.failed).tolist():
            outcome = "failed" if numbers.uniform() < (0.5 if die in far else 0.02) else "survived"
            shipped = lot.tested_at + timedelta(days=1, minutes=die)
            known = shipped + timedelta(days=5)
            place = f"{lot.name},W1,{lot.column[die]},{lot.row[die]}"
            lines.append(f"{lot.name}-{die},{shipped.isoformat()},{outcome},{known.isoformat()},{place}")
    return "\n".join(lines) + "\n"


def write_readouts(lot: str = "L1", units: int = 12) -> str:
    """Return readouts of units of ``lot``: a threshold voltage, with its limit, that rises as a power of time."""
    numbers = np.random.default_rng(4)
    lines = ["# simulated: true", "device_id,lot_id,time_h,parameter,value,unit,high_limit,stress,temperature_c"]
    for unit in range(units):
        rate = 0.004 * np.exp(0.4 * numbers.normal())
        for hours in (0, 48, 168, 336, 500, 1000):
            value = 0.4 + rate * hours**0.35 + 0.001 * numbers.normal()
            lines.append(f"D{unit},{lot},{hours},vth,{value:.6f},V,0.5,HTOL,125")
    return "\n".join(lines) + "\n"


_LI1, _MCON, _MET1, _VIA, _MET2 = (67, 20), (67, 44), (68, 20), (68, 44), (69, 20)
_DEFECTS = (
    "1 6.2 2.40 0 0 0.9 3 1", "2 12.0 5.0 0 0 0.3 0 1", "3 3.1 8.2 0 0 1.4 3 1", "4 17.6 11.0 0 0 0.5 0 1",
    "5 9.4 9.35 0 0 0.7 3 1", "6 14.2 3.6 0 0 0.2 0 1", "7 1.2 12.2 0 0 1.1 3 1", "8 18.8 7.9 0 0 0.6 0 1",
)  # fmt: skip
_DATE = struct.pack(">12h", *([2024, 1, 8, 0, 0, 0] * 2))


def write_layout() -> bytes:
    """Return a GDSII file on layers of sky130: rails and tracks of 20 by 14 um, three levels with contacts between."""
    shapes = [_box(_MET1, 0, 2000 * row, 20_000, 2000 * row + 480) for row in range(8)]
    for column in range(26):
        x = 300 + 760 * column
        low, high = 2000 * (column % 3), 2000 * (column % 3 + 2 + column % 4)
        shapes.append(_box(_LI1, x, low + 100, x + 170, high + 300))
        shapes += [_box(_MCON, x, y + 155, x + 170, y + 325) for y in (low, high)]
        for track in range(3):
            y = 2000 * ((column + track) % 7) + 700 + 420 * track
            shapes.append(_box(_MET1, x, y, x + 1900, y + 140))
    for column in range(12):
        x = 700 + 1640 * column
        shapes.append(_box(_MET2, x, 0, x + 280, 14_480))
        shapes += [_box(_VIA, x + 65, 2000 * row + 165, x + 215, 2000 * row + 315) for row in range(column % 2, 8, 2)]
    head = _record(gdsii.HEADER, struct.pack(">H", 600)) + _record(gdsii.BGNLIB, _DATE)
    head += _record(gdsii.LIBNAME, b"SIMULATED\x00") + _record(gdsii.UNITS, _real(1e-3) + _real(1e-9))
    cell = _record(gdsii.BGNSTR, _DATE) + _record(gdsii.STRNAME, b"WIRING") + b"".join(shapes)
    return head + cell + _record(gdsii.ENDSTR) + _record(gdsii.ENDLIB)


def _record(kind: int, data: bytes = b"") -> bytes:
    return struct.pack(">HH", len(data) + 4, kind) + data


def _real(value: float) -> bytes:
    """Return a positive number below 1 as GDSII writes it: excess-64 exponent of 16, 56 bits of mantissa."""
    exponent = 64
    while value < 1 / 16:
        value, exponent = value * 16, exponent - 1
    return bytes([exponent]) + round(value * (1 << 56)).to_bytes(7, "big")


def _box(layer: tuple[int, int], left: int, bottom: int, right: int, top: int) -> bytes:
    """Return a rectangle on layer/datatype; corners in nanometres."""
    corners = ((left, bottom), (left, top), (right, top), (right, bottom), (left, bottom))
    head = _record(gdsii.BOUNDARY) + _record(gdsii.LAYER, struct.pack(">H", layer[0]))
    place = _record(gdsii.XY, b"".join(struct.pack(">ii", *each) for each in corners))
    return head + _record(gdsii.DATATYPE, struct.pack(">H", layer[1])) + place + _record(gdsii.ENDEL)


def write_inspection() -> str:
    """Return eight defects of a die of that layout as KLARF."""
    listed = "\n ".join(_DEFECTS)
    return (
        "FileVersion 1 2;\nFileTimestamp 01-08-2024 06:00:00;\n"
        'InspectionStationID "SIMULATED" "inspection" "1";\nLotID "L1";\nDiePitch 1.0e3 2000;\nDieOrigin 0 0;\n'
        'WaferID "W1";\nSampleCenterLocation 500 -250.5;\nClassLookup 2\n 0 "none"\n 3 "pin hole";\n'
        "DefectRecordSpec 8 DEFECTID XREL YREL XINDEX YINDEX DSIZE CLASSNUMBER TEST ;\n"
        f"DefectList\n {listed};\nSummarySpec 5\n TESTNO NDEFECT DEFDENSITY NDIE NDEFDIE ;\n"
        f"SummaryList\n 1 {len(_DEFECTS)} 0 4 2 ;\nEndOfFile;\n"
    )

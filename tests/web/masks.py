"""A small layout on sky130's metal layers, an inspection of it, and a clip with a question about what prints of it."""

import json
from pathlib import Path
from typing import Any

from tests.instruments.mask import layout_writer as write
from tests.instruments.mask.klarf_writer import flat

LI1, MCON, MET1, VIA, MET2 = (67, 20), (67, 44), (68, 20), (68, 44), (69, 20)
DEFECTS = (
    "1 6.2 2.40 0 0 0.9 3 1", "2 12.0 5.0 0 0 0.3 0 1", "3 3.1 8.2 0 0 1.4 3 1", "4 17.6 11.0 0 0 0.5 0 1",
    "5 9.4 9.35 0 0 0.7 3 1", "6 14.2 3.6 0 0 0.2 0 1", "7 1.2 12.2 0 0 1.1 3 1", "8 18.8 7.9 0 0 0.6 0 1",
)  # fmt: skip
CLIP = """BEGIN
EQUIV  1  1000  MICRON  +X,+Y
CNAME CLIP
LEVEL M1

CELL CLIP PRIME
{shapes}
ENDMSG
"""


def box(layer: tuple[int, int], left: int, bottom: int, right: int, top: int) -> bytes:
    """A rectangle on layer/datatype, in nanometres."""
    corners = write.points((left, bottom), (left, top), (right, top), (right, bottom), (left, bottom))
    head = write.record(write.BOUNDARY) + write.short(write.LAYER, layer[0]) + write.short(write.DATATYPE, layer[1])
    return head + corners + write.record(write.ENDEL)


def wiring() -> bytes:
    """Rails and tracks of 20 by 14 um: local interconnect below, two layers of metal over it, contacts between."""
    shapes = [box(MET1, 0, 2000 * row, 20_000, 2000 * row + 480) for row in range(8)]
    for column in range(26):
        x = 300 + 760 * column
        low, high = 2000 * (column % 3), 2000 * (column % 3 + 2 + column % 4)
        shapes.append(box(LI1, x, low + 100, x + 170, high + 300))
        for y in (low, high):
            shapes.append(box(MCON, x, y + 155, x + 170, y + 325))
        for track in range(3):
            y = 2000 * ((column + track) % 7) + 700 + 420 * track
            shapes.append(box(MET1, x, y, x + 1900, y + 140))
    for column in range(12):
        x = 700 + 1640 * column
        shapes.append(box(MET2, x, 0, x + 280, 14_480))
        shapes += [box(VIA, x + 65, 2000 * row + 165, x + 215, 2000 * row + 315) for row in range(column % 2, 8, 2)]
    return write.library(write.structure("WIRING", *shapes))


def clip() -> str:
    """Lines and spaces of 65 nm, four of them ending near each other."""
    rows = [f"   RECT N M1  {130 * at} 0 65 1500" for at in range(12) if at not in (5, 6)]
    rows += [f"   RECT N M1  {130 * at} {start} 65 700" for at in (5, 6) for start in (0, 800)]
    return CLIP.format(shapes="\n".join(rows))


def question() -> dict[str, Any]:
    """What prints of three defects, one of them repaired."""
    return {
        "schema": "faultlight.printability/1",
        "optics": {
            "wavelength_nm": 193, "numerical_aperture": 1.35, "medium_index": 1.44,
            "source": {"shape": "annular", "inner": 0.6, "outer": 0.9},
        },
        "mask": {"drawn": "clear"},
        "layout": {"layer": "M1"},
        "exposure": {"threshold": 0.3, "defocus_nm": [-20, 0, 20]},
        "simulated": True,
        "defects": [
            {"name": "bridge", "kind": "clear", "x_um": 0.6175, "y_um": 0.45, "width_nm": 65, "height_nm": 60},
            {"name": "spot", "kind": "opaque", "x_um": 0.4225, "y_um": 1.0, "width_nm": 30},
            {"name": "mended", "kind": "clear", "x_um": 0.8775, "y_um": 1.1, "width_nm": 65, "height_nm": 40,
             "repair": {"left": [{"kind": "clear", "x_um": 0.8775, "y_um": 1.1, "width_nm": 12}]}},
        ],
    }  # fmt: skip


def write_masks(folder: Path) -> dict[str, Path]:
    """Write all of it; the paths by what they are."""
    paths = {name: folder / name for name in ("wiring.gds", "wiring.klarf", "lines.glp", "question.json")}
    paths["wiring.gds"].write_bytes(wiring())
    paths["wiring.klarf"].write_text(flat(DEFECTS))
    paths["lines.glp"].write_text(clip())
    paths["question.json"].write_text(json.dumps(question()))
    return paths

"""A small layout on sky130's metal layers, an inspection of it, and a clip with a question about what prints of it."""

import json
from pathlib import Path
from typing import Any

from services.demo.fab_files import write_inspection, write_layout

CLIP = """BEGIN
EQUIV  1  1000  MICRON  +X,+Y
CNAME CLIP
LEVEL M1

CELL CLIP PRIME
{shapes}
ENDMSG
"""


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
    paths["wiring.gds"].write_bytes(write_layout())
    paths["wiring.klarf"].write_text(write_inspection())
    paths["lines.glp"].write_text(clip())
    paths["question.json"].write_text(json.dumps(question()))
    return paths

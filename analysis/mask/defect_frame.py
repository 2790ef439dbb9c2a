"""Whether defects and a layout are in the same unit: where they lie says it, whatever their files claim."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FACTORS = (1e-3, 1e3, 0.25, 4.0, 0.2, 5.0, 0.1, 10.0, 1e-6, 1e6)
"""Wrong units of files: nanometres as micrometres, a mask's scale as the wafer's, database units."""
FEW, MOST = 0.1, 0.9
_FEWEST_DEFECTS = 3
CROWDED, CROWD = 0.02, 10
"""So many defects within so small a part of the layout's length may be in a larger unit."""


@dataclass(frozen=True)
class Placement:
    """How many defects lie in the layout, and how many would in another unit.

    Attributes:
        count: defects with a place.
        inside: of them within the layout's box.
        factor: by which lengths would have to be multiplied to place most of them inside, where few are; else ``None``.
        inside_then: how many would be.
        extent: longer side of the defects' box over that of the layout's; a very small one is as suspect.
    """

    count: int
    inside: int
    factor: float | None
    inside_then: int
    extent: float


def judge_placement(xy_um: Array, offset_um: Array, box_um: Array, margin_um: float = 0.0) -> Placement:
    """Return how places lie in a box, and whether another unit would explain them better.

    Args:
        xy_um: ``(n, 2)`` in the layout.
        offset_um: ``(2,)``: where the defects' origin is mapped to; lengths are scaled about it.
        box_um: ``(4,)``: left, bottom, right, top of the layout.
        margin_um: how far outside still counts as inside.
    """
    finite = xy_um[np.isfinite(xy_um).all(axis=1)]
    low, high = box_um[:2] - margin_um, box_um[2:] + margin_um

    def inside(factor: float) -> int:
        scaled = offset_um + (finite - offset_um) * factor
        return int(((scaled >= low) & (scaled <= high)).all(axis=1).sum())

    now = inside(1.0)
    spread = float((finite.max(axis=0) - finite.min(axis=0)).max()) if len(finite) else 0.0
    size = float((high - low).max())
    extent = spread / size if size > 0 else 0.0
    if len(finite) < _FEWEST_DEFECTS or now > FEW * len(finite):
        return Placement(len(finite), now, None, now, extent)
    # All on one spot at the origin would be explained by any factor below 1.
    least = 0.01 * size
    candidates = [(inside(factor), factor) for factor in FACTORS if spread * factor >= least]
    then, factor = max(candidates, key=lambda each: each[0], default=(0, 1.0))
    return Placement(len(finite), now, factor if then >= MOST * len(finite) else None, then, extent)

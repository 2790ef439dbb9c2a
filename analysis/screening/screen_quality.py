"""What a screen costs and what it misses: good parts that fall out (overkill), defective parts that stay (escapes).

Both need parts whose truth is known: returns and tests of fallen-out parts, or parts that were made defective on
purpose. Readings alone tell neither; what they do tell is a bound: overkill is at most the whole fallout.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.reliability.failure_rate import Bounds, fraction_bounds
from analysis.screening.errors import ScreeningError
from analysis.screening.neighbours import Floats, Integers


@dataclass(frozen=True)
class ScreenQuality:
    """Counts and parts of a screen on parts whose truth is known.

    Attributes:
        defective, escaped: defective parts, and those that the screen let pass.
        good, killed: good parts, and those that the screen took out.
        escapes: escaped part of the defective ones with its interval (Clopper-Pearson); ``None`` if there is none.
        overkill: killed part of the good ones likewise.
    """

    defective: int
    escaped: int
    good: int
    killed: int
    escapes: Bounds | None
    overkill: Bounds | None


def screen_quality(defective: ArrayLike, taken_out: ArrayLike, level: float = 0.9) -> ScreenQuality:
    """Return escapes and overkill with two-sided intervals of ``level``.

    ``defective`` is float64 ``(parts,)``: 1, 0, or NaN where nobody knows; those parts are left out. ``taken_out`` is
    bool ``(parts,)``.

    Raises:
        ScreeningError: no part's truth is known, or a label is something else.
    """
    truth, out = np.asarray(defective, np.float64), np.asarray(taken_out, np.bool_)
    known = np.isfinite(truth)
    if truth.shape != out.shape or not np.isin(truth[known], (0.0, 1.0)).all():
        raise ScreeningError("each part is defective (1), good (0) or unknown (NaN)")
    if not known.any():
        raise ScreeningError(
            "no part is known to be good or defective: readings alone tell neither escapes nor overkill"
        )
    bad, good = truth == 1, truth == 0
    counts = int(bad.sum()), int((bad & ~out).sum()), int(good.sum()), int((good & out).sum())
    return ScreenQuality(
        *counts,
        fraction_bounds(counts[1], counts[0], level, "two") if counts[0] else None,
        fraction_bounds(counts[3], counts[2], level, "two") if counts[2] else None,
    )


def plant_outliers(
    values: ArrayLike, count: int, shift: float, generator: np.random.Generator
) -> tuple[Floats, Integers]:
    """Return ``values`` with ``count`` of them moved by ``shift`` up or down, and which: a simulation of defects.

    ``values`` are float64 ``(parts,)`` in the test's unit, as is ``shift``; only finite ones are moved. Parts and
    directions are drawn with ``generator``.

    Raises:
        ScreeningError: so many would be moved that they are no outliers: more than a tenth.
    """
    moved = np.array(values, np.float64)
    finite = np.flatnonzero(np.isfinite(moved))
    if not 1 <= count <= finite.size / 10:
        raise ScreeningError(f"{count} of {finite.size} parts cannot be made outliers: one to a tenth of them can")
    chosen = np.sort(generator.choice(finite, count, replace=False))
    moved[chosen] += np.where(generator.random(count) < 0.5, -shift, shift)
    return moved, chosen

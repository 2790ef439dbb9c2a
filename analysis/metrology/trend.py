"""Whether a figure moves with time: a line by weighted least squares, and one that single points cannot pull.

The robust slope is the median of all pairs' slopes (P. K. Sen, J. Am. Stat. Assoc. 63, 1379, 1968); the test is
Kendall's. A trend is told only when both intervals leave out zero on the same side.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.metrology.least_squares import Array, NotDetermined, fit_weighted


@dataclass(frozen=True)
class Trend:
    """How a figure moves.

    Attributes:
        slope_per_day: estimate, and its 95 % interval by Student's t.
        robust_slope_per_day: median of the pairs' slopes, and its 95 % interval.
        p_value: of Kendall's test for no trend, two-sided.
        moves: both intervals leave out 0 on the same side.
        points: how many.
        days: from the first to the last.
    """

    slope_per_day: tuple[float, float, float]
    robust_slope_per_day: tuple[float, float, float]
    p_value: float
    moves: bool
    points: int
    days: float


def find_trend(days: Array, values: Array, sigma: Array | None = None) -> Trend:
    """Return the trend of ``values`` over ``days``.

    Args:
        days: float64 ``(n,)``, times in days, in any order.
        values: float64 ``(n,)``.
        sigma: float64 ``(n,)``, stated errors above 0, or ``None``.

    Raises:
        NotDetermined: fewer than three different times.
        ValueError: numbers that are not finite.
    """
    if np.unique(days).size < 3:
        raise NotDetermined(f"a trend needs at least three different times; there are {np.unique(days).size}")
    design = np.column_stack([np.ones(days.size), days - days.mean()])
    fit = fit_weighted(design, values, sigma)
    reach = float(stats.t.ppf(0.975, fit.degrees_of_freedom)) * float(fit.standard_errors[1])
    slope = float(fit.values[1])
    line = (slope, slope - reach, slope + reach)
    middle, _, low, high = stats.theilslopes(values, days, 0.95)
    robust = (float(middle), float(low), float(high))
    same = (line[1] > 0 and robust[1] > 0) or (line[2] < 0 and robust[2] < 0)
    p_value = float(stats.kendalltau(days, values).pvalue)
    return Trend(
        line, robust, p_value if np.isfinite(p_value) else 1.0, bool(same), int(days.size), float(np.ptp(days))
    )

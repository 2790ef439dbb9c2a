"""Centre and spread of a quantity while its instrument was known to be well: the baseline phase of a control chart.

Sources: D. C. Montgomery, Introduction to Statistical Quality Control, chapters 6 and 9; NIST/SEMATECH e-Handbook of
Statistical Methods, 6.3.2.2 (individuals) and 6.3.2.1 (subgroups). Limits come from within-group or point-to-point
variation, never from the standard deviation of all values, which drift and jumps inflate.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

MEAN_RANGE_OF_TWO = 2.0 / math.sqrt(math.pi)
"""d2 for two values: the mean of |x1 - x2| in standard deviations, 1.128."""
MEDIAN_RANGE_OF_TWO = math.sqrt(2.0) * float(stats.norm.ppf(0.75))
"""The median of |x1 - x2| in standard deviations, 0.954."""
RECOMMENDED_COUNT = 20


@dataclass(frozen=True)
class Baseline:
    """What a quantity was while all was well.

    Attributes:
        centre: its mean or median, in the quantity's unit.
        sigma: standard deviation of a single value, in the same unit.
        count: values, or subgroups, that it was estimated from; missing ones are not counted.
        method: how, in words.
        warnings: why it may be poor.
    """

    centre: float
    sigma: float
    count: int
    method: str
    warnings: tuple[str, ...] = ()


class NoBaseline(ValueError):  # noqa: N818
    """The values give no baseline: too few of them, or no variation."""


def estimate_baseline(values: NDArray[np.float64], *, robust: bool = False) -> Baseline:
    """Return the baseline of single values in the order of time.

    Args:
        values: float64 ``(n,)``, any unit; NaN: missing, left out.
        robust: median, and median moving range / 0.954, in place of mean, and mean moving range / 1.128: some per cent
            of wild values among the baseline then hardly matter, at the price of 1.4 times the scatter of sigma.

    Raises:
        NoBaseline: fewer than three values, or all moving ranges (their median, if robust) are zero.
        ValueError: a value is infinite, or the array is not 1-D.
    """
    present = take_present(values, 1)
    if present.size < 3:
        raise NoBaseline(f"a baseline needs 3 values, there are {present.size}")
    ranges = np.abs(np.diff(present))
    if robust:
        centre, sigma = float(np.median(present)), float(np.median(ranges)) / MEDIAN_RANGE_OF_TWO
        method = "median; median moving range of two / 0.954"
    else:
        centre, sigma = float(present.mean()), float(ranges.mean()) / MEAN_RANGE_OF_TWO
        method = "mean; mean moving range of two / 1.128"
    return _make_baseline(centre, sigma, present.size, method)


def estimate_subgroup_baseline(values: NDArray[np.float64], *, robust: bool = False) -> Baseline:
    """Return the baseline of subgroups of equal size; ``sigma`` is of a single value within a subgroup.

    Args:
        values: float64 ``(subgroups, size)`` with size >= 2; a subgroup with a NaN is left out whole.
        robust: medians over the subgroups, of their means and of their standard deviations (divided by the median of
            that of ``size`` normal values), in place of the grand mean and the pooled standard deviation / c4.

    Raises:
        NoBaseline: fewer than two subgroups, or no variation.
        ValueError: a value is infinite, or the array is not 2-D with two or more columns.
    """
    groups = take_present(values, 2)
    size = groups.shape[1]
    if size < 2:
        raise ValueError("a subgroup has two or more values")
    if groups.shape[0] < 2:
        raise NoBaseline(f"a baseline needs 2 subgroups, there are {groups.shape[0]}")
    deviations = groups.std(axis=1, ddof=1)
    if robust:
        middle = math.sqrt(float(stats.chi2.ppf(0.5, size - 1)) / (size - 1))
        centre, sigma = float(np.median(groups.mean(axis=1))), float(np.median(deviations)) / middle
        method = "median of means; median standard deviation / its median for normal values"
    else:
        freedom = groups.shape[0] * (size - 1)
        centre = float(groups.mean())
        sigma = math.sqrt(float(np.mean(deviations**2))) / unbiasing_factor(freedom + 1)
        method = "grand mean; pooled standard deviation / c4"
    return _make_baseline(centre, sigma, groups.shape[0], method)


def unbiasing_factor(count: int) -> float:
    """Return c4: the mean of the standard deviation of ``count`` (>= 2) normal values of sigma 1."""
    if count < 2:
        raise ValueError("c4 needs two or more values")
    half = (count - 1) / 2.0
    return math.sqrt(1.0 / half) * math.exp(float(special.gammaln(half + 0.5) - special.gammaln(half)))


def take_present(values: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    """Return ``values``, float64 of so many ``dimensions`` (1 or 2), without missing ones (NaN; rows with one).

    Raises:
        ValueError: a value is infinite, or the array has other dimensions.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != dimensions:
        raise ValueError(f"the values have {array.ndim} dimensions where {dimensions} are needed")
    if np.isinf(array).any():
        raise ValueError("a value is infinite")
    missing = np.isnan(array)
    return array[~missing] if dimensions == 1 else array[~missing.any(axis=1)]


def _make_baseline(centre: float, sigma: float, count: int, method: str) -> Baseline:
    if not sigma > 0.0 or not math.isfinite(sigma) or not math.isfinite(centre):
        raise NoBaseline("the baseline has no variation that limits could be made of")
    warnings: tuple[str, ...] = ()
    if count < RECOMMENDED_COUNT:
        warnings = (f"limits of {count} values or subgroups; {RECOMMENDED_COUNT} or more are usual",)
    return Baseline(centre, sigma, count, method, warnings)

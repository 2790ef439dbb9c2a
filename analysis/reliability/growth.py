"""Repairable systems: growth of reliability by the power law, and the mean cumulative function.

Failures come as a Poisson process of intensity ``lambda b t^(b-1)`` (Crow-AMSAA; MIL-HDBK-189; Crow, "Reliability
analysis for complex, repairable systems", 1974). ``b`` below 1 is growth. Tests end at a time or at the last failure;
that changes estimates and bounds, and is part of the result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import gammaincinv, ndtri

from analysis.reliability.errors import LifeDataError
from analysis.reliability.jets import Floats


@dataclass(frozen=True)
class Growth:
    """A power-law process fitted to failures.

    Attributes:
        failures: how many.
        end_h: system hours at the end of the test.
        ended_by: ``time`` or ``failure``, or ``groups`` for counts in intervals.
        beta, scale: maximum likelihood: expected failures by ``t`` are ``scale * t^beta``.
        beta_unbiased: the same corrected for its bias (NIST: modified maximum likelihood).
        beta_low, beta_high: interval of ``beta`` (chi-squared, exact given the number of failures).
        mean_time_h: hours between failures at the end, ``1/(scale beta T^(beta-1))``, from the unbiased ``beta``.
        mean_time_low_h, mean_time_high_h: its interval (Crow's normal approximation for growth tests, NIST 8.4.5.2).
        level: of both intervals.
        statistic, p_value: Cramer-von Mises goodness of fit and its simulated p-value; ``None`` for groups.
    """

    failures: int
    end_h: float
    ended_by: str
    beta: float
    scale: float
    beta_unbiased: float
    beta_low: float
    beta_high: float
    mean_time_h: float
    mean_time_low_h: float
    mean_time_high_h: float
    level: float
    statistic: float | None
    p_value: float | None

    @property
    def scale_unbiased(self) -> float:
        """Scale that belongs to the unbiased ``beta``."""
        return float(self.failures / self.end_h**self.beta_unbiased)

    @property
    def intensity_per_h(self) -> float:
        """Failures per hour at the end of the test by maximum likelihood."""
        return float(self.scale * self.beta * self.end_h ** (self.beta - 1))


def fit_growth(
    times_h: ArrayLike, end_h: float | None = None, level: float = 0.9, generator: np.random.Generator | None = None
) -> Growth:
    """Return the power law of failures at ``times_h``, system hours, ``(failures,)``.

    ``end_h`` is when the test ended; ``None`` when it ended at the last failure. ``level`` of the intervals;
    ``generator`` for the p-value's simulation, seeded by default.

    Raises:
        LifeDataError: fewer than three failures, or times out of bounds.
    """
    times = np.sort(np.atleast_1d(np.asarray(times_h, np.float64)))
    if times.ndim != 1 or not np.isfinite(times).all() or (times <= 0).any():
        raise LifeDataError("failure times must be above 0")
    by_time = end_h is not None
    end = float(times[-1]) if end_h is None else float(end_h)
    count = times.size
    if count < 3 or not np.isfinite(end) or times[-1] > end:
        raise LifeDataError("growth needs three failures or more, none after the end of the test")
    if not 0 < level < 1:
        raise LifeDataError(f"a level lies between 0 and 1, not {level:g}")
    total = float(np.log(end / times).sum())
    if not total > 0:
        raise LifeDataError("all failures are at the end of the test: there is no power law")
    informative = count if by_time else count - 1
    beta = count / total
    unbiased = (informative - 1) / total if informative > 1 else beta
    below, above = (1 - level) / 2, (1 + level) / 2
    low, high = (float(gammaincinv(informative, part)) / total for part in (below, above))
    mean_time = end / (count * unbiased)
    bounds = _mean_time_factors(count, level)
    used = times if by_time else times[:-1]
    statistic = cramer_von_mises(used / end, unbiased)
    p_value = _p_value(statistic, used.size, generator or np.random.default_rng(0))
    return Growth(
        count, end, "time" if by_time else "failure", beta, float(count / end**beta), unbiased, low, high,
        mean_time, mean_time * bounds[0], mean_time * bounds[1], level, statistic, p_value,
    )  # fmt: skip


def _mean_time_factors(count: int, level: float) -> tuple[float, float]:
    """Bounds over the estimate of the mean time at the end (Crow 1975 as given in NIST/SEMATECH 8.4.5.2)."""
    z = float(ndtri(0.5 + level / 2))
    lower = count * (count - 1) / (count + z**2 / 4 + np.sqrt(count * z**2 / 2 + z**4 / 16)) ** 2
    left = count - z * np.sqrt(count / 2)
    return float(lower), float(count * (count - 1) / left**2) if left > 0 else float("inf")


def fit_grouped_growth(ends_h: ArrayLike, counts: ArrayLike, level: float = 0.9) -> Growth:
    """Return the power law of failures counted in intervals that end at ``ends_h``, both ``(intervals,)``.

    ``counts`` are failures in each; the first interval begins at 0. ``level`` of the intervals, which are Wald's in the
    logarithm.

    Raises:
        LifeDataError: fewer than three failures or two intervals, or impossible times or counts.
    """
    ends, numbers = np.asarray(ends_h, np.float64), np.asarray(counts, np.float64)
    if ends.ndim != 1 or ends.shape != numbers.shape or ends.size < 2 or not (np.diff(ends, prepend=0.0) > 0).all():
        raise LifeDataError("grouped growth needs two intervals or more whose ends increase from above 0")
    if (numbers < 0).any() or (numbers != np.round(numbers)).any() or numbers.sum() < 3 or not numbers[:-1].sum():
        raise LifeDataError("grouped growth needs three failures or more, not all in the last interval")
    logs = np.log(ends / ends[-1])
    widths = np.concatenate([[0.0], -np.diff(logs)])
    begun = np.concatenate([[0.0], np.ones(ends.size - 1)])

    def score(beta: float) -> float:
        # (u^b log u - l^b log l)/(u^b - l^b) without overflow; the first interval begins at 0, where it is log u.
        ratios = begun * np.exp(beta * widths)
        return float((numbers * (logs - ratios * widths / (1 - ratios))).sum())

    if score(1e-6) * score(1e3) > 0:
        raise LifeDataError("all failures are in one end interval: there is no power law")
    beta = float(brentq(score, 1e-6, 1e3, xtol=1e-14))
    step = 1e-5 * beta
    information = -(score(beta + step) - score(beta - step)) / (2 * step)
    count = int(numbers.sum())
    log_sigma = 1 / np.sqrt(information) / beta
    z = float(ndtri(0.5 + level / 2))
    mean_time = ends[-1] / (count * beta)
    spread = np.exp(z * np.sqrt(1 / count + log_sigma**2))
    return Growth(
        count, float(ends[-1]), "groups", beta, float(count / ends[-1] ** beta), beta,
        beta * float(np.exp(-z * log_sigma)), beta * float(np.exp(z * log_sigma)),
        float(mean_time), float(mean_time / spread), float(mean_time * spread), level, None, None,
    )  # fmt: skip


def cramer_von_mises(parts: Floats, beta: float) -> float:
    """Return the Cramer-von Mises statistic of ``parts``, ordered times over the end ``(m,)``, under ``beta``."""
    places = (2 * np.arange(1, parts.size + 1) - 1) / (2 * parts.size)
    return float(1 / (12 * parts.size) + ((parts**beta - places) ** 2).sum())


def _p_value(statistic: float, size: int, generator: np.random.Generator, draws: int = 2000) -> float:
    """How often a true power law fits as badly; its own ``beta`` is estimated each time."""
    parts = np.sort(generator.random((draws, size)), axis=1)
    beta = (size - 1) / -np.log(parts).sum(axis=1)
    places = (2 * np.arange(1, size + 1) - 1) / (2 * size)
    simulated = 1 / (12 * size) + ((parts ** beta[:, None] - places) ** 2).sum(axis=1)
    return float((1 + (simulated >= statistic).sum()) / (draws + 1))


@dataclass(frozen=True)
class CumulativeFunction:
    """Mean failures per system by age.

    Attributes:
        ages_h: float64 of shape ``(m,)``, ages with failures, increasing.
        mean: failures per system up to each.
        low, high: its interval, normal in the logarithm.
        level: of the interval.
        systems: float64 of shape ``(m,)``, systems watched at each age.
    """

    ages_h: Floats
    mean: Floats
    low: Floats
    high: Floats
    level: float
    systems: Floats


def mean_cumulative_function(
    system: ArrayLike, age_h: ArrayLike, failed: ArrayLike, level: float = 0.9
) -> CumulativeFunction:
    """Return the mean cumulative function of repairable systems (Nelson, "Recurrent Events Data Analysis", 2003).

    ``system`` names each row's system, ``age_h`` is in hours, ``failed`` tells a failure from the end of watching, of
    which each system has one; all ``(rows,)``. ``level`` of the interval, from Nelson's robust variance.

    Raises:
        LifeDataError: a system has no end, or fails after it; there are no failures.
    """
    names, place = np.unique(np.asarray(system), return_inverse=True)
    ages, events = np.asarray(age_h, np.float64), np.asarray(failed, np.bool_)
    if not np.isfinite(ages).all() or (ages < 0).any() or not 0 < level < 1:
        raise LifeDataError("ages must be numbers not below 0, and the level between 0 and 1")
    if (np.bincount(place[~events], minlength=names.size) != 1).any():
        raise LifeDataError("each system needs one row that says how long it was watched")
    ends = np.zeros(names.size)
    ends[place[~events]] = ages[~events]
    if not events.any() or (ages[events] > ends[place[events]]).any():
        raise LifeDataError("there are no failures, or a system fails after it was last watched")
    at = np.unique(ages[events])
    counts = np.zeros((names.size, at.size))
    np.add.at(counts, (place[events], np.searchsorted(at, ages[events])), 1.0)
    watched = (ends[:, None] >= at).astype(np.float64)
    number = watched.sum(axis=0)
    increments = counts.sum(axis=0) / number
    mean = np.cumsum(increments)
    # Lawless & Nadeau, Technometrics 37, 1995: each system's deviations, summed over ages before they are squared.
    deviations = np.cumsum(watched * (counts - increments) / number, axis=1)
    sigma = np.sqrt((deviations**2).sum(axis=0))
    reach = np.exp(float(ndtri(0.5 + level / 2)) * sigma / mean)
    return CumulativeFunction(at, mean, mean / reach, mean * reach, level, number)

"""Likelihood-ratio bounds of Weibull failure probabilities, for one group of lifetimes or ten thousand at once.

With ``s = 1/sigma``, ``v`` the log cumulative hazard at the time asked for and ``x`` log times over it, the log
likelihood of exact and right-censored times is ``r v + r log s + s sum x_failed - sum w exp(s x + v)``: concave. Its
profile over ``s`` is concave in ``v``, and Newton's method on its fall reaches each bound from outside.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from analysis.reliability.errors import LifeDataError
from analysis.reliability.jets import Floats
from analysis.reliability.weibull_profile import FITTED, GroupedRows, fit_grouped_rows, group_rows

_OUTER, _INNER = 60, 60


@dataclass(frozen=True)
class GroupBounds:
    """Probabilities of having failed, with two-sided intervals; all float64 of shape ``(groups,)``.

    NaN where a group has no fit.
    """

    estimate: Floats
    low: Floats
    high: Floats
    level: float


def bound_groups(
    hours: ArrayLike,
    failed: ArrayLike,
    asked_h: float,
    group: ArrayLike | None = None,
    count: ArrayLike | None = None,
    level: float = 0.9,
) -> GroupBounds:
    """Return the probability of having failed by ``asked_h`` hours in each group, with likelihood-ratio intervals.

    ``hours``, ``failed``, ``group`` and ``count`` as in ``fit_weibull_groups``; ``level`` is two-sided.

    Raises:
        BadLifeData: of the lifetimes.
        LifeDataError: the hours asked for or the level are impossible, or a bound was not reached.
    """
    if not (asked_h > 0 and np.isfinite(asked_h)) or not 0 < level < 1:
        raise LifeDataError(f"hours must be above 0 and the level between 0 and 1, not {asked_h:g}, {level:g}")
    rows = group_rows(hours, failed, group, count)
    fits = fit_grouped_rows(rows)
    fit = fits.status == FITTED
    away = rows.shift - np.log(asked_h)
    sums = _Sums(rows, np.where(fit, fits.failures, 1.0), rows.add(rows.dead * rows.x) + fits.failures * away, away)
    slope = np.where(fit, 1 / fits.sigma, 1.0)
    centre = np.where(fit, (np.log(asked_h) - fits.mu) / fits.sigma, -1.0)
    # Standard error of v by the delta method, for where to begin.
    with np.errstate(invalid="ignore"):
        variance = fits.var_mu / fits.sigma**2 + centre**2 * fits.var_log_sigma + 2 * centre * fits.cov / fits.sigma
    error = np.where(fit, np.sqrt(np.maximum(variance, 1e-12)), 1.0)
    z = float(ndtri(0.5 + level / 2))
    ends = [_bound(sums, slope, centre, side * z * error, 0.5 * z**2, fit) for side in (-1, 1)]
    found = [np.where(fit, -np.expm1(-np.exp(np.minimum(each, 700.0))), np.nan) for each in (centre, *ends)]
    return GroupBounds(found[0], found[1], found[2], level)


@dataclass(frozen=True)
class _Sums:
    """What the likelihood needs of each group."""

    rows: GroupedRows
    failures: Floats
    failed_logs: Floats
    away: Floats

    def moments(self, slope: Floats) -> tuple[Floats, Floats, Floats]:
        """Log of the sum of ``w exp(s x)``, and mean and variance of ``x`` under it."""
        total, mean, variance = self.rows.moments(1 / slope)
        return np.log(total) + slope * self.away, mean + self.away, variance

    def value(self, slope: Floats, v: Floats, log_total: Floats) -> Floats:
        """The log likelihood without what is constant."""
        found = (
            self.failures * (v + np.log(slope)) + slope * self.failed_logs - np.exp(np.minimum(v + log_total, 700.0))
        )
        return np.asarray(found)


def _bound(sums: _Sums, slope: Floats, centre: Floats, reach: Floats, fall: float, fit: np.ndarray) -> Floats:
    best = sums.value(slope, centre, sums.moments(slope)[0])
    v, s = centre + reach, slope
    for _ in range(_OUTER):
        s, log_total = _profile(sums, s, v)
        gap = best - sums.value(s, v, log_total) - fall
        rate = sums.failures - np.exp(np.minimum(v + log_total, 700.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            step = gap / rate
        # One that is still on top of the hill would leap anywhere.
        step = np.clip(np.where(np.isfinite(step), step, 0.0), -3 * np.abs(reach), 3 * np.abs(reach))
        v = v + step
        if (np.abs(gap[fit]) <= 1e-9).all():
            return np.asarray(v)
    raise LifeDataError("a likelihood-ratio bound was not reached: ask for Wald's")


def _profile(sums: _Sums, start: Floats, v: Floats) -> tuple[Floats, Floats]:
    """The slope that is best for each ``v``, by Newton on a concave function, and its log total."""
    s = start
    for _ in range(_INNER):
        log_total, mean, variance = sums.moments(s)
        hazard = np.exp(np.minimum(v + log_total, 700.0))
        gradient = sums.failures / s + sums.failed_logs - hazard * mean
        curvature = sums.failures / s**2 + hazard * (variance + mean**2)
        step = np.clip(gradient / curvature, -0.7 * s, 2.0 * s)
        s = s + step
        if (np.abs(step) <= 1e-10 * s).all():
            break
    return s, sums.moments(s)[0]

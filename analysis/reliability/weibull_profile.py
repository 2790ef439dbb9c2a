"""Weibull by its profile: one equation in one unknown, for one group of lifetimes or ten thousand at once.

For exact and right-censored times the scale is known given the shape, and the shape solves
``sum w t^b log t / sum w t^b - 1/b = mean log t of failures`` (Cohen, Technometrics 7, 1965), which has one root. It is
solved for ``sigma = 1/b``, in which it is nearly straight however few fail, by Newton's method kept inside a bracket.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.reliability.errors import BadLifeData
from analysis.reliability.jets import Floats

FITTED, NO_FAILURES, ONE_DISTINCT_TIME, NOT_CONVERGED = "fitted", "no-failures", "one-distinct-time", "not-converged"
_MOST_STEPS = 60
_TOLERANCE = 1e-13


@dataclass(frozen=True)
class WeibullGroups:
    """Weibull fits of groups of lifetimes; arrays of shape ``(groups,)``, NaN where a group was not fitted.

    Attributes:
        status: ``fitted``, ``no-failures``, ``one-distinct-time`` or ``not-converged`` for each group.
        mu, sigma: log of the scale in hours, and 1 over the shape.
        var_mu, var_log_sigma, cov: covariance of ``mu`` and ``log sigma``, from the observed information.
        log_likelihood: at the estimate.
        score: what is left of the profile score, over what its terms are.
        failures, devices: in each group.
    """

    status: NDArray[np.str_]
    mu: Floats
    sigma: Floats
    var_mu: Floats
    var_log_sigma: Floats
    cov: Floats
    log_likelihood: Floats
    score: Floats
    failures: Floats
    devices: Floats

    @property
    def beta(self) -> Floats:
        """Shapes."""
        return np.asarray(1.0 / self.sigma)

    @property
    def eta_h(self) -> Floats:
        """Scales in hours."""
        return np.asarray(np.exp(self.mu))


def fit_weibull_groups(
    hours: ArrayLike, failed: ArrayLike, group: ArrayLike | None = None, count: ArrayLike | None = None
) -> WeibullGroups:
    """Return a Weibull fit of each group of exact and right-censored lifetimes.

    Args:
        hours: float64 of shape ``(rows,)``, above 0.
        failed: bool of shape ``(rows,)``: failed at that time, or alive.
        group: int64 of shape ``(rows,)``, from 0; all one group for ``None``.
        count: devices of each row, shape ``(rows,)``; 1 each for ``None``.

    Raises:
        BadLifeData: shapes differ, or a time or count is impossible.
    """
    return fit_grouped_rows(group_rows(hours, failed, group, count))


def group_rows(
    hours: ArrayLike, failed: ArrayLike, group: ArrayLike | None = None, count: ArrayLike | None = None
) -> "GroupedRows":
    """Return rows in the order of their groups.

    ``hours``, ``failed``, ``group`` and ``count`` as in :func:`fit_weibull_groups`.

    Raises:
        BadLifeData: shapes differ, or a time or count is impossible.
    """
    times, dead = np.asarray(hours, np.float64), np.asarray(failed, np.bool_)
    weights = np.ones(times.shape) if count is None else np.asarray(count, np.float64)
    groups = np.zeros(times.shape, np.int64) if group is None else np.asarray(group, np.int64)
    if times.ndim != 1 or not times.size or not (times.shape == dead.shape == weights.shape == groups.shape):
        raise BadLifeData("times, failures, groups and counts need one length, not 0")
    if not (np.isfinite(times).all() and (times > 0).all() and np.isfinite(weights).all() and (weights >= 0).all()):
        raise BadLifeData("a lifetime is not above 0, or a count is below 0")
    if groups.min() < 0:
        raise BadLifeData("a group is below 0")
    return GroupedRows.ordered(np.log(times), dead, weights, groups)


@dataclass(frozen=True)
class GroupedRows:
    """Lifetimes in order of their group.

    Attributes:
        x: float64 of shape ``(rows,)``, log hours less the largest of the group.
        weights, dead: float64 of shape ``(rows,)``: devices, and failed ones.
        starts, sizes: int64 of shape ``(groups,)``: first row of each group, and how many it has.
        shift: float64 of shape ``(groups,)``: the largest log hours.
    """

    x: Floats
    weights: Floats
    dead: Floats
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    shift: Floats

    @classmethod
    def ordered(
        cls, logs: Floats, dead: NDArray[np.bool_], weights: Floats, groups: NDArray[np.int64]
    ) -> "GroupedRows":
        """Return the rows of ``logs`` (log hours), ``dead``, ``weights`` and ``groups``, each ``(rows,)``.

        Raises:
            BadLifeData: a group is empty or has no number.
        """
        if (np.diff(groups) < 0).any():
            order = np.argsort(groups, kind="stable")
            logs, dead, weights, groups = logs[order], dead[order], weights[order], groups[order]
        starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
        if not np.array_equal(groups[starts], np.arange(starts.size)):
            raise BadLifeData("groups are numbered from 0 without gaps")
        sizes = np.diff(np.append(starts, groups.size))
        used = np.where(weights > 0, logs, -np.inf)
        shift = np.maximum.reduceat(used, starts)
        if not np.isfinite(shift).all():
            raise BadLifeData("a group holds no device")
        x = logs - np.repeat(shift, sizes) if starts.size > 1 else logs - shift[0]
        return cls(x, weights, weights * dead, starts, sizes, shift)

    def add(self, values: Floats) -> Floats:
        """Return the sums of ``values``, ``(rows,)``, over each group."""
        if self.starts.size == 1:
            return np.asarray([values.sum()])
        return np.asarray(np.add.reduceat(values, self.starts))

    def moments(self, sigma: Floats) -> tuple[Floats, Floats, Floats]:
        """Return sum, mean and variance of ``x`` under weights ``w exp(x / sigma)``, all ``(groups,)``."""
        if self.starts.size == 1:
            grown = np.exp(self.x / sigma[0])
            grown *= self.weights
            total = grown.sum()
            pull = grown @ self.x
            grown *= self.x
            square = grown @ self.x
            mean = pull / total
            return np.asarray([total]), np.asarray([mean]), np.asarray([square / total - mean**2])
        grown = self.weights * np.exp(self.x / np.repeat(sigma, self.sizes))
        total = self.add(grown)
        grown *= self.x
        mean = self.add(grown) / total
        grown *= self.x
        return total, mean, self.add(grown) / total - mean**2


def fit_grouped_rows(rows: GroupedRows) -> WeibullGroups:
    """Return the Weibull fit of each group of ``rows``."""
    failures, devices = rows.add(rows.dead), rows.add(rows.weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_failed = rows.add(rows.dead * rows.x) / failures
    status = np.full(failures.size, FITTED, dtype="<U17")
    # Without a failure before the largest time the shape grows for ever; a rounding of logs is no spread.
    status[-mean_failed <= 1e-14] = ONE_DISTINCT_TIME
    status[failures == 0] = NO_FAILURES
    fit = status == FITTED
    safe = np.where(fit, mean_failed, -1.0)
    sigma, score = _root(rows, safe, fit)
    status[fit & ~(score <= 1e-9)] = NOT_CONVERGED
    fit = status == FITTED
    total, mean, variance = rows.moments(sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        mu = rows.shift + sigma * np.log(total / failures)
        # Second derivatives of minus the log likelihood by mu and log sigma; z = (x - mu) / sigma.
        ratio = (rows.shift - mu) / sigma
        z_mean, z_square = mean / sigma + ratio, (variance + mean**2) / sigma**2 + 2 * ratio * mean / sigma + ratio**2
        by_mu, cross = failures / sigma**2, failures * z_mean / sigma
        by_scale = failures * (z_square + z_mean) - failures * (mean_failed / sigma + ratio)
        determinant = by_mu * by_scale - cross**2
        log_likelihood = failures * ((mean_failed / sigma + ratio) - np.log(sigma) - 1)
        log_likelihood -= rows.add(rows.dead * rows.x) + failures * rows.shift
        columns = (mu, sigma, by_scale / determinant, by_mu / determinant, -cross / determinant, log_likelihood, score)
    mu, sigma, var_mu, var_scale, cov, height, left = (np.where(fit, column, np.nan) for column in columns)
    return WeibullGroups(status, mu, sigma, var_mu, var_scale, cov, height, left, failures, devices)


def _root(rows: GroupedRows, mean_failed: Floats, fit: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return ``sigma`` of each group and the score left there."""
    sigma = np.where(fit, -mean_failed, 1.0)
    low, high = np.zeros_like(sigma), np.full_like(sigma, np.inf)
    left = np.full_like(sigma, np.inf)
    for _ in range(_MOST_STEPS):
        _, mean, variance = rows.moments(sigma)
        gap = mean - mean_failed - sigma
        left = np.abs(gap) / np.maximum(sigma, np.abs(mean_failed))
        low, high = np.where(gap > 0, sigma, low), np.where(gap < 0, sigma, high)
        step = gap / (1 + variance / sigma**2)
        moved = sigma + step
        inside = (moved > low) & (moved < high)
        middle = np.where(np.isinf(high), 2 * sigma, 0.5 * (low + high))
        done = np.abs(step) <= _TOLERANCE * sigma
        sigma = np.where(done | ~fit, np.where(inside, moved, sigma), np.where(inside, moved, middle))
        if (done | ~fit).all():
            break
    return sigma, left

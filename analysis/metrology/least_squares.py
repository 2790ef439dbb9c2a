"""Weighted least squares with standard errors, and which equations stand apart.

Outliers are looked for around a fit that they cannot pull: Tukey's biweight, started from Huber's estimate, with the
scale from the median of absolute residuals (P. J. Huber and E. M. Ronchetti, Robust Statistics, 2009, ch. 7). That
scale is too uncertain among few sites to tell by, so that it only names suspects; each is then compared with what the
sites that are not suspected predict, the least suspected first (B. Rosner, Technometrics 25, 165, 1983). Where the
map is small and that finds none, every site is compared with what all others predict. Where the residuals are larger
than the stated errors allow, the covariance is widened by their ratio (Birge); it is never narrowed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_MAD = 1.482602218505602
_HUBER, _TUKEY = 1.345, 4.685
_ROUNDS = 40
_FEW = 30


class NotDetermined(ValueError):  # noqa: N818
    """There are too few equations, or they do not tell the parameters apart."""


@dataclass(frozen=True)
class Fit:
    """A fitted linear model.

    Attributes:
        values: float64 ``(p,)``.
        covariance: float64 ``(p, p)``, widened where the residuals ask for it.
        residuals: float64 ``(n,)``, measured less fitted, of equations left out too.
        degrees_of_freedom: equations used less parameters.
        scale: residuals over stated errors (root mean square); with none stated the residuals' own deviation.
    """

    values: Array
    covariance: Array
    residuals: Array
    degrees_of_freedom: int
    scale: float

    @property
    def standard_errors(self) -> Array:
        """Standard errors of the parameters, ``(p,)``."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))


def fit_weighted(design: Array, measured: Array, sigma: Array | None, used: Mask | None = None) -> Fit:
    """Return the least squares fit of ``design @ values`` to ``measured``.

    Args:
        design: float64 ``(n, p)``.
        measured: float64 ``(n,)``.
        sigma: float64 ``(n,)``, stated standard deviations above 0; ``None`` when none are stated: all are then alike.
        used: bool ``(n,)``, the equations to use; ``None`` for all.

    Raises:
        NotDetermined: fewer equations than parameters and one, or parameters that cannot be told apart.
        ValueError: a number is not finite, or a standard deviation is not above 0.
    """
    count, unknowns = design.shape
    chosen = np.ones(count, np.bool_) if used is None else used
    if not (np.isfinite(design).all() and np.isfinite(measured).all()):
        raise ValueError("a measured value or position is not finite")
    if sigma is not None and not (np.isfinite(sigma).all() and (sigma > 0).all()):
        raise ValueError("a stated standard deviation is not a number above 0")
    weight = np.ones(count) if sigma is None else 1 / sigma
    freedom = int(chosen.sum()) - unknowns
    if freedom < 1:
        raise NotDetermined(f"{int(chosen.sum())} values do not determine {unknowns} parameters and their errors")
    # Columns of like size keep the normal equations well conditioned.
    size = np.sqrt(np.mean(design[chosen] ** 2, axis=0))
    size = np.where(size > 0, size, 1.0)
    scaled = design / size * weight[:, None]
    left, singular, right = np.linalg.svd(scaled[chosen], full_matrices=False)
    if singular[-1] < 1e-9 * singular[0]:
        raise NotDetermined("the positions do not tell the parameters apart: they lie on a line or on each other")
    values = right.T @ ((left.T @ (measured * weight)[chosen]) / singular)
    residuals = measured - (design / size) @ values
    chi_squared = float(np.sum((residuals * weight)[chosen] ** 2))
    factor = chi_squared / freedom
    covariance = right.T @ np.diag(singular**-2.0) @ right
    covariance = covariance * (factor if sigma is None else max(1.0, factor)) / np.outer(size, size)
    return Fit(values / size, covariance, residuals, freedom, float(np.sqrt(factor)))


def find_inliers(design: Array, measured: Array, groups: int, false_outlier_rate: float = 0.01) -> Mask:
    """Return which sites agree with a robust fit, ``(sites,)``.

    ``design`` ``(groups * sites, p)`` and ``measured`` ``(groups * sites,)`` hold one block after another, one for each
    of ``groups`` measured coordinates of the same sites: a site is left out with all of them. Each coordinate has as
    many of the parameters. ``false_outlier_rate`` is the chance that a map without outliers, of normal errors, loses a
    site.

    Raises:
        NotDetermined: as :func:`fit_weighted`.
    """
    count = measured.size // groups
    fit = fit_weighted(design, measured, None)
    for threshold, cut in ((_HUBER, False), (_TUKEY, True)):
        for _ in range(_ROUNDS):
            scale = _scale(fit.residuals, groups)
            ratio = np.abs(fit.residuals) / (threshold * np.maximum(scale, np.finfo(float).tiny))
            weight = np.clip(1 - np.minimum(ratio, 1.0) ** 2, 0, None) ** 2 if cut else 1 / np.maximum(ratio, 1.0)
            kept = weight > 1e-6
            if kept.sum() <= design.shape[1]:
                break
            sigma = 1 / np.sqrt(np.maximum(weight, 1e-6))
            moved = fit_weighted(design, measured, sigma, kept)
            still = np.abs(moved.residuals - fit.residuals).max() < 1e-6 * float(scale.max() or 1.0)
            fit = moved
            if still:
                break
    scale = _scale(fit.residuals, groups)
    # Rounded and constant values have no scatter: what differs by less than rounding is no outlier.
    floor = 1e-9 * max(1.0, float(np.abs(measured).max()))
    squared = np.sum((fit.residuals / np.maximum(scale, floor)).reshape(groups, count) ** 2, axis=0)
    freedom = max(1, measured.size - design.shape[1])
    suspects = int((stats.f.sf(squared / groups, groups, freedom) < false_outlier_rate / count).sum())
    order = np.argsort(-squared, kind="stable")
    inlier = np.ones(count, np.bool_)
    for left_out in range(suspects, 0, -1):
        inlier[:] = True
        inlier[order[:left_out]] = False
        chance = _p_value(design, measured, inlier, int(order[left_out - 1]), floor)
        if chance < false_outlier_rate / (count - left_out + 1):
            return inlier
    inlier[:] = True
    if count <= _FEW:
        # Among so few sites one far off may pull even a robust fit: each is compared with what all others predict.
        alone = [_p_value(design, measured, np.arange(count) != site, site, floor) for site in range(count)]
        farthest = int(np.argmin(alone))
        inlier[farthest] = alone[farthest] >= false_outlier_rate / count
    return inlier


def _p_value(design: Array, measured: Array, inlier: Mask, site: int, floor: float) -> float:
    """Return the chance of a site as far from what the ``inlier`` sites predict, by its farthest coordinate."""
    groups = measured.size // inlier.size
    freedom = int(inlier.sum()) - design.shape[1] / groups
    if freedom < 1:
        return 1.0
    used = np.tile(inlier, groups)
    values, _, rank, _ = np.linalg.lstsq(design[used], measured[used], rcond=None)
    if rank < design.shape[1]:
        return 1.0
    residuals = (measured - design @ values).reshape(groups, -1)
    sigma = np.maximum(np.sqrt(np.sum(residuals[:, inlier] ** 2, axis=1) / freedom), floor)
    rows = design.reshape(groups, inlier.size, -1)[:, site]
    leverage = np.einsum("gp,pg->g", rows, np.linalg.pinv(design[used].T @ design[used]) @ rows.T)
    farthest = float(np.max(np.abs(residuals[:, site]) / (sigma * np.sqrt(1 + leverage))))
    return min(1.0, groups * 2 * float(stats.t.sf(farthest, freedom)))


def _scale(residuals: Array, groups: int) -> Array:
    """Return the robust deviation of each coordinate at each of its equations, ``(n,)``."""
    blocks = residuals.reshape(groups, -1)
    return np.repeat(_MAD * np.median(np.abs(blocks), axis=1), blocks.shape[1])


def spread_interval(sigma: float, degrees_of_freedom: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a standard deviation estimated as ``sigma`` with ``degrees_of_freedom``, at ``level``."""
    tail = (1 - level) / 2
    low, high = stats.chi2.ppf([1 - tail, tail], degrees_of_freedom)
    return sigma * float(np.sqrt(degrees_of_freedom / low)), sigma * float(np.sqrt(degrees_of_freedom / high))

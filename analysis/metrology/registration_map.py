"""Registration of a mask: where features lie beside where they should, raw and with what a scanner corrects removed.

The model of the displacement is ``dx = tx + (M + A) x - (R + G/2) y``, ``dy = ty + (M - A) y + (R - G/2) x``:
translation, magnification ``M`` and its anisotropy ``A`` in parts per million, rotation ``R`` and orthogonality ``G``
(the y axis turned beyond the x axis) in microradians, about the origin of the positions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.metrology.least_squares import Array, find_inliers, fit_weighted, spread_interval

TERMS = (
    "translation_x_nm",
    "translation_y_nm",
    "magnification_ppm",
    "rotation_urad",
    "anisotropy_ppm",
    "orthogonality_urad",
)
LEVELS = {"raw": 0, "translation": 2, "similarity": 4, "affine": 6}
"""How many of the terms each level removes."""
_PPM_UM = 1e-3
"""A part per million of a micrometre, in nanometres."""


@dataclass(frozen=True)
class Sites:
    """Measured sites of one mask, all at one scale.

    Attributes:
        x_um, y_um: float64 ``(n,)``, designed positions.
        dx_nm, dy_nm: float64 ``(n,)``, measured less designed.
        sigma_x_nm, sigma_y_nm: float64 ``(n,)``, stated errors, or ``None`` for both.
    """

    x_um: Array
    y_um: Array
    dx_nm: Array
    dy_nm: Array
    sigma_x_nm: Array | None = None
    sigma_y_nm: Array | None = None


@dataclass(frozen=True)
class Axis:
    """Residuals along one axis, nm.

    Attributes:
        mean_nm: of the sites in the fit.
        three_sigma_nm: three standard deviations, with the parameters' share of the degrees of freedom taken off.
        interval_nm: 95 % of that, for normal residuals.
        largest_nm: largest absolute value of any site, outliers too.
    """

    mean_nm: float
    three_sigma_nm: float
    interval_nm: tuple[float, float]
    largest_nm: float


@dataclass(frozen=True)
class RegistrationMap:
    """A map at one level.

    Attributes:
        level: what was removed: ``raw``, ``translation``, ``similarity`` (magnification and rotation too), ``affine``.
        terms: of the fit by name, each with its standard error; empty for ``raw``.
        residual_x_nm, residual_y_nm: float64 ``(n,)``.
        inlier: bool ``(n,)``.
        x, y: the axes.
        scale: residuals over stated errors, or their deviation in nm where none are stated.
    """

    level: str
    terms: dict[str, tuple[float, float]]
    residual_x_nm: Array
    residual_y_nm: Array
    inlier: NDArray[np.bool_]
    x: Axis
    y: Axis
    scale: float | None


def map_registration(sites: Sites, level: str, false_outlier_rate: float = 0.01) -> RegistrationMap:
    """Return the map of ``sites`` with the terms of ``level`` removed.

    Outliers are found around the affine model (translation for fewer than six sites) with ``false_outlier_rate`` and
    left out at every level alike, so that levels can be compared.

    Raises:
        NotDetermined: there are too few sites, or they lie on a line.
        ValueError: an unknown level, or numbers that are not finite.
    """
    if level not in LEVELS:
        raise ValueError(f"the level is one of {', '.join(LEVELS)}, not {level!r}")
    measured = np.concatenate([sites.dx_nm, sites.dy_nm])
    design = _design(sites)
    inlier = find_inliers(design[:, : 6 if sites.x_um.size >= 6 else 2], measured, 2, false_outlier_rate)
    used = np.concatenate([inlier, inlier])
    count = LEVELS[level]
    residuals, terms, scale = measured, {}, None
    if count:
        sigma = None
        if sites.sigma_x_nm is not None and sites.sigma_y_nm is not None:
            sigma = np.concatenate([sites.sigma_x_nm, sites.sigma_y_nm])
        fit = fit_weighted(design[:, :count], measured, sigma, used)
        pairs = zip(TERMS, fit.values.tolist(), fit.standard_errors.tolist(), strict=False)
        terms = {name: (value, error) for name, value, error in pairs}
        residuals, scale = fit.residuals, fit.scale
    along_x, along_y = residuals[: sites.x_um.size], residuals[sites.x_um.size :]
    freedom = int(inlier.sum()) - max(1, count // 2)
    axes = [_axis(part, inlier, freedom, centred=count == 0) for part in (along_x, along_y)]
    return RegistrationMap(level, terms, along_x, along_y, inlier, axes[0], axes[1], scale)


def _design(sites: Sites) -> Array:
    """Return the equations of dx, then those of dy, ``(2 n, 6)``."""
    x, y = sites.x_um * _PPM_UM, sites.y_um * _PPM_UM
    one, none = np.ones_like(x), np.zeros_like(x)
    of_dx = np.stack([one, none, x, -y, x, -y / 2], axis=1)
    of_dy = np.stack([none, one, y, x, -y, -x / 2], axis=1)
    return np.concatenate([of_dx, of_dy])


def _axis(residuals: Array, inlier: NDArray[np.bool_], freedom: int, *, centred: bool) -> Axis:
    kept = residuals[inlier]
    mean = float(kept.mean())
    moved = kept - mean if centred else kept
    sigma = float(np.sqrt(np.sum(moved**2) / freedom)) if freedom > 0 else 0.0
    low, high = spread_interval(sigma, freedom) if freedom > 0 else (0.0, float("inf"))
    return Axis(mean, 3 * sigma, (3 * low, 3 * high), float(np.abs(residuals).max()))

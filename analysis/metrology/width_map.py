"""Widths of a mask's features beside their design: mean to target, uniformity, and the plane across the mask."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.metrology.least_squares import Array, NotDetermined, find_inliers, fit_weighted, spread_interval


@dataclass(frozen=True)
class WidthMap:
    """Errors of one kind of feature: measured less designed width, nm.

    Attributes:
        sites, outliers: how many; ``inlier`` bool ``(n,)`` says which.
        mean_to_target_nm: mean error of the inliers with its standard error.
        three_sigma_nm: three standard deviations with a 95 % interval; ``None`` for fewer than two inliers.
        range_nm: largest less smallest error of any site.
        tilt_nm_per_mm: slope along x and along y, each with its standard error; ``None`` where sites do not tell them.
        flat_three_sigma_nm: the same as ``three_sigma_nm`` with the plane removed.
        scale: residuals of the plane over the stated errors, ``None`` where none are stated.
    """

    sites: int
    outliers: int
    inlier: NDArray[np.bool_]
    mean_to_target_nm: tuple[float, float]
    three_sigma_nm: tuple[float, float, float] | None
    range_nm: float
    tilt_nm_per_mm: tuple[tuple[float, float], tuple[float, float]] | None
    flat_three_sigma_nm: tuple[float, float, float] | None
    scale: float | None


def map_widths(
    x_um: Array, y_um: Array, error_nm: Array, sigma_nm: Array | None = None, false_outlier_rate: float = 0.01
) -> WidthMap:
    """Return the map of errors of one kind of feature.

    Args:
        x_um, y_um: float64 ``(n,)``, positions.
        error_nm: float64 ``(n,)``, measured less designed width.
        sigma_nm: float64 ``(n,)``, stated errors, or ``None``.
        false_outlier_rate: chance that a map without outliers loses a site.

    Raises:
        NotDetermined: there are fewer than two sites.
        ValueError: numbers that are not finite.
    """
    count = error_nm.size
    flat = np.ones((count, 1))
    plane = np.column_stack([np.ones(count), x_um * 1e-3, y_um * 1e-3])
    shape = plane if count >= 6 else flat
    try:
        inlier = find_inliers(shape, error_nm, 1, false_outlier_rate)
    except NotDetermined:
        # On a line no plane is told from its tilt.
        shape = flat
        inlier = find_inliers(flat, error_nm, 1, false_outlier_rate)
    mean = fit_weighted(flat, error_nm, sigma_nm, inlier)
    tilt, even, scale = None, None, None
    try:
        fit = fit_weighted(plane, error_nm, sigma_nm, inlier)
    except NotDetermined:
        fit = None
    if fit is not None:
        errors = fit.standard_errors
        tilt = (
            (float(fit.values[1]), float(errors[1])),
            (float(fit.values[2]), float(errors[2])),
        )
        even = _three_sigma(fit.residuals[inlier], fit.degrees_of_freedom)
        scale = None if sigma_nm is None else fit.scale
    kept = error_nm[inlier]
    return WidthMap(
        count,
        int((~inlier).sum()),
        inlier,
        (float(mean.values[0]), float(mean.standard_errors[0])),
        _three_sigma(kept - kept.mean(), kept.size - 1),
        float(np.ptp(error_nm)),
        tilt,
        even,
        scale,
    )


def _three_sigma(residuals: Array, freedom: int) -> tuple[float, float, float] | None:
    if freedom < 1:
        return None
    sigma = float(np.sqrt(np.sum(residuals**2) / freedom))
    low, high = spread_interval(sigma, freedom)
    return 3 * sigma, 3 * low, 3 * high

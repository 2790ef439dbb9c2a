"""The delay that the laser itself adds: extrapolated to no power from sessions at several.

Photocurrent of the probing beam shifts edges in proportion to its power. Weighted least squares of delay on power; the
intercept is the delay of the undisturbed net (Bevington & Robinson, "Data Reduction and Error Analysis", 3rd ed., 6.3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

NOT_LINEAR = 0.05
"""Probability of the scatter around a straight line below which the stated errors are widened by it."""


@dataclass(frozen=True)
class ZeroPowerDelay:
    """A delay without the laser.

    Attributes:
        delay_s, sigma_s: seconds.
        slope_s_per_mw, slope_sigma_s_per_mw: what a milliwatt adds.
        p_linear: probability of residuals as large as these if delay is linear in power; ``None`` with two powers.
    """

    delay_s: float
    sigma_s: float
    slope_s_per_mw: float
    slope_sigma_s_per_mw: float
    p_linear: float | None


def extrapolate_to_zero_power(
    powers_mw: NDArray[np.float64], delays_s: NDArray[np.float64], sigmas_s: NDArray[np.float64]
) -> ZeroPowerDelay:
    """Return the delay at no power from ``delays_s`` with their standard errors ``sigmas_s`` at ``powers_mw``.

    All are float64 of shape ``(measurements,)``, in seconds and milliwatts. The stated error is that of the
    measurements; it is widened (Birge ratio) where they scatter so much more than they should that :data:`NOT_LINEAR`
    is hardly chance.

    Raises:
        ValueError: there are not two different powers, something is not finite, a power is negative or an error not
            positive.
    """
    columns = (powers_mw, delays_s, sigmas_s)
    if len({item.shape for item in columns}) != 1 or not all(np.isfinite(item).all() for item in columns):
        raise ValueError("powers, delays and errors must be finite and of one length")
    if np.unique(powers_mw).size < 2:
        raise ValueError("extrapolation to no power needs delays at two powers or more")
    if (powers_mw < 0).any() or not (sigmas_s > 0).all():
        raise ValueError("a power is not below 0 and a standard error is above 0")
    design = np.column_stack([np.ones_like(powers_mw), powers_mw]) / sigmas_s[:, None]
    scaled = delays_s / sigmas_s
    covariance = np.linalg.inv(design.T @ design)
    delay_s, slope = covariance @ design.T @ scaled
    freedom = powers_mw.size - 2
    misfit = float(np.sum((scaled - design @ (delay_s, slope)) ** 2))
    p_linear = float(chi2.sf(misfit, freedom)) if freedom else None
    birge = float(np.sqrt(misfit / freedom)) if p_linear is not None and p_linear < NOT_LINEAR else 1.0
    errors = np.sqrt(np.diag(covariance)) * birge
    return ZeroPowerDelay(float(delay_s), float(errors[0]), float(slope), float(errors[1]), p_linear)

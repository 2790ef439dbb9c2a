"""How much of a place that is known with an error ellipse lies on a shape: the normal density over trapezoids.

With the place's density ``N(0, S)`` and ``x`` given ``y`` normal about ``b y`` with variance ``s2``, the part within
a trapezoid is the integral over its height of ``density(y) (F(right(y) - b y) - F(left(y) - b y))`` with ``F`` the
normal distribution of variance ``s2``. Where axes are uncorrelated and sides upright it is a product of two
differences.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

_UPRIGHT_NODES, _SLANTED_NODES = 32, 96
_FARTHEST = 6.5
"""Standard deviations beyond which nothing is counted: 8e-11 of the mass."""
LEAST_SIGMA_UM = 1e-7
"""A tenth of a picometre: a place without an error is a very small ellipse."""


def trapezoid_mass(trapezoids_um: Array, covariance_um2: Array) -> Array:
    """Return the part of each place's density that lies in its trapezoid, ``(n,)``, accurate to about 1e-7.

    Args:
        trapezoids_um: float64 ``(n, 6)`` relative to the place, micrometres: y of the lower and the upper side, x of
            the left and right end of the lower side, of the upper side.
        covariance_um2: float64 ``(n, 2, 2)`` of the place, square micrometres.
    """
    low, high = trapezoids_um[:, 0], trapezoids_um[:, 1]
    upright = (trapezoids_um[:, 2] == trapezoids_um[:, 4]) & (trapezoids_um[:, 3] == trapezoids_um[:, 5])
    variance_x = np.maximum(covariance_um2[:, 0, 0], LEAST_SIGMA_UM**2)
    variance_y = np.maximum(covariance_um2[:, 1, 1], LEAST_SIGMA_UM**2)
    simple = upright & (covariance_um2[:, 0, 1] == 0.0)
    mass = np.empty(len(trapezoids_um))
    sigma_x, sigma_y = np.sqrt(variance_x), np.sqrt(variance_y)
    across = ndtr(trapezoids_um[simple, 3] / sigma_x[simple]) - ndtr(trapezoids_um[simple, 2] / sigma_x[simple])
    along = ndtr(high[simple] / sigma_y[simple]) - ndtr(low[simple] / sigma_y[simple])
    mass[simple] = across * along
    for rest, nodes in ((upright & ~simple, _UPRIGHT_NODES), (~upright, _SLANTED_NODES)):
        if rest.any():
            slope = covariance_um2[rest, 0, 1] / variance_y[rest]
            left_over = variance_x[rest] - slope * covariance_um2[rest, 0, 1]
            narrow = np.sqrt(np.maximum(left_over, LEAST_SIGMA_UM**2))
            mass[rest] = _integrate(trapezoids_um[rest], slope, narrow, sigma_y[rest], nodes)
    return mass


def _integrate(trapezoids: Array, slope: Array, narrow: Array, sigma_y: Array, nodes: int) -> Array:
    places, weights = np.polynomial.legendre.leggauss(nodes)
    low, high = trapezoids[:, 0], trapezoids[:, 1]
    start, end = np.maximum(low, -_FARTHEST * sigma_y), np.minimum(high, _FARTHEST * sigma_y)
    middle, half = (start + end) / 2, np.maximum(end - start, 0.0) / 2
    y = middle[:, None] + half[:, None] * places
    part = (y - low[:, None]) / np.where(high > low, high - low, 1.0)[:, None]
    left = trapezoids[:, 2, None] + part * (trapezoids[:, 4] - trapezoids[:, 2])[:, None]
    right = trapezoids[:, 3, None] + part * (trapezoids[:, 5] - trapezoids[:, 3])[:, None]
    shift = slope[:, None] * y
    across = ndtr((right - shift) / narrow[:, None]) - ndtr((left - shift) / narrow[:, None])
    density = np.exp(-0.5 * (y / sigma_y[:, None]) ** 2) / (np.sqrt(2 * np.pi) * sigma_y[:, None])
    mass: Array = half * ((density * across) @ weights)
    return np.clip(mass, 0.0, 1.0)

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
_STEEPEST = 0.4
"""Standard deviations of the narrow direction per node that nodes bear; beyond, the height is cut where sides cross."""
_CROSSED = 8.0
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
    low, high = trapezoids[:, 0], trapezoids[:, 1]
    start = np.maximum(low, -_FARTHEST * sigma_y)
    end = np.maximum(np.minimum(high, _FARTHEST * sigma_y), start)
    height = np.where(high > low, high - low, 1.0)
    rises = (trapezoids[:, 4:] - trapezoids[:, 2:4]) / height[:, None] - slope[:, None]
    steep = np.abs(rises).max(axis=1, initial=0.0) / narrow * (end - start) / 2 > _STEEPEST * nodes
    ends = np.stack([start, end], axis=1)
    mass = np.empty(len(trapezoids))
    for rows, places in ((~steep, ends[~steep]), (steep, _breaks(trapezoids, slope, rises, narrow, ends)[steep])):
        given = (trapezoids[rows], slope[rows], narrow[rows], sigma_y[rows])
        pieces = zip(places.T[:-1], places.T[1:], strict=True)
        mass[rows] = sum(_integrate_piece(*given, (first, last), nodes) for first, last in pieces)
    return np.clip(mass, 0.0, 1.0)


def _breaks(trapezoids: Array, slope: Array, rises: Array, narrow: Array, ends: Array) -> Array:
    """Return ``ends`` and, between them, where the narrow ellipse begins, is halfway and ends to cross either side."""
    moves = np.where(rises != 0, rises, 1.0)
    middle = trapezoids[:, :1] - (trapezoids[:, 2:4] - (slope * trapezoids[:, 0])[:, None]) / moves
    width = np.where(rises != 0, _CROSSED * narrow[:, None] / np.abs(moves), 0.0)
    places = np.concatenate([ends, middle - width, middle, middle + width], axis=1)
    return np.sort(np.clip(places, ends[:, :1], ends[:, 1:]), axis=1)


def _integrate_piece(
    trapezoids: Array, slope: Array, narrow: Array, sigma_y: Array, piece: tuple[Array, Array], nodes: int
) -> Array:
    places, weights = np.polynomial.legendre.leggauss(nodes)
    low, high = trapezoids[:, 0], trapezoids[:, 1]
    middle, half = (piece[0] + piece[1]) / 2, (piece[1] - piece[0]) / 2
    y = middle[:, None] + half[:, None] * places
    part = (y - low[:, None]) / np.where(high > low, high - low, 1.0)[:, None]
    left = trapezoids[:, 2, None] + part * (trapezoids[:, 4] - trapezoids[:, 2])[:, None]
    right = trapezoids[:, 3, None] + part * (trapezoids[:, 5] - trapezoids[:, 3])[:, None]
    shift = slope[:, None] * y
    across = ndtr((right - shift) / narrow[:, None]) - ndtr((left - shift) / narrow[:, None])
    density = np.exp(-0.5 * (y / sigma_y[:, None]) ** 2) / (np.sqrt(2 * np.pi) * sigma_y[:, None])
    mass: Array = half * ((density * across) @ weights)
    return mass

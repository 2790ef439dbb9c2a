"""Slow obvious twins of the sequential test and of the interval of a swing: everything written out, no sufficiency."""

import math
from collections.abc import Sequence

import numpy as np

RATIOS = [0.03 * 1000 ** (place / 12) for place in range(13)]


def stack(repeats: Sequence[Sequence[float]], columns: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the repeats and the columns in the space that no repeat's parabola reaches, one below the other."""
    cycles = len(repeats[0])
    place = np.linspace(-1, 1, cycles)
    basis = np.stack([np.ones(cycles), place, place**2], axis=1)
    _, _, vectors = np.linalg.svd(basis.T)
    free = vectors[3:]
    values = np.concatenate([free @ np.asarray(repeat) for repeat in repeats])
    return values, np.concatenate([free @ np.asarray(columns).T for _ in repeats])


def log_likelihood_of_repeats(
    repeats: Sequence[Sequence[float]], columns: Sequence[Sequence[float]], spreads: Sequence[float]
) -> float:
    """Return the log of the mean over ratios and signs of the scale-free density of all repeats, against noise alone.

    The scale is integrated out over a fine grid.
    """
    values, shapes = stack(repeats, columns)
    scales = np.linspace(1e-3, 3 * math.sqrt(len(values)) + 12 * math.sqrt(float(values @ values)), 40_000)
    direction = values / math.sqrt(float(values @ values))
    terms = []
    for ratio in RATIOS:
        covariance = np.eye(len(values)) + ratio**2 * (shapes * np.asarray(spreads)) @ (shapes * np.asarray(spreads)).T
        inverse = np.linalg.inv(covariance)
        own = shapes[:, 0] * ratio
        for sign in (-1, 1):
            exponent = -0.5 * (
                scales**2 * (direction @ inverse @ direction)
                - 2 * sign * scales * (own @ inverse @ direction)
                + own @ inverse @ own
            )
            terms.append(_log_integral(scales, exponent, len(values)) - 0.5 * np.linalg.slogdet(covariance)[1])
    null = _log_integral(scales, -0.5 * scales**2, len(values))
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms) / len(terms)) - null


def _log_integral(scales: np.ndarray, exponent: np.ndarray, freedom: int) -> float:
    heights = (freedom - 1) * np.log(scales) + exponent
    return float(heights.max() + math.log(np.exp(heights - heights.max()).sum()))


def swing_ratio(repeats: Sequence[Sequence[float]], columns: Sequence[Sequence[float]], swing: float) -> float:
    """Return the Bayes factor against ``swing`` of swings around it, normal and as wide as the noise of a cycle."""
    values, shapes = stack(repeats, columns)
    own, others = shapes[:, 0], shapes[:, 1:]
    keep = np.eye(len(values)) - others @ np.linalg.pinv(others)
    left, shape = keep @ (values - swing * own), keep @ own
    freedom = len(values) - others.shape[1]
    covariance = np.eye(len(values)) + np.outer(shape, shape)
    wide = left @ np.linalg.solve(covariance, left)
    return math.exp(-0.5 * np.linalg.slogdet(covariance)[1] + freedom / 2 * math.log(left @ left / wide))

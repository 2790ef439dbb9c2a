"""Slow obvious twins of the sequential test and of the interval of a swing: everything written out, no sufficiency."""

import math
from collections.abc import Sequence

import numpy as np

SIZES = [0.03 * 1000 ** (place / 12) for place in range(13)]


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
    """Return the log of the mean over sizes of the scale-free density of all repeats, against noise alone."""
    values, shapes = stack(repeats, columns)
    shapes = shapes * np.asarray(spreads)
    terms = []
    for size in SIZES:
        covariance = np.eye(len(values)) + size**2 * shapes @ shapes.T
        explained = values @ np.linalg.solve(covariance, values) / (values @ values)
        terms.append(-0.5 * np.linalg.slogdet(covariance)[1] - len(values) / 2 * math.log(explained))
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms) / len(terms))


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

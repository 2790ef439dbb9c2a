"""Which of several delays do not belong: a mixture of inliers around a common delay and outliers anywhere.

An inlier is normal around the centre with its own standard error and a common spread; an outlier is normal with the
whole search as its standard deviation. Centre, spread and the outliers' share are fitted by expectation-maximisation
with a weak prior on the share (Hogg, Bovy & Lang, "Data analysis recipes: fitting a model to data", 2010, section 3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHARE_PRIOR = (1.0, 19.0)
"""Beta prior of the outliers' share: one in twenty."""
SPREAD_SAMPLES = 6
"""Delays from which on their spread beyond their errors is fitted; fewer are taken to have none."""
_ROUNDS = 60
_CONVERGED = 1e-6


@dataclass(frozen=True)
class OutlierFit:
    """The mixture, in seconds.

    Attributes:
        centre_s, centre_sigma_s: the inliers' common delay and its standard error.
        spread_s: their spread beyond their own errors.
        share: the outliers' part.
        probabilities: float64 of shape ``(delays,)``: that each is an outlier.
    """

    centre_s: float
    centre_sigma_s: float
    spread_s: float
    share: float
    probabilities: NDArray[np.float64]


def weigh_outliers(delays_s: NDArray[np.float64], sigmas_s: NDArray[np.float64], search_s: float) -> OutlierFit:
    """Fit the mixture to ``delays_s`` with their standard errors ``sigmas_s``, both float64 of shape ``(delays,)``.

    ``search_s`` is how far a delay may be off, in seconds.

    Raises:
        ValueError: there is none, one is not finite, or an error is not positive.
    """
    if not delays_s.size or not (np.isfinite(delays_s).all() and np.isfinite(sigmas_s).all() and (sigmas_s > 0).all()):
        raise ValueError("outliers need one or more finite delays with positive standard errors")
    share = SHARE_PRIOR[0] / sum(SHARE_PRIOR)
    centre, spread = _weighted_median(delays_s, sigmas_s), 0.0
    doubt = np.full(delays_s.size, share)
    for _ in range(_ROUNDS):
        before = doubt
        inlier = _log_normal(delays_s - centre, sigmas_s**2 + spread**2) + np.log1p(-share)
        outlier = _log_normal(delays_s - centre, sigmas_s**2 + search_s**2) + np.log(share)
        doubt = 1 / (1 + np.exp(np.clip(inlier - outlier, -700, 700)))
        belief = 1 - doubt
        share = (doubt.sum() + SHARE_PRIOR[0]) / (doubt.size + sum(SHARE_PRIOR))
        precision = belief / (sigmas_s**2 + spread**2)
        centre = float(precision @ delays_s / max(precision.sum(), 1e-300))
        if delays_s.size >= SPREAD_SAMPLES:
            spread = _spread(delays_s - centre, sigmas_s, belief)
        if np.abs(doubt - before).max() < _CONVERGED:
            break
    precision = (1 - doubt) / (sigmas_s**2 + spread**2)
    return OutlierFit(centre, float(1 / np.sqrt(max(precision.sum(), 1e-300))), spread, float(share), doubt)


def _weighted_median(values: NDArray[np.float64], sigmas: NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")
    weights = np.cumsum(1 / sigmas[order])
    return float(values[order][np.searchsorted(weights, weights[-1] / 2)])


def _log_normal(offset: NDArray[np.float64], variance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-0.5 * offset**2 / variance - 0.5 * np.log(variance), np.float64)


def _spread(offsets: NDArray[np.float64], sigmas: NDArray[np.float64], belief: NDArray[np.float64]) -> float:
    """Return the likeliest common spread, of a geometric grid and zero; zero unless it is clearly better."""
    grid = np.concatenate([[0.0], np.geomspace(0.05, 20.0, 41) * float(np.median(sigmas))])
    scores = _log_normal(offsets, sigmas**2 + grid[:, None] ** 2) @ belief
    best = int(np.argmax(scores))
    return float(grid[best]) if scores[best] - scores[0] > 2.0 else 0.0

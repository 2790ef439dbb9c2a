"""Evidence of a waveform by brute-force numerical integration: the slow, obvious twin of the closed form.

Every unknown gets a grid: the sign, the ratio, the noise, and each neighbour's weight. Only the baseline, which has a
flat prior, is fitted by least squares, and its integral is the power of the noise that it always is.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

NOISES = 400
NODES = 40


def log_evidence(
    levels: NDArray[np.float64],
    probed: NDArray[np.float64],
    neighbours: list[NDArray[np.float64]],
    spreads: list[float],
    prior: list[tuple[float, float]],
) -> float:
    """Evidence of one hypothesis against no signal; ``prior`` has pairs of ratio and weight."""
    total = sum(
        weight / 2 * _at_ratio(levels, probed, neighbours, spreads, sign * ratio)
        for ratio, weight in prior
        for sign in (1, -1)
    )
    return float(np.log(total) - np.log(_at_ratio(levels, probed, [], [], 0.0)))


def _at_ratio(
    levels: NDArray[np.float64],
    probed: NDArray[np.float64],
    neighbours: list[NDArray[np.float64]],
    spreads: list[float],
    ratio: float,
) -> float:
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(NODES)
    node_weights = node_weights / np.sqrt(2 * np.pi)
    noises = np.std(levels) * np.geomspace(0.05, 20, NOISES)
    step = np.log(noises[1] / noises[0])
    place = np.arange(levels.size) / levels.size
    baseline = np.stack([np.ones(levels.size), place, place**2], axis=1)
    total = 0.0
    for combination in itertools.product(range(NODES), repeat=len(neighbours)):
        weight = float(np.prod(node_weights[list(combination)]))
        signal = probed.astype(float)
        for index, neighbour, spread in zip(combination, neighbours, spreads, strict=True):
            signal = signal + nodes[index] * spread * neighbour
        rest = levels[:, None] - noises * ratio * signal[:, None]
        misfits = ((rest - baseline @ np.linalg.lstsq(baseline, rest, rcond=None)[0]) ** 2).sum(axis=0)
        power = levels.size - baseline.shape[1]
        densities = (noises / np.std(levels)) ** -power * np.exp(-misfits / (2 * noises**2))
        total += weight * float(densities.sum()) * step
    return total

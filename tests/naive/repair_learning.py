"""Posteriors of laser constants by drawing from the prior and weighing each draw: slow and obvious."""

import math

import numpy as np

from tests.naive.ablation import local_depth_nm


def normal_density(value: float, mean: float, sigma: float) -> float:
    return math.exp(-0.5 * ((value - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


def weigh_draws(
    runs: list[tuple[float, int, float]],
    law: tuple[float, float],
    shape: tuple[float, float],
    spreads: tuple[float, float, float, float],
    draws: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of (ln threshold factor, ln penetration factor, ln scatter) and weights, for top-hat runs.

    A run is (fluence, pulses, depth nm); spreads are of both factors, the median scatter and its logarithm's.
    """
    generator = np.random.default_rng(5)
    kept, weights = [], []
    for _ in range(draws):
        first, second = generator.normal(0, spreads[0]), generator.normal(0, spreads[1])
        scatter = spreads[2] * math.exp(generator.normal(0, spreads[3]))
        weight = 1.0
        for fluence, pulses, depth in runs:
            expected = 0.0
            for pulse in range(1, pulses + 1):
                falls = shape[1] + (1 - shape[1]) * pulse ** (shape[0] - 1)
                expected += local_depth_nm(fluence, (law[0] * math.exp(first) * falls, law[1]), None)
            if expected <= 0:
                weight = 0.0
                break
            mean = math.log(expected) + second
            usual = 0.95 * normal_density(math.log(depth), mean, scatter)
            weight *= usual + 0.05 * normal_density(math.log(depth), mean, 5 * scatter)
        kept.append((first, second, math.log(scatter)))
        weights.append(weight)
    share = np.array(weights)
    return np.array(kept), share / share.sum()

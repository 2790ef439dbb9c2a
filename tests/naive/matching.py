"""All one-to-one assignments of a few defects, weighed one by one."""

import itertools
import math

import numpy as np


def exact_marginals(weights: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Probability of each pair, and the most probable assignment; ``weights[i, j]`` is a pair's against none."""
    rows, columns = weights.shape
    marginal, total, best, best_weight = np.zeros(weights.shape), 0.0, [], 0.0
    for count in range(min(rows, columns) + 1):
        for chosen in itertools.combinations(range(rows), count):
            for partners in itertools.permutations(range(columns), count):
                weight = math.prod(weights[i, j] for i, j in zip(chosen, partners, strict=True))
                total += weight
                for i, j in zip(chosen, partners, strict=True):
                    marginal[i, j] += weight
                if weight > best_weight:
                    best, best_weight = list(zip(chosen, partners, strict=True)), weight
    return marginal / total, best

"""Slow, obvious twins of :mod:`analysis.anomaly`."""

import cmath
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

Rows = Sequence[Sequence[float]]


def mean_path_length(rows: int) -> float:
    """Equation 1 of Liu, Ting and Zhou, with their approximation of the harmonic number."""
    if rows <= 1:
        return 0.0
    if rows == 2:
        return 1.0
    return 2 * (math.log(rows - 1) + 0.5772156649015329) - 2 * (rows - 1) / rows


def path_length(columns: Sequence[int], cuts: Sequence[float], lengths: Sequence[float], row: Sequence[float]) -> float:
    """Walk one row down one tree, node by node."""
    node = 0
    while columns[node] >= 0:
        node = 2 * node + 1 if row[columns[node]] < cuts[node] else 2 * node + 2
    return lengths[node]


def neighbour_distance(row: Sequence[float], others: Rows, rank: int) -> float:
    """Sort the distances to all others."""
    return sorted(math.dist(row, other) for other in others)[rank - 1]


def p_value(score: float, calibration: Sequence[float]) -> float:
    """Count."""
    return (1 + sum(1 for each in calibration if each >= score)) / (len(calibration) + 1)


def benjamini_hochberg(p_values: Sequence[float], q: float) -> set[int]:
    """The step-up procedure as it is written: the largest k with p_(k) <= k q / n, and all that are not above it."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    found = 0
    for k in range(1, len(order) + 1):
        if p_values[order[k - 1]] <= k * q / len(order):
            found = k
    return set(order[:found])


def shifted(image: NDArray[np.complex128], rows: float, columns: float) -> NDArray[np.complex128]:
    """Shift a periodic image by parts of a pixel: the discrete Fourier sums written out."""
    height, width = image.shape
    result = np.zeros(image.shape, np.complex128)
    for u in range(height):
        for v in range(width):
            fu, fv = (u if u < (height + 1) // 2 else u - height), (v if v < (width + 1) // 2 else v - width)
            total = 0j
            for y in range(height):
                for x in range(width):
                    total += image[y, x] * cmath.exp(-2j * math.pi * (u * y / height + v * x / width))
            total *= cmath.exp(-2j * math.pi * (fu * rows / height + fv * columns / width)) / (height * width)
            for y in range(height):
                for x in range(width):
                    result[y, x] += total * cmath.exp(2j * math.pi * (u * y / height + v * x / width))
    return result


def peaks(field: NDArray[np.float64], least: float) -> set[tuple[int, int]]:
    """Every pixel above ``least`` that none of its neighbours exceeds."""
    height, width = field.shape
    found = set()
    for y in range(height):
        for x in range(width):
            near = [
                field[b, a]
                for b in range(max(0, y - 1), min(height, y + 2))
                for a in range(max(0, x - 1), min(width, x + 2))
            ]
            if field[y, x] > least and field[y, x] >= max(near):
                found.add((y, x))
    return found


def chain_posterior(clock: Sequence[float], data: Sequence[float], sigma: float) -> list[float]:
    """Bayes over every place of a break, no break, and each cell for itself, with the sums written out."""
    ratios = [0.05 * 100 ** (k / 40) for k in range(41)]
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)

    def rice(size: float, expected: float) -> float:
        """The Bessel function is scaled by exp(-x), which completes the square."""
        gap = math.exp(-((size - expected) ** 2) / (2 * sigma**2))
        return size / sigma**2 * gap * float(special.ive(0, size * expected / sigma**2))

    def reached(cell: int, ratio: float) -> float:
        terms = [
            w * rice(data[cell], clock[cell] * ratio * math.exp(0.4 * x)) for x, w in zip(nodes, weights, strict=True)
        ]
        return sum(terms) / float(sum(weights))

    count = len(clock)
    totals = [0.0] * (count + 2)
    for ratio in ratios:
        on = [reached(cell, ratio) for cell in range(count)]
        off = [rice(data[cell], 0.0) for cell in range(count)]
        for place in range(count + 1):
            prior = 0.75 / count if place < count else 0.2
            totals[place] += prior * math.prod(on[:place]) * math.prod(off[place:])
        totals[count + 1] += 0.05 * math.prod((a + b) / 2 for a, b in zip(on, off, strict=True))
    return [each / sum(totals) for each in totals]

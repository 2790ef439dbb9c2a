"""Slow, obvious twins of the questions about places in a layout."""

import math

import numpy as np
from scipy import integrate


def boxes_that_meet(windows: np.ndarray, boxes: np.ndarray) -> set[tuple[int, int]]:
    """Pairs (window, box) that overlap or touch."""
    return {
        (i, j)
        for i, window in enumerate(windows.tolist())
        for j, box in enumerate(boxes.tolist())
        if window[0] <= box[2] and box[0] <= window[2] and window[1] <= box[3] and box[1] <= window[3]
    }


def mass(trapezoid: np.ndarray, covariance: np.ndarray) -> float:
    """Part of a normal distribution about 0 in a trapezoid, by adaptive integration in two dimensions."""
    low, high, left, right, upper_left, upper_right = trapezoid.tolist()
    inverse, norm = np.linalg.inv(covariance), 2 * math.pi * math.sqrt(np.linalg.det(covariance))
    reach = 8 * math.sqrt(covariance.max())

    def density(x: float, y: float) -> float:
        place = np.array([x, y])
        return math.exp(-0.5 * place @ inverse @ place) / norm

    def edge(y: float, below: float, above: float) -> float:
        return min(reach, max(-reach, below + (above - below) * (y - low) / (high - low)))

    start, end = max(low, -reach), min(high, reach)
    if start >= end:
        return 0.0
    value, _ = integrate.dblquad(
        density,
        start,
        end,
        lambda y: edge(y, left, upper_left),
        lambda y: edge(y, right, upper_right),
        epsabs=1e-10,
    )
    return float(value)

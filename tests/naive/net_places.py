"""Slow, obvious twins of the questions about places in a layout."""

import math

import numpy as np
from scipy import integrate, special


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


def needle_mass(trapezoid: np.ndarray, covariance: np.ndarray, steps: int = 20_000) -> float:
    """The same of an ellipse however narrow, as a sum over fine steps along y."""
    low, high, left, right, upper_left, upper_right = trapezoid.tolist()
    sigma = math.sqrt(covariance[1, 1])
    y = np.linspace(low, high, 2 * steps + 1)[1::2]
    part, middle = (y - low) / (high - low), covariance[0, 1] / covariance[1, 1] * y
    narrow = math.sqrt(np.linalg.det(covariance)) / sigma
    across = special.ndtr((right + part * (upper_right - right) - middle) / narrow)
    across -= special.ndtr((left + part * (upper_left - left) - middle) / narrow)
    density = np.exp(-0.5 * (y / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    return float((density * across).mean() * (high - low))

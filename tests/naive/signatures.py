"""Slow, obvious counts behind the statistics of signatures."""

import math

import numpy as np
from scipy import stats


def surprise(count: int, expected: float) -> float:
    """-log10 of the Poisson probability of so many or more."""
    return -math.log10(stats.poisson.sf(count - 1, expected))


def cluster(xy: np.ndarray, radius_um: float, area_um2: float, parts: tuple[float, ...]) -> float:
    """The largest surprise of a disc about a defect."""
    best = 0.0
    for part in parts:
        radius = part * radius_um
        for here in xy:
            inside = sum(math.dist(here, there) <= radius for there in xy) - 1
            if inside >= 2:
                best = max(best, surprise(inside, (len(xy) - 1) * math.pi * radius**2 / area_um2))
    return best


def repeater(xy: np.ndarray, pitch: tuple[float, float], corner: tuple[float, float], tolerance: float) -> int:
    """The most different fields in which defects lie at one place of the field, a defect's own place in the middle."""
    most = 0
    for here in xy:
        fields = set()
        for there in xy:
            away = [(a - b + p / 2) % p - p / 2 for a, b, p in zip(here, there, pitch, strict=True)]
            if math.hypot(*away) <= tolerance:
                fields.add(tuple(math.floor((b - c) / p) for b, c, p in zip(there, corner, pitch, strict=True)))
        most = max(most, len(fields))
    return most

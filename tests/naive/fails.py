"""Likelihood of a fail log, bit by bit: the slow, obvious twin."""

import math

import numpy as np

from analysis.localization.evidence import FALSE_FAIL, MISSED_FAIL


def log_likelihood(predicted: np.ndarray, seen: np.ndarray, activity: float) -> float:
    """Of failing bits ``seen`` for those ``predicted``, both bool of shape ``(cycles, outputs)``."""
    total = 0.0
    for expected, found in zip(predicted.tolist(), seen.tolist(), strict=True):
        active = activity == 1.0 or any(e and f for e, f in zip(expected, found, strict=True))
        if activity < 1.0 and any(expected):
            total += math.log(activity if active else 1 - activity)
        for bit_expected, bit_found in zip(expected, found, strict=True):
            rate = 1 - MISSED_FAIL if bit_expected and active else FALSE_FAIL
            total += math.log(rate if bit_found else 1 - rate)
    return total

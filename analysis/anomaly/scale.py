"""Scores of different kinds on one scale: standard deviations of the logarithm, as the learned rows had it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_QUARTILES_OF_NORMAL = 1.3489795
_SMALLEST = 1e-6


@dataclass(frozen=True)
class LogScale:
    """Centre and spread of the natural logarithm of positive scores; scores below ``least`` count as ``least``."""

    centre: float
    spread: float
    least: float

    @staticmethod
    def of(scores: NDArray[np.float64]) -> "LogScale":
        """Return the scale of ``scores`` (float64, shape ``(n,)``, not negative), by median and quartiles."""
        positive = scores[scores > 0]
        least = _SMALLEST * float(np.median(positive)) if positive.size else 1.0
        low, centre, high = (float(item) for item in np.percentile(np.log(np.maximum(scores, least)), (25, 50, 75)))
        return LogScale(centre, max((high - low) / _QUARTILES_OF_NORMAL, _SMALLEST), least)

    def standardise(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``scores`` (float64, any shape) as standard deviations from the centre."""
        return np.asarray((np.log(np.maximum(scores, self.least)) - self.centre) / self.spread, np.float64)

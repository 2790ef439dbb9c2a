"""Repeats of one waveform, added up one by one: all that they say about its levels by cycle.

A repeat is the mean of so many loops that it is worth looking at; all repeats average equally many. Each has a baseline
of its own, a parabola over the loop. With the noise of a cycle's level the same in every repeat, the mean of all and
the sum of all squares are sufficient (Lehmann & Casella, "Theory of Point Estimation", 2nd ed. 1998, 1.6).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.waveforms.comparison import BASELINE_TERMS, LEAST_CYCLES
from analysis.waveforms.cycles import CycleLevels, WaveformError


@dataclass(frozen=True)
class RepeatedLevels:
    """Levels of a number of repeats, baselines removed, in the waveform's unit.

    Attributes:
        count: number of repeats.
        covered: bool of shape ``(cycles,)``: which cycles count.
        basis: float64 of shape ``(covered cycles, k)``, orthonormal: the baseline that was removed from each.
        total: float64 of shape ``(covered cycles,)``: the sum of all repeats.
        power: the sum of the squares of all levels of all repeats.
    """

    count: int
    covered: NDArray[np.bool_]
    basis: NDArray[np.float64]
    total: NDArray[np.float64]
    power: float

    def add(self, levels: CycleLevels) -> "RepeatedLevels":
        """Return it with one repeat more.

        Raises:
            WaveformError: ``levels`` cover other cycles, or are not finite.
        """
        if not np.array_equal(levels.covered, self.covered):
            raise WaveformError("repeats of a waveform must cover the same cycles of the loop")
        if not np.isfinite(levels.levels[self.covered]).all():
            raise WaveformError("a repeat of the waveform has levels that are not finite")
        values = self.without_baseline(levels.levels)
        return replace(self, count=self.count + 1, total=self.total + values, power=self.power + float(values @ values))

    def without_baseline(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``values`` (float64, shape ``(…, cycles)``) at the covered cycles with the baseline removed."""
        kept = np.asarray(values, np.float64)[..., self.covered]
        kept = kept - kept.mean(axis=-1, keepdims=True)
        return np.asarray(kept - (kept @ self.basis) @ self.basis.T, np.float64)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the repeats, float64 of shape ``(covered cycles,)``."""
        return self.total / max(1, self.count)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of all levels."""
        return self.count * int(self.total.size - self.basis.shape[1])

    @property
    def scatter(self) -> float:
        """Sum of squares of the repeats around their mean: noise alone, whatever the signal; 0 for one repeat."""
        return max(0.0, self.power - float(self.total @ self.total) / max(1, self.count))


def begin_repeats(covered: NDArray[np.bool_]) -> RepeatedLevels:
    """Return no repeats yet, of a waveform whose loop is ``covered`` (bool, shape ``(cycles,)``) as given.

    Raises:
        WaveformError: too few cycles are covered.
    """
    count = int(covered.sum())
    if count - BASELINE_TERMS < LEAST_CYCLES:
        raise WaveformError(f"{count} cycles are too few for a decision; {LEAST_CYCLES + BASELINE_TERMS} are needed")
    place = np.linspace(-1.0, 1.0, covered.size)[covered]
    basis, _ = np.linalg.qr(np.stack([place**power for power in range(BASELINE_TERMS)], axis=1))
    return RepeatedLevels(0, covered, np.asarray(basis, np.float64), np.zeros(count), 0.0)


def log_scale_integral(
    slope: NDArray[np.float64], energy: NDArray[np.float64], freedom: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return log of the integral over t of ``t^(freedom-1) exp(-(t^2 - 2 slope t + energy) / 2)`` by Laplace's method.

    It is the likelihood of a signal whose noise has the right Haar prior, ``t`` being the size of the waveform over
    that of the noise (Bernardo & Smith, "Bayesian Theory", 1994, chapter 5), but for a constant. All arrays broadcast.
    """
    power = freedom - 1
    root = np.sqrt(slope**2 + 4 * power)
    mode = np.where(slope > 0, (slope + root) / 2, 2 * power / (root - np.minimum(slope, 0.0)))
    curvature = power / mode**2 + 1
    return np.asarray(power * np.log(mode) - (mode**2 - 2 * slope * mode + energy) / 2 - 0.5 * np.log(curvature))

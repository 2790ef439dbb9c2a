"""How much later a session's waveforms come than their times say: the trigger, cables, and the tester's pipeline.

All waveforms of a session are taken with one trigger. What it is late by is one unknown of them all: some whole cycles,
and where edges are compared in time (decision 0015) a part of a cycle besides. It is not measured beforehand; every
suspect is weighed on every likely time axis, and what is left is the mean over them (decision 0016).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.waveforms.comparison import Observation

AS_STATED = 0.9
"""Prior probability that the whole cycles are as stated; and the same of the part of a cycle."""
PARTS = (0.0, -0.2, 0.2, 0.4)
"""Parts of a cycle by which a session may be late; each stands for what is nearer to it than to the others."""
LEAST_GAIN = 8.0
"""Gain in log likelihood from which whole cycles other than the stated ones are looked at."""
KEPT_WITHIN = 6.0
"""Time axes whose log evidence is further behind the best are left."""
_ALIKE = 1 - 1e-9


@dataclass(frozen=True)
class TimeAxis:
    """A time axis: waveforms come ``cycles`` whole cycles and ``part`` of a cycle later than their times say."""

    cycles: int = 0
    part: float = 0.0

    def earlier(self, window: tuple[float, float]) -> tuple[float, float]:
        """Return what part of the die's cycle is seen in ``window``, a part of the waveforms' cycles."""
        return window[0] - self.part, window[1] - self.part

    def log_prior(self, cycles: int, *, timed: bool) -> float:
        """Return the log of the prior probability, in a loop of ``cycles``; ``timed`` where parts of a cycle count."""
        log = np.log(AS_STATED) if not self.cycles else np.log((1 - AS_STATED) / max(1, cycles - 1))
        if timed:
            log += np.log(AS_STATED) if not self.part else np.log((1 - AS_STATED) / (len(PARTS) - 1))
        return float(log)


STATED = TimeAxis()


def likely_axes(waveforms: Sequence[tuple[Observation, NDArray[np.uint8]]], *, timed: bool) -> list[TimeAxis]:
    """Return the time axes on which waveforms may come, the stated one first.

    ``waveforms`` are the settled levels of each with what the nets under its spot do in a good die, uint8 0/1 of shape
    ``(nets, cycles)``. Whole cycles are the stated ones, and those for which the likeliest net of each spot fits its
    levels clearly better; ``timed`` says that edges are compared, so that every one of :data:`PARTS` counts.
    """
    cycles = [0]
    if waveforms:
        gain = np.sum([_gain(observation, values) for observation, values in waveforms], axis=0)
        best = int(np.argmax(gain))
        if gain[best] > gain[0] + LEAST_GAIN:
            cycles.append(best if best <= len(gain) // 2 else best - len(gain))
    return [TimeAxis(whole, part) for whole in cycles for part in (PARTS if timed else PARTS[:1])]


def _gain(observation: Observation, values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the log likelihood of the best net against no signal, the levels coming each number of cycles late.

    float64 of shape ``(cycles,)``. The correlations of all shifts are one product of Fourier transforms.
    """
    cycles = values.shape[1]
    levels = np.zeros(cycles)
    levels[observation.covered] = observation.residual
    moving = values[np.ptp(values, axis=1) > 0].astype(np.float64)
    if not moving.size:
        return np.zeros(cycles)
    moving -= moving.mean(axis=1, keepdims=True)
    products = np.fft.irfft(np.fft.rfft(levels) * np.conj(np.fft.rfft(moving, axis=1)), cycles, axis=1)
    explained = products**2 / (np.square(moving).sum(axis=1, keepdims=True) * float(levels @ levels))
    return np.asarray(-0.5 * observation.freedom * np.log1p(-np.minimum(explained.max(axis=0), _ALIKE)), np.float64)

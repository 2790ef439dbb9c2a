"""Edges that a simulation says a net has, and what the detector makes of one.

An edge is a step smoothed by a Gaussian (transistor, detector, jitter: their variances add) and, where the detector is
known to have one pole, delayed by it: the exponentially modified Gaussian (Grushka, Anal. Chem. 44, 1733, 1972).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr


def step_response(
    offsets_s: NDArray[np.float64], sigma_s: NDArray[np.float64] | float, pole_s: float = 0.0
) -> NDArray[np.float64]:
    """Return how far an edge has come, 0..1, ``offsets_s`` seconds after it; any shape that ``sigma_s`` broadcasts to.

    ``sigma_s`` is the standard deviation of the Gaussian, ``pole_s`` the detector's time constant, both in seconds.
    """
    place = offsets_s / sigma_s
    gaussian = ndtr(place)
    if not pole_s > 0:
        return np.asarray(gaussian, np.float64)
    ratio = sigma_s / pole_s
    tail = np.exp(ratio**2 / 2 - offsets_s / pole_s + log_ndtr(place - ratio))
    return np.asarray(gaussian - tail, np.float64)


@dataclass(frozen=True)
class EdgeTrain:
    """A simulated trace: a level before the first edge, then steps.

    Attributes:
        times_s: float64 of shape ``(edges,)``, rising, seconds.
        steps: float64 of shape ``(edges,)``: change of the level, 1 for a rising edge, less for an intermittent one.
        start: the level before the first edge.
        period_s: length of the loop in seconds, which repeats for ever; ``None`` for a trace that does not.
    """

    times_s: NDArray[np.float64]
    steps: NDArray[np.float64]
    start: float
    period_s: float | None = None

    def covering(self, first_s: float, last_s: float) -> "EdgeTrain":
        """Return the edges from ``first_s`` to ``last_s`` seconds, of as many loops as that takes, as one trace."""
        times, steps = self.times_s, self.steps
        if self.period_s is not None:
            loops = np.arange(np.floor(first_s / self.period_s) - 1, np.ceil(last_s / self.period_s) + 1)
            times = (loops[:, None] * self.period_s + times).ravel()
            steps = np.tile(steps, loops.size)
        inside = (times >= first_s) & (times <= last_s)
        before = times < first_s
        return EdgeTrain(times[inside], steps[inside], self.start + float(steps[before].sum()))

    def level_at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the level at ``times_s`` (any shape, seconds), of a trace that does not repeat."""
        levels = self.start + np.concatenate([[0.0], np.cumsum(self.steps)])
        return np.asarray(levels[np.searchsorted(self.times_s, times_s, side="right")], np.float64)

    def after_steps(self) -> "EdgeTrain":
        """Return the trace whose steps are the sizes of these, whatever their sign: what spikes at edges go with."""
        return EdgeTrain(self.times_s, np.abs(self.steps), 0.0, self.period_s)


def cycle_edges(bits: NDArray[np.float64], cycle_s: float) -> EdgeTrain:
    """Return the looped trace of ``bits`` (shape ``(cycles,)``, 0..1): edges lie at the beginnings of the cycles.

    ``cycle_s`` is the length of a cycle in seconds.
    """
    steps = bits - np.roll(bits, 1)
    changing = np.flatnonzero(steps)
    start = float(bits[-1]) if bits.size else 0.0
    return EdgeTrain(
        np.asarray(changing * cycle_s, np.float64), np.asarray(steps[changing]), start, bits.size * cycle_s
    )


@dataclass(frozen=True)
class Record:
    """A measured waveform: ``values`` float64 of shape ``(samples,)``, sample ``i`` at ``t0_s + i * dt_s`` seconds."""

    values: NDArray[np.float64]
    t0_s: float
    dt_s: float

    @property
    def times_s(self) -> NDArray[np.float64]:
        """When each sample was taken, float64 of shape ``(samples,)``."""
        return np.asarray(self.t0_s + self.dt_s * np.arange(self.values.size), np.float64)


@dataclass(frozen=True)
class SampledEdges:
    """Which samples lie near which edge: pairs of one sample and one edge, each int64 or float64 of shape ``(pairs,)``.

    Attributes:
        sample, edge: their numbers.
        offset_s: the sample's time after the edge, seconds.
    """

    sample: NDArray[np.int64]
    edge: NDArray[np.int64]
    offset_s: NDArray[np.float64]


def pair_samples(record: Record, edges_s: NDArray[np.float64], reach_s: float) -> SampledEdges:
    """Pair each of ``edges_s`` (shape ``(edges,)``, seconds) with the samples of ``record`` up to ``reach_s`` away."""
    count = record.values.size
    first = np.clip(np.ceil((edges_s - reach_s - record.t0_s) / record.dt_s - 1e-9), 0, count).astype(np.int64)
    last = np.clip(np.ceil((edges_s + reach_s - record.t0_s) / record.dt_s - 1e-9), 0, count).astype(np.int64)
    lengths = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(edges_s.size), lengths)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    sample = np.arange(int(lengths.sum())) - starts + first[edge]
    offset = record.t0_s + record.dt_s * sample - edges_s[edge]
    return SampledEdges(sample.astype(np.int64), edge.astype(np.int64), np.asarray(offset, np.float64))

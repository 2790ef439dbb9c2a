"""SIMULATED waveforms for the skew benchmark; nothing here comes from the packages that are measured.

Edges are added up one by one in time: a transistor's Gaussian step, a detector that is Gaussian or has one pole, jitter
drawn for every loop of the average where their number is given and a wider edge where it is not, gate spikes, a level
that bends with the voltage, other nets under the spot, a trigger that is off by its own error, and noise.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

Floats = NDArray[np.float64]
_POLE_PARTS = 120


@dataclass(frozen=True)
class Case:
    """One kind of waveform. Times in picoseconds, heights as parts of the swing.

    Attributes:
        ratio: swing over the noise of a sample.
        assumed: assumed over true edge width.
        spikes: heights of the spikes at rising and at falling edges; ``spike_late_ps`` after them, ``spike_wide`` edge
            widths wide.
        bend: most of the swing that goes with the voltage squared, drawn for every waveform from -0.3 to 1 times it.
        correlation: of neighbouring samples' noise; ``smoothed`` instead takes the moving mean of so many samples.
        repeats: repeats that the noise is learnt from; 0 leaves it to the waveform.
        others: weights of other nets in the spot.
        late: part of the edges that are off, by 20 to 300 ps either way.
        loops: loops that were averaged, each with jitter of its own; 0 for very many.
        trigger_ps: standard deviation of the whole waveform's time.
        pole_ps: time constant of the detector; 0 for a Gaussian one. ``pole_told``: whether the estimator knows it.
    """

    name: str
    ratio: float
    rise_ps: float = 60.0
    bandwidth_ghz: float = 8.0
    jitter_ps: float = 10.0
    dt_ps: float = 10.0
    cycle_ps: float = 2000.0
    cycles: int = 32
    assumed: float = 1.0
    spikes: tuple[float, float] = (0.0, 0.0)
    spike_late_ps: float = 0.0
    spike_wide: float = 1.0
    bend: float = 0.0
    correlation: float = 0.0
    smoothed: int = 1
    repeats: int = 0
    others: tuple[float, ...] = ()
    late: float = 0.0
    loops: int = 0
    trigger_ps: float = 0.0
    pole_ps: float = 0.0
    pole_told: bool = True

    @cached_property
    def still_ps(self) -> float:
        """Standard deviation of an edge in one loop: transistor and Gaussian detector."""
        detector = 0.0 if self.pole_ps else 350 / self.bandwidth_ghz
        return math.hypot(self.rise_ps / 2.563, detector / 2.563)

    @cached_property
    def sigma_ps(self) -> float:
        """Standard deviation of the edge of an average: jitter too."""
        return math.hypot(self.still_ps, self.jitter_ps)

    @property
    def times_ps(self) -> Floats:
        """When samples are taken: from the middle of the first cycle to the middle of the last."""
        return np.arange(self.cycle_ps / 2, (self.cycles - 0.5) * self.cycle_ps, self.dt_ps)


@dataclass
class Net:
    """A net in the spot: its bits, weight with sign, delay of each edge, and the jitter of each edge in each loop."""

    bits: Floats
    weight: float
    delays_ps: Floats
    jitter_ps: Floats | None = None

    @property
    def edges(self) -> NDArray[np.int64]:
        """Cycles at whose beginnings the net changes."""
        return np.flatnonzero(np.diff(self.bits)) + 1


@dataclass
class Made:
    """A waveform with what it was made of; the probed net is the first of ``nets``."""

    values: Floats
    nets: list[Net]
    bend: float
    delay_ps: float
    trigger_ps: float
    late: NDArray[np.bool_]
    repeats: Floats | None


def phi(x: Floats) -> Floats:
    """Return the normal distribution function."""
    return np.asarray(0.5 * erfc(-x / math.sqrt(2)))


def step(case: Case, after_ps: Floats, jitter_ps: Floats | None) -> Floats:
    """Return how far an edge has come ``after_ps`` after it."""
    if jitter_ps is not None:
        return np.asarray(np.mean([_settle(case, after_ps - off, case.still_ps) for off in jitter_ps], axis=0))
    return _settle(case, after_ps, case.sigma_ps)


def _settle(case: Case, after_ps: Floats, sigma_ps: float) -> Floats:
    if not case.pole_ps:
        return phi(after_ps / sigma_ps)
    waits = -case.pole_ps * np.log1p(-(np.arange(_POLE_PARTS) + 0.5) / _POLE_PARTS)
    return np.asarray(np.mean([phi((after_ps - wait) / sigma_ps) for wait in waits], axis=0))


def shine(case: Case, net: Net, bend: float, times_ps: Floats) -> Floats:
    """Return a net's noise-free waveform, without its weight: its level, bent by the voltage squared, and spikes."""
    level = np.full(times_ps.size, net.bits[0])
    spike = np.zeros(times_ps.size)
    far = 9 * case.sigma_ps + 12 * case.pole_ps + 3 * case.spike_late_ps
    for place, cycle in enumerate(net.edges):
        sign = net.bits[cycle] - net.bits[cycle - 1]
        at = cycle * case.cycle_ps + net.delays_ps[place]
        first, stop = np.searchsorted(times_ps, (at - far, at + far))
        near = slice(int(first), int(stop))
        level[int(stop) :] += sign
        level[near] += sign * step(
            case, times_ps[near] - at, None if net.jitter_ps is None else net.jitter_ps[:, place]
        )
        offset = (times_ps[near] - at - case.spike_late_ps) / (case.spike_wide * case.sigma_ps)
        spike[near] += case.spikes[0 if sign > 0 else 1] * np.exp(-0.5 * offset**2)
    return np.asarray((level + bend * level**2) / (1 + bend) + spike)


def make(case: Case, generator: np.random.Generator) -> Made:
    """Make one waveform of ``case``."""
    bits = generator.integers(0, 2, case.cycles).astype(float)
    bits[:4] = (0, 1, 1, 0)
    count = int(np.count_nonzero(np.diff(bits)))
    delay = float(generator.uniform(-60, 60))
    late = generator.random(count) < case.late
    off = generator.uniform(20, 300, count) * generator.choice((-1.0, 1.0), count)
    trigger = float(generator.normal(0, case.trigger_ps)) if case.trigger_ps else 0.0
    jitter = generator.normal(0, case.jitter_ps, (case.loops, count)) if case.loops else None
    own = Net(bits, float(generator.choice((-1.0, 1.0))), delay + trigger + late * off, jitter)
    nets = [own]
    for part in case.others:
        other = generator.integers(0, 2, case.cycles).astype(float)
        edges = int(np.count_nonzero(np.diff(other)))
        weight = part * float(generator.choice((-1.0, 1.0)))
        nets.append(Net(other, weight, np.full(edges, float(generator.uniform(-100, 100)))))
    bend = case.bend * float(generator.uniform(-0.3, 1.0))
    times = case.times_ps
    clean = 5.0 + sum(net.weight * shine(case, net, bend, times) for net in nets)
    count = max(1, case.repeats)
    noise = np.stack([draw_noise(case, times.size, generator) * math.sqrt(count) for _ in range(count)])
    values = np.asarray(clean + noise.mean(axis=0))
    return Made(values, nets, bend, delay, trigger, late, clean + noise if case.repeats else None)


def draw_noise(case: Case, count: int, generator: np.random.Generator) -> Floats:
    """Return ``count`` samples of noise."""
    if case.smoothed > 1:
        white = generator.normal(0.0, math.sqrt(case.smoothed) / case.ratio, count + case.smoothed - 1)
        return np.asarray(np.convolve(white, np.ones(case.smoothed) / case.smoothed, mode="valid"))
    white = generator.normal(0.0, 1 / case.ratio, count)
    rho = case.correlation
    if rho:
        for place in range(1, count):
            white[place] = rho * white[place - 1] + math.sqrt(1 - rho**2) * white[place]
    return white


def autocovariance(case: Case, count: int) -> Floats:
    """Return the noise's true autocovariance at ``count`` lags."""
    lags = np.arange(count)
    if case.smoothed > 1:
        return np.asarray(np.maximum(0, 1 - lags / case.smoothed) / case.ratio**2)
    return np.asarray(case.correlation**lags / case.ratio**2)

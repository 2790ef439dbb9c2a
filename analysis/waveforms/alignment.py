"""Skew: the delay of a waveform against the looped patterns that its net should show, edge by edge and as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis.waveforms.cycles import MOST_DELAY, WaveformError
from analysis.waveforms.delay_estimation import NO_DELAY, WaveformDelay, estimate_delay
from analysis.waveforms.delay_fit import DelaySetting
from analysis.waveforms.delay_outliers import weigh_outliers
from analysis.waveforms.delay_posterior import Search, WidthPrior
from analysis.waveforms.delay_statistics import Neighbour
from analysis.waveforms.edges import Record, cycle_edges
from analysis.waveforms.noise import NoiseModel, TimingNoise

FINEST_EDGE_S = 2e-11
"""Standard deviation of the narrowest edge that any detector shows."""
WIDEST_EDGE = 0.05
"""Standard deviation of the widest edge, as a part of a cycle."""
UNSETTLED_EDGE = 0.5
"""Standard deviation of a stated edge, as a part of a cycle, above which there are no levels to time edges between."""
BASELINE_TERMS = 3


@dataclass(frozen=True)
class Acquisition:
    """What is known of how waveforms were taken.

    Attributes:
        edge_sigma_s: standard deviation of an edge, transistor, detector and jitter together; ``None`` when unknown.
        timing: jitter and trigger.
        noise: of one sample, from repeats; ``None`` takes it from the waveform.
    """

    edge_sigma_s: float | None = None
    timing: TimingNoise = field(default_factory=TimingNoise)
    noise: NoiseModel | None = None


@dataclass(frozen=True)
class Skew:
    """A delay in seconds and its standard error, both ``None`` when it is refused; ``detail`` says why, and more."""

    skew_s: float | None
    sigma_s: float | None
    detail: WaveformDelay


def estimate_skew(
    values: NDArray[np.float64],
    t0_s: float,
    dt_s: float,
    cycle_s: float,
    bits: NDArray[np.float64],
    neighbours: Sequence[tuple[NDArray[np.float64], float]] = (),
    acquisition: Acquisition | None = None,
) -> Skew:
    """Return the delay of ``values`` (shape ``(samples,)``) against the looped ``bits`` (shape ``(cycles,)``, 0..1).

    ``t0_s``, ``dt_s`` and ``cycle_s`` are seconds; edges should come at the beginnings of cycles, and positive means
    later. ``neighbours`` are the bits of other nets under the spot, each with the expected size of its swing against
    the net's own; ``acquisition`` says what is known of the measurement. Only the first loop counts.

    Raises:
        WaveformError: no sample lies in the loop, or see :func:`~analysis.waveforms.delay_estimation.estimate_delay`.
    """
    known = acquisition or Acquisition()
    whole = Record(values, t0_s, dt_s)
    inside = np.flatnonzero((whole.times_s >= -dt_s / 2) & (whole.times_s < bits.size * cycle_s - dt_s / 2))
    if not inside.size:
        raise WaveformError("the waveform has no sample in the pattern loop")
    first, last = int(inside[0]), int(inside[-1]) + 1
    record = Record(values[first:last], t0_s + first * dt_s, dt_s)
    others = [Neighbour(cycle_edges(other, cycle_s), spread) for other, spread in neighbours if np.ptp(other) > 0]
    if known.edge_sigma_s is not None and known.edge_sigma_s > UNSETTLED_EDGE * cycle_s:
        reason = f"edges of {known.edge_sigma_s * 1e12:.3g} ps (standard deviation) do not settle in a cycle"
        return Skew(None, None, replace(NO_DELAY, refused=reason))
    delay = estimate_delay(record, cycle_edges(bits, cycle_s), _setting(dt_s, cycle_s, known), others)
    return Skew(delay.delay_s, delay.sigma_s, delay)


def _setting(dt_s: float, cycle_s: float, known: Acquisition) -> DelaySetting:
    most_s = WIDEST_EDGE * cycle_s
    least_s = min(cycle_s / 500, max(FINEST_EDGE_S, dt_s / 12))
    usual_s = known.edge_sigma_s
    if usual_s is not None:
        least_s, most_s = min(least_s, usual_s / 2), max(most_s, usual_s * 2)
    search = Search(MOST_DELAY * cycle_s, WidthPrior(least_s, most_s, usual_s))
    return DelaySetting(search, BASELINE_TERMS, known.noise, known.timing)


def weigh_skews(skews: Sequence[Skew], cycle_s: float) -> list[float | None]:
    """Return the probability that each of a session's ``skews`` does not belong to the others; ``None`` where refused.

    Includes the chance that the delay is at another place than stated. ``cycle_s`` is the tester's cycle in seconds.
    """
    stated = [place for place, skew in enumerate(skews) if skew.skew_s is not None and skew.sigma_s is not None]
    result: list[float | None] = [None] * len(skews)
    if not stated:
        return result
    delays = np.asarray([skews[place].skew_s for place in stated], np.float64)
    sigmas = np.asarray([skews[place].sigma_s for place in stated], np.float64)
    for place, odd in zip(stated, weigh_outliers(delays, sigmas, MOST_DELAY * cycle_s).probabilities, strict=True):
        result[place] = float(1 - (1 - odd) * (1 - skews[place].detail.elsewhere))
    return result

"""Everything known about a die, weighed: the suspects that its fail log leaves, and what each waveform says of them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.defects import neighbour_pairs
from analysis.localization.confinement import MOST_GATES, confine
from analysis.localization.edge_timing import EdgePrediction, between, observe_edges
from analysis.localization.evidence import (
    Comparison,
    SpotPrediction,
    WaveformEvidence,
    compare_elsewhere,
    compare_waveform,
    say_nothing,
    weigh_waveform,
)
from analysis.localization.looped import screen_loop
from analysis.localization.posterior import Posterior, combine, combine_axes
from analysis.localization.problem import ProbedWaveform, Problem
from analysis.localization.screening import Screening, screen
from analysis.localization.stimulation import Shelf, Stimulated, stimulate
from analysis.localization.suspects import Suspects
from analysis.localization.time_axis import KEPT_WITHIN, STATED, TimeAxis, likely_axes
from analysis.waveforms.comparison import Expectations, Observation, RatioPrior, observe, spot_ratio, usual_ratio
from analysis.waveforms.cycles import WaveformError, read_cycle_levels
from analysis.waveforms.edges import Record

PREVIEWED = 40
"""Suspects, the likeliest by the fail log, that say which time axes are worth weighing all of them on."""

_ELSEWHERE: Shelf[NDArray[np.float64]] = Shelf(64)
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class SpottedWaveform:
    """A waveform's observation, and the nets under its spot: the probed one first, then neighbours.

    Attributes:
        observation: its settled levels.
        window: the part of the waveform's cycle that they were read in.
        nets: their numbers.
        spreads: float64 of shape ``(nets - 1,)``: see :class:`~analysis.waveforms.comparison.Expectations`.
        uncounted: why nothing may be concluded from it, empty where something may.
        timed: the levels between the settled ones too, where they tell something.
        axis: on which the observations are told: they come earlier by its whole cycles than they were taken.
    """

    observation: Observation
    window: tuple[float, float]
    nets: list[int]
    spreads: NDArray[np.float64]
    uncounted: str
    timed: Observation | None = None
    axis: TimeAxis = STATED

    @property
    def key(self) -> str:
        """Names all of this."""
        seen = self.observation if self.timed is None else self.timed
        where = repr((self.window, self.nets, self.axis)).encode()
        parts = (seen.residual.tobytes(), seen.covered.tobytes(), self.spreads.tobytes(), where)
        return hashlib.sha256(b"|".join(parts)).hexdigest()

    @property
    def seen(self) -> tuple[float, float]:
        """The part of the die's cycle that its settled levels show."""
        return self.axis.earlier(self.window)

    def on(self, axis: TimeAxis) -> "SpottedWaveform":
        """Return a waveform that was told as stated, told on ``axis``."""
        timed = None if self.timed is None else self.timed.earlier(axis.cycles)
        return replace(self, observation=self.observation.earlier(axis.cycles), timed=timed, axis=axis)

    def expected(self, values: NDArray[np.float64]) -> Expectations:
        """Return what these nets do when all nets do as in ``values`` (float64, shape ``(nets, cycles)``)."""
        return Expectations(values[None, self.nets], self.spreads)


def no_progress(fraction: float, message: str) -> None:
    """Report ``fraction`` and ``message`` to nobody."""
    del fraction, message


@dataclass(frozen=True)
class Reading:
    """All waveforms of a die on one time axis.

    Attributes:
        axis: the time axis.
        log_prior: of it, before any waveform.
        probability: of it, given everything.
        spotted: each waveform with the nets under its spot.
        evidence: of each waveform.
    """

    axis: TimeAxis
    log_prior: float
    probability: float
    spotted: list[SpottedWaveform]
    evidence: list[WaveformEvidence]


@dataclass(frozen=True)
class WeighedDie:
    """Everything known about a die, weighed.

    Attributes:
        problem: as asked, a large circuit cut to what the die needs.
        screening: the suspects that the fail log leaves.
        readings: its waveforms on every likely time axis, likeliest first.
        posterior: of all of it together.
    """

    problem: Problem
    screening: Screening
    readings: list[Reading]
    posterior: Posterior

    @property
    def likeliest(self) -> Reading:
        """Its waveforms on the likeliest time axis."""
        return self.readings[0]


def weigh_die(problem: Problem, progress: Progress = no_progress) -> WeighedDie:
    """Return the suspects of ``problem`` with what speaks for each.

    ``progress`` is called with a fraction (0..1) and a message.

    Raises:
        WaveformError: a waveform cannot be compared (too short, too coarse, not finite, without any noise), or its net
            is unknown.
        CircuitError: a large circuit without a fail log or waveform, or a functional loop that does not settle.
    """
    progress(0.05, "preparing the waveforms")
    problem = _confine(problem)
    spotted = [_observe(problem, waveform) for waveform in problem.waveforms]
    progress(0.1, "simulating faults")
    screening = screen_die(problem)
    progress(0.5, "weighing the waveforms")
    if not screening.suspects.late.any():
        spotted = [replace(item, timed=None) for item in spotted]
    timed, tested = any(item.timed is not None for item in spotted), problem.fails is not None
    cycles = screening.suspects.stimulated.cycles
    axes = _likely_axes(spotted, screening, timed=timed, tested=tested)
    priors = [axis.log_prior(cycles, timed=timed) for axis in axes]
    told = [[item.on(axis) for item in spotted] for axis in axes]
    found = [_weigh_all(items, screening.suspects) for items in told]
    posterior, parts = combine_axes(screening, found, priors, tested=tested)
    readings = [Reading(*parts) for parts in zip(axes, priors, parts.tolist(), told, found, strict=True)]
    readings.sort(key=lambda reading: -reading.probability)
    return WeighedDie(problem, screening, readings, posterior)


def screen_die(problem: Problem) -> Screening:
    """Return the suspects that the fail log of ``problem`` leaves, in full-scan view or in a functional loop."""
    if problem.sequential is not None:
        return screen_loop(problem.sequential, problem.patterns, problem.fails)
    stimulated = stimulate(problem.circuit, problem.patterns, problem.delays)
    return screen(stimulated, problem.fails, neighbour_pairs(problem.circuit, problem.places_um))


def _confine(problem: Problem) -> Problem:
    """Cut a large circuit to what the die needs; functional loops are simulated whole."""
    number = problem.circuit.number
    if problem.sequential is not None or len(problem.circuit.gates) <= MOST_GATES:
        return problem
    near = [net for probe in problem.waveforms for net, _ in problem.layout.neighbours(probe.net, probe.spot)]
    names = [*(probe.net for probe in problem.waveforms), *near, *problem.watched]
    watched = sorted({number[name] for name in names if name in number})
    pairs = neighbour_pairs(problem.circuit, problem.places_um)
    circuit, patterns, fails = confine(problem.circuit, problem.patterns, problem.fails, watched, pairs)
    return replace(problem, circuit=circuit, patterns=patterns, fails=fails)


def _likely_axes(
    spotted: Sequence[SpottedWaveform], screening: Screening, *, timed: bool, tested: bool
) -> list[TimeAxis]:
    """Return the time axes on which some of the likeliest suspects explain the waveforms about as well as on the best.

    Where edges are not compared and the stated cycles fit, that is the stated one, and nothing is weighed for it.
    """
    suspects, counted = screening.suspects, [item for item in spotted if not item.uncounted]
    bits = suspects.stimulated.bits
    axes = likely_axes([(item.observation, bits[item.nets]) for item in counted], timed=timed)
    if len(axes) == 1:
        return axes
    few = suspects.likeliest(PREVIEWED)
    preview = replace(screening, suspects=few)
    logs = [
        combine(preview, _weigh_all([item.on(axis) for item in counted], few), tested=tested).log_evidence
        + axis.log_prior(bits.shape[1], timed=timed)
        for axis in axes
    ]
    return [axis for axis, log in zip(axes, logs, strict=True) if log >= max(logs) - KEPT_WITHIN]


def _weigh_all(spotted: Sequence[SpottedWaveform], suspects: Suspects) -> list[WaveformEvidence]:
    prior = _ratio_prior(spotted, suspects.stimulated.bits)
    return [_weigh(item, prior, suspects) for item in spotted]


def _weigh(spotted: SpottedWaveform, prior: RatioPrior, suspects: Suspects) -> WaveformEvidence:
    """Weigh a waveform; what it was compared with for an earlier answer is not compared again."""

    def compare() -> Comparison:
        bits, timed = suspects.stimulated.bits, spotted.timed
        seen = spotted.observation if timed is None else timed
        elsewhere = _elsewhere(seen, prior.ratios, suspects.stimulated)
        windows = [spotted.seen] if timed is None else [spotted.seen, spotted.axis.earlier(between(spotted.window))]
        levels, *early = suspects.late_levels(spotted.nets, *windows)
        prediction = SpotPrediction(
            bits[spotted.nets], suspects.changes(spotted.nets), suspects.late, levels, spotted.spreads
        )
        edges = EdgePrediction(suspects.good_levels(spotted.nets, windows[1]), early[0]) if early else None
        return compare_waveform(seen, prior.ratios, prediction, elsewhere, edges)

    weighed = weigh_waveform(suspects.comparisons.take(spotted.key + prior.ratios.tobytes().hex(), compare), prior)
    return say_nothing(weighed) if spotted.uncounted else weighed


def _elsewhere(seen: Observation, ratios: NDArray[np.float64], stimulated: Stimulated) -> NDArray[np.float64]:
    """Compare a waveform with all nets; what is seen on another part of the cycle or for other suspects is the same."""
    parts = (seen.residual.tobytes(), seen.covered.tobytes(), ratios.tobytes(), stimulated.key.encode())
    key = hashlib.sha256(b"|".join(parts)).hexdigest()
    return _ELSEWHERE.take(key, lambda: compare_elsewhere(seen, ratios, stimulated.bits))


def _observe(problem: Problem, waveform: ProbedWaveform) -> SpottedWaveform:
    circuit = problem.circuit
    if waveform.net not in circuit.number:
        raise WaveformError(f"a waveform was probed on {waveform.net}, a net that the circuit does not have")
    try:
        levels = read_cycle_levels(
            waveform.values, waveform.t0_s, waveform.dt_s, problem.cycle_s, len(problem.patterns)
        )
        observation = observe(levels)
        record = Record(waveform.values, waveform.t0_s, waveform.dt_s)
        told = problem.sequential is None and problem.fails is not None
        timed = observe_edges(record, problem.cycle_s, levels) if told else None
    except WaveformError as error:
        raise WaveformError(f"the waveform on {waveform.net}: {error}") from error
    near = problem.layout.neighbours(waveform.net, waveform.spot)
    known = [(circuit.number[net], weight) for net, weight in near if net in circuit.number]
    return SpottedWaveform(
        observation,
        levels.window,
        [circuit.number[waveform.net], *(net for net, _ in known)],
        np.asarray([weight for _, weight in known], np.float64),
        problem.layout.why_uncounted(waveform.net, waveform.spot),
        timed,
    )


def _ratio_prior(spotted: Sequence[SpottedWaveform], good: NDArray[np.uint8]) -> RatioPrior:
    """Take the session's usual signal-to-noise ratio from all that is under its spots, whatever the probed net does."""
    values = good.astype(np.float64)
    ratios: dict[int, list[float]] = {}
    for item in spotted:
        if np.ptp(good[item.nets[0]]) > 0:
            ratios.setdefault(item.nets[0], []).append(spot_ratio(item.observation, item.expected(values)))
    return usual_ratio(list(ratios.values()))

"""Finding the failing gate: every piece of evidence about one die, put together."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.defects import neighbour_pairs
from analysis.circuits.netlist import Circuit
from analysis.circuits.sequential import SequentialCircuit
from analysis.localization.candidates import rank_candidates
from analysis.localization.confinement import MOST_GATES, confine
from analysis.localization.edge_timing import EdgePrediction, between, observe_edges
from analysis.localization.evidence import (
    Comparison,
    SpotPrediction,
    WaveformEvidence,
    compare_waveform,
    say_nothing,
    weigh_waveform,
)
from analysis.localization.history import posterior_history
from analysis.localization.lateness import ToldDelays
from analysis.localization.likeliest_values import late_levels_under, likeliest_suspect, values_under
from analysis.localization.looped import screen_loop
from analysis.localization.mixture import Layout, Spot
from analysis.localization.overlay import site_masses
from analysis.localization.posterior import (
    Posterior,
    combine,
    faulty_probability,
    faulty_probability_alone,
)
from analysis.localization.probe_plan import LEAST_BITS, ProbePlan, plan_probes
from analysis.localization.screening import Screening, screen
from analysis.localization.spot_nets import Die, Scene, describe_spots
from analysis.localization.stimulation import Shelf, stimulate
from analysis.localization.suspects import Suspects
from analysis.results import LOCATED_ABOVE, Candidate, Localization, WaveformVerdict
from analysis.waveforms.alignment import Acquisition, Skew, estimate_skew
from analysis.waveforms.comparison import (
    Expectations,
    Observation,
    RatioPrior,
    fit_levels,
    observe,
    spot_ratio,
    usual_ratio,
)
from analysis.waveforms.cycles import WaveformError, read_cycle_levels
from analysis.waveforms.edges import Record
from analysis.waveforms.quality import assess_quality

DOUBTFUL_ABOVE = 0.5
"""Probability of being wrong from which a probed net speaks against a good die."""

Progress = Callable[[float, str], None]
_SKEWS: Shelf[Skew] = Shelf(64)


@dataclass(frozen=True)
class ProbedWaveform:
    """A waveform with the net that the laser was on.

    ``values`` is float64 of shape ``(samples,)`` in arbitrary units; sample ``i`` was taken at ``t0_s + i * dt_s``
    seconds. ``spot`` says where the beam was, when that is known, and ``acquisition`` what is known of edges and noise.
    """

    net: str
    values: NDArray[np.float64]
    t0_s: float
    dt_s: float
    spot: Spot | None = None
    acquisition: Acquisition | None = None


@dataclass(frozen=True)
class Problem:
    """Everything known about a die.

    Attributes:
        circuit: in full-scan view.
        patterns: uint8 0/1 of shape ``(cycles, inputs)`` in the order of ``circuit.inputs``.
        fails: bool of shape ``(cycles, outputs)``, the tester's failing bits; ``None`` when there is no fail log.
        waveforms: what was probed.
        cycle_s: seconds of one tester cycle.
        places_um: place of each net's drain in micrometres, where known.
        averages: loops averaged for one waveform, for the time a probe takes; ``None`` when unknown.
        beam: width and placement error of the spot for the next probes (its place does not count); ``None`` if unknown.
        sequential: the circuit with its flip-flops where the loop is a functional pattern in which they run; then
            ``patterns`` has the primary inputs only. ``None`` in full-scan view.
        watched: names of further nets that are looked at.
        delays: what is known of the delays of the cells; not used in a functional loop.
    """

    circuit: Circuit
    patterns: NDArray[np.uint8]
    fails: NDArray[np.bool_] | None
    waveforms: Sequence[ProbedWaveform]
    cycle_s: float
    places_um: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    averages: int | None = None
    beam: Spot | None = None
    sequential: SequentialCircuit | None = None
    watched: tuple[str, ...] = ()
    delays: ToldDelays | None = None

    @cached_property
    def layout(self) -> Layout:
        """The places of the drains."""
        return Layout(self.places_um)


@dataclass(frozen=True)
class _Spotted:
    """A waveform's observation, and the nets under its spot: the probed one first, then neighbours.

    ``uncounted`` says why nothing may be concluded from it, empty where something may.
    """

    observation: Observation
    window: tuple[float, float]
    nets: list[int]
    spreads: NDArray[np.float64]
    uncounted: str
    timed: Observation | None = None

    @property
    def key(self) -> str:
        """Names all of this."""
        seen = self.observation if self.timed is None else self.timed
        where = repr((self.window, self.nets)).encode()
        parts = (seen.residual.tobytes(), seen.covered.tobytes(), self.spreads.tobytes(), where)
        return hashlib.sha256(b"|".join(parts)).hexdigest()

    def expected(self, values: NDArray[np.float64]) -> Expectations:
        """Return what these nets do when all nets do as in ``values`` (float64, shape ``(nets, cycles)``)."""
        return Expectations(values[None, self.nets], self.spreads)


def _no_progress(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def localize_fault(problem: Problem, progress: Progress = _no_progress) -> Localization:
    """Return where the fault of ``problem`` is, how sure that is, and what to probe next.

    ``progress`` is called with a fraction (0..1) and a message.

    Raises:
        WaveformError: a waveform cannot be compared (too short, too coarse, not finite, without any noise), or its net
            is unknown.
        CircuitError: a large circuit without a fail log or waveform, or a functional loop that does not settle.
    """
    weighed_die = weigh_die(problem, progress)
    problem, spotted, screening = weighed_die.problem, weighed_die.spotted, weighed_die.screening
    suspects, evidence, posterior = screening.suspects, weighed_die.evidence, weighed_die.posterior
    tested = problem.fails is not None
    progress(0.7, "describing the waveforms")
    first = likeliest_suspect(suspects, posterior)
    best = values_under(suspects, posterior, first)
    scenes = _scenes(problem, spotted)
    spots = describe_spots(problem, scenes, screening, evidence, posterior, best)
    levels = [late_levels_under(suspects, posterior, first, item.nets, item.window) for item in spotted]
    verdicts = [
        replace(_describe(problem, waveform, (item, weighed), posterior, (best, late)), mixture=mixture, spot=spot)
        for waveform, item, weighed, (mixture, spot), late in zip(
            problem.waveforms, spotted, evidence, spots, levels, strict=True
        )
    ]
    progress(0.85, "ranking the next probes")
    candidates = rank_candidates(suspects, posterior, sorted({net for item in spotted for net in item.nets}))
    seen = _is_seen(spotted, suspects, posterior)
    plan = plan_probes(problem, suspects, posterior, [verdict.snr for verdict in verdicts])
    progress(1.0, "done")
    return Localization(
        verdict=_verdict(candidates, posterior, problem, evidence) if seen else "ambiguous",
        candidates=candidates,
        no_fault=posterior.no_fault,
        unmodelled=posterior.unmodelled,
        waveforms=tuple(verdicts),
        next_probes=plan.probes,
        decided=seen and _decided(candidates, posterior, plan),
        missing_bits=plan.missing_bits,
        expected_probes=plan.expected_probes,
        sites=site_masses(suspects, posterior),
        history=posterior_history(screening, evidence, [item.net for item in problem.waveforms], tested=tested),
    )


@dataclass(frozen=True)
class WeighedDie:
    """Everything known about a die, weighed.

    Attributes:
        problem: as asked, a large circuit cut to what the die needs.
        screening: the suspects that the fail log leaves.
        evidence: of each waveform.
        posterior: of all of it together.
        spotted: each waveform with the nets under its spot.
    """

    problem: Problem
    screening: Screening
    evidence: list[WaveformEvidence]
    posterior: Posterior
    spotted: list[_Spotted]


def weigh_die(problem: Problem, progress: Progress = _no_progress) -> WeighedDie:
    """Return the suspects of ``problem`` with what speaks for each.

    ``progress`` is called, and errors are raised, as by :func:`localize_fault`.
    """
    progress(0.05, "preparing the waveforms")
    problem = _confine(problem)
    spotted = [_observe(problem, waveform) for waveform in problem.waveforms]
    progress(0.1, "simulating faults")
    screening = screen_die(problem)
    progress(0.5, "weighing the waveforms")
    prior = _ratio_prior(spotted, screening.suspects.stimulated.bits)
    evidence = [_weigh(item, prior, screening.suspects) for item in spotted]
    posterior = combine(screening, evidence, tested=problem.fails is not None)
    return WeighedDie(problem, screening, evidence, posterior, spotted)


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


def _weigh(spotted: _Spotted, prior: RatioPrior, suspects: Suspects) -> WaveformEvidence:
    """Weigh a waveform; what it was compared with for an earlier answer is not compared again."""

    def compare() -> Comparison:
        bits = suspects.stimulated.bits
        timed = spotted.timed if suspects.late.any() else None
        windows = [spotted.window] if timed is None else [spotted.window, between(spotted.window)]
        levels, *early = suspects.late_levels(spotted.nets, *windows)
        prediction = SpotPrediction(
            bits[spotted.nets], suspects.changes(spotted.nets), suspects.late, levels, spotted.spreads
        )
        if timed is None:
            return compare_waveform(spotted.observation, prior.ratios, prediction, bits)
        edges = EdgePrediction(suspects.good_levels(spotted.nets, windows[1]), early[0])
        return compare_waveform(timed, prior.ratios, prediction, bits, edges)

    weighed = weigh_waveform(suspects.comparisons.take(spotted.key + prior.ratios.tobytes().hex(), compare), prior)
    return say_nothing(weighed) if spotted.uncounted else weighed


def _observe(problem: Problem, waveform: ProbedWaveform) -> _Spotted:
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
    return _Spotted(
        observation,
        levels.window,
        [circuit.number[waveform.net], *(net for net, _ in known)],
        np.asarray([weight for _, weight in known], np.float64),
        problem.layout.why_uncounted(waveform.net, waveform.spot),
        timed,
    )


def _scenes(problem: Problem, spotted: Sequence[_Spotted]) -> list[Scene]:
    die = Die(problem.circuit.nets, problem.circuit.number, problem.layout)
    return [
        Scene(die, item.observation, item.window, item.nets, waveform.spot)
        for waveform, item in zip(problem.waveforms, spotted, strict=True)
    ]


def _ratio_prior(spotted: Sequence[_Spotted], good: NDArray[np.uint8]) -> RatioPrior:
    """Take the session's usual signal-to-noise ratio from all that is under its spots, whatever the probed net does."""
    values = good.astype(np.float64)
    ratios: dict[int, list[float]] = {}
    for item in spotted:
        if np.ptp(good[item.nets[0]]) > 0:
            ratios.setdefault(item.nets[0], []).append(spot_ratio(item.observation, item.expected(values)))
    return usual_ratio(list(ratios.values()))


def _skew(problem: Problem, waveform: ProbedWaveform, spotted: _Spotted, best: NDArray[np.float64]) -> Skew:
    """Estimate the delay of ``waveform``, or take it from an earlier answer in which its nets did the same."""

    def estimate() -> Skew:
        near = list(zip(best[spotted.nets[1:]], spotted.spreads.tolist(), strict=True))
        own = best[spotted.nets[0]]
        timing = (waveform.t0_s, waveform.dt_s, problem.cycle_s)
        return estimate_skew(waveform.values, *timing, own, near, waveform.acquisition)

    if waveform.acquisition is not None:
        return estimate()
    times = repr((waveform.t0_s, waveform.dt_s, problem.cycle_s)).encode()
    parts = (waveform.values.tobytes(), times, best[spotted.nets].tobytes(), spotted.spreads.tobytes())
    return _SKEWS.take(hashlib.sha256(b"|".join(parts)).hexdigest(), estimate)


def _describe(
    problem: Problem,
    waveform: ProbedWaveform,
    measured: tuple[_Spotted, WaveformEvidence],
    posterior: Posterior,
    expected: tuple[NDArray[np.float64], NDArray[np.float64] | None],
) -> WaveformVerdict:
    """Describe a waveform; ``expected`` are all nets' values, and the levels under its spot where edges are late."""
    (spotted, evidence), (best, late) = measured, expected
    levels = best[spotted.nets] if late is None else late
    fit = fit_levels(spotted.observation, Expectations(levels[None], spotted.spreads))
    toggles = bool(np.ptp(levels[0]) > 0)
    skew = _skew(problem, waveform, spotted, best)
    return WaveformVerdict(
        net=waveform.net,
        p_faulty=faulty_probability(posterior, evidence),
        p_faulty_alone=faulty_probability_alone(evidence),
        snr=min(fit.ratio, 1e9) if toggles else None,
        skew_s=skew.skew_s,
        skew_sigma_s=skew.sigma_s,
        delay=skew.detail,
        mixture=(),
        problems=assess_quality(waveform.values).problems,
        uncounted=spotted.uncounted,
    )


def _is_seen(spotted: Sequence[_Spotted], suspects: Suspects, posterior: Posterior) -> bool:
    """Return whether a waveform was seen where edges are likely late: a log alone hangs on delays that nobody knows."""
    return any(not item.uncounted for item in spotted) or float(posterior.faults[suspects.late].sum()) < 0.5


def _decided(candidates: Sequence[Candidate], posterior: Posterior, plan: ProbePlan) -> bool:
    """Return whether to stop: one site, or no fault, holds enough, or no net is worth the time of probing it."""
    first = candidates[0].posterior if candidates else 0.0
    if max(posterior.no_fault, first) >= LOCATED_ABOVE:
        return True
    return max((probe.bits for probe in plan.probes), default=0.0) < LEAST_BITS


def _verdict(
    candidates: Sequence[Candidate], posterior: Posterior, problem: Problem, evidence: Sequence[WaveformEvidence]
) -> str:
    """Say ``no-fault`` also when the tester saw no fail and nothing that was probed is wrong."""
    if candidates and candidates[0].posterior >= LOCATED_ABOVE:
        return "located"
    if posterior.no_fault >= LOCATED_ABOVE:
        return "no-fault"
    if posterior.unmodelled >= 0.5:
        return "unmodelled"
    failing = problem.fails is not None and bool(problem.fails.any())
    if not failing and evidence and max(faulty_probability(posterior, item) for item in evidence) < DOUBTFUL_ABOVE:
        return "no-fault"
    return "ambiguous"

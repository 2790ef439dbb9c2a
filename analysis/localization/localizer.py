"""Finding the failing gate: every piece of evidence about one die, put together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.defects import neighbour_pairs
from analysis.circuits.logic_simulation import unpack_patterns
from analysis.circuits.netlist import Circuit
from analysis.localization.candidates import MOST_CANDIDATES, rank_candidates
from analysis.localization.evidence import ACTIVITIES, SpotPrediction, WaveformEvidence, late_parts, weigh_waveform
from analysis.localization.mixture import Layout, Spot, estimate_mixture
from analysis.localization.next_probe import MOST_HYPOTHESES, Hypotheses, rank_probes
from analysis.localization.posterior import (
    Posterior,
    combine,
    faulty_probability,
    faulty_probability_alone,
    likeliest,
)
from analysis.localization.screening import screen
from analysis.localization.stimulation import stimulate
from analysis.localization.suspects import Suspects
from analysis.results import LOCATED_ABOVE, Candidate, Localization, NextProbe, WaveformVerdict
from analysis.waveforms.alignment import Acquisition, estimate_skew
from analysis.waveforms.comparison import (
    Expectations,
    Observation,
    RatioPrior,
    fit_levels,
    observe,
    usual_ratio,
)
from analysis.waveforms.cycles import SETTLED, WaveformError, read_cycle_levels
from analysis.waveforms.quality import assess_quality

STAGE_MOVE_S = 5.0
USUAL_RATIO = 2.0
"""Signal-to-noise ratio of one cycle that is expected before anything was measured."""
DOUBTFUL_ABOVE = 0.5
"""Probability of being wrong from which a probed net speaks against a good die."""
_NEGLIGIBLE = 1e-6

Progress = Callable[[float, str], None]


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
    """

    circuit: Circuit
    patterns: NDArray[np.uint8]
    fails: NDArray[np.bool_] | None
    waveforms: Sequence[ProbedWaveform]
    cycle_s: float
    places_um: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    averages: int | None = None
    beam: Spot | None = None

    @cached_property
    def layout(self) -> Layout:
        """The places of the drains."""
        return Layout(self.places_um)


@dataclass(frozen=True)
class _Spotted:
    """A waveform's observation, and the nets under its spot: the probed one first, then neighbours."""

    observation: Observation
    window: tuple[float, float]
    nets: list[int]
    spreads: NDArray[np.float64]

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
    """
    progress(0.05, "preparing the waveforms")
    spotted = [_observe(problem, waveform) for waveform in problem.waveforms]
    progress(0.1, "simulating faults")
    stimulated = stimulate(problem.circuit, problem.patterns)
    screening = screen(stimulated, problem.fails, neighbour_pairs(problem.circuit, problem.places_um))
    suspects = screening.suspects
    progress(0.5, "weighing the waveforms")
    prior = _ratio_prior(spotted, stimulated.bits)
    evidence = [_weigh(item, prior, suspects) for item in spotted]
    posterior = combine(screening, evidence, tested=problem.fails is not None)
    progress(0.7, "describing the waveforms")
    best = _values_of_best(suspects, posterior)
    verdicts = [
        _describe(problem, waveform, (item, weighed), posterior, best)
        for waveform, item, weighed in zip(problem.waveforms, spotted, evidence, strict=True)
    ]
    progress(0.85, "ranking the next probes")
    candidates = rank_candidates(suspects, posterior, sorted({net for item in spotted for net in item.nets}))
    probes = _next_probes(problem, suspects, posterior, verdicts)
    progress(1.0, "done")
    return Localization(
        verdict=_verdict(candidates, posterior, problem, evidence),
        candidates=candidates,
        no_fault=posterior.no_fault,
        unmodelled=posterior.unmodelled,
        waveforms=tuple(verdicts),
        next_probes=probes,
    )


def _weigh(spotted: _Spotted, prior: RatioPrior, suspects: Suspects) -> WaveformEvidence:
    bits = suspects.stimulated.bits
    prediction = SpotPrediction(bits[spotted.nets], suspects.changes(spotted.nets), suspects.late, spotted.spreads)
    return weigh_waveform(spotted.observation, prior, prediction, bits, spotted.window)


def _observe(problem: Problem, waveform: ProbedWaveform) -> _Spotted:
    circuit = problem.circuit
    if waveform.net not in circuit.number:
        raise WaveformError(f"a waveform was probed on {waveform.net}, a net that the circuit does not have")
    try:
        levels = read_cycle_levels(
            waveform.values, waveform.t0_s, waveform.dt_s, problem.cycle_s, len(problem.patterns)
        )
        observation = observe(levels)
    except WaveformError as error:
        raise WaveformError(f"the waveform on {waveform.net}: {error}") from error
    near = problem.layout.neighbours(waveform.net, waveform.spot)
    known = [(circuit.number[net], weight) for net, weight in near if net in circuit.number]
    return _Spotted(
        observation,
        levels.window,
        [circuit.number[waveform.net], *(net for net, _ in known)],
        np.asarray([weight for _, weight in known], np.float64),
    )


def _ratio_prior(spotted: Sequence[_Spotted], good: NDArray[np.uint8]) -> RatioPrior:
    """Take the session's usual signal-to-noise ratio from the waveforms themselves: most nets do what they should."""
    values = good.astype(np.float64)
    ratios = [
        fit_levels(item.observation, item.expected(values)).ratio for item in spotted if np.ptp(good[item.nets[0]]) > 0
    ]
    return usual_ratio(ratios)


def _values_of_best(suspects: Suspects, posterior: Posterior) -> NDArray[np.float64]:
    """Return every net's values under the likeliest hypothesis, float64 of shape ``(nets, cycles)``."""
    good = suspects.stimulated.bits.astype(np.float64)
    if not len(suspects):
        return good
    fault = int(np.argmax(posterior.faults.max(axis=1)))
    if posterior.faults[fault].sum() <= max(posterior.no_fault, posterior.unmodelled):
        return good
    one = suspects.pick([fault])
    changes = unpack_patterns(one.simulate(range(len(good)))[0], suspects.stimulated.cycles)
    part = likeliest(posterior, fault, late=bool(one.late[0]))
    return good + part * (np.abs(good - changes) - good)


def _describe(
    problem: Problem,
    waveform: ProbedWaveform,
    measured: tuple[_Spotted, WaveformEvidence],
    posterior: Posterior,
    best: NDArray[np.float64],
) -> WaveformVerdict:
    spotted, evidence = measured
    expected = best[spotted.nets[0]]
    fit = fit_levels(spotted.observation, spotted.expected(best))
    toggles = bool(np.ptp(expected) > 0)
    skew = estimate_skew(
        waveform.values,
        waveform.t0_s,
        waveform.dt_s,
        problem.cycle_s,
        expected,
        list(zip(best[spotted.nets[1:]], spotted.spreads.tolist(), strict=True)),
        waveform.acquisition,
    )
    return WaveformVerdict(
        net=waveform.net,
        p_faulty=faulty_probability(posterior, evidence),
        p_faulty_alone=faulty_probability_alone(evidence),
        snr=min(fit.ratio, 1e9) if toggles else None,
        skew_s=skew.skew_s,
        skew_sigma_s=skew.sigma_s,
        delay=skew.detail,
        mixture=estimate_mixture(problem, waveform, best),
        problems=assess_quality(waveform.values).problems,
    )


def _next_probes(
    problem: Problem, suspects: Suspects, posterior: Posterior, verdicts: Sequence[WaveformVerdict]
) -> tuple[NextProbe, ...]:
    """Rank every net, those already probed too: a second look at a hard one may tell more than any other net.

    Of nets that tell equally much, new ones come first, and of these the likeliest sites.
    """
    hypotheses = _hypotheses(problem, suspects, posterior)
    if not hypotheses.weights.size:
        return ()
    ratios = [verdict.snr for verdict in verdicts if verdict.snr is not None]
    ratio = float(np.median(ratios)) if ratios else USUAL_RATIO
    loop_s = len(problem.patterns) * problem.cycle_s * (problem.averages or 1)
    nets = problem.circuit.nets
    probed = {problem.circuit.number[waveform.net] for waveform in problem.waveforms}
    mass = np.bincount(hypotheses.sites + 1, weights=hypotheses.weights, minlength=len(nets) + 1)[1:]
    order = sorted(range(len(nets)), key=lambda net: (net in probed, -mass[net]))
    ranked = rank_probes(hypotheses, order, ratio)
    return tuple(
        NextProbe(nets[net], bits, loop_s + STAGE_MOVE_S, *problem.places_um.get(nets[net], (None, None)))
        for net, bits in ranked[:MOST_CANDIDATES]
    )


def _hypotheses(problem: Problem, suspects: Suspects, posterior: Posterior) -> Hypotheses:
    """Return the likeliest faults and no fault, with what every net would do under each."""
    weights = posterior.faults.sum(axis=1) + posterior.resembling
    order = np.argsort(-weights, kind="stable")[:MOST_HYPOTHESES]
    order = order[weights[order] > _NEGLIGIBLE]
    chosen, good = suspects.pick(order), suspects.stimulated.good
    values = np.concatenate([chosen.simulate(range(len(good))), np.zeros((1, *good.shape), np.uint64)])
    values ^= good
    mass = np.append(weights[order], posterior.no_fault)
    shares = posterior.faults[order]
    parts = np.where(chosen.late[:, None], late_parts(SETTLED), ACTIVITIES)
    activities = ((shares * parts).sum(axis=1) + _NEGLIGIBLE) / (shares.sum(axis=1) + _NEGLIGIBLE)
    return Hypotheses(
        weights=mass / mass.sum(),
        sites=np.append(chosen.sites, -1),
        activities=np.append(activities, 1.0),
        good=good,
        values=values,
        cycles=suspects.stimulated.cycles,
        neighbours=_neighbours_everywhere(problem),
    )


def _neighbours_everywhere(problem: Problem) -> dict[int, list[tuple[int, float]]]:
    """Return by net what else a spot on it would cover, none where places or the beam are unknown."""
    beam, number = problem.beam, problem.circuit.number
    if beam is None:
        return {}
    return {
        number[net]: [
            (number[other], weight)
            for other, weight in problem.layout.neighbours(net, replace(beam, x_um=x_um, y_um=y_um))
            if other in number
        ]
        for net, (x_um, y_um) in problem.places_um.items()
        if net in number
    }


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

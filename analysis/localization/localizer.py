"""Finding the failing gate: every piece of evidence about one die, put together."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analysis.localization.candidates import rank_candidates
from analysis.localization.evidence import WaveformEvidence
from analysis.localization.history import posterior_history
from analysis.localization.likeliest_values import late_levels_under, likeliest_suspect, values_under
from analysis.localization.overlay import site_masses
from analysis.localization.posterior import Posterior, faulty_probability, faulty_probability_alone
from analysis.localization.probe_plan import LEAST_BITS, ProbePlan, plan_probes
from analysis.localization.problem import ProbedWaveform, Problem
from analysis.localization.spot_nets import Die, Scene, describe_spots
from analysis.localization.stimulation import Shelf
from analysis.localization.suspects import Suspects
from analysis.localization.time_axis import STATED
from analysis.localization.weighing import Progress, Reading, SpottedWaveform, WeighedDie, no_progress, weigh_die
from analysis.results import LOCATED_ABOVE, Candidate, Localization, PosteriorStep, TimeOffset, WaveformVerdict
from analysis.waveforms.alignment import Skew, estimate_skew
from analysis.waveforms.comparison import Expectations, fit_levels
from analysis.waveforms.quality import assess_quality

DOUBTFUL_ABOVE = 0.5
"""Probability of being wrong from which a probed net speaks against a good die."""

_SKEWS: Shelf[Skew] = Shelf(64)


def localize_fault(problem: Problem, progress: Progress = no_progress) -> Localization:
    """Return where the fault of ``problem`` is, how sure that is, and what to probe next.

    ``progress`` is called with a fraction (0..1) and a message.

    Raises:
        WaveformError: a waveform cannot be compared (too short, too coarse, not finite, without any noise), or its net
            is unknown.
        CircuitError: a large circuit without a fail log or waveform, or a functional loop that does not settle.
    """
    die = weigh_die(problem, progress)
    problem, screening, posterior = die.problem, die.screening, die.posterior
    spotted, evidence, suspects = die.likeliest.spotted, die.likeliest.evidence, screening.suspects
    progress(0.7, "describing the waveforms")
    first = likeliest_suspect(suspects, posterior)
    best = values_under(suspects, posterior, first)
    scenes = _scenes(problem, spotted)
    spots = describe_spots(problem, scenes, screening, evidence, posterior, best)
    levels = [late_levels_under(suspects, posterior, first, item.nets, item.seen) for item in spotted]
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
        history=_history(die),
        time_offset=_time_offset(die.readings) if spotted else None,
    )


def _history(die: WeighedDie) -> tuple[PosteriorStep, ...]:
    tested, nets = die.problem.fails is not None, [item.net for item in die.problem.waveforms]
    by_axis = [(reading.log_prior, reading.evidence) for reading in die.readings]
    return posterior_history(die.screening, by_axis, nets, tested=tested)


def _time_offset(readings: Sequence[Reading]) -> TimeOffset:
    axis = readings[0].axis
    stated = sum(reading.probability for reading in readings if reading.axis == STATED)
    return TimeOffset(axis.cycles + axis.part, readings[0].probability, stated)


def _scenes(problem: Problem, spotted: Sequence[SpottedWaveform]) -> list[Scene]:
    die = Die(problem.circuit.nets, problem.circuit.number, problem.layout)
    return [
        Scene(die, item.observation, item.window, item.nets, waveform.spot)
        for waveform, item in zip(problem.waveforms, spotted, strict=True)
    ]


def _skew(problem: Problem, waveform: ProbedWaveform, spotted: SpottedWaveform, best: NDArray[np.float64]) -> Skew:
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
    measured: tuple[SpottedWaveform, WaveformEvidence],
    posterior: Posterior,
    expected: tuple[NDArray[np.float64], NDArray[np.float64] | None],
) -> WaveformVerdict:
    """Describe a waveform; ``expected`` are all nets' values, and the levels under its spot where edges are late."""
    (spotted, evidence), (best, late) = measured, expected
    levels = best[spotted.nets] if late is None else late
    fit = fit_levels(spotted.observation, Expectations(levels[None], spotted.spreads))
    toggles = bool(np.ptp(levels[0]) > 0)
    skew = _skew(problem, waveform, spotted, np.roll(best, spotted.axis.cycles, axis=1))
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


def _is_seen(spotted: Sequence[SpottedWaveform], suspects: Suspects, posterior: Posterior) -> bool:
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

"""Sessions with a dump of the good die in place of a netlist: each waveform is compared with its net's trace."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from analysis.localization.evidence import MISPLACED, WaveformEvidence
from analysis.localization.localizer import DOUBTFUL_ABOVE
from analysis.localization.posterior import faulty_probability_alone
from analysis.localization.problem import ProbedWaveform
from analysis.localization.time_axis import TimeAxis, likely_axes
from analysis.results import Localization, TimeOffset, WaveformVerdict
from analysis.waveforms.alignment import estimate_skew
from analysis.waveforms.comparison import (
    Observation,
    RatioPrior,
    fit_levels,
    log_evidence,
    observe,
    of_one_net,
    usual_ratio,
)
from analysis.waveforms.cycles import WaveformError, read_cycle_levels
from analysis.waveforms.quality import assess_quality
from instruments.records import DigitalTrace, ProbingSession

ANOTHER_NET = 0.1
"""How often a wrong waveform shows another net's values rather than none."""
SAMPLED_AT = 0.9
"""Where in a cycle the trace is read, as a part of the cycle: after it has settled."""


def compare_with_simulation(
    session: ProbingSession, waveforms: Sequence[ProbedWaveform], cycle_s: float
) -> Localization:
    """Return each waveform's probability of being wrong; without a netlist there are no candidates.

    Raises:
        WaveformError: a net is not in the dump, or a waveform cannot be compared.
    """
    cycles = cycles_of(session, cycle_s)
    values = {trace.name: bits for trace in session.simulation if (bits := _bits(trace, cycle_s, cycles)) is not None}
    observed = [_observe(waveform, values, cycle_s) for waveform in waveforms]
    expected = [(item.observation, item.expected[None].astype(np.uint8)) for item in observed]
    found = [_compare_on(axis, observed, values, cycle_s) for axis in likely_axes(expected, timed=False)]
    likeliest = max(found, key=lambda item: item.log_evidence)
    parts = softmax([item.log_evidence for item in found])
    verdicts = likeliest.verdicts
    wrong = max((verdict.p_faulty for verdict in verdicts), default=0.0)
    verdict = "no-fault" if wrong < DOUBTFUL_ABOVE else "ambiguous"
    offset = TimeOffset(likeliest.axis.cycles, float(parts.max()), float(parts[0]))
    return Localization(verdict, (), 0.0, wrong, verdicts, (), time_offset=offset)


def trace_values(session: ProbingSession, cycle_s: float, nets: Collection[str]) -> dict[str, NDArray[np.float64]]:
    """Return what each of ``nets`` does in the dump, 0 or 1 by cycle; a net without one two-valued trace is left out.

    Raises:
        WaveformError: the dump does not say how long a tick is.
    """
    cycles = cycles_of(session, cycle_s)
    values: dict[str, list[NDArray[np.float64]]] = {}
    for trace in session.simulation:
        net = next((net for net in nets if trace.name == net or trace.name.endswith(f".{net}")), None)
        bits = None if net is None else _bits(trace, cycle_s, cycles)
        if net is not None and bits is not None:
            values.setdefault(net, []).append(bits)
    return {net: found[0] for net, found in values.items() if len(found) == 1}


def cycles_of(session: ProbingSession, cycle_s: float) -> int:
    """Return the cycles of ``cycle_s`` seconds in the loop: as the session says, or as long as its dump is.

    Raises:
        WaveformError: neither says it.
    """
    given = session.document["stimulus"].get("cycles")
    if given:
        return int(given)
    ends = [
        (int(trace.ticks[-1]) + trace.initial_ticks_offset) * trace.timescale_s
        for trace in session.simulation
        if trace.ticks.size and trace.timescale_s is not None
    ]
    if not ends:
        raise WaveformError("the simulation does not say how long a tick is")
    return max(1, int(max(ends) / cycle_s))


def _bits(trace: DigitalTrace, cycle_s: float, cycles: int) -> NDArray[np.float64] | None:
    """Return the trace's value in each cycle, 0 or 1; ``None`` for vectors, reals, and unknown values."""
    if trace.width != 1 or trace.timescale_s is None or not trace.ticks.size:
        return None
    times = (trace.ticks + trace.initial_ticks_offset) * trace.timescale_s
    places = np.searchsorted(times, (np.arange(cycles) + SAMPLED_AT) * cycle_s, side="right") - 1
    texts = [trace.values[place] if place >= 0 else "x" for place in places]
    if any(text not in ("0", "1") for text in texts):
        return None
    return np.asarray([float(text) for text in texts])


@dataclass(frozen=True)
class _Observed:
    """A waveform, its levels, and its net's values in the dump: float64 of shape ``(cycles,)``."""

    waveform: ProbedWaveform
    observation: Observation
    expected: NDArray[np.float64]


def _observe(waveform: ProbedWaveform, values: dict[str, NDArray[np.float64]], cycle_s: float) -> _Observed:
    names = [name for name in values if name == waveform.net or name.endswith(f".{waveform.net}")]
    if len(names) != 1:
        raise WaveformError(f"the simulation has {len(names)} two-valued traces of the net {waveform.net}, not one")
    expected = values[names[0]]
    try:
        levels = read_cycle_levels(waveform.values, waveform.t0_s, waveform.dt_s, cycle_s, expected.size)
        return _Observed(waveform, observe(levels), expected)
    except WaveformError as error:
        raise WaveformError(f"the waveform on {waveform.net}: {error}") from error


@dataclass(frozen=True)
class _Compared:
    """All waveforms on one time axis, with the log evidence of the axis, its prior in it."""

    axis: TimeAxis
    verdicts: tuple[WaveformVerdict, ...]
    log_evidence: float


def _compare_on(
    axis: TimeAxis, observed: Sequence[_Observed], values: dict[str, NDArray[np.float64]], cycle_s: float
) -> _Compared:
    told = [replace(item, observation=item.observation.earlier(axis.cycles)) for item in observed]
    prior = usual_ratio([[fit_levels(item.observation, of_one_net(item.expected[None])).ratio] for item in told])
    weighed = [_weigh(item, values, prior) for item in told]
    verdicts = tuple(_describe(item, own, cycle_s, axis.cycles) for item, own in zip(told, weighed, strict=True))
    likelihood = sum(float(np.logaddexp(own.good, own.other)) for own in weighed)
    cycles = len(told[0].expected) if told else 1
    return _Compared(axis, verdicts, likelihood + axis.log_prior(cycles, timed=False))


def _weigh(item: _Observed, values: dict[str, NDArray[np.float64]], prior: RatioPrior) -> WaveformEvidence:
    """Weigh the net's own values against no signal at all and, seldom, against those of another net."""
    good = float(log_evidence(item.observation, of_one_net(item.expected[None]), prior)[0])
    others = [bits for bits in values.values() if not _same(bits, item.expected)]
    elsewhere = -np.inf
    if others:
        evidence = log_evidence(item.observation, of_one_net(np.stack(others)), prior)
        elsewhere = float(logsumexp(evidence) - np.log(evidence.size))
    mixed = float(np.logaddexp(np.log1p(-MISPLACED) + good, np.log(MISPLACED) + elsewhere))
    wrong = float(np.logaddexp(np.log1p(-ANOTHER_NET), np.log(ANOTHER_NET) + elsewhere))
    return WaveformEvidence(np.empty((0, 0)), mixed, elsewhere, wrong, np.empty(0, np.bool_))


def _describe(item: _Observed, evidence: WaveformEvidence, cycle_s: float, late_cycles: int) -> WaveformVerdict:
    waveform, expected = item.waveform, item.expected
    alone = faulty_probability_alone(evidence)
    fit = fit_levels(item.observation, of_one_net(expected[None]))
    timing, own = (waveform.t0_s, waveform.dt_s, cycle_s), np.roll(expected, late_cycles)
    skew = estimate_skew(waveform.values, *timing, own, acquisition=waveform.acquisition)
    return WaveformVerdict(
        net=waveform.net,
        p_faulty=alone,
        p_faulty_alone=alone,
        snr=min(fit.ratio, 1e9) if np.ptp(expected) > 0 else None,
        skew_s=skew.skew_s,
        skew_sigma_s=skew.sigma_s,
        delay=skew.detail,
        mixture=(),
        problems=assess_quality(waveform.values).problems,
    )


def _same(left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    """True when nothing but polarity differs."""
    return bool((left == right).all() or (left == 1 - right).all())

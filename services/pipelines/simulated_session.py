"""Sessions with a dump of the good die in place of a netlist: each waveform is compared with its net's trace."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.localization.evidence import MISPLACED, WaveformEvidence
from analysis.localization.localizer import ProbedWaveform
from analysis.localization.posterior import faulty_probability_alone
from analysis.results import LOCATED_ABOVE, Localization, NetWeight, WaveformVerdict
from analysis.waveforms.alignment import estimate_skew
from analysis.waveforms.comparison import broad_prior, fit_levels, log_evidence, observe, of_one_net
from analysis.waveforms.cycles import WaveformError, read_cycle_levels
from analysis.waveforms.quality import assess_quality
from instruments.records import DigitalTrace, ProbingSession

SAMPLED_AT = 0.9
"""Where in a cycle the trace is read, as a part of the cycle: after it has settled."""


def compare_with_simulation(
    session: ProbingSession, waveforms: Sequence[ProbedWaveform], cycle_s: float
) -> Localization:
    """Return each waveform's probability of being wrong; without a netlist there are no candidates.

    Raises:
        WaveformError: a net is not in the dump, or a waveform cannot be compared.
    """
    cycles = _cycles(session, cycle_s)
    values = {trace.name: bits for trace in session.simulation if (bits := _bits(trace, cycle_s, cycles)) is not None}
    verdicts = [_compare(waveform, values, cycle_s) for waveform in waveforms]
    wrong = max((verdict.p_faulty for verdict in verdicts), default=0.0)
    return Localization("no-fault" if wrong < 1 - LOCATED_ABOVE else "ambiguous", (), 0.0, wrong, tuple(verdicts), ())


def _cycles(session: ProbingSession, cycle_s: float) -> int:
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


def _compare(waveform: ProbedWaveform, values: dict[str, NDArray[np.float64]], cycle_s: float) -> WaveformVerdict:
    names = [name for name in values if name == waveform.net or name.endswith(f".{waveform.net}")]
    if len(names) != 1:
        raise WaveformError(f"the simulation has {len(names)} two-valued traces of the net {waveform.net}, not one")
    expected = values[names[0]]
    levels = read_cycle_levels(waveform.values, waveform.t0_s, waveform.dt_s, cycle_s, expected.size)
    observation, prior = observe(levels), broad_prior()
    good = float(log_evidence(observation, of_one_net(expected[None]), prior)[0])
    everything = log_evidence(observation, of_one_net(np.stack(list(values.values()))), prior)
    elsewhere = float(np.logaddexp(logsumexp(everything) - np.log(everything.size), 0.0) - np.log(2))
    mixed = float(np.logaddexp(np.log1p(-MISPLACED) + good, np.log(MISPLACED) + elsewhere))
    nothing = np.empty((0, 0))
    alone = faulty_probability_alone(WaveformEvidence(nothing, mixed, elsewhere, elsewhere, np.empty(0, np.bool_)))
    fit = fit_levels(observation, of_one_net(expected[None]))
    skew = estimate_skew(waveform.values, waveform.t0_s, waveform.dt_s, cycle_s, expected)
    return WaveformVerdict(
        net=waveform.net,
        p_faulty=alone,
        p_faulty_alone=alone,
        snr=min(fit.ratio, 1e9) if np.ptp(expected) > 0 else None,
        skew_s=skew.skew_s,
        skew_sigma_s=skew.sigma_s,
        mixture=(NetWeight(waveform.net, 1.0, 0.0),),
        problems=assess_quality(waveform.values).problems,
    )

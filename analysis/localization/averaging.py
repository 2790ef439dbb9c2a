"""When a probe has been averaged enough: a sequential test between all that the suspects say about its net.

Suspects that give the probed net the same changed cycles are one behaviour, however strongly, and whatever they do to
its neighbours; so are a good die and the suspects that leave the net alone. Behaviours have the weight that the fail
log and the probes before leave them, and the chance that the spot was on another net stands beside them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.circuits.defects import neighbour_pairs
from analysis.circuits.logic_simulation import unpack_patterns
from analysis.localization.evidence import ACTIVITIES, MISPLACED
from analysis.localization.mixture import Spot
from analysis.localization.priors import PRIOR_NO_FAULT, PRIOR_NO_FAULT_UNTESTED
from analysis.localization.problem import Problem
from analysis.localization.screening import screen
from analysis.localization.stimulation import stimulate
from analysis.localization.suspects import Suspects
from analysis.waveforms.comparison import Expectations, RatioPrior
from analysis.waveforms.confidence_sequence import Interval, bound_ratio, bound_swing
from analysis.waveforms.cycles import WaveformError, levels_within, read_cycle_levels
from analysis.waveforms.edges import Record
from analysis.waveforms.repeats import RepeatedLevels, begin_repeats
from analysis.waveforms.sequential_test import Alternatives, Decision, broad_ratios, decide, ratios_around

WRONG = 0.02
"""Most probability of a wrong decision."""
INTERVAL_MISSES = 0.05
"""Most probability that an interval ever misses, over all looks."""
NOT_WORTH = 16.0
"""Times the repeats taken so far, from which on a decision is not worth its averages."""
LATE_PARTS = (0.25, 0.5, 0.75, 1.0)
"""Parts of a level that a late edge may spoil, one as likely as another."""
MOST_ROWS = 4000
"""Hypotheses that are kept, likeliest first."""
MOST_ELSEWHERE = 256
UNLIKELY_FIT = 1e-4
"""Probability of what the likeliest hypothesis leaves of the mean, below which that is no noise."""
UNEXPLAINED_PART = 0.1
"""What it may leave all the same, as a part of what it explains."""
MOST_NAMED = 5
LEAST_KNOWN = 2
"""Earlier probes with a signal from which on their ratio is taken as usual."""
DECIDED, UNDECIDED, NOT_WORTH_IT, UNEXPLAINED = "decided", "undecided", "not-worth-it", "unexplained"
_FORGOTTEN = 1e-7


@dataclass(frozen=True)
class RepeatedProbe:
    """A probed net with the repeats of its waveform in the order in which they were taken, and where the beam was."""

    net: str
    repeats: Sequence[Record]
    spot: Spot | None = None


@dataclass(frozen=True)
class Behaviour:
    """What the net may do.

    Attributes:
        faults: the likeliest suspects that make it do so, each by its gate's output net and what it is, at most
            :data:`MOST_NAMED`; empty where it does what it should.
        changed_cycles: cycles in which it does not do what it should.
        posterior: probability after all repeats.
    """

    faults: tuple[str, ...]
    changed_cycles: int
    posterior: float


@dataclass(frozen=True)
class AveragingState:
    """Whether a probe needs more averages.

    Attributes:
        net: the probed net.
        status: ``decided``; ``undecided``: average on; ``not-worth-it``: the likeliest behaviours hardly differ here,
            probe another net; ``unexplained``: no hypothesis explains the mean of the repeats, more of them will not.
        repeats, needed: repeats taken, and those after which the decision was there; ``None`` without one.
        as_simulated: probability that the net does what it should.
        elsewhere: probability that the spot was on another net.
        behaviours: likeliest first; at most :data:`MOST_NAMED`.
        to_go: expected further repeats until the decision; infinite where nothing separates the likeliest.
        p_fit, left: how well the likeliest hypothesis fits, see :class:`~analysis.waveforms.sequential_test.Fit`;
            ``None`` for one repeat.
        swing, ratio: of the net in the waveform's unit, and over the noise of a cycle in the mean of the repeats, each
            within an interval that holds at every look; ``None`` where the net does not change.
        left_out: probability of hypotheses that were too many to be kept.
    """

    net: str
    status: str
    repeats: int
    needed: int | None
    as_simulated: float
    elsewhere: float
    behaviours: tuple[Behaviour, ...]
    to_go: float
    p_fit: float | None
    left: float | None
    swing: Interval | None
    ratio: Interval | None
    left_out: float


@dataclass(frozen=True)
class _Rows:
    """Hypotheses about the nets under one spot: the rows of ``expected``.

    ``owners`` has the suspects of each row, ``-1`` for the good die, none for other nets; ``behaviours`` names the
    classes: class 0 is as simulated, the last is elsewhere.
    """

    alternatives: Alternatives
    owners: list[NDArray[np.int64]]
    changed: list[int]
    left_out: float


def judge_averaging(problem: Problem, probes: Sequence[RepeatedProbe], wrong: float = WRONG) -> list[AveragingState]:
    """Return for each of ``probes`` of ``problem``, in the order of probing, whether it needs more averages.

    ``wrong`` is the most probability of a wrong decision, given that one of the hypotheses is true. The waveforms of
    ``problem`` do not count; every probe is judged in the light of the fail log and the probes before.

    Raises:
        WaveformError: a net is unknown, or a repeat cannot be read by cycles.
        ValueError: ``wrong`` is not between 0 and 0.5.
    """
    stimulated = stimulate(problem.circuit, problem.patterns)
    screening = screen(stimulated, problem.fails, neighbour_pairs(problem.circuit, problem.places_um))
    suspects = screening.suspects
    good = PRIOR_NO_FAULT if problem.fails is not None else PRIOR_NO_FAULT_UNTESTED
    weights = np.append(logsumexp(suspects.scores, axis=1) + math.log1p(-good), math.log(good) + screening.no_fault)
    states: list[AveragingState] = []
    for probe in probes:
        repeats = _add_up(problem, probe)
        nets, spreads = _under_spot(problem, probe)
        rows = _lay_out(suspects, weights - logsumexp(weights), nets, spreads)
        alternatives = replace(rows.alternatives, ratios=_usual_ratios(states))
        decision = decide(repeats, alternatives, wrong)
        states.append(_state(problem, suspects, (probe, repeats[-1]), rows, decision))
        weights = _weigh(weights, rows, decision)
    return states


def _usual_ratios(states: Sequence[AveragingState]) -> RatioPrior:
    """Return the prior of the next probe's ratio: around those of the probes before whose nets showed."""
    known = [
        state.ratio.estimate / math.sqrt(state.repeats)
        for state in states
        if state.ratio is not None and state.ratio.low > 0
    ]
    if len(known) < LEAST_KNOWN:
        return broad_ratios()
    return ratios_around(float(np.clip(np.median(known), *broad_ratios().ratios[[0, -1]])))


def _add_up(problem: Problem, probe: RepeatedProbe) -> list[RepeatedLevels]:
    """Return the repeats after each look; all are read over the part of a cycle that is settled in their mean."""
    if probe.net not in problem.circuit.number:
        raise WaveformError(f"a waveform was probed on {probe.net}, a net that the circuit does not have")
    first = probe.repeats[0] if probe.repeats else None
    if first is None or any(each.values.shape != first.values.shape for each in probe.repeats):
        raise WaveformError(f"the repeats on {probe.net} differ in length; they are no repeats of one loop")
    if any((each.t0_s, each.dt_s) != (first.t0_s, first.dt_s) for each in probe.repeats):
        raise WaveformError(f"the repeats on {probe.net} differ in their time axis")
    cycles = len(problem.patterns)
    mean = np.mean([each.values for each in probe.repeats], axis=0)
    window = read_cycle_levels(mean, first.t0_s, first.dt_s, problem.cycle_s, cycles).window
    read = [levels_within(each, problem.cycle_s, cycles, window) for each in probe.repeats]
    states = [begin_repeats(read[0].covered)]
    for levels in read:
        states.append(states[-1].add(levels))
    if not states[-1].power > 0:
        raise WaveformError(f"the waveform on {probe.net} has the same level in every cycle, without any noise")
    return states[1:]


def _under_spot(problem: Problem, probe: RepeatedProbe) -> tuple[list[int], NDArray[np.float64]]:
    number = problem.circuit.number
    near = [(number[net], part) for net, part in problem.layout.neighbours(probe.net, probe.spot) if net in number]
    return [number[probe.net], *(net for net, _ in near)], np.asarray([part for _, part in near], np.float64)


def _lay_out(suspects: Suspects, weights: NDArray[np.float64], nets: list[int], spreads: NDArray[np.float64]) -> _Rows:
    """Return what each suspect, with its log weight, and a good die (the last weight) do to ``nets``."""
    stimulated = suspects.stimulated
    good = stimulated.bits[nets].astype(np.float64)
    changes = np.concatenate([np.zeros((1, len(nets), stimulated.good.shape[1]), np.uint64), suspects.simulate(nets)])
    late = np.concatenate([[False], suspects.late])
    flat = np.concatenate([late[:, None], changes.reshape(len(changes), -1)], axis=1)
    _, first, group = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    joint = np.concatenate([weights[-1:], weights[:-1]])
    choices = [
        (share, int(first[place]), part, members - 1)
        for place, members in enumerate(_members(group.reshape(-1), len(first)))
        for part, share in _parts(suspects, joint, members, late=bool(late[first[place]]))
    ]
    choices.sort(key=lambda choice: -choice[0])
    kept = [choice for choice in choices[:MOST_ROWS] if choice[0] > math.log(_FORGOTTEN)]
    values = [
        good + part * (np.abs(good - unpack_patterns(changes[example], stimulated.cycles)) - good)
        for _, example, part, _ in kept
    ]
    unchanged = changes[0, 0].tobytes()
    keys = [changes[example, 0].tobytes() for _, example, _, _ in kept]
    names = {key: number for number, key in enumerate(dict.fromkeys([unchanged, *keys]))}
    prior = np.asarray([choice[0] for choice in kept])
    others = _elsewhere(stimulated.bits, good.shape)
    mixed = np.concatenate(
        [
            prior - logsumexp(prior) + math.log1p(-MISPLACED),
            np.full(len(others), math.log(MISPLACED / len(others))),
        ]
    )
    classes = np.asarray([*(names[key] for key in keys), *([len(names)] * len(others))], np.int64)
    expected = Expectations(np.concatenate([np.stack(values), others]), spreads)
    return _Rows(
        Alternatives(expected, mixed, classes, good),
        [members for _, _, _, members in kept],
        [int(np.bitwise_count(changes[example, 0]).sum()) for _, example, _, _ in kept],
        max(0.0, 1 - float(np.exp(logsumexp(prior)))),
    )


def _members(group: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """Return the places of each of ``count`` groups."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.searchsorted(group[order], np.arange(1, count)))


def _parts(
    suspects: Suspects, joint: NDArray[np.float64], members: NDArray[np.int64], *, late: bool
) -> list[tuple[float, float]]:
    """Return the parts of the time in which ``members`` are active, each with its log weight; 0 is the good die."""
    if late:
        total = float(logsumexp(joint[members]))
        return [(part, total - math.log(len(LATE_PARTS))) for part in LATE_PARTS]
    own = members[members > 0]
    scores = suspects.scores[own - 1]
    each = scores - logsumexp(scores, axis=1, keepdims=True) + joint[own, None]
    shares = np.asarray(logsumexp(each, axis=0), np.float64) if own.size else np.full(len(ACTIVITIES), -np.inf)
    if members[0] == 0:
        shares[0] = np.logaddexp(shares[0], joint[0])
    return [(part, float(share)) for part, share in zip(ACTIVITIES, shares, strict=True)]


def _elsewhere(every: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return what a spot on another net would see, without neighbours: float64 of shape ``(nets, *shape)``."""
    distinct = np.unique(every, axis=0)
    others = distinct[:: max(1, -(-len(distinct) // MOST_ELSEWHERE))].astype(np.float64)
    result = np.zeros((len(others), *shape))
    result[:, 0] = others
    return result


def _weigh(weights: NDArray[np.float64], rows: _Rows, decision: Decision) -> NDArray[np.float64]:
    """Return the log weights of suspects and good die after the probe; a spot elsewhere says nothing about them."""
    gain = np.full(weights.size, -np.inf)
    likelihood = decision.log_joint - rows.alternatives.log_prior
    kept = len(rows.owners)
    elsewhere = float(logsumexp(likelihood[kept:])) - math.log(likelihood.size - kept)
    for place, owners in enumerate(rows.owners):
        gain[owners] = np.logaddexp(gain[owners], likelihood[place] + rows.alternatives.log_prior[place])
    prior = np.full(weights.size, -np.inf)
    for place, owners in enumerate(rows.owners):
        prior[owners] = np.logaddexp(prior[owners], rows.alternatives.log_prior[place])
    known = np.isfinite(prior)
    own = np.where(known, gain - np.where(known, prior, 0.0), -np.inf)
    return np.asarray(weights + np.logaddexp(math.log1p(-MISPLACED) + own, math.log(MISPLACED) + elsewhere), np.float64)


def _state(
    problem: Problem,
    suspects: Suspects,
    measured: tuple[RepeatedProbe, RepeatedLevels],
    rows: _Rows,
    decision: Decision,
) -> AveragingState:
    probe, repeats = measured
    kept, best = len(rows.owners), decision.best
    on_net = best < kept
    values = rows.alternatives.expected.values[best]
    return AveragingState(
        net=probe.net,
        status=_status(decision),
        repeats=decision.repeats,
        needed=decision.needed,
        as_simulated=float(decision.posterior[0]),
        elsewhere=float(decision.posterior[-1]),
        behaviours=_behaviours(problem, suspects, rows, decision),
        to_go=decision.to_go,
        p_fit=None if decision.fit is None else decision.fit.probability,
        left=None if decision.fit is None else decision.fit.left,
        swing=bound_swing(repeats, values, INTERVAL_MISSES) if on_net else None,
        ratio=bound_ratio(repeats, values, INTERVAL_MISSES) if on_net else None,
        left_out=rows.left_out,
    )


def _status(decision: Decision) -> str:
    fit = decision.fit
    if fit is not None and fit.probability < UNLIKELY_FIT and fit.left > UNEXPLAINED_PART:
        return UNEXPLAINED
    if decision.decided is not None and decision.decided == int(np.argmax(decision.posterior)):
        return DECIDED
    return NOT_WORTH_IT if decision.to_go > NOT_WORTH * decision.repeats else UNDECIDED


def _behaviours(problem: Problem, suspects: Suspects, rows: _Rows, decision: Decision) -> tuple[Behaviour, ...]:
    """Return the likeliest behaviours on the net, with the suspects that weigh most in each."""
    classes = rows.alternatives.classes[: len(rows.owners)]
    found = []
    for number in np.argsort(-decision.posterior[:-1], kind="stable")[:MOST_NAMED]:
        places = np.flatnonzero(classes == number)
        if not places.size or not decision.posterior[number] > _FORGOTTEN:
            continue
        ranked = places[np.argsort(-decision.log_joint[places], kind="stable")]
        members = np.concatenate([rows.owners[place] for place in ranked])
        scores = logsumexp(suspects.scores, axis=1)
        members = np.asarray(list(dict.fromkeys(members[members >= 0].tolist())), np.int64)
        likely = members[np.argsort(-scores[members], kind="stable")][:MOST_NAMED]
        names = tuple(_name(problem, suspects, int(place)) for place in likely) if number else ()
        found.append(Behaviour(names, rows.changed[ranked[0]], float(decision.posterior[number])))
    return tuple(found)


def _name(problem: Problem, suspects: Suspects, place: int) -> str:
    defect = suspects.defects[place]
    return f"{problem.circuit.nets[defect.net]} {defect.describe(problem.circuit)}"

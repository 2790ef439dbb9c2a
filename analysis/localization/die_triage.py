"""Many dies of one product from their fail logs alone: what each is suspected of, and which nets recur.

For each die the posterior that the localizer begins with, over the hypotheses that need no simulation of their own
die by die: static single faults and weak opens, no fault, and a defect outside of these. Delay faults, bridges and
pairs of faults, which the localizer simulates for a die, count as outside here, so that their prior is with it. Half of
them look like a fault bit by bit, as the localizer has what it does not simulate; the other half show through one net
in some cycles, as an intermittent fault there does, so that such a fault alone is not told from them.
Predictions are compared by :mod:`analysis.circuits.die_batches`, in integers, so that a card gives the same answer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.circuits.die_batches import FaultDictionary
from analysis.circuits.faults import Fault
from analysis.circuits.logic_simulation import Words, pack_patterns, pattern_mask, unpack_patterns
from analysis.circuits.netlist import Circuit, CircuitError
from analysis.circuits.regions import extract_region, suspects_of
from analysis.localization.confinement import MOST_GATES
from analysis.localization.evidence import (
    ACTIVITIES,
    FAIL_COLUMNS,
    FailCounts,
    fail_evidence,
    no_fault_fail_evidence,
    relayed_fail_evidence,
    resembling_fail_evidence,
)
from analysis.localization.priors import ACTIVITY_PRIOR, CLASS_PRIORS, PRIOR_NO_FAULT, PRIORS
from analysis.localization.recurrence import Recurrence, find_recurrences
from analysis.localization.stimulation import Stimulated, stimulate
from analysis.results import LOCATED_ABOVE

OUTSIDE = float(np.log(sum(CLASS_PRIORS[name] for name in ("unmodelled", "late", "path", "bridge", "double"))))
"""Log prior of a defect that is no static single fault and no weak open."""
MOST_SUSPECTS = 20
"""Sites of a die that are told."""
CREDIBLE = 0.95
PREDICTED_BYTES = {"cpu": 32 << 20, "cuda": 2 << 30}
"""What the predictions that are held at once may take."""
BLOCK_BYTES = 512 << 20
"""What the evidence for each net of the dies that are weighed together may take."""
_BYTES_OF_A_NET = 48
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class SuspectSite:
    """A suspect of one die.

    Attributes:
        net: the site.
        fault: its likeliest fault there, and ``activity`` the part of the loops in which that is active.
        posterior: probability of the site, all its single faults and opens together.
        resembling: probability of a defect of another sort that looks most like a fault of this site.
    """

    net: str
    fault: str
    activity: float
    posterior: float
    resembling: float


@dataclass(frozen=True)
class TriagedDie:
    """One die by its fail log.

    Attributes:
        verdict: ``located``, ``ambiguous``, ``unmodelled``, ``no-fault``, or ``no-fails`` where the log is empty.
        suspects: likeliest first, at most :data:`MOST_SUSPECTS`.
        no_fault, unmodelled: probability that the die is good, and of a defect of another sort.
        bits: entropy of the posterior over sites, no fault and unmodelled.
        credible_sites: least number of sites that hold 95 % of what is not no fault, resembling ones included.
        failing_bits, failing_cycles: of its log.
    """

    verdict: str
    suspects: tuple[SuspectSite, ...]
    no_fault: float
    unmodelled: float
    bits: float
    credible_sites: int
    failing_bits: int
    failing_cycles: int


_PASSING = TriagedDie("no-fails", (), 0.0, 0.0, 0.0, 0, 0, 0)


@dataclass(frozen=True)
class Triage:
    """A batch.

    Attributes:
        dies: in the order of their logs.
        recurrences: nets that recur more often than random defects make them, surest first; their ``members`` are of
            ``failing``, places in ``dies``, and their nets places in ``nets``.
        failing: int64, the dies with a failing bit.
        nets: names.
        nets_asked: how many nets random defects can be at.
    """

    dies: tuple[TriagedDie, ...]
    recurrences: tuple[Recurrence, ...]
    failing: NDArray[np.int64]
    nets: tuple[str, ...]
    nets_asked: int


@dataclass(frozen=True)
class _Hypotheses:
    """The faults, those of a net together, with their classes: ``kinds`` names ``kind`` (int64 of ``(faults,)``)."""

    faults: list[Fault]
    nets: NDArray[np.int64]
    kind: NDArray[np.int64]
    kinds: tuple[str, ...]

    @property
    def static(self) -> NDArray[np.bool_]:
        """Which of :attr:`kinds` are static."""
        return np.asarray([not kind.startswith("open") for kind in self.kinds], np.bool_)

    def shares(self, reached: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the log prior of one fault of each kind, its class's included, among those at ``reached`` nets.

        Each kind of a class is as likely as another, and so is each fault of a kind, as the localizer has it.
        """
        counts = np.bincount(self.kind[reached[self.nets]], minlength=len(self.kinds))
        static, some = self.static, counts > 0
        result = np.full(len(self.kinds), -np.inf)
        for own, name in ((static & some, "static"), (~static & some, "open")):
            result[own] = PRIORS[name] - np.log(own.sum() * counts[own])
        return result


@dataclass
class _Weighed:
    """Log evidence with its prior for each net of some dies, float64 of shape ``(dies, nets)``.

    ``own`` is of single faults and opens there, ``alike`` of what resembles them, ``best`` of the likeliest of them,
    which is the fault number ``which`` with the activity number ``activity``; ``chance`` is of own and alike under the
    prior of all nets, ``prior`` (``(nets,)``) that prior, of detected faults.
    """

    own: NDArray[np.float64]
    alike: NDArray[np.float64]
    best: NDArray[np.float64]
    which: NDArray[np.int32]
    activity: NDArray[np.int8]
    chance: NDArray[np.float64]
    prior: NDArray[np.float64]


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def triage_dies(
    circuit: Circuit,
    patterns: NDArray[np.uint8],
    logs: Words,
    device: torch.device,
    false_discovery_rate: float = 0.05,
    progress: Progress = _silent,
) -> Triage:
    """Return what each of many dies of ``circuit`` is suspected of, and which nets recur.

    ``circuit`` is in full-scan view, ``patterns`` uint8 0/1 of shape ``(cycles, inputs)``, ``logs`` the failing bits,
    packed: uint64 of shape ``(dies, outputs, words)``. A large circuit is cut to what reaches the outputs that fail in
    some die. ``device`` is of :func:`analysis.device.choose_device`; every one gives the same answer.
    ``false_discovery_rate`` is of the recurring nets; ``progress`` is called with a fraction (0..1) and a message.

    Raises:
        CircuitError: the logs do not fit the circuit and its patterns.
    """
    mask = pattern_mask(len(patterns))
    if logs.ndim != 3 or logs.shape[1:] != (len(circuit.outputs), len(mask)):
        fitting = (len(circuit.outputs), len(mask))
        raise CircuitError(f"fail logs of shape {logs.shape} do not fit (dies, outputs, words) of {fitting}")
    logs = logs & mask
    failing = np.flatnonzero(logs.any(axis=(1, 2)))
    if len(circuit.gates) > MOST_GATES and failing.size:
        reached = [circuit.outputs[place] for place in np.flatnonzero(logs.any(axis=(0, 2)))]
        region = extract_region(circuit, suspects_of(circuit, reached, np.empty((0, 2), np.int64)), [])
        circuit, patterns = region.circuit, region.stimulus(circuit, patterns)
        logs = np.ascontiguousarray(logs[:, region.outputs])
    stimulated = stimulate(circuit, patterns)
    hypotheses = _list_hypotheses(stimulated)
    reach = _reach_of_outputs(circuit)
    size = max(1, BLOCK_BYTES // (_BYTES_OF_A_NET * len(circuit.nets)))
    found: dict[int, TriagedDie] = {}
    factors = np.empty((len(failing), len(circuit.nets)))
    prior = np.zeros(len(circuit.nets))
    for first in range(0, len(failing), size):
        some = failing[first : first + size]
        weighed = _weigh(stimulated, patterns, hypotheses, (logs[some], _reached(reach, logs[some])), device, progress)
        prior = np.exp(weighed.prior - logsumexp(weighed.prior))
        factors[first : first + size] = _factors(weighed.chance, prior)
        for row, die in enumerate(some.tolist()):
            found[die] = _judge(circuit, hypotheses, weighed, row, unpack_patterns(logs[die], len(patterns)))
    progress(0.95, "looking for nets that recur")
    return Triage(
        dies=tuple(found.get(die, _PASSING) for die in range(len(logs))),
        recurrences=find_recurrences(factors, prior, false_discovery_rate),
        failing=failing,
        nets=circuit.nets,
        nets_asked=int((prior > 0).sum()),
    )


def _list_hypotheses(stimulated: Stimulated) -> _Hypotheses:
    faults = sorted([*stimulated.static_faults, *stimulated.opens], key=lambda fault: fault.net)
    kinds = tuple(dict.fromkeys(fault.kind for fault in faults))
    number = {kind: place for place, kind in enumerate(kinds)}
    nets = np.asarray([fault.net for fault in faults], np.int64)
    return _Hypotheses(faults, nets, np.asarray([number[fault.kind] for fault in faults], np.int64), kinds)


def _reach_of_outputs(circuit: Circuit) -> Words:
    """Return which outputs each net reaches, a bit for each: uint64 of shape ``(nets, words)``."""
    own = np.zeros((len(circuit.outputs), len(circuit.outputs)), np.uint8)
    np.fill_diagonal(own, 1)
    reach = np.zeros((len(circuit.nets), -(-len(circuit.outputs) // 64)), np.uint64)
    reach[list(circuit.outputs)] = pack_patterns(own)
    for net, pins in zip(reversed(circuit.drives), reversed(circuit.fan_in), strict=True):
        for pin in set(pins):
            reach[pin] |= reach[net]
    return reach


def _reached(reach: Words, logs: Words) -> NDArray[np.bool_]:
    """Return which nets reach a failing output of each die, bool of shape ``(dies, nets)``."""
    failing = pack_patterns(np.ascontiguousarray(logs.any(axis=2).T.astype(np.uint8)))
    return np.stack([(reach & outputs).any(axis=1) for outputs in failing])


def _chunks(nets: NDArray[np.int64], bytes_of_one: int, device: torch.device) -> Iterator[slice]:
    """Yield slices of faults that fit, never parting those of a net."""
    most = max(1, PREDICTED_BYTES[device.type] // max(1, bytes_of_one))
    first = 0
    while first < len(nets):
        last = min(len(nets), first + most)
        if last < len(nets):
            begin = int(np.searchsorted(nets, nets[last]))
            last = begin if begin > first else int(np.searchsorted(nets, nets[last], side="right"))
        yield slice(first, last)
        first = last


def _weigh(
    stimulated: Stimulated,
    patterns: NDArray[np.uint8],
    hypotheses: _Hypotheses,
    dies: tuple[Words, NDArray[np.bool_]],
    device: torch.device,
    progress: Progress,
) -> _Weighed:
    """Weigh every hypothesis for the ``dies``, which are their logs and the nets that reach what fails in each."""
    logs, reached = dies
    shape = (len(logs), len(stimulated.circuit.nets))
    own, alike, best, chance = (np.full(shape, -np.inf) for _ in range(4))
    which, activity = np.zeros(shape, np.int32), np.zeros(shape, np.int8)
    weighed = _Weighed(own, alike, best, which, activity, chance, np.full(shape[1], -np.inf))
    stimulus = pack_patterns(patterns)
    every = hypotheses.shares(np.ones(shape[1], np.bool_))
    shares = [hypotheses.shares(row) for row in reached]
    for chunk in _chunks(hypotheses.nets, 8 * logs[0].size, device):
        progress(0.9 * chunk.start / len(hypotheses.faults), "comparing fail logs with faults")
        dictionary = FaultDictionary(stimulated.circuit, stimulus, stimulated.mask, hypotheses.faults[chunk], device)
        detected = dictionary.detected
        _add_prior(weighed, hypotheses, chunk, every, detected)
        for row in range(len(logs)):
            rows = np.flatnonzero(reached[row][hypotheses.nets[chunk]])
            if rows.size:
                fails = _fail_counts(dictionary.count(logs[row], rows), logs[row], stimulated)
                suspects = _Own(row, rows + chunk.start, detected[rows], shares[row], every)
                _add_evidence(weighed, hypotheses, suspects, fails)
    return weighed


def _fail_counts(counts: NDArray[np.int64], log: Words, stimulated: Stimulated) -> FailCounts:
    columns = dict(zip(FAIL_COLUMNS, counts, strict=True))
    return FailCounts(**columns, bits=stimulated.cycles * len(log), observed=int(np.bitwise_count(log).sum()))


def _add_prior(
    weighed: _Weighed,
    hypotheses: _Hypotheses,
    chunk: slice,
    every: NDArray[np.float64],
    detected: NDArray[np.bool_],
) -> None:
    """Add the prior of the faults of ``chunk`` that are ``detected``, what resembles them included."""
    kind, nets = hypotheses.kind[chunk][detected], hypotheses.nets[chunk][detected]
    if not nets.size:
        return
    own = every[kind]
    both = np.where(hypotheses.static[kind], np.logaddexp(own, own + OUTSIDE - PRIORS["static"]), own)
    sites, starts = np.unique(nets, return_index=True)
    weighed.prior[sites] = np.logaddexp.reduceat(both, starts)


@dataclass(frozen=True)
class _Own:
    """The faults at ``places`` in one die, the number ``row``, which are its suspects, and their priors by kind."""

    row: int
    places: NDArray[np.int64]
    detected: NDArray[np.bool_]
    shares: NDArray[np.float64]
    every: NDArray[np.float64]


def _add_evidence(weighed: _Weighed, hypotheses: _Hypotheses, own: _Own, counts: FailCounts) -> None:
    row, kind, nets = own.row, hypotheses.kind[own.places], hypotheses.nets[own.places]
    evidence = fail_evidence(counts) + np.log(ACTIVITY_PRIOR)
    whole = logsumexp(evidence, axis=1)
    looks = np.logaddexp(resembling_fail_evidence(counts), relayed_fail_evidence(counts)) - np.log(2)
    # No prior share: weak opens have nothing that resembles them.
    looks = np.where(hypotheses.static[kind], looks + OUTSIDE - PRIORS["static"], -np.inf)
    sites, starts = np.unique(nets, return_index=True)
    share = own.shares[kind]
    weighed.own[row, sites] = np.logaddexp.reduceat(whole + share, starts)
    weighed.alike[row, sites] = np.logaddexp.reduceat(looks + share, starts)
    random = np.where(own.detected, np.logaddexp(whole, looks) + own.every[kind], -np.inf)
    weighed.chance[row, sites] = np.logaddexp.reduceat(random, starts)
    likely = np.logaddexp(evidence.max(axis=1), looks) + share
    best = np.maximum.reduceat(likely, starts)
    first = np.flatnonzero(likely == np.repeat(best, np.diff([*starts, len(nets)])))
    _, chosen = np.unique(nets[first], return_index=True)
    weighed.best[row, sites] = best
    weighed.which[row, sites] = own.places[first[chosen]]
    weighed.activity[row, sites] = evidence.argmax(axis=1)[first[chosen]]


def _factors(chance: NDArray[np.float64], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many times likelier each log is with its defect at each net than with a random one."""
    parts: NDArray[np.float64] = np.exp(chance - logsumexp(chance, axis=1, keepdims=True))
    return np.asarray(np.divide(parts, prior, out=np.zeros_like(parts), where=prior > 0), np.float64)


def _judge(
    circuit: Circuit, hypotheses: _Hypotheses, weighed: _Weighed, row: int, log: NDArray[np.uint8]
) -> TriagedDie:
    """Normalise the posterior of one die and say what it means; ``log`` is uint8 0/1 of ``(outputs, cycles)``."""
    bits, observed = log.size, int(log.sum())
    none = np.zeros(0, np.int64)
    stray = no_fault_fail_evidence(FailCounts(none, none, none, none, none, none, bits, observed))
    no_fault = float(np.log(PRIOR_NO_FAULT)) + stray
    own = weighed.own[row] + np.log1p(-PRIOR_NO_FAULT)
    alike = weighed.alike[row] + np.log1p(-PRIOR_NO_FAULT)
    total = logsumexp(np.concatenate([own, alike, [no_fault]]))
    mass, resembling, good = np.exp(own - total), np.exp(alike - total), float(np.exp(no_fault - total))
    suspicion = mass + resembling
    order = np.argsort(-suspicion, kind="stable")
    suspects = tuple(
        SuspectSite(
            net=circuit.nets[net],
            fault=hypotheses.faults[weighed.which[row, net]].describe(circuit),
            activity=ACTIVITIES[int(weighed.activity[row, net])],
            posterior=min(1.0, float(mass[net])),
            resembling=float(resembling[net]),
        )
        for net in order[:MOST_SUSPECTS].tolist()
        if suspicion[net] > 0
    )
    unmodelled = min(1.0, float(resembling.sum()))
    within = np.cumsum(suspicion[order]) < CREDIBLE * suspicion.sum()
    return TriagedDie(
        verdict=_verdict(suspects, good, unmodelled),
        suspects=suspects,
        no_fault=good,
        unmodelled=unmodelled,
        bits=_entropy_bits(np.concatenate([mass, [good, unmodelled]])),
        credible_sites=int(within.sum()) + 1,
        failing_bits=observed,
        failing_cycles=int(log.any(axis=0).sum()),
    )


def _verdict(suspects: Sequence[SuspectSite], no_fault: float, unmodelled: float) -> str:
    if suspects and suspects[0].posterior >= LOCATED_ABOVE:
        return "located"
    if no_fault >= LOCATED_ABOVE:
        return "no-fault"
    return "unmodelled" if unmodelled >= 0.5 else "ambiguous"


def _entropy_bits(probabilities: NDArray[np.float64]) -> float:
    some = probabilities[probabilities > 0]
    return max(0.0, float(-(some * np.log2(some)).sum()))

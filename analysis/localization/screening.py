"""From a fail log to suspects: single faults, bridges of neighbours and pairs of faults, without the hopeless ones.

Single location at a time, softly (Bartenstein et al., ITC 2001): nets that do not reach a failing output are never
simulated, a fault is a flip of its net in the patterns in which its gate is wrong, and what scores far below the best
is dropped before any waveform is weighed.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.circuits.defects import BRIDGE_KINDS, Bridge, DoubleFault, bridge_errors, complementary
from analysis.circuits.faults import Fault
from analysis.circuits.logic_simulation import Words, pack_patterns
from analysis.circuits.netlist import fan_in_cone
from analysis.circuits.propagation import propagate_flips
from analysis.localization.evidence import (
    ACTIVITIES,
    FAIL_COLUMNS,
    FailCounts,
    byzantine_evidence,
    count_fails,
    fail_evidence,
    no_fault_fail_evidence,
    resembling_fail_evidence,
)
from analysis.localization.late_screening import SOME_LATE, screen_delay_faults
from analysis.localization.late_suspects import KEPT, usual_settings
from analysis.localization.priors import PRIORS, bridge_prior, double_prior, fault_prior, shared_prior
from analysis.localization.stimulation import Shelf, Stimulated
from analysis.localization.suspects import Suspects, join, table_of, unset

HOPELESS = 25.0
"""Log evidence behind the best from which a suspect is dropped."""
MOST_SUSPECTS = 3000
LEAST_RESEMBLING = 40
"""Suspects that are kept for their resemblance alone, however poor."""
MOST_FIRST, MOST_SECOND = 48, 12
"""Faults that pairs begin with, and partners that each gets."""
BRIDGED = 0.9
"""Part of the failing patterns in which the nets of a bridge must differ."""
_SITES = 64
FLIP_BYTES, FAULT_BYTES = 256 << 20, 32 << 20
"""Memory that flips of nets at all outputs, and what faults predict there, may take at once."""
MOST_DOUBLES = 2000
"""Pairs of faults that are tried at most."""


@dataclass(frozen=True)
class Screening:
    """What the fail log leaves.

    Attributes:
        suspects: hypotheses with their scores.
        no_fault: log likelihood of the fail log for a good die; 0 without a log.
    """

    suspects: Suspects
    no_fault: float


@dataclass(frozen=True)
class _Singles:
    """Every single fault that can matter: its errors, how it meets the fail log, and where it does so to the bit."""

    faults: list[Fault]
    errors: Words
    counts: FailCounts
    exact: Words
    conflicting: Words
    touched: Words


_SHELF: Shelf[Screening] = Shelf(4)


def screen(stimulated: Stimulated, fails: NDArray[np.bool_] | None, pairs: NDArray[np.int64]) -> Screening:
    """Return the suspects that ``fails`` leave of ``stimulated``, from the shelf where it was asked before.

    ``fails`` is bool of shape ``(cycles, outputs)`` or ``None`` where there is no log; ``pairs`` are the nets that a
    bridge may join, int64 of shape ``(pairs, 2)``.
    """
    log = b"" if fails is None else np.packbits(fails).tobytes()
    key = f"{stimulated.key}:{fails is None}:{hashlib.sha256(log + pairs.tobytes()).hexdigest()}"
    return _SHELF.take(key, lambda: _screen(stimulated, fails, pairs))


def _screen(stimulated: Stimulated, fails: NDArray[np.bool_] | None, pairs: NDArray[np.int64]) -> Screening:
    if fails is None:
        return Screening(_unscreened(stimulated), 0.0)
    observed = pack_patterns(fails.astype(np.uint8))
    outputs = list(stimulated.circuit.outputs)
    failing = [net for net, seen in zip(outputs, observed, strict=True) if seen.any()]
    reach = fan_in_cone(stimulated.circuit, failing) if failing else np.ones(len(stimulated.circuit.nets), np.bool_)
    static = [fault for fault in stimulated.static_faults if reach[fault.net]]
    late = [fault for fault in stimulated.delay_faults if reach[fault.net]]
    singles = _count_singles(stimulated, [*static, *late], observed)
    parts = [_score_singles(stimulated, singles, len(static))]
    if failing:
        best = float(parts[0].scores.max(initial=-np.inf))
        alike = resembling_fail_evidence(singles.counts)[len(static) :]
        parts.append(screen_delay_faults(stimulated, observed, late, alike, best))
        parts.append(_opens(stimulated, observed, reach))
        parts.append(_bridges(stimulated, observed, pairs[reach[pairs].any(axis=1)]))
        parts.append(_doubles(stimulated, observed, singles, len(static)))
    return Screening(_hopeful(join(parts)), no_fault_fail_evidence(singles.counts))


def _unscreened(stimulated: Stimulated) -> Suspects:
    """Return every single fault by its prior alone; delay faults only where they are few enough to be simulated."""
    static, late = stimulated.static_faults, stimulated.delay_faults
    prior = fault_prior(static)
    table = table_of(stimulated, static, stimulated.errors(static), prior + PRIORS["static"], _alike(prior))
    if len(late) > SOME_LATE:
        return table
    settings = usual_settings(len(late), len(stimulated.timed_loops))
    scores = np.repeat(shared_prior(late)[:, None] - np.log(KEPT) + PRIORS["late"], KEPT, axis=1)
    slow = table_of(stimulated, late, stimulated.errors(late), scores, np.full(len(late), -np.inf))
    return join([table, replace(slow, settings=settings)])


def _alike(prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log prior of a defect like each static fault, whose own ``prior`` this is."""
    return np.asarray(logsumexp(prior, axis=1) + PRIORS["unmodelled"] if len(prior) else np.empty(0), np.float64)


def _count_singles(stimulated: Stimulated, faults: list[Fault], observed: Words) -> _Singles:
    """Compare what every fault predicts with the fail log, some sites at a time."""
    circuit, mask = stimulated.circuit, stimulated.mask
    errors = stimulated.errors(faults)
    outputs = list(circuit.outputs)
    failing = np.bitwise_or.reduce(observed, axis=0) & mask
    columns = {name: np.empty(len(faults), np.int64) for name in FAIL_COLUMNS}
    exact, conflicting, touched = (np.empty_like(errors) for _ in range(3))
    nets = np.asarray([fault.net for fault in faults], np.int64)
    order = np.argsort(nets, kind="stable")
    sites, starts = np.unique(nets[order], return_index=True)
    ends = [*starts[1:], len(order)]
    bits, count = int(np.bitwise_count(mask).sum()) * len(outputs), int(np.bitwise_count(observed & mask).sum())
    many = int(np.clip(FLIP_BYTES // observed.nbytes, 8, 8 * _SITES))
    few = int(np.clip(FAULT_BYTES * len(sites) // (observed.nbytes * max(1, len(faults))), 1, _SITES))
    for begin in range(0, len(sites), many):
        flips = propagate_flips(circuit, stimulated.good, sites[begin : begin + many].tolist(), outputs)
        for part in range(begin, begin + len(flips), few):
            last = min(part + few, begin + len(flips))
            places = order[starts[part] : ends[last - 1]]
            rows = np.searchsorted(sites, nets[places]) - begin
            predicted = flips[rows] & errors[places, None]
            found = count_fails(predicted, observed, mask)
            for name, column in columns.items():
                column[places] = getattr(found, name)
            wrong = np.bitwise_or.reduce(predicted & ~observed, axis=1)
            missing = np.bitwise_or.reduce(observed & ~predicted, axis=1)
            touched[places] = np.bitwise_or.reduce(predicted & observed, axis=1) & ~wrong
            conflicting[places] = wrong & mask
            exact[places] = failing & ~wrong & ~missing
    return _Singles(faults, errors, FailCounts(**columns, bits=bits, observed=count), exact, conflicting, touched)


def _score_singles(stimulated: Stimulated, singles: _Singles, static: int) -> Suspects:
    prior = fault_prior(singles.faults[:static])
    scores = prior + PRIORS["static"] + fail_evidence(singles.counts)[:static]
    resembling = _alike(prior) + resembling_fail_evidence(singles.counts)[:static]
    return _hopeful(table_of(stimulated, singles.faults[:static], singles.errors[:static], scores, resembling))


def _opens(stimulated: Stimulated, observed: Words, reach: NDArray[np.bool_]) -> Suspects:
    """Return the resistive opens that explain the log."""
    singles = _count_singles(stimulated, [fault for fault in stimulated.opens if reach[fault.net]], observed)
    scores = fault_prior(singles.faults) + PRIORS["open"] + fail_evidence(singles.counts)
    nothing = np.full(len(singles.faults), -np.inf)
    return _hopeful(table_of(stimulated, singles.faults, singles.errors, scores, nothing))


def _hopeful(suspects: Suspects) -> Suspects:
    """Return the suspects that are not too far behind the best, and some that only resemble something."""
    if not len(suspects):
        return suspects
    best = np.maximum(suspects.scores.max(axis=1), suspects.resembling)
    order = np.argsort(-best, kind="stable")[:MOST_SUSPECTS]
    kept = order[best[order] > best[order[0]] - HOPELESS]
    alike = np.argsort(-suspects.resembling, kind="stable")[:LEAST_RESEMBLING]
    return suspects.pick(np.unique(np.concatenate([kept, alike])))


def _bridges(stimulated: Stimulated, observed: Words, pairs: NDArray[np.int64]) -> Suspects:
    """Return bridges of ``pairs`` whose nets differ in the failing patterns, all kinds, some pairs at a time."""
    failing = np.bitwise_or.reduce(observed, axis=0) & stimulated.mask
    differ = stimulated.good[pairs[:, 0]] ^ stimulated.good[pairs[:, 1]]
    part = np.bitwise_count(differ & failing).sum(axis=1, dtype=np.int64) / int(np.bitwise_count(failing).sum())
    likely, prior = pairs[part >= BRIDGED], bridge_prior(len(pairs))
    many = max(8, FLIP_BYTES // (8 * observed.nbytes))
    some = [likely[begin : begin + many] for begin in range(0, max(1, len(likely)), many)]
    if len(some) == 1:
        return _score_bridges(stimulated, observed, likely, prior)
    return join([_hopeful(_score_bridges(stimulated, observed, members, prior)) for members in some])


def _score_bridges(
    stimulated: Stimulated, observed: Words, likely: NDArray[np.int64], prior: NDArray[np.float64]
) -> Suspects:
    """Return the bridges of the pairs ``likely``, all kinds, scored."""
    sites = np.unique(likely)
    outputs = list(stimulated.circuit.outputs)
    flips = propagate_flips(stimulated.circuit, stimulated.good, sites.tolist(), outputs)
    here, there = flips[np.searchsorted(sites, likely[:, 0])], flips[np.searchsorted(sites, likely[:, 1])]
    parts = []
    for kind in BRIDGE_KINDS:
        errors = np.stack(bridge_errors(stimulated.good, likely, kind), axis=1)
        first, second = here & errors[:, 0, None], there & errors[:, 1, None]
        if kind == "BYZANTINE":
            evidence, sides = byzantine_evidence(first, second, observed, stimulated.mask, stimulated.cycles)
            errors = errors & sides
            evidence = np.stack([evidence, *[np.full(len(likely), -np.inf)] * (len(ACTIVITIES) - 1)], axis=1)
        else:
            evidence = fail_evidence(count_fails(first | second, observed, stimulated.mask))
        turn = _quieter(first, second, observed)
        nets = np.where(turn[:, None], likely[:, ::-1], likely)
        errors = np.where(turn[:, None, None], errors[:, ::-1], errors)
        names = [Bridge(int(a), int(b), _turned(kind, swap)) for (a, b), swap in zip(nets, turn, strict=True)]
        parts.append(
            Suspects(
                stimulated,
                list(names),
                nets,
                errors,
                prior + evidence,
                np.full(len(likely), -np.inf),
                unset(len(likely)),
            )
        )
    return join(parts)


def _turned(kind: str, swap: bool) -> str:
    opposite = {"DOMINANT": "DOMINATED", "DOMINATED": "DOMINANT"}
    return opposite.get(kind, kind) if swap else kind


def _quieter(first: Words, second: Words, observed: Words) -> NDArray[np.bool_]:
    """Return whether the first net of each bridge explains fewer failing bits: it is reported at the other one."""
    axes = (1, 2)
    here = np.bitwise_count(first & observed).sum(axis=axes, dtype=np.int64)
    there = np.bitwise_count(second & observed).sum(axis=axes, dtype=np.int64)
    return np.asarray(here < there, np.bool_)


def _doubles(stimulated: Stimulated, observed: Words, singles: _Singles, static: int) -> Suspects:
    """Return pairs of static faults that explain what neither does alone, exactly simulated.

    Faults that meet the log alike are tried once; where a pair of them is good, every pair of the like is a suspect.
    """
    exact, conflicting, touched = (item[:static] for item in (singles.exact, singles.conflicting, singles.touched))
    looks = np.concatenate([exact, conflicting, touched], axis=1)
    _, first, look = np.unique(looks, axis=0, return_index=True, return_inverse=True)
    gain = np.bitwise_count(exact[first]).sum(axis=1, dtype=np.int64)
    gain -= np.bitwise_count(conflicting[first]).sum(axis=1, dtype=np.int64)
    some = np.bitwise_count(touched[first]).sum(axis=1, dtype=np.int64)
    pairs: dict[tuple[int, int], None] = {}
    for here in np.lexsort((-some, -gain))[:MOST_FIRST]:
        for there in complementary(exact[first], conflicting[first], int(here), MOST_SECOND):
            stronger, weaker = sorted((int(here), there), key=lambda place: -gain[place])
            pairs[(stronger, weaker)] = None
    tried = np.asarray(list(pairs), np.int64).reshape(-1, 2)
    table = _score_doubles(stimulated, observed, singles, first[tried])
    worth = table.scores[:, 0]
    members = [np.flatnonzero(look.reshape(-1) == place) for place in range(len(first))] if len(tried) else []
    every: list[NDArray[np.int64]] = []
    room = MOST_DOUBLES
    for place in np.argsort(-worth, kind="stable"):
        if worth[place] < worth.max() - HOPELESS or room <= 0:
            break
        likes = np.stack(np.meshgrid(*(members[side] for side in tried[place]), indexing="ij"), axis=-1).reshape(-1, 2)
        every.append(likes[:room])
        room -= len(likes)
    chosen = np.concatenate(every) if every else np.empty((0, 2), np.int64)
    return _score_doubles(stimulated, observed, singles, chosen)


def _score_doubles(stimulated: Stimulated, observed: Words, singles: _Singles, pairs: NDArray[np.int64]) -> Suspects:
    """Return the pairs of faults (their places in ``singles``) at different nets, scored."""
    every = np.asarray([fault.net for fault in singles.faults], np.int64)
    chosen = pairs[every[pairs[:, 0]] != every[pairs[:, 1]]]
    defects = [DoubleFault(singles.faults[a], singles.faults[b]) for a, b in chosen]
    none = np.full(len(chosen), -np.inf)
    scores = np.full((len(chosen), len(ACTIVITIES)), -np.inf)
    table = Suspects(stimulated, list(defects), every[chosen], singles.errors[chosen], scores, none, unset(len(chosen)))
    evidence = np.empty(len(chosen))
    many = max(8, FAULT_BYTES // observed.nbytes)
    for begin in range(0, len(chosen), many):
        places = np.arange(begin, min(begin + many, len(chosen)))
        predicted = table.pick(places).simulate(list(stimulated.circuit.outputs))
        evidence[places] = fail_evidence(count_fails(predicted, observed, stimulated.mask))[:, 0]
    prior = shared_prior([fault for fault in singles.faults if not fault.is_delay])
    scores[:, 0] = evidence + double_prior(prior[chosen[:, 0]], prior[chosen[:, 1]])
    return table

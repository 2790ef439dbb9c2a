"""Evidence for each fault hypothesis: from the fail log, and from each waveform."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, logsumexp

from analysis.circuits.logic_simulation import Words, pack_patterns, unpack_patterns
from analysis.localization.edge_timing import EdgePrediction, halfway, in_time, likely_timings
from analysis.waveforms.comparison import (
    Expectations,
    Observation,
    RatioPrior,
    evidence_by_activity,
    evidence_by_ratio,
    mean_over_ratios,
    of_one_net,
)

ACTIVITIES = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Parts of the loops in which a fault is active; 1 is permanent, the others intermittent."""
FALSE_FAIL = 1e-4
"""Chance that the tester reports a failing bit that the fault does not explain, at most."""
MOST_FALSE_FAILS = 1.0
"""Such bits that are expected in a whole log, however many bits it has."""
MISSED_FAIL = 1e-3
"""Chance that the tester misses a failing bit of an active fault."""
MISPLACED = 0.03
"""Chance that the spot was on another net than the session says."""
FAIL_COLUMNS = ("explained", "missed", "idle", "unexplained", "active_cycles", "idle_cycles")
"""The columns of :class:`FailCounts`, one number by fault each."""
_BLOCK = 512
STRAY_PRIOR = (0.5, 50.0)
"""Beta prior of the rate of failing bits that a defect outside the model adds: 1 percent, and seldom much more."""


@dataclass(frozen=True)
class FailCounts:
    """How each fault's prediction meets the fail log, int64 of shape ``(faults,)`` each.

    Attributes:
        explained: failing bits that were predicted.
        missed: predicted bits that did not fail, in cycles in which some predicted bit did.
        idle: predicted bits in cycles in which none of them failed.
        unexplained: failing bits that were not predicted.
        active_cycles, idle_cycles: cycles of either sort.
        bits: number of output bits of the whole loop.
        observed: number of failing ones.
    """

    explained: NDArray[np.int64]
    missed: NDArray[np.int64]
    idle: NDArray[np.int64]
    unexplained: NDArray[np.int64]
    active_cycles: NDArray[np.int64]
    idle_cycles: NDArray[np.int64]
    bits: int
    observed: int


def count_fails(predicted: Words, observed: Words, mask: Words) -> FailCounts:
    """Compare predicted with observed failing bits.

    ``predicted`` is uint64 of shape ``(faults, outputs, words)``, ``observed`` of ``(outputs, words)``; ``mask`` of
    shape ``(words,)`` has a one for each pattern.
    """
    predicted = predicted & mask
    seen = observed & mask
    hit = predicted & seen
    active = np.bitwise_or.reduce(hit, axis=1)
    idle = np.bitwise_or.reduce(predicted, axis=1) & ~active
    explained, total, during = _ones(hit), _ones(predicted), _ones(predicted & active[:, None])
    count = int(np.bitwise_count(seen).sum())
    return FailCounts(
        explained=explained,
        missed=during - explained,
        idle=total - during,
        unexplained=count - explained,
        active_cycles=_ones(active),
        idle_cycles=_ones(idle),
        bits=int(np.bitwise_count(mask).sum()) * len(observed),
        observed=count,
    )


def _ones(words: Words) -> NDArray[np.int64]:
    """Return the number of ones of each fault."""
    counts = np.bitwise_count(words)
    return np.asarray(counts.sum(axis=tuple(range(1, counts.ndim)), dtype=np.int64), np.int64)


def false_fail(bits: int) -> float:
    """Return the chance of a failing bit that the fault does not explain in a log of that many ``bits``."""
    return min(FALSE_FAIL, MOST_FALSE_FAILS / max(1, bits))


def fail_evidence(counts: FailCounts) -> NDArray[np.float64]:
    """Return the log likelihood of the fail log, float64 of shape ``(faults, activities)``.

    Cycle by cycle, a soft form of the single-location-at-a-time test (Bartenstein et al., ITC 2001): a permanent fault
    is active in every cycle, an intermittent one in a cycle with the probability of its activity, then with all its
    failing bits together. A cycle in which a predicted bit failed was an active one. ``counts`` come from
    :func:`count_fails`.
    """
    stray = false_fail(counts.bits)
    others = counts.bits - counts.explained - counts.missed - counts.idle - counts.unexplained
    common = (
        counts.explained * np.log1p(-MISSED_FAIL)
        + counts.missed * np.log(MISSED_FAIL)
        + counts.unexplained * np.log(stray)
        + others * np.log1p(-stray)
    )
    result = np.empty((counts.explained.size, len(ACTIVITIES)))
    for column, activity in enumerate(ACTIVITIES):
        if activity == 1.0:
            result[:, column] = common + counts.idle * np.log(MISSED_FAIL)
        else:
            cycles = counts.active_cycles * np.log(activity) + counts.idle_cycles * np.log1p(-activity)
            result[:, column] = common + cycles + counts.idle * np.log1p(-stray)
    return result


def byzantine_evidence(
    first: Words, second: Words, observed: Words, mask: Words, cycles: int
) -> tuple[NDArray[np.float64], Words]:
    """Return the log likelihood of the fail log for Byzantine bridges, and which net lost in which pattern.

    ``first`` and ``second`` are what each net fails where it loses, uint64 of shape ``(bridges, outputs, words)``. In
    each of ``cycles`` the first net loses, or the second, or neither is seen to, one as likely as the other. The sides,
    uint64 of shape ``(bridges, 2, words)``, are only what the log tells. ``observed`` are the bits that failed and
    ``mask`` the patterns that were applied, uint64 of shapes ``(outputs, words)`` and ``(words,)``.
    """
    bridges = len(first)
    evidence, sides = np.zeros(bridges), np.zeros((bridges, 2, first.shape[2]), np.uint64)
    seen = unpack_patterns(observed & mask, cycles).astype(np.bool_)
    stray = false_fail(seen.size)
    for place in range(bridges):
        options = []
        for words in (first[place], second[place], np.zeros_like(first[place])):
            bits = unpack_patterns(words & mask, cycles).astype(np.bool_)
            hit = np.where(seen, np.log1p(-MISSED_FAIL), np.log(MISSED_FAIL))
            quiet = np.where(seen, np.log(stray), np.log1p(-stray))
            options.append(np.where(bits, hit, quiet).sum(axis=0))
        evidence[place] = float((np.logaddexp.reduce(options, axis=0) - np.log(len(options))).sum())
        here, there, neither = options
        lost = np.stack([here > np.maximum(there, neither), there > np.maximum(here, neither)])
        sides[place] = pack_patterns(lost.T.astype(np.uint8))
    return evidence, sides


def no_fault_fail_evidence(counts: FailCounts) -> float:
    """Return the log likelihood of ``counts`` for a good die: every failing bit is the tester's mistake."""
    stray = false_fail(counts.bits)
    return float(counts.observed * np.log(stray) + (counts.bits - counts.observed) * np.log1p(-stray))


def resembling_fail_evidence(counts: FailCounts) -> NDArray[np.float64]:
    """Return the log likelihood of ``counts`` for a defect like each fault, but not quite: float64 ``(faults,)``.

    Of the bits that the fault predicts an unknown part fails, and of the others too: what a bridge or two faults leave.
    """
    predicted_pass = counts.missed + counts.idle
    others = counts.bits - counts.explained - predicted_pass - counts.unexplained
    stray, tame = STRAY_PRIOR
    return np.asarray(
        betaln(counts.explained + 1, predicted_pass + 1)
        + betaln(counts.unexplained + stray, others + tame)
        - betaln(stray, tame),
        np.float64,
    )


def relayed_fail_evidence(counts: FailCounts) -> NDArray[np.float64]:
    """Return the log likelihood of ``counts`` for a defect elsewhere that shows through each fault, ``(faults,)``.

    What a bridge or a late net changes may reach the outputs through one net only. Then the bits that the fault
    predicts fail together, as of an intermittent fault, in an unknown part of its cycles.
    """
    stray = false_fail(counts.bits)
    others = counts.bits - counts.explained - counts.missed - counts.unexplained
    return np.asarray(
        counts.explained * np.log1p(-MISSED_FAIL)
        + counts.missed * np.log(MISSED_FAIL)
        + counts.unexplained * np.log(stray)
        + others * np.log1p(-stray)
        + betaln(counts.active_cycles + 1, counts.idle_cycles + 1),
        np.float64,
    )


@dataclass(frozen=True)
class WaveformEvidence:
    """Log evidence of one waveform.

    Attributes:
        faults: float64 of shape ``(faults, activities)``.
        good: of fault-free values under the spot.
        elsewhere: averaged over all nets' fault-free values: the spot was somewhere else.
        other: averaged over every value that some single fault would give the probed net.
        differs: bool of shape ``(faults,)``: the fault changes the probed net in some cycle.
    """

    faults: NDArray[np.float64]
    good: float
    elsewhere: float
    other: float
    differs: NDArray[np.bool_]


@dataclass(frozen=True)
class SpotPrediction:
    """What the nets under a spot do: the probed net first, then its neighbours.

    Attributes:
        good: uint8 0/1 of shape ``(1 + k, cycles)``, without a fault.
        changes: uint64 of shape ``(suspects, 1 + k, words)``, packed: the patterns in which each suspect changes them.
        late: bool of shape ``(suspects,)``: which of them are delay faults.
        late_levels: float32 of shape ``(late suspects, activities, shifts, 1 + k, cycles)``: the levels under these,
            by lateness; one shift of the window is as likely as another.
        spreads: float64 of shape ``(k,)``: see :class:`~analysis.waveforms.comparison.Expectations`.
    """

    good: NDArray[np.uint8]
    changes: Words
    late: NDArray[np.bool_]
    late_levels: NDArray[np.float32]
    spreads: NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """One waveform against everything that it may be, at each signal-to-noise ratio: log evidence, last axis ratios.

    Attributes:
        faults: float32 of shape ``(suspects, activities, ratios)``; of a delay fault the columns are its latenesses.
        good, elsewhere: float64 of shape ``(ratios,)``, as in :class:`WaveformEvidence`.
        wrong: bool of shape ``(suspects,)``: static ones that change the probed net in some cycle.
        differs: bool of shape ``(suspects,)``: any such.
    """

    faults: NDArray[np.float32]
    good: NDArray[np.float64]
    elsewhere: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    differs: NDArray[np.bool_]


def compare_elsewhere(
    observation: Observation, ratios: NDArray[np.float64], all_good: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return the log evidence of ``observation`` for a spot on any net, at each of ``ratios``: ``(ratios,)``.

    ``all_good`` is uint8 0/1 of shape ``(nets, cycles)``, the fault-free values of the whole circuit.
    """
    every = halfway(observation, all_good.astype(np.float64))
    return _mean_of(evidence_by_ratio(observation, of_one_net(every), ratios))


def compare_waveform(
    observation: Observation,
    ratios: NDArray[np.float64],
    spot: SpotPrediction,
    elsewhere: NDArray[np.float64],
    edges: EdgePrediction | None = None,
) -> Comparison:
    """Return the comparison of a waveform, an ``observation``, with all suspects at each of ``ratios``.

    ``spot`` says what the nets under it do; every one of them follows the hypothesis, neighbours too. ``elsewhere`` is
    what :func:`compare_elsewhere` says. ``edges`` is given where the observation has the levels between the settled
    ones too.
    """
    good = spot.good.astype(np.float64)
    differs = np.asarray(spot.changes[:, 0].any(axis=1), np.bool_)
    faults = np.empty((len(spot.changes), len(ACTIVITIES), len(ratios)), np.float32)
    timings = [None] if edges is None else likely_timings(observation, ratios, good, spot.spreads, edges)
    rows = np.flatnonzero(~spot.late)
    if rows.size:
        flat = spot.changes[rows].reshape(rows.size, -1)
        _, first, place = np.unique(flat, axis=0, return_index=True, return_inverse=True)
        bits = np.abs(good - unpack_patterns(spot.changes[rows[first]], spot.good.shape[1]))
        found = [
            evidence_by_activity(
                observation,
                in_time(observation, good, good, timing),
                Expectations(in_time(observation, bits, good, timing), spot.spreads),
                ACTIVITIES,
                ratios,
            )
            for timing in timings
        ]
        faults[rows] = _mean_of(np.stack(found))[place.reshape(-1)]
    if spot.late.any():
        faults[spot.late] = _compare_late(observation, ratios, spot, edges)
    clean = np.stack([in_time(observation, good, good, timing) for timing in timings])
    return Comparison(
        faults=faults,
        good=_mean_of(evidence_by_ratio(observation, Expectations(clean, spot.spreads), ratios)),
        elsewhere=elsewhere,
        wrong=differs & ~spot.late,
        differs=differs,
    )


def _mean_of(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log of the mean of ``exp(terms)`` along the first axis."""
    return np.asarray(logsumexp(terms, axis=0) - np.log(len(terms)), np.float64)


def _compare_late(
    observation: Observation, ratios: NDArray[np.float64], spot: SpotPrediction, edges: EdgePrediction | None
) -> NDArray[np.float64]:
    """Compare late suspects, by lateness; levels that are the same are compared once."""
    shape = spot.late_levels.shape
    parts = [spot.late_levels] if edges is None else [spot.late_levels, edges.late_levels]
    rows = [np.ascontiguousarray(part).reshape(-1, *shape[3:]) for part in parts]
    first, place = _distinct(rows)
    pieces = [np.empty((0, len(ratios)))]
    for start in range(0, len(first), _BLOCK):
        chosen = observation.lay_out(*(part[first[start : start + _BLOCK]] for part in rows))
        pieces.append(evidence_by_ratio(observation, Expectations(chosen, spot.spreads), ratios))
    by_shift = np.concatenate(pieces)[place].reshape(*shape[:3], -1)
    return np.asarray(logsumexp(by_shift, axis=2) - np.log(shape[2]), np.float64)


def _distinct(parts: Sequence[NDArray[np.float32]]) -> tuple[list[int], list[int]]:
    """Return the places of rows of all ``parts`` unlike those before, and of each row its place among these."""
    numbers: dict[bytes, int] = {}
    first: list[int] = []
    place: list[int] = []
    for row in range(len(parts[0])):
        digest = hashlib.blake2b(b"".join(part[row].tobytes() for part in parts), digest_size=16).digest()
        if numbers.setdefault(digest, len(first)) == len(first):
            first.append(row)
        place.append(numbers[digest])
    return first, place


def weigh_waveform(comparison: Comparison, prior: RatioPrior) -> WaveformEvidence:
    """Return the evidence of the waveform of ``comparison``; ``prior`` is of the ratio in one cycle."""
    by_suspect = mean_over_ratios(comparison.faults.astype(np.float64), prior)
    elsewhere = float(mean_over_ratios(comparison.elsewhere, prior))
    wrong = by_suspect[comparison.wrong]
    other = float(logsumexp(wrong) - np.log(wrong.size)) if wrong.size else elsewhere
    return WaveformEvidence(
        faults=misplaced(by_suspect, elsewhere),
        good=float(misplaced(float(mean_over_ratios(comparison.good, prior)), elsewhere)),
        elsewhere=elsewhere,
        other=float(np.logaddexp(other, elsewhere) - np.log(2)),
        differs=comparison.differs,
    )


def say_nothing(waveform: WaveformEvidence) -> WaveformEvidence:
    """Return the evidence of ``waveform`` if its spot was surely elsewhere: the same under every hypothesis."""
    nothing = waveform.elsewhere
    return replace(waveform, faults=np.full_like(waveform.faults, nothing), good=nothing, other=nothing)


def misplaced(evidence: NDArray[np.float64] | float, elsewhere: float) -> NDArray[np.float64]:
    """Mix into ``evidence`` the chance that the spot was ``elsewhere``, so that no waveform alone decides."""
    return np.asarray(np.logaddexp(np.log1p(-MISPLACED) + evidence, np.log(MISPLACED) + elsewhere))


def resembling_waveform_evidence(waveforms: Sequence[WaveformEvidence]) -> NDArray[np.float64] | float:
    """Return the log evidence of ``waveforms`` for a defect like each fault: float64 ``(faults,)``, 0 without any.

    Each net does what the fault says, or what it should, or something else.
    """
    total: NDArray[np.float64] | float = 0.0
    for waveform in waveforms:
        anything = np.logaddexp(waveform.good, waveform.other)
        total = total + np.logaddexp(waveform.faults[:, 0], anything) - np.log(3)
    return total

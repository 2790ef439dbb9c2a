"""Evidence for each fault hypothesis: from the fail log, and from each waveform."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, logsumexp

from analysis.circuits.logic_simulation import Words, unpack_patterns
from analysis.waveforms.comparison import (
    Expectations,
    Observation,
    RatioPrior,
    log_evidence,
    log_evidence_by_activity,
    of_one_net,
)

ACTIVITIES = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Parts of the loops in which a fault is active; 1 is permanent, the others intermittent."""
FALSE_FAIL = 1e-4
"""Chance that the tester reports a failing bit that the fault does not explain."""
MISSED_FAIL = 1e-3
"""Chance that the tester misses a failing bit of an active fault."""
MISPLACED = 0.03
"""Chance that the spot was on another net than the session says."""
FAIL_COLUMNS = ("explained", "missed", "idle", "unexplained", "active_cycles", "idle_cycles")
"""The columns of :class:`FailCounts`, one number by fault each."""
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


def count_fails(good: Words, faulty: Words, observed: Words, mask: Words) -> FailCounts:
    """Compare predicted with observed failing bits.

    ``good`` and ``observed`` are uint64 of shape ``(outputs, words)``, ``faulty`` of ``(faults, outputs, words)``;
    ``mask`` of shape ``(words,)`` has a one for each pattern.
    """
    predicted = (faulty ^ good) & mask
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
        bits=int(np.bitwise_count(mask).sum()) * len(good),
        observed=count,
    )


def _ones(words: Words) -> NDArray[np.int64]:
    """Return the number of ones of each fault."""
    counts = np.bitwise_count(words)
    return np.asarray(counts.sum(axis=tuple(range(1, counts.ndim)), dtype=np.int64), np.int64)


def fail_evidence(counts: FailCounts) -> NDArray[np.float64]:
    """Return the log likelihood of the fail log, float64 of shape ``(faults, activities)``.

    Cycle by cycle, a soft form of the single-location-at-a-time test (Bartenstein et al., ITC 2001): a permanent fault
    is active in every cycle, an intermittent one in a cycle with the probability of its activity, then with all its
    failing bits together. A cycle in which a predicted bit failed was an active one. ``counts`` come from
    :func:`count_fails`.
    """
    others = counts.bits - counts.explained - counts.missed - counts.idle - counts.unexplained
    common = (
        counts.explained * np.log1p(-MISSED_FAIL)
        + counts.missed * np.log(MISSED_FAIL)
        + counts.unexplained * np.log(FALSE_FAIL)
        + others * np.log1p(-FALSE_FAIL)
    )
    result = np.empty((counts.explained.size, len(ACTIVITIES)))
    for column, activity in enumerate(ACTIVITIES):
        if activity == 1.0:
            result[:, column] = common + counts.idle * np.log(MISSED_FAIL)
        else:
            cycles = counts.active_cycles * np.log(activity) + counts.idle_cycles * np.log1p(-activity)
            result[:, column] = common + cycles + counts.idle * np.log1p(-FALSE_FAIL)
    return result


def no_fault_fail_evidence(counts: FailCounts) -> float:
    """Return the log likelihood of ``counts`` for a good die: every failing bit is the tester's mistake."""
    return float(counts.observed * np.log(FALSE_FAIL) + (counts.bits - counts.observed) * np.log1p(-FALSE_FAIL))


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
        faulty: uint64 of shape ``(faults, 1 + k, words)``, packed, masked to the patterns.
        spreads: float64 of shape ``(k,)``: see :class:`~analysis.waveforms.comparison.Expectations`.
    """

    good: NDArray[np.uint8]
    faulty: Words
    spreads: NDArray[np.float64]


def weigh_waveform(
    observation: Observation, prior: RatioPrior, spot: SpotPrediction, all_good: NDArray[np.uint8]
) -> WaveformEvidence:
    """Return the evidence of one waveform.

    ``spot`` says what the nets under it do; every one of them follows the hypothesis, neighbours too. ``all_good`` is
    uint8 0/1 of shape ``(nets, cycles)``, the fault-free values of the whole circuit; ``prior`` is of the ratio in one
    cycle of ``observation``.
    """
    cycles = spot.good.shape[1]
    flat = spot.faulty.reshape(len(spot.faulty), -1)
    _, first, place = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    good = spot.good.astype(np.float64)
    bits = unpack_patterns(spot.faulty[first], cycles).astype(np.float64)
    differs = (bits[:, 0] != good[0]).any(axis=1)
    by_pattern = log_evidence_by_activity(observation, good, Expectations(bits, spot.spreads), ACTIVITIES, prior)
    good_value = float(log_evidence(observation, Expectations(good[None], spot.spreads), prior)[0])
    nets = log_evidence(observation, of_one_net(all_good.astype(np.float64)), prior)
    elsewhere = float(logsumexp(nets) - np.log(nets.size))
    wrong = by_pattern[differs]
    other = float(logsumexp(wrong) - np.log(wrong.size)) if wrong.size else elsewhere
    return WaveformEvidence(
        faults=np.asarray(misplaced(by_pattern, elsewhere)[place], np.float64),
        good=float(misplaced(good_value, elsewhere)),
        elsewhere=elsewhere,
        other=float(np.logaddexp(other, elsewhere) - np.log(2)),
        differs=differs[place],
    )


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

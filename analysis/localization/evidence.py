"""Evidence for each fault hypothesis: from the fail log, and from each waveform."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, logsumexp

from analysis.circuits.logic_simulation import Words, unpack_patterns
from analysis.waveforms.comparison import Observation, RatioPrior, log_evidence

ACTIVITIES = (1.0, 0.75, 0.5, 0.25)
"""Parts of the loops in which a fault is active; 1 is permanent, the others intermittent."""
FALSE_FAIL = 1e-4
"""Chance that the tester reports a failing bit that the fault does not explain."""
MISSED_FAIL = 1e-3
"""Chance that the tester misses a failing bit of a permanent fault."""
MISPLACED = 0.03
"""Chance that the spot was on another net than the session says."""


@dataclass(frozen=True)
class FailCounts:
    """Failing bits by fault, int64 of shape ``(faults,)``: explained, predicted but missed, seen but unexplained.

    ``bits`` is the number of output bits of the whole loop, ``observed`` the number of failing ones.
    """

    explained: NDArray[np.int64]
    missed: NDArray[np.int64]
    unexplained: NDArray[np.int64]
    bits: int
    observed: int


def count_fails(good: Words, faulty: Words, observed: Words, mask: Words) -> FailCounts:
    """Compare predicted with observed failing bits.

    ``good`` and ``observed`` are uint64 of shape ``(outputs, words)``, ``faulty`` of ``(faults, outputs, words)``;
    ``mask`` of shape ``(words,)`` has a one for each pattern.
    """
    predicted = (faulty ^ good) & mask
    seen = observed & mask
    explained = np.bitwise_count(predicted & seen).sum(axis=(1, 2), dtype=np.int64)
    total = np.bitwise_count(predicted).sum(axis=(1, 2), dtype=np.int64)
    count = int(np.bitwise_count(seen).sum())
    bits = int(np.bitwise_count(mask).sum()) * len(good)
    return FailCounts(explained, total - explained, count - explained, bits, count)


def fail_evidence(counts: FailCounts) -> NDArray[np.float64]:
    """Return the log likelihood of the fail log, float64 of shape ``(faults, activities)``.

    Each predicted bit fails with the activity's probability, each other bit with :data:`FALSE_FAIL`: a soft form of the
    single-location-at-a-time test (Bartenstein et al., ITC 2001). ``counts`` come from :func:`count_fails`.
    """
    others = counts.bits - counts.explained - counts.missed - counts.unexplained
    result = np.empty((counts.explained.size, len(ACTIVITIES)))
    for column, activity in enumerate(ACTIVITIES):
        rate = 1 - MISSED_FAIL if activity == 1.0 else activity
        result[:, column] = (
            counts.explained * np.log(rate)
            + counts.missed * np.log1p(-rate)
            + counts.unexplained * np.log(FALSE_FAIL)
            + others * np.log1p(-FALSE_FAIL)
        )
    return result


def no_fault_fail_evidence(counts: FailCounts) -> float:
    """Return the log likelihood of ``counts`` for a good die: every failing bit is the tester's mistake."""
    return float(counts.observed * np.log(FALSE_FAIL) + (counts.bits - counts.observed) * np.log1p(-FALSE_FAIL))


def unmodelled_fail_evidence(counts: FailCounts) -> float:
    """Return the log likelihood of ``counts`` for an unknown defect: any bit may fail, at an unknown rate."""
    return float(betaln(counts.observed + 1, counts.bits - counts.observed + 1))


@dataclass(frozen=True)
class WaveformEvidence:
    """Log evidence of one waveform.

    Attributes:
        faults: float64 of shape ``(faults, activities)``.
        good: of the net's fault-free values.
        elsewhere: averaged over all nets' fault-free values: the spot was somewhere else.
        other: averaged over every value that some single fault would give the net.
        differs: bool of shape ``(faults,)``: the fault changes the net in some cycle.
    """

    faults: NDArray[np.float64]
    good: float
    elsewhere: float
    other: float
    differs: NDArray[np.bool_]


def weigh_waveform(
    observation: Observation, prior: RatioPrior, good: NDArray[np.uint8], net: int, faulty: Words
) -> WaveformEvidence:
    """Return the evidence of one waveform on net number ``net``.

    ``good`` is uint8 0/1 of shape ``(nets, cycles)``, the fault-free values; ``faulty`` is uint64 of shape
    ``(faults, words)``, the net's packed values under each fault; ``prior`` is of the ratio in one cycle of
    ``observation``.
    """
    cycles = good.shape[1]
    patterns, place = np.unique(faulty, axis=0, return_inverse=True)
    place = place.reshape(-1)
    bits = unpack_patterns(patterns, cycles).astype(np.float64)
    expected = good[net].astype(np.float64)
    good_value, differs = log_evidence(observation, expected[None], prior)[0], (bits != expected).any(axis=1)
    by_pattern = np.empty((len(patterns), len(ACTIVITIES)))
    for column, activity in enumerate(ACTIVITIES):
        by_pattern[:, column] = log_evidence(observation, expected + activity * (bits - expected), prior)
    nets = log_evidence(observation, good.astype(np.float64), prior)
    elsewhere = float(logsumexp(nets) - np.log(nets.size))
    wrong = by_pattern[differs]
    other = float(logsumexp(wrong) - np.log(wrong.size)) if wrong.size else elsewhere
    return WaveformEvidence(
        faults=np.asarray(_misplaced(by_pattern, elsewhere)[place], np.float64),
        good=float(_misplaced(good_value, elsewhere)),
        elsewhere=elsewhere,
        other=float(np.logaddexp(other, elsewhere) - np.log(2)),
        differs=differs[place],
    )


def _misplaced(evidence: NDArray[np.float64] | float, elsewhere: float) -> NDArray[np.float64]:
    """Mix in the chance that the spot was on another net, so that no waveform alone decides."""
    return np.asarray(np.logaddexp(np.log1p(-MISPLACED) + evidence, np.log(MISPLACED) + elsewhere))

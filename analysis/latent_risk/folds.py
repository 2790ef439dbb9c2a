"""Folds in the order of time: what is asked about always comes later than all that was learned from.

The first part of the units is only learned from; the rest is cut into blocks, and each block is scored by heads that
know what was known when it began: units judged before, with outcomes known before. No block is ever scored by a later
one ("forward chaining", Bergmeir and Benitez, Information Sciences 191, 2012). What is compared is compared on blocks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.latent_risk.evidence import Evidence, Flags, Floats

FIRST_PART = 0.4
BLOCKS = 6
NO_BLOCK = -1


@dataclass(frozen=True)
class TimeBlocks:
    """Blocks of units that are in the order of time.

    Attributes:
        block: int64 ``(units,)``: 0 for the first part, then 1, 2, …
        starts_s: float64 ``(blocks + 1,)``: time at which each block begins, seconds.
        known_at_s: float64 ``(units,)``: since when each outcome is known, seconds.
    """

    block: NDArray[np.intp]
    starts_s: Floats
    known_at_s: Floats

    @property
    def count(self) -> int:
        """Blocks after the first part."""
        return self.starts_s.size - 1

    def known_before(self, number: int) -> Flags:
        """Return which units, bool ``(units,)``, were judged and had an outcome before the block ``number`` began."""
        return np.asarray((self.block < number) & (self.known_at_s <= self.starts_s[number]), np.bool_)


def make_blocks(evidence: Evidence, first_part: float = FIRST_PART, blocks: int = BLOCKS) -> TimeBlocks:
    """Return the blocks of ``evidence``, which is in the order of time; equal times are never parted.

    ``first_part`` (0..1) is only learned from; ``blocks`` is how many follow, fewer where times are equal.
    """
    count = len(evidence.units)
    wanted = np.linspace(first_part * count, count, blocks + 1)[:-1]
    # The first unit of the time at which a wanted cut falls.
    cuts = np.unique(np.searchsorted(evidence.time_s, evidence.time_s[np.minimum(wanted.astype(np.intp), count - 1)]))
    cuts = cuts[cuts > 0]
    block = np.searchsorted(cuts, np.arange(count), "right")
    starts = np.concatenate([[evidence.time_s[0]], evidence.time_s[cuts]])
    return TimeBlocks(block, starts, evidence.known_at_s)


def hold_out_last(evidence: Evidence, part: float) -> tuple[Evidence, Evidence, int]:
    """Part ``evidence`` (known outcomes, in the order of time) into what is learned from and the last ``part`` (0..1).

    Return both, and how many units were left out of the first because their outcome was not yet known when the last
    part began. Equal times are not parted: they all go to the later side.
    """
    count = len(evidence.units)
    at = min(round((1 - part) * count), count - 1)
    start = evidence.time_s[at]
    later = evidence.time_s >= start
    early = ~later & (evidence.known_at_s <= start)
    return evidence.select(early), evidence.select(later), int((~later & ~early).sum())

"""The hypotheses that a fail log leaves, as one table: what each does at its nets, and how it is scored so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.circuits.defects import Defect, DelayDefect, DoubleFault, SlowPath
from analysis.circuits.faults import Fault
from analysis.circuits.logic_simulation import Words
from analysis.circuits.propagation import propagate, propagate_flips
from analysis.localization.evidence import ACTIVITIES, Comparison
from analysis.localization.late_suspects import late_levels
from analysis.localization.stimulation import Shelf, Stimulated
from analysis.localization.window_levels import shifted_levels

MOST_COMPARED = 32
"""Comparisons of all suspects that are kept."""


@dataclass(frozen=True)
class Suspects:
    """Hypotheses about one die.

    Attributes:
        stimulated: the circuit under its patterns.
        defects: what each hypothesis is.
        nets: int64 of shape ``(suspects, 2)``: the nets that are wrong by themselves, of a slow path its first; the
            second -1 where there is one.
        errors: uint64 of shape ``(suspects, 2, words)``: in which patterns they are.
        scores: float64 of shape ``(suspects, activities)``: log of prior and fail evidence.
        resembling: float64 of shape ``(suspects,)``: the same for a defect outside the model that is like this one.
        settings: int64 of shape ``(suspects, activities, 2)``: of a delay fault the columns are latenesses, see
            :func:`~analysis.localization.late_suspects.keep_likely`; -1 of others.
        comparisons: the last waveforms that all of them were compared with, on each time axis.
    """

    stimulated: Stimulated
    defects: list[Defect]
    nets: NDArray[np.int64]
    errors: Words
    scores: NDArray[np.float64]
    resembling: NDArray[np.float64]
    settings: NDArray[np.int64]
    comparisons: Shelf[Comparison] = field(default_factory=lambda: Shelf(MOST_COMPARED))
    _columns: dict[int, Words] = field(default_factory=dict)
    _likeliest: dict[int, "Suspects"] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.defects)

    @property
    def identities(self) -> NDArray[np.int64]:
        """Equal numbers for suspects at equal nets, whichever comes first, or along one path: int64 ``(suspects,)``."""
        paths: dict[Defect, int] = {}
        numbers = [paths.setdefault(item, len(paths)) if isinstance(item, SlowPath) else -1 for item in self.defects]
        others = np.asarray(numbers, np.int64)
        keys = np.column_stack([np.sort(self.nets, axis=1), others])
        _, places = np.unique(keys, axis=0, return_inverse=True)
        return np.asarray(places.reshape(-1), np.int64)

    @cached_property
    def late(self) -> NDArray[np.bool_]:
        """Which suspects are delay faults or slow paths, bool of shape ``(suspects,)``."""
        return np.asarray([_is_late(item) for item in self.defects], np.bool_)

    @property
    def vague(self) -> NDArray[np.bool_]:
        """Which suspects say only in failing patterns what they do, bool of shape ``(suspects,)``."""
        return np.asarray([getattr(item, "kind", "") == "BYZANTINE" for item in self.defects], np.bool_)

    def pick(self, places: Sequence[int] | NDArray[np.int64]) -> "Suspects":
        """Return the suspects at ``places``, in that order."""
        chosen = np.asarray(places, np.int64)
        return Suspects(
            self.stimulated,
            [self.defects[place] for place in chosen],
            self.nets[chosen],
            self.errors[chosen],
            self.scores[chosen],
            self.resembling[chosen],
            self.settings[chosen],
        )

    def likeliest(self, count: int) -> "Suspects":
        """Return the ``count`` suspects that the fail log likes best, likeliest first; always the same table."""
        if count not in self._likeliest:
            order = np.argsort(-logsumexp(self.scores, axis=1), kind="stable")
            self._likeliest[count] = self.pick(order[:count])
        return self._likeliest[count]

    def changes(self, watched: Sequence[int]) -> Words:
        """Return in which patterns each suspect changes ``watched`` nets: uint64 of ``(suspects, watched, words)``.

        What was asked once is kept.
        """
        missing = [net for net in dict.fromkeys(watched) if net not in self._columns]
        if missing:
            found = self.simulate(missing)
            self._columns.update({net: found[:, place].copy() for place, net in enumerate(missing)})
        return np.stack([self._columns[net] for net in watched], axis=1)

    def late_levels(self, watched: Sequence[int], *windows: tuple[float, float]) -> NDArray[np.float32]:
        """Return the levels of ``watched`` nets over each of ``windows`` under each delay fault and lateness.

        float32 of shape ``(windows, late suspects, activities, shifts, watched, cycles)``, in the order of the
        suspects.
        """
        places = np.flatnonzero(self.late)
        late = [item for item in self.defects if _is_late(item)]
        return late_levels(self.stimulated, late, self.settings[places], watched, *windows)

    def good_levels(self, watched: Sequence[int], window: tuple[float, float]) -> NDArray[np.float32]:
        """Return the levels of ``watched`` nets of a good die over ``window``: float32 ``(timings, watched, cycles)``.

        The timings are all draws of the cells' delays, each with every shift.
        """
        stimulated = self.stimulated
        good = [loop.good[list(watched)] for loop in stimulated.timed_loops]
        return np.concatenate([shifted_levels(values, window, stimulated.cycles) for values in good])

    def simulate(self, watched: Sequence[int]) -> Words:
        """Return the changes of the nets ``watched`` without keeping them."""
        stimulated = self.stimulated
        double = np.asarray([isinstance(item, DoubleFault) for item in self.defects], np.bool_)
        used = np.unique(self.nets[~double])
        used = used[used >= 0]
        flips = propagate_flips(stimulated.circuit, stimulated.good, used.tolist(), watched)
        flips = np.concatenate([flips, np.zeros((1, *flips.shape[1:]), np.uint64)])
        rows = np.where(self.nets >= 0, np.searchsorted(used, self.nets), len(used)).clip(0, len(used))
        changes = flips[rows[:, 0]] & self.errors[:, 0, None]
        if (self.nets[:, 1] >= 0).any():
            changes |= flips[rows[:, 1]] & self.errors[:, 1, None]
        places = np.flatnonzero(double)
        for chunk in propagate(stimulated.circuit, stimulated.good, self._forced(places), watched):
            changes[places[chunk.machines]] = chunk.changes & stimulated.mask
        return np.asarray(changes, np.uint64)

    def _forced(self, places: NDArray[np.int64]) -> list[dict[int, Words]]:
        good = self.stimulated.good
        return [
            {int(net): good[net] ^ error for net, error in zip(self.nets[place], self.errors[place], strict=True)}
            for place in places
        ]


def _is_late(defect: Defect) -> TypeGuard[DelayDefect]:
    return isinstance(defect, SlowPath) or (isinstance(defect, Fault) and defect.is_delay)


def join(parts: Sequence[Suspects]) -> Suspects:
    """Return all suspects of ``parts`` (at least one) as one table."""
    return Suspects(
        parts[0].stimulated,
        [defect for part in parts for defect in part.defects],
        np.concatenate([part.nets for part in parts]),
        np.concatenate([part.errors for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.resembling for part in parts]),
        np.concatenate([part.settings for part in parts]),
    )


def table_of(
    stimulated: Stimulated,
    defects: Sequence[Fault | SlowPath],
    errors: Words,
    scores: NDArray[np.float64],
    resembling: NDArray[np.float64],
) -> Suspects:
    """Return ``defects`` of ``stimulated`` that begin at one net each, wrong in the patterns ``errors``, as a table.

    ``errors`` is uint64 of shape ``(defects, words)``; ``scores`` and ``resembling`` are as in :class:`Suspects`.
    """
    nets = np.asarray([(defect.net, -1) for defect in defects], np.int64).reshape(-1, 2)
    both = np.stack([errors, np.zeros_like(errors)], axis=1)
    return Suspects(stimulated, list(defects), nets, both, scores, resembling, unset(len(defects)))


def unset(count: int) -> NDArray[np.int64]:
    """Return the settings of ``count`` suspects none of which is a delay fault."""
    return np.full((count, len(ACTIVITIES), 2), -1, np.int64)

"""What is known of units: measurements by modality, any of them missing, with the time and, later, the outcome."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FAILED, SURVIVED, UNKNOWN = 1, 0, -1
MOST_MODALITIES = 8
"""Every subset of the modalities has its own fusion: 255 of them at most."""

PRESENT_PART = 0.5
_TRACE = re.compile(r"trace_(\d+)")


class EvidenceError(ValueError):
    """The evidence does not allow what is asked of it; the message says why and what would."""


class BadEvidence(EvidenceError):  # noqa: N818
    """A value, a time or a unit is impossible."""


class TooFewOutcomes(EvidenceError):  # noqa: N818
    """Too few units failed, or survived, for a probability."""


@dataclass(frozen=True)
class Modality:
    """One source of evidence.

    Attributes:
        name: for example ``electrical``.
        features: what was measured, in the order of the columns; ``trace_0``, ``trace_1`` … are samples of one trace.
        values: float64 of shape ``(units, features)``; missing NaN, each in the unit of its table.
    """

    name: str
    features: tuple[str, ...]
    values: Floats

    @property
    def present(self) -> Flags:
        """Bool of shape ``(units,)``: at least half of the features are known."""
        return np.asarray(np.isfinite(self.values).mean(axis=1) >= PRESENT_PART, np.bool_)

    @property
    def is_trace(self) -> bool:
        """Whether the features are the samples of one trace, in order."""
        return is_trace(self.features)


def is_trace(features: Sequence[str]) -> bool:
    """Return whether ``features`` are called ``trace_<n>`` with rising numbers, three at least."""
    found = [_TRACE.fullmatch(name) for name in features]
    numbers = [int(match[1]) for match in found if match]
    return len(numbers) == len(features) >= 3 and all(a < b for a, b in pairwise(numbers))


@dataclass(frozen=True)
class Evidence:
    """Units with what was measured of them.

    Attributes:
        units: their names.
        time_s: float64 ``(units,)``, seconds since 1970 (UTC): when the unit was judged, all measurements done.
        outcome: int8 ``(units,)``: 1 failed in the field, 0 survived, -1 not known.
        known_at_s: float64 ``(units,)``, seconds: since when the outcome is known; ``time_s`` where that is not told.
        modalities: each with values of shape ``(units, …)``.
    """

    units: tuple[str, ...]
    time_s: Floats
    outcome: NDArray[np.int8]
    known_at_s: Floats
    modalities: tuple[Modality, ...]

    def __post_init__(self) -> None:
        count = len(self.units)
        shapes = {self.time_s.shape, self.outcome.shape, self.known_at_s.shape}
        if shapes != {(count,)} or any(each.values.shape != (count, len(each.features)) for each in self.modalities):
            raise BadEvidence("units, times, outcomes and values are not equally many")
        if not np.isfinite(self.time_s).all() or not np.isfinite(self.known_at_s).all():
            raise BadEvidence("a unit has no time: evidence is judged in the order of time")
        if (self.known_at_s < self.time_s).any():
            unit = self.units[int(np.argmax(self.known_at_s < self.time_s))]
            raise BadEvidence(f"the outcome of {unit} was known before the unit was judged")
        for each in self.modalities:
            if np.isinf(each.values).any():
                row, column = np.argwhere(np.isinf(each.values))[0]
                raise BadEvidence(f"{each.name}.{each.features[column]} of {self.units[row]} is infinite")
        names = [each.name for each in self.modalities]
        if len(set(names)) != len(names):
            raise BadEvidence("two modalities have the same name")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return tuple(each.name for each in self.modalities)

    @property
    def present(self) -> Flags:
        """Bool of shape ``(units, modalities)``."""
        return np.stack([each.present for each in self.modalities], axis=1)

    def select(self, rows: NDArray[np.intp] | Flags) -> "Evidence":
        """Return the units ``rows``: indexes, or bool of shape ``(units,)``."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Evidence(
            tuple(self.units[row] for row in index),
            self.time_s[index],
            self.outcome[index],
            self.known_at_s[index],
            tuple(replace(each, values=each.values[index]) for each in self.modalities),
        )

    def known(self) -> "Evidence":
        """Return the units whose outcome is known, in the order of time; equal times in the order given."""
        index = np.flatnonzero(self.outcome != UNKNOWN)
        return self.select(index[np.argsort(self.time_s[index], kind="stable")])

    def without(self, missing: Sequence[str]) -> "Evidence":
        """Return the same units as if nothing were known of the modalities ``missing``."""
        kept = tuple(
            replace(each, values=np.full_like(each.values, np.nan)) if each.name in missing else each
            for each in self.modalities
        )
        return replace(self, modalities=kept)


def refuse_repeated_units(evidence: Evidence) -> None:
    """Refuse ``evidence`` in which a unit stands twice: it would be learned from and asked about.

    Raises:
        BadEvidence: naming the unit.
    """
    seen: set[str] = set()
    for unit in evidence.units:
        if unit in seen:
            raise BadEvidence(f"the unit {unit} stands in the evidence twice; keep its last judgement")
        seen.add(unit)


def refuse_few_outcomes(outcome: NDArray[np.int8], least: int, where: str) -> None:
    """Refuse ``outcome`` (int8 ``(units,)``) with fewer than ``least`` of a class; ``where`` says of what it is.

    Raises:
        TooFewOutcomes: naming both counts.
    """
    failed, survived = int(np.sum(outcome == FAILED)), int(np.sum(outcome == SURVIVED))
    if min(failed, survived) < least:
        raise TooFewOutcomes(
            f"{where}: {failed} units failed and {survived} survived; at least {least} of each are needed"
        )

"""Stored answers as evidence: what a record says of units, since when it was known, by which rule it was made."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.pipelines.latent_risk.unit_identity import Claim

MODALITIES = ("electrical", "degradation", "lvp", "mask", "repair", "neighbourhood")

MODALITIES_OF = {
    "screening": ("electrical", "neighbourhood"),
    "degradation": ("degradation",),
    "anomaly": ("lvp",),
    "overlay": ("mask",),
    "repair-outcome": ("repair",),
}
"""By kind of results that tell of units, of which modalities."""

KINDS = tuple(MODALITIES_OF)

WANTING = {
    "electrical": "no screening has a score of it (POST /files/{id}/screenings)",
    "degradation": "no forecast of its readouts is there (POST /tables/{id}/degradations)",
    "lvp": "none of its probing sessions was compared with a golden one (POST /probing-sessions/{id}/comparisons)",
    "mask": "no inspection of its die was laid over a layout (POST /files/{id}/overlays)",
    "repair": "no judged repair was on it (POST /tables/{id}/repair-outcomes)",
    "neighbourhood": "no screening has its wafer with places and verdicts (POST /files/{id}/screenings)",
}
"""Why a modality is missing of a unit of which no record speaks, and what would change that."""


@dataclass(frozen=True)
class Origin:
    """Where values come from.

    Attributes:
        modality: one of :data:`MODALITIES`.
        kind: of the stored result.
        result_id: its id.
        version: algorithm and version that made it.
        known_at: since when it was known.
        stated: a person says so of its files; otherwise it is when the result was stored.
        simulated: whether it rests on simulated data.
        rule: digest of all that makes values of two results comparable.
        features: names of the values.
        inputs: sha256 of the files that it was made from.
    """

    modality: str
    kind: str
    result_id: str
    version: str
    known_at: datetime
    stated: bool
    simulated: bool
    rule: str
    features: tuple[str, ...]
    inputs: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return what a cell of the table says of its source."""
        return {"kind": self.kind, "result": self.result_id, "version": self.version, "known_at": words(self.known_at)}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one record says of one unit: ``values`` of the origin's features, or the ``reason`` why it has none.

    ``passed_test`` says whether the unit passed its test: one that did not was never shipped; ``None`` says nothing.
    """

    claim: Claim
    values: tuple[float, ...] = ()
    reason: str = ""
    passed_test: bool | None = None


@dataclass(frozen=True)
class EvidenceRecord:
    """An origin with what it says of units."""

    origin: Origin
    readings: list[Reading] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a unit: ``failed`` or survived, known since ``known_at``; evidence counts until ``judged_at``.

    ``failed`` is ``None`` where the outcome is not known.
    """

    claim: Claim
    failed: bool | None
    judged_at: datetime | None
    known_at: datetime | None
    source: str = ""


def digest_rule(*parts: Any) -> str:
    """Return a digest of what makes the values of a result comparable with those of another."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def words(moment: datetime) -> str:
    """Return ``moment`` as ISO 8601 in UTC, to the second or as exact as it is."""
    return moment.astimezone(UTC).isoformat()


@dataclass(frozen=True)
class DieFrame:
    """How places that another kind of file counts become columns and rows as testers' logs count them.

    Whole numbers: axes swapped first if ``swap``, then ``x = x_sign * x + x_offset``, the same of ``y``.
    """

    swap: bool = False
    x_sign: int = 1
    y_sign: int = 1
    x_offset: int = 0
    y_offset: int = 0

    def apply(self, x: int, y: int) -> tuple[int, int]:
        """Return column and row."""
        if self.swap:
            x, y = y, x
        return self.x_sign * x + self.x_offset, self.y_sign * y + self.y_offset


@dataclass(frozen=True)
class PrintedMask:
    """Which lots a mask has printed, and how its dies repeat: the first at (``x_first``, ``y_first``), and so on."""

    lots: frozenset[str]
    columns: int = 1
    rows: int = 1
    x_first: int = 0
    y_first: int = 0

    def die_of(self, x: int, y: int) -> tuple[int, int]:
        """Return the mask's die that printed the wafer's die at column ``x`` and row ``y``."""
        return (x - self.x_first) % self.columns, (y - self.y_first) % self.rows


Frames = Mapping[str, DieFrame]
"""By kind of file: ``wafer_map`` or ``inspection``."""

"""What analyses write: a result under its job key, its findings, both in the transaction that ends the job."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select

from db.bulk import copy_rows
from db.identifiers import uuid7
from db.schema.work import finding, result


@dataclass(frozen=True)
class NewFinding:
    """One thing that was found. ``rank`` counts from 1 within the result and kind; ``probability`` is in 0..1."""

    kind: str
    rank: int
    subject: str
    score: float | None = None
    probability: float | None = None
    interval: tuple[float, float] | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewResult:
    """An answer with its provenance; ``job_key`` is unique, so the same question has one answer."""

    job_key: str
    job_id: uuid.UUID
    program_id: uuid.UUID
    kind: str
    verdict: str | None
    body: Mapping[str, Any]
    provenance: Mapping[str, Any]
    simulated: bool
    probing_session_id: uuid.UUID | None = None


def insert_result(connection: Connection, new: NewResult, findings: Sequence[NewFinding]) -> uuid.UUID:
    """Insert a result with its findings; return its id.

    Raises:
        sqlalchemy.exc.IntegrityError: there is a result with this key.
    """
    identity = uuid7()
    connection.execute(
        insert(result).values(
            id=identity,
            job_key=new.job_key,
            job_id=new.job_id,
            program_id=new.program_id,
            probing_session_id=new.probing_session_id,
            kind=new.kind,
            verdict=new.verdict,
            body=dict(new.body),
            provenance=dict(new.provenance),
            simulated=new.simulated,
        )
    )
    copy_rows(connection, finding, (_finding_row(item, identity, new.program_id) for item in findings))
    return identity


@dataclass(frozen=True)
class StoredResult:
    """A stored answer: its kind, its document, and what it rests on."""

    kind: str
    body: Mapping[str, Any]
    provenance: Mapping[str, Any]


def find_result(connection: Connection, program_id: uuid.UUID, identity: uuid.UUID) -> StoredResult | None:
    """Return a result of ``program_id``, ``None`` when it has no such result."""
    query = select(result.c.kind, result.c.body, result.c.provenance).where(
        result.c.id == identity, result.c.program_id == program_id
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredResult(row.kind, row.body, row.provenance)


def _finding_row(item: NewFinding, result_id: uuid.UUID, program_id: uuid.UUID) -> dict[str, Any]:
    low, high = item.interval if item.interval is not None else (None, None)
    return {
        "id": uuid7(),
        "result_id": result_id,
        "program_id": program_id,
        "rank": item.rank,
        "kind": item.kind,
        "subject": item.subject,
        "score": item.score,
        "probability": item.probability,
        "interval_low": low,
        "interval_high": high,
        "evidence": dict(item.evidence),
    }

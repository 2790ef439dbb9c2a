"""The answer of a job, stored: its result, the findings in it, and the line in the audit trail."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from db.repositories import audit, results
from db.repositories.results import NewFinding, NewResult
from db.unit_of_work import UnitOfWork
from services.pipelines.context import JobContext, JobRefused


@dataclass(frozen=True)
class Answer:
    """What a job found out.

    Attributes:
        body: the document, storable.
        provenance: what it rests on.
        simulated: whether any of that is simulated.
        verdict: in a word; ``None`` where there is nothing to decide.
        probing_session_id: the session that it is about, if any.
    """

    body: Mapping[str, Any]
    provenance: Mapping[str, Any]
    simulated: bool
    verdict: str | None
    probing_session_id: uuid.UUID | None = None


def store_answer(
    unit: UnitOfWork, context: JobContext, answer: Answer, findings: Iterable[NewFinding] = ()
) -> uuid.UUID:
    """Write ``answer`` as the result of the job of ``context``, with its ``findings``; return the result's id."""
    claimed = context.claimed
    new = NewResult(
        job_key=claimed.job_key,
        job_id=claimed.id,
        program_id=claimed.program_id,
        kind=claimed.kind,
        verdict=answer.verdict,
        body=dict(answer.body),
        provenance=dict(answer.provenance),
        simulated=answer.simulated,
        probing_session_id=answer.probing_session_id,
    )
    result_id = results.insert_result(unit.connection, new, list(findings))
    entry = audit.AuditEntry(
        "result.stored", "result", result_id, claimed.program_id, after={"job_id": str(claimed.id)}
    )
    audit.record(unit.connection, f"service:{claimed.kind}", claimed.request_id, entry)
    return result_id


def load_result(context: JobContext, identity: uuid.UUID, kind: str) -> dict[str, Any]:
    """Return the document of a stored result of the job's program, with its provenance.

    Raises:
        JobRefused: the program has no such result, or it is of another kind.
    """
    with context.engine.connect() as connection:
        found = results.find_result(connection, context.claimed.program_id, identity)
    if found is None:
        raise JobRefused(f"there is no result {identity}")
    if found.kind != kind:
        raise JobRefused(f"the result {identity} is of the kind {found.kind}, not {kind}")
    return dict(found.body) | {"provenance": dict(found.provenance)}


def code_version() -> str:
    """Return the version of the installed distribution, ``unknown`` when it runs from a bare checkout."""
    try:
        return version("faultlight")
    except PackageNotFoundError:
        return "unknown"

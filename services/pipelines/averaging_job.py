"""The job ``averaging``: a stored probing session in, whether its probes need more averages out."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories import audit, results
from db.repositories.probing import StoredSession, find_session
from db.repositories.results import NewFinding, NewResult
from db.unit_of_work import UnitOfWork
from instruments.errors import InstrumentError
from services.pipelines.context import Completion, JobContext, JobRefused
from services.pipelines.localization_job import code_version
from services.pipelines.record_rows import storable
from services.pipelines.stored_session import rebuild_session

ACTOR = "service:averaging"


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``averaging``.

    Raises:
        JobRefused: there is no such session, or its probes cannot be judged.
    """
    from services.pipelines.averaging import judge_session  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    context.progress(0.02, "loading the session")
    identity = uuid.UUID(str(payload["probing_session_id"]))
    with context.engine.connect() as connection:
        stored = find_session(connection, identity)
    if stored is None or stored.row.program_id != context.claimed.program_id:
        raise JobRefused(f"there is no probing session {identity}")

    def progress(fraction: float, message: str) -> None:
        context.progress(0.05 + 0.9 * min(1.0, max(0.0, fraction)), message)

    try:
        document = judge_session(rebuild_session(stored, context.blobs), float(payload["wrong"]), progress)
    except (InstrumentError, ValueError) as error:
        raise JobRefused(str(error)) from error
    context.progress(0.97, "storing the result")
    return lambda unit: _write(unit, context, stored, storable(document))


def _write(unit: UnitOfWork, context: JobContext, stored: StoredSession, document: dict[str, Any]) -> None:
    claimed = context.claimed
    new = NewResult(
        job_key=claimed.job_key,
        job_id=claimed.id,
        program_id=claimed.program_id,
        kind=claimed.kind,
        verdict=document["verdict"],
        body=document,
        provenance={
            **document["provenance"],
            "inputs": sorted(stored.subject.file_sha256.values()),
            "content_sha256": stored.subject.content_sha256,
            "adapters": {stored.adapter: stored.adapter_version} if stored.adapter is not None else {},
            "code_version": code_version(),
            "simulated": document["simulated"],
        },
        simulated=bool(document["simulated"]),
        probing_session_id=stored.row.id,
    )
    result_id = results.insert_result(unit.connection, new, list(_findings(document)))
    entry = audit.AuditEntry(
        "result.stored", "result", result_id, claimed.program_id, after={"job_id": str(claimed.id)}
    )
    audit.record(unit.connection, ACTOR, claimed.request_id, entry)


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield every probe in its order, with how sure it is of what its net does."""
    for rank, probe in enumerate(document["probes"], 1):
        sure = max((item["posterior"] for item in probe["behaviours"]), default=probe["elsewhere"])
        snr = (probe["snr"] or {}).get("estimate")
        yield NewFinding("averaging", rank, probe["net"], snr, sure, evidence=probe)

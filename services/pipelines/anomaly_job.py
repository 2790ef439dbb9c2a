"""The job ``anomaly``: a stored suspect session and golden ones in, a result with its findings and provenance out."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
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

ACTOR = "service:anomaly"
_TOLD = ("different", "no-signal")


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``anomaly``.

    Raises:
        JobRefused: there is no such session, or the sessions cannot be compared.
    """
    from services.pipelines.golden_comparison import compare_sessions  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    context.progress(0.02, "loading the sessions")
    suspect = _find(context, payload["probing_session_id"])
    golden = [_find(context, identity) for identity in payload["golden_session_ids"]]
    sessions = [rebuild_session(each, context.blobs) for each in (suspect, *golden)]

    def progress(fraction: float, message: str) -> None:
        context.progress(0.05 + 0.9 * min(1.0, max(0.0, fraction)), message)

    try:
        document = compare_sessions(sessions[0], sessions[1:], progress)
    except (InstrumentError, ValueError) as error:
        raise JobRefused(str(error)) from error
    context.progress(0.97, "storing the result")
    return lambda unit: _write(unit, context, suspect, golden, storable(document))


def _find(context: JobContext, identity: object) -> StoredSession:
    with context.engine.connect() as connection:
        stored = find_session(connection, uuid.UUID(str(identity)))
    if stored is None or stored.row.program_id != context.claimed.program_id:
        raise JobRefused(f"there is no probing session {identity}")
    return stored


def _write(
    unit: UnitOfWork,
    context: JobContext,
    suspect: StoredSession,
    golden: Sequence[StoredSession],
    document: dict[str, Any],
) -> None:
    claimed = context.claimed
    new = NewResult(
        job_key=claimed.job_key,
        job_id=claimed.id,
        program_id=claimed.program_id,
        kind=claimed.kind,
        verdict=document["verdict"],
        body=document,
        provenance=_provenance(suspect, golden, document),
        simulated=bool(document["simulated"]),
        probing_session_id=suspect.row.id,
    )
    result_id = results.insert_result(unit.connection, new, list(_findings(document)))
    entry = audit.AuditEntry(
        "result.stored", "result", result_id, claimed.program_id, after={"job_id": str(claimed.id)}
    )
    audit.record(unit.connection, ACTOR, claimed.request_id, entry)


def _provenance(suspect: StoredSession, golden: Sequence[StoredSession], document: Mapping[str, Any]) -> dict[str, Any]:
    stored = (suspect, *golden)
    return {
        **document["provenance"],
        "inputs": sorted({digest for each in stored for digest in each.subject.file_sha256.values()}),
        "content_sha256": suspect.subject.content_sha256,
        "golden_content_sha256": [each.subject.content_sha256 for each in golden],
        "adapters": {each.adapter: each.adapter_version for each in stored if each.adapter is not None},
        "code_version": code_version(),
        "simulated": document["simulated"],
    }


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield what differs: nets, places of maps, and the likeliest cell of a scan chain."""
    nets = [net for net in document["nets"] if net["verdict"] in _TOLD]
    for rank, net in enumerate(nets, 1):
        yield NewFinding("net_difference", rank, net["net"], net["largest_z"], evidence=net)
    places = [(each["map"], place) for each in document["maps"] for place in each["differences"]]
    for rank, (name, place) in enumerate(places, 1):
        yield NewFinding("map_difference", rank, name, place["height_sigma"], evidence=place)
    cells = (document["scan_chain"] or {}).get("cells") or []
    ranked = sorted(cells, key=lambda cell: -float(cell["posterior"]))[:5]
    for rank, cell in enumerate(ranked, 1):
        yield NewFinding("chain_break", rank, cell["cell"], probability=cell["posterior"], evidence=cell)

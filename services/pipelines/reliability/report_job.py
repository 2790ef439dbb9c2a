"""The job ``report``: what had arrived by the freeze in, a report as document, HTML and PDF out, and its deliveries."""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row

from db.blobs import report_key
from db.repositories import audit, events, report_deliveries, report_inputs, reports
from db.repositories.events import NewEvent
from db.repositories.report_inputs import Period
from db.repositories.reports import MadeReport
from db.unit_of_work import UnitOfWork
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext, JobRefused
from services.pipelines.ingestion.record_rows import storable
from services.pipelines.reliability.report_requests import ReportContent, ask_report
from services.pipelines.reliability.report_risk import describe_latent_risk
from services.pipelines.reliability.screening_requests import KINDS
from services.pipelines.table_job import load_tables_of_files
from services.pipelines.table_source import SourceTable

LIFETIME = "lifetime"


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``report``.

    Raises:
        JobRefused: there is no such report, or its content is of another version.
        DamagedRecord: stored bytes are not those that were written.
    """
    from services.pipelines.reliability.report_document import (  # noqa: PLC0415  (numerics load in workers only)
        ReportInputs,
        build_report,
        encode,
    )
    from services.reports.rendering import render_report  # noqa: PLC0415

    row = _find(context)
    content = _content(row)
    period = Period(row.program_id, row.period_from, row.freeze_at)
    context.progress(0.02, "freezing the data")
    with context.engine.connect() as connection:
        files = _choose_files(connection, period, content)
        excursions = describe_excursions(connection, period)
        previous = reports.find_previous(connection, row)
        remarks = _describe_unread(connection, period)
        latent_risk = describe_latent_risk(connection, period)
    inputs = ReportInputs(
        title=row.title,
        program=row.program_name,
        period_from=row.period_from,
        freeze_at=row.freeze_at,
        lifetimes=_load(context, files[LIFETIME], (LIFETIME,)),
        tested=_load(context, files["tested"], KINDS),
        excursions=excursions,
        latent_risk=latent_risk,
        previous=_describe_previous(previous),
        remarks=remarks,
    )
    document = analyse(context, lambda progress: build_report(inputs, content, progress))
    rendered = {"document": encode(document), **render_report(document)}
    files_made = {form: _store(context, row.program_id, data) for form, data in rendered.items()}
    made = MadeReport(
        scorecard=document["scorecard"],
        files=files_made,
        inputs_sha256=document["inputs_sha256"],
        simulated=bool(document["simulated"]),
        previous_id=previous.id if previous is not None else None,
    )
    return lambda unit: _finish(unit, context, row, made)


def _find(context: JobContext) -> Row[Any]:
    identity = uuid.UUID(str(context.claimed.payload["report_id"]))
    with context.engine.connect() as connection:
        row = reports.find_report(connection, identity)
    if row is None or row.program_id != context.claimed.program_id:
        raise JobRefused(f"there is no report {identity}")
    return row


def _content(row: Row[Any]) -> ReportContent:
    try:
        return ask_report(row.content)
    except ValueError as error:
        raise JobRefused(f"the report's content is not understood: {error}") from error


def _choose_files(connection: Connection, period: Period, content: ReportContent) -> dict[str, list[uuid.UUID]]:
    if content.lifetimes == "all":
        lifetimes = report_inputs.list_files_until_freeze(connection, period, (LIFETIME,))
    else:
        lifetimes = report_inputs.list_files_of_period(connection, period, (LIFETIME,))
    if content.files:
        wanted = set(content.files)
        lifetimes = [identity for identity in lifetimes if identity in wanted]
    tested = report_inputs.list_files_of_period(connection, period, KINDS) if content.screen is not None else []
    return {LIFETIME: lifetimes, "tested": tested}


def _load(context: JobContext, files: list[uuid.UUID], kinds: tuple[str, ...]) -> list[SourceTable]:
    return load_tables_of_files(context, files, kinds) if files else []


def describe_excursions(connection: Connection, period: Period) -> dict[str, Any]:
    """Return what left its limits in the period, and what became of failure-analysis cases, as the report tells it."""
    open_cases, opened = report_inputs.count_cases(connection, period)
    unread = report_inputs.count_unread(connection, period)
    return {
        "events": [
            {
                "at": _words(row.occurred_at),
                "instrument": row.instrument_name or "",
                "node": str(row.data.get("node", "")),
                "quantity": str(row.data.get("quantity", "")),
                "meaning": str(row.data.get("meaning", row.data.get("rule", ""))),
            }
            for row in report_inputs.list_excursions(connection, period)
        ],
        "open_cases": open_cases,
        "opened_cases": opened,
        "quarantined": unread.get("quarantined", 0),
        "closed": [
            {
                "closed_at": _words(row.created_at),
                "title": row.title,
                "mechanism": str(row.conclusion.get("mechanism", "")),
                "root_cause": str(row.conclusion.get("root_cause", "")),
            }
            for row in report_inputs.list_signed_off(connection, period)
        ],
    }


def _describe_unread(connection: Connection, period: Period) -> list[str]:
    unread = report_inputs.count_unread(connection, period)
    words = {
        "received": "files had arrived by the freeze and were not yet read when the report was made",
        "quarantined": "files that arrived in the period are in quarantine: no adapter reads them",
    }
    return [f"{unread[state]} {text}" for state, text in words.items() if unread.get(state)]


def _describe_previous(row: Row[Any] | None) -> Mapping[str, Any] | None:
    if row is None:
        return None
    freeze = row.freeze_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "freeze_at": freeze,
        "scorecard": row.scorecard,
        "question": row.content,
        "sha256": row.files["document"]["sha256"],
    }


def _words(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _store(context: JobContext, program_id: uuid.UUID, data: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    key = report_key(program_id, sha256)
    context.blobs.put_bytes(key, data)
    return {"key": key, "sha256": sha256, "bytes": len(data)}


def _finish(unit: UnitOfWork, context: JobContext, row: Row[Any], made: MadeReport) -> None:
    """Write the report, a delivery for each recipient and the event for webhooks, with the job's end."""
    reports.store(unit.connection, row.id, made)
    report_deliveries.insert_deliveries(unit.connection, row, row.recipients, row.requested_by)
    files = {form: {"sha256": file["sha256"], "bytes": file["bytes"]} for form, file in made.files.items()}
    data = {
        "title": row.title,
        "due_at": row.due_at.isoformat() if row.due_at is not None else None,
        "freeze_at": row.freeze_at.isoformat(),
        "simulated": made.simulated,
        "files": files,
        "path": f"/api/v1/reports/{row.id}",
        "scorecard": [{name: each[name] for name in ("key", "label", "text", "verdict")} for each in made.scorecard],
    }
    new = NewEvent(row.program_id, "report.ready", "report", row.id, storable(data), (row.id,))
    events.record(unit.connection, new)
    entry = audit.AuditEntry("report.made", "report", row.id, row.program_id, after={"files": files})
    audit.record(unit.connection, "service:report", context.claimed.request_id, entry)

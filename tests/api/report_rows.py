"""A schedule, a report that is made, and one that could not be mailed, written straight into the tables."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert

from db.blobs import BlobStore, report_key
from db.identifiers import uuid7
from db.schema.reports import report, report_delivery, report_schedule
from db.schema.work import job
from services.pipelines.reliability.report_requests import ReportContent

FORMS = {"document": b'{"title":"monthly"}', "html": b"<!DOCTYPE html><title>monthly</title>", "pdf": b"%PDF-1.7"}


def add_report(engine: Engine, blobs: BlobStore, program: uuid.UUID) -> dict[str, uuid.UUID]:
    """Add one of each; their ids by the names of their path parameters."""
    now, content = datetime.now(UTC), ReportContent().model_dump(mode="json")
    ids = {name: uuid7() for name in ("schedule_id", "report_id", "mail_id")}
    for form, data in FORMS.items():
        blobs.put_bytes(report_key(program, form), data)
    files = {
        form: {"key": report_key(program, form), "sha256": "0" * 64, "bytes": len(data)} for form, data in FORMS.items()
    }
    rows: dict[Any, dict[str, Any]] = {
        report_schedule: {
            "id": ids["schedule_id"], "name": f"monthly {ids['schedule_id']}", "cron": "0 6 1 * *", "time_zone": "UTC",
            "content": content, "recipients": [], "next_due_at": now + timedelta(days=9), "created_by": "account:test",
        },
        report: {
            "id": ids["report_id"], "schedule_id": ids["schedule_id"], "due_at": now, "title": "monthly",
            "content": content, "recipients": [], "freeze_at": now, "period_from": now - timedelta(days=31),
            "state": "ready", "scorecard": [], "files": files, "inputs_sha256": "0" * 64, "made_at": now,
            "requested_by": "service:test",
        },
        report_delivery: {
            "id": ids["mail_id"], "report_id": ids["report_id"], "recipient": "ada@fab.example", "state": "failed",
            "next_attempt_at": now, "reason": "550 no such user", "requested_by": "service:test",
        },
    }  # fmt: skip
    with engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(insert(table).values(program_id=program, **values))
    return ids


def add_failed_report(engine: Engine, program: uuid.UUID) -> uuid.UUID:
    """Add a report whose job has failed; its id."""
    now = datetime.now(UTC)
    identity, job_id = uuid7(), uuid7()
    of_job = {"kind": "report", "queue": "cpu", "payload": {"report_id": str(identity)}, "requested_by": "test"}
    values = {
        "title": "late", "content": ReportContent().model_dump(mode="json"), "recipients": [], "freeze_at": now,
        "period_from": now - timedelta(days=1), "requested_by": "test",
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(
            insert(job).values(id=job_id, job_key=uuid.uuid4().hex, program_id=program, state="failed", **of_job)
        )
        connection.execute(insert(report).values(id=identity, program_id=program, job_id=job_id, **values))
    return identity

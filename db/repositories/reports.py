"""Reports: one for each due time of a schedule however many schedulers run, and those that people ask for."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from db.identifiers import uuid7
from db.repositories import jobs
from db.repositories.access import Action, Caller, RowNotFound
from db.repositories.jobs import NewJob
from db.schema.files import blob
from db.schema.people import program
from db.schema.reports import report
from db.schema.work import job

JOB_KIND = "report"


@dataclass(frozen=True)
class NewReport:
    """A report to be made, or one that is skipped for a ``reason``.

    ``period_from`` to ``freeze_at`` is the time that it tells of; what came after the freeze is not in it.
    """

    program_id: uuid.UUID
    title: str
    content: Mapping[str, Any]
    recipients: Sequence[str]
    period_from: datetime
    freeze_at: datetime
    requested_by: str
    schedule_id: uuid.UUID | None = None
    due_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class MadeReport:
    """What has been made: ``files`` by form with key, sha256 and size."""

    scorecard: Sequence[Mapping[str, Any]]
    files: Mapping[str, Mapping[str, Any]]
    inputs_sha256: str
    simulated: bool
    previous_id: uuid.UUID | None = None


def insert_report(connection: Connection, new: NewReport) -> uuid.UUID | None:
    """Insert a report; return its id, ``None`` when the due time of its schedule has one already."""
    identity = uuid7()
    values = {each.name: getattr(new, each.name) for each in fields(new)}
    values |= {"content": dict(new.content), "recipients": list(new.recipients)}
    state = "due" if new.reason is None else "skipped"
    statement = (
        insert(report)
        .values(id=identity, state=state, **values)
        .on_conflict_do_nothing(index_elements=[report.c.schedule_id, report.c.due_at])
        .returning(report.c.id)
    )
    return identity if connection.execute(statement).scalar() is not None else None


def ask_for(connection: Connection, identity: uuid.UUID, new_job: NewJob) -> uuid.UUID:
    """Insert the job that makes a report, in the transaction that inserted the report; return the job's id."""
    job_id, _ = jobs.insert(connection, new_job)
    connection.execute(update(report).where(report.c.id == identity).values(job_id=job_id))
    return job_id


def last_freeze(connection: Connection, schedule_id: uuid.UUID, before: datetime) -> datetime | None:
    """Return when the data of the schedule's last report before ``before`` were frozen, skipped ones left out."""
    of_schedule = select(func.max(report.c.freeze_at)).where(
        report.c.schedule_id == schedule_id,
        report.c.due_at < before,
        report.c.state != "skipped",
    )
    return connection.execute(of_schedule).scalar()


def was_asked_for_since(connection: Connection, schedule_id: uuid.UUID, moment: datetime) -> bool:
    """Return whether a person has asked for a report of the schedule, which is locked, later than ``moment``."""
    asked = select(report.c.id).where(
        report.c.schedule_id == schedule_id, report.c.due_at.is_(None), report.c.created_at > moment
    )
    return connection.execute(asked.limit(1)).scalar() is not None


def find_report(connection: Connection, identity: uuid.UUID) -> Row[Any] | None:
    """Return a report with its program's name, for the service itself."""
    query = select(report, program.c.name.label("program_name")).join(program, program.c.id == report.c.program_id)
    return connection.execute(query.where(report.c.id == identity)).one_or_none()


def find_previous(connection: Connection, row: Row[Any]) -> Row[Any] | None:
    """Return the last report before ``row`` that was made: of its schedule, or of its title where it has none."""
    same = report.c.schedule_id == row.schedule_id if row.schedule_id is not None else report.c.title == row.title
    query = select(report).where(
        report.c.program_id == row.program_id, same, report.c.state == "ready", report.c.freeze_at < row.freeze_at
    )
    return connection.execute(query.order_by(report.c.freeze_at.desc(), report.c.id.desc()).limit(1)).one_or_none()


def find_file(connection: Connection, caller: Caller, identity: uuid.UUID, form: str) -> Mapping[str, Any] | None:
    """Return key, sha256 and size of a report's file in ``form``; ``None`` while it is not made.

    Raises:
        RowNotFound: there is no such report that the caller may read.
    """
    allowed = caller.restriction(Action.READ_RECORDS, report.c.program_id)
    query = select(report.c.files[form].label("file")).where(report.c.id == identity, allowed)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise RowNotFound("report", identity)
    found: Mapping[str, Any] | None = row.file
    return found


def lock_report(connection: Connection, caller: Caller, identity: uuid.UUID) -> Row[Any]:
    """Return a report that the caller may send, locked; raises :class:`RowNotFound`."""
    allowed = caller.restriction(Action.WRITE_REPORTS, report.c.program_id)
    row = connection.execute(select(report).where(report.c.id == identity, allowed).with_for_update()).one_or_none()
    if row is None:
        raise RowNotFound("report", identity)
    return row


def has_ended_without(connection: Connection, row: Row[Any]) -> bool:
    """Return whether the last job of the report ``row`` has ended: failed, dead or cancelled."""
    ended = select(job.c.id).where(job.c.id == row.job_id, job.c.state.in_(("failed", "dead", "cancelled")))
    return connection.execute(ended).scalar() is not None


def store(connection: Connection, identity: uuid.UUID, made: MadeReport) -> None:
    """Write what was made of a report, once."""
    for file in made.files.values():
        values = {"key": file["key"], "size_bytes": file["bytes"], "sha256": file["sha256"]}
        connection.execute(insert(blob).values(**values).on_conflict_do_nothing(index_elements=[blob.c.key]))
    statement = update(report).where(report.c.id == identity, report.c.state == "due")
    connection.execute(
        statement.values(
            state="ready",
            scorecard=[dict(row) for row in made.scorecard],
            files={form: dict(file) for form, file in made.files.items()},
            inputs_sha256=made.inputs_sha256,
            simulated=made.simulated,
            previous_id=made.previous_id,
            made_at=func.now(),
        )
    )

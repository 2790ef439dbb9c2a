"""Schedules of reports: made and changed by people, and found due by whichever scheduler looks first.

Only the database's clock says what time it is, so that schedulers whose clocks differ agree.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, insert, select, update

from db.identifiers import uuid7
from db.repositories import audit
from db.repositories.access import Action, Caller, Conflict, RowNotFound, find_program
from db.repositories.audit import AuditEntry
from db.schema.reports import report_schedule

CLOCK: ColumnElement[datetime] = func.now()
"""What time it is: of the transaction, by the database."""
MOST_SCHEDULES = 200
"""Of a program."""


@dataclass(frozen=True)
class NewSchedule:
    """A schedule to insert; ``next_due_at`` is its first due time."""

    program: str
    name: str
    description: str
    cron: str
    time_zone: str
    catch_up: str
    content: Mapping[str, Any]
    recipients: Sequence[str]
    next_due_at: datetime
    enabled: bool = True


def read_clock(connection: Connection) -> datetime:
    """Return what time it is: of the transaction, by the database."""
    moment: datetime = connection.execute(select(CLOCK)).scalar_one()
    return moment


def create(connection: Connection, caller: Caller, new: NewSchedule) -> uuid.UUID:
    """Insert a schedule; raises :class:`Conflict` when the name is taken or the program has too many."""
    program_id = find_program(connection, caller, Action.WRITE_REPORTS, new.program)
    own = report_schedule.c.program_id == program_id
    names = set(connection.execute(select(report_schedule.c.name).where(own)).scalars())
    if new.name in names:
        raise Conflict(f"the program has a report schedule called {new.name!r}")
    if len(names) >= MOST_SCHEDULES:
        raise Conflict(f"the program has {MOST_SCHEDULES} report schedules already")
    identity = uuid7()
    values = {
        "name": new.name,
        "description": new.description,
        "cron": new.cron,
        "time_zone": new.time_zone,
        "catch_up": new.catch_up,
        "enabled": new.enabled,
        "content": dict(new.content),
        "recipients": list(new.recipients),
    }
    statement = insert(report_schedule).values(
        id=identity, program_id=program_id, next_due_at=new.next_due_at, created_by=caller.actor, **values
    )
    connection.execute(statement)
    entry = AuditEntry("report-schedule.created", "report_schedule", identity, program_id, after=values)
    audit.record(connection, caller.actor, caller.request_id, entry)
    return identity


def lock_for_change(connection: Connection, caller: Caller, identity: uuid.UUID) -> Row[Any]:
    """Return a schedule that the caller may change, locked for this transaction; raises :class:`RowNotFound`."""
    allowed = caller.restriction(Action.WRITE_REPORTS, report_schedule.c.program_id)
    found = select(report_schedule).where(report_schedule.c.id == identity, allowed).with_for_update()
    row: Row[Any] | None = connection.execute(found).one_or_none()
    if row is None:
        raise RowNotFound("report schedule", identity)
    return row


def find(connection: Connection, caller: Caller, identity: uuid.UUID) -> Row[Any]:
    """Return a schedule that the caller may read; raises :class:`RowNotFound`."""
    allowed = caller.restriction(Action.READ_RECORDS, report_schedule.c.program_id)
    found = select(report_schedule).where(report_schedule.c.id == identity, allowed)
    row: Row[Any] | None = connection.execute(found).one_or_none()
    if row is None:
        raise RowNotFound("report schedule", identity)
    return row


def change(connection: Connection, caller: Caller, before: Row[Any], changes: Mapping[str, Any]) -> None:
    """Write ``changes`` of the schedule ``before``, with the audit entry; raises :class:`Conflict` for a taken name."""
    taken = select(report_schedule.c.id).where(
        report_schedule.c.program_id == before.program_id,
        report_schedule.c.name == changes.get("name"),
        report_schedule.c.id != before.id,
    )
    if "name" in changes and connection.execute(taken).scalar() is not None:
        raise Conflict(f"the program has a report schedule called {changes['name']!r}")
    statement = update(report_schedule).where(report_schedule.c.id == before.id)
    connection.execute(statement.values(revision=report_schedule.c.revision + 1, **changes))
    told = {name: _storable(value) for name, value in changes.items()}
    entry = AuditEntry(
        "report-schedule.changed",
        "report_schedule",
        before.id,
        before.program_id,
        before={name: _storable(getattr(before, name)) for name in changes},
        after=told,
    )
    audit.record(connection, caller.actor, caller.request_id, entry)


def _storable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def list_due(engine: Engine) -> list[uuid.UUID]:
    """Return the schedules that are due, the longest due first."""
    due = select(report_schedule.c.id).where(report_schedule.c.enabled, report_schedule.c.next_due_at <= CLOCK)
    with engine.connect() as connection:
        return list(connection.execute(due.order_by(report_schedule.c.next_due_at)).scalars())


def lock_due(connection: Connection, identity: uuid.UUID) -> Row[Any] | None:
    """Return a schedule that is due, locked; ``None`` when it is not any more, or another scheduler attends to it."""
    due = select(report_schedule).where(
        report_schedule.c.id == identity, report_schedule.c.enabled, report_schedule.c.next_due_at <= CLOCK
    )
    return connection.execute(due.with_for_update(skip_locked=True)).one_or_none()


def move_on(connection: Connection, identity: uuid.UUID, next_due_at: datetime) -> None:
    """Say when the schedule is due next."""
    statement = update(report_schedule).where(report_schedule.c.id == identity)
    connection.execute(statement.values(next_due_at=next_due_at))

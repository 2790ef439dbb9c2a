"""What of reports waits for a person: what is due next, what was not made, what was not delivered."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from db.repositories.access import Action, Caller
from db.schema.reports import report, report_delivery, report_schedule
from db.schema.work import job

MOST = 10
Rows = list[dict[str, Any]]
_UNFINISHED = ("failed", "dead", "cancelled")


@dataclass(frozen=True)
class ReportAttention:
    """One look; each list has at most ``MOST`` rows."""

    due: Rows
    not_made: Rows
    undelivered: Rows


def look(connection: Connection, caller: Caller, due_until: datetime, since: datetime) -> ReportAttention:
    """Return what waits in the programs whose records the caller may read.

    ``due_until``: later due times need nobody yet; ``since``: what went wrong before is no news.
    """
    return ReportAttention(
        due=_due(connection, caller, due_until),
        not_made=_not_made(connection, caller, since),
        undelivered=_undelivered(connection, caller, since),
    )


def _fetch(connection: Connection, query: Select[Any]) -> Rows:
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]


def _due(connection: Connection, caller: Caller, until: datetime) -> Rows:
    query = (
        select(
            report_schedule.c.id,
            report_schedule.c.program_id,
            report_schedule.c.name,
            report_schedule.c.cron,
            report_schedule.c.time_zone,
            report_schedule.c.enabled,
            report_schedule.c.next_due_at,
            report_schedule.c.recipients,
        )
        .where(
            report_schedule.c.enabled,
            report_schedule.c.next_due_at <= until,
            caller.restriction(Action.READ_RECORDS, report_schedule.c.program_id),
        )
        .order_by(report_schedule.c.next_due_at, report_schedule.c.id)
        .limit(MOST)
    )
    return _fetch(connection, query)


def _not_made(connection: Connection, caller: Caller, since: datetime) -> Rows:
    query = (
        select(report.c.id, report.c.title, report.c.due_at, report.c.created_at, job.c.state, job.c.error)
        .select_from(report.join(job, job.c.id == report.c.job_id))
        .where(
            report.c.id >= _first_id(since),
            report.c.state == "due",
            job.c.state.in_(_UNFINISHED),
            caller.restriction(Action.READ_RECORDS, report.c.program_id),
        )
        .order_by(report.c.id.desc())
        .limit(MOST)
    )
    return _fetch(connection, query)


def _undelivered(connection: Connection, caller: Caller, since: datetime) -> Rows:
    query = (
        select(
            report_delivery.c.id,
            report_delivery.c.report_id,
            report_delivery.c.recipient,
            report_delivery.c.state,
            report_delivery.c.reason,
            report_delivery.c.created_at,
            report.c.title,
        )
        .select_from(report_delivery.join(report, report.c.id == report_delivery.c.report_id))
        .where(
            report_delivery.c.id >= _first_id(since),
            report_delivery.c.state.in_(("unknown", "failed")),
            caller.restriction(Action.READ_RECORDS, report_delivery.c.program_id),
        )
        .order_by(report_delivery.c.id.desc())
        .limit(MOST)
    )
    return _fetch(connection, query)


def _first_id(moment: datetime) -> uuid.UUID:
    """Return the smallest UUIDv7 of ``moment``: ids grow with time, so that the primary key bounds the look."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)

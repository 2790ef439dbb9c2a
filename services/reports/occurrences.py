"""Making reports due: each due time of a schedule becomes exactly one report, made or skipped, and its job.

Any number of schedulers may look. The schedule's row is locked while its due times are written, the report's unique key
is (schedule, due time), and report, job and the schedule's next due time are one transaction: a scheduler that is
killed leaves all of it or nothing. The time is the database's.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row

from db.repositories import report_schedules, reports
from db.repositories.jobs import DueJob, NewJob
from db.repositories.reports import JOB_KIND, NewReport
from db.unit_of_work import UnitOfWork, begin
from services.pipelines.job_keys import make_key
from services.pipelines.versions import REPORT_VERSION
from services.reports.due_times import BadSchedule, due_after, last_due_before
from services.settings import Settings

log = structlog.get_logger(__name__)

QUEUE = "cpu"
PRIORITY = 4
ACTOR = "service:scheduler"
BATCH = 100
"""Due times of one schedule that are caught up in one transaction."""
FIRST_PERIOD = timedelta(days=31)

Announce = Callable[[DueJob], object]


@dataclass(frozen=True)
class Missed:
    """What becomes of due times that nobody saw in time: ``policy`` and, for ``skip``, how late is still in time."""

    policy: str
    grace_s: float

    def reason_to_skip(self, due_at: datetime, now: datetime, *, last: bool) -> str | None:
        """Return why the due time ``due_at`` is skipped at ``now``, ``None`` when it is not; ``last``: none follows."""
        late = now - due_at
        if self.policy == "latest" and not last:
            return f"missed by {_words(late)}; only the latest of missed reports is made"
        if self.policy == "skip" and late.total_seconds() > self.grace_s:
            return f"missed by {_words(late)}; missed reports are skipped"
        return None


def _words(late: timedelta) -> str:
    seconds = late.total_seconds()
    return f"{seconds / 86400:.1f} d" if seconds >= 2 * 86400 else f"{seconds / 3600:.1f} h"


def attend_to_schedules(engine: Engine, settings: Settings, announce: Announce) -> int:
    """Make reports of every due time that has come; return how many rows that were, skipped ones among them."""
    made = 0
    for identity in report_schedules.list_due(engine):
        try:
            while (count := _attend(engine, settings, announce, identity)) is not None:
                made += count
        except BadSchedule as error:  # a zone that this machine does not know must not stop the others
            log.error("schedule_not_understood", schedule_id=str(identity), reason=str(error))
    return made


def _attend(engine: Engine, settings: Settings, announce: Announce, identity: uuid.UUID) -> int | None:
    with begin(engine) as unit:
        schedule = report_schedules.lock_due(unit.connection, identity)
        if schedule is None:
            return None
        return make_due(unit, schedule, settings, announce)


def make_due(unit: UnitOfWork, schedule: Row[Any], settings: Settings, announce: Announce) -> int:
    """Write the due times of a locked ``schedule`` that have come, at most :data:`BATCH`; return how many."""
    now = report_schedules.read_clock(unit.connection)
    missed = Missed(schedule.catch_up, settings.report_grace_s)
    due, following = _due_until(schedule, now)
    for place, due_at in enumerate(due):
        last = place == len(due) - 1 and following > now
        reason = missed.reason_to_skip(due_at, now, last=last)
        _insert(unit, schedule, due_at, reason, (settings, announce))
    report_schedules.move_on(unit.connection, schedule.id, following)
    log.info("reports_due", schedule_id=str(schedule.id), count=len(due), last=due[-1].isoformat() if due else None)
    return len(due)


def _due_until(schedule: Row[Any], now: datetime) -> tuple[list[datetime], datetime]:
    """Return the due times up to ``now``, at most a batch, and the one after them."""
    due: list[datetime] = []
    following: datetime = schedule.next_due_at
    later = due_after(schedule.cron, schedule.time_zone, following)
    while following <= now and len(due) < BATCH:
        due.append(following)
        following = next(later)
    return due, following


def _insert(
    unit: UnitOfWork, schedule: Row[Any], due_at: datetime, reason: str | None, ways: tuple[Settings, Announce]
) -> None:
    new = NewReport(
        program_id=schedule.program_id,
        title=schedule.name,
        content=schedule.content,
        recipients=schedule.recipients,
        period_from=period_before(unit.connection, schedule, due_at),
        freeze_at=due_at,
        requested_by=ACTOR,
        schedule_id=schedule.id,
        due_at=due_at,
        reason=reason,
    )
    identity = reports.insert_report(unit.connection, new)
    if identity is not None and reason is None:
        request_making(unit, identity, new, *ways)


def period_before(connection: Connection, schedule: Row[Any], freeze_at: datetime) -> datetime:
    """Return from when a report frozen at ``freeze_at`` tells: the freeze of the one before, or the due time before."""
    last = reports.last_freeze(connection, schedule.id, freeze_at)
    if last is None:
        last = last_due_before(schedule.cron, schedule.time_zone, freeze_at)
    return last if last is not None else freeze_at - FIRST_PERIOD


def request_making(
    unit: UnitOfWork, identity: uuid.UUID, new: NewReport, settings: Settings, announce: Announce
) -> uuid.UUID:
    """Insert the job that makes the report, and announce it once the transaction has committed; return the job's id."""
    making = Making(identity, new.program_id, new.requested_by)
    return _request(unit, making, settings, announce)


@dataclass(frozen=True)
class Making:
    """A report that is to be made, for whom; ``instead_of`` is the job that ended without it."""

    report_id: uuid.UUID
    program_id: uuid.UUID
    requested_by: str
    instead_of: uuid.UUID | None = None


def request_making_again(
    unit: UnitOfWork, row: Row[Any], actor: str, settings: Settings, announce: Announce
) -> uuid.UUID:
    """Insert another job that makes the locked report ``row``, whose last one has ended without it; return its id.

    The report keeps its freeze, its period and its recipients, so nothing falls between it and the one after it.
    """
    return _request(unit, Making(row.id, row.program_id, actor, row.job_id), settings, announce)


def _request(unit: UnitOfWork, making: Making, settings: Settings, announce: Announce) -> uuid.UUID:
    before = {} if making.instead_of is None else {"instead_of": str(making.instead_of)}
    job = NewJob(
        job_key=make_key(JOB_KIND, REPORT_VERSION, [str(making.report_id)], before),
        program_id=making.program_id,
        kind=JOB_KIND,
        queue=QUEUE,
        payload={"report_id": str(making.report_id)},
        requested_by=making.requested_by,
        priority=PRIORITY,
        max_attempts=settings.job_max_attempts,
    )
    job_id = reports.ask_for(unit.connection, making.report_id, job)

    def ring() -> None:
        announce(DueJob(job_id, QUEUE, PRIORITY))

    unit.after_commit(ring)
    return job_id

"""Jobs: the row is the truth. Insert is the outbox, claim is a compare-and-set, every write is fenced by the lease.

States: ``queued -> running -> succeeded | failed | dead | cancelled``; ``running -> queued`` when a worker gives a job
back or loses its lease. ``attempts`` is counted at the claim, so a job that kills its process ends as ``dead``.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Executable, Row, case, func, or_, select, text, update

from db.engine import single_statement
from db.identifiers import uuid7
from db.repositories import events
from db.repositories.events import NewEvent
from db.repositories.job_statements import CLAIM_FIRST, CLAIM_ONE, INSERT, after, claimable
from db.schema.work import job

BACK_OFF_S = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Pause before the next attempt after a crash, by the number of attempts so far."""


class LeaseLost(Exception):  # noqa: N818
    """Another worker may have this job now; whatever this one computed must not be written."""

    def __init__(self, job_id: uuid.UUID) -> None:
        super().__init__(f"the lease of job {job_id} is lost")
        self.job_id = job_id


@dataclass(frozen=True)
class NewJob:
    """A job to insert. ``job_key`` is unique: asking twice gives the same job."""

    job_key: str
    program_id: uuid.UUID
    kind: str
    queue: str
    payload: dict[str, Any]
    requested_by: str
    priority: int = 5
    max_attempts: int = 3
    request_id: str | None = None
    not_before: datetime | None = None


@dataclass(frozen=True)
class ClaimedJob:
    """A job that this worker holds the lease of; ``token`` fences its writes."""

    id: uuid.UUID
    token: uuid.UUID
    job_key: str
    program_id: uuid.UUID
    kind: str
    queue: str
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    requested_by: str
    request_id: str | None


@dataclass(frozen=True)
class LeaseState:
    """What a renewal found: whether the lease is still held, and whether somebody asked to cancel."""

    held: bool
    cancel_requested: bool


@dataclass(frozen=True)
class DueJob:
    """A job to publish."""

    job_id: uuid.UUID
    queue: str
    priority: int


OnDead = Callable[[Connection, str, dict[str, Any], dict[str, Any]], None]
"""Called with the connection, the job's kind, its payload and its last error."""


@dataclass
class ReconcileReport:
    """What a pass of the reconciler did: jobs to publish again, how many were taken back, which died."""

    to_publish: list[DueJob] = field(default_factory=list)
    requeued: int = 0
    dead: list[uuid.UUID] = field(default_factory=list)


def insert(connection: Connection, new: NewJob) -> tuple[uuid.UUID, bool]:
    """Insert a job; return its id and ``True``, or the id of the job with the same key and ``False``."""
    identity = uuid7()
    values = {"id": identity} | {field.name: getattr(new, field.name) for field in fields(new)}
    if connection.execute(INSERT, values).scalar() is not None:
        return identity, True
    existing = connection.execute(select(job.c.id).where(job.c.job_key == new.job_key)).scalar_one()
    return existing, False


def claim(engine: Engine, job_id: uuid.UUID, worker: str, lease_s: float) -> ClaimedJob | None:
    """Claim one job; ``None`` when somebody has it, it is finished, or it is not due yet."""
    return _take(engine, CLAIM_ONE, worker, lease_s, {"wanted_id": job_id})


def claim_next(engine: Engine, queues: Sequence[str], worker: str, lease_s: float) -> ClaimedJob | None:
    """Claim the waiting job of ``queues`` that is first by priority, then by age; ``None`` when none is due."""
    return _take(engine, CLAIM_FIRST, worker, lease_s, {"queues": list(queues)})


def _take(
    engine: Engine, statement: Executable, worker: str, lease_s: float, wanted: dict[str, Any]
) -> ClaimedJob | None:
    token = uuid.uuid4()
    values = {"new_token": token, "lease_s": lease_s, "claimed_by": worker} | wanted
    with single_statement(engine) as connection:
        row = connection.execute(statement, values).one_or_none()
    return None if row is None else _claimed(row, token)


def _claimed(row: Row[Any], token: uuid.UUID) -> ClaimedJob:
    return ClaimedJob(
        id=row.id,
        token=token,
        job_key=row.job_key,
        program_id=row.program_id,
        kind=row.kind,
        queue=row.queue,
        payload=dict(row.payload),
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        requested_by=row.requested_by,
        request_id=row.request_id,
    )


def renew(
    engine: Engine, claimed: ClaimedJob, lease_s: float, progress: float | None = None, message: str | None = None
) -> LeaseState:
    """Extend the lease by ``lease_s`` seconds and write the progress (0..1) and its message."""
    values: dict[str, Any] = {"lease_expires_at": after(lease_s)}
    if progress is not None:
        values["progress"] = min(1.0, max(0.0, progress))
    if message is not None:
        values["progress_message"] = message
    statement = update(job).where(*_held(claimed)).values(**values).returning(job.c.cancel_requested)
    with single_statement(engine) as connection:
        row = connection.execute(statement).one_or_none()
    return LeaseState(held=row is not None, cancel_requested=bool(row and row.cancel_requested))


def _held(claimed: ClaimedJob) -> tuple[Any, ...]:
    return job.c.id == claimed.id, job.c.state == "running", job.c.lease_token == claimed.token


def fence(connection: Connection, claimed: ClaimedJob) -> None:
    """Lock the job's row for this transaction; raises :class:`LeaseLost` when the lease is another's by now."""
    statement = select(job.c.id).where(*_held(claimed)).with_for_update()
    if connection.execute(statement).scalar() is None:
        raise LeaseLost(claimed.id)


def finish(connection: Connection, claimed: ClaimedJob, state: str, error: dict[str, Any] | None = None) -> None:
    """Write the final state in the transaction that writes the results; raises :class:`LeaseLost`."""
    values: dict[str, Any] = {
        "state": state,
        "lease_token": None,
        "lease_expires_at": None,
        "finished_at": func.now(),
        "error": error,
    }
    if state == "succeeded":
        values |= {"progress": 1.0}
    statement = update(job).where(*_held(claimed)).values(**values).returning(job.c.id)
    if connection.execute(statement).scalar() is None:
        raise LeaseLost(claimed.id)


def release(engine: Engine, claimed: ClaimedJob) -> bool:
    """Give the job back unharmed (a worker that is told to stop): the attempt does not count.

    Returns whether the lease was held. A job that somebody has cancelled meanwhile ends instead.
    """
    values = _given_back() | {"attempts": func.greatest(job.c.attempts - 1, 0)}
    with engine.begin() as connection:
        return connection.execute(update(job).where(*_held(claimed)).values(**values)).rowcount == 1


def _given_back() -> dict[str, Any]:
    """What a job without a worker becomes: queued, or cancelled when somebody asked for that."""
    return {
        "state": case((job.c.cancel_requested, "cancelled"), else_="queued"),
        "finished_at": case((job.c.cancel_requested, func.now()), else_=None),
        "lease_token": None,
        "lease_expires_at": None,
    }


def retry_or_bury(connection: Connection, claimed: ClaimedJob, error: dict[str, Any]) -> str:
    """After a surprise: back to ``queued`` with a pause, or ``dead`` when the attempts are used up; the new state.

    A job that somebody has cancelled meanwhile is ``cancelled``. Raises :class:`LeaseLost`.
    """
    if claimed.attempts >= claimed.max_attempts:
        finish(connection, claimed, "dead", error)
        _tell_of_death(connection, claimed, error)
        return "dead"
    pause_s = BACK_OFF_S[min(claimed.attempts, len(BACK_OFF_S)) - 1]
    not_before = after(pause_s)
    values = _given_back() | {"error": error, "not_before": not_before}
    state = connection.execute(update(job).where(*_held(claimed)).values(**values).returning(job.c.state)).scalar()
    if state is None:
        raise LeaseLost(claimed.id)
    return str(state)


def request_cancel(connection: Connection, job_id: uuid.UUID) -> str | None:
    """Cancel a queued job at once, ask a running one to stop; return the state after, ``None`` without such a job."""
    queued = job.c.state == "queued"
    statement = (
        update(job)
        .where(job.c.id == job_id, job.c.state.in_(("queued", "running")))
        .values(
            cancel_requested=True,
            state=case((queued, "cancelled"), else_=job.c.state),
            finished_at=case((queued, func.now()), else_=job.c.finished_at),
        )
        .returning(job.c.state)
    )
    state = connection.execute(statement).scalar()
    if state is None:
        state = connection.execute(select(job.c.state).where(job.c.id == job_id)).scalar()
    return None if state is None else str(state)


def reconcile(
    engine: Engine, *, republish_after_s: float, on_dead: OnDead | None = None, limit: int = 1000
) -> ReconcileReport:
    """Take back expired leases and list the waiting jobs whose doorbell may be lost.

    ``on_dead`` is called in the transaction that buries a job. Safe to run from several processes at once: rows that
    another one holds are skipped.
    """
    report = ReconcileReport()
    with engine.begin() as connection:
        for row in _expired(connection, limit):
            _take_back(connection, row, report)
            if on_dead is not None and row.id in report.dead:
                on_dead(connection, str(row.kind), dict(row.payload), _lost(row))
    unheard = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, republish_after_s)
    waiting = (
        select(job.c.id)
        .where(claimable(), or_(job.c.published_at.is_(None), job.c.published_at < unheard))
        .order_by(job.c.priority, job.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    publish = (
        update(job)
        .where(job.c.id.in_(waiting))
        .values(published_at=func.now())
        .returning(job.c.id, job.c.queue, job.c.priority)
    )
    with engine.begin() as connection:
        report.to_publish += [DueJob(row.id, row.queue, row.priority) for row in connection.execute(publish)]
    return report


def _expired(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    statement = (
        select(job)
        .where(job.c.state == "running", job.c.lease_expires_at < func.now())
        .order_by(job.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(statement).all()


def _lost(row: Row[Any]) -> dict[str, Any]:
    return {"type": "LeaseExpired", "message": f"the worker of attempt {row.attempts} was lost"}


def _take_back(connection: Connection, row: Row[Any], report: ReconcileReport) -> None:
    values: dict[str, Any] = {"lease_token": None, "lease_expires_at": None, "error": _lost(row)}
    if row.cancel_requested:
        values |= {"state": "cancelled", "finished_at": func.now()}
    elif row.attempts >= row.max_attempts:
        values |= {"state": "dead", "finished_at": func.now()}
        report.dead.append(row.id)
        _tell_of_death(connection, row, _lost(row))
    else:
        values |= {"state": "queued", "published_at": func.now()}
        report.requeued += 1
        report.to_publish.append(DueJob(row.id, row.queue, row.priority))
    connection.execute(update(job).where(job.c.id == row.id).values(**values))


def _tell_of_death(connection: Connection, dead: ClaimedJob | Row[Any], error: dict[str, Any]) -> None:
    cause = {name: error.get(name) for name in ("type", "message")}
    data = {"job_kind": dead.kind, "attempts": dead.attempts, "payload": dict(dead.payload), "error": cause}
    events.record(connection, NewEvent(dead.program_id, "job.dead", "job", dead.id, data, (dead.id,)))


def queue_statistics(connection: Connection) -> list[Row[Any]]:
    """Return (queue, state, jobs, age of the oldest in seconds) for the jobs that are not finished, and the dead."""
    statement = text(
        "SELECT queue, state, count(*) AS jobs, "
        "extract(epoch FROM now() - min(created_at))::float8 AS oldest_s "
        "FROM faultlight.job WHERE state IN ('queued', 'running', 'dead') GROUP BY queue, state"
    )
    return list(connection.execute(statement).all())

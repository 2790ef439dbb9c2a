"""Statements of jobs that are built once: building one costs more than running it."""

from typing import Any

from sqlalchemy import ARRAY, Executable, Float, Text, and_, bindparam, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert

from db.schema.work import job


def claimable() -> Any:
    """Return the condition of a job that waits and is due."""
    return and_(job.c.state == "queued", or_(job.c.not_before.is_(None), job.c.not_before <= func.now()))


def after(seconds: Any) -> Any:
    """Return the time so many seconds from now, by the database's clock."""
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _first_waiting() -> Any:
    """Return the id of the waiting job of ``:queues`` that is first by priority, then by age.

    The first of each queue, then the first of those: each look is one step down the index of waiting jobs.
    """
    queue = func.unnest(bindparam("queues", type_=ARRAY(Text))).table_valued("name").render_derived("queue")
    first = (
        select(job.c.id, job.c.priority)
        .where(job.c.queue == queue.c.name, claimable())
        .order_by(job.c.priority, job.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .lateral("first")
    )
    return (
        select(first.c.id)
        .select_from(queue.join(first, true()))
        .order_by(first.c.priority, first.c.id)
        .limit(1)
        .scalar_subquery()
    )


def _claim_where(condition: Any) -> Executable:
    return (
        update(job)
        .where(condition, job.c.state == "queued")
        .values(
            state="running",
            attempts=job.c.attempts + 1,
            lease_token=bindparam("new_token"),
            lease_expires_at=after(bindparam("lease_s", type_=Float)),
            worker=bindparam("claimed_by"),
            started_at=func.now(),
            finished_at=None,
            progress=0,
            progress_message="",
            estimated_finish_at=func.now() + _usual_duration(job.c.kind),
        )
        .returning(job)
    )


def _usual_duration(kind: Any) -> Any:
    """The median duration of the last 50 jobs of the kind that succeeded, as a scalar subquery."""
    past = job.alias("past")
    recent = (
        select((past.c.finished_at - past.c.started_at).label("duration"))
        .where(past.c.kind == kind, past.c.state == "succeeded")
        .order_by(past.c.finished_at.desc())
        .limit(50)
        .correlate(job)
        .subquery("recent")
    )
    return select(func.percentile_cont(0.5).within_group(recent.c.duration)).correlate(job).scalar_subquery()


CLAIM_ONE = _claim_where(and_(job.c.id == bindparam("wanted_id"), claimable()))
CLAIM_FIRST = _claim_where(job.c.id == _first_waiting())

INSERT = (
    insert(job)
    .values(published_at=func.now())
    .on_conflict_do_nothing(index_elements=[job.c.job_key])
    .returning(job.c.id)
)

"""How the queues of jobs stand: what waits and runs now, and how long the newest ones took."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, select

from db.repositories.access import Action, Caller
from db.schema.work import QUEUES, job

RECENT = timedelta(hours=24)
MOST_RECENT = 2000
"""Of how many jobs at most, the newest, the times are told: what is told stays cheap however many jobs there are."""
MEDIAN, SLOW = 0.5, 0.95

Rows = list[dict[str, Any]]


def read_queues(connection: Connection, caller: Caller) -> Rows:
    """Return each queue in the programs whose operations the caller may read.

    ``waiting``, ``running``, ``oldest_waiting_s`` are now. Of the newest jobs that were asked for within ``RECENT``,
    at most ``MOST_RECENT`` of all queues: how many ``succeeded`` and ``failed`` (dead ones among them), and median and
    95th percentile of the seconds that ended ones had waited (from being asked for to the last start) and run.
    """
    now = _read_unfinished(connection, caller)
    recent = _read_recent(connection, caller)
    none = {"waiting": 0, "running": 0, "oldest_waiting_s": None, "succeeded": 0, "failed": 0} | dict.fromkeys(
        ("wait_median_s", "wait_slow_s", "run_median_s", "run_slow_s")
    )
    return [{"queue": queue} | none | now.get(queue, {}) | recent.get(queue, {}) for queue in QUEUES]


def _read_unfinished(connection: Connection, caller: Caller) -> dict[str, dict[str, Any]]:
    waiting = job.c.state == "queued"
    oldest = func.extract("epoch", func.now() - func.min(job.c.created_at).filter(waiting))
    query = (
        select(
            job.c.queue,
            func.count().filter(waiting).label("waiting"),
            func.count().filter(job.c.state == "running").label("running"),
            oldest.label("oldest_waiting_s"),
        )
        .where(job.c.state.in_(("queued", "running")), caller.restriction(Action.READ_OPERATIONS, job.c.program_id))
        .group_by(job.c.queue)
    )
    return _by_queue(connection, query)


def _read_recent(connection: Connection, caller: Caller) -> dict[str, dict[str, Any]]:
    newest = (
        select(job.c.queue, job.c.state, job.c.created_at, job.c.started_at, job.c.finished_at)
        .where(caller.restriction(Action.READ_OPERATIONS, job.c.program_id))
        .order_by(job.c.id.desc())
        .limit(MOST_RECENT)
        .subquery()
    )
    ended = and_(newest.c.finished_at.is_not(None), newest.c.started_at.is_not(None))
    waited = func.extract("epoch", newest.c.started_at - newest.c.created_at)
    ran = func.extract("epoch", newest.c.finished_at - newest.c.started_at)
    query = (
        select(
            newest.c.queue,
            func.count().filter(newest.c.state == "succeeded").label("succeeded"),
            func.count().filter(newest.c.state.in_(("failed", "dead"))).label("failed"),
            *(
                func.percentile_cont(part).within_group(seconds).filter(ended).label(name)
                for name, part, seconds in (
                    ("wait_median_s", MEDIAN, waited),
                    ("wait_slow_s", SLOW, waited),
                    ("run_median_s", MEDIAN, ran),
                    ("run_slow_s", SLOW, ran),
                )
            ),
        )
        .where(newest.c.created_at > func.now() - RECENT)
        .group_by(newest.c.queue)
    )
    return _by_queue(connection, query)


def _by_queue(connection: Connection, query: Any) -> dict[str, dict[str, Any]]:
    rows = (dict(row) for row in connection.execute(query).mappings())
    return {row.pop("queue"): {name: _plain(value) for name, value in row.items()} for row in rows}


def _plain(value: Any) -> Any:
    """Return a number of seconds as a float, a count as it is."""
    return value if value is None or isinstance(value, int) else max(0.0, float(value))

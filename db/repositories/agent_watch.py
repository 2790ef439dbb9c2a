"""Agents that have fallen silent or behind: each episode is marked at its agent and told once."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select, update

from db.repositories import events
from db.repositories.events import NewEvent
from db.repositories.instrument_health import FORGET_AFTER
from db.schema.people import agent_report, instrument


def find_silent(connection: Connection, after_s: float) -> int:
    """Mark and tell of agents that have not reported for ``after_s`` seconds; return how many are new.

    An agent that reports again ends its silence; those that are forgotten with the next report are not told of.
    """
    limit = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, after_s)
    recent = or_(agent_report.c.reported_at >= limit, agent_report.c.reported_at > agent_report.c.silent_since)
    connection.execute(
        update(agent_report).where(agent_report.c.silent_since.is_not(None), recent).values(silent_since=None)
    )
    silent = (agent_report.c.reported_at < limit) & (agent_report.c.reported_at >= func.now() - FORGET_AFTER)
    begun = _begin(connection, "silent_since", silent)
    for row in begun:
        data = _describe(row) | {"silent_after_s": after_s}
        _tell(connection, "agent.silent", row, data, row.reported_at)
    return len(begun)


def find_backlogs(connection: Connection, after_s: float) -> int:
    """Mark and tell of agents whose oldest file has waited for ``after_s`` seconds; return how many are new."""
    waited = agent_report.c.oldest_waiting_s >= after_s
    over = or_(agent_report.c.oldest_waiting_s.is_(None), ~waited)
    connection.execute(
        update(agent_report).where(agent_report.c.backlog_since.is_not(None), over).values(backlog_since=None)
    )
    begun = _begin(connection, "backlog_since", waited)
    for row in begun:
        data = _describe(row) | {"backlog_after_s": after_s}
        _tell(connection, "agent.backlog", row, data, row.backlog_since)
    return len(begun)


def _begin(connection: Connection, column: str, condition: ColumnElement[bool]) -> list[Row[Any]]:
    """Mark the agents whose episode begins. Of several schedulers one marks, the others see the mark."""
    marked = (
        update(agent_report)
        .where(agent_report.c[column].is_(None), condition)
        .values({column: func.now()})
        .returning(agent_report.c.id)
    )
    identities = list(connection.execute(marked).scalars())
    query = (
        select(agent_report, instrument.c.name.label("instrument"), instrument.c.program_id)
        .join(instrument, instrument.c.id == agent_report.c.instrument_id)
        .where(agent_report.c.id.in_(identities))
        .order_by(agent_report.c.id)
    )
    return list(connection.execute(query).all())


def _describe(row: Row[Any]) -> dict[str, Any]:
    shown = ("agent_version", "folder", "waiting_files", "waiting_bytes", "oldest_waiting_s", "trouble")
    return {
        "instrument": row.instrument,
        "agent_id": str(row.agent_id),
        "reported_at": row.reported_at.isoformat(),
        **{name: getattr(row, name) for name in shown},
    }


def _tell(connection: Connection, kind: str, row: Row[Any], data: dict[str, Any], begun_at: Any) -> None:
    new = NewEvent(
        row.program_id,
        kind,
        "instrument",
        row.instrument_id,
        data,
        (row.id, begun_at.isoformat()),
        instrument_id=row.instrument_id,
    )
    events.record(connection, new)

"""What waits for a person: files that nothing reads, jobs that run or died, agents in trouble, excursions."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, literal, or_, select

from db.repositories.access import Action, Caller
from db.schema.files import bundle, raw_file
from db.schema.monitoring import control_chart
from db.schema.people import agent_report, instrument
from db.schema.work import job

MOST = 10
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Attention:
    """One look; each list has at most ``MOST`` rows, the newest. ``last`` of a chart is its newest signal."""

    quarantined: Rows
    running: Rows
    dead: Rows
    agents: Rows
    charts: Rows


def look(connection: Connection, caller: Caller, dead_since: datetime) -> Attention:
    """Return what waits in the programs whose operations the caller may read.

    ``dead_since``: jobs that died before are no news.
    """
    return Attention(
        quarantined=_quarantined(connection, caller),
        running=_jobs(connection, caller, select(job).where(job.c.state.in_(("queued", "running")))),
        dead=_jobs(connection, caller, select(job).where(job.c.state == "dead", job.c.finished_at >= dead_since)),
        agents=_agents(connection, caller),
        charts=_charts(connection, caller),
    )


def _fetch(connection: Connection, query: Select[Any]) -> Rows:
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]


def _quarantined(connection: Connection, caller: Caller) -> Rows:
    found: Rows = []
    for kind, table, name in (("file", raw_file, raw_file.c.filename), ("bundle", bundle, bundle.c.name)):
        query = (
            select(
                table.c.id,
                literal(kind).label("kind"),
                table.c.program_id,
                table.c.instrument_id,
                name.label("name"),
                table.c.quarantine_reasons,
                table.c.created_at,
            )
            .where(table.c.state == "quarantined", caller.restriction(Action.READ_OPERATIONS, table.c.program_id))
            .order_by(table.c.id.desc())
            .limit(MOST)
        )
        found += _fetch(connection, query)
    return sorted(found, key=lambda row: row["created_at"], reverse=True)[:MOST]


def _jobs(connection: Connection, caller: Caller, query: Select[Any]) -> Rows:
    allowed = caller.restriction(Action.READ_OPERATIONS, job.c.program_id)
    return _fetch(connection, query.where(allowed).order_by(job.c.id.desc()).limit(MOST))


def _agents(connection: Connection, caller: Caller) -> Rows:
    report = agent_report.c
    query = (
        select(
            instrument.c.id.label("instrument_id"),
            instrument.c.name.label("instrument"),
            instrument.c.program_id,
            report.folder,
            report.trouble,
            report.silent_since,
            report.backlog_since,
            report.oldest_waiting_s,
            report.waiting_files,
            report.refused_files,
            report.reported_at,
        )
        .select_from(agent_report.join(instrument, instrument.c.id == report.instrument_id))
        .where(
            caller.restriction(Action.READ_OPERATIONS, instrument.c.program_id),
            or_(report.trouble.is_not(None), report.silent_since.is_not(None), report.backlog_since.is_not(None)),
        )
        .order_by(report.reported_at.desc())
        .limit(MOST)
    )
    return _fetch(connection, query)


def _charts(connection: Connection, caller: Caller) -> Rows:
    chart = control_chart.c
    query = (
        select(
            chart.id,
            chart.program_id,
            chart.node,
            chart.quantity,
            chart.unit,
            chart.simulated,
            chart.evaluated_at,
            chart.evaluation["signals"].label("signals"),
            instrument.c.name.label("instrument"),
        )
        .select_from(control_chart.join(instrument, instrument.c.id == chart.instrument_id))
        .where(chart.state == "out-of-control", caller.restriction(Action.READ_OPERATIONS, control_chart.c.program_id))
        .order_by(chart.evaluated_at.desc().nulls_last())
        .limit(MOST)
    )
    rows = _fetch(connection, query)
    for row in rows:
        signals = row.pop("signals") or []
        row["last"] = max(signals, key=lambda signal: str(signal["observed_at"]), default=None)
    return rows


def count_quarantined(connection: Connection, caller: Caller) -> int:
    """Return how many files and bundles are in quarantine."""
    counts = (
        select(func.count()).where(
            table.c.state == "quarantined", caller.restriction(Action.READ_OPERATIONS, table.c.program_id)
        )
        for table in (raw_file, bundle)
    )
    return sum(int(connection.execute(query).scalar_one()) for query in counts)


def names_of_instruments(connection: Connection, caller: Caller) -> dict[uuid.UUID, str]:
    """Return the names of the instruments that the caller sees, by id."""
    allowed = caller.restriction(Action.READ_OPERATIONS, instrument.c.program_id)
    rows = connection.execute(select(instrument.c.id, instrument.c.name).where(allowed).limit(1000))
    return {row.id: row.name for row in rows}

"""Agents that fall silent or behind are told of once for each episode."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from db.identifiers import uuid7
from db.schema.events import event
from db.schema.people import agent_report, instrument
from services.scheduler.agents import watch_agents
from services.settings import Settings
from tests.workers.scenery import make_program

SETTINGS = Settings(agent_silent_after_s=600.0, agent_backlog_after_s=3600.0)


@pytest.fixture
def instrument_id(engine: Engine) -> uuid.UUID:
    identity = uuid7()
    with engine.begin() as connection:
        values = {"id": identity, "program_id": make_program(engine), "name": "LVP-2", "kind": "lvp"}
        connection.execute(insert(instrument).values(**values))
    return identity


def report(engine: Engine, instrument_id: uuid.UUID, ago_s: float, waiting_s: float | None = None) -> None:
    """Let the one agent of the instrument have reported so long ago."""
    values = {"reported_at": datetime.now(UTC) - timedelta(seconds=ago_s), "oldest_waiting_s": waiting_s}
    with engine.begin() as connection:
        if not connection.execute(update(agent_report).values(**values)).rowcount:
            fixed = {"agent_version": "1", "folder": "/d", "waiting_files": 3, "waiting_bytes": 5, "refused_files": 0}
            connection.execute(insert(agent_report).values(
                id=uuid7(), instrument_id=instrument_id, agent_id=uuid7(), clock_offset_s=0.0, **fixed, **values
            ))  # fmt: skip


def told(engine: Engine) -> list[tuple[str, dict[str, Any]]]:
    with engine.connect() as connection:
        rows = connection.execute(select(event).order_by(event.c.id)).all()
    return [(row.kind, row.data) for row in rows]


def test_silence_is_told_once_until_it_ends(engine: Engine, instrument_id: uuid.UUID) -> None:
    report(engine, instrument_id, 300)
    assert watch_agents(engine, SETTINGS) == 0
    report(engine, instrument_id, 700)
    assert [watch_agents(engine, SETTINGS) for _ in range(3)] == [1, 0, 0]
    ((kind, data),) = told(engine)
    assert (kind, data["instrument"], data["folder"], data["silent_after_s"]) == ("agent.silent", "LVP-2", "/d", 600.0)
    report(engine, instrument_id, 1)
    assert watch_agents(engine, SETTINGS) == 0
    report(engine, instrument_id, 900)
    assert watch_agents(engine, SETTINGS) == 1


def test_a_report_between_two_looks_ends_a_silence_too(engine: Engine, instrument_id: uuid.UUID) -> None:
    """The scheduler was away: the agent reported, and fell silent again, before it looked."""
    report(engine, instrument_id, 5000)
    assert watch_agents(engine, SETTINGS) == 1
    with engine.begin() as connection:
        connection.execute(update(agent_report).values(silent_since=datetime.now(UTC) - timedelta(seconds=4000)))
    report(engine, instrument_id, 700)
    assert watch_agents(engine, SETTINGS) == 1


def test_a_backlog_is_told_once_until_it_is_worked_off(engine: Engine, instrument_id: uuid.UUID) -> None:
    report(engine, instrument_id, 1, 3500)
    assert watch_agents(engine, SETTINGS) == 0
    for waiting_s in (3700.0, 4000.0, 90_000.0):
        report(engine, instrument_id, 1, waiting_s)
        watch_agents(engine, SETTINGS)
    ((kind, data),) = told(engine)
    assert (kind, data["oldest_waiting_s"]) == ("agent.backlog", 3700.0)
    report(engine, instrument_id, 1, None)
    assert watch_agents(engine, SETTINGS) == 0
    report(engine, instrument_id, 1, 5000)
    assert watch_agents(engine, SETTINGS) == 1


def test_agents_that_are_long_gone_are_not_told_of(engine: Engine, instrument_id: uuid.UUID) -> None:
    report(engine, instrument_id, 100 * 86_400)
    assert watch_agents(engine, SETTINGS) == 0

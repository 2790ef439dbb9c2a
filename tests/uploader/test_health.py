"""An agent on an instrument's PC tells the service how it is doing, whatever else goes wrong."""

import uuid
from typing import Any

import httpx
import pytest

from services.uploader.backoff import Backoff
from services.uploader.health import REPORT_INTERVAL_S, agent_version
from services.uploader.journal import Journal
from services.uploader.watcher import Clockwork, Watcher, WatchOptions
from tests.api.population import add_instrument_key
from tests.uploader.conftest import PROGRAM, Bench, answer


@pytest.fixture
def instrument(bench: Bench) -> str:
    """The id of an instrument whose key the bench uses."""
    body = {"program": PROGRAM, "name": "scope", "kind": "scope"}
    identity = str(bench.api.call("POST", "/instruments", json=body).json()["id"])
    bench.key = add_instrument_key(bench.api.engine, uuid.UUID(identity))
    return identity


def make_watcher(bench: Bench, journal: Journal, wall_ahead_s: float = 0.0) -> Watcher:
    import time

    options = WatchOptions(bench.folder, backoff=Backoff(4.0, 300.0, lambda: 0.5), reports=True)
    clockwork = Clockwork(bench.time.sleep, bench.time.clock, lambda: time.time() + wall_ahead_s)
    return Watcher(options, journal, lambda: bench.client(2, journal), bench.tell, clockwork)


def agents(bench: Bench, instrument: str) -> list[dict[str, Any]]:
    return list(bench.api.call("GET", f"/instruments/{instrument}/health").json()["agents"])


def test_the_backlog_arrives(bench: Bench, journal: Journal, instrument: str) -> None:
    journal.note("folder", "/data/scope\x1b")
    bench.write("a.trc", b"12345")
    bench.write("s/session.json", b'{"netlist": "missing"}')
    watcher = make_watcher(bench, journal, wall_ahead_s=3600.0)
    watcher.step()
    (agent,) = agents(bench, instrument)
    assert agent["agent_id"] == journal.agent_id
    assert agent["agent_version"] == agent_version()
    assert agent["folder"] == "/data/scope?"
    assert (agent["waiting_files"], agent["waiting_bytes"]) == (2, 5 + len(b'{"netlist": "missing"}'))
    assert 0 <= agent["oldest_waiting_s"] < 60
    assert agent["clock_offset_s"] == pytest.approx(3600, abs=30)
    bench.time.now_s += REPORT_INTERVAL_S
    watcher.step()
    bench.time.now_s += REPORT_INTERVAL_S
    watcher.step()
    (agent,) = agents(bench, instrument)
    assert (agent["waiting_files"], agent["refused_files"], agent["trouble"]) == (1, 0, None)
    assert len(bench.stored()) == 1


def test_a_report_comes_every_few_minutes_and_no_more_often(bench: Bench, journal: Journal, instrument: str) -> None:
    watcher = make_watcher(bench, journal)
    bench.settle(watcher, steps=100)
    assert bench.wire.seen == ["PUT"] * 4


def test_trouble_that_stops_the_uploads_does_not_stop_the_report(
    bench: Bench, journal: Journal, instrument: str
) -> None:
    def act(request: httpx.Request, deliver: Any) -> httpx.Response:
        return answer(413, problem="quota-exceeded") if request.method == "POST" else deliver()

    bench.wire.act = act
    bench.write("a.trc", b"1")
    bench.settle(make_watcher(bench, journal), steps=70)
    (agent,) = agents(bench, instrument)
    assert agent["waiting_files"] == 1
    assert "quota-exceeded" in agent["trouble"]


def test_reports_that_fail_hold_up_nothing(bench: Bench, journal: Journal, instrument: str) -> None:
    def act(request: httpx.Request, deliver: Any) -> httpx.Response:
        if request.method == "PUT":
            raise httpx.ConnectError("nobody there")
        return deliver()

    bench.wire.act = act
    bench.write("a.trc", b"1")
    bench.settle(make_watcher(bench, journal), steps=40)
    assert len(bench.stored()) == 1
    assert bench.wire.seen.count("PUT") == 2
    assert [event for event, _ in bench.events] == ["seen", "sent"]


def test_a_key_that_is_no_instruments_is_asked_seldom(bench: Bench, journal: Journal) -> None:
    watcher = make_watcher(bench, journal)
    bench.settle(watcher, steps=200, step_s=60.0)
    assert bench.wire.seen == ["PUT"] * 4
    assert bench.events == []

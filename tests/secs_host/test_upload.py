"""From the equipment's socket to rows in the database: the host as a process, the real API as another, both killed."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, func, select

from db.repositories.access import bootstrap_admin
from db.schema.data import data_table
from db.schema.files import ingest_event, raw_file
from instruments.secs.journal_lines import Received, read_journal
from services.settings import Settings
from services.stores import open_blobs
from services.workers.runner import JobRunner
from tests.api.conftest import (  # noqa: F401
    quiet_logs,
    settings,
)
from tests.secs_host.scripted import DEADLINE_S, MAP, Scripted, event_body, to_bytes
from tests.secs_host.test_process import connect

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90.0


def wait_for(condition, what: str, equipment: Scripted | None = None) -> None:
    """Wait for a condition; the equipment goes on answering the host meanwhile."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE_S} s: {what}"
        if equipment is None:
            time.sleep(0.05)
        else:
            equipment.serve_for(0.2)


class Service:
    """The API as a process, always at the same address."""

    def __init__(self, settings: Settings, engine: Engine) -> None:  # noqa: F811
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        with engine.begin() as connection:
            self.key = bootstrap_admin(connection)
        self._environment = os.environ | {
            "FAULTLIGHT_DATA_DIR": str(settings.data_dir),
            "FAULTLIGHT_DATABASE_URL": settings.database_url.get_secret_value() if settings.database_url else "",
            "FAULTLIGHT_LOG_LEVEL": "ERROR",
            "FAULTLIGHT_STAGING_RESERVE_BYTES": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "services.api.app:create_app", "--factory", "--log-level", "error"]
        self._process = subprocess.Popen([*command, "--port", str(self.port)], env=self._environment, cwd=ROOT)
        wait_for(self._is_ready, "the API")

    def _is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, path: str, **rest) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, trust_env=False, **rest)
        return answer.raise_for_status()


@pytest.fixture
def service(settings: Settings, engine: Engine) -> Iterator[Service]:  # noqa: F811
    made = Service(settings, engine)
    made.start()
    made.call("POST", "/programs", json={"name": "alpha"})
    yield made
    made.kill()


class Host:
    """The host as a process."""

    def __init__(self, folder: Path, equipment_port: int, service: Service) -> None:
        entry = {
            "name": "FIB-03",
            "host": "127.0.0.1",
            "port": equipment_port,
            "map": MAP,
            "program": "alpha",
            "timers": {"t5_s": 0.05},
            "confirm_s": 0.02,
        }
        document = {
            "schema": "faultlight.secs-host/1",
            "segment": {"messages": 4, "age_s": 0.5},
            "equipment": [entry],
        }
        (folder / "secs-host.json").write_text(json.dumps(document))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("FAULTLIGHT_")}
        command = [sys.executable, "-m", "services.cli", "secs-host", str(folder / "secs-host.json")]
        self.process = subprocess.Popen(
            [*command, "--url", service.url],
            env=environment | {"FAULTLIGHT_KEY": service.key, "FAULTLIGHT_LOG_LEVEL": "ERROR"},
            cwd=ROOT,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def going_on(equipment: Scripted) -> Iterator[None]:
    """Let the equipment answer the host for the length of the block."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            equipment.serve_for(0.2)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def say(equipment: Scripted, numbers: range) -> None:
    """Send events and wait for the acknowledgement of each."""
    for number in numbers:
        equipment.send(to_bytes(6, 11, number, event_body(number)))
        equipment.expect(lambda each, number=number: each.name == "S6F12" and each.system == number, "S6F12")


def stored_messages(engine: Engine, settings: Settings) -> list[Received]:  # noqa: F811
    """Every message in every original, in the order of the originals."""
    blobs = open_blobs(settings)
    with engine.connect() as connection:
        keys = list(connection.execute(select(raw_file.c.blob_key).order_by(raw_file.c.id)).scalars())
    found: list[Received] = []
    for key in keys:
        _, messages = read_journal(io.BytesIO(b"".join(blobs.stream(key))))
        found += list(messages)
    return found


def test_nothing_is_lost_and_nothing_twice_with_service_and_host_away_in_between(
    tmp_path: Path,
    service: Service,
    settings: Settings,  # noqa: F811
    engine: Engine,
) -> None:
    def arrived() -> set[int]:
        return {each.system_bytes for each in stored_messages(engine, settings) if each.stream == 6}

    (tmp_path / "host").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as stack:
        server.settimeout(DEADLINE_S)
        port = server.getsockname()[1]
        host = Host(tmp_path / "host", port, service)
        stack.callback(host.kill)
        equipment = connect(server)
        say(equipment, range(1, 11))
        wait_for(lambda: 4 in arrived(), "the first segment", equipment)
        service.kill()
        say(equipment, range(11, 21))
        equipment.send(to_bytes(6, 11, 21, event_body(21)))
        host.process.send_signal(signal.SIGKILL)
        host.process.wait()
        equipment.close()
        second = Host(tmp_path / "host", port, service)
        stack.callback(second.kill)
        equipment = connect(server)
        say(equipment, range(21, 31))  # 21 again: nobody knows whether its acknowledgement was lost
        assert max(arrived()) <= 10, "the service is away"
        equipment.serve_for(1.0)
        with going_on(equipment):
            service.start()
        wait_for(lambda: arrived() == set(range(1, 31)), "every event", equipment)
        second.process.send_signal(signal.SIGTERM)
        equipment.serve_until_closed()
        assert second.process.wait(DEADLINE_S) == 0

    messages = stored_messages(engine, settings)
    assert [each.number for each in messages] == list(range(1, len(messages) + 1)), "each line of the journal once"
    events = [each.system_bytes for each in messages if each.stream == 6 and each.repeat_of is None]
    assert sorted(events) == list(range(1, 31))
    check_records(engine, settings, events)


def check_records(engine: Engine, settings: Settings, events: list[int]) -> None:  # noqa: F811
    """Read the files as a worker does; each event is one row of a table."""
    runner = JobRunner(settings, engine, open_blobs(settings), "test", ["ingest"], lambda _due: None)
    files = runner.run_waiting()
    runner.close()
    with engine.connect() as connection:
        outcomes = connection.execute(select(ingest_event.c.outcome, ingest_event.c.adapter)).all()
        query = select(func.sum(data_table.c.row_count)).where(data_table.c.kind == "equipment_event")
        rows = connection.execute(query).scalar_one()
    assert set(outcomes) == {("stored", "secs_journal")}
    assert len(outcomes) == files
    assert rows == len(events)

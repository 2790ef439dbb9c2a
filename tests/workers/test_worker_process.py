"""Worker processes as they run: doorbell, lost broker, absent broker, signals, a killed worker."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, select

from db.repositories import jobs
from db.schema.workers import worker
from services.workers.doorbell import Doorbell
from tests.workers.scenery import add_job, job_row, make_program

PATIENCE_S = 30.0
SCRIPT = """
import sys
from services.settings import get_settings
from services.workers.main import run_worker
run_worker(get_settings(), ["cpu"], sys.argv[1])
"""
NOWHERE = "redis://127.0.0.1:1/0"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a broker that the tests may empty."""
    configured = os.environ.get("FAULTLIGHT_TEST_BROKER_URL")
    if configured:
        yield configured
        return
    from services.embedded import EmbeddedBroker

    with EmbeddedBroker(tmp_path_factory.mktemp("broker")) as server:
        yield server.url


@pytest.fixture
def program_id(engine: Engine) -> uuid.UUID:
    """A program."""
    return make_program(engine)


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Start worker processes of the queue ``cpu``; they end with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start_worker(broker_url: str, name: str = "worker") -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "FAULTLIGHT_DATABASE_URL": database_url,
            "FAULTLIGHT_BROKER_URL": broker_url,
            "FAULTLIGHT_DATA_DIR": str(tmp_path / "data"),
            "FAULTLIGHT_LEASE_S": "2",
        }
        command = [sys.executable, "-c", SCRIPT, name]
        with (tmp_path / f"{name}.log").open("ab") as log:
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        return processes[-1]

    yield start_worker
    for process in processes:
        process.kill()
        process.wait(10)


def wait_for(engine: Engine, job_id: uuid.UUID, state: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if job_row(engine, job_id).state == state:
            return
        time.sleep(0.05)
    raise AssertionError(f"the job is {job_row(engine, job_id).state}, not {state}")


def wait_for_workers(engine: Engine, count: int) -> list[tuple[str, list[str]]]:
    """Wait until so many workers have told that they are there; their names and queues."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            found = connection.execute(select(worker.c.name, worker.c.queues)).all()
        if len(found) == count:
            return [(row.name, row.queues) for row in found]
        time.sleep(0.05)
    raise AssertionError(f"not {count} workers: {found}")


def test_a_worker_tells_that_it_is_there_until_it_ends(engine: Engine, broker: str, start: Start) -> None:
    process = start(broker, "told")
    ((name, queues),) = wait_for_workers(engine, 1)
    assert name.startswith("told@")
    assert name.endswith(f":{process.pid}")
    assert queues == ["cpu"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    wait_for_workers(engine, 0)


def test_a_worker_hears_the_doorbell_and_ends_cleanly(
    engine: Engine, program_id: uuid.UUID, broker: str, start: Start
) -> None:
    process = start(broker)
    identity = add_job(engine, program_id)
    assert Doorbell(broker).ring(identity, "cpu", 5)
    wait_for(engine, identity, "succeeded")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def test_a_broker_that_lost_everything_costs_latency_only(
    engine: Engine, program_id: uuid.UUID, broker: str, start: Start
) -> None:
    """The bell rings, the broker forgets it, and only then is there a worker."""
    doorbell = Doorbell(broker)
    waiting = [add_job(engine, program_id) for _ in range(3)]
    for identity in waiting:
        doorbell.ring(identity, "cpu", 5)
    redis.Redis.from_url(broker).flushdb()
    start(broker)
    for identity in waiting:
        wait_for(engine, identity, "succeeded")


def test_jobs_are_done_without_any_broker(engine: Engine, program_id: uuid.UUID, start: Start) -> None:
    identity = add_job(engine, program_id)
    begun = time.monotonic()
    assert not Doorbell(NOWHERE).ring(identity, "cpu", 5)
    assert time.monotonic() - begun < 10
    process = start(NOWHERE)
    wait_for(engine, identity, "succeeded")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def test_a_job_of_a_killed_worker_is_done_by_another(
    engine: Engine, program_id: uuid.UUID, broker: str, start: Start
) -> None:
    """The dead worker's lease is taken from it here, so that nothing waits for the clock."""
    identity = add_job(engine, program_id)
    assert jobs.claim(engine, identity, "killed", 0.0) is not None
    assert jobs.reconcile(engine, republish_after_s=1000).requeued == 1
    start(broker)
    wait_for(engine, identity, "succeeded")
    assert job_row(engine, identity).attempts == 2

"""API, worker and scheduler as processes on one database, without any broker: one request's way through all logs."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from db.repositories import jobs
from db.repositories.access import bootstrap_admin
from tests.api.conftest import CHUNK, TUS, encode_metadata
from tests.workers.scenery import add_job, job_row, make_program

PATIENCE_S = 40.0
NETLIST = b"INPUT(a)\nINPUT(b)\nOUTPUT(y)\ny = NAND(a, b)\n"

Start = Callable[..., "Process"]


class Process:
    """A process of the command ``faultlight`` with its log."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as sink:
            whole = [sys.executable, "-m", "services.cli", *command]
            self.child = subprocess.Popen(
                whole, env=os.environ | environment, stdout=sink, stderr=sink, cwd=Path(__file__).resolve().parents[2]
            )

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The structured lines of one event; every line of the log is JSON, but for Celery's goodbye."""
        written = [line for line in self.log.read_text().splitlines() if line.strip()]
        parsed = [json.loads(line) for line in written if line != "worker: Warm shutdown (MainProcess)"]
        return [line for line in parsed if line.get("event") == event]

    def end(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(PATIENCE_S)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts ``faultlight`` commands with a broker that is not there."""
    running: list[Process] = []

    def start_process(*command: str, **environment: str) -> Process:
        settings = {
            "FAULTLIGHT_DATABASE_URL": database_url,
            "FAULTLIGHT_BROKER_URL": "redis://127.0.0.1:1/0",
            "FAULTLIGHT_DATA_DIR": str(tmp_path / "data"),
            "FAULTLIGHT_STAGING_RESERVE_BYTES": "1",
            "FAULTLIGHT_RECONCILE_INTERVAL_S": "0.2",
        }
        running.append(Process(list(command), settings | environment, tmp_path / f"{command[0]}.log"))
        return running[-1]

    yield start_process
    for process in running:
        process.child.kill()
        process.child.wait(10)


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_one_request_is_found_in_every_log(engine: Engine, start: Start) -> None:
    """The request's id is in the API's lines, in the job's row, and in the worker's lines beside the job's id."""
    port, metrics_port = free_ports(2)
    with engine.begin() as connection:
        key = bootstrap_admin(connection)
    api = start("api", FAULTLIGHT_API_PORT=str(port))
    worker = start("worker", "--queue", "ingest", FAULTLIGHT_WORKER_METRICS_PORT=str(metrics_port))
    url = f"http://127.0.0.1:{port}"
    await_true(lambda: answers(f"{url}/readyz"))
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30) as client:
        client.post(f"{url}/api/v1/programs", json={"name": "alpha"}).raise_for_status()
        metadata = encode_metadata({"filename": "n.bench", "program": "alpha"})
        created = client.post(
            f"{url}/api/v1/uploads",
            headers={**TUS, "Upload-Length": str(len(NETLIST)), "Upload-Metadata": metadata},
        )
        headers = {**CHUNK, "Upload-Offset": "0", "X-Request-ID": "request-42"}
        sent = client.patch(f"{url}{created.headers['Location']}", content=NETLIST, headers=headers)
        assert sent.status_code == 204
        job = sent.headers["Faultlight-Job"]
        with client.stream("GET", f"{url}/api/v1/jobs/{job}/events", timeout=PATIENCE_S) as events:
            told = "".join(events.iter_text())
        assert '"state":"succeeded"' in told
        assert client.get(f"{url}/api/v1/jobs/{job}").json()["request_id"] == "request-42"
    metrics = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics", trust_env=False).text
    assert 'faultlight_jobs_finished_total{kind="ingest",state="succeeded"} 1.0' in metrics
    assert 'faultlight_files_ingested_total{adapter="bench_netlist",outcome="stored"} 1.0' in metrics
    assert worker.end() == 0
    assert api.end() in {0, -signal.SIGTERM}, "uvicorn shuts down and then ends by the signal it got"
    (request,) = [line for line in api.lines("request") if line["request_id"] == "request-42"]
    assert (request["method"], request["status"], request["level"]) == ("PATCH", 204, "info")
    assert {"timestamp", "duration_ms", "path"} <= set(request)
    (unheard,) = api.lines("doorbell_not_heard")
    assert (unheard["job_id"], unheard["request_id"], unheard["level"]) == (job, "request-42", "warning")
    (ended,) = worker.lines("job_ended")
    assert (ended["job_id"], ended["request_id"], ended["job_kind"]) == (job, "request-42", "ingest")
    assert (ended["state"], ended["attempt"]) == ("succeeded", 1)
    assert key not in api.log.read_text() + worker.log.read_text()


def test_the_scheduler_takes_back_what_a_lost_worker_held(engine: Engine, start: Start, tmp_path: Path) -> None:
    (metrics_port,) = free_ports(1)
    identity = add_job(engine, make_program(engine))
    assert jobs.claim(engine, identity, "lost", 0.0) is not None
    scheduler = start("scheduler", FAULTLIGHT_SCHEDULER_METRICS_PORT=str(metrics_port))
    await_true(lambda: job_row(engine, identity).state == "queued")
    url = f"http://127.0.0.1:{metrics_port}/metrics"

    expected = ("faultlight_jobs_requeued_total 1.0", 'faultlight_queue_jobs{queue="cpu",state="queued"} 1.0')

    def counted() -> bool:
        return answers(url) and all(line in httpx.get(url, trust_env=False).text for line in expected)

    await_true(counted)
    assert "faultlight_scheduler_heartbeat_seconds" in httpx.get(url, trust_env=False).text
    await_true((tmp_path / "data" / "scratch" / "alive").exists)
    assert scheduler.end() == 0
    assert scheduler.lines("leases_taken_back")[0]["requeued"] == 1
    assert not scheduler.lines("duty_failed")


def test_a_large_file_passes_through_the_api_and_not_through_its_memory(engine: Engine, start: Start) -> None:
    """128 MiB up and down again; the process never holds more than a few blocks of it."""
    (port,) = free_ports(1)
    with engine.begin() as connection:
        key = bootstrap_admin(connection)
    api = start("api", FAULTLIGHT_API_PORT=str(port), FAULTLIGHT_LOG_LEVEL="ERROR")
    url = f"http://127.0.0.1:{port}"
    await_true(lambda: answers(f"{url}/readyz"))
    block, count = os.urandom(1 << 20), 128
    before = peak_bytes(api)
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=120) as client:
        client.post(f"{url}/api/v1/programs", json={"name": "alpha"}).raise_for_status()
        metadata = encode_metadata({"filename": "large.bin", "program": "alpha"})
        headers = {**TUS, "Upload-Length": str(count << 20), "Upload-Metadata": metadata}
        location = client.post(f"{url}/api/v1/uploads", headers=headers).headers["Location"]
        blocks = (block for _ in range(count))
        sent = client.patch(f"{url}{location}", content=blocks, headers={**CHUNK, "Upload-Offset": "0"})
        assert sent.status_code == 204
        received = 0
        path = f"{url}/api/v1/files/{sent.headers['Faultlight-Raw-File']}/content"
        with client.stream("GET", path) as answer:
            for piece in answer.iter_bytes(1 << 20):
                assert piece == block
                received += len(piece)
        assert received == count << 20
    assert peak_bytes(api) - before < 64 << 20


def peak_bytes(process: Process) -> int:
    """The largest resident size that the process ever had."""
    status = Path(f"/proc/{process.child.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

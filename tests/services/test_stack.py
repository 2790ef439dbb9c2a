"""`faultlight run` as a process: everything starts, what dies comes back, the end stops every process, data stay."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Running:
    """A `faultlight run` on a data folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FAULTLIGHT_")}
        environment |= {"FAULTLIGHT_DATA_DIR": str(folder), "FAULTLIGHT_API_PORT": str(port)}
        environment |= {"FAULTLIGHT_RECONCILE_INTERVAL_S": "0.5"}
        command = [sys.executable, "-m", "services.cli", "run", "--no-demonstration"]
        with (folder.parent / "run.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def settled(self) -> bool:
        return "Ctrl-C stops everything" in (self.folder.parent / "run.log").read_text()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {(self.folder / 'admin.key').read_text().strip()}"}
        url = f"{self.url}/api/v1{path}"
        return httpx.request(method, url, headers=headers, json=body, trust_env=False, timeout=30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Running]]:
    from services.embedded import EmbeddedPostgres, free_port

    started: list[Running] = []
    folder = tmp_path / "data"
    folder.mkdir()

    def start_run() -> Running:
        (tmp_path / "run.log").unlink(missing_ok=True)
        started.append(Running(folder, free_port()))
        await_true(lambda: started[-1].ready() and started[-1].settled())
        return started[-1]

    yield start_run
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
    EmbeddedPostgres(folder / "postgres").destroy()


def test_run_starts_restarts_stops_and_keeps_its_data(start: Callable[[], Running]) -> None:
    running = start()
    assert running.call("POST", "/programs", {"name": "alpha"}).status_code == 201
    assert (running.folder / "admin.key").stat().st_mode & 0o077 == 0
    family = running.family()
    names = " ".join(" ".join(process.cmdline()) for process in family)
    for part in ("services.cli api", "services.cli worker --queue ingest", "services.cli scheduler", "postgres"):
        assert part in names

    victims = [process for process in family if "services.cli" in " ".join(process.cmdline())]
    servers = [process for process in family if " -D " in " ".join(process.cmdline())]
    assert len(victims) == 4
    assert len(servers) == 1
    for process in (*victims, *servers):
        process.kill()
    psutil.wait_procs([*victims, *servers], timeout=20)
    await_true(running.ready)
    await_true(lambda: running.call("GET", "/programs").status_code == 200)
    assert running.process.poll() is None

    family = running.family()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(PATIENCE_S) == 0
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []

    again = start()
    assert [item["name"] for item in again.call("GET", "/programs").json()["items"]] == ["alpha"]
    family = again.family()
    again.process.kill()
    again.process.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == [], "a killed supervisor leaves no process"

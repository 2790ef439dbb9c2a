"""A storm: uploads go on while the service's processes are killed at random, and what must hold afterwards."""

import csv
import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psycopg
from psycopg.rows import dict_row

from services.demo.oscilloscope_files import Scaling, write_lecroy_trc
from services.stack import Stack
from services.uploader.client import UploadClient

PROGRAM = "storm"
SAMPLES = 400
LARGE = 150_000
"""Samples of a file that is too large to be sent with its creation: it goes in pieces, and is resumed."""
VICTIMS = ("api", "ingest-worker", "cpu-worker", "ingest-worker", "postgres", "broker", "scheduler")


@dataclass
class Storm:
    """What is uploaded, how often something is killed, and for how long at most.

    ``seed`` decides files, victims and pauses.
    """

    uploads: int
    kills: int
    seed: int
    deadline_s: float
    pause_s: tuple[float, float] = (0.6, 1.6)


@dataclass
class Toll:
    """How often each victim was killed."""

    killed: dict[str, int] = field(default_factory=dict)

    def add(self, victim: str) -> None:
        """Count one more."""
        self.killed[victim] = self.killed.get(victim, 0) + 1

    @property
    def total(self) -> int:
        """All kills."""
        return sum(self.killed.values())


@dataclass(frozen=True)
class Specimen:
    """A file to upload: where it is, and the state it must end in."""

    path: Path
    expected_state: str
    expected_waveforms: int

    @property
    def sha256(self) -> str:
        """Hex digest of its bytes."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def make_specimens(folder: Path, count: int, seed: int) -> list[Specimen]:
    """Write ``count`` files: good ones of two formats, broken ones, and copies of earlier ones under other names."""
    chooser = random.Random(seed)
    numbers = np.random.default_rng(seed)
    specimens: list[Specimen] = []
    for index in range(count):
        kind = chooser.choice(("scope", "scope", "large", "text", "truncated", "noise", "duplicate"))
        path = folder / f"{index:04d}-{kind}.bin"
        if kind == "duplicate" and specimens:
            original = chooser.choice(specimens)
            path = path.with_name(f"{index:04d}-copy-of-{original.path.name}")
            path.write_bytes(original.path.read_bytes())
            specimens.append(Specimen(path, original.expected_state, original.expected_waveforms))
        elif kind == "text":
            path = path.with_suffix(".csv")
            with path.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("time_s", "reflectance"))
                writer.writerows((f"{i * 1e-9:.9e}", f"{numbers.normal():.6f}") for i in range(SAMPLES))
            specimens.append(Specimen(path, "stored", 1))
        elif kind == "noise":
            path.write_bytes(numbers.bytes(3000))
            specimens.append(Specimen(path, "quarantined", 0))
        else:
            specimens.append(_scope_file(path.with_suffix(".trc"), numbers, kind))
    return specimens


def _scope_file(path: Path, numbers: np.random.Generator, kind: str) -> Specimen:
    segments = int(numbers.integers(1, 4))
    truncated = kind == "truncated"
    samples = numbers.integers(-20000, 20000, (segments, LARGE if kind == "large" else SAMPLES)).astype(np.int16)
    offsets = [float(i) * 1e-6 for i in range(segments)]
    write_lecroy_trc(path, samples, Scaling(1e-5, 0.0, 1e-9, 0.0), trigger_offsets_s=offsets)
    if truncated:
        path.write_bytes(path.read_bytes()[:-200])
        return Specimen(path, "quarantined", 0)
    return Specimen(path, "stored", segments)


def upload_all(
    stack: Stack,
    specimens: list[Specimen],
    deadline: float,
    accepted: list[Specimen],
    gone_by: Callable[[], float],
) -> None:
    """Upload from two threads at once, as often as it takes; add to ``accepted`` what the service accepted.

    ``gone_by`` says what part of the storm has gone by, 0..1: uploads are spread over it, or most would be through
    before the first kills.
    """
    queue = list(reversed(specimens))
    lock = threading.Lock()

    def work() -> None:
        while time.monotonic() < deadline:
            if 1 - len(queue) / len(specimens) > gone_by():
                time.sleep(0.02)
                continue
            with lock:
                if not queue:
                    return
                specimen = queue.pop()
            with UploadClient(stack.url, stack.key) as client:
                try:
                    client.upload_file(specimen.path, PROGRAM)
                except Exception:  # the client gave up: the service was down for too long
                    with lock:
                        queue.append(specimen)
                    time.sleep(0.2)
                else:
                    with lock:
                        accepted.append(specimen)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def strike(stack: Stack, chooser: random.Random, toll: Toll) -> None:
    """Kill one process of the service at random; :meth:`Stack.check` starts it again."""
    assert stack.postgres is not None
    assert stack.broker is not None
    victim = chooser.choice(VICTIMS)
    server = {"postgres": stack.postgres, "broker": stack.broker}.get(victim)
    if server is not None and server.running:
        os.kill(server.pid, signal.SIGKILL)
    elif server is not None or not stack.supervisor.kill(victim):
        return
    toll.add(victim)


def open_work(url: str) -> int:
    """Return how many jobs are queued or running and files are between received and their end."""
    question = """
        SELECT (SELECT count(*) FROM faultlight.job WHERE state IN ('queued', 'running'))
             + (SELECT count(*) FROM faultlight.raw_file WHERE state = 'received')
    """
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
    return int(row[0]) if row else 0


def check_aftermath(url: str, accepted: list[Specimen]) -> None:
    """Assert what the issue demands: every accepted file at its end, nothing twice, nothing held, nothing lost."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        files = connection.execute(
            "SELECT id, sha256, state, size_bytes FROM faultlight.raw_file WHERE program_id = "
            "(SELECT id FROM faultlight.program WHERE name = %s)",
            (PROGRAM,),
        ).fetchall()
        waveforms = connection.execute(
            "SELECT raw_file_id, count(*) AS rows, count(DISTINCT (record_index, segment_index)) AS places "
            "FROM faultlight.waveform GROUP BY raw_file_id"
        ).fetchall()
        jobs = connection.execute("SELECT state, kind, count(*) AS n FROM faultlight.job GROUP BY 1, 2").fetchall()
        held = connection.execute("SELECT count(*) AS n FROM faultlight.job WHERE lease_token IS NOT NULL").fetchone()
    by_hash = {row["sha256"]: row for row in files}
    assert len(by_hash) == len(files), "a file has two rows"
    by_file = {row["raw_file_id"]: row for row in waveforms}
    for specimen in accepted:
        row = by_hash[specimen.sha256]
        assert row["state"] == specimen.expected_state, f"{specimen.path.name} is {row['state']}"
        found = by_file.get(row["id"], {"rows": 0, "places": 0})
        assert found["rows"] == found["places"] == specimen.expected_waveforms, specimen.path.name
    assert {job["state"] for job in jobs} <= {"succeeded", "failed"}, jobs
    assert held == {"n": 0}


def check_originals(stack: Stack, accepted: list[Specimen]) -> None:
    """Assert that every accepted file comes back bit for bit, and that nothing is left in the staging folder."""
    headers = {"Authorization": f"Bearer {stack.key}"}
    with httpx.Client(base_url=f"{stack.url}/api/v1", headers=headers, trust_env=False, timeout=30) as client:
        for sha256 in {specimen.sha256 for specimen in accepted}:
            found = client.get("/files", params={"sha256": sha256}).raise_for_status().json()["items"]
            assert len(found) == 1
            content = client.get(f"/files/{found[0]['id']}/content").raise_for_status().content
            assert hashlib.sha256(content).hexdigest() == sha256
    staged = sorted(path.name for path in stack.settings.staging().glob("*.part") if path.stat().st_size)
    assert staged == []

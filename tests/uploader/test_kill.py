"""The watch as a process of its own, killed at random moments: every file arrives once, and nothing is half there."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.schema.files import bundle, bundle_member
from db.schema.work import job
from services.uploader.errors import ServiceUnreachable
from services.uploader.journal import Journal, State
from tests.api.conftest import sha256
from tests.uploader.conftest import PROGRAM, Bench
from tests.uploader.test_cuts import port  # noqa: F401

LAST_TRIES = 5
SIZES = (0, 1, 500, 65_536, 65_537, 300_000, 2_000_000)


def start(bench: Bench, address: int, *more: str) -> subprocess.Popen[str]:
    """A watch on the bench's folder, when it has begun."""
    environment = {**os.environ, "FAULTLIGHT_KEY": bench.key, "FAULTLIGHT_PROGRAM": PROGRAM}
    command = [sys.executable, "-m", "services.cli", "watch", str(bench.folder), "--journal", str(bench.journal_path)]
    command += ["--url", f"http://127.0.0.1:{address}", "--settle", "0.1", "--poll", "0.1", "--json", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "watching"
    return process


def add_files(bench: Bench, numbers: random.Random, round_number: int) -> dict[str, Path]:
    """Write some new files and a session, each with bytes of its own; their sha256."""
    paths = [
        bench.write(f"{round_number}-{index}.bin", numbers.randbytes(numbers.choice(SIZES)) + f"{index}".encode())
        for index in range(3)
    ]
    folder = f"session-{round_number}"
    paths.append(bench.write(f"{folder}/p1.csv", numbers.randbytes(numbers.choice(SIZES))))
    paths.append(bench.write(f"{folder}/session.json", json.dumps({"n": round_number}).encode()))
    return {sha256(path.read_bytes()): path for path in paths}


def kill_often(bench: Bench, address: int, kills: int, seed: int) -> None:
    numbers = random.Random(seed)
    written: dict[str, Path] = {}
    for number in range(kills):
        written |= add_files(bench, numbers, number)
        with start(bench, address, "--max-rate", "4M") as process:
            time.sleep(numbers.expovariate(3.0))
            process.kill()
    send_the_rest(bench, address)
    check_everything_arrived_once(bench, written, kills)


def send_the_rest(bench: Bench, address: int) -> None:
    """Let watches that nobody kills send what is left.

    The service may still be busy with a request of the last one killed and hold its upload longer than a watch waits:
    such a one says so and exits with 1, and the next goes on. None may say anything else, or that for ever.
    """
    told: list[list[dict[str, object]]] = []
    for _ in range(LAST_TRIES):
        with start(bench, address, "--once") as process:
            told.append([json.loads(line) for line in process.stdout or ()])
            code = process.wait(120)
        if code == 0:
            return
        assert code == ServiceUnreachable.exit_code, (code, told)
    raise AssertionError(f"not all was sent in {LAST_TRIES} tries: {told}")


def check_everything_arrived_once(bench: Bench, written: dict[str, Path], sessions: int) -> None:
    assert set(bench.stored()) == set(written)
    assert bench.open_uploads() == 0
    singles = len({digest for digest, path in written.items() if path.parent == bench.folder})
    with bench.api.engine.connect() as connection:

        def count(table: object) -> int:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]

        assert count(bundle) == sessions
        missing = select(func.count()).where(bundle_member.c.raw_file_id.is_(None))
        assert connection.execute(missing).scalar_one() == 0
        assert count(job) == singles + sessions
    journal = Journal(bench.journal_path)
    assert journal.was_damaged is None
    assert {item.state for item in journal.known().values()} == {State.DONE}
    assert journal._connection.execute("SELECT count(*) FROM unfinished").fetchone() == (0,)
    journal.close()


@pytest.mark.slow
def test_a_watch_that_is_killed_sends_every_file_once(bench: Bench, port: int) -> None:  # noqa: F811
    kill_often(bench, port, kills=6, seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_watch_that_is_killed_all_day_sends_every_file_once(bench: Bench, port: int, seed: int) -> None:  # noqa: F811
    kill_often(bench, port, kills=50, seed=seed)

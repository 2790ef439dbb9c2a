"""Ingest at scale: very many small mixed files through the real way, and every count reconciled at the end.

``--files`` sends so many (``make bench`` sends 640), ``--seconds`` begins to send no other after so long. Files of
every format that the project can write, bundles, cut files, noise and repeated content go through the uploader's
client, the API, the worker, PostgreSQL and the blob store of a running stack. Then each file is looked for: stored or
quarantined once, its records and their counts what the writer knows, its bytes in the store, no lease held. Progress
goes to standard error.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
from psycopg.rows import TupleRow

from benchmarks.mixed_files.population import MAKERS, Sent, write_population
from benchmarks.mixed_files.reconciliation import EXAMPLES, Account, reconcile
from benchmarks.report import Row, print_rows
from benchmarks.workbench import PROGRAM, running_stack
from db.engine import make_engine
from instruments.bundle import open_source
from instruments.packing import pack
from instruments.registry import Registry, read_source
from services.scheduler.sweep import sweep_blobs
from services.stack import Stack
from services.stores import open_blobs
from services.uploader.client import UploadClient

FILES = 640
SENDERS = 4
WORKERS = 2
BACKLOG = 1000
"""Senders wait while more than these are to be read, so that a run that is given a time ends soon after it."""
BACKLOG_EVERY = 200
TELL_S = 10.0
READ_ALONE = 320


def measure(files: int, workers: int = WORKERS, seconds: float = float("inf")) -> list[Row]:
    """Send ``files`` files, or as many as ``seconds`` allow, to be read by ``workers`` workers.

    Returns how fast that was, and how many differences there are.
    """
    with running_stack() as stack, tempfile.TemporaryDirectory(prefix="faultlight-mixed-") as name:
        for number in range(2, workers + 1):
            worker = f"ingest-worker-{number}"
            stack.supervisor.start(worker, "worker", "--queue", "ingest", "--name", worker)
        _tell(f"writing {files:,} files of {len(MAKERS)} formats")
        made = write_population(Path(name), files)
        os.sync()
        started, cpu_s = time.perf_counter(), _cpu_s()
        with _connected(stack) as database, _progress(stack, files):
            answers = _send_all(stack, database, made, seconds)
            sent = made[: len(answers)]
            sent_s = time.perf_counter() - started
            _wait_until(stack, database, 0)
            whole_s, cpu_s = time.perf_counter() - started, _cpu_s() - cpu_s
            again = _attempts_again(database)
            swept = _sweep(stack)
            _tell("reconciling")
            account = reconcile(database, open_blobs(stack.settings), sent, answers)
            _tell(f"{len(account.differences)} differences; removing the files")
        alone_s = _reading_alone(sent)
        files = len(sent)
    for difference in account.differences[:EXAMPLES]:
        _tell(difference)
    return [
        *_rows(account, files, sent_s, whole_s),
        Row("readings begun again: a lease was lost, or an attempt failed", again, "attempts"),
        Row("objects that their first attempts left, swept before the comparison", swept, "objects"),
        Row("CPU of everything for each file: sender, API, database, workers, readers", cpu_s / files * 1e3, "ms"),
        Row("the same against reading it alone, libraries loaded, without a service", cpu_s / files / alone_s, "ratio"),
    ]


def _rows(account: Account, files: int, sent_s: float, whole_s: float) -> list[Row]:
    records = sum(rows for rows, _ in account.held.values())
    held = sum(count for _, count in account.held.values())
    return [
        Row("mixed files sent: good, broken, repeated, bundles", files, "files"),
        Row("of these read and stored", account.stored, "files"),
        Row("quarantined with every adapter's reason", account.quarantined, "files"),
        Row("known already, nothing stored again", account.repeated, "files"),
        Row("records in the database", records, "rows"),
        Row("samples, rows and items that they count", held, "counted"),
        Row("bytes of originals and records compared", account.bytes_compared / 1e6, "MB"),
        Row("differences from what the writers know", len(account.differences), "differences", "<= 0"),
        Row("files per second taken by the API while others are read", files / sent_s, "files/s"),
        Row("files per second, first request to last record", files / whole_s, "files/s"),
    ]


def _attempts_again(database: psycopg.Connection[TupleRow]) -> int:
    """Return how many attempts there were beyond the first of each job."""
    row = database.execute("SELECT coalesce(sum(attempts - 1), 0) FROM faultlight.job WHERE attempts > 1").fetchone()
    return 0 if row is None else int(row[0])


def _sweep(stack: Stack) -> int:
    """Remove what attempts that came to nothing left in the store, as the scheduler does with what is a day old."""
    if stack.postgres is None:
        raise RuntimeError("the benchmark needs its own PostgreSQL")
    engine = make_engine(stack.postgres.sqlalchemy_url("faultlight"))
    try:
        return sweep_blobs(engine, open_blobs(stack.settings), age_s=0.0)
    finally:
        engine.dispose()


def _cpu_s() -> float:
    """Return the CPU seconds of this process and all that it has started, those that have ended included."""
    total = time.process_time()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@contextmanager
def _connected(stack: Stack) -> Iterator[psycopg.Connection[TupleRow]]:
    if stack.postgres is None:
        raise RuntimeError("the benchmark needs its own PostgreSQL")
    with psycopg.connect(stack.postgres.libpq_url("faultlight"), autocommit=True) as connection:
        yield connection


def _send_all(stack: Stack, database: psycopg.Connection[TupleRow], made: list[Sent], seconds: float) -> dict[str, str]:
    """Send the files in their order, as agents on as many instruments would; return the answers by path.

    Those that are sent are the first ones: after ``seconds`` none is begun.
    """
    answers: dict[str, str] = {}
    work, lock = iter(enumerate(made)), threading.Lock()
    deadline = time.monotonic() + seconds

    def take() -> Sent | None:
        with lock:
            number, one = next(work, (0, None)) if time.monotonic() < deadline else (0, None)
            if number % BACKLOG_EVERY == BACKLOG_EVERY - 1:
                _wait_until(stack, database, BACKLOG)
            return one

    def send_some() -> None:
        with UploadClient(stack.url, stack.key) as client:
            while (one := take()) is not None:
                upload = client.upload_bundle if one.is_bundle else client.upload_file
                outcome = upload(one.path, PROGRAM)
                answers[str(one.path)] = str(outcome.bundle_id if one.is_bundle else outcome.raw_file_id)

    with ThreadPoolExecutor(SENDERS) as pool:
        for sender in [pool.submit(send_some) for _ in range(SENDERS)]:
            sender.result()
    return answers


def _wait_until(stack: Stack, database: psycopg.Connection[TupleRow], most: int) -> None:
    """Wait until no more than ``most`` jobs are waiting or running."""
    query = "SELECT count(*) FROM (SELECT FROM faultlight.job WHERE state IN ('queued', 'running') LIMIT %s) AS undone"
    while database.execute(query, [most + 1]).fetchone() == (most + 1,):
        died = stack.check()
        if died:
            raise RuntimeError(f"{died} died")
        time.sleep(0.2)


@contextmanager
def _progress(stack: Stack, files: int) -> Iterator[None]:
    """Tell now and then how far it is."""
    ended = threading.Event()
    started = time.monotonic()

    def tell() -> None:
        with _connected(stack) as database:
            while not ended.wait(TELL_S):
                query = "SELECT state, count(*) FROM faultlight.job GROUP BY state ORDER BY state"
                states = ", ".join(f"{count:,} {state}" for state, count in database.execute(query))
                _tell(f"{time.monotonic() - started:.0f} s: jobs {states} of {files:,} files")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _reading_alone(sent: list[Sent]) -> float:
    """Return the CPU seconds of one file read and packed by the adapters in this process, libraries loaded."""
    registry = Registry.load(strict=True)
    some = [one for one in sent if one.adapter is not None][:READ_ALONE]
    for one in some[: 2 * len(MAKERS)]:
        _read(one, registry)
    started = time.process_time()
    for one in some:
        _read(one, registry)
    return (time.process_time() - started) / len(some)


def _read(one: Sent, registry: Registry) -> None:
    with tempfile.TemporaryDirectory() as name:
        source = open_source(one.path, one.path.name, scratch=Path(name) / "members")
        pack(read_source(source, registry), Path(name) / "packed")


def main() -> int:
    """Run the benchmark from the command line; return 1 when something does not agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--files", type=int, default=FILES, help="how many files are sent")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="after which no other file is sent")
    parser.add_argument("--workers", type=int, default=WORKERS, help="how many processes read them")
    arguments = parser.parse_args()
    rows = measure(arguments.files, arguments.workers, arguments.seconds)
    print_rows(rows, as_json=arguments.json)
    return 0 if all(row.holds is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

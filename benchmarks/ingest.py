"""Ingest: 100,000 waveforms x 2,000 samples from upload to committed rows, against the raw cost of writing the same.

The raw cost is what nobody can do without: each packed object that ingest wrote is written once more and synced, file
and folder, and then its rows are sent by binary COPY, made beforehand, to a table with the same columns, checks and
indexes on the same server, and committed. It has no upload, no original, no reading, no hash, no provenance, no
event, no job and no foreign key. Rounds of both alternate.
"""

import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL

from benchmarks.report import Row, main
from benchmarks.workbench import PROGRAM, running_stack, wait_for_jobs, write_waveforms
from services.stack import Stack
from services.uploader.client import UploadClient

ROUNDS = 3
FILES = 20
SEGMENTS = 5000
SAMPLES = 2000

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Written:
    """What ingest wrote of one file: the packed object, and the rows as COPY data."""

    content: bytes
    rows: bytes


def measure() -> list[Row]:
    """Time the whole way and the raw cost in turn, on the same disk and server."""
    with running_stack() as stack, tempfile.TemporaryDirectory() as name:
        if stack.postgres is None:
            raise RuntimeError("the benchmark needs its own PostgreSQL")
        with psycopg.connect(stack.postgres.libpq_url("faultlight"), autocommit=True) as connection:
            connection.execute("CREATE TABLE raw_copy (LIKE faultlight.waveform INCLUDING ALL)")
            times = [_measure_round(stack, connection, Path(name), index) for index in range(ROUNDS)]
    whole_s, raw_s = (statistics.median(each) for each in zip(*times, strict=True))
    ratio = statistics.median(raw / whole for whole, raw in times)
    return [
        Row("100,000 waveforms x 2,000 samples, end to end", whole_s, "s"),
        Row("the same blobs and rows written raw", raw_s, "s"),
        Row("ingest end to end against the raw cost", ratio, "ratio", ">= 0.3"),
    ]


def _measure_round(stack: Stack, connection: Connection, folder: Path, index: int) -> tuple[float, float]:
    """Return the seconds of the whole way and of the raw cost of ``FILES`` new files."""
    paths = [folder / f"{index}-{number:02d}.trc" for number in range(FILES)]
    for number, path in enumerate(paths):
        write_waveforms(path, SEGMENTS, SAMPLES, seed=index * FILES + number)
    os.sync()
    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        files = list(pool.map(lambda path: _upload(stack, path), paths))
    wait_for_jobs(stack, kind="ingest", count=(index + 1) * FILES)
    whole_s = time.perf_counter() - started
    for path in paths:
        path.unlink()
    return whole_s, _raw_cost(stack, connection, [_collect(stack, connection, file) for file in files])


def _upload(stack: Stack, path: Path) -> str:
    with UploadClient(stack.url, stack.key) as client:
        return str(client.upload_file(path, PROGRAM).raw_file_id)


def _collect(stack: Stack, connection: Connection, raw_file_id: str) -> Written:
    """Return the object and the rows that ingest wrote of a file."""
    of_file = f"FROM faultlight.waveform WHERE raw_file_id = '{raw_file_id}'"
    keys = connection.execute(f"SELECT blob_key, count(*) {of_file} GROUP BY blob_key".encode()).fetchall()
    if len(keys) != 1 or keys[0][1] != SEGMENTS:
        raise RuntimeError(f"ingest has not stored every waveform once: {keys}")
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY (SELECT * {of_file}) TO STDOUT (FORMAT BINARY)".encode()) as copy,
    ):
        rows = b"".join(bytes(block) for block in copy)
    return Written((stack.settings.data_dir / "blobs" / str(keys[0][0])).read_bytes(), rows)


def _raw_cost(stack: Stack, connection: Connection, files: list[Written]) -> float:
    """Write the objects (synced each) and COPY the rows (committed each) once more; return the seconds."""
    folder = stack.settings.data_dir / "raw"
    folder.mkdir(exist_ok=True)
    os.sync()
    started = time.perf_counter()
    for written in files:
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(written.content)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(folder)
        copying = SQL("COPY raw_copy FROM STDIN (FORMAT BINARY)")
        with connection.transaction(), connection.cursor() as cursor, cursor.copy(copying) as copy:
            copy.write(written.rows)
    return time.perf_counter() - started


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main(measure)

"""Ingest: 100,000 waveforms x 2,000 samples from upload to committed rows, against the raw cost of writing the same."""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from benchmarks.report import Row, main
from benchmarks.workbench import PROGRAM, running_stack, wait_for_jobs, write_waveforms
from services.stack import Stack
from services.uploader.client import UploadClient

FILES = 20
SEGMENTS = 5000
SAMPLES = 2000


def measure() -> list[Row]:
    """Time the whole way and the raw cost on the same disk and server, one after the other."""
    with running_stack() as stack, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / f"{index:02d}.trc" for index in range(FILES)]
        for index, path in enumerate(paths):
            write_waveforms(path, SEGMENTS, SAMPLES, seed=index)
        os.sync()
        started = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda path: _upload(stack, path), paths))
        wait_for_jobs(stack, kind="ingest", count=FILES)
        whole_s = time.perf_counter() - started
        raw_s = _raw_cost(stack)
    return [
        Row("100,000 waveforms x 2,000 samples, end to end", whole_s, "s"),
        Row("the same blobs and rows written raw", raw_s, "s"),
        Row("ingest end to end against the raw cost", raw_s / whole_s, "ratio", ">= 0.3"),
    ]


def _upload(stack: Stack, path: Path) -> None:
    with UploadClient(stack.url, stack.key) as client:
        client.upload_file(path, PROGRAM)


def _raw_cost(stack: Stack) -> float:
    """Write the blobs that ingest wrote (fsync each) and COPY the rows that it wrote (commit each) once more."""
    if stack.postgres is None:
        raise RuntimeError("the benchmark needs its own PostgreSQL")
    blobs = stack.settings.data_dir / "blobs" / "records"
    sources = [path for path in sorted(blobs.rglob("*")) if path.is_file()]
    contents = [path.read_bytes() for path in sources]
    with psycopg.connect(stack.postgres.libpq_url("faultlight")) as connection:
        connection.execute("CREATE TABLE raw_copy (LIKE faultlight.waveform INCLUDING ALL)")
        connection.commit()
        batches = _batches(connection)
        if sum(len(batch) for batch in batches) < FILES * SEGMENTS:
            raise RuntimeError("ingest has not stored every waveform")
        started = time.perf_counter()
        for index, content in enumerate(contents):
            with (stack.settings.data_dir / f"raw-{index}").open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for batch in batches:
            with connection.cursor() as cursor, cursor.copy("COPY raw_copy FROM STDIN (FORMAT BINARY)") as copy:
                for block in batch:
                    copy.write(block)
            connection.commit()
        return time.perf_counter() - started


def _batches(connection: psycopg.Connection[tuple[object, ...]]) -> list[list[bytes]]:
    """Return the stored rows of each file as COPY data."""
    files = connection.execute("SELECT id FROM faultlight.raw_file ORDER BY id").fetchall()
    batches = []
    for (identifier,) in files:
        question = (
            f"COPY (SELECT * FROM faultlight.waveform WHERE raw_file_id = '{identifier}') TO STDOUT (FORMAT BINARY)"
        )
        with connection.cursor() as cursor, cursor.copy(question.encode()) as copy:
            batches.append([bytes(block) for block in copy])
    return batches


if __name__ == "__main__":
    main(measure)

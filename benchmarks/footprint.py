"""Footprint: peak memory of the API and of an ingest worker over 2 GB uploads, and the time from restart to ready."""

import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.report import Row, main
from benchmarks.workbench import PROGRAM, running_stack, wait_for_jobs, write_waveforms
from services.stack import Stack
from services.uploader.client import UploadClient

BINARY_SAMPLES = 1_000_000_000
TEXT_BYTES = 2_000_000_000
TEXT_BLOCK_ROWS = 200_000
READING_S = 1200.0
"""Memory is what counts here: a busy machine may take its time, within this bound."""


class MemoryWatch:
    """Samples the resident memory of processes and their children from a thread; keeps the largest sum seen."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            try:
                process = psutil.Process(self._pid)
                family = [process, *process.children(recursive=True)]
                self.peak_bytes = max(self.peak_bytes, sum(_resident(member) for member in family))
            except psutil.Error:
                continue


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def measure() -> list[Row]:
    """Upload a binary file and a text file of 2 GB each, watch the processes, then kill and restart the API."""
    with running_stack(read_timeout_s=READING_S) as stack, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        worker, server = stack.supervisor.pid("ingest-worker"), stack.supervisor.pid("api")
        if worker is None or server is None:
            raise RuntimeError("the stack is not running")
        rows = []
        with MemoryWatch(server) as server_watch:
            for index, (kind, write) in enumerate((("binary", _write_binary), ("text", _write_text)), 1):
                path = folder / kind
                write(path)
                with MemoryWatch(worker) as worker_watch:
                    with UploadClient(stack.url, stack.key) as client:
                        client.upload_file(path, PROGRAM)
                    wait_for_jobs(stack, kind="ingest", count=index, timeout_s=READING_S)
                path.unlink()
                claim = f"peak RSS of an ingest worker and its reader, 2 GB {kind} file"
                rows.append(Row(claim, worker_watch.peak_bytes / 1e6, "MB", "<= 600"))
        rows.append(Row("peak RSS of the API over both uploads", server_watch.peak_bytes / 1e6, "MB", "<= 250"))
        rows.append(Row("API killed to ready again", _restart(stack), "s"))
        return rows


def _write_binary(path: Path) -> None:
    """Write one waveform of 1,000,000,000 samples of 16 bits: 2 GB."""
    write_waveforms(path, 1, BINARY_SAMPLES, seed=0)


def _write_text(path: Path) -> None:
    """Write about 2 GB of ``time_s,reflectance`` lines, all of one width: ``0.000000017,0.482913``."""
    numbers = np.random.default_rng(0)
    line = np.frombuffer(b"0.000000000,0.000000\n", np.uint8)
    written = row = 0
    with path.open("wb") as file:
        written += file.write(b"time_s,reflectance\n")
        while written < TEXT_BYTES:
            block = np.tile(line, (TEXT_BLOCK_ROWS, 1))
            _print_digits(block[:, 2:11], np.arange(row, row + TEXT_BLOCK_ROWS))
            _print_digits(block[:, 14:20], numbers.integers(0, 1_000_000, TEXT_BLOCK_ROWS))
            written += file.write(block.tobytes())
            row += TEXT_BLOCK_ROWS


def _print_digits(target: NDArray[np.uint8], values: NDArray[np.int64]) -> None:
    """Write each of ``values`` as decimal digits, with leading zeros, into a row of ``target``."""
    for place in range(target.shape[1] - 1, -1, -1):
        target[:, place] += (values % 10).astype(np.uint8)
        values = values // 10


def _restart(stack: Stack) -> float:
    """Kill the API and return the seconds until it is ready again."""
    stack.supervisor.kill("api")
    started = time.perf_counter()
    while time.perf_counter() - started < 60:
        stack.supervisor.check()
        try:
            if httpx.get(f"{stack.url}/readyz", timeout=1, trust_env=False).is_success:
                return time.perf_counter() - started
        except httpx.HTTPError:
            time.sleep(0.02)
    raise RuntimeError("the API did not get ready again in 60 s")


if __name__ == "__main__":
    main(measure)

"""What the service's benchmarks share: a running stack on a throw-away folder, and a bounded load on loopback."""

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np

from services.demo.oscilloscope_files import Scaling, write_lecroy_trc
from services.embedded import free_port
from services.settings import Settings
from services.stack import Stack

PROGRAM = "bench"
ROUNDS = 5
CONNECTIONS = 8
REQUESTS_PER_ROUND = 800


@contextmanager
def running_stack(**overrides: Any) -> Iterator[Stack]:
    """Run the whole service on a throw-away folder with the program ``bench``; yields the stack."""
    folder = Path(tempfile.mkdtemp(prefix="faultlight-bench-"))
    values = {"data_dir": folder, "api_port": 0, "database_url": None, "broker_url": None, "blob_url": None}
    stack = Stack(Settings(**(values | {"rate_limit_per_minute": 0} | overrides)))
    try:
        with stack:
            api(stack).post("programs", json={"name": PROGRAM}).raise_for_status()
            yield stack
    finally:
        if stack.postgres is not None:
            stack.postgres.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def api(stack: Stack) -> httpx.Client:
    """Return a client of the stack's REST API with the administrator's key."""
    headers = {"Authorization": f"Bearer {stack.key}"}
    return httpx.Client(base_url=f"{stack.url}/api/v1", headers=headers, timeout=60, trust_env=False)


def write_waveforms(path: Path, segments: int, samples: int, seed: int) -> None:
    """Write an oscilloscope file of ``segments`` x ``samples`` random 16-bit codes."""
    numbers = np.random.default_rng(seed)
    codes = numbers.integers(-20000, 20000, (segments, samples), dtype=np.int16)
    offsets = [index * 1e-6 for index in range(segments)]
    write_lecroy_trc(path, codes, Scaling(1e-5, 0.0, 1e-10, 0.0), trigger_offsets_s=offsets)


def wait_for_jobs(stack: Stack, *, kind: str, count: int, timeout_s: float = 600) -> None:
    """Wait until ``count`` jobs of ``kind`` have succeeded; raise when one ends otherwise or time runs out."""
    deadline = time.monotonic() + timeout_s
    with api(stack) as client:
        while time.monotonic() < deadline:
            items = client.get("jobs", params={"kind": kind, "limit": 1000}).raise_for_status().json()["items"]
            states = [item["state"] for item in items]
            if any(state in ("failed", "dead", "cancelled") for state in states):
                raise RuntimeError(f"a {kind} job ended as {set(states)}")
            if states.count("succeeded") >= count:
                return
            time.sleep(0.05)
    raise RuntimeError(f"{count} {kind} jobs were not done in {timeout_s:.0f} s")


@contextmanager
def bare_server(environment: dict[str, str]) -> Iterator[str]:
    """Run ``benchmarks.bare`` under uvicorn; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.bare:app", "--factory", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "error", "--no-access-log"], env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(400):
            try:
                httpx.get(f"{url}/livez", trust_env=False)
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def requests_per_second(url: str, headers: dict[str, str], requests: int = REQUESTS_PER_ROUND) -> float:
    """Send ``requests`` GETs over ``CONNECTIONS`` kept-alive connections; return the rate.

    Raises:
        RuntimeError: an answer is not 200.
    """
    started = time.perf_counter()
    asyncio.run(_load(url, headers, requests))
    return requests / (time.perf_counter() - started)


def median_ratio(ours: Callable[[], float], theirs: Callable[[], float]) -> float:
    """Return the median over alternating rounds of ``ours() / theirs()``, after one round that does not count."""
    ours(), theirs()
    return statistics.median(ours() / theirs() for _ in range(ROUNDS))


async def _load(url: str, headers: dict[str, str], requests: int) -> None:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    message = ("\r\n".join(lines) + "\r\n\r\n").encode()
    share = requests // CONNECTIONS
    await asyncio.gather(
        *(_one_connection(parts.hostname or "", parts.port or 80, message, share) for _ in range(CONNECTIONS))
    )


async def _one_connection(host: str, port: int, message: bytes, requests: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    for _ in range(requests):
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode(errors="replace"))
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.split(b":")[1]))
    writer.close()
    await writer.wait_closed()

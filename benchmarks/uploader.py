"""The uploader with very many small files: time, memory and journal, against bare reads and bare tus requests.

``--files`` sends so many through a running service (``make bench`` sends 200 in each way); ``--footprint`` installs the
base package alone in a fresh environment, which needs a package index, and weighs it.
"""

import argparse
import base64
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import httpx

from benchmarks.report import Row, print_rows
from benchmarks.workbench import PROGRAM, running_stack
from services.stack import Stack
from services.uploader.client import UploadClient
from services.uploader.journal import Journal
from services.uploader.watcher import Clockwork, Watcher, WatchOptions

MANY = 100_000
SENT = 200
ROUNDS = 2
FOLDER_FILES = 1000
ROOT = Path(__file__).resolve().parents[1]
TUS = {"Tus-Resumable": "1.0.0"}
LINES = "".join(f"{row * 1e-9:.1e},{row * 31 % 997 / 997:.6f}\n" for row in range(60))
NOBODY = "http://127.0.0.1:9"


def write_files(folder: Path, count: int, salt: str) -> list[Path]:
    """Write ``count`` files of about 1 kB, no two alike, a thousand in each folder."""
    paths = []
    for number in range(count):
        if number % FOLDER_FILES == 0:
            inner = folder / f"{number // FOLDER_FILES:04d}"
            inner.mkdir(parents=True)
        path = inner / f"scope_{number:06d}.csv"
        path.write_text(f"time_s,reflectance\n{LINES}# {salt} {number}\n")
        paths.append(path)
    return paths


def watch_once(folder: Path, state: Path, url: str, key: str) -> tuple[float, int]:
    """Run ``faultlight watch --once`` over the folder; returns seconds and exit code."""
    environment = {**os.environ, "FAULTLIGHT_KEY": key, "FAULTLIGHT_PROGRAM": PROGRAM, "FAULTLIGHT_URL": url}
    command = [sys.executable, "-m", "services.cli", "watch", str(folder), "--once", "--settle", "0", "--json"]
    command += ["--journal", str(state / "journal.sqlite")]
    started = time.perf_counter()
    code = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False, cwd=ROOT).returncode
    return time.perf_counter() - started, code


def measure_offline(folder: Path, count: int) -> list[Row]:
    """Let a watch find, hash and keep ``count`` files while the service is away; look at them again."""
    files, state = folder / "files", folder / "state"
    state.mkdir()
    paths = write_files(files, count, "offline")
    started = time.perf_counter()
    for path in paths:
        hashlib.sha256(path.read_bytes()).hexdigest()
    bare_s = time.perf_counter() - started
    first_s, code = watch_once(files, state, NOBODY, "fl_x")
    if code != 1:
        raise RuntimeError(f"the watch ended with {code}, not with 1 (service not reached)")
    again_s, _ = watch_once(files, state, NOBODY, "fl_x")
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    journal_bytes = sum(path.stat().st_size for path in state.iterdir())
    return [
        Row(f"{count:,} small files found, hashed and kept, service away", first_s, "s"),
        Row("the same, against reading and hashing them alone", bare_s / first_s, "ratio"),
        Row(f"a restart with these {count:,} files waiting, two looks at them", again_s, "s"),
        Row(f"peak RSS of a watch of {count:,} files", peak_mb, "MB", "<= 400"),
        Row("journal per file", journal_bytes / count, "bytes", "<= 1000"),
    ]


class BareClient:
    """tus requests over one kept-alive connection, hashed as the uploader does, and nothing else."""

    def __init__(self, stack: Stack) -> None:
        headers = {"Authorization": f"Bearer {stack.key}"}
        self._client = httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False)

    def send(self, path: Path, *, at_once: bool) -> None:
        """Send a file by POST and PATCH, or ``at_once`` by a POST that holds it."""
        data = path.read_bytes()
        digest = hashlib.sha256(data)
        pairs = {"filename": path.name, "program": PROGRAM, "sha256": digest.hexdigest()}
        metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in pairs.items())
        chunk = {
            **TUS,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Checksum": f"sha256 {base64.b64encode(digest.digest()).decode()}",
        }
        begin = {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}
        if at_once:
            answer = self._client.post("/api/v1/uploads", headers=begin | chunk, content=data)
        else:
            location = self._client.post("/api/v1/uploads", headers=begin).raise_for_status().headers["Location"]
            answer = self._client.patch(location, headers={**chunk, "Upload-Offset": "0"}, content=data)
        if "Faultlight-Raw-File" not in answer.raise_for_status().headers:
            raise RuntimeError(f"not stored: {answer.status_code}")


def measure_online(folder: Path, count: int) -> list[Row]:
    """Send files to a running service by a watch and by bare requests, in turns."""
    share = max(1, count // ROUNDS)
    with running_stack() as stack:
        stack.supervisor.kill("ingest-worker")  # or reading the files takes the cores from sending them
        bare, rates = BareClient(stack), dict[str, list[float]]()
        for number in range(ROUNDS + 1):
            for kind in ("watch", "two", "one"):
                files = folder / f"{kind}-{number}"
                size = share if number else min(share, 20)
                seconds = _send(stack, bare, kind, (files, write_files(files, size, f"{kind} {number}")))
                if number:
                    rates.setdefault(kind, []).append(size / seconds)
                shutil.rmtree(files)
    two = statistics.median(ours / theirs for ours, theirs in zip(rates["watch"], rates["two"], strict=True))
    one = statistics.median(ours / theirs for ours, theirs in zip(rates["watch"], rates["one"], strict=True))
    return [
        Row("small files per second by a watch, from nothing to sent", statistics.median(rates["watch"]), "files/s"),
        Row("the same, against bare tus requests, POST and PATCH", two, "ratio", ">= 1"),
        Row("the same, against bare tus requests, one POST with the bytes", one, "ratio", ">= 0.5"),
    ]


def _send(stack: Stack, bare: BareClient, kind: str, work: tuple[Path, list[Path]]) -> float:
    files, paths = work
    if kind == "watch":
        return _watch_here(stack, files)
    started = time.perf_counter()
    for path in paths:
        bare.send(path, at_once=kind == "one")
    return time.perf_counter() - started


def _watch_here(stack: Stack, files: Path) -> float:
    """Watch the folder in this process, whose start does not count, until all is sent; returns seconds."""
    journal = Journal(files.with_name(f"{files.name}-state") / "journal.sqlite")
    options = WatchOptions(files, PROGRAM, settle_s=0.0)

    def connect() -> UploadClient:
        return UploadClient(stack.url, stack.key, unfinished=journal)

    watcher = Watcher(options, journal, connect, lambda _event, _facts: None, Clockwork(time.sleep))
    started = time.perf_counter()
    watcher.step()
    seconds = time.perf_counter() - started
    watcher.close()
    if journal.backlog().waiting_files:
        raise RuntimeError("the watch has not sent everything")
    journal.close()
    return seconds


def measure_footprint(folder: Path) -> list[Row]:
    """Install the base package, and nothing of this environment, in a fresh one; weigh what it brings."""
    home = folder / "venv"
    venv.create(home, with_pip=True, symlinks=True)
    (packages,) = home.glob("lib/python3*/site-packages")
    before = _weigh(packages)
    command = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", ROOT]
    subprocess.run(command, check=True, stdout=sys.stderr)
    subprocess.run([home / "bin" / "faultlight", "watch", "--help"], check=True, stdout=subprocess.DEVNULL)
    return [
        Row(
            "pip install faultlight with the extra uploader, all that it brings",
            (_weigh(packages) - before) / 1e6,
            "MB",
            "<= 40",
        )
    ]


def _weigh(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--files", type=int, default=SENT, help="how many files go through the service")
    parser.add_argument("--footprint", action="store_true", help="install the base package alone and weigh it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faultlight-bench-") as name:
        folder = Path(name)
        if arguments.footprint:
            rows = measure_footprint(folder)
        else:
            rows = [*measure_offline(folder, MANY), *measure_online(folder, arguments.files)]
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()

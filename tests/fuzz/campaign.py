"""Many mutants of an adapter's files, in processes that may crash, hang or eat memory without harm to the others.

A worker forks from a parent that has every library loaded, takes a run of indices, and says in shared memory which one
it is at. The parent kills a worker that stays at one for too long; after a death, the next worker goes on behind the
mutant that caused it, which is a failure.
"""

import contextlib
import json
import mmap
import os
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from instruments.adapter import Adapter
from tests.adapter_contract.cases import Case, registry
from tests.fuzz.mutations import MENDERS, mutate
from tests.fuzz.oracle import check
from tests.fuzz.seeds import ALL

BATCH = 2000
HANG_S = 20.0
MEMORY_BYTES = 512 << 20
"""What a worker may take beyond what it was forked with; the files have at most 64 KiB."""
_STATE = struct.Struct("<qd")


@dataclass(frozen=True)
class Failure:
    """A mutant that broke the rules, and how."""

    adapter: str
    index: int
    what: str


@dataclass
class Outcome:
    """What became of an adapter's mutants: how many of each end, how long it took, and the failures."""

    adapter: str
    ends: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def mutants(self) -> int:
        """How many were tried."""
        return sum(self.ends.values())


def make_mutant(adapter: str, index: int) -> tuple[Case, dict[str, bytes]]:
    """Return the case that is damaged and the files of mutant ``index`` of ``adapter``."""
    source = random.Random(f"{adapter} {index}")
    case = source.choice(ALL[adapter])
    return case, mutate(case.files, source, MENDERS.get(adapter))


def try_mutant(adapter: Adapter, index: int, folder: Path) -> str:
    """Return what became of mutant ``index``; raises what is wrong."""
    case, files = make_mutant(adapter.name, index)
    return check(adapter, case.place(folder, files), files, folder / "packed", index)


def run_campaign(name: str, indices: range, scratch: Path | None = None) -> Outcome:
    """Try the mutants of the adapter ``name`` with these indices, one process at a time."""
    adapter = registry().adapters[name]
    outcome = Outcome(name)
    started = time.monotonic()
    shared = Path("/dev/shm")  # files in memory, where there is such a place
    parent = scratch or (shared if os.access(shared, os.W_OK) else None)
    with tempfile.TemporaryDirectory(prefix="faultlight-fuzz-", dir=parent) as folder:
        first = indices.start
        while first < indices.stop:
            first = _run_batch(adapter, range(first, min(first + BATCH, indices.stop)), Path(folder), outcome)
    outcome.seconds = time.monotonic() - started
    return outcome


def run_until(name: str, indices: range, deadline: float) -> Outcome:
    """Run a campaign, or none when it is later than ``deadline``, seconds since 1970."""
    return run_campaign(name, indices) if time.time() < deadline else Outcome(name)


def _run_batch(adapter: Adapter, indices: range, folder: Path, outcome: Outcome) -> int:
    """Try a batch in a child; return the index to go on with."""
    work, report = folder / "work", folder / "report"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    report.write_text("")
    state = mmap.mmap(-1, _STATE.size)
    state[:] = _STATE.pack(indices.start, time.monotonic())
    child = os.fork()
    if child == 0:
        _work(adapter, indices, (work, report), state)
    verdict = _watch(child, state)
    for line in report.read_text().splitlines():
        entry = json.loads(line)
        outcome.ends.update(entry.get("ends", {}))
        if "what" in entry:
            outcome.failures.append(Failure(adapter.name, entry["index"], entry["what"]))
    if verdict is None:
        return indices.stop
    stopped_at = int(_STATE.unpack(state[:])[0])
    outcome.failures.append(Failure(adapter.name, stopped_at, verdict))
    told = sum(indices.start <= failure.index < stopped_at for failure in outcome.failures)
    outcome.ends.update({"before a crash": stopped_at - indices.start - told, "crashed": 1, "failed": told})
    return stopped_at + 1


def _watch(child: int, state: mmap.mmap) -> str | None:
    """Wait for the child; say what ended it before its time."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return None if code == 0 else f"the process died: {code}"
        if time.monotonic() - _STATE.unpack(state[:])[1] > HANG_S:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return f"it took longer than {HANG_S:g} s"
        time.sleep(0.01)


def _work(adapter: Adapter, indices: range, places: tuple[Path, Path], state: mmap.mmap) -> None:
    """Try the mutants and report; never returns."""
    work, report = places
    status = 70
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (1, 2):
            os.dup2(null, descriptor)
        with contextlib.suppress(OSError, ValueError):
            limit = _data_bytes() + MEMORY_BYTES
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ends: Counter[str] = Counter()
        with report.open("a") as file:
            for index in indices:
                state[:] = _STATE.pack(index, time.monotonic())
                try:
                    ends[try_mutant(adapter, index, work)] += 1
                except BaseException as error:
                    ends["failed"] += 1
                    frames = traceback.extract_tb(error.__traceback__)
                    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
                    what = f"{type(error).__name__}: {error} ({place})"
                    file.write(json.dumps({"index": index, "what": what[:500]}) + "\n")
                    file.flush()
            file.write(json.dumps({"ends": ends}) + "\n")
        status = 0
    finally:
        os._exit(status)


def _data_bytes() -> int:
    """Return the private memory that this process has, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return sys.maxsize >> 1

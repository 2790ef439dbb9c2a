"""A measurement in a process of its own, so that its time and peak memory are of nothing else."""

import multiprocessing
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Cost:
    """Best time of the repeats in seconds, and growth of the peak resident memory in megabytes."""

    seconds: float
    memory_mb: float


def cost_of(prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...], repeats: int) -> Cost:
    """Return what ``prepare(*arguments)()`` costs; preparing is not counted."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure, (prepare, arguments, repeats))


def _measure(prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...], repeats: int) -> Cost:
    torch.set_num_threads(1)
    run = prepare(*arguments)
    _peak_kb()
    before = _peak_kb()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return Cost(best, (_peak_kb() - before) / 1024)


def _peak_kb() -> int:
    """Return the peak resident memory since the last call; a new process begins with its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    return int(found.group(1)) if found else 0

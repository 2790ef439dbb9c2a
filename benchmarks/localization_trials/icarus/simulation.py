"""Icarus Verilog run on a die's module, and what its nets did, read from its value change dump."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.localization_trials.icarus.die_module import RUN_IN_FS

LONGEST_S = 300


@dataclass(frozen=True)
class Run:
    """A loop to simulate: uint8 bits of shape ``(patterns, ports)``, one row a cycle of ``cycle_fs`` femtoseconds."""

    rows: NDArray[np.uint8]
    cycle_fs: int


@dataclass(frozen=True)
class Loop:
    """What every net did: its level before the loop and its edges ``(femtoseconds from the first cycle, level)``."""

    start: dict[str, int]
    edges: dict[str, list[tuple[int, int]]]
    cycle_fs: int
    cycles: int

    @cached_property
    def last_edge_fs(self) -> int:
        """How late in its cycle any edge comes."""
        return max((time % self.cycle_fs for edges in self.edges.values() for time, _ in edges), default=0)

    def strobe(self, net: str) -> NDArray[np.uint8]:
        """Return the level of ``net`` at the end of each cycle, ``(cycles,)``: what a tester reads there."""
        edges = self.edges[net]
        times = np.asarray([time for time, _ in edges], np.int64)
        levels = np.asarray([self.start[net], *(level for _, level in edges)], np.uint8)
        ends = np.arange(1, self.cycles + 1, dtype=np.int64) * self.cycle_fs
        return np.asarray(levels[np.searchsorted(times, ends, side="left")], np.uint8)


def installed() -> bool:
    """Return whether compiler and simulator are on the path."""
    return shutil.which("iverilog") is not None and shutil.which("vvp") is not None


def simulate(text: str, runs: Sequence[Run]) -> list[Loop]:
    """Compile ``text`` once and simulate each of ``runs``.

    Raises:
        RuntimeError: Icarus Verilog fails.
        ValueError: a net is at no logic level when the loop begins.
    """
    with tempfile.TemporaryDirectory(prefix="icarus-die-") as name:
        folder = Path(name)
        (folder / "die.v").write_text(text)
        _call(folder, "iverilog", "-g2005", "-s", "tester", "-o", "die.vvp", "die.v")
        return [_simulate(folder, run) for run in runs]


def _simulate(folder: Path, run: Run) -> Loop:
    # The rightmost digit of a row is its bit 0, the first port.
    lines = ["".join(map(str, row)) for row in run.rows[:, ::-1].tolist()]
    (folder / "rows.txt").write_text("\n".join(lines) + "\n")
    _call(folder, "vvp", "-n", "die.vvp", f"+cycle_fs={run.cycle_fs}")
    with (folder / "die.vcd").open() as dump:
        start, edges = read_dump(dump, RUN_IN_FS)
    return Loop(start, edges, run.cycle_fs, len(run.rows))


def _call(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[:500]}")


def read_dump(lines: Iterable[str], begin: int) -> tuple[dict[str, int], dict[str, list[tuple[int, int]]]]:
    """Read a value change dump of single-bit nets: their levels before time ``begin``, and their edges from then on.

    Times of edges are counted from ``begin``, in the dump's unit.

    Raises:
        ValueError: a net is at no logic level at ``begin``, or leaves the logic levels later.
    """
    names: dict[str, str] = {}
    level: dict[str, str] = {}
    edges: dict[str, list[tuple[int, int]]] = {}
    time = 0
    for line in lines:
        mark = line[0]
        if mark == "#":
            time = int(line[1:])
        elif mark in "01xz":
            code = line[1:].rstrip()
            if time < begin:
                level[code] = mark
            elif mark in "xz":
                raise ValueError(f"{names[code]} leaves the logic levels")
            else:
                edges[code].append((time - begin, int(mark)))
        elif mark == "$" and line.startswith("$var"):
            _, _, _, code, name = line.split()[:5]
            names[code] = name.removeprefix("\\")
            edges[code] = []
    unknown = [names[code] for code in names if level.get(code) not in ("0", "1")]
    if unknown:
        raise ValueError(f"{unknown[0]} and {len(unknown) - 1} other nets are at no logic level when the loop begins")
    return {names[code]: int(level[code]) for code in names}, {names[code]: edges[code] for code in names}

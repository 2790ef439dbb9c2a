"""Screens on SIMULATED lots: escapes and overkill of each rule and a simple one, speed beside naive twins, memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from analysis.screening.limits import robust_limits
from analysis.screening.neighbours import DieGrid, bad_neighbourhoods, neighbour_residuals
from analysis.screening.screen_quality import ScreenQuality
from benchmarks.report import Row, main
from benchmarks.screening_trials import whole_lot
from benchmarks.screening_trials.lots import simulate_lots
from benchmarks.screening_trials.rules import try_rules, try_signatures
from tests.naive import screening as naive

SEED = 11
WAFERS, TESTS = 25, 100
MEMORY_MB = 150


def measure() -> list[Row]:
    """Return all rows."""
    lots = simulate_lots(SEED)
    rows = [row for trial in try_rules(lots) for row in _told(f"{trial.rule}; {trial.of}", trial.quality)]
    signatures, by_yield = try_signatures(lots)
    rows += _told("wafers by signatures; a cluster", signatures)
    rows += _told("wafers by signatures, beside it: yield three standard deviations low; a cluster", by_yield)
    return rows + _speed() + _whole_lot()


def _told(name: str, quality: ScreenQuality) -> list[Row]:
    found = []
    for what, bounds, count, of in (
        ("escapes", quality.escapes, quality.escaped, quality.defective),
        ("overkill", quality.overkill, quality.killed, quality.good),
    ):
        if bounds is not None:
            said = f"{count} of {of}, 90 % {100 * bounds.low:.3g} to {100 * bounds.high:.3g} %"
            found.append(Row(f"{name}: {what} ({said})", 100 * count / of, "%"))
    return found


def _speed() -> list[Row]:
    lots = simulate_lots(SEED)
    members = next(iter(lots.parts.wafers().values()))
    column, row = (each[members].astype(np.int64) for each in (lots.parts.column, lots.parts.row))
    values = next(iter(lots.parts.readings.values())).value[members]
    failed = lots.parts.failed[members]
    grid, plain = DieGrid(column, row), (column.tolist(), row.tolist())
    pairs: tuple[tuple[str, Callable[[], object], Callable[[], object]], ...] = (
        ("limits of one test of a wafer", lambda: robust_limits(values), lambda: naive.limits(values.tolist())),
        ("neighbour residuals of a wafer", lambda: neighbour_residuals(grid, values),
         lambda: naive.residuals(*plain, values.tolist(), 2, 5)),
        ("bad neighbourhoods of a wafer", lambda: bad_neighbourhoods(grid, failed),
         lambda: naive.fail_scores(*plain, failed.tolist(), 1, 1.0)),
    )  # fmt: skip
    return [
        Row(f"{name}: times faster than the naive twin ({members.size} dies)", _seconds(twin) / _seconds(ours), "ratio")
        for name, ours, twin in pairs
    ]


def _seconds(work: Callable[[], object]) -> float:
    work()
    found = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def _whole_lot() -> list[Row]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([".", *sys.path])}
    command = [sys.executable, whole_lot.__file__, str(WAFERS), str(TESTS)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = json.loads(outcome.stdout)
    name = f"all screens by one test, {WAFERS} wafers, {TESTS} tests, {found['readings']:,} readings"
    return [
        Row(name, found["seconds"], "s"),
        Row(f"{name}: readings in a second", found["readings"] / found["seconds"], "1/s"),
        Row(f"{name}: memory over the readings", found["mb"], "MB", f"<= {MEMORY_MB}"),
    ]


if __name__ == "__main__":
    main(measure)

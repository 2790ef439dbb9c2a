"""Time and memory of all screens of a large lot, in a process of its own: run as a script it prints JSON."""

import json
import resource
import sys
import time

import numpy as np

from services.pipelines.reliability.screening import screen_parts
from services.pipelines.reliability.screening_requests import ScreenRequest
from services.pipelines.reliability.tested_parts import Readings, TestedParts, TestName

if __name__ == "__main__":
    wafers, tests = int(sys.argv[1]), int(sys.argv[2])
    numbers = np.random.default_rng(0)
    span = np.arange(-18, 19)
    column, row = (each.ravel() for each in np.meshgrid(span, span))
    inside = np.hypot(column, row) <= 18
    column, row = column[inside].astype(float), row[inside].astype(float)
    parts = TestedParts(simulated=True)
    parts.lot = ["L"] * (wafers * column.size)
    parts.wafer = [f"W{number:02d}" for number in range(wafers) for _ in range(column.size)]
    parts.part_id = [str(number) for number in range(wafers * column.size)]
    parts.column, parts.row = np.tile(column, wafers), np.tile(row, wafers)
    parts.failed = (numbers.random(parts.count) < 0.05).astype(float)
    for number in range(tests):
        parts.readings[TestName(number, "t", "V")] = Readings(np.arange(parts.count), numbers.normal(size=parts.count))
    request = ScreenRequest(screens=["part-average", "neighbour-residual", "bad-neighbourhood", "stack", "signatures"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    document = screen_parts(parts, request)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"seconds": seconds, "readings": parts.count * tests, "mb": (after - before) / 1024}
    sys.stdout.write(json.dumps(found | {"rows": len(document["groups"])}) + "\n")

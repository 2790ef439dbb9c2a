"""Levels by a loop over samples, and skew by trying every delay: slow, obvious twins."""

import math
from collections.abc import Sequence


def mean_in_window(
    values: Sequence[float], t0_s: float, dt_s: float, cycle_s: float, cycles: int, window: tuple[float, float]
) -> list[float | None]:
    """The mean of the samples of each cycle whose phase is inside the window."""
    sums, counts = [0.0] * cycles, [0] * cycles
    for index, value in enumerate(values):
        position = (t0_s + index * dt_s) / cycle_s
        for cycle in (math.floor(position) - 1, math.floor(position), math.floor(position) + 1):
            if 0 <= cycle < cycles and window[0] <= position - cycle < window[1]:
                sums[cycle] += value
                counts[cycle] += 1
    return [total / count if count else None for total, count in zip(sums, counts, strict=True)]


def best_delay(
    values: Sequence[float], t0_s: float, dt_s: float, cycle_s: float, bits: Sequence[float], edge_s: float
) -> float:
    """The delay, of 401 in a quarter cycle each way, at which amplitude times template plus offset fits best."""
    times = [t0_s + index * dt_s for index in range(len(values))]
    best = (math.inf, 0.0)
    for place in range(-200, 201):
        delay = place / 200 * 0.25 * cycle_s
        template = [_edge(time - delay, cycle_s, bits, edge_s) for time in times]
        best = min(best, (_misfit(template, values), delay))
    return best[1]


def _edge(time: float, cycle_s: float, bits: Sequence[float], edge_s: float) -> float:
    nearest = round(time / cycle_s)
    before, after = bits[(nearest - 1) % len(bits)], bits[nearest % len(bits)]
    return before + (after - before) * 0.5 * (1 + math.erf((time - nearest * cycle_s) / (math.sqrt(2) * edge_s)))


def _misfit(template: Sequence[float], values: Sequence[float]) -> float:
    count = len(values)
    mean_t, mean_v = sum(template) / count, sum(values) / count
    cross = sum((t - mean_t) * (v - mean_v) for t, v in zip(template, values, strict=True))
    energy = sum((t - mean_t) ** 2 for t in template)
    total = sum((v - mean_v) ** 2 for v in values)
    return total - cross**2 / energy if energy else total

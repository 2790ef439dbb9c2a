"""Delay by trying every delay, amplitude and offset; noise by its definition: slow, obvious twins."""

import math
from collections.abc import Sequence


def edge(offset: float, sigma: float) -> float:
    """How far a smoothed edge has come."""
    return 0.5 * math.erfc(-offset / (sigma * math.sqrt(2)))


def trace(time: float, bits: Sequence[float], cycle: float, delay: float, sigma: float) -> float:
    """The looped trace's value: the level long ago plus every step since, each smoothed."""
    first = math.floor(time / cycle) - 3
    level = bits[(first - 1) % len(bits)]
    for cycle_number in range(first, first + 7):
        step = bits[cycle_number % len(bits)] - bits[(cycle_number - 1) % len(bits)]
        level += step * edge(time - cycle_number * cycle - delay, sigma)
    return level


def delay_posterior(
    times: Sequence[float], values: Sequence[float], bits: Sequence[float], cycle: float, sigma: float, noise: float
) -> tuple[float, float]:
    """Mean and standard deviation of the delay, of 801 within a fifth of a cycle, with a flat offset and amplitude."""
    delays = [place / 400 * 0.2 * cycle for place in range(-400, 401)]
    logs = []
    for delay in delays:
        shape = [trace(time, bits, cycle, delay, sigma) for time in times]
        count = len(values)
        mean_s, mean_v = sum(shape) / count, sum(values) / count
        energy = sum((s - mean_s) ** 2 for s in shape)
        cross = sum((s - mean_s) * (v - mean_v) for s, v in zip(shape, values, strict=True))
        logs.append(0.5 * cross**2 / energy / noise**2 - 0.5 * math.log(energy))
    top = max(logs)
    weights = [math.exp(item - top) for item in logs]
    total = sum(weights)
    mean = sum(w * d for w, d in zip(weights, delays, strict=True)) / total
    return mean, math.sqrt(sum(w * (d - mean) ** 2 for w, d in zip(weights, delays, strict=True)) / total)


def autoregression(coefficients: Sequence[float], shocks: Sequence[float]) -> list[float]:
    """A series by its recursion, from rest."""
    series: list[float] = []
    for index, shock in enumerate(shocks):
        past = sum(c * series[index - k - 1] for k, c in enumerate(coefficients) if index - k - 1 >= 0)
        series.append(past + shock)
    return series


def weighted_line(xs: Sequence[float], ys: Sequence[float], sigmas: Sequence[float]) -> tuple[float, float, float]:
    """Intercept, its standard error and slope by the sums of the textbook."""
    weights = [1 / s**2 for s in sigmas]
    s0 = sum(weights)
    sx = sum(w * x for w, x in zip(weights, xs, strict=True))
    sxx = sum(w * x * x for w, x in zip(weights, xs, strict=True))
    sy = sum(w * y for w, y in zip(weights, ys, strict=True))
    sxy = sum(w * x * y for w, x, y in zip(weights, xs, ys, strict=True))
    determinant = s0 * sxx - sx**2
    return (sxx * sy - sx * sxy) / determinant, math.sqrt(sxx / determinant), (s0 * sxy - sx * sy) / determinant

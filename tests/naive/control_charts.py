"""Slow, obvious control charts: one point at a time, each rule as its sentence reads."""

import math
from itertools import pairwise


def nelson(z: list[float], rule: int) -> list[int]:
    """Indices of points that complete the pattern."""
    return [index for index in range(len(z)) if _completes(z, index, rule)]


def _last(z: list[float], index: int, count: int) -> list[float] | None:
    return z[index - count + 1 : index + 1] if index + 1 >= count else None


def _completes(z: list[float], index: int, rule: int) -> bool:
    x = z[index]
    if rule == 1:
        return x > 3 or x < -3
    if rule == 2:
        last = _last(z, index, 9)
        return last is not None and (all(each > 0 for each in last) or all(each < 0 for each in last))
    if rule == 3:
        last = _last(z, index, 6)
        if last is None:
            return False
        pairs = list(pairwise(last))
        return all(b > a for a, b in pairs) or all(b < a for a, b in pairs)
    if rule == 4:
        last = _last(z, index, 14)
        if last is None:
            return False
        steps = [b - a for a, b in pairwise(last)]
        return all(a != 0 and b != 0 and (a > 0) != (b > 0) for a, b in pairwise(steps))
    if rule in (5, 6):
        line, needed, span = (2, 2, 3) if rule == 5 else (1, 4, 5)
        last = z[max(0, index - span + 1) : index + 1]
        high = x > line and sum(each > line for each in last) >= needed
        low = x < -line and sum(each < -line for each in last) >= needed
        return high or low
    if rule == 7:
        last = _last(z, index, 15)
        return last is not None and all(-1 < each < 1 for each in last)
    last = _last(z, index, 8)
    return last is not None and all(each > 1 or each < -1 for each in last)


def ewma(values: list[float], centre: float, sigma: float, weight: float, width: float) -> list[tuple[float, float]]:
    """The average and the half width of its limits at each value that is there; NaN elsewhere."""
    out, average, count = [], centre, 0
    for value in values:
        if math.isnan(value):
            out.append((math.nan, math.nan))
            continue
        count += 1
        average = weight * value + (1 - weight) * average
        variance = sigma**2 * sum((weight * (1 - weight) ** age) ** 2 for age in range(count))
        out.append((average, width * math.sqrt(variance)))
    return out


def cusum(values: list[float], centre: float, sigma: float, reference: float) -> list[tuple[float, float]]:
    """The upper and the lower sum in sigma at each value; NaN where it is missing."""
    high = low = 0.0
    out = []
    for value in values:
        if math.isnan(value):
            out.append((math.nan, math.nan))
            continue
        high = max(0.0, high + (value - centre) / sigma - reference)
        low = max(0.0, low - (value - centre) / sigma - reference)
        out.append((high, low))
    return out


def mean_moving_range_sigma(values: list[float]) -> float:
    """Sigma from moving ranges of two, d2 from the table in Montgomery's appendix."""
    present = [value for value in values if not math.isnan(value)]
    ranges = [abs(b - a) for a, b in pairwise(present)]
    return sum(ranges) / len(ranges) / 1.128

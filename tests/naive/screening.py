"""Screens as one would do them by hand: a die at a time."""

import itertools
import math
import statistics


def quantile(values, part, rule):
    """Hyndman and Fan's rules as formulas: h places along the ordered values."""
    ordered, n = sorted(values), len(values)
    h = {
        "linear": (n - 1) * part + 1,
        "hazen": n * part + 0.5,
        "weibull": (n + 1) * part,
        "median_unbiased": (n + 1 / 3) * part + 1 / 3,
    }[rule]
    h = min(max(h, 1), n)
    low = math.floor(h)
    return ordered[low - 1] + (h - low) * (ordered[min(low, n - 1)] - ordered[low - 1])


def limits(values, rule="linear", sigmas=6.0, asymmetric=False):
    used = [value for value in values if math.isfinite(value)]
    first, middle, third = (quantile(used, part, rule) for part in (0.25, 0.5, 0.75))
    below = above = (third - first) / 1.35
    if asymmetric:
        below, above = 2 * (middle - first) / 1.35, 2 * (third - middle) / 1.35
    return middle - sigmas * below, middle + sigmas * above


def residuals(column, row, values, reach, least):
    found = []
    for x, y, value in zip(column, row, values, strict=True):
        near = [
            other
            for u, v, other in zip(column, row, values, strict=True)
            if (u, v) != (x, y) and max(abs(u - x), abs(v - y)) <= reach and math.isfinite(other)
        ]
        good = len(near) >= least and math.isfinite(value)
        found.append(value - statistics.median(near) if good else math.nan)
    return found


def fail_scores(column, row, failed, reach, diagonal_weight):
    found = []
    for x, y in zip(column, row, strict=True):
        fails = tested = 0.0
        for u, v, bad in zip(column, row, failed, strict=True):
            away = max(abs(u - x), abs(v - y))
            if not 0 < away <= reach or math.isnan(bad):
                continue
            weight = (diagonal_weight if u != x and v != y else 1.0) / away
            tested += weight
            fails += weight * bad
        span = range(-reach, reach + 1)
        whole = sum(
            (diagonal_weight if a and b else 1.0) / max(abs(a), abs(b)) for a in span for b in span if (a, b) != (0, 0)
        )
        found.append(whole * fails / tested if tested else 0.0)
    return found


def tail_of_independent(chances, at_least):
    """Add up every outcome."""
    total = 0.0
    for outcome in itertools.product((0, 1), repeat=len(chances)):
        if sum(outcome) >= at_least:
            total += math.prod(p if hit else 1 - p for p, hit in zip(chances, outcome, strict=True))
    return total


def mahalanobis(rows, centre, covariance):
    """Squared distances by solving for one row at a time."""
    import numpy as np

    return [float((row - centre) @ np.linalg.solve(covariance, row - centre)) for row in rows]


def joins(column, row, failed):
    """Pairs of failing dies side by side, each counted once."""
    bad = {(x, y) for x, y, fail in zip(column, row, failed, strict=True) if fail == 1}
    steps = ((1, 0), (0, 1), (1, 1), (1, -1))
    return sum((x + a, y + b) in bad for x, y in bad for a, b in steps)


def largest_group(column, row, failed):
    """Walk from fail to fail."""
    left = {(x, y) for x, y, fail in zip(column, row, failed, strict=True) if fail == 1}
    largest = 0
    while left:
        walk, size = [left.pop()], 0
        while walk:
            x, y = walk.pop()
            size += 1
            for near in [(x + a, y + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    walk.append(near)
        largest = max(largest, size)
    return largest

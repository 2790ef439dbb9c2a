"""The eight rules of L. S. Nelson (The Shewhart control chart: tests for special causes, J. Quality Tech. 16, 1984).

A rule tells of the point that completes its pattern. Strict inequality throughout: a point on a line is not beyond it,
and one on the centre is on neither side. In rules 5 and 6 the completing point is itself beyond the line.
"""

import numpy as np
from numpy.typing import NDArray

RULES = {
    1: "one point beyond 3 sigma",
    2: "nine points in a row on the same side of the centre",
    3: "six points in a row, each higher than the last, or each lower",
    4: "fourteen points in a row, up and down by turns",
    5: "two of three points in a row beyond 2 sigma on the same side",
    6: "four of five points in a row beyond 1 sigma on the same side",
    7: "fifteen points in a row within 1 sigma on both sides",
    8: "eight points in a row, none within 1 sigma",
}
SPANS = {1: 1, 2: 9, 3: 6, 4: 14, 5: 3, 6: 5, 7: 15, 8: 8}
"""Points that each rule looks at."""


def find_patterns(z: NDArray[np.float64], rule: int) -> NDArray[np.bool_]:
    """Return which points complete the pattern of a rule.

    Args:
        z: float64 ``(n,)``, points as distances from the centre in standard deviations of a point, without NaN.
        rule: 1 to 8.

    Raises:
        ValueError: there is no such rule.
    """
    if rule not in RULES:
        raise ValueError(f"there is no rule {rule}")
    span = SPANS[rule]
    if rule == 1:
        return np.abs(z) > 3.0
    if rule == 2:
        return _has(z > 0.0, span, span) | _has(z < 0.0, span, span)
    if rule in (3, 4):
        return _find_in_steps(z, rule)
    if rule == 7:
        return _has(np.abs(z) < 1.0, span, span)
    if rule == 8:
        return _has(np.abs(z) > 1.0, span, span)
    line, needed = (2.0, 2) if rule == 5 else (1.0, 4)
    high, low = z > line, z < -line
    return (high & _has(high, span, needed)) | (low & _has(low, span, needed))


def _find_in_steps(z: NDArray[np.float64], rule: int) -> NDArray[np.bool_]:
    """Return where a run of rising or falling steps, or of steps by turns, ends."""
    steps = SPANS[rule] - 1
    rising = np.diff(z, prepend=z[:1]) > 0.0
    falling = np.diff(z, prepend=z[:1]) < 0.0
    if rule == 3:
        return _has(rising, steps, steps) | _has(falling, steps, steps)
    turns = np.zeros(z.size, np.bool_)
    turns[1:] = (rising[1:] & falling[:-1]) | (falling[1:] & rising[:-1])
    return _has(turns, steps - 1, steps - 1)


def _has(flags: NDArray[np.bool_], span: int, needed: int) -> NDArray[np.bool_]:
    """Return where at least ``needed`` of the last ``span`` flags are set; a span must fit, unless fewer suffice."""
    sums = np.concatenate([[0], np.cumsum(flags)])
    starts = np.maximum(0, np.arange(1, flags.size + 1) - span)
    return np.asarray(sums[1:] - sums[starts] >= needed, np.bool_)

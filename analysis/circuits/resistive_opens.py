"""Resistive opens that are too weak for the tester's cycle: what a net has depends on the cycles before.

Behind the open the net is a capacitance that the driver charges through a resistance: what is missing to the driver's
level falls to its half every ``half_cycles``. Receivers read the side of half the supply on which it is at the end of
the cycle. An edge after many equal values comes late or not at all, one soon after the last comes in time: pattern
dependent (RC model of a resistive open: Rodriguez-Montanes, de Gyvez & Volf, IEEE Design & Test 19(5), 2002). Up to
half a cycle the level arrives within its cycle, and the open is a delay fault (see :mod:`analysis.circuits.faults`).

The open is in the driver (the net itself is weak), in its path to one supply (only rising or falling edges are), or
in the branch to one pin.
"""

import numpy as np
from numpy.typing import NDArray

HALF_CYCLES = (1.5, 4.0)
"""Half-lives that are tried, in cycles: an edge between long runs needs two cycles, or five."""
THRESHOLD = 0.5
STEADY = 1e-9
"""Change of a level from loop to loop below which it is steady."""
MOST_PASSES = 200


def weak_levels(
    driven: NDArray[np.uint8], half_cycles: NDArray[np.float64], edges: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the levels behind the opens at the end of each cycle of the steady loop: float64 ``(opens, cycles)``.

    ``driven`` is what each driver wants, uint8 0/1 of shape ``(opens, cycles)``; ``half_cycles`` are as above and
    ``edges`` the level to which the way is weak, -1 for both, of shape ``(opens,)``. Levels are parts of the supply.
    """
    rest = np.exp2(-1.0 / half_cycles)
    targets = driven.astype(np.float64)
    rests = np.where(driven == 1, np.where(edges == 0, 0.0, rest)[:, None], np.where(edges == 1, 0.0, rest)[:, None])
    level = targets[:, -1].copy()
    levels = np.empty_like(targets)
    for _ in range(MOST_PASSES):
        begin = level
        for cycle in range(targets.shape[1]):
            level = targets[:, cycle] + (level - targets[:, cycle]) * rests[:, cycle]
            levels[:, cycle] = level
        if np.abs(level - begin).max(initial=0.0) < STEADY:
            break
    return levels


def weak_values(
    driven: NDArray[np.uint8], half_cycles: NDArray[np.float64], edges: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return what receivers read behind opens: uint8 0/1 of shape ``(opens, cycles)``.

    ``driven``, ``half_cycles`` and ``edges`` are as of :func:`weak_levels`. A
    level at the threshold, to rounding, counts as not having arrived.
    """
    levels = weak_levels(driven, half_cycles, edges)
    arrived = np.abs(levels - driven) < THRESHOLD - STEADY
    return np.where(arrived, driven, 1 - driven).astype(np.uint8)

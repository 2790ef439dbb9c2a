"""Distances to trapezoids with level upper and lower sides, and runs through those of one shape.

A shape is given as trapezoids that do not overlap and that a level line crosses once in each of its runs, as
``(y low, y high, x left and right of the lower side, of the upper side)``. Level sides between two of them are no
edges.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def distances(places: Array, trapezoids: Array) -> Array:
    """Return how far each place is from each trapezoid, 0 inside: ``(k, t)``.

    Args:
        places: ``(k, 2)``.
        trapezoids: ``(t, 6)``, same unit.
    """
    x, y = places[:, :1], places[:, 1:]
    low, high, *ends = trapezoids.T
    if np.array_equal(ends[0], ends[2]) and np.array_equal(ends[1], ends[3]):
        away: Array = np.hypot(np.maximum(np.maximum(ends[0] - x, x - ends[1]), 0.0), _beyond(y, low, high))
        return away
    left, right = _ends_at(np.clip(y, low, high), trapezoids)
    inside = (low <= y) & (y <= high) & (left <= x) & (x <= right)
    corners = [(ends[0], low), (ends[1], low), (ends[3], high), (ends[2], high)]
    nearest = np.full(inside.shape, np.inf)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        nearest = np.minimum(nearest, _to_segments(x, y, (x0, y0), (x1, y1)))
    return np.where(inside, 0.0, nearest)


def _beyond(value: Array, low: Array, high: Array) -> Array:
    beyond: Array = np.maximum(np.maximum(low - value, value - high), 0.0)
    return beyond


def _ends_at(y: Array, trapezoids: Array) -> tuple[Array, Array]:
    """Return left and right end of each trapezoid at heights ``(k, t)`` within it."""
    low, high, left, right, upper_left, upper_right = trapezoids.T
    part = (y - low) / np.where(high > low, high - low, 1.0)
    return left + part * (upper_left - left), right + part * (upper_right - right)


def _to_segments(x: Array, y: Array, start: tuple[Array, Array], end: tuple[Array, Array]) -> Array:
    dx, dy = end[0] - start[0], end[1] - start[1]
    square = dx**2 + dy**2
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / np.where(square > 0, square, 1.0)
    along = np.clip(along, 0.0, 1.0)
    away: Array = np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)
    return away


def severs(places: Array, radius: float, trapezoids: Array) -> NDArray[np.bool_]:
    """Return whether a disc at each place covers a shape from edge to edge, level or upright, through its middle.

    That is what breaks a wire along an axis. A wire end that is covered counts as broken.

    Args:
        places: middles of the disc, ``(k, 2)``.
        radius: of the disc.
        trapezoids: all of one shape near the places, ``(t, 6)``.
    """
    x, y = places[:, :1], places[:, 1:]
    low, high = trapezoids[:, 0], trapezoids[:, 1]
    left, right = _ends_at(np.clip(y, low, high), trapezoids)
    level = (low <= y) & (y <= high) & (left >= x - radius) & (right <= x + radius)
    return np.asarray(level.any(axis=1) | _severs_upright(places, radius, trapezoids))


def _severs_upright(places: Array, radius: float, trapezoids: Array) -> NDArray[np.bool_]:
    start, end = _heights_at(places[:, :1], trapezoids)
    y = places[:, 1]
    severed = np.zeros(len(y), np.bool_)
    run_start, run_end = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for number in np.argsort(trapezoids[:, 0], kind="stable"):
        first, last = start[:, number], end[:, number]
        there = last >= first
        joined = there & (first <= run_end)
        severed |= there & ~joined & _covered(run_start, run_end, y, radius)
        run_start = np.where(there & ~joined, first, run_start)
        run_end = np.where(there, np.where(joined, np.maximum(run_end, last), last), run_end)
    return severed | _covered(run_start, run_end, y, radius)


def _covered(start: Array, end: Array, middle: Array, radius: float) -> NDArray[np.bool_]:
    return np.asarray((end >= start) & (start >= middle - radius) & (end <= middle + radius))


def _heights_at(x: Array, trapezoids: Array) -> tuple[Array, Array]:
    """Return from where to where an upright line at ``x``, ``(k, 1)``, is in each trapezoid; nowhere: end < start."""
    low, high, left, right, upper_left, upper_right = trapezoids.T
    start, end = np.broadcast_to(low, (len(x), len(low))).copy(), np.broadcast_to(high, (len(x), len(low))).copy()
    for near, far, sign in ((left, upper_left, 1.0), (right, upper_right, -1.0)):
        # The side is near + (far - near) t with t from 0 to 1; the line is inside where sign (x - side) >= 0.
        slope, room = sign * (far - near), sign * (x - near)
        crossing = low + (high - low) * room / np.where(slope == 0, 1.0, slope)
        end = np.where(slope > 0, np.minimum(end, crossing), end)
        start = np.where(slope < 0, np.maximum(start, crossing), start)
        end = np.where((slope == 0) & (room < 0), -np.inf, end)
    return start, end


def exposed_edges(trapezoids: Array) -> Array:
    """Return the edges of a shape as segments ``(e, 4)``: x and y of the start, of the end.

    Args:
        trapezoids: all of the shape near where its edges are of interest, ``(t, 6)``.
    """
    low, high, left, right, upper_left, upper_right = trapezoids.T
    sides = [np.column_stack([left, low, upper_left, high]), np.column_stack([right, low, upper_right, high])]
    level = [(low, left, right, high, upper_left, upper_right), (high, upper_left, upper_right, low, left, right)]
    pieces = []
    for height, start, end, other_height, other_start, other_end in level:
        for number in range(len(height)):
            covering = other_height == height[number]
            spans = sorted(zip(other_start[covering].tolist(), other_end[covering].tolist(), strict=True))
            for first, last in _left_over(float(start[number]), float(end[number]), spans):
                pieces.append((first, height[number], last, height[number]))
    return np.concatenate([*sides, np.asarray(pieces, np.float64).reshape(-1, 4)])


def _left_over(start: float, end: float, spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return what of an interval no span covers; ``spans`` in order."""
    pieces, here = [], start
    for first, last in spans:
        if first > here and first < end:
            pieces.append((here, first))
        here = max(here, last)
    if here < end:
        pieces.append((here, end))
    return pieces


def edge_distance(place: Array, trapezoids: Array) -> float:
    """Return how far a place is from the nearest edge of a shape, negative inside it.

    Args:
        place: ``(2,)``.
        trapezoids: all of the shape near the place, ``(t, 6)``, at least one.
    """
    outside = float(distances(place[None], trapezoids).min())
    if outside > 0.0:
        return outside
    edges = exposed_edges(trapezoids)
    x, y = place[None, :1], place[None, 1:]
    return -float(_to_segments(x, y, (edges[:, 0], edges[:, 1]), (edges[:, 2], edges[:, 3])).min())

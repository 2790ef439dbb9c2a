"""Manhattan polygons as signed corners: the form in which area, union, raster and spectrum are exact sums.

The indicator of a region with horizontal and vertical edges is ``sum_k w_k H(x - x_k) H(y - y_k)`` with Heaviside's
step ``H`` and one weight for each corner. Every linear functional of the region then is a sum over its corners: the
area under a pixel (:mod:`analysis.mask.raster`), the Fourier coefficients (:mod:`analysis.mask.spectrum`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
"""Vertices, shape ``(vertices, 2)``, x and y in nanometres, either way round; the last one joins the first."""

_CELLS_AT_ONCE = 4_000_000
_BOX = 4
_MOST_CELLS = 4_000_000_000


class PolygonError(ValueError):
    """Polygons that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Corners:
    """Signed corners, arrays of shape ``(corners,)``.

    Attributes:
        x_nm, y_nm: where they are, in nanometres.
        weights: of each step, -2 to 2.
    """

    x_nm: NDArray[np.float64]
    y_nm: NDArray[np.float64]
    weights: NDArray[np.float64]

    def area_nm2(self) -> float:
        """Return the area of the region in square nanometres."""
        if not self.weights.size:
            return 0.0
        x, y = self.x_nm - self.x_nm.mean(), self.y_nm - self.y_nm.mean()
        return float(np.sum(self.weights * x * y))


def is_manhattan(polygon: Polygon) -> bool:
    """Say whether every edge of ``polygon`` (vertices in nm, shape ``(vertices, 2)``) is horizontal or vertical."""
    steps = np.roll(polygon, -1, axis=0) - polygon
    return bool(np.all((steps[:, 0] == 0) | (steps[:, 1] == 0)))


def check_polygons(polygons: Sequence[Polygon]) -> list[Polygon]:
    """Return ``polygons`` as float64 arrays.

    Args:
        polygons: vertices in nm, each of shape ``(vertices, 2)``.

    Raises:
        PolygonError: one has fewer than three vertices, the wrong shape, or a coordinate that is not finite.
    """
    checked = []
    for place, polygon in enumerate(polygons):
        points = np.asarray(polygon, np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
            raise PolygonError(f"polygon {place} has the shape {points.shape}; expected (3 or more, 2)")
        if not np.isfinite(points).all():
            raise PolygonError(f"polygon {place} has a coordinate that is not a finite number")
        checked.append(points)
    return checked


def merge_manhattan(polygons: Sequence[Polygon]) -> Corners:
    """Return the corners of the union of Manhattan ``polygons``; what they cover twice counts once.

    Args:
        polygons: vertices in nm, each of shape ``(vertices, 2)``; one that overlaps itself covers what it winds around.

    Raises:
        PolygonError: one of them has a slanting edge, winds around a part of it the other way, or is no polygon, or
            they are too many for one window.
    """
    return _merge(*_wound(_uncrossed(check_polygons(polygons))))


def corners_of_disjoint(polygons: Sequence[Polygon]) -> Corners:
    """Return the corners of Manhattan ``polygons`` that are known not to overlap, without merging them.

    Args:
        polygons: vertices in nm, each of shape ``(vertices, 2)``.

    Raises:
        PolygonError: one of them has a slanting edge or is no polygon.
    """
    return Corners(*_wound(check_polygons(polygons)))


def boxes_of(polygons: Sequence[Polygon]) -> NDArray[np.float64]:
    """Return disjoint boxes that make up the union of Manhattan ``polygons``: left, bottom, right, top in nm.

    Args:
        polygons: vertices in nm, each of shape ``(vertices, 2)``.

    Returns:
        float64 of shape ``(boxes, 4)``.

    Raises:
        PolygonError: one of them has a slanting edge or is no polygon.
    """
    x, y, weights = _wound(_uncrossed(check_polygons(polygons)))
    xs, ys = np.unique(x), np.unique(y)
    boxes = []
    for first, inside in _strips(x, y, weights, xs, ys):
        steps = np.diff(np.pad(inside.astype(np.int8), ((0, 0), (1, 1))), axis=1)
        rows, left = np.nonzero(steps == 1)
        _, right = np.nonzero(steps == -1)
        keep = first + rows < ys.size - 1
        rows, left, right = rows[keep] + first, left[keep], right[keep]
        boxes.append(np.stack([xs[left], ys[rows], xs[right], ys[rows + 1]], axis=1))
    return np.concatenate(boxes) if boxes else np.empty((0, 4))


def _uncrossed(polygons: list[Polygon]) -> list[Polygon]:
    """Refuse a figure of eight: a lobe wound the other way would be taken away from what lies below it."""
    for place, polygon in enumerate(polygons):
        if len(polygon) <= _BOX or not is_manhattan(polygon):
            continue
        x, y, weights = _wound([polygon])
        (xs, columns), (ys, rows) = (np.unique(each, return_inverse=True) for each in (x, y))
        steps = np.zeros((ys.size, xs.size))
        np.add.at(steps, (rows, columns), weights)
        if np.cumsum(np.cumsum(steps, axis=0), axis=1).min(initial=0) < 0:
            raise PolygonError(f"polygon {place} crosses itself: a part of it is wound the other way round")
    return polygons


def _wound(polygons: list[Polygon]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return signed corners of every polygon for itself, each turned counter-clockwise."""
    if not polygons:
        return np.empty(0), np.empty(0), np.empty(0)
    sizes = np.asarray([len(each) for each in polygons])
    points = np.concatenate(polygons)
    ends = np.cumsum(sizes)
    following = np.arange(1, len(points) + 1)
    following[ends - 1] = ends - sizes
    after = points[following]
    slanting = (points[:, 0] != after[:, 0]) & (points[:, 1] != after[:, 1])
    if slanting.any():
        place = int(np.searchsorted(ends, np.flatnonzero(slanting)[0], side="right"))
        raise PolygonError(f"polygon {place} has a slanting edge; only horizontal and vertical edges can be merged")
    origin = points[np.repeat(ends - sizes, sizes)]
    here, there = points - origin, after - origin
    area = np.add.reduceat(here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1], ends - sizes)
    turn = np.repeat(np.sign(area), sizes)
    upright = points[:, 1] != after[:, 1]
    x = np.concatenate([points[upright, 0], after[upright, 0]])
    y = np.concatenate([points[upright, 1], after[upright, 1]])
    return x, y, np.concatenate([-turn[upright], turn[upright]])


def _merge(x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]) -> Corners:
    xs, ys = np.unique(x), np.unique(y)
    found = []
    last = np.zeros(xs.size + 1, np.int8)
    for first, inside in _strips(x, y, weights, xs, ys):
        padded = np.concatenate([np.zeros((len(inside), 1), np.int8), inside.astype(np.int8)], axis=1)
        steps = np.diff(np.diff(np.concatenate([last[None], padded]), axis=0), axis=1)
        rows, columns = np.nonzero(steps)
        found.append((xs[columns], ys[rows + first], steps[rows, columns].astype(np.float64)))
        last = padded[-1]
    if not found:
        return Corners(np.empty(0), np.empty(0), np.empty(0))
    return Corners(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _strips(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield, strip by strip, which cells between neighbouring coordinates are wound around at least once."""
    if xs.size * ys.size > _MOST_CELLS:
        raise PolygonError(
            f"{xs.size} x {ys.size} different coordinates are too many for one window; ask for a smaller"
        )
    columns, rows = np.searchsorted(xs, x), np.searchsorted(ys, y)
    order = np.argsort(rows, kind="stable")
    columns, rows, signs = columns[order], rows[order], weights[order].astype(np.int64)
    height = max(1, _CELLS_AT_ONCE // max(1, xs.size))
    before = np.zeros(xs.size, np.int64)
    for first in range(0, ys.size, height):
        count = min(height, ys.size - first)
        start, stop = np.searchsorted(rows, (first, first + count))
        steps = np.zeros((count, xs.size), np.int64)
        np.add.at(steps, (rows[start:stop] - first, columns[start:stop]), signs[start:stop])
        steps[0] += before
        column_sums = np.cumsum(steps, axis=0)
        before = column_sums[-1]
        yield first, np.cumsum(column_sums, axis=1) > 0

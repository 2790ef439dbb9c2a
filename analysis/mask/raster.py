"""Polygons to pixels: the exact part of each pixel that is covered.

A corner's step covers ``r(i) = clip(i + 1 - x, 0, 1)`` of column ``i``, which is the running sum of the two values
``1 - f`` and ``f`` at the corner's own pixel and the next, ``f`` the fraction of ``x``. So each corner is splatted
bilinearly into a difference image, and two running sums give the exact coverage of every pixel. Slanting edges go
through the same sums edge by edge: an edge, cut at every pixel border, covers a trapezoid of its own pixel and all of
the pixels to its right (as the exact rasterisers of outline fonts do).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.mask.corners import Corners, Polygon, PolygonError, check_polygons, is_manhattan, merge_manhattan

_OVERLAP = 1e-9


@dataclass(frozen=True)
class PixelGrid:
    """Where pixels are: ``columns`` x ``rows`` of ``pixel_nm``, the first one's corner at ``left_nm``, ``bottom_nm``.

    Row 0 is at the bottom: the row number grows with y.
    """

    left_nm: float
    bottom_nm: float
    pixel_nm: float
    columns: int
    rows: int

    def __post_init__(self) -> None:
        if not (np.isfinite([self.left_nm, self.bottom_nm, self.pixel_nm]).all() and self.pixel_nm > 0):
            raise PolygonError(f"a pixel of {self.pixel_nm} nm at {self.left_nm}, {self.bottom_nm} nm is no grid")
        if self.columns < 1 or self.rows < 1:
            raise PolygonError(f"{self.columns} x {self.rows} pixels are no grid")


def rasterize(
    polygons: Sequence[Polygon],
    grid: PixelGrid,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:
    """Return the part of each pixel of ``grid`` that ``polygons`` cover, 0 to 1.

    Manhattan polygons are merged first. Polygons with slanting edges must overlap nothing.

    Args:
        polygons: vertices in nm, each of shape ``(vertices, 2)``.
        grid: the pixels.
        device: where to compute; the CPU unless told.
        dtype: of the result; sums are made in float64.

    Returns:
        shape ``(rows, columns)``.

    Raises:
        PolygonError: a polygon is none, or one with slanting edges overlaps another so that a pixel is covered twice.
    """
    checked = check_polygons(polygons)
    straight = [each for each in checked if is_manhattan(each)]
    slanting = [each for each in checked if not is_manhattan(each)]
    cover = splat_corners(merge_manhattan(straight), grid, device)
    if slanting:
        cover += torch.from_numpy(_cover_by_edges(slanting, grid)).to(cover)
        worst = float(cover.max())
        if worst > 1 + _OVERLAP:
            raise PolygonError(f"polygons with slanting edges overlap others (a pixel is covered {worst:.3f} times)")
    return cover.clamp_(0, 1).to(dtype)


def splat_corners(corners: Corners, grid: PixelGrid, device: torch.device | None = None) -> torch.Tensor:
    """Return the coverage of the region of ``corners`` on ``grid``, float64 of shape ``(rows, columns)``.

    Args:
        corners: of a merged region.
        grid: the pixels.
        device: where to compute; the CPU unless told.
    """
    where = device or torch.device("cpu")
    x = torch.from_numpy((corners.x_nm - grid.left_nm) / grid.pixel_nm).to(where)
    y = torch.from_numpy((corners.y_nm - grid.bottom_nm) / grid.pixel_nm).to(where)
    weights = torch.from_numpy(corners.weights).to(where)
    near = (x < grid.columns) & (y < grid.rows)
    x, y, weights = x[near].clamp(min=0), y[near].clamp(min=0), weights[near]
    column, row = x.floor().long(), y.floor().long()
    right, up = x - column, y - row
    width = grid.columns + 1
    steps = torch.zeros((grid.rows + 1) * width, dtype=torch.float64, device=where)
    at = row * width + column
    for offset, part in (
        (0, (1 - right) * (1 - up)),
        (1, right * (1 - up)),
        (width, (1 - right) * up),
        (width + 1, right * up),
    ):
        steps.index_add_(0, at + offset, weights * part)
    table = steps.view(grid.rows + 1, width)
    torch.cumsum(table, 0, out=table)
    torch.cumsum(table, 1, out=table)
    return table[:-1, :-1]


def widen_by_a_pixel(pixels: torch.Tensor) -> torch.Tensor:
    """Return what a raster that includes boundary pixels gives: every shape one pixel wider at its right and top.

    That is the convention of ``cv2.fillPoly``, for ``pixels`` of shape ``(rows, columns)`` and polygons on the grid.
    """
    wide = pixels.clone()
    wide[:, 1:] = torch.maximum(wide[:, 1:], pixels[:, :-1])
    tall = wide.clone()
    tall[1:] = torch.maximum(tall[1:], wide[:-1])
    return tall


def _cover_by_edges(polygons: list[Polygon], grid: PixelGrid) -> NDArray[np.float64]:
    """Return the exact coverage of polygons of any angle, as the sum over the polygons."""
    total = np.zeros((grid.rows, grid.columns))
    scale = np.asarray([grid.left_nm, grid.bottom_nm])
    for polygon in polygons:
        points = (polygon - scale) / grid.pixel_nm
        after = np.roll(points, -1, axis=0)
        here = points - points[0]
        there = after - points[0]
        turn = float(np.sign(np.sum(here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1])))
        steps = np.zeros((grid.rows, grid.columns + 1))
        for start, stop in zip(points, after, strict=True):
            _add_edge(steps, start, stop, -turn)
        total += np.cumsum(steps[:, :-1], axis=1)
    return total


def _add_edge(steps: NDArray[np.float64], start: NDArray[np.float64], stop: NDArray[np.float64], turn: float) -> None:
    """Add an edge, in pixels, to the steps along each row: to its right, ``turn`` times its rise is covered."""
    rows, columns = steps.shape[0], steps.shape[1] - 1
    if start[1] == stop[1]:
        return
    cuts = [np.asarray([0.0, 1.0])]
    for axis, most in ((0, columns), (1, rows)):
        low, high = sorted((start[axis], stop[axis]))
        borders = np.arange(max(0.0, np.ceil(low)), min(float(most), np.floor(high)) + 1)
        if start[axis] != stop[axis]:
            cuts.append((borders - start[axis]) / (stop[axis] - start[axis]))
    t = np.unique(np.clip(np.concatenate(cuts), 0.0, 1.0))
    x = start[0] + t * (stop[0] - start[0])
    y = start[1] + t * (stop[1] - start[1])
    middle_x, middle_y, rise = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2, np.diff(y) * turn
    inside = (middle_y >= 0) & (middle_y < rows) & (middle_x < columns)
    middle_x, rise = np.maximum(middle_x[inside], 0.0), rise[inside]
    row, column = np.floor(middle_y[inside]).astype(int), np.floor(middle_x).astype(int)
    right = middle_x - column
    np.add.at(steps, (row, column), rise * (1 - right))
    np.add.at(steps, (row, column + 1), rise * right)

"""Fourier coefficients of polygons in a tile, in closed form: a mask without pixels.

For a region given by signed corners (:mod:`analysis.mask.corners`) the integral of a wave over the region is a sum
over the corners of one factor along x and one along y: a thin matrix product. For any polygon the divergence theorem
makes it a sum over the edges, ``i / (2 pi |f|^2) sum (f x e) sinc(f.e) exp(-2 pi i f.m)`` with ``e`` the edge and ``m``
its middle.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.mask.corners import Corners, Polygon, check_polygons
from analysis.mask.harmonics import Reach
from analysis.mask.optics import Tile

_VALUES_AT_ONCE = 4_000_000


def harmonics_of_corners(corners: Corners, tile: Tile, reach: Reach) -> NDArray[np.complex128]:
    """Return the Fourier coefficients of the indicator of a region; what is outside the tile is cut off.

    Args:
        corners: of a merged region; the tile spans 0 to its width and 0 to its height.
        tile: the periodic cell.
        reach: harmonics wanted.

    Returns:
        complex128 of shape ``reach.shape``, harmonic 0 (the covered part) in the middle.
    """
    total = np.zeros(reach.shape, np.complex128)
    batch = max(1, _VALUES_AT_ONCE // max(reach.shape))
    for first in range(0, corners.weights.size, batch):
        part = slice(first, first + batch)
        across = _step_coefficients(corners.x_nm[part] / tile.width_nm, reach.columns)
        up = _step_coefficients(corners.y_nm[part] / tile.height_nm, reach.rows)
        total += (up * corners.weights[part]) @ across.T
    return total


def _step_coefficients(places: NDArray[np.float64], highest: int) -> NDArray[np.complex128]:
    """Return the coefficients of steps at ``places`` (parts of the tile), shape ``(2 highest + 1, places)``."""
    places = np.clip(places, 0.0, 1.0)
    orders = np.arange(-highest, highest + 1)[:, None]
    turns = 2j * np.pi * np.where(orders == 0, 1, orders)
    waves = (np.exp(-2j * np.pi * orders * places) - 1) / turns
    return np.where(orders == 0, 1 - places, waves)


def harmonics_of_polygons(polygons: Sequence[Polygon], tile: Tile, reach: Reach) -> NDArray[np.complex128]:
    """Return the Fourier coefficients of the sum of the indicators of ``polygons`` of any angle.

    Args:
        polygons: vertices in nm, each of shape ``(vertices, 2)``, either way round, not crossing themselves; what lies
            outside the tile comes in again at its other side.
        tile: the periodic cell.
        reach: harmonics wanted.

    Returns:
        complex128 of shape ``reach.shape``, harmonic 0 (the covered part) in the middle.

    Raises:
        analysis.mask.corners.PolygonError: one is no polygon.
    """
    total = np.zeros(reach.shape, np.complex128)
    fx = np.arange(-reach.columns, reach.columns + 1)[None, :] / tile.width_nm
    fy = np.arange(-reach.rows, reach.rows + 1)[:, None] / tile.height_nm
    square = fx**2 + fy**2
    square[reach.rows, reach.columns] = 1.0
    for polygon in check_polygons(polygons):
        edges = np.roll(polygon, -1, axis=0) - polygon
        middles = polygon + edges / 2
        here = polygon - polygon[0]
        area = 0.5 * float(np.sum(here[:, 0] * edges[:, 1] - edges[:, 0] * here[:, 1]))
        found = np.zeros(reach.shape, np.complex128)
        for (ex, ey), (mx, my) in zip(edges, middles, strict=True):
            found += (fx * ey - fy * ex) * np.sinc(fx * ex + fy * ey) * np.exp(-2j * np.pi * (fx * mx + fy * my))
        found *= 1j / (2 * np.pi * square)
        found[reach.rows, reach.columns] = area
        total += np.sign(area) * found
    return total / (tile.width_nm * tile.height_nm)


def clip_to_box(polygon: Polygon, box: Sequence[float]) -> Polygon:
    """Return the part of ``polygon`` within a box, cut side by side (Sutherland and Hodgman, CACM 17, 1974).

    Parts that only hang together along the box's side stay one polygon: their areas and coefficients are right.

    Args:
        polygon: vertices in nm, shape ``(vertices, 2)``.
        box: left, bottom, right, top in nm.

    Returns:
        shape ``(vertices, 2)``, of no vertices where nothing is within.
    """
    points = polygon
    for axis, bound, sign in ((0, box[0], 1), (1, box[1], 1), (0, box[2], -1), (1, box[3], -1)):
        if not len(points):
            break
        depth = sign * (points[:, axis] - bound)
        kept = []
        for place in range(len(points)):
            here, before = depth[place], depth[place - 1]
            if (here >= 0) != (before >= 0):
                part = before / (before - here)
                cut = points[place - 1] + part * (points[place] - points[place - 1])
                cut[axis] = bound
                kept.append(cut)
            if here >= 0:
                kept.append(points[place])
        points = np.asarray(kept).reshape(-1, 2)
    return points

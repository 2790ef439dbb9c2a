"""Tiles of a layout's layer for a viewer: a pyramid of squares, each pixel the exact part that is covered.

Level 0 is one square tile over the whole layout; each level has twice as many in either direction. Tiles are counted
from the upper left, as map viewers count them: ``x`` to the right, ``y`` down.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.mask.corners import Corners
from analysis.mask.raster import PixelGrid, rasterize, splat_corners

Array = NDArray[np.float64]

TILE_PIXELS = 256
MOST_LEVEL = 20


@dataclass(frozen=True)
class TilePyramid:
    """Where the tiles of a layout lie.

    Attributes:
        left_um, top_um: upper left corner of all tiles.
        side_um: of the one tile of level 0.
    """

    left_um: float
    top_um: float
    side_um: float

    @staticmethod
    def over(box_um: tuple[float, float, float, float]) -> "TilePyramid":
        """Return the pyramid over ``box_um``, left, bottom, right, top, in its middle.

        Raises:
            ValueError: the box has no extent or is not finite.
        """
        left, bottom, right, top = box_um
        side = max(right - left, top - bottom)
        if not (math.isfinite(side) and side > 0):
            raise ValueError(f"a box without extent has no tiles: {box_um}")
        return TilePyramid((left + right - side) / 2, (bottom + top + side) / 2, side)

    def pitch_nm(self, level: int) -> float:
        """Return the side of a pixel of ``level``."""
        return self.side_um * 1000.0 / TILE_PIXELS / float(2**level)

    def window_um(self, level: int, x: int, y: int) -> tuple[float, float, float, float]:
        """Return left, bottom, right, top of the tile ``x``, ``y`` of ``level``.

        Raises:
            ValueError: there is no such tile.
        """
        if not (0 <= level <= MOST_LEVEL and 0 <= x < 2**level and 0 <= y < 2**level):
            raise ValueError(f"there is no tile {level}/{x}/{y}: 2 to the power of the level in either direction")
        side = self.side_um / 2**level
        left, top = self.left_um + x * side, self.top_um - y * side
        return left, top - side, left + side, top


def tile_coverage(trapezoids_um: Array, window_um: tuple[float, float, float, float]) -> Array:
    """Return the part of each pixel of a tile that is covered, float64 ``(TILE_PIXELS, TILE_PIXELS)``, top row first.

    Args:
        trapezoids_um: ``(n, 6)`` that do not overlap: y of the lower and upper side, x of the ends of the lower side,
            of the upper side.
        window_um: left, bottom, right, top of the tile.
    """
    left, bottom, right, _ = (edge * 1000.0 for edge in window_um)
    grid = PixelGrid(left, bottom, (right - left) / TILE_PIXELS, TILE_PIXELS, TILE_PIXELS)
    shapes = np.asarray(trapezoids_um, np.float64).reshape(-1, 6) * 1000.0
    upright = (shapes[:, 2] == shapes[:, 4]) & (shapes[:, 3] == shapes[:, 5])
    low, high, near, far = shapes[upright, :4].T
    corners = Corners(
        np.concatenate([near, far, near, far]),
        np.concatenate([low, low, high, high]),
        np.repeat([1.0, -1.0, -1.0, 1.0], len(low)),
    )
    cover = splat_corners(corners, grid)
    slanting = shapes[~upright]
    if len(slanting):
        polygons = [
            np.array([[each[2], each[0]], [each[3], each[0]], [each[5], each[1]], [each[4], each[1]]])
            for each in slanting
        ]
        cover = cover + rasterize([_without_repeats(each) for each in polygons], grid, dtype=torch.float64)
    flipped: Array = cover.clamp(0, 1).flip(0).numpy()
    return flipped


def _without_repeats(polygon: Array) -> Array:
    """Return a polygon without vertices that repeat the one before: a trapezoid may be a triangle."""
    kept: Array = polygon[(polygon != np.roll(polygon, 1, axis=0)).any(axis=1)]
    return kept

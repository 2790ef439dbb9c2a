"""Polygons and optics that several tests use."""

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.mask.corners import merge_manhattan
from analysis.mask.optics import Optics, Source, Tile, passed_reach
from analysis.mask.spectrum import harmonics_of_corners

Polygon = NDArray[np.float64]


def box(left: float, bottom: float, right: float, top: float) -> Polygon:
    """A rectangle."""
    return np.asarray([[left, bottom], [right, bottom], [right, top], [left, top]], float)


def optics(sigma: float, *, aperture: float = 1.35, zernikes: dict[int, float] | None = None) -> Optics:
    """An immersion scanner with a conventional source."""
    return Optics(193.0, aperture, Source("conventional", sigma), 1.44, zernikes=zernikes or {})


def mask_of(polygons: list[Polygon], system: Optics, tile: Tile) -> torch.Tensor:
    """Harmonics of a mask that is clear within Manhattan polygons."""
    return torch.from_numpy(harmonics_of_corners(merge_manhattan(polygons), tile, passed_reach(system, tile)))


def lines(period: float, height: float) -> list[Polygon]:
    """An equal line and space in the middle of a tile of one period."""
    return [box(period / 4, 0, 3 * period / 4, height)]

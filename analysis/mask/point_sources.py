"""Abbe's image with each source point's light taken where it passes: small transforms for large tiles.

Of all harmonics that some source point lets through, one point passes those of its own disc only, around ``-s``. Moved
to the middle, its field has a band of ``NA / lambda`` instead of ``(1 + sigma) NA / lambda``, and its intensity, which
does not notice the move, a band of twice that. So the transforms are a quarter as large, and nothing is left out.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.mask.coherent_kernels import ImagingError
from analysis.mask.harmonics import Reach, good_size, place, reach_of, take
from analysis.mask.optics import Optics, SourcePoints, Tile, passed_reach, pupil
from analysis.mask.transforms import analyse, check_transforms, synthesize

_VALUES_AT_ONCE = 4_000_000
_MOST_VALUES = 20_000_000


@dataclass(frozen=True)
class PointSystems:
    """One coherent system for each source point, cut out around its disc.

    Attributes:
        spectra: complex, shape ``(points, odd rows, odd columns)``.
        rows, columns: where each begins in an array of harmonics of the reach ``mask_reach``, int64, ``(points,)``.
        weights: parts of the light, real, ``(points,)``.
        mask_reach: harmonics of the mask that some point passes.
    """

    spectra: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    weights: torch.Tensor
    mask_reach: Reach

    def to(self, device: torch.device) -> "PointSystems":
        """Return the systems on ``device``."""
        return PointSystems(
            self.spectra.to(device),
            self.rows.to(device),
            self.columns.to(device),
            self.weights.to(device),
            self.mask_reach,
        )


def points_for(optics: Optics, tile: Tile) -> int:
    """Return how many cells across the source of ``optics`` keep its points from repeating the pattern within ``tile``.

    Points ``d`` sigma apart act like a source that is coherent again at the distance ``lambda / (NA d)``: that is kept
    beyond the tile.
    """
    length = max(tile.width_nm, tile.height_nm)
    return max(11, math.ceil(2 * optics.source.outer * length / optics.resolution_nm) | 1)


def point_systems(optics: Optics, tile: Tile, points: SourcePoints, defocus_nm: float = 0.0) -> PointSystems:
    """Return the systems of a source.

    Args:
        optics: the projection system.
        tile: the periodic cell.
        points: the source.
        defocus_nm: wafer out of focus, in nanometres.

    Raises:
        ImagingError: tile and source need more memory than is sensible.
    """
    whole = passed_reach(optics, tile)
    step_y, step_x = optics.resolution_nm / tile.height_nm, optics.resolution_nm / tile.width_nm
    own = Reach(min(whole.rows, math.ceil(1 / step_y) + 1), min(whole.columns, math.ceil(1 / step_x) + 1))
    if points.x.size * own.shape[0] * own.shape[1] > _MOST_VALUES:
        raise ImagingError(
            f"{points.x.size} source points and {own.shape[0]} x {own.shape[1]} harmonics of a tile of"
            f" {tile.width_nm:g} x {tile.height_nm:g} nm are too many; take a smaller window or fewer points"
        )
    rows = _first(points.y / step_y, whole.rows, own.rows)
    columns = _first(points.x / step_x, whole.columns, own.columns)
    up = (rows[:, None] - whole.rows + np.arange(own.shape[0])) * step_y + points.y[:, None]
    across = (columns[:, None] - whole.columns + np.arange(own.shape[1])) * step_x + points.x[:, None]
    x, y = np.broadcast_arrays(across[:, None, :], up[:, :, None])
    spectra = pupil(optics, x, y, defocus_nm)
    return PointSystems(
        torch.from_numpy(np.ascontiguousarray(spectra)),
        torch.from_numpy(rows),
        torch.from_numpy(columns),
        torch.from_numpy(points.weights.copy()),
        whole,
    )


def _first(shift: NDArray[np.float64], whole: int, own: int) -> NDArray[np.int64]:
    """Return where the window of ``own`` around ``-shift`` begins within ``-whole`` to ``whole``."""
    return np.clip(np.round(-shift).astype(np.int64) + whole - own, 0, 2 * (whole - own))


def abbe_intensity(mask: torch.Tensor, systems: PointSystems) -> torch.Tensor:
    """Return the harmonics of the intensity of a mask: the sum of the images of all source points.

    Args:
        mask: complex128 harmonics of the transmission, shape ``systems.mask_reach.shape``.
        systems: on the same device.

    Returns:
        complex128, of twice the reach of one point's system.

    Raises:
        ImagingError: the mask has other harmonics, or they are not finite.
        analysis.mask.transforms.TransformError: the library's transforms are wrong here.
    """
    check_transforms(mask.device, mask.dtype)
    if reach_of(mask) != systems.mask_reach:
        raise ImagingError(f"the mask has {tuple(mask.shape)} harmonics; expected {systems.mask_reach.shape}")
    if not bool(torch.isfinite(torch.view_as_real(mask)).all()):
        raise ImagingError("the mask's transmission is not a finite number everywhere")
    count, high, wide = systems.spectra.shape
    own = reach_of(systems.spectra)
    rows, columns = good_size(2 * high - 1), good_size(2 * wide - 1)
    total = mask.real.new_zeros((rows, columns))
    batch = max(1, _VALUES_AT_ONCE // (rows * columns))
    down, along = torch.arange(high, device=mask.device), torch.arange(wide, device=mask.device)
    for first in range(0, count, batch):
        part = slice(first, first + batch)
        row, column = systems.rows[part, None] + down, systems.columns[part, None] + along
        passed = mask[row[:, :, None], column[:, None, :]] * systems.spectra[part]
        fields = synthesize(place(passed, rows, columns))
        total += (systems.weights[part, None, None] * (fields.real**2 + fields.imag**2)).sum(0)
    return take(analyse(total.to(mask.dtype)), own.doubled())

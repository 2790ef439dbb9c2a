"""Where an image crosses a threshold, found exactly between pixels: along lines, and as regions.

An intensity known by its harmonics is a trigonometric polynomial. Along a line it is sampled often enough that no
crossing of a band-limited wave is missed but a touching one, and every sign change is then bisected and polished by
Newton's steps on the polynomial itself: no pixel has a part in the place of an edge.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.mask.harmonics import pixels_of_harmonics
from analysis.mask.optics import Tile

_BISECTIONS = 14
_POLISHINGS = 3
Harmonics = NDArray[np.complex128]


@dataclass(frozen=True)
class ScanLines:
    """Parallel lines.

    Attributes:
        axis: 0 for lines along x, 1 along y.
        at_nm: where each lies on the other axis, shape ``(lines,)``.
        start_nm, stop_nm: from where to where each goes.
        step_nm: largest distance of samples.
    """

    axis: int
    at_nm: NDArray[np.float64]
    start_nm: float
    stop_nm: float
    step_nm: float


@dataclass(frozen=True)
class Crossings:
    """Places where lines cross the threshold, ordered by line and then by place; all of shape ``(crossings,)``.

    Attributes:
        line: number of the line, int64.
        place_nm: along it.
        rises: whether the intensity rises there with growing coordinate.
        slope_per_nm: of the intensity along the line.
        cosine: between the line and the steepest ascent: 1 where the edge is square to the line.
    """

    line: NDArray[np.int64]
    place_nm: NDArray[np.float64]
    rises: NDArray[np.bool_]
    slope_per_nm: NDArray[np.float64]
    cosine: NDArray[np.float64]


def find_crossings(harmonics: Harmonics, tile: Tile, threshold: float, lines: ScanLines) -> Crossings:
    """Return where the intensity crosses ``threshold`` along ``lines``.

    Args:
        harmonics: of the intensity, complex128, shape ``(odd, odd)``.
        tile: the periodic cell they belong to.
        threshold: intensity.
        lines: where to look.
    """
    own = harmonics if lines.axis == 0 else harmonics.T
    length, across = (tile.width_nm, tile.height_nm) if lines.axis == 0 else (tile.height_nm, tile.width_nm)
    rows, columns = ((size - 1) // 2 for size in own.shape)
    waves = np.exp(2j * np.pi * np.outer(lines.at_nm / across, np.arange(-rows, rows + 1)))
    along = waves @ own
    sideways = (waves * (2j * np.pi / across * np.arange(-rows, rows + 1))) @ own
    count = max(2, int(np.ceil((lines.stop_nm - lines.start_nm) / lines.step_nm)) + 1)
    samples = np.linspace(lines.start_nm, lines.stop_nm, count)
    orders = np.arange(-columns, columns + 1)
    values = (along @ np.exp(2j * np.pi * np.outer(orders, samples / length))).real - threshold
    line, left = np.nonzero((values[:, 1:] >= 0) != (values[:, :-1] >= 0))
    rises = values[line, left] < 0
    place = _refine(along[line], orders / length, threshold, (samples[left], samples[left + 1]), rises)
    phases = np.exp(2j * np.pi * np.outer(place, orders / length))
    slope = np.einsum("pk,pk,k->p", along[line], phases, 2j * np.pi * orders / length).real
    aside = np.einsum("pk,pk->p", sideways[line], phases).real
    steep = np.hypot(slope, aside)
    cosine = np.abs(slope) / np.where(steep > 0, steep, 1.0)
    return Crossings(line.astype(np.int64), place, rises, slope, cosine)


def _refine(
    coefficients: Harmonics,
    frequencies: NDArray[np.float64],
    threshold: float,
    bracket: tuple[NDArray[np.float64], NDArray[np.float64]],
    rises: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the roots within brackets, shape ``(crossings,)``."""
    low, high = (each.copy() for each in bracket)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        waves = np.exp(2j * np.pi * np.outer(middle, frequencies))
        above = np.einsum("pk,pk->p", coefficients, waves).real >= threshold
        low, high = np.where(above != rises, middle, low), np.where(above != rises, high, middle)
    place = (low + high) / 2
    for _ in range(_POLISHINGS):
        waves = np.exp(2j * np.pi * np.outer(place, frequencies))
        value = np.einsum("pk,pk->p", coefficients, waves).real - threshold
        slope = np.einsum("pk,pk,k->p", coefficients, waves, 2j * np.pi * frequencies).real
        step = np.where(slope != 0, value / np.where(slope != 0, slope, 1.0), 0.0)
        place = np.clip(place - step, low, high)
    return place


def intensity_map(harmonics: Harmonics, tile: Tile, pixel_nm: float) -> NDArray[np.float64]:
    """Return the intensity at the corners of pixels of about ``pixel_nm``, of shape ``(rows, columns)``.

    Args:
        harmonics: of the intensity, complex128, shape ``(odd, odd)``.
        tile: the periodic cell they belong to; it is divided into whole pixels.
        pixel_nm: largest side of a pixel.
    """
    rows, columns = (max(1, int(np.ceil(size / pixel_nm))) for size in (tile.height_nm, tile.width_nm))
    found: NDArray[np.float64] = pixels_of_harmonics(torch.from_numpy(harmonics), rows, columns).numpy()
    return found

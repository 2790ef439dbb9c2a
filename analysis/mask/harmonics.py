"""Images of a periodic tile as few Fourier harmonics, and the exact way between those and pixels or points.

An optical system passes no more than ``K = (1 + sigma) NA L / lambda`` harmonics of a tile of the length ``L``, and
the intensity has twice as many: some tens, whatever the number of pixels. So a mask is reduced to its harmonics and an
image made from them by two thin matrix products, which costs less than a full Fourier transform, rounds as little,
and uses none of the library's transforms. An image that is known by its harmonics is known at every point: a contour is
found between pixels without interpolation.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Reach:
    """Highest harmonic kept along y (``rows``) and along x (``columns``).

    Arrays hold ``2 rows + 1`` by ``2 columns + 1``; harmonic 0 is in the middle.
    """

    rows: int
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an array of harmonics."""
        return 2 * self.rows + 1, 2 * self.columns + 1

    def doubled(self) -> "Reach":
        """Return the reach of the intensity of a field of this reach."""
        return Reach(2 * self.rows, 2 * self.columns)


def reach_of(harmonics: torch.Tensor) -> Reach:
    """Return the reach of centred ``harmonics`` of shape ``(..., odd rows, odd columns)``."""
    return Reach((harmonics.shape[-2] - 1) // 2, (harmonics.shape[-1] - 1) // 2)


def harmonics_of_pixels(pixels: torch.Tensor, reach: Reach) -> torch.Tensor:
    """Return ``1/N sum pixels exp(-2 pi i (k m / rows + l n / columns))`` for the harmonics within ``reach``.

    Args:
        pixels: real, shape ``(rows, columns)``, float32 or float64.
        reach: harmonics to keep.

    Returns:
        complex of the same precision, shape ``reach.shape``, harmonic 0 in the middle.
    """
    rows, columns = pixels.shape
    across = _basis(columns, reach.columns, pixels.dtype, str(pixels.device))
    # A real image needs the right half only: the left is its mirror.
    half = _product(pixels, across.conj())
    down = _basis(rows, reach.rows, pixels.dtype, str(pixels.device))
    down = torch.cat([down[:, 1:].flip(1).conj(), down], dim=1)
    right = (down.conj().mT @ half) / (rows * columns)
    left = right[:, 1:].flip(0, 1).conj()
    return torch.cat([left, right], dim=1)


def pixels_of_harmonics(harmonics: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Return the real image of ``harmonics``: the sum of its waves at each of ``rows`` x ``columns`` pixels.

    Args:
        harmonics: complex, shape ``(odd, odd)``, of a real image: each the conjugate of its opposite.
        rows: pixels along y.
        columns: pixels along x.

    Returns:
        real of the same precision, shape ``(rows, columns)``; pixel ``(m, n)`` is at ``m / rows``, ``n / columns`` of
        the tile.
    """
    reach = reach_of(harmonics)
    real = torch.float32 if harmonics.dtype == torch.complex64 else torch.float64
    down = _basis(rows, reach.rows, real, str(harmonics.device))
    down = torch.cat([down[:, 1:].flip(1).conj(), down], dim=1)
    right = harmonics[:, reach.columns :].clone()
    right[:, 1:] *= 2
    lines = down @ right
    across = _basis(columns, reach.columns, real, str(harmonics.device))
    parts = torch.cat([lines.real, -lines.imag], dim=1)
    return parts @ torch.cat([across.real, across.imag], dim=1).mT


def values_at(
    harmonics: NDArray[np.complex128], across: NDArray[np.float64], up: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the image and its slopes at any points, exactly.

    Args:
        harmonics: complex128, shape ``(odd, odd)``, of a real image.
        across: x of the points as parts of the tile, shape ``(points,)``.
        up: y of the points as parts of the tile, shape ``(points,)``.

    Returns:
        values, slopes along x and slopes along y (per tile length), each float64 of shape ``(points,)``.
    """
    rows, columns = ((size - 1) // 2 for size in harmonics.shape)
    k, m = np.arange(-columns, columns + 1), np.arange(-rows, rows + 1)
    x_waves = np.exp(2j * np.pi * np.outer(across, k))
    y_waves = np.exp(2j * np.pi * np.outer(up, m))
    lines = y_waves @ harmonics
    value = np.einsum("pk,pk->p", lines, x_waves).real
    slope_x = np.einsum("pk,pk,k->p", lines, x_waves, 2j * np.pi * k).real
    slope_y = np.einsum("pk,pk->p", (y_waves * (2j * np.pi * m)) @ harmonics, x_waves).real
    return value, slope_x, slope_y


def good_size(least: int) -> int:
    """Return the smallest even number from ``least`` on that has no factor above 5: a fast transform."""
    size = max(2, least + least % 2)
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 2


def place(harmonics: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Return centred ``harmonics`` (``(..., odd, odd)``) in transform order in a spectrum of ``rows`` x ``columns``."""
    reach = reach_of(harmonics)
    spectrum = harmonics.new_zeros((*harmonics.shape[:-2], rows, columns))
    row = torch.arange(-reach.rows, reach.rows + 1, device=harmonics.device) % rows
    column = torch.arange(-reach.columns, reach.columns + 1, device=harmonics.device) % columns
    spectrum[..., row[:, None], column[None, :]] = harmonics
    return spectrum


def take(spectrum: torch.Tensor, reach: Reach) -> torch.Tensor:
    """Return the harmonics within ``reach`` of a ``spectrum`` in transform order, centred."""
    rows, columns = spectrum.shape[-2:]
    row = torch.arange(-reach.rows, reach.rows + 1, device=spectrum.device) % rows
    column = torch.arange(-reach.columns, reach.columns + 1, device=spectrum.device) % columns
    return spectrum[..., row[:, None], column[None, :]]


@functools.lru_cache(maxsize=16)
def _basis(size: int, highest: int, dtype: torch.dtype, device: str) -> torch.Tensor:
    """Return ``exp(2 pi i k n / size)``, shape ``(size, highest + 1)``; the angle is reduced in whole numbers first."""
    turns = (np.outer(np.arange(size), np.arange(highest + 1)) % size) * (2 * math.pi / size)
    waves = torch.from_numpy(np.exp(1j * turns))
    return waves.to(device=device, dtype=torch.complex64 if dtype == torch.float32 else torch.complex128)


def _product(real: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
    """Return ``real @ waves`` with complex ``waves``, as one real product."""
    both = real @ torch.cat([waves.real, waves.imag], dim=1)
    count = waves.shape[1]
    return torch.complex(both[:, :count].contiguous(), both[:, count:].contiguous())

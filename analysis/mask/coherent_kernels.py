"""Partially coherent imaging as a sum of coherent systems (SOCS), on the band-limited grid.

``I(x) = sum_k s_k |(h_k * m)(x)|^2`` (Cobb, "Fast optical and process proximity correction algorithms", 1998). The
kernels ``h_k`` are given by their Fourier coefficients, of which there are few: 35 x 35 for the ICCAD-2013
kernels. The fields then have 35 x 35 harmonics and the intensity 69 x 69, so that the inverse transforms are made on a
grid of 72 x 72 and the sum is brought to pixels once, whatever the number of pixels: exactly, not nearly.
"""

from dataclasses import dataclass

import torch

from analysis.mask.harmonics import Reach, good_size, harmonics_of_pixels, pixels_of_harmonics, place, reach_of, take
from analysis.mask.transforms import analyse, check_transforms, synthesize

_VALUES_AT_ONCE = 16_000_000


class ImagingError(ValueError):
    """An image cannot be computed as asked; the message says why."""


@dataclass(frozen=True)
class CoherentKernels:
    """Kernels of a tile.

    Attributes:
        spectra: complex, shape ``(kernels, odd rows, odd columns)``: Fourier coefficients, frequency 0 in the middle,
            one step of the index being one period in the tile.
        scales: real, shape ``(kernels,)``, none negative: the weight of each.
    """

    spectra: torch.Tensor
    scales: torch.Tensor

    def __post_init__(self) -> None:
        shape = tuple(self.spectra.shape)
        if len(shape) != 3 or not shape[0] or shape[1] % 2 == 0 or shape[2] % 2 == 0:
            raise ImagingError(f"kernels have the shape {shape}; expected (kernels, odd rows, odd columns)")
        if tuple(self.scales.shape) != shape[:1]:
            raise ImagingError(f"{shape[0]} kernels have {tuple(self.scales.shape)} scales; expected one each")
        if not bool(torch.isfinite(self.spectra).all()) or not bool(torch.isfinite(self.scales).all()):
            raise ImagingError("a kernel or a scale is not a finite number")
        if bool((self.scales < 0).any()):
            raise ImagingError("a scale is negative: the sum would be no intensity")

    @property
    def reach(self) -> Reach:
        """Highest harmonics the kernels pass."""
        return reach_of(self.spectra)

    def to(self, device: torch.device, dtype: torch.dtype) -> "CoherentKernels":
        """Return the kernels on ``device`` in the precision of ``dtype`` (``complex64`` or ``complex128``)."""
        real = torch.float32 if dtype == torch.complex64 else torch.float64
        return CoherentKernels(self.spectra.to(device, dtype), self.scales.to(device, real))

    def clear_field(self) -> float:
        """Return the intensity of a mask that transmits everywhere."""
        middle = self.spectra[:, self.reach.rows, self.reach.columns]
        return float(torch.sum(self.scales.double() * middle.abs().double() ** 2))


def intensity_harmonics(mask: torch.Tensor, kernels: CoherentKernels) -> torch.Tensor:
    """Return the harmonics of the intensity of ``mask``.

    Args:
        mask: complex harmonics of the mask's transmission, shape ``(odd, odd)``, at least the kernels' reach.
        kernels: on the same device, in the same precision.

    Returns:
        complex, of twice the reach of the kernels.

    Raises:
        ImagingError: the mask has fewer harmonics than the kernels pass, or they are not finite.
        analysis.mask.transforms.TransformError: the library's transforms are wrong here.
    """
    check_transforms(mask.device, mask.dtype)
    own, reach = reach_of(mask), kernels.reach
    if own.rows < reach.rows or own.columns < reach.columns:
        raise ImagingError(f"the mask has {tuple(mask.shape)} harmonics, the kernels pass {reach.shape}")
    if not bool(torch.isfinite(mask.real).all() & torch.isfinite(mask.imag).all()):
        raise ImagingError("the mask's transmission is not a finite number everywhere")
    row, column = own.rows - reach.rows, own.columns - reach.columns
    passed = mask[row : row + reach.shape[0], column : column + reach.shape[1]]
    rows, columns = good_size(2 * reach.shape[0] - 1), good_size(2 * reach.shape[1] - 1)
    total = mask.real.new_zeros((rows, columns))
    batch = max(1, _VALUES_AT_ONCE // (rows * columns))
    for first in range(0, len(kernels.scales), batch):
        spectra = kernels.spectra[first : first + batch] * passed
        fields = synthesize(place(spectra, rows, columns))
        weights = kernels.scales[first : first + batch, None, None]
        total += (weights * (fields.real**2 + fields.imag**2)).sum(0)
    return take(analyse(total.to(mask.dtype)), reach.doubled())


def aerial_image(pixels: torch.Tensor, kernels: CoherentKernels, dose: float = 1.0) -> torch.Tensor:
    """Return the intensity of a mask of ``pixels``, on the same pixels.

    Args:
        pixels: real transmission of amplitude, shape ``(rows, columns)``, float32 or float64; one tile, repeated.
        kernels: of that tile.
        dose: factor of the mask's amplitude, as the ICCAD-2013 corners have it: the intensity goes with its square.

    Raises:
        ImagingError: the grid is too coarse for the kernels, the dose is no positive number, or pixels are not finite.
        analysis.mask.transforms.TransformError: the library's transforms are wrong here.
    """
    reach = kernels.reach
    if pixels.shape[0] <= 2 * reach.doubled().rows or pixels.shape[1] <= 2 * reach.doubled().columns:
        least = max(reach.doubled().shape)
        raise ImagingError(f"{tuple(pixels.shape)} pixels are too coarse: the image has {least} harmonics on a side")
    if not 0 < dose < float("inf"):
        raise ImagingError(f"a dose is a positive number, not {dose}")
    dtype = torch.complex64 if pixels.dtype == torch.float32 else torch.complex128
    same = kernels.to(pixels.device, dtype)
    harmonics = intensity_harmonics(harmonics_of_pixels(pixels, reach), same)
    return pixels_of_harmonics(harmonics * dose**2, *pixels.shape)

"""The plain way to a SOCS image, as the published simulators go: one full transform for each kernel."""

import torch

from analysis.mask.coherent_kernels import CoherentKernels
from analysis.mask.harmonics import place


def plain_image(pixels: torch.Tensor, kernels: CoherentKernels) -> torch.Tensor:
    """Return the intensity of ``pixels``: a transform of the mask, and one of all pixels back for every kernel.

    All transforms are unscaled; see :mod:`analysis.mask.transforms`.
    """
    rows, columns = pixels.shape
    reach = kernels.reach
    spectrum = torch.fft.fft2(pixels.to(kernels.spectra.dtype)) * (1.0 / (rows * columns))
    row = torch.arange(-reach.rows, reach.rows + 1) % rows
    column = torch.arange(-reach.columns, reach.columns + 1) % columns
    passed = spectrum[row[:, None], column[None, :]]
    total = torch.zeros_like(pixels)
    for kernel, scale in zip(kernels.spectra, kernels.scales, strict=True):
        field = torch.fft.ifft2(place(kernel * passed, rows, columns), norm="forward")
        total += scale * (field.real**2 + field.imag**2)
    return total

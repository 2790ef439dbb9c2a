"""Abbe's and Hopkins' ways to the image of a partially coherent source, both in float64.

Abbe adds the images of all source points. Hopkins adds the source first, into the transmission cross-coefficients
``T(f, g) = sum_s w_s P(f + s) P*(g + s)`` (Hopkins, "On the diffraction theory of optical images", Proc. R. Soc. A
217, 1953), whose eigenvectors are the kernels of a sum of coherent systems, strongest first. With all of them both
images are the same to rounding; with some of them the rest of the trace bounds what is missing.
"""

from dataclasses import dataclass

import numpy as np
import torch

from analysis.mask.coherent_kernels import CoherentKernels, ImagingError
from analysis.mask.optics import Optics, SourcePoints, Tile, passed_reach, pupil

_NOTHING = 1e-15
_MOST_VALUES = 60_000_000


@dataclass(frozen=True)
class Decomposition:
    """Kernels of Hopkins' sum, and what was left out.

    Attributes:
        kernels: eigenvectors, strongest first, with their eigenvalues as scales.
        kept: part of the trace that they hold, up to 1.
        lost: the rest of the trace: the intensity lost anywhere is at most this times the mask's mean square times
            the number of its harmonics that pass, and in practice about this times the intensity.
    """

    kernels: CoherentKernels
    kept: float
    lost: float


def abbe_kernels(optics: Optics, tile: Tile, points: SourcePoints, defocus_nm: float = 0.0) -> CoherentKernels:
    """Return one coherent system for each source point: the shifted pupil, weighted with the point's part of the light.

    Args:
        optics: the projection system.
        tile: the periodic cell.
        points: the source.
        defocus_nm: wafer out of focus, in nanometres.

    Returns:
        complex128 kernels; an image with them is Abbe's.

    Raises:
        ImagingError: tile and source need more memory than is sensible.
    """
    reach = passed_reach(optics, tile)
    size = points.x.size * reach.shape[0] * reach.shape[1]
    if size > _MOST_VALUES:
        raise ImagingError(
            f"{points.x.size} source points and {reach.shape[0]} x {reach.shape[1]} harmonics of a tile of"
            f" {tile.width_nm:g} x {tile.height_nm:g} nm are too many; take a smaller window or fewer points"
        )
    up = np.arange(-reach.rows, reach.rows + 1) * (optics.resolution_nm / tile.height_nm)
    across = np.arange(-reach.columns, reach.columns + 1) * (optics.resolution_nm / tile.width_nm)
    x, y = np.broadcast_arrays(across + points.x[:, None, None], up[:, None] + points.y[:, None, None])
    spectra = pupil(optics, x, y, defocus_nm)
    return CoherentKernels(torch.from_numpy(np.ascontiguousarray(spectra)), torch.from_numpy(points.weights.copy()))


def hopkins_kernels(abbe: CoherentKernels, lose: float = 0.0) -> Decomposition:
    """Return the eigenvectors of the transmission cross-coefficients of a source.

    The matrix is made over the harmonics or, where there are fewer source points, over those: both have the same
    eigenvalues, and the latter's vectors become the former's by one product.

    Args:
        abbe: one coherent system for each source point.
        lose: part of the trace that may be left out, 0 for none.

    Raises:
        ImagingError: ``lose`` is not between 0 and 1, or the eigenvalues cannot be found.
    """
    if not 0 <= lose < 1:
        raise ImagingError(f"the part to lose is from 0 to below 1, not {lose}")
    count, rows, columns = abbe.spectra.shape
    weighted = (abbe.spectra * abbe.scales.sqrt()[:, None, None]).reshape(count, rows * columns)
    passes = weighted.abs().amax(0) > 0
    systems = weighted[:, passes]
    by_points = count <= systems.shape[1]
    # T = systems^T conj(systems) over the harmonics; conj(systems) systems^T over the points.
    matrix = systems.conj() @ systems.mT if by_points else systems.mT @ systems.conj()
    try:
        values, vectors = torch.linalg.eigh(matrix)
    except RuntimeError as error:
        raise ImagingError(
            f"the eigenvalues of the source's {matrix.shape[0]} systems cannot be found: {error}"
        ) from None
    values, vectors = values.flip(0), vectors.flip(1)
    trace = float(systems.abs().square().sum())
    held = torch.cumsum(values.clamp(min=0), 0) / trace
    enough = int((held < 1 - max(lose, _NOTHING)).sum()) + 1
    number = min(enough, int((values > _NOTHING * values[0]).sum()))
    chosen = vectors[:, :number]
    if by_points:
        # The products are the kernels times the square roots of their scales: no division by small numbers.
        fields = (systems.mT @ chosen).mT
        norms = fields.abs().square().sum(1)
        fields = fields / norms.sqrt()[:, None]
        scales = norms
    else:
        fields, scales = chosen.mT, values[:number].clamp(min=0)
    spectra = torch.zeros((number, rows * columns), dtype=abbe.spectra.dtype, device=abbe.spectra.device)
    spectra[:, passes] = fields
    kept = float(scales.sum()) / trace
    kernels = CoherentKernels(spectra.reshape(number, rows, columns), scales)
    return Decomposition(kernels, min(1.0, kept), max(0.0, 1 - kept))

"""Where one map lies over another: the shift in parts of a pixel, with its standard error.

Cross-correlation by Fourier transform, its peak refined by Gauss and Newton on the intensities (the maximum-likelihood
estimate for white noise; Guizar-Sicairos, Thurman, Fienup, Optics Letters 33, 2008, refine the same peak by a matrix
product). Complex maps are registered by magnitude, since their phases have a common unknown turn. The standard error is
for white noise; noise that is correlated over some pixels makes it about 1.4 times too small.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ITERATIONS = 12
_CERTAIN = 15.0
_ALIKE = 0.5
_SHARPEST = 3


class MapError(ValueError):
    """Two maps cannot be compared; the message says why."""


@dataclass(frozen=True)
class Shift:
    """Rows and columns by which the golden map is moved to lie on the suspect's, and the standard error of each."""

    rows: float
    columns: float
    sigma: float


def register_maps(golden: NDArray[np.float64], suspect: NDArray[np.float64], most: int) -> Shift:
    """Return how far ``golden`` is to be moved to lie on ``suspect``: float64 of one shape ``(rows, columns)``.

    ``most`` is the largest shift that is looked for, in pixels.

    Raises:
        MapError: the maps differ in shape, are smaller than four times ``most``, or nothing in them corresponds.
    """
    if golden.shape != suspect.shape or golden.ndim != 2 or min(golden.shape) < max(16, 4 * most):
        raise MapError(
            f"maps of {golden.shape} and {suspect.shape} pixels: one size, at least {max(16, 4 * most)} is needed"
        )
    window = np.outer(np.hanning(golden.shape[0]), np.hanning(golden.shape[1]))
    left, right = ((each - np.average(each, weights=window)) * window for each in (golden, suspect))
    correlation = np.fft.irfft2(np.conj(np.fft.rfft2(left)) * np.fft.rfft2(right), golden.shape)
    rows, columns = _signed_lags(golden.shape[0]), _signed_lags(golden.shape[1])
    near = (np.abs(rows)[:, None] <= most) & (np.abs(columns) <= most)
    noise = float(np.median(np.abs(correlation - np.median(correlation)))) / 0.6745
    allowed = np.where(near, correlation, -np.inf)
    row, column = divmod(int(np.argmax(allowed)), golden.shape[1])
    alike = allowed[row, column] / max(float(np.sqrt(np.sum(left**2) * np.sum(right**2))), np.finfo(np.float64).tiny)
    if np.ptp(golden) == 0 or np.ptp(suspect) == 0:
        raise MapError("nothing corresponds in the two maps: one is the same everywhere")
    if not (allowed[row, column] > _CERTAIN * noise or alike > _ALIKE):
        raise MapError(f"nothing corresponds in the two maps within {most} pixels; are they of one place?")
    return refine_shift(golden, suspect, (float(rows[row]), float(columns[column])), most)


def move_map(values: NDArray[np.complex128], rows: float, columns: float) -> NDArray[np.complex128]:
    """Return ``values`` (complex128, shape ``(rows, columns)``, periodic) moved by parts of pixels.

    By turning the phases of the Fourier transform, which leaves the power of the noise as it is.
    """
    height, width = values.shape
    turn = np.exp(-2j * np.pi * (np.fft.fftfreq(height)[:, None] * rows + np.fft.fftfreq(width) * columns))
    return np.asarray(np.fft.ifft2(np.fft.fft2(values) * turn), np.complex128)


def refine_shift(
    golden: NDArray[np.float64],
    suspect: NDArray[np.float64],
    start: tuple[float, float],
    most: int,
    usable: NDArray[np.bool_] | None = None,
) -> Shift:
    """Return the shift near ``start`` (rows, columns) that leaves least of ``suspect`` unexplained.

    ``golden`` and ``suspect`` are float64 of one shape, ``most`` is the largest shift in pixels. ``usable``, bool of
    their shape, leaves out pixels of what differs: with them, spots that are missing make the standard error larger.
    Which pixels those are must not depend on the residual of each: steps would then lead away from the spots that are
    left.
    """
    edge = int(np.ceil(most)) + 1
    inside = (slice(edge, -edge), slice(edge, -edge))
    keep = (np.ones(golden.shape, np.bool_) if usable is None else usable)[inside].ravel()
    shift = np.asarray(start)
    smooth = _smooth(golden), _smooth(suspect)
    for _ in range(_ITERATIONS):
        moved = move_map(smooth[0].astype(np.complex128), float(shift[0]), float(shift[1])).real
        gradients = np.gradient(moved)
        down, across = -gradients[0][inside].ravel()[keep], -gradients[1][inside].ravel()[keep]
        columns = np.column_stack([moved[inside].ravel()[keep], np.ones(down.size)])
        target = smooth[1][inside].ravel()[keep]
        fit, *_ = np.linalg.lstsq(columns, target, rcond=None)
        jacobian = np.column_stack([fit[0] * down, fit[0] * across, columns])
        residual = target - columns @ fit
        step, *_ = np.linalg.lstsq(jacobian, residual, rcond=None)
        shift = np.clip(shift + np.clip(step[:2], -1, 1), -most, most)
        if np.abs(step[:2]).max() < 1e-4:
            break
    variance = float(residual @ residual) / max(1, residual.size - 4) * _SHARPEST**2
    covariance = np.linalg.pinv(jacobian.T @ jacobian)[:2, :2] * variance
    return Shift(float(shift[0]), float(shift[1]), float(np.sqrt(max(0.0, np.trace(covariance) / 2))))


def _signed_lags(size: int) -> NDArray[np.float64]:
    return np.asarray(np.fft.fftfreq(size, 1 / size), np.float64)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average 3 x 3 pixels: gradients of single pixels are mostly noise."""
    padded = np.pad(values, 1, mode="edge")
    height, width = values.shape
    parts = [padded[row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return np.asarray(np.mean(parts, axis=0), np.float64)

"""Fourier transforms that do not scale, and a test of the library's own before anything is computed with it.

torch 2.13's CPU transform of exactly 2048 x 2048 ``complex64`` values on two or more threads scales twice wherever it
scales (pytorch issue 169670): ``ifft2(fft2(x))`` is then ``x / 4194304``, and every aerial image is black. So nothing
here asks the library for a scaled transform; the factor ``1 / (rows columns)`` is ours. And as a bug of that kind may
come back in another place, the transforms are compared with numpy's once for every device, number of threads and
precision; where they differ, computing is refused.
"""

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_SHAPES = ((36, 36), (72, 128), (128, 128))
_TOLERANCE = {torch.complex64: 2e-5, torch.complex128: 1e-12}


class TransformError(RuntimeError):
    """The library's Fourier transform or matrix product is wrong here; the message says by how much."""


def synthesize(spectrum: torch.Tensor) -> torch.Tensor:
    """Return ``sum_k spectrum[k] exp(2 pi i k n / N)`` over the last two axes, without any factor.

    ``spectrum`` is complex, of shape ``(..., rows, columns)``, zero frequency first; the result has the same shape.
    """
    waves: torch.Tensor = torch.fft.ifft2(spectrum, norm="forward")
    return waves


def analyse(values: torch.Tensor) -> torch.Tensor:
    """Return ``1/N sum_n values[n] exp(-2 pi i k n / N)`` over the last two axes: Fourier coefficients.

    ``values`` has the shape ``(..., rows, columns)``; the result is complex, zero frequency first.
    """
    scale = 1.0 / (values.shape[-1] * values.shape[-2])
    coefficients: torch.Tensor = torch.fft.fft2(values) * scale
    return coefficients


def check_transforms(device: torch.device, dtype: torch.dtype = torch.complex128) -> None:
    """Compare the transforms and the matrix product on ``device`` in the precision of ``dtype`` with numpy's, once.

    Args:
        device: where will be computed.
        dtype: ``complex64`` or ``complex128``.

    Raises:
        TransformError: they differ; nothing must be computed here.
    """
    _check_once(str(device), dtype, torch.get_num_threads())


@functools.lru_cache(maxsize=64)
def _check_once(device: str, dtype: torch.dtype, _threads: int) -> None:
    rng = np.random.default_rng(20)
    for shape in _SHAPES:
        made = rng.normal(size=(2, *shape)) + 1j * rng.normal(size=(2, *shape))
        values = torch.from_numpy(made).to(device=device, dtype=dtype)
        pairs = {
            "Fourier synthesis": (synthesize(values), np.fft.ifft2(made) * (shape[0] * shape[1])),
            "Fourier analysis": (analyse(values), np.fft.fft2(made) / (shape[0] * shape[1])),
            "matrix product": (values @ values.mT, made @ np.swapaxes(made, 1, 2)),
        }
        for name, (found, expected) in pairs.items():
            compare(name, found, expected, _TOLERANCE[dtype])


def compare(name: str, found: torch.Tensor, expected: NDArray[Any], tolerance: float) -> None:
    """Refuse what is not as expected.

    Args:
        name: what was computed, for the message.
        found: what the library made, any shape.
        expected: what numpy made, the same shape.
        tolerance: largest difference allowed, as a part of the largest expected value.

    Raises:
        TransformError: ``found`` differs by more than that, or is not finite.
    """
    worst = float(np.abs(found.cpu().numpy() - expected).max() / np.abs(expected).max())
    if not worst <= tolerance:
        shape = " x ".join(str(size) for size in expected.shape)
        raise TransformError(
            f"the {name} of {shape} values on {found.device} in {found.dtype} is wrong by {worst:.3g} of its largest"
            f" value (allowed {tolerance:g}); torch {torch.__version__} with {torch.get_num_threads()} threads must not"
            " be used for imaging here"
        )

"""Optical kernels of the ICCAD-2013 contest: a folder of ``fh0.bin``, ``fh1.bin`` … and ``scales.txt``.

Each kernel is big-endian: rows, columns and the number 2 as 32-bit whole numbers, eight bytes that mean nothing to a
reader, then float32 real and imaginary parts, column by column, then four zero bytes. ``scales.txt`` has the number of
kernels, then as many weights. No description by the maker was found; the layout was verified against the same kernels
in another form.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, CountMismatch, ReadingLimit, Truncated
from instruments.text_lines import split_lines

_HEADER, _TAIL = 20, 4
_MOST_SIDE, _MOST_KERNELS = 4095, 4096
_COMPLEX = 2


@dataclass(frozen=True)
class KernelFile:
    """Kernels and their weights.

    Attributes:
        spectra: complex64, shape ``(kernels, rows, columns)``; frequency 0 in the middle, rows along y.
        scales: float64, shape ``(kernels,)``.
    """

    spectra: NDArray[np.complex64]
    scales: NDArray[np.float64]


def read_kernels(folder: Path) -> KernelFile:
    """Return the kernels in ``folder``.

    Raises:
        FileNotFoundError: ``scales.txt`` or a kernel is missing.
        Truncated, CorruptField, CountMismatch, ReadingLimit: a file is not right; file and place are named.
    """
    scales = _read_scales(folder / "scales.txt")
    present = len(list(folder.glob("fh*.bin")))
    if present != scales.size:
        message = "the folder has not as many kernels as scales.txt says"
        raise CountMismatch(message, file=folder.name, expected=int(scales.size), found=present)
    kernels = [_read_kernel(folder / f"fh{number}.bin") for number in range(scales.size)]
    shapes = {each.shape for each in kernels}
    if len(shapes) > 1:
        raise CorruptField(
            "the kernels differ in size", file=folder.name, expected=str(kernels[0].shape), found=str(sorted(shapes))
        )
    return KernelFile(np.stack(kernels), scales)


def _read_scales(path: Path) -> NDArray[np.float64]:
    words = [
        (word, number)
        for number, line in enumerate(split_lines(path.read_text("ascii", errors="replace")), 1)
        for word in line.split()
    ]
    if not words:
        raise Truncated("the list of scales is empty", file=path.name, offset=1, offset_unit="line")
    values = []
    for word, number in words:
        try:
            values.append(float(word))
        except ValueError:
            raise CorruptField(
                "that is no number",
                file=path.name,
                offset=number,
                offset_unit="line",
                expected="a number",
                found=word[:40],
            ) from None
        if not 0 <= values[-1] < float("inf"):
            raise CorruptField(
                "a scale is a finite number that is not negative",
                file=path.name,
                offset=number,
                offset_unit="line",
                expected=">= 0",
                found=word[:40],
            )
    count = values[0]
    if count != int(count) or not 1 <= count <= _MOST_KERNELS:
        raise CorruptField(
            "the number of kernels comes first",
            file=path.name,
            offset=1,
            offset_unit="line",
            expected=f"1 to {_MOST_KERNELS}",
            found=words[0][0][:40],
        )
    if len(values) - 1 != count:
        message = "the list has not as many scales as it says"
        raise CountMismatch(
            message, file=path.name, offset=1, offset_unit="line", expected=int(count), found=len(values) - 1
        )
    return np.asarray(values[1:])


def _read_kernel(path: Path) -> NDArray[np.complex64]:
    most = _HEADER + 8 * _MOST_SIDE**2 + _TAIL
    if path.stat().st_size > most:
        raise ReadingLimit("the kernel is too large", file=path.name, expected=f"<= {most}", found=path.stat().st_size)
    data = path.read_bytes()
    if len(data) < _HEADER:
        raise Truncated(
            "the kernel ends in its header", file=path.name, offset=len(data), expected=_HEADER, found=len(data)
        )
    rows, columns, parts = struct.unpack(">3i", data[:12])
    if not (1 <= rows <= _MOST_SIDE and 1 <= columns <= _MOST_SIDE and rows % 2 and columns % 2):
        raise CorruptField(
            "the sides of a kernel are odd",
            file=path.name,
            offset=0,
            expected=f"odd, 1 to {_MOST_SIDE}",
            found=f"{rows} x {columns}",
        )
    if parts != _COMPLEX:
        raise CorruptField("a kernel is complex", file=path.name, offset=8, expected=_COMPLEX, found=parts)
    whole = _HEADER + 8 * rows * columns + _TAIL
    if len(data) != whole:
        kind = Truncated if len(data) < whole else CorruptField
        raise kind(
            "the kernel has not the length its header says",
            file=path.name,
            offset=min(len(data), whole),
            expected=whole,
            found=len(data),
        )
    values = np.frombuffer(data, ">f4", 2 * rows * columns, _HEADER).astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        at = int(wrong[0])
        raise CorruptField(
            "a value is no finite number",
            file=path.name,
            offset=_HEADER + 4 * at,
            expected="a finite number",
            found=str(values[at]),
        )
    return np.ascontiguousarray(values.view(np.complex64).reshape(columns, rows).T)

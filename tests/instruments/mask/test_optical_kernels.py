"""Optical kernels: our own files, the contest's against their other form, and what is refused by byte."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from instruments.errors import CorruptField, CountMismatch, ReadingLimit, Truncated
from instruments.mask.optical_kernels import read_kernels


def kernel_bytes(values: np.ndarray) -> bytes:
    """A kernel as the contest has it: the header, column by column, four zero bytes."""
    rows, columns = values.shape
    parts = np.stack([values.T.real, values.T.imag], axis=-1).astype(">f4")
    return struct.pack(">5i", rows, columns, 2, 7, 0) + parts.tobytes() + b"\0" * 4


def write(folder: Path, count: int = 2, shape: tuple[int, int] = (3, 5)) -> np.ndarray:
    rng = np.random.default_rng(1)
    values = (rng.normal(size=(count, *shape)) + 1j * rng.normal(size=(count, *shape))).astype(np.complex64)
    for number, each in enumerate(values):
        (folder / f"fh{number}.bin").write_bytes(kernel_bytes(each))
    (folder / "scales.txt").write_text("\n".join([str(count), *["0.5"] * count]))
    return values


def test_kernels_and_scales(tmp_path: Path) -> None:
    """Rows are y: the file has columns first."""
    values = write(tmp_path)
    read = read_kernels(tmp_path)
    assert np.array_equal(read.spectra, values)
    assert read.scales.tolist() == [0.5, 0.5]


BROKEN: list[tuple[Callable[[Path], object], type[Exception], str]] = [
    (lambda f: (f / "fh1.bin").write_bytes((f / "fh1.bin").read_bytes()[:-5]), Truncated,
     "fh1.bin: the kernel has not the length its header says at byte 139 (expected 144, found 139)"),
    (lambda f: (f / "fh1.bin").write_bytes(b"\0" * 7), Truncated, "fh1.bin: the kernel ends in its header at byte 7"),
    (lambda f: (f / "fh1.bin").write_bytes((f / "fh1.bin").read_bytes() + b"\0"), CorruptField,
     "expected 144, found 145"),
    (lambda f: (f / "fh0.bin").write_bytes(struct.pack(">5i", 4, 5, 2, 0, 0) + b"\0" * 164), CorruptField,
     "fh0.bin: the sides of a kernel are odd at byte 0 (expected odd, 1 to 4095, found 4 x 5)"),
    (lambda f: (f / "fh0.bin").write_bytes(struct.pack(">5i", 3, 5, 1, 0, 0) + b"\0" * 124), CorruptField,
     "a kernel is complex at byte 8 (expected 2, found 1)"),
    (lambda f: (f / "fh0.bin").write_bytes(kernel_bytes(np.full((3, 5), np.nan + 0j))), CorruptField,
     "no finite number at byte 20"),
    (lambda f: (f / "fh0.bin").write_bytes(kernel_bytes(np.ones((5, 5), complex))), CorruptField, "differ in size"),
    (lambda f: (f / "fh1.bin").unlink(), CountMismatch, "not as many kernels as scales.txt says (expected 2, found 1)"),
    (lambda f: (f / "fh1.bin").rename(f / "fh7.bin"), FileNotFoundError, "fh1.bin"),
    (lambda f: (f / "scales.txt").unlink(), FileNotFoundError, "scales.txt"),
    (lambda f: (f / "scales.txt").write_text(""), Truncated, "empty"),
    (lambda f: (f / "scales.txt").write_text("2\n0.5\n"), CountMismatch, "(expected 2, found 1)"),
    (lambda f: (f / "scales.txt").write_text("2\n0.5\nhalf\n"), CorruptField, "no number at line 3"),
    (lambda f: (f / "scales.txt").write_text("2\n0.5\n-1\n"), CorruptField, "not negative at line 3"),
    (lambda f: (f / "scales.txt").write_text("2.5\n0.5\n1\n"), CorruptField, "the number of kernels comes first"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN)
def test_broken_kernels(tmp_path: Path, spoil: Callable[[Path], object], kind: type[Exception], message: str) -> None:
    """The file, the byte or line, what was expected and what was found."""
    write(tmp_path)
    spoil(tmp_path)
    with pytest.raises(kind) as caught:
        read_kernels(tmp_path)
    assert message in str(caught.value)


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded before it is read."""
    write(tmp_path)
    monkeypatch.setattr("instruments.mask.optical_kernels._MOST_SIDE", 1)
    with pytest.raises(ReadingLimit, match="too large"):
        read_kernels(tmp_path)


@pytest.mark.shared_data
def test_the_contests_kernels_equal_their_other_form(shared_data: Path) -> None:
    """Bit for bit the tensors that OpenILT keeps beside them."""
    folder = shared_data / "mask/iccad13_kernels"
    for name, other in (("M1OPC", "focus"), ("M1OPC_def", "defocus")):
        read = read_kernels(folder / name)
        tensor = torch.load(folder / f"{other}.pt", weights_only=True).permute(2, 0, 1).numpy()
        assert np.array_equal(read.spectra, tensor)
        assert read.scales == pytest.approx(torch.load(folder / f"scale_{other}.pt", weights_only=True).numpy().ravel())

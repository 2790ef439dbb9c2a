"""Where the values of a TDMS channel lie in its file, and reading them from there in blocks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CountMismatch

BLOCK_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Runs:
    """``rows`` runs of bytes of one channel, ``run`` bytes each, ``step`` bytes from the start of one to the next.

    ``start`` is the byte offset of the first run, ``dtype`` that of one value in the file's byte order, and
    ``count`` the number of values in all runs. Of text, ``dtype`` is that of a text's end.
    """

    start: int
    run: int
    step: int
    rows: int
    dtype: np.dtype[Any]
    count: int


def read_values(path: Path, places: Iterable[Runs]) -> Iterator[NDArray[Any]]:
    """Yield the values at ``places`` of the file ``path`` in the file's own dtype, in blocks of some megabytes."""
    with path.open("rb") as file:
        for runs in places:
            for block in _read_bytes(file, runs):
                yield block.reshape(-1).view(runs.dtype)


def _read_bytes(file: BinaryIO, runs: Runs) -> Iterator[NDArray[np.uint8]]:
    if runs.run == runs.step or runs.rows == 1:
        yield from _read_flat(file, runs.start, runs.run * runs.rows, runs.dtype.itemsize)
    elif runs.step > BLOCK_BYTES:
        for row in range(runs.rows):
            yield from _read_flat(file, runs.start + row * runs.step, runs.run, runs.dtype.itemsize)
    else:
        each = max(1, BLOCK_BYTES // runs.step)
        for first in range(0, runs.rows, each):
            rows = min(each, runs.rows - first)
            file.seek(runs.start + first * runs.step)
            data = np.fromfile(file, np.uint8, rows * runs.step - (runs.step - runs.run))
            whole = np.empty(rows * runs.step, np.uint8)
            whole[: data.size] = data
            yield np.ascontiguousarray(whole.reshape(rows, runs.step)[:, : runs.run])


def _read_flat(file: BinaryIO, start: int, length: int, itemsize: int) -> Iterator[NDArray[np.uint8]]:
    file.seek(start)
    each = BLOCK_BYTES // itemsize * itemsize
    while length > 0:
        data = np.fromfile(file, np.uint8, min(each, length))
        if not data.size:
            return
        length -= data.size
        yield data


def read_texts(path: Path, places: Iterable[Runs]) -> Iterator[str]:
    """Yield the texts at ``places``: each run holds the ends of its texts (uint32), then the texts (UTF-8).

    Raises:
        ValueError: the ends do not rise, or are not those of the bytes that are there.
    """
    with path.open("rb") as file:
        for runs in places:
            each = runs.count // runs.rows
            for row in range(runs.rows):
                file.seek(runs.start + row * runs.step)
                data = file.read(runs.run)
                ends = np.frombuffer(data[: 4 * each], runs.dtype).astype(np.int64)
                body = data[4 * each :]
                if each and ((np.diff(ends, prepend=0) < 0).any() or int(ends[-1]) != len(body)):
                    raise ValueError("the ends of the texts are not those of the bytes")
                begin = 0
                for end in ends.tolist():
                    yield body[begin:end].decode("utf-8", "replace")
                    begin = end


def count_chunks(total: int, chunk_bytes: int, offset: int, file: str) -> int:
    """Return how many chunks ``total`` bytes of raw data at ``offset`` are.

    Raises:
        CountMismatch: they are no whole number.
    """
    if chunk_bytes == 0 or total % chunk_bytes:
        message = "the raw data of a segment are not a whole number of chunks"
        raise CountMismatch(message, file=file, offset=offset, expected=f"n * {chunk_bytes}", found=total)
    return total // chunk_bytes

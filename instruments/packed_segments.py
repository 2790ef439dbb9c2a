"""Writing a waveform's samples segment by segment: bytes, hash and range of each, many segments at a time."""

import hashlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, CountMismatch
from instruments.packed_parts import LAYOUT, PackedParts, known_numbers
from instruments.records import Waveform, finite_range

_RANGE = "the range of the values"


@dataclass
class SamplesFile:
    """The file of packed samples with the place of the next byte."""

    file: BinaryIO
    offset: int = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``."""
        self.file.write(data)
        self.offset += len(data)


def write_segments(waveform: Waveform, sink: SamplesFile) -> PackedParts:
    """Append the samples of ``waveform`` to ``sink``, block by block, and say where each segment lies.

    Raises:
        CountMismatch: the samples are fewer or more than the waveform, or its segments, say.
        CorruptField: a time or a range of a segment is no finite number.
    """
    writing = _Writing(waveform, sink)
    for block in waveform.samples.blocks():
        writing.take(np.ascontiguousarray(block, waveform.samples.dtype))
    return writing.finish()


class _Writing:
    """The segments that are done, and the one that is not."""

    def __init__(self, waveform: Waveform, sink: SamplesFile) -> None:
        self._waveform = waveform
        self._sink = sink
        self._counts = np.array([segment.count for segment in waveform.segments], np.int64)
        self._run_ends = _run_ends(self._counts)
        self._table = np.zeros(len(self._counts), LAYOUT)
        self._index = 0
        self._begun = _Segment(sink.offset)
        self._found = 0

    def take(self, block: NDArray[Any]) -> None:
        """Write what of ``block`` (shape ``(samples,)``) belongs to a segment; the rest is only counted."""
        self._found += block.size
        while block.size and self._index < len(self._counts):
            count = int(self._counts[self._index])
            whole = 0 if self._begun.count else block.size // max(count, 1)
            if whole and count:
                whole = min(whole, int(self._run_ends[self._index]) - self._index)
                self._write_whole(block[: whole * count].reshape(whole, count))
                block = block[whole * count :]
            else:
                missing = count - self._begun.count
                self._write_piece(block[:missing])
                block = block[missing:]
                if self._begun.count == count:
                    self._close_begun()

    def finish(self) -> PackedParts:
        """Return where the segments lie."""
        while self._index < len(self._counts) and self._begun.count == self._counts[self._index]:
            self._close_begun()
        name, expected = self._waveform.name, self._waveform.samples.count
        if self._index < len(self._counts) or not self._found == expected == self._counts.sum():
            message = f"the samples of {name} are not what its header says"
            raise CountMismatch(message, expected=expected, found=self._found)
        segments = self._waveform.segments
        self._table["count"] = self._counts
        self._table["t0_s"] = known_numbers([segment.t0_s for segment in segments], f"the first time in {name}")
        self._table["trigger_offset_s"] = known_numbers(
            [segment.trigger_offset_s for segment in segments], f"the trigger time in {name}"
        )
        return PackedParts(self._waveform.samples.dtype.str.replace("|", "<"), self._table)

    def _write_whole(self, rows: NDArray[Any]) -> None:
        """Write whole segments of one length, ``rows`` of shape ``(segments, samples)``."""
        each_bytes = rows.shape[1] * rows.itemsize
        data = rows.reshape(-1).data.cast("B")
        start = self._sink.offset
        self._sink.write(data)
        done = self._table[self._index : self._index + len(rows)]
        done["byte_offset"] = start + each_bytes * np.arange(len(rows))
        done["byte_length"] = each_bytes
        done["minimum"], done["maximum"] = finite_ranges(rows, self._waveform.gain, self._waveform.offset)
        sha256 = hashlib.sha256
        digests = [sha256(data[place : place + each_bytes]).digest() for place in range(0, len(data), each_bytes)]
        done["sha256"] = np.frombuffer(b"".join(digests), "V32")
        self._index += len(rows)
        self._begun = _Segment(self._sink.offset)

    def _write_piece(self, piece: NDArray[Any]) -> None:
        """Write a piece of the segment that has begun."""
        data = piece.data.cast("B")
        self._sink.write(data)
        self._begun.digest.update(data)
        self._begun.count += piece.size
        low, high = finite_range((piece,), self._waveform.gain, self._waveform.offset)
        if low is not None and high is not None:
            self._begun.low = low if self._begun.low is None else min(low, self._begun.low)
            self._begun.high = high if self._begun.high is None else max(high, self._begun.high)

    def _close_begun(self) -> None:
        begun = self._begun
        part = self._table[self._index]
        part["byte_offset"], part["byte_length"] = begun.start, self._sink.offset - begun.start
        part["minimum"], part["maximum"] = known_numbers([begun.low, begun.high], _RANGE)
        part["sha256"] = np.void(begun.digest.digest())
        self._index += 1
        self._begun = _Segment(self._sink.offset)


class _Segment:
    """A segment that is written piece by piece."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.count = 0
        self.low: float | None = None
        self.high: float | None = None
        self.digest = hashlib.sha256()


def _run_ends(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each segment the index behind the last one of the run of equal counts that it is in."""
    ends = np.append(np.flatnonzero(np.diff(counts)) + 1, len(counts))
    return ends[np.searchsorted(ends, np.arange(len(counts)), side="right")]


def finite_ranges(rows: NDArray[Any], gain: float, offset: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what :func:`instruments.records.finite_range` says of each row, NaN where no sample is finite.

    Args:
        rows: native samples, shape ``(rows, samples)`` with at least one sample each.
        gain: of ``gain * sample + offset``.
        offset: likewise.

    Returns:
        The smallest and the largest value of each row, float64, shape ``(rows,)`` each.

    Raises:
        CorruptField: an end of a range is no finite number.
    """
    if rows.dtype.kind == "f" and not (finite := np.isfinite(rows)).all():
        low = np.min(rows, axis=1, where=finite, initial=np.inf).astype(np.float64)
        high = np.max(rows, axis=1, where=finite, initial=-np.inf).astype(np.float64)
        empty = ~finite.any(axis=1)
        low[empty] = high[empty] = np.nan
    else:
        low, high = rows.min(axis=1).astype(np.float64), rows.max(axis=1).astype(np.float64)
        empty = np.zeros(len(rows), bool)
    with np.errstate(over="ignore", invalid="ignore"):
        ends = low * gain + offset, high * gain + offset
    if not (np.isfinite(ends) | empty).all():
        raise CorruptField(f"{_RANGE} of a segment is no finite number", expected="a finite number")
    return np.minimum(*ends), np.maximum(*ends)

"""Tektronix ``.wfm`` files, WFM#001 to WFM#003: a record, FastFrame sets, interleaved I and Q, parallel logic lines.

Source: Tektronix 077-0220, "Performance Oscilloscope Reference Waveform File Format". Four counts must agree: the
frames in both headers, the offsets in the curve objects, the length in the file header, and the checksum, the sum of
all bytes before it. After it may come a block of named values (``tekmeta!``), which must be whole as well.

Time 0 is the trigger. The first time is the horizontal offset, as in Tektronix' own ``tm_data_types``. The time from
the trigger to the next sample, a part of an interval in each frame's update specification, is in the metadata, and in
a warning where it is not zero: the instruments add it in their CSV files ("Zero Index"), while files that
``tm_data_types`` writes carry a part that means nothing. Records of minima and maxima are refused. Of a FastFrame
set with an envelope as its last frame the frames acquired are read: how that one stores its pairs is not published.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.errors import CorruptField, CountMismatch, Truncated, UnsupportedVersion
from instruments.probing.tektronix_wfm_header import (
    AVERAGE_SUMMARY,
    DIGITAL,
    ENVELOPE_SUMMARY,
    PAIRS,
    PLAIN,
    Curve,
    Header,
    Stamps,
    read_header,
)
from instruments.probing.tektronix_wfm_notes import is_interleaved, lines_of, pair_interval_s, read_notes
from instruments.records import Record, Samples, Segment, Waveform

BLOCK_BYTES = 1 << 22
_MOST_STAMPS = 1000
_CHECKSUM_BYTES = 8
_NO_ENVELOPE = "the last frame, an envelope of the others, is not read: how it stores minima and maxima is unpublished"


class TektronixWfmAdapter:
    """Reads one record, or the frames of a FastFrame set as its segments, block by block, as native codes."""

    name = "tektronix_wfm"
    version = "4"
    formats = ("tektronix-wfm",)
    reach = Reach.HEADER

    def sniff(self, source: Source) -> Sniff:
        """Look for the byte order and the version at the beginning of ``source``."""
        if source.head[:2] in (b"\x0f\x0f", b"\xf0\xf0") and source.head[2:9] in (b":WFM#00", b"WFM#00"):
            return Sniff(Confidence.CERTAIN, f"the version is {source.head[2:10].decode('latin-1')}")
        if b"LLWFM" in source.head[:8]:
            return Sniff(Confidence.CERTAIN, "a waveform of the old LLWFM kind")
        return Sniff(Confidence.NO, "there is no byte order with a WFM version")

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what the records of ``source`` are, by its headers and notes; the checksum is left alone.

        Raises:
            Truncated, CountMismatch, CorruptField, UnsupportedVersion: as ``read``.
        """
        return "tektronix-wfm", tuple(map(describe_record, _lay_out(source, _open(source))))

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the record of ``source``; the average of a FastFrame set, and I and Q, are records of their own.

        Raises:
            Truncated, CountMismatch: the frames, the curve, the file's length and the checksum do not agree.
            CorruptField: a field or the block of notes is not right.
            UnsupportedVersion: minima and maxima, another axis than time, an old version.
        """
        header = _open(source)
        _check_sum(source, header)
        return "tektronix-wfm", tuple(record.measured() for record in _lay_out(source, header))


def _open(source: Source) -> Header:
    header = read_header(source)
    end = header.curve.end + _CHECKSUM_BYTES
    if source.size_bytes < end:
        message = "the file ends inside its curve"
        raise Truncated(message, file=source.name, offset=source.size_bytes, expected=end, found=source.size_bytes)
    return header


def _lay_out(source: Source, header: Header) -> list[Waveform]:
    """Return the records, whose samples nobody has looked at yet."""
    notes = read_notes(source, header.order, header.curve.end + _CHECKSUM_BYTES)
    interleaved = is_interleaved(notes)
    if header.storage != PLAIN and not (interleaved and header.storage == PAIRS):
        message = "the samples are no plain record but minima and maxima, or a histogram"
        raise UnsupportedVersion(message, file=source.name, expected=PLAIN, found=header.storage)
    record = _record(source, header, notes)
    if interleaved:
        return _part_pairs(source, header, record, pair_interval_s(source, notes, header.dt_s))
    if header.summary == ENVELOPE_SUMMARY:
        warning = (
            "the last frame, an envelope of the others, is not read: how it stores minima and maxima is unpublished"
        )
        acquired = _part_summary(source, header, record)[0]
        return [replace(acquired, warnings=(*acquired.warnings, warning))]
    return _part_average(source, header, record) if header.summary == AVERAGE_SUMMARY else [record]


def _record(source: Source, header: Header, notes: dict[str, Any]) -> Waveform:
    """Return all frames as one waveform."""
    lines = lines_of(notes)
    digital = header.data_type == DIGITAL or bool(lines)
    if digital and header.dtype.itemsize != 1:
        message = "logic lines are not one byte a sample"
        raise CorruptField(message, file=source.name, expected=1, found=header.dtype.itemsize)
    dtype = np.dtype("<u1") if digital else header.dtype.newbyteorder("<")
    segments, warnings = _segments(header)
    metadata: dict[str, Any] = {"version": f"WFM#00{header.version}", "notes": notes}
    metadata["frames"] = _stamps(header.stamps)
    if digital:
        metadata["lines"] = lines
    gain, offset = (1.0, 0.0) if digital else (header.gain, header.offset)
    return Waveform(
        name=header.label or PurePosixPath(source.name).stem or "waveform",
        samples=Samples(dtype, header.count * len(segments), partial(_read_blocks, source, header, dtype)),
        unit="logic level" if digital else header.unit or "unknown",
        dt_s=header.dt_s,
        segments=segments,
        gain=gain,
        offset=offset,
        kind="digital_lines" if digital else "waveform",
        vendor_metadata=metadata,
        warnings=warnings,
    )


def _segments(header: Header) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Return a segment for each frame, with what is doubtful of their times."""
    stamps, warnings = header.stamps, []
    stray = ~((stamps.part >= 0) & (stamps.part <= 1))
    if stray.any():
        warnings.append(
            f"the trigger's place between two samples is not right in {int(stray.sum())} of {stray.size} frames "
            f"({stamps.part[stray][0]:g} of an interval)"
        )
    parts = stamps.part[~stray]
    if parts.any():
        warnings.append(
            f"the first times leave out the trigger's part of a sample, {parts.min():g} to {parts.max():g} of an "
            "interval, which the instrument adds in its CSV files"
        )
    seconds = (stamps.second - stamps.second[0]) + (stamps.fraction_s - stamps.fraction_s[0])
    triggers: list[float | None] = seconds.tolist()
    if stamps.second.size > 1:
        known = bool(np.isfinite(seconds).all()) and bool(stamps.second.any() or stamps.fraction_s.any())
        if not known:
            warnings.append("the frames have no trigger times; when they were triggered is not known")
            triggers = [None] * stamps.second.size
        elif (np.diff(seconds) <= 0).any():
            warnings.append("the frames' trigger times do not increase")
    else:
        triggers = [0.0]
    return tuple(Segment(header.count, header.t0_s, trigger) for trigger in triggers), tuple(warnings)


def _stamps(stamps: Stamps) -> list[dict[str, Any]]:
    """Return the update specifications of the first frames, for the metadata."""
    columns = (column[:_MOST_STAMPS].tolist() for column in (stamps.second, stamps.fraction_s, stamps.part))
    return [
        {
            "utc_s": second,
            "fraction_s": fraction if math.isfinite(fraction) else str(fraction),
            "trigger_part_samples": part if math.isfinite(part) else str(part),
        }
        for second, fraction, part in zip(*columns, strict=True)
    ]


def _part_pairs(source: Source, header: Header, record: Waveform, interval_s: float) -> list[Waveform]:
    """Return the in-phase and the quadrature values as two waveforms."""
    if record.kind != "waveform" or header.count % 2 or header.summary:
        message = "interleaved I and Q are an odd number of values, logic lines or averaged frames"
        raise CountMismatch(message, file=source.name, expected="pairs", found=header.count)
    segments = tuple(Segment(header.count // 2, segment.t0_s, segment.trigger_offset_s) for segment in record.segments)
    return [
        replace(
            record,
            name=f"{record.name} {part}",
            samples=Samples(
                record.samples.dtype,
                record.samples.count // 2,
                partial(_read_half, source, header, record.samples.dtype, index),
            ),
            dt_s=interval_s,
            segments=segments,
            vendor_metadata={**record.vendor_metadata, "part": part},
        )
        for index, part in enumerate("IQ")
    ]


def _part_average(source: Source, header: Header, record: Waveform) -> list[Waveform]:
    """Return the frames acquired, and the last one, which is their average."""
    acquired, summary = _part_summary(source, header, record)
    (last,) = summary.segments
    averages = len(acquired.segments)
    name, segments = f"{record.name} average", (replace(last, trigger_offset_s=0.0),)
    return [acquired, replace(summary, name=name, segments=segments, averages=averages)]


def _part_summary(source: Source, header: Header, record: Waveform) -> list[Waveform]:
    """Return the frames acquired, and the last one, which the instrument has made of them."""
    acquired, dtype = header.curve.frames - 1, record.samples.dtype
    parts = []
    for which in (slice(0, acquired), slice(acquired, acquired + 1)):
        piece = replace(
            header, curve=replace(header.curve, start=header.curve.start + which.start * header.curve.stride)
        )
        piece = replace(piece, curve=replace(piece.curve, frames=which.stop - which.start))
        segments = record.segments[which]
        blocks = partial(_read_blocks, source, piece, dtype)
        parts.append(replace(record, samples=Samples(dtype, header.count * len(segments), blocks), segments=segments))
    return parts


def _check_sum(source: Source, header: Header) -> None:
    """Compare the sum of all bytes with the checksum behind the curve."""
    total, left = 0, header.curve.end
    with source.path.open("rb") as file:
        while left and (block := file.read(min(left, BLOCK_BYTES))):
            total += int(np.frombuffer(block, np.uint8).sum(dtype=np.uint64))
            left -= len(block)
        (declared,) = struct.unpack(header.order + "Q", file.read(_CHECKSUM_BYTES))
    if declared != total:
        message = "the checksum is not the sum of the bytes before it"
        raise CountMismatch(message, file=source.name, offset=header.curve.end, expected=int(declared), found=total)


def _read_blocks(source: Source, header: Header, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    native = dtype if dtype.itemsize == 1 else header.dtype
    curve = header.curve
    with source.path.open("rb") as file:
        if curve.stride <= BLOCK_BYTES:
            yield from _read_many(file, curve, native, dtype)
            return
        size = BLOCK_BYTES // native.itemsize
        for frame in range(curve.frames):
            file.seek(curve.start + frame * curve.stride + curve.first)
            left = header.count
            while left:
                block: NDArray[Any] = np.fromfile(file, native, min(left, size))
                if not block.size:
                    return
                left -= block.size
                yield block.astype(dtype, copy=False)


def _read_many(file: Any, curve: Curve, native: np.dtype[Any], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield the samples of several short frames at a time."""
    file.seek(curve.start)
    left, most = curve.frames, max(1, BLOCK_BYTES // curve.stride)
    while left:
        frames = min(left, most)
        raw: NDArray[np.uint8] = np.fromfile(file, np.uint8, frames * curve.stride)
        if raw.size < frames * curve.stride:
            return
        left -= frames
        samples = np.ascontiguousarray(raw.reshape(frames, curve.stride)[:, curve.first : curve.after])
        yield samples.view(native).ravel().astype(dtype, copy=False)


def _read_half(source: Source, header: Header, dtype: np.dtype[Any], index: int) -> Iterator[NDArray[Any]]:
    for block in _read_blocks(source, header, dtype):
        yield np.ascontiguousarray(block[index::2])

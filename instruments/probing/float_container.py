"""Keysight and Agilent ``.bin`` (``AG01``, ``AG03``, ``AG10``) and Rigol ``.bin`` (``RG01``, ``RG03``): float32 values.

Source: the chapters on the binary format in the manuals of the Agilent InfiniiVision and the Rigol MSO5000, MSO7000 and
MSO8000 (``RG01``) and DHO800 and DHO1000 (``RG03``). A file header with the
file's length and the number of waveforms; for each waveform a header and then its buffers, each with a header of its
own. The walk over all headers must end exactly at the end of the file: that is the independent count.

Peak-detect waveforms have a buffer of minima and one of maxima; logic buffers hold eight lines in a byte, or, as the
MSO5074 writes them, in a float32 that is a whole number from 0 to 255.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, Truncated, UnsupportedVersion
from instruments.records import Record, Samples, Segment, Waveform

BLOCK_SAMPLES = 1 << 20
MAX_WAVEFORMS = 100_000
MAKERS = {b"AG01": "keysight", b"AG03": "keysight", b"AG10": "keysight", b"RG01": "rigol", b"RG03": "rigol"}
LONG = (b"AG03", b"RG03")
"""Lengths of 64 bits."""
WAVEFORM_HEADER = struct.Struct("<5If3d2I16s16s24s16sdI")
BUFFER_HEADER = struct.Struct("<IHHI")
LONG_BUFFER_HEADER = struct.Struct("<IHHQ")
UNITS = {1: "V", 2: "s", 4: "A", 5: "dB", 6: "Hz"}
FLOAT_KINDS = {1: "waveform", 2: "envelope_max", 3: "envelope_min"}
LOGIC = 6
DHO_LOGIC = 5
RG01_FLOAT_LOGIC = 5
UNTAGGED_BYTES = 128
_SECOND = 2
_MOST_LEVELS = 255


@dataclass(frozen=True)
class _Buffer:
    """Where the samples of one buffer are, and what its waveform's header says."""

    start: int
    count: int
    kind: str
    header: dict[str, Any]
    stored: str


class FloatContainerAdapter:
    """Reads every waveform of the file, block by block; the segments of a channel are one waveform."""

    name = "float_container"
    version = "3"
    formats = ("keysight-bin", "rigol-bin")
    reach = Reach.HEADER

    def sniff(self, source: Source) -> Sniff:
        """Look for the cookie of ``source`` at its beginning."""
        maker = MAKERS.get(source.head[:4])
        if maker is None:
            return Sniff(Confidence.NO, "the first bytes are not AG01, AG03, AG10, RG01 or RG03")
        return Sniff(Confidence.CERTAIN, f"the first bytes are {source.head[:4].decode()}")

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what the waveforms of ``source`` are, by a walk over the headers that leaves out the samples.

        Raises:
            Truncated, CountMismatch, CorruptField, UnsupportedVersion, ReadingLimit: as ``read``.
        """
        name, waveforms = _open_waveforms(source)
        return name, tuple(map(describe_record, waveforms))

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the waveforms of ``source``.

        Raises:
            Truncated, CountMismatch: the buffers are not what the headers say, or do not end where the file does.
            CorruptField, UnsupportedVersion: a header field is not right, or not supported.
        """
        name, waveforms = _open_waveforms(source)
        return name, tuple(waveform.measured(*_unknown_values(waveform)) for waveform in waveforms)


def _open_waveforms(source: Source) -> tuple[str, list[Waveform]]:
    maker = MAKERS.get(source.head[:4])
    if maker is None:
        raise NotThisFormat("the first bytes are not AG01, AG03, AG10, RG01 or RG03", file=source.name)
    groups = _group(_walk(source))
    return f"{maker}-bin", [_waveform(source, buffers, index) for index, buffers in enumerate(groups, 1)]


def _unknown_values(waveform: Waveform) -> tuple[str, ...]:
    if waveform.samples.dtype.kind != "f":
        return ()
    unknown = sum(int((~np.isfinite(block)).sum()) for block in waveform.samples.blocks())
    return (f"{unknown} values are not finite",) if unknown else ()


def _group(buffers: list[_Buffer]) -> list[list[_Buffer]]:
    """Return the segments of each channel together; a channel without a label is one by its place in the file."""
    groups: dict[tuple[str, str], list[_Buffer]] = {}
    for buffer in buffers:
        groups.setdefault((buffer.header["label"], buffer.kind), []).append(buffer)
    result: list[list[_Buffer]] = []
    for (label, _), members in groups.items():
        segmented = len({buffer.header["segment_index"] for buffer in members}) == len(members)
        result += [members] if label or segmented else [[buffer] for buffer in members]
    return result


def _unpack(file: BinaryIO, layout: struct.Struct, source: Source) -> tuple[Any, ...]:
    start = file.tell()
    data = file.read(layout.size)
    if len(data) < layout.size:
        message = "the file ends inside a header"
        raise Truncated(message, file=source.name, offset=start, expected=layout.size, found=len(data))
    return layout.unpack(data)


def _walk(source: Source) -> list[_Buffer]:
    """Return all buffers, after checking that they fill the file."""
    long = source.head[:4] in LONG
    buffers: list[_Buffer] = []
    with source.path.open("rb") as file:
        size, waveforms = _unpack(file, struct.Struct("<4xQI" if long else "<4x2I"), source)
        if not 0 < waveforms <= MAX_WAVEFORMS:
            raise CorruptField("the number of waveforms is not right", file=source.name, offset=8, found=waveforms)
        for _ in range(waveforms):
            header = _read_waveform_header(file, source)
            for _ in range(header["buffers"]):
                buffers.append(_read_buffer_header(file, source, header, long=long))
        end = file.tell()
    _check_end(source, end, size)
    return buffers


def _check_end(source: Source, end: int, declared: int) -> None:
    again = source.head.find(source.head[:4], 4)
    if end != source.size_bytes and again > 0:
        message = "several exports follow one another and their headers hold wrong counts, as the MSO5074 writes them"
        raise UnsupportedVersion(message, file=source.name, offset=again, expected=end, found=source.size_bytes)
    if source.size_bytes < end:
        message = "the file ends inside its last buffer"
        raise Truncated(message, file=source.name, offset=source.size_bytes, expected=end, found=source.size_bytes)
    if source.size_bytes > end:
        message = "the file goes on after the waveforms that it declares"
        raise CountMismatch(message, file=source.name, offset=end, expected=end, found=source.size_bytes)
    # Rigol's length leaves out headers of some of its waveforms; its buffers' own lengths are checked above.
    if declared != end and source.head[:2] == b"AG":
        message = "the length in the file header is not the file's"
        raise CountMismatch(message, file=source.name, offset=4, expected=declared, found=end)


def _text(data: bytes) -> str:
    return data.split(b"\x00")[0].decode("latin-1").strip()


def _read_waveform_header(file: BinaryIO, source: Source) -> dict[str, Any]:
    start = file.tell()
    values = _unpack(file, WAVEFORM_HEADER, source)
    size, kind, buffers, points, averages = values[:5]
    interval, origin, x_unit, y_unit = values[7:11]
    untagged = size == UNTAGGED_BYTES and source.head[:4] == b"RG01"
    if untagged:
        values = (*values[:-2], 0.0, 0)
    elif size < WAVEFORM_HEADER.size:
        expected = WAVEFORM_HEADER.size
        raise CorruptField(
            "a waveform header is too short", file=source.name, offset=start, expected=expected, found=size
        )
    if not 0 < buffers <= 4 or not points:
        message = "a waveform has no points, or not one to four buffers"
        raise CorruptField(message, file=source.name, offset=start, found=f"{points}, {buffers}")
    if kind not in (1, 2, 3, LOGIC):
        message = "the waveform is a histogram or of an unknown type"
        raise UnsupportedVersion(message, file=source.name, offset=start + 4, found=kind)
    if x_unit != _SECOND:
        message = "the horizontal unit is not the second; this is no waveform over time"
        raise UnsupportedVersion(message, file=source.name, expected="s", found=UNITS.get(x_unit, f"code {x_unit}"))
    if not (math.isfinite(interval) and interval > 0 and math.isfinite(origin)):
        raise CorruptField("the sampling interval is not right", file=source.name, offset=start + 32, found=interval)
    file.seek(start + size)
    date, time, frame, label = (_text(value) for value in values[11:15])
    return {
        "type": kind,
        "buffers": buffers,
        "points": points,
        "averages": averages,
        "x_increment": interval,
        "x_origin": origin,
        "unit": UNITS.get(y_unit, "unknown"),
        "date": date,
        "time": time,
        "frame": frame,
        "label": label,
        "time_tag_s": values[15],
        "segment_index": values[16],
        "untagged": untagged,
        "maker": MAKERS[source.head[:4]],
    }


def _read_buffer_header(file: BinaryIO, source: Source, header: dict[str, Any], *, long: bool) -> _Buffer:
    start = file.tell()
    size, kind, width, length = _unpack(file, LONG_BUFFER_HEADER if long else BUFFER_HEADER, source)
    logic_here = DHO_LOGIC if source.head[:4] == b"RG03" else LOGIC
    float_logic = source.head[:4] == b"RG01" and header["type"] == LOGIC and (kind, width) == (RG01_FLOAT_LOGIC, 4)
    logic = kind == logic_here
    if not float_logic and (width != (1 if logic else 4) or not (logic or kind in FLOAT_KINDS)):
        message = "the buffer is not of float32 or of logic levels"
        raise UnsupportedVersion(message, file=source.name, offset=start + 4, found=f"type {kind}, {width} bytes")
    if length != header["points"] * width:
        message = "a buffer does not hold the points of its waveform; such exports have wrong headers throughout"
        expected = header["points"] * width
        raise CountMismatch(message, file=source.name, offset=start + 8, expected=expected, found=length)
    begin = start + size
    file.seek(begin + length)
    if logic or float_logic:
        return _Buffer(begin, header["points"], "digital_lines", header, "<f4" if float_logic else "<u1")
    return _Buffer(begin, header["points"], FLOAT_KINDS[kind], header, "<f4")


def _start_time(header: dict[str, Any]) -> float | None:
    """Rigol stores the origin's distance from the trigger with the opposite sign of Keysight's.

    That was seen in files of the MSO5000 and DHO; of the MSO7000 and MSO8000, whose headers are shorter, none was seen.
    """
    origin = float(header["x_origin"])
    if header["untagged"] and origin:
        return None
    return -origin if header["maker"] == "rigol" else origin


def _time_tag(value: float) -> float | None:
    """Return when the segment was triggered, ``None`` where the file does not say it."""
    return float(value) if math.isfinite(value) else None


def _waveform(source: Source, buffers: list[_Buffer], index: int) -> Waveform:
    first = buffers[0]
    header = first.header
    if any(buffer.header["x_increment"] != header["x_increment"] for buffer in buffers):
        raise CorruptField("the segments of a channel have different sampling intervals", file=source.name)
    if len(buffers) > 1 and len({buffer.header["segment_index"] for buffer in buffers}) != len(buffers):
        message = f"two waveforms are called {header['label']} and are no segments of one"
        raise CountMismatch(message, file=source.name, expected=1, found=len(buffers))
    dtype = np.dtype("<u1" if first.kind == "digital_lines" else "<f4")
    blocks = partial(_read_blocks, source, tuple(buffers), dtype)
    warnings = []
    if first.kind.startswith("envelope"):
        warnings.append("peak detect: minima and maxima are two waveforms")
    label = str(header["label"])
    if _start_time(header) is None:
        warnings.append("the sign of the origin is not known for the MSO7000 and MSO8000; the first time is not given")
    if not label:
        warnings.append("the file does not name its channels; they are numbered in the file's order")
    segments = tuple(
        Segment(buffer.count, _start_time(buffer.header), _time_tag(buffer.header["time_tag_s"])) for buffer in buffers
    )
    return Waveform(
        name=f"CH{label}" if label.isdigit() else label or f"waveform {index}",
        samples=Samples(dtype, sum(buffer.count for buffer in buffers), blocks),
        unit="logic level" if first.kind == "digital_lines" else str(header["unit"]),
        dt_s=float(header["x_increment"]),
        segments=segments,
        kind=first.kind,
        averages=int(header["averages"]) or None,
        vendor_metadata={"cookie": source.head[:4].decode(), "headers": [buffer.header for buffer in buffers[:1000]]},
        warnings=tuple(warnings),
    )


def _read_blocks(source: Source, buffers: tuple[_Buffer, ...], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    with source.path.open("rb") as file:
        for buffer in buffers:
            file.seek(buffer.start)
            left = buffer.count
            while left:
                block: NDArray[Any] = np.fromfile(file, buffer.stored, min(left, BLOCK_SAMPLES))
                if not block.size:
                    return
                left -= block.size
                yield block if block.dtype == dtype else _words(source, block)


def _words(source: Source, levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return eight lines a byte of what is stored as float32."""
    wrong = ~((levels >= 0) & (levels <= _MOST_LEVELS) & (levels == np.floor(levels)))
    if wrong.any():
        message = "a word of logic levels is no whole number from 0 to 255"
        raise CorruptField(message, file=source.name, found=float(levels[wrong.argmax()]))
    return levels.astype(np.uint8)

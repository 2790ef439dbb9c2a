"""Tektronix ``.wfm`` files, WFM#001 to WFM#003: one analog record or one of parallel logic lines.

Source: Tektronix 077-0220, "Performance Oscilloscope Reference Waveform File Format". Three counts must agree: the
offsets in the curve object, the length in the file header, and the checksum, the sum of all bytes before it. After it
may come a block of named values (``tekmeta!``), which must be whole as well.

FastFrame captures, records of minima and maxima, and interleaved I and Q (marked only in that block) are refused.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, Truncated, UnsupportedVersion
from instruments.records import Record, Samples, Segment, Waveform, finite_range

BLOCK_BYTES = 1 << 22
MAX_NOTES_BYTES = 16 << 20
VERSIONS = {b":WFM#001": 1, b":WFM#002": 2, b":WFM#003": 3}
FORMATS = {0: "i2", 1: "i4", 2: "u4", 3: "u8", 4: "f4", 5: "f8"}
SHORT_FORMATS = {6: "u1", 7: "i1"}
"""In WFM#003 only; there 6 and 7 mean nothing in the older versions."""
VECTOR, DIGITAL = 2, 6
_NOTES = b"tekmeta!"
_NUMBERS = {2: "i", 3: "d", 4: "I"}


@dataclass(frozen=True)
class _Layout:
    """Byte offsets of one version: explicit dimension, implicit dimension, update specification, curve object."""

    explicit: int
    implicit: int
    update: int
    curve: int


_LAYOUTS = {1: _Layout(166, 478, 766, 790), 2: _Layout(168, 480, 768, 792), 3: _Layout(168, 488, 784, 808)}


@dataclass(frozen=True)
class _Header:
    """The header, decoded."""

    order: str
    version: int
    data_type: int
    dtype: np.dtype[Any]
    start: int
    count: int
    checksum_at: int
    gain: float
    offset: float
    unit: str
    dt_s: float
    t0_s: float
    trigger_fraction: float
    label: str


class TektronixWfmAdapter:
    """Reads one record, block by block, as native codes."""

    name = "tektronix_wfm"
    version = "1"
    formats = ("tektronix-wfm",)

    def sniff(self, source: Source) -> Sniff:
        """Look for the byte order and the version at the beginning of ``source``."""
        if source.head[:2] in (b"\x0f\x0f", b"\xf0\xf0") and source.head[2:9] in (b":WFM#00", b"WFM#00"):
            return Sniff(Confidence.CERTAIN, f"the version is {source.head[2:10].decode('latin-1')}")
        if b"LLWFM" in source.head[:8]:
            return Sniff(Confidence.CERTAIN, "a waveform of the old LLWFM kind")
        return Sniff(Confidence.NO, "there is no byte order with a WFM version")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the record of ``source``.

        Raises:
            Truncated, CountMismatch: the curve, the file's length and the checksum do not agree.
            CorruptField: a field or the block of notes is not right.
            UnsupportedVersion: FastFrame, minima and maxima, I and Q, another axis than time, an old version.
        """
        header = _read_header(source)
        _check_sum(source, header)
        notes = _read_notes(source, header)
        if any(key.startswith("IQ_") for key in notes):
            message = "interleaved I and Q are not read: the interval of a pair is not known for sure"
            raise UnsupportedVersion(message, file=source.name)
        lines = [key for key in notes if len(key) == 2 and key[0] == "d" and key[1].isdigit()]
        digital = header.data_type == DIGITAL or bool(lines)
        if digital and header.dtype.itemsize != 1:
            message = "logic lines are not one byte a sample"
            raise CorruptField(message, file=source.name, expected=1, found=header.dtype.itemsize)
        dtype = np.dtype("<u1") if digital else header.dtype.newbyteorder("<")
        blocks = partial(_read_blocks, source, header, dtype)
        gain, offset = (1.0, 0.0) if digital else (header.gain, header.offset)
        low, high = finite_range(blocks(), gain, offset)
        warnings: tuple[str, ...] = ()
        if header.trigger_fraction and math.isfinite(header.trigger_fraction):
            part = f"{header.trigger_fraction:.6g}"
            warnings = (f"the trigger is given to a part of a sample ({part}), which the first time leaves out",)
        metadata = {
            "version": f"WFM#00{header.version}",
            "notes": notes,
            "trigger_fraction_samples": str(header.trigger_fraction),
        }
        if digital:
            metadata["lines"] = {line: int(line[1]) for line in sorted(lines)}
        waveform = Waveform(
            name=header.label or PurePosixPath(source.name).stem or "waveform",
            samples=Samples(dtype, header.count, blocks),
            unit="logic level" if digital else header.unit or "unknown",
            dt_s=header.dt_s,
            segments=(Segment(header.count, header.t0_s, 0.0),),
            minimum=low,
            maximum=high,
            gain=gain,
            offset=offset,
            kind="digital_lines" if digital else "waveform",
            vendor_metadata=metadata,
            warnings=warnings,
        )
        return "tektronix-wfm", (waveform,)


def _text(data: bytes) -> str:
    return data.split(b"\x00")[0].decode("latin-1").strip()


def _read_header(source: Source) -> _Header:
    head = source.head
    if b"LLWFM" in head[:8]:
        raise UnsupportedVersion("waveforms of the old LLWFM kind are not read", file=source.name)
    if head[:2] not in (b"\x0f\x0f", b"\xf0\xf0"):
        raise NotThisFormat("there is no byte order with a WFM version", file=source.name)
    version = VERSIONS.get(head[2:10])
    if version is None:
        expected, found = "WFM#001 to WFM#003", head[2:10].decode("latin-1")
        raise UnsupportedVersion("the version is not known", file=source.name, offset=2, expected=expected, found=found)
    order, layout = "<" if head[:1] == b"\x0f" else ">", _LAYOUTS[version]
    if len(head) < layout.curve + 30:
        message = "the file ends inside its header"
        raise Truncated(message, file=source.name, offset=0, expected=layout.curve + 30, found=len(head))

    def number(kind: str, offset: int) -> Any:
        return struct.unpack_from(order + kind, head, offset)[0]

    data_type = int(number("i", 122))
    _check_kind(source, number, layout, data_type)
    dtype = _sample_format(source, number, version, layout)
    curve, first, after, last = _curve(source, number, layout, dtype.itemsize)
    gain, interval = float(number("d", layout.explicit)), float(number("d", layout.implicit))
    offset, start = float(number("d", layout.explicit + 8)), float(number("d", layout.implicit + 8))
    if not (all(math.isfinite(value) for value in (gain, interval, offset, start)) and gain and interval > 0):
        raise CorruptField(
            "a scale is not right", file=source.name, offset=layout.explicit, found=f"{gain}, {interval}"
        )
    length = int(number("i", 11)) + 15
    if length != curve + last + 8:
        message = "the length in the file header is not that of header, curve and checksum"
        raise CountMismatch(message, file=source.name, offset=11, expected=curve + last + 8, found=length)
    return _Header(
        order=order,
        version=version,
        data_type=data_type,
        dtype=np.dtype(order + dtype.str[1:]),
        start=curve + first,
        count=(after - first) // dtype.itemsize,
        checksum_at=curve + last,
        gain=gain,
        offset=offset,
        unit=_text(head[layout.explicit + 20 : layout.explicit + 40]),
        dt_s=interval,
        t0_s=start,
        trigger_fraction=float(number("d", layout.update + 4)),
        label=_text(head[40:72]),
    )


def _sample_format(source: Source, number: Any, version: int, layout: _Layout) -> np.dtype[Any]:
    """Return the samples' type, whose width must be that of the file header."""
    code, width = int(number("i", layout.explicit + 72)), int(source.head[15])
    known = FORMATS | (SHORT_FORMATS if version == 3 else {})
    if code not in known or np.dtype(known[code]).itemsize != width:
        message = "the sample format is not right"
        raise CorruptField(message, file=source.name, offset=layout.explicit + 72, found=f"{code}, {width} bytes")
    return np.dtype(known[code])


def _curve(source: Source, number: Any, layout: _Layout, width: int) -> tuple[int, int, int, int]:
    """Return where the curve begins in the file, and in it the first sample, the end of the samples, and its end."""
    begin, first, after, last = (int(number("I", layout.curve + place)) for place in (10, 14, 18, 26))
    curve = int(number("i", 16))
    if curve < layout.curve + 30 or not begin <= first < after <= last or (after - first) % width:
        found = f"{begin}, {first}, {after}, {last}"
        raise CorruptField("the curve's offsets are not right", file=source.name, offset=layout.curve, found=found)
    return curve, first, after, last


def _check_kind(source: Source, number: Any, layout: _Layout, data_type: int) -> None:
    """Refuse what is not one record over time."""
    unit = _text(source.head[layout.implicit + 20 : layout.implicit + 40])
    storage = int(number("i", layout.explicit + 76))
    for wrong, message, expected, found in (
        (data_type not in (VECTOR, DIGITAL), "the data are no vector", VECTOR, data_type),
        (number("i", 78) != 0 or number("I", 72) != 0, "FastFrame captures are not read", 0, int(number("I", 72))),
        (number("I", 142) != 1, "the file does not hold one curve", 1, int(number("I", 142))),
        (storage != 0, "the samples are no plain record but minima and maxima, or a histogram", 0, storage),
        (unit != "s", "the horizontal unit is not the second; this is no waveform over time", "s", unit[:20]),
    ):
        if wrong:
            raise UnsupportedVersion(message, file=source.name, expected=expected, found=found)


def _check_sum(source: Source, header: _Header) -> None:
    """Compare the sum of all bytes with the checksum behind the curve."""
    end = header.checksum_at + 8
    if source.size_bytes < end:
        message = "the file ends inside its curve"
        raise Truncated(message, file=source.name, offset=source.size_bytes, expected=end, found=source.size_bytes)
    total, left = 0, header.checksum_at
    with source.path.open("rb") as file:
        while left and (block := file.read(min(left, BLOCK_BYTES))):
            total += int(np.frombuffer(block, np.uint8).sum(dtype=np.uint64))
            left -= len(block)
        (declared,) = struct.unpack(header.order + "Q", file.read(8))
    if declared != total:
        message = "the checksum is not the sum of the bytes before it"
        raise CountMismatch(message, file=source.name, offset=header.checksum_at, expected=int(declared), found=total)


def _read_notes(source: Source, header: _Header) -> dict[str, Any]:
    """Return the named values after the checksum; they reach exactly to the end of the file."""
    start = header.checksum_at + 8
    if source.size_bytes - start > MAX_NOTES_BYTES:
        message = "the file goes on after its curve"
        raise CountMismatch(message, file=source.name, offset=start, expected=start, found=source.size_bytes)
    with source.path.open("rb") as file:
        file.seek(start)
        data = file.read()
    if not data.strip(b"\x00\r\n"):
        return {}
    if not data.startswith(_NOTES):
        message = "what follows the checksum is no block of notes"
        raise CorruptField(message, file=source.name, offset=start, expected="tekmeta!", found=repr(data[:8]))
    notes: dict[str, Any] = {}
    try:
        place = 12
        for _ in range(struct.unpack_from(header.order + "I", data, 8)[0]):
            key, place = _read_string(header, data, place)
            tag, place = data[place], place + 1
            if tag == 1:
                notes[key], place = _read_string(header, data, place)
                continue
            layout = struct.Struct(header.order + _NUMBERS[tag])
            value = layout.unpack_from(data, place)[0]
            notes[key] = value if math.isfinite(value) else str(value)
            place += layout.size
    except (struct.error, IndexError, KeyError, ValueError) as error:
        message = f"the block of notes after the curve cannot be read: {type(error).__name__}"
        raise CorruptField(message, file=source.name, offset=start + place) from error
    if data[place:].strip(b"\x00\r\n"):
        message = "the file goes on after its notes"
        raise CountMismatch(message, file=source.name, offset=start + place, expected=place, found=len(data))
    return notes


def _read_string(header: _Header, data: bytes, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(header.order + "I", data, place)
    place += 4
    if place + length > len(data):
        raise ValueError("a string reaches beyond the end")
    return data[place : place + length].decode("utf-8"), place + length


def _read_blocks(source: Source, header: _Header, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    native = dtype if dtype.itemsize == 1 else header.dtype
    left, size = header.count, BLOCK_BYTES // native.itemsize
    with source.path.open("rb") as file:
        file.seek(header.start)
        while left:
            block: NDArray[Any] = np.fromfile(file, native, min(left, size))
            if not block.size:
                return
            left -= block.size
            yield block.astype(dtype, copy=False)

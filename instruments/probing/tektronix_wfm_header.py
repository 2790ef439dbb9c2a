"""The header of a Tektronix ``.wfm`` file: what is stored, how, where, and when each frame was triggered.

Source: Tektronix 077-0220, "Performance Oscilloscope Reference Waveform File Format". After the fixed header a
FastFrame file has an update specification (24 bytes) of each frame after the first, and then a curve object (30 bytes)
of each; the frames' curves lie end to end, each as long as the first one's, with extra points before and after the
samples.
"""

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Source
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, Truncated, UnsupportedVersion

VERSIONS = {b":WFM#001": 1, b":WFM#002": 2, b":WFM#003": 3}
FORMATS = {0: "i2", 1: "i4", 2: "u4", 3: "u8", 4: "f4", 5: "f8"}
SHORT_FORMATS = {6: "u1", 7: "i1"}
"""In WFM#003 only; there 6 and 7 mean nothing in the older versions."""
VECTOR, DIGITAL = 2, 6
SINGLE, FAST_FRAME = 0, 1
NO_SUMMARY, AVERAGE_SUMMARY, ENVELOPE_SUMMARY = 0, 1, 2
PLAIN, PAIRS = 0, 1
_UPDATE_BYTES, _CURVE_BYTES = 24, 30


@dataclass(frozen=True)
class _Layout:
    """Byte offsets of one version: explicit dimension, implicit dimension, update specification, curve object."""

    explicit: int
    implicit: int
    update: int
    curve: int

    @property
    def end(self) -> int:
        """Of the fixed header."""
        return self.curve + _CURVE_BYTES


_LAYOUTS = {1: _Layout(166, 478, 766, 790), 2: _Layout(168, 480, 768, 792), 3: _Layout(168, 488, 784, 808)}


@dataclass(frozen=True)
class Curve:
    """Where the samples are: each of ``frames`` curves begins ``stride`` bytes after the one before it.

    Attributes:
        start: of the first frame's curve in the file, bytes.
        first, after: of the samples in a curve, bytes.
        stride: of a frame's curve, bytes.
        frames: how many there are.
    """

    start: int
    first: int
    after: int
    stride: int
    frames: int

    @property
    def end(self) -> int:
        """Of all curves in the file, where the checksum is."""
        return self.start + self.stride * self.frames


@dataclass(frozen=True)
class Stamps:
    """When the frames were triggered; arrays of shape ``(frames,)``.

    Attributes:
        part: time from the trigger to the next sample in sample intervals, float64.
        fraction_s: of the second in which the trigger was, float64.
        second: since 1970 in UTC, int64.
    """

    part: NDArray[np.float64]
    fraction_s: NDArray[np.float64]
    second: NDArray[np.int64]


@dataclass(frozen=True)
class Header:
    """The header, decoded. ``count`` is of the samples of one frame; ``dtype`` has the file's byte order."""

    order: str
    version: int
    data_type: int
    storage: int
    dtype: np.dtype[Any]
    curve: Curve
    count: int
    gain: float
    offset: float
    unit: str
    dt_s: float
    t0_s: float
    stamps: Stamps
    summary: int
    label: str


class _Fields:
    """Numbers at byte offsets of the fixed header."""

    def __init__(self, source: Source) -> None:
        """Find the byte order, version and layout of ``source``."""
        head = source.head
        if b"LLWFM" in head[:8]:
            raise UnsupportedVersion("waveforms of the old LLWFM kind are not read", file=source.name)
        if head[:2] not in (b"\x0f\x0f", b"\xf0\xf0"):
            raise NotThisFormat("there is no byte order with a WFM version", file=source.name)
        version = VERSIONS.get(head[2:10])
        if version is None:
            expected, found = "WFM#001 to WFM#003", head[2:10].decode("latin-1")
            message = "the version is not known"
            raise UnsupportedVersion(message, file=source.name, offset=2, expected=expected, found=found)
        self.source, self.version, self.layout = source, version, _LAYOUTS[version]
        self.order = "<" if head[:1] == b"\x0f" else ">"
        if len(head) < self.layout.end:
            message = "the file ends inside its header"
            raise Truncated(message, file=source.name, offset=0, expected=self.layout.end, found=len(head))

    def number(self, kind: str, offset: int) -> Any:
        return struct.unpack_from(self.order + kind, self.source.head, offset)[0]

    def text(self, start: int, length: int) -> str:
        return self.source.head[start : start + length].split(b"\x00")[0].decode("latin-1").strip()


def read_header(source: Source) -> Header:
    """Return the header of ``source``, after its lengths and counts were found to agree.

    Raises:
        NotThisFormat, UnsupportedVersion: another format or version, or data that are no record over time.
        Truncated, CountMismatch, CorruptField: a length, a count or a field is not right.
    """
    fields = _Fields(source)
    layout, number = fields.layout, fields.number
    frames, summary = _count_frames(fields)
    _check_kind(fields)
    dtype = _sample_format(fields)
    curve = _curve(fields, dtype.itemsize, frames)
    gain, interval = float(number("d", layout.explicit)), float(number("d", layout.implicit))
    offset, start = float(number("d", layout.explicit + 8)), float(number("d", layout.implicit + 8))
    if not (all(math.isfinite(value) for value in (gain, interval, offset, start)) and gain and interval > 0):
        found = f"{gain}, {interval}"
        raise CorruptField("a scale is not right", file=source.name, offset=layout.explicit, found=found)
    length = int(number("i", 11)) + 15
    if length != curve.end + 8:
        message = "the length in the file header is not that of header, curve and checksum"
        raise CountMismatch(message, file=source.name, offset=11, expected=curve.end + 8, found=length)
    return Header(
        order=fields.order,
        version=fields.version,
        data_type=int(number("i", 122)),
        storage=int(number("i", layout.explicit + 76)),
        dtype=np.dtype(fields.order + dtype.str[1:]),
        curve=curve,
        count=(curve.after - curve.first) // dtype.itemsize,
        gain=gain,
        offset=offset,
        unit=fields.text(layout.explicit + 20, 20),
        dt_s=interval,
        t0_s=start,
        stamps=_read_frames(fields, curve),
        summary=summary,
        label=fields.text(40, 32),
    )


def _count_frames(fields: _Fields) -> tuple[int, int]:
    """Return the frames in the file and what the last one is, after all their counts were found to agree."""
    name, number = fields.source.name, fields.number
    kind, frames = int(number("i", 78)), int(number("I", 72)) + 1
    if kind not in (SINGLE, FAST_FRAME):
        message = "the file is neither a single waveform nor a FastFrame set"
        raise UnsupportedVersion(message, file=name, offset=78, expected="0 or 1", found=kind)
    if kind == SINGLE and frames > 1:
        message = "the file has frames, but says that it is a single waveform"
        raise CountMismatch(message, file=name, offset=72, expected=1, found=frames)
    curves = int(number("I", 142))
    if curves not in (1, frames):
        message, expected = "the file does not hold one curve for each frame", f"1 or {frames}" if frames > 1 else "1"
        raise UnsupportedVersion(message, file=name, offset=142, expected=expected, found=curves)
    summary = 0 if fields.version == 1 else int(number("H", 154))
    acquired = int(number("I", 150))
    if frames > 1 and acquired not in (0, frames, frames - (summary != NO_SUMMARY)):
        message = "the frames acquired are not the frames stored"
        raise CountMismatch(message, file=name, offset=150, expected=frames, found=acquired)
    if frames > 1 and summary not in (NO_SUMMARY, AVERAGE_SUMMARY, ENVELOPE_SUMMARY):
        message = "what the last frame is of the others is not known"
        raise UnsupportedVersion(message, file=name, offset=154, expected="0, 1 or 2", found=summary)
    end, curve = fields.layout.end + (frames - 1) * (_UPDATE_BYTES + _CURVE_BYTES), int(number("i", 16))
    if curve < end or (frames > 1 and curve != end):
        message = "the curve does not begin where the header and the frames' own headers end"
        raise CountMismatch(message, file=name, offset=16, expected=end, found=curve)
    return frames, summary if frames > 1 else NO_SUMMARY


def _check_kind(fields: _Fields) -> None:
    """Refuse what is not a record over time."""
    name = fields.source.name
    data_type, unit = int(fields.number("i", 122)), fields.text(fields.layout.implicit + 20, 20)
    if data_type not in (VECTOR, DIGITAL):
        raise UnsupportedVersion("the data are no vector", file=name, offset=122, expected=VECTOR, found=data_type)
    if unit != "s":
        message = "the horizontal unit is not the second; this is no waveform over time"
        raise UnsupportedVersion(message, file=name, expected="s", found=unit)


def _sample_format(fields: _Fields) -> np.dtype[Any]:
    """Return the samples' type, whose width must be that of the file header."""
    place = fields.layout.explicit + 72
    code, width = int(fields.number("i", place)), int(fields.source.head[15])
    known = FORMATS | (SHORT_FORMATS if fields.version == 3 else {})
    if code not in known or np.dtype(known[code]).itemsize != width:
        message = "the sample format is not right"
        raise CorruptField(message, file=fields.source.name, offset=place, found=f"{code}, {width} bytes")
    return np.dtype(known[code])


def _curve(fields: _Fields, width: int, frames: int) -> Curve:
    """Return where the curves are, from the curve object of the first."""
    place, source = fields.layout.curve, fields.source
    begin, first, after, stop, last = (int(fields.number("I", place + 10 + 4 * index)) for index in range(5))
    if not begin <= first < after <= last or (after - first) % width:
        found = f"{begin}, {first}, {after}, {last}"
        raise CorruptField("the curve's offsets are not right", file=source.name, offset=place, found=found)
    if frames > 1 and stop != last:
        message = "the curve of a frame does not end with its last extra point"
        raise CountMismatch(message, file=source.name, offset=place + 26, expected=stop, found=last)
    return Curve(int(fields.number("i", 16)), first, after, last, frames)


def _read_frames(fields: _Fields, curve: Curve) -> Stamps:
    """Return the stamps of all frames, after the curve objects of the later ones were found to be like the first."""
    order, layout, source, later = fields.order, fields.layout, fields.source, curve.frames - 1
    update = np.dtype([("real", order + "u4"), ("part", order + "f8"), ("fraction", order + "f8"), ("s", order + "i4")])
    places = np.dtype([("rest", "V10"), ("places", order + "u4", 5)])
    needed = layout.end + later * (_UPDATE_BYTES + _CURVE_BYTES)
    if source.size_bytes < needed:
        message = "the file ends inside the headers of its frames"
        raise Truncated(message, file=source.name, offset=layout.end, expected=needed, found=source.size_bytes)
    head = np.frombuffer(source.head, update, 1, layout.update)
    first = np.frombuffer(source.head, places, 1, layout.curve)["places"].astype(np.int64)
    with source.path.open("rb") as file:
        file.seek(layout.end)
        updates = np.concatenate([head, np.fromfile(file, update, later)])
        found = np.fromfile(file, places, later)["places"].astype(np.int64)
    moved = first + curve.stride * np.arange(1, curve.frames)[:, None]
    wrong = ~((found == first).all(axis=1) | (found == moved).all(axis=1))
    if wrong.any():
        frame = int(wrong.argmax())
        message = f"frame {frame + 2} does not lie in its curve as the first one does"
        expected, other = str(first[0].tolist()), str(found[frame].tolist())
        place = layout.end + later * _UPDATE_BYTES + frame * _CURVE_BYTES
        raise CountMismatch(message, file=source.name, offset=place, expected=expected, found=other)
    return Stamps(updates["part"].astype(np.float64), updates["fraction"].astype(np.float64), updates["s"].astype(int))

"""LeCroy ``.trc`` files: templates LECROY_2_3 and LECROY_1_0, sequence files as segments.

Source: the instrument's own template (``TEMPLATE?``) as printed in the LeCroy remote control manuals. A file is an
optional IEEE 488.2 block header (``#9nnnnnnnnn``), the WAVEDESC block, and arrays whose lengths WAVEDESC gives; their
sum must be the file's length, which is the independent count. ``value = VERTICAL_GAIN * code - VERTICAL_OFFSET``.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, ReadingLimit, Truncated, UnsupportedVersion
from instruments.records import Record, Samples, Segment, Waveform

BLOCK_SAMPLES = 1 << 20
TRAILING_BYTES = 4
"""Some instruments end the file with a line feed or padding; more than this is not explained."""
MAX_TEXT_BYTES = 16 << 20
MAX_SEGMENTS = 1_000_000
_MARK = b"WAVEDESC"


@dataclass(frozen=True)
class _Layout:
    """Byte offsets in WAVEDESC of one template."""

    length: int
    arrays: tuple[tuple[str, int], ...]
    instrument_name: int
    wave_array_count: int
    subarray_count: int
    sweeps: int | None
    gain: int
    offset: int
    horizontal_interval: int
    horizontal_offset: int
    vertical_unit: int
    horizontal_unit: int


_ARRAYS_2_3 = (
    ("WAVE_DESCRIPTOR", 36),
    ("USER_TEXT", 40),
    ("RES_DESC1", 44),
    ("TRIGTIME_ARRAY", 48),
    ("RIS_TIME_ARRAY", 52),
    ("RES_ARRAY1", 56),
    ("WAVE_ARRAY_1", 60),
    ("WAVE_ARRAY_2", 64),
    ("RES_ARRAY2", 68),
    ("RES_ARRAY3", 72),
)
_LAYOUTS = {
    "LECROY_2_3": _Layout(346, _ARRAYS_2_3, 76, 116, 144, 148, 156, 160, 176, 180, 196, 244),
    "LECROY_1_0": _Layout(
        320,
        (
            ("WAVE_DESCRIPTOR", 36),
            ("USER_TEXT", 40),
            ("TRIGTIME_ARRAY", 44),
            ("WAVE_ARRAY_1", 48),
            ("WAVE_ARRAY_2", 52),
        ),
        56,
        92,
        112,
        None,
        120,
        290,
        134,
        138,
        154,
        202,
    ),
}


@dataclass(frozen=True)
class _Descriptor:
    """WAVEDESC, decoded; ``start`` is its byte offset in the file."""

    start: int
    template: str
    order: str
    width: int
    arrays: dict[str, int]
    count: int
    subarrays: int
    sweeps: int | None
    gain: float
    offset: float
    dt_s: float
    t0_s: float
    unit: str
    instrument: str

    def start_of(self, name: str) -> int:
        """Return the byte offset in the file of the array ``name``."""
        offset = self.start
        for array, length in self.arrays.items():
            if array == name:
                return offset
            offset += length
        raise KeyError(name)


class LecroyTrcAdapter:
    """Reads LeCroy waveforms, block by block, as native 8- or 16-bit codes."""

    name = "lecroy_trc"
    version = "2"
    formats = ("lecroy-trc",)
    reach = Reach.HEADER

    def sniff(self, source: Source) -> Sniff:
        """Look for WAVEDESC at the beginning of ``source``, after an optional block header."""
        place = source.head[:64].find(_MARK)
        if place < 0:
            return Sniff(Confidence.NO, "there is no WAVEDESC in the first 64 bytes")
        return Sniff(Confidence.CERTAIN, f"WAVEDESC at byte {place}")

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what the one waveform of ``source`` is, by WAVEDESC and the file's length.

        Raises:
            Truncated, CountMismatch, CorruptField, UnsupportedVersion, ReadingLimit: as ``read``.
        """
        return "lecroy-trc", (describe_record(_open_waveform(source)),)

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the one waveform of ``source``, its segments apart.

        Raises:
            Truncated, CountMismatch, CorruptField, UnsupportedVersion: the arrays are not what WAVEDESC says.
            ReadingLimit: the blocks of text or the segments are more than an instrument writes.
        """
        return "lecroy-trc", (_open_waveform(source).measured(),)


def _open_waveform(source: Source) -> Waveform:
    descriptor = _read_descriptor(source)
    warnings = _check_lengths(source, descriptor)
    segments = _read_segments(source, descriptor)
    start = descriptor.start_of("WAVE_ARRAY_1")
    blocks = partial(_read_blocks, source.path, start, descriptor)
    return Waveform(
        name=_channel(source),
        samples=Samples(np.dtype(f"<i{descriptor.width}"), descriptor.count, blocks),
        unit=descriptor.unit or "unknown",
        dt_s=descriptor.dt_s,
        segments=segments,
        gain=descriptor.gain,
        offset=descriptor.offset,
        averages=descriptor.sweeps,
        vendor_metadata=_vendor_metadata(source, descriptor),
        warnings=warnings if descriptor.unit else (*warnings, "the descriptor gives no unit"),
    )


def _channel(source: Source) -> str:
    return Path(source.name).stem or "waveform"


def _text(data: bytes) -> str:
    return data.split(b"\x00")[0].decode("latin-1").strip()


def _read_descriptor(source: Source) -> _Descriptor:
    start = source.head[:64].find(_MARK)
    if start < 0:
        raise NotThisFormat("there is no WAVEDESC", file=source.name)
    with source.path.open("rb") as file:
        file.seek(start)
        data = file.read(346)
    template = _text(data[16:32])
    layout = _LAYOUTS.get(template)
    if layout is None:
        known = ", ".join(_LAYOUTS)
        message = "the WAVEDESC template is not known"
        raise UnsupportedVersion(message, file=source.name, offset=start + 16, expected=known, found=template[:40])
    if len(data) < layout.length:
        message = "the file ends inside WAVEDESC"
        raise Truncated(message, file=source.name, offset=start, expected=layout.length, found=len(data))
    order = "<" if data[34] == 1 else ">"
    comm_type = struct.unpack_from(order + "h", data, 32)[0]
    if comm_type not in (0, 1):
        raise CorruptField(
            "COMM_TYPE is not right", file=source.name, offset=start + 32, expected="0 or 1", found=comm_type
        )
    return _decode(source, data, (start, template, order, comm_type + 1), layout)


def _decode(source: Source, data: bytes, head: tuple[int, str, str, int], layout: _Layout) -> _Descriptor:
    start, template, order, width = head

    def number(kind: str, offset: int) -> Any:
        return struct.unpack_from(order + kind, data, offset)[0]

    arrays = {name: int(number("i", offset)) for name, offset in layout.arrays}
    negative = next((name for name, length in arrays.items() if length < 0), None)
    if negative is not None:
        raise CorruptField(f"the length of {negative} is negative", file=source.name, found=arrays[negative])
    subarrays = max(1, int(number("i", layout.subarray_count)))
    unit = _text(data[layout.vertical_unit : layout.vertical_unit + 48])
    time_unit = _text(data[layout.horizontal_unit : layout.horizontal_unit + 48])
    if time_unit.upper() != "S":
        message = "the horizontal unit is not the second; this is no waveform over time"
        raise UnsupportedVersion(message, file=source.name, expected="S", found=time_unit[:20])
    gain, interval = float(number("f", layout.gain)), float(number("f", layout.horizontal_interval))
    if not (np.isfinite(gain) and gain != 0 and np.isfinite(interval) and interval > 0):
        message = "the vertical gain or the horizontal interval is not right"
        raise CorruptField(message, file=source.name, offset=start + layout.gain, found=f"{gain}, {interval}")
    offset, begin = float(number("f", layout.offset)), float(number("d", layout.horizontal_offset))
    if not (np.isfinite(offset) and np.isfinite(begin)):
        message = "the vertical or the horizontal offset is no finite number"
        raise CorruptField(message, file=source.name, offset=start + layout.offset, found=f"{offset}, {begin}")
    sweeps = int(number("i", layout.sweeps)) if layout.sweeps is not None else 0
    return _Descriptor(
        start=start,
        template=template,
        order=order,
        width=width,
        arrays=arrays,
        count=int(number("i", layout.wave_array_count)),
        subarrays=subarrays,
        sweeps=sweeps if sweeps > 0 else None,
        gain=gain,
        offset=-offset,
        dt_s=interval,
        t0_s=begin,
        unit=unit,
        instrument=_text(data[layout.instrument_name : layout.instrument_name + 16]),
    )


def _check_lengths(source: Source, descriptor: _Descriptor) -> tuple[str, ...]:
    """Compare the arrays' lengths with the file's, the samples' bytes with their count, the count with the segments."""
    expected = descriptor.start + sum(descriptor.arrays.values())
    if source.size_bytes < expected:
        message = "the file ends before its arrays do"
        raise Truncated(message, file=source.name, offset=source.size_bytes, expected=expected, found=source.size_bytes)
    if source.size_bytes > expected + TRAILING_BYTES:
        message = "the file is longer than its arrays"
        raise CountMismatch(message, file=source.name, offset=expected, expected=expected, found=source.size_bytes)
    if descriptor.arrays["WAVE_ARRAY_2"]:
        message = "the file has a second array of samples (extrema or complex values), which is not supported"
        raise UnsupportedVersion(message, file=source.name, expected=0, found=descriptor.arrays["WAVE_ARRAY_2"])
    for name in ("WAVE_DESCRIPTOR", "USER_TEXT"):
        if descriptor.arrays[name] > MAX_TEXT_BYTES:
            found = descriptor.arrays[name]
            raise ReadingLimit(f"the block {name} is too long", file=source.name, expected=MAX_TEXT_BYTES, found=found)
    samples = descriptor.arrays["WAVE_ARRAY_1"] // descriptor.width
    if samples * descriptor.width != descriptor.arrays["WAVE_ARRAY_1"] or samples != descriptor.count or samples == 0:
        message = "the bytes of WAVE_ARRAY_1 do not hold WAVE_ARRAY_COUNT samples"
        raise CountMismatch(message, file=source.name, expected=descriptor.count, found=samples)
    if samples % descriptor.subarrays:
        message = "the samples do not divide into SUBARRAY_COUNT segments"
        raise CountMismatch(message, file=source.name, expected=descriptor.subarrays, found=samples)
    extra = source.size_bytes - expected
    return (f"{extra} bytes after the last array were ignored",) if extra else ()


def _read_segments(source: Source, descriptor: _Descriptor) -> tuple[Segment, ...]:
    """Return the segments with the times of TRIGTIME: trigger after the first one's, first sample after its trigger."""
    each = descriptor.count // descriptor.subarrays
    if descriptor.subarrays == 1:
        return (Segment(each, descriptor.t0_s, 0.0),)
    length = descriptor.arrays["TRIGTIME_ARRAY"]
    if length != 16 * descriptor.subarrays:
        message = "the sequence has no trigger time for each segment"
        raise CountMismatch(message, file=source.name, expected=16 * descriptor.subarrays, found=length)
    if descriptor.subarrays > MAX_SEGMENTS:
        message = "the sequence has too many segments"
        raise ReadingLimit(message, file=source.name, expected=MAX_SEGMENTS, found=descriptor.subarrays)
    with source.path.open("rb") as file:
        file.seek(descriptor.start_of("TRIGTIME_ARRAY"))
        times: NDArray[Any] = np.frombuffer(file.read(length), f"{descriptor.order}f8").reshape(-1, 2)
    if not np.isfinite(times).all():
        raise CorruptField("a trigger time is no finite number", file=source.name)
    return tuple(Segment(each, float(offset), float(trigger)) for trigger, offset in times)


def _read_blocks(path: Path, start: int, descriptor: _Descriptor) -> Iterator[NDArray[Any]]:
    native = np.dtype(f"{descriptor.order}i{descriptor.width}")
    left = descriptor.count
    with path.open("rb") as file:
        file.seek(start)
        while left:
            block: NDArray[Any] = np.fromfile(file, native, min(left, BLOCK_SAMPLES))
            if not block.size:
                return
            left -= block.size
            yield block.astype(native.newbyteorder("<"), copy=False)


def _vendor_metadata(source: Source, descriptor: _Descriptor) -> dict[str, Any]:
    with source.path.open("rb") as file:
        file.seek(descriptor.start)
        block = file.read(descriptor.arrays["WAVE_DESCRIPTOR"] or 346)
        text = file.read(descriptor.arrays["USER_TEXT"])
    return {
        "template": descriptor.template,
        "instrument": descriptor.instrument,
        "byte_order": "HIFIRST" if descriptor.order == ">" else "LOFIRST",
        "arrays": descriptor.arrays,
        "subarray_count": descriptor.subarrays,
        "sweeps_per_acquisition": descriptor.sweeps,
        "wavedesc_hex": block.hex(),
        "user_text": _text(text),
    }

"""WAVEDESC of LeCroy ``.trc`` files, decoded by the offsets of its template.

Source: the instrument's own template (``TEMPLATE?``) as printed in the LeCroy remote control manuals. LECROY_2_2 and
LECROY_2_3 have the same fields at the same places.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from instruments.adapter import Source
from instruments.errors import CorruptField, NotThisFormat, Truncated, UnsupportedVersion

MARK = b"WAVEDESC"


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
    valid: int | None = None
    """FIRST_VALID_PNT; LAST_VALID_PNT, FIRST_POINT and SPARSING_FACTOR follow it."""
    record_type: int | None = None


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
_LAYOUT_2 = _Layout(346, _ARRAYS_2_3, 76, 116, 144, 148, 156, 160, 176, 180, 196, 244, 124, 316)
_LAYOUTS = {
    "LECROY_2_3": _LAYOUT_2,
    "LECROY_2_2": _LAYOUT_2,
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
class Points:
    """Which of the samples in the file are measured, and whether others were left out of it.

    Attributes:
        first, last: indices of the first and the last good one; ``last`` is 0 where the file does not say.
        begin: index in the oscilloscope's memory of the first that was sent.
        step: every how many of the memory were sent; 0 and 1 are all.
        record_type: RECORD_TYPE.
    """

    first: int = 0
    last: int = 0
    begin: int = 0
    step: int = 1
    record_type: int = 0


@dataclass(frozen=True)
class Descriptor:
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
    points: Points

    @property
    def each(self) -> int:
        """Samples of one segment in the file."""
        return self.count // self.subarrays

    def start_of(self, name: str) -> int:
        """Return the byte offset in the file of the array ``name``."""
        offset = self.start
        for array, length in self.arrays.items():
            if array == name:
                return offset
            offset += length
        raise KeyError(name)


def text_of(data: bytes) -> str:
    """Return the text up to the first zero byte."""
    return data.split(b"\x00")[0].decode("latin-1").strip()


def read_descriptor(source: Source) -> Descriptor:
    """Return WAVEDESC of ``source``, decoded.

    Raises:
        NotThisFormat, UnsupportedVersion: there is none, of an unknown template, or its axis is not time.
        Truncated, CorruptField: the file ends inside it, or a field is not right.
    """
    start = source.head[:64].find(MARK)
    if start < 0:
        raise NotThisFormat("there is no WAVEDESC", file=source.name)
    with source.path.open("rb") as file:
        file.seek(start)
        data = file.read(346)
    template = text_of(data[16:32])
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


def _decode(source: Source, data: bytes, head: tuple[int, str, str, int], layout: _Layout) -> Descriptor:
    start, template, order, width = head

    def number(kind: str, offset: int) -> Any:
        return struct.unpack_from(order + kind, data, offset)[0]

    arrays = {name: int(number("i", offset)) for name, offset in layout.arrays}
    negative = next((name for name, length in arrays.items() if length < 0), None)
    if negative is not None:
        raise CorruptField(f"the length of {negative} is negative", file=source.name, found=arrays[negative])
    subarrays = max(1, int(number("i", layout.subarray_count)))
    unit = text_of(data[layout.vertical_unit : layout.vertical_unit + 48])
    time_unit = text_of(data[layout.horizontal_unit : layout.horizontal_unit + 48])
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
    return Descriptor(
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
        instrument=text_of(data[layout.instrument_name : layout.instrument_name + 16]),
        points=_points(number, layout),
    )


def _points(number: Callable[[str, int], Any], layout: _Layout) -> Points:
    if layout.valid is None or layout.record_type is None:
        return Points()
    first, last, begin, step = (int(number("i", layout.valid + 4 * place)) for place in range(4))
    return Points(first, last, begin, step, int(number("h", layout.record_type)))

"""Rigol ``.wfm`` files, through RigolWFM (Scott Prahl, BSD-3-Clause) and never on its word alone.

RigolWFM knows the many undocumented layouts. Its result is compared with this project's own arithmetic on the file's
length and header: channels, samples, interval and first time. Families that nobody has counted here are refused.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, ReadingLimit, UnsupportedVersion
from instruments.probing.oscilloscope_counts import (
    DS1000B,
    DS1000C,
    DS1000E,
    DS1000Z,
    UNPROVEN,
    Count,
    count_ds1000b,
    count_ds1000c,
    count_ds1000e,
    count_ds1000z,
    family_of,
)
from instruments.records import Record, Samples, Segment, Waveform, finite_range

MAX_BYTES = 256 << 20
"""RigolWFM holds a file in memory several times over; these instruments store at most 24 million samples."""
UNITS = {0: "W", 1: "A", 2: "V"}
_COMPARED_TOGETHER = 1 << 15
"""What fits in a processor's cache."""
FAMILIES: dict[bytes, Callable[[Source], Count]] = {
    DS1000Z: count_ds1000z,
    DS1000E: count_ds1000e,
    DS1000C: count_ds1000c,
    DS1000B: count_ds1000b,
}


class OscilloscopeAdapter:
    """Reads Rigol DS1000B, DS1000C, DS1000D, DS1000E and DS1000Z waveforms as native 8-bit codes."""

    name = "oscilloscope"
    version = "2"
    formats = ("rigol-wfm",)
    reach = Reach.WALK
    """RigolWFM gives the scales only with all samples, in memory."""

    def sniff(self, source: Source) -> Sniff:
        """Look for the first bytes of a known family."""
        magic = source.head[:4]
        if magic in FAMILIES and (magic != DS1000Z or source.head[8:10] in (b"DS", b"MS")):
            return Sniff(Confidence.CERTAIN, "the first bytes are those of a Rigol DS1000 waveform")
        family = family_of(source)
        if family:
            return Sniff(Confidence.LIKELY, f"the first bytes are those of a Rigol {family} waveform")
        return Sniff(Confidence.NO, "the first bytes are not of a known oscilloscope")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return a waveform for each channel of ``source``.

        Raises:
            Truncated, CountMismatch: its length, or what RigolWFM reads, is not what the header says.
            CorruptField, UnsupportedVersion: a field is not right, or the family or variant is not supported.
        """
        magic = source.head[:4]
        family = family_of(source)
        if family:
            message = f"Rigol {family} waveforms are not read: {UNPROVEN[family]}"
            raise UnsupportedVersion(message, file=source.name)
        if magic not in FAMILIES:
            raise NotThisFormat("the first bytes are not of a known oscilloscope", file=source.name)
        if source.size_bytes > MAX_BYTES:
            message = "the file is too large for such an instrument"
            raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
        expected = FAMILIES[magic](source)
        channels = _parse(source, expected.model)
        _compare(source, expected, channels)
        return "rigol-wfm", tuple(_waveform(source, expected, index, channel) for index, channel in enumerate(channels))


def _parse(source: Source, model: str) -> list[Any]:
    # Imported here: it brings a plotting library along, which no other reading needs.
    from RigolWFM.wfm import Wfm  # noqa: PLC0415

    try:
        return list(Wfm.from_file(str(source.path), model).channels)
    except Exception as error:
        text = f"{type(error).__name__}: {error}".replace(str(source.path), source.name)
        raise CorruptField(f"the reader RigolWFM refuses the file: {text[:300]}", file=source.name) from error


def _compare(source: Source, expected: Count, channels: list[Any]) -> None:
    found = tuple(int(channel.channel_number) for channel in channels)
    if found != expected.channels:
        message = "the reader and the header disagree about the channels"
        raise CountMismatch(message, file=source.name, expected=str(expected.channels), found=str(found))
    for channel in channels:
        for points in (len(channel.raw), len(channel.volts), len(channel.times)):
            if points != expected.points:
                message = "the reader and the file's length disagree about the samples of a channel"
                raise CountMismatch(message, file=source.name, expected=expected.points, found=points)
        interval, start = float(channel.seconds_per_point), float(channel.times[0])
        if abs(interval - expected.dt_s) > 1e-6 * expected.dt_s:
            message = "the reader and the header disagree about the sampling interval"
            raise CountMismatch(message, file=source.name, expected=expected.dt_s, found=interval)
        if abs(start - expected.t0_s) > 1e-3 * expected.dt_s:
            message = "the reader and the header disagree about the first time"
            raise CountMismatch(message, file=source.name, expected=expected.t0_s, found=start)


def _is_scaled(codes: NDArray[np.uint8], values: Any, scale: NDArray[Any], limit: float) -> bool:
    """Tell whether every value is its code's on ``scale``, of shape ``(256,)``."""
    for start in range(0, codes.size, _COMPARED_TOGETHER):
        part = slice(start, start + _COMPARED_TOGETHER)
        if not np.abs(scale[codes[part]] - values[part]).max() <= limit:
            return False
    return True


def _waveform(source: Source, expected: Count, index: int, channel: Any) -> Waveform:
    codes = np.asarray(channel.raw, np.uint8)
    gain = -float(channel.y_scale)
    offset = float(channel.y_scale) * expected.midpoint - float(channel.y_offset)
    if gain == 0 or not _is_scaled(codes, channel.volts, gain * np.arange(256) + offset, 1e-6 * abs(gain)):
        raise CountMismatch("the reader's values are not a gain and an offset of its codes", file=source.name)
    warnings: list[str] = []
    probe = expected.probe_factors[index] if expected.probe_factors else 1.0
    if probe != 1:
        warnings += expected.doubts
    if int(codes.min()) == 0 or int(codes.max()) == 255:
        warnings.append("samples at the end of the code range may be clipped")
    low, high = finite_range((codes,), gain, offset)
    unit = getattr(channel.unit, "value", channel.unit)
    return Waveform(
        name=f"CH{channel.channel_number}",
        samples=Samples.of(codes),
        unit=UNITS.get(int(unit), "unknown"),
        dt_s=expected.dt_s,
        segments=(Segment(expected.points, expected.t0_s, 0.0),),
        minimum=low,
        maximum=high,
        gain=gain,
        offset=offset,
        vendor_metadata={
            "reader": "RigolWFM",
            "coupling": str(channel.coupling),
            "probe": float(channel.probe_value),
            "inverted": bool(channel.inverted),
            "volt_per_division": float(channel.volt_per_division),
            "firmware": str(channel.firmware),
            "header_hex": source.head[:304].hex(),
        },
        warnings=tuple(warnings),
    )

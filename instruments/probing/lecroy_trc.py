"""LeCroy ``.trc`` files: templates LECROY_2_3, LECROY_2_2 and LECROY_1_0, sequence files as segments.

Source: the instrument's own template (``TEMPLATE?``) as printed in the LeCroy remote control manuals. A file is an
optional IEEE 488.2 block header (``#9nnnnnnnnn``), the WAVEDESC block, and arrays whose lengths WAVEDESC gives; their
sum must be the file's length, which is the independent count. ``value = VERTICAL_GAIN * code - VERTICAL_OFFSET``.

Of an acquisition that was stopped early only the points from FIRST_VALID_PNT to LAST_VALID_PNT are read; the others are
padding. Where WAVEFORM_SETUP left points out, the manuals do not say what interval and offset then stand for: they stay
unknown. RIS files, whose samples are not evenly spaced, are refused.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.errors import CorruptField, CountMismatch, ReadingLimit, Truncated, UnsupportedVersion
from instruments.probing.lecroy_wavedesc import MARK, Descriptor, read_descriptor, text_of
from instruments.records import Record, Samples, Segment, Waveform

BLOCK_SAMPLES = 1 << 20
TRAILING_BYTES = 4
"""Some instruments end the file with a line feed or padding; more than this is not explained."""
MAX_TEXT_BYTES = 16 << 20
MAX_SEGMENTS = 1_000_000


_NO_WAVEFORMS = {2: "a histogram", 4: "coefficients of a filter"}
_INTERLEAVED = (1, 8)
"""RECORD_TYPE."""


class LecroyTrcAdapter:
    """Reads LeCroy waveforms, block by block, as native 8- or 16-bit codes."""

    name = "lecroy_trc"
    version = "3"
    formats = ("lecroy-trc",)
    reach = Reach.HEADER

    def sniff(self, source: Source) -> Sniff:
        """Look for WAVEDESC at the beginning of ``source``, after an optional block header."""
        place = source.head[:64].find(MARK)
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
    descriptor = read_descriptor(source)
    warnings = _check_lengths(source, descriptor)
    _check_kind(source, descriptor)
    first, count, doubts = _kept(source, descriptor)
    segments, more = _place_segments(descriptor, _read_segments(source, descriptor), first, count)
    warnings = (*warnings, *doubts, *more)
    start = descriptor.start_of("WAVE_ARRAY_1") + first * descriptor.width
    blocks = partial(_read_blocks, source.path, start, (f"{descriptor.order}i{descriptor.width}", count))
    sparse = descriptor.points.step > 1
    return Waveform(
        name=_channel(source),
        samples=Samples(np.dtype(f"<i{descriptor.width}"), count, blocks),
        unit=descriptor.unit or "unknown",
        dt_s=None if sparse else descriptor.dt_s,
        segments=segments,
        gain=descriptor.gain,
        offset=descriptor.offset,
        averages=descriptor.sweeps,
        vendor_metadata=_vendor_metadata(source, descriptor),
        warnings=warnings if descriptor.unit else (*warnings, "the descriptor gives no unit"),
    )


def _channel(source: Source) -> str:
    return Path(source.name).stem or "waveform"


def _check_kind(source: Source, descriptor: Descriptor) -> None:
    """Refuse what is no regular waveform although its arrays look like one."""
    kind = _NO_WAVEFORMS.get(descriptor.points.record_type)
    if kind is not None:
        message = f"the record is {kind}, no waveform over time"
        raise UnsupportedVersion(message, file=source.name, expected=0, found=descriptor.points.record_type)
    length = descriptor.arrays.get("RIS_TIME_ARRAY", 0)
    if length:
        message = "the samples of a repetitive signal (RIS) are not evenly spaced and are not read"
        raise UnsupportedVersion(message, file=source.name, expected=0, found=length)


def _kept(source: Source, descriptor: Descriptor) -> tuple[int, int, tuple[str, ...]]:
    """Return the first sample to read, how many, and what to say of the others.

    Raises:
        UnsupportedVersion: padding reaches into a segment of a sequence.
    """
    points, count = descriptor.points, descriptor.count
    first, last = points.first, points.last
    if (first, last) in ((0, 0), (0, count - 1)):
        return 0, count, ()
    if not 0 <= first <= last < count:
        return 0, count, (f"the valid points {first} to {last} are not among the {count} in the file; all were read",)
    each = descriptor.each
    if descriptor.subarrays > 1 and (first or (last + 1) % each):
        message = "an acquisition that was stopped ends inside a segment of the sequence"
        raise UnsupportedVersion(message, file=source.name, expected=count - 1, found=last)
    left = count - (last - first + 1)
    return first, last - first + 1, (f"{left} points before or after the valid ones are padding and were left out",)


def _place_segments(
    descriptor: Descriptor, segments: tuple[Segment, ...], first: int, count: int
) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Return the segments that hold the ``count`` samples from ``first`` on, with times where they are known."""
    points, doubts = descriptor.points, []
    if descriptor.subarrays > 1:
        placed = list(segments[: count // descriptor.each])
    else:
        begin = segments[0].t0_s
        moved = None if begin is None else begin + first * descriptor.dt_s if first else begin
        placed = [Segment(count, moved, segments[0].trigger_offset_s)]
    if points.step > 1:
        doubts.append(f"only one of {points.step} points was sent (SPARSING_FACTOR): their interval is not known")
    if points.begin > 0:
        doubts.append(f"the first {points.begin} points were not sent (FIRST_POINT): the first time is not known")
    if doubts:
        placed = [Segment(part.count, None, part.trigger_offset_s) for part in placed]
    if points.record_type in _INTERLEAVED:
        doubts.append("the samples are interleaved from several sweeps, without a time for each sweep")
    return tuple(placed), tuple(doubts)


def _check_lengths(source: Source, descriptor: Descriptor) -> tuple[str, ...]:
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


def _read_segments(source: Source, descriptor: Descriptor) -> tuple[Segment, ...]:
    """Return the segments with the times of TRIGTIME: trigger after the first one's, first sample after its trigger."""
    each = descriptor.each
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


def _read_blocks(path: Path, start: int, what: tuple[str, int]) -> Iterator[NDArray[Any]]:
    """Yield so many samples of the type that ``what`` says."""
    native, left = np.dtype(what[0]), what[1]
    with path.open("rb") as file:
        file.seek(start)
        while left:
            block: NDArray[Any] = np.fromfile(file, native, min(left, BLOCK_SAMPLES))
            if not block.size:
                return
            left -= block.size
            yield block.astype(native.newbyteorder("<"), copy=False)


def _vendor_metadata(source: Source, descriptor: Descriptor) -> dict[str, Any]:
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
        "valid_points": [descriptor.points.first, descriptor.points.last],
        "first_point": descriptor.points.begin,
        "sparsing_factor": descriptor.points.step,
        "record_type": descriptor.points.record_type,
        "wavedesc_hex": block.hex(),
        "user_text": text_of(text),
    }

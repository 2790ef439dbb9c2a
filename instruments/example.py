"""A worked example for ``README.md``: how a format is read here. Not registered; the contract suite runs it.

The invented *photometer* writes a text header and then 16-bit codes:

    #PHOTOMETER 1
    channel=A
    unit=mW
    interval_s=1e-6
    start_s=-0.5
    gain=0.01
    samples=3
    #DATA
    <3 little-endian int16>

Step numbers in the comments are those of ``README.md``.
"""

import math
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, Truncated, UnsupportedVersion
from instruments.records import Record, Samples, Segment, Waveform

MARK = b"#PHOTOMETER "
DATA = b"\n#DATA\n"
BLOCK_SAMPLES = 1 << 20


class PhotometerAdapter:
    """Reads one photometer record."""

    # Step 1: a name nobody has, and a version to raise whenever records would come out different.
    name = "photometer"
    version = "1"
    formats = ("photometer",)
    # Step 3: the header says how much there is, so the file can be described without its samples.
    reach = Reach.HEADER

    def sniff(self, source: Source) -> Sniff:
        """Look for the mark of ``source`` at its beginning."""
        # Step 2: judge by content; never raise. CERTAIN only for what no other format can begin with.
        if source.head.startswith(MARK):
            return Sniff(Confidence.CERTAIN, "the file begins with #PHOTOMETER")
        return Sniff(Confidence.NO, "the file does not begin with #PHOTOMETER")

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what ``source`` holds, by its header alone.

        Raises:
            NotThisFormat, UnsupportedVersion, CorruptField: the header is not right.
            Truncated, CountMismatch: the bytes after it are not the declared samples.
        """
        return "photometer", (describe_record(_open_waveform(source)),)

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the waveform of ``source``.

        Raises:
            NotThisFormat, UnsupportedVersion, CorruptField, Truncated, CountMismatch: as ``describe``.
        """
        # Step 3: only here are samples looked at; checks that need them (a checksum, say) belong here too.
        return "photometer", (_open_waveform(source).measured(),)


def _open_waveform(source: Source) -> Waveform:
    """Return the waveform by its header; its samples are read when someone asks for their blocks."""
    fields, start = _read_header(source)
    count = _count(source, fields)
    # Step 4: the second count comes from somewhere else than the first: here from the file's length.
    _check_length(source, start, count)
    gain = _number(source, fields, "gain")
    interval, begin = _number(source, fields, "interval_s"), _number(source, fields, "start_s")
    if interval <= 0 or gain == 0:
        raise CorruptField("interval_s or gain is not right", file=source.name, found=f"{interval}, {gain}")
    # Step 3: samples stay native and are read in blocks; gain, offset and unit go with them.
    return Waveform(
        name=fields["channel"],
        samples=Samples(np.dtype("<i2"), count, partial(_read_blocks, source, start, count)),
        unit=fields["unit"] or "unknown",
        dt_s=interval,
        segments=(Segment(count, begin, 0.0),),
        gain=gain,
        vendor_metadata=dict(fields),
        warnings=() if fields["unit"] else ("the header gives no unit",),
    )


def _read_header(source: Source) -> tuple[dict[str, str], int]:
    """Return the fields, and the byte offset of the first sample."""
    if not source.head.startswith(MARK):
        raise NotThisFormat("the file does not begin with #PHOTOMETER", file=source.name)
    end = source.head.find(DATA)
    if end < 0:
        raise Truncated("the header has no end", file=source.name, expected="#DATA")
    first, *lines = source.head[:end].decode("latin-1").split("\n")
    if first != "#PHOTOMETER 1":
        message = "this version is not known"
        raise UnsupportedVersion(message, file=source.name, expected="1", found=first[len(MARK) :][:20])
    fields = {key: value for key, _, value in (line.partition("=") for line in lines)}
    for key in ("channel", "unit", "interval_s", "start_s", "gain", "samples"):
        if key not in fields:
            raise CorruptField(f"the header has no {key}", file=source.name)
    return fields, end + len(DATA)


def _number(source: Source, fields: dict[str, str], key: str) -> float:
    try:
        value = float(fields[key])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CorruptField(f"{key} is no number", file=source.name, found=fields[key][:40])
    return value


def _count(source: Source, fields: dict[str, str]) -> int:
    text = fields["samples"]
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise CorruptField("samples is no count", file=source.name, found=text[:40])
    return int(text)


def _check_length(source: Source, start: int, count: int) -> None:
    expected, found = start + 2 * count, source.size_bytes
    if found < expected:
        raise Truncated("the file ends before its samples do", file=source.name, expected=expected, found=found)
    if found > expected:
        raise CountMismatch("the file is longer than its samples", file=source.name, expected=expected, found=found)


def _read_blocks(source: Source, start: int, count: int) -> Iterator[NDArray[Any]]:
    with source.path.open("rb") as file:
        file.seek(start)
        while count > 0 and (block := np.fromfile(file, "<i2", min(count, BLOCK_SAMPLES))).size:
            count -= block.size
            yield block

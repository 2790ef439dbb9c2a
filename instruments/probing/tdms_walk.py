"""A walk over the segments of a TDMS file: the count that npTDMS is checked against, and where the samples lie.

Source: National Instruments, "The NI TDMS File Format" (version 2.0). A segment is a lead-in of 28 bytes (``TDSm``, a
mask of what it holds, a version, the distances to the next segment and to its raw data), metadata, and raw data. The
metadata list objects; an object's raw data index says type and number of its values in one chunk. The raw data are a
whole number of chunks. What a list or an index leaves out stands as in the segment before. DAQmx indices (the lines
and cards of acquisition hardware) are in ``tdms_daqmx``.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    NotThisFormat,
    ReadingLimit,
    Truncated,
    UnsupportedVersion,
)
from instruments.probing.tdms_blocks import Runs, count_chunks
from instruments.probing.tdms_cursor import Cursor
from instruments.probing.tdms_daqmx import DAQMX_HEADERS, DaqmxIndex, lay_out_daqmx, read_daqmx_index

TAG, INDEX_TAG = b"TDSm", b"TDSh"
LEAD_IN_BYTES = 28
METADATA, NEW_LIST, RAW_DATA, INTERLEAVED, BIG_ENDIAN, DAQMX = 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 6, 1 << 7
KNOWN_FLAGS = METADATA | NEW_LIST | RAW_DATA | INTERLEAVED | BIG_ENDIAN | DAQMX
VERSIONS = (4712, 4713)
UNFINISHED = 2**64 - 1
NO_DATA, SAME_AS_BEFORE = 0xFFFFFFFF, 0
MAXIMUM_METADATA_BYTES = 256 << 20
TEXT, TIMESTAMP, BOOLEAN, DAQMX_RAW, VOID = 0x20, 0x44, 0x21, 0xFFFFFFFF, 0
TYPES = {
    **{1: "i1", 2: "i2", 3: "i4", 4: "i8", 5: "u1", 6: "u2", 7: "u4", 8: "u8", 9: "f4", 10: "f8"},
    **{0x19: "f4", 0x1A: "f8", BOOLEAN: "u1", 0x08000C: "c8", 0x10000D: "c16"},
}
PROPERTY_BYTES = {code: np.dtype(text).itemsize for code, text in TYPES.items()} | {TIMESTAMP: 16}
MEANING = ("wf_increment", "wf_start_offset", "wf_start_time", "wf_x", "unit_string", "NI_Scal", "NI_UnitDescription")
"""Beginnings of the names of properties that say when and in what the data were taken."""


@dataclass(frozen=True)
class RawIndex:
    """What one chunk holds of an object: values of a TDMS type, and for text the bytes of all; or DAQmx scalers."""

    type_code: int
    count: int
    text_bytes: int = 0
    daqmx: DaqmxIndex | None = None

    @property
    def chunk_bytes(self) -> int:
        """Bytes of the object in a chunk that is not DAQmx."""
        if self.type_code == TEXT:
            return self.text_bytes
        return self.count * value_dtype(self.type_code, "<").itemsize if self.count else 0


@dataclass
class WalkedChannel:
    """One object with raw data: its TDMS type, its number of values, and where they lie.

    ``scale_id`` is the number that scalings know DAQmx data by; ``bit`` the line's bit in a byte of a digital line;
    ``changed`` the properties of time, unit and scale that got another value after some of the data.
    """

    path: str
    type_code: int
    count: int = 0
    places: list[Runs] = field(default_factory=list)
    scale_id: int | None = None
    bit: int | None = None
    changed: set[str] = field(default_factory=set)


@dataclass
class WalkedFile:
    """What the walk found: the version, the number of segments, and the objects with raw data by path."""

    version: int = 0
    segments: int = 0
    channels: dict[str, WalkedChannel] = field(default_factory=dict)


@dataclass(frozen=True)
class _LeadIn:
    start: int
    flags: int
    data_start: int
    end: int

    @property
    def order(self) -> str:
        return ">" if self.flags & BIG_ENDIAN else "<"


def value_dtype(type_code: int, order: str) -> np.dtype[Any]:
    """Return the dtype of one value in the file, of a text that of its end; ``order`` is ``"<"`` or ``">"``."""
    if type_code == TIMESTAMP:
        names = [("fraction", f"{order}u8"), ("seconds", f"{order}i8")]
        return np.dtype(names if order == "<" else names[::-1])
    if type_code == TEXT:
        return np.dtype(f"{order}u4")
    return np.dtype(f"{order}{TYPES[type_code]}")


def walk_tdms(path: Path, file: str) -> WalkedFile:
    """Walk all segments of ``path``; ``file`` is its name for messages.

    Raises:
        NotThisFormat: it does not begin with a segment.
        Truncated: it ends within a segment, or the writer never finished the last one.
        CountMismatch: raw data are not a whole number of chunks.
        CorruptField, UnsupportedVersion: a field cannot be right, or is not known.
        ReadingLimit: a segment claims more metadata than is read.
    """
    try:
        return _walk(path, file)
    except InstrumentError as error:
        error.file = file
        raise


def _walk(path: Path, file: str) -> WalkedFile:
    size = path.stat().st_size
    walked = WalkedFile()
    objects = _Objects(file, walked)
    with path.open("rb") as stream:
        position = 0
        while position < size or position == 0:
            lead_in, version = _read_lead_in(stream, position, size, file)
            if walked.segments and version != walked.version:
                message = "segments are of different versions"
                raise CorruptField(message, file=file, offset=position + 8, expected=walked.version, found=version)
            walked.version = version
            walked.segments += 1
            length = lead_in.data_start - position - LEAD_IN_BYTES
            if lead_in.flags & METADATA:
                if length > MAXIMUM_METADATA_BYTES:
                    message = "the metadata of a segment are too long"
                    raise ReadingLimit(message, file=file, expected=MAXIMUM_METADATA_BYTES, found=length)
                objects.update(Cursor(stream.read(length), position + LEAD_IN_BYTES, lead_in.order, file), lead_in)
            elif walked.segments == 1:
                raise CorruptField("the first segment has no metadata", file=file, offset=4)
            _lay_out(lead_in, objects.active, walked, file)
            position = lead_in.end
    return walked


def _read_lead_in(stream: BinaryIO, position: int, size: int, file: str) -> tuple[_LeadIn, int]:
    stream.seek(position)
    data = stream.read(LEAD_IN_BYTES)
    if data[:4] != TAG:
        if data[:4] == INDEX_TAG:
            message = "this is a TDMS index, which holds no samples; the .tdms file beside it has all"
            raise UnsupportedVersion(message, file=file, offset=position)
        kind = NotThisFormat if position == 0 else CorruptField
        found = data[:4].hex() or "nothing"
        raise kind("a segment does not begin with TDSm", file=file, offset=position, expected=TAG.hex(), found=found)
    if len(data) < LEAD_IN_BYTES:
        message = "the file ends within a segment's lead-in"
        raise Truncated(message, file=file, offset=position, expected=LEAD_IN_BYTES, found=len(data))
    (flags,) = struct.unpack_from("<I", data, 4)
    if flags & ~KNOWN_FLAGS:
        message = "a segment has flags that are not known"
        raise UnsupportedVersion(message, file=file, offset=position + 4, found=hex(flags & ~KNOWN_FLAGS))
    order = ">" if flags & BIG_ENDIAN else "<"
    version, next_offset, raw_offset = struct.unpack_from(f"{order}IQQ", data, 8)
    if version not in VERSIONS:
        message = "this version of TDMS is not known"
        raise UnsupportedVersion(message, file=file, offset=position + 8, expected="4712 or 4713", found=version)
    start = position + LEAD_IN_BYTES
    if next_offset == UNFINISHED:
        raise Truncated("the last segment was never finished: its length is unknown", file=file, offset=position + 12)
    if start + next_offset > size:
        message = "the file ends within a segment"
        raise Truncated(message, file=file, offset=size, expected=start + next_offset, found=size)
    if raw_offset > next_offset:
        message = "the raw data of a segment begin after its end"
        raise CorruptField(message, file=file, offset=position + 20, expected=f"<= {next_offset}", found=raw_offset)
    lead_in = _LeadIn(position, flags, start + raw_offset, start + next_offset)
    if not flags & RAW_DATA and lead_in.data_start != lead_in.end:
        message = "a segment without raw data has bytes where they would be"
        raise CountMismatch(message, file=file, offset=lead_in.data_start, expected=0, found=next_offset - raw_offset)
    return lead_in, version


class _Objects:
    """The list of objects as it stands, and the last raw data index of every object."""

    def __init__(self, file: str, walked: WalkedFile) -> None:
        self.file = file
        self.walked = walked
        self.properties: dict[tuple[str, str], bytes] = {}
        self.active: dict[str, RawIndex | None] = {}
        self.known: dict[str, RawIndex] = {}

    def update(self, cursor: Cursor, lead_in: _LeadIn) -> None:
        """Read the metadata of one segment."""
        if lead_in.flags & NEW_LIST:
            self.active = {}
        listed: set[str] = set()
        for _ in range(cursor.u32()):
            place = cursor.offset
            path = cursor.text()
            if path in listed:
                raise CorruptField("a segment lists an object twice", file=self.file, offset=place, found=path[:80])
            listed.add(path)
            self.active[path] = self._read_index(cursor, path)
            for _ in range(cursor.u32()):
                self._note(path, cursor.text(), _read_property(cursor, self.file))

    def _note(self, path: str, name: str, value: bytes) -> None:
        """See whether a property, without which the data mean something else, changes after some of them."""
        if not name.startswith(MEANING):
            return
        before = self.properties.setdefault((path, name), value)
        if before != value:
            self.properties[path, name] = value
            if path in self.walked.channels:
                self.walked.channels[path].changed.add(name)

    def _read_index(self, cursor: Cursor, path: str) -> RawIndex | None:
        place = cursor.offset
        header = cursor.u32()
        if header == NO_DATA:
            return None
        if header == SAME_AS_BEFORE:
            if path not in self.known:
                message = "an object refers to an index that was never given"
                raise CorruptField(message, file=self.file, offset=place, found=path[:80])
            return self.known[path]
        type_code, dimension, count = cursor.u32(), cursor.u32(), cursor.u64()
        if dimension != 1:
            raise CorruptField("an array is not of one dimension", file=self.file, offset=place, found=dimension)
        if header in DAQMX_HEADERS:
            index = RawIndex(type_code, count, daqmx=read_daqmx_index(cursor, header, path))
        else:
            index = self._standard_index(cursor, (header, type_code, count), place)
        before = self.known.get(path)
        if before is not None and before.type_code != index.type_code and before.count and count:
            message = "an object changes its type"
            raise CorruptField(message, file=self.file, offset=place, expected=before.type_code, found=type_code)
        self.known[path] = index
        return index

    def _standard_index(self, cursor: Cursor, fields: tuple[int, int, int], place: int) -> RawIndex:
        header, type_code, count = fields
        text_bytes = cursor.u64() if type_code == TEXT else 0
        if type_code not in TYPES and type_code not in (TEXT, TIMESTAMP) and not (type_code == VOID and count == 0):
            message = "the type of an object's values is not read"
            raise UnsupportedVersion(message, file=self.file, offset=place + 4, found=hex(type_code))
        length = cursor.offset - place
        # Writers count the four bytes of the length itself, or do not.
        if header not in (length, length - 4):
            message = "the length of a raw data index"
            raise CorruptField(message, file=self.file, offset=place, expected=length, found=header)
        return RawIndex(type_code, count, text_bytes)


def _read_property(cursor: Cursor, file: str) -> bytes:
    place = cursor.offset
    code = cursor.u32()
    if code == TEXT:
        return cursor.raw(cursor.u32())
    if code in PROPERTY_BYTES:
        return cursor.raw(PROPERTY_BYTES[code])
    message = "the type of a property is not read"
    raise UnsupportedVersion(message, file=file, offset=place, found=hex(code))


def _lay_out(lead_in: _LeadIn, active: dict[str, RawIndex | None], walked: WalkedFile, file: str) -> None:
    """Add where the raw data of one segment lie to the channels of ``walked``."""
    total = lead_in.end - lead_in.data_start
    if total == 0:
        return
    present = {path: index for path, index in active.items() if index is not None and index.count}
    daqmx = {path: index for path, index in present.items() if index.daqmx is not None}
    if bool(lead_in.flags & DAQMX) != bool(daqmx) or (daqmx and len(daqmx) != len(present)):
        message = "a segment mixes DAQmx and other raw data"
        raise UnsupportedVersion(message, file=file, offset=lead_in.start + 4)
    if daqmx:
        _lay_out_daqmx(lead_in, present, walked, file)
        return
    sizes = {path: index.chunk_bytes for path, index in present.items()}
    chunks = count_chunks(total, sum(sizes.values()), lead_in.data_start, file)
    if lead_in.flags & INTERLEAVED:
        _lay_out_interleaved(lead_in, present, walked, file)
        return
    offset, chunk_bytes = lead_in.data_start, sum(sizes.values())
    for path, index in present.items():
        dtype = value_dtype(index.type_code, lead_in.order)
        runs = Runs(offset, sizes[path], chunk_bytes, chunks, dtype, index.count * chunks)
        _add(walked, WalkedChannel(path, index.type_code), runs)
        offset += sizes[path]


def _lay_out_interleaved(lead_in: _LeadIn, present: dict[str, RawIndex], walked: WalkedFile, file: str) -> None:
    counts = sorted({index.count for index in present.values()})
    if len(counts) > 1:
        message = "interleaved channels have different numbers of values"
        raise CorruptField(message, file=file, offset=lead_in.data_start, expected=counts[-1], found=counts[0])
    if any(index.type_code == TEXT for index in present.values()):
        raise UnsupportedVersion("texts are interleaved", file=file, offset=lead_in.data_start)
    dtypes = {path: value_dtype(index.type_code, lead_in.order) for path, index in present.items()}
    width = sum(dtype.itemsize for dtype in dtypes.values())
    rows = (lead_in.end - lead_in.data_start) // width
    offset = lead_in.data_start
    for path, dtype in dtypes.items():
        runs = Runs(offset, dtype.itemsize, width, rows, dtype, rows)
        _add(walked, WalkedChannel(path, present[path].type_code), runs)
        offset += dtype.itemsize


def _lay_out_daqmx(lead_in: _LeadIn, present: dict[str, RawIndex], walked: WalkedFile, file: str) -> None:
    indices = {path: (index.daqmx, index.count) for path, index in present.items() if index.daqmx is not None}
    span = (lead_in.data_start, lead_in.end)
    for path, scaler, runs in lay_out_daqmx(indices, span, lead_in.order, file):
        found = WalkedChannel(path, present[path].type_code, scale_id=scaler.scale_id, bit=scaler.bit)
        _add(walked, found, runs)


def _add(walked: WalkedFile, found: WalkedChannel, runs: Runs) -> None:
    channel = walked.channels.setdefault(found.path, found)
    if (channel.scale_id, channel.bit) != (found.scale_id, found.bit):
        raise UnsupportedVersion(f"the DAQmx channel {found.path[:80]} changes its scaler", offset=runs.start)
    channel.places.append(runs)
    channel.count += runs.count

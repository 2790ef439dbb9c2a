"""A walk over the directories of a TIFF file: the count that tifffile is checked against.

Source: TIFF revision 6.0 (Adobe, 1992) and the BigTIFF proposal. Only what the size of an image follows from is read.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from instruments.errors import CorruptField, NotThisFormat, ReadingLimit, Truncated

MAXIMUM_DIRECTORIES = 10_000
MAXIMUM_ENTRIES = 4096
MAXIMUM_PIECES = 1 << 20
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, FORMAT = 256, 257, 258, 259, 277, 339
STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 273, 279, 324, 325
WANTED = {WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, FORMAT, STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES}


@dataclass(frozen=True)
class Directory:
    """One image: its size, its samples' bits and format (1 unsigned, 2 signed, 3 float, 6 complex), and its bytes."""

    rows: int
    columns: int
    samples: int
    bits: tuple[int, ...]
    sample_format: int
    compression: int
    stored_bytes: int
    tiled: bool


@dataclass(frozen=True)
class _Layout:
    order: str
    big: bool

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(f"{self.order}HHQ8s" if self.big else f"{self.order}HHI4s")

    @property
    def offset(self) -> struct.Struct:
        return struct.Struct(f"{self.order}Q" if self.big else f"{self.order}I")

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(f"{self.order}Q" if self.big else f"{self.order}H")


def walk_directories(path: Path, file: str) -> list[Directory]:
    """Return the directories of the TIFF file ``path`` in their order; ``file`` is its name for messages.

    Raises:
        NotThisFormat: it is no TIFF file.
        Truncated: a directory, or an image's bytes, lie outside the file.
        CorruptField, ReadingLimit: a directory cannot be right, there is a circle, or there are too many.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        layout, place = _read_header(stream.read(16), file)
        found: list[Directory] = []
        seen: set[int] = set()
        while place:
            if place in seen:
                raise CorruptField("the directories of the TIFF file go round in a circle", file=file, offset=place)
            if len(found) >= MAXIMUM_DIRECTORIES:
                raise ReadingLimit("the TIFF file has too many directories", file=file, expected=MAXIMUM_DIRECTORIES)
            seen.add(place)
            directory, place = _read_directory(stream, place, layout, (size, file))
            found.append(directory)
    if not found:
        raise CorruptField("the TIFF file has no directory", file=file)
    return found


def _read_header(head: bytes, file: str) -> tuple[_Layout, int]:
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise NotThisFormat("it is no TIFF file", file=file)
    (version,) = struct.unpack_from(f"{order}H", head, 2)
    if version == 42:
        return _Layout(order, False), int(struct.unpack_from(f"{order}I", head, 4)[0])
    if version == 43 and len(head) == 16:
        return _Layout(order, True), int(struct.unpack_from(f"{order}Q", head, 8)[0])
    raise NotThisFormat("it is no TIFF file", file=file, offset=2, expected="42 or 43", found=version)


def _read(stream: BinaryIO, place: int, length: int, about: tuple[int, str]) -> bytes:
    size, file = about
    if place + length > size:
        message = "a part of the TIFF file lies outside it"
        raise Truncated(message, file=file, offset=place, expected=place + length, found=size)
    stream.seek(place)
    return stream.read(length)


def _read_directory(stream: BinaryIO, place: int, layout: _Layout, about: tuple[int, str]) -> tuple[Directory, int]:
    size, file = about
    (count,) = layout.count.unpack(_read(stream, place, layout.count.size, about))
    if not 0 < count <= MAXIMUM_ENTRIES:
        raise CorruptField("a directory of the TIFF file has too few or too many entries", file=file, found=count)
    start = place + layout.count.size
    data = _read(stream, start, count * layout.entry.size + layout.offset.size, about)
    tags: dict[int, tuple[int, ...]] = {}
    for index in range(count):
        tag, kind, number, value = layout.entry.unpack_from(data, index * layout.entry.size)
        if tag in WANTED and tag not in tags:
            tags[tag] = _values(stream, (kind, number, value), layout, about)
    (following,) = layout.offset.unpack_from(data, count * layout.entry.size)
    missing = next((tag for tag in (WIDTH, LENGTH) if len(tags.get(tag, ())) != 1 or not tags[tag][0]), None)
    if missing is not None:
        raise CorruptField(f"a directory has no number for the tag {missing}", file=file, offset=place)
    tiled = TILE_OFFSETS in tags
    offsets = tags.get(TILE_OFFSETS if tiled else STRIP_OFFSETS, ())
    lengths = tags.get(TILE_BYTES if tiled else STRIP_BYTES, ())
    if len(offsets) != len(lengths) or not offsets:
        message = "a directory has not one length for each strip or tile"
        raise CorruptField(message, file=file, offset=place, expected=len(offsets), found=len(lengths))
    for offset, length in zip(offsets, lengths, strict=True):
        if offset + length > size:
            message = "the file ends within an image"
            raise Truncated(message, file=file, offset=offset, expected=offset + length, found=size)
    samples = tags.get(SAMPLES, (1,))[0]
    made = Directory(
        rows=tags[LENGTH][0],
        columns=tags[WIDTH][0],
        samples=samples,
        bits=tags.get(BITS, (1,)),
        sample_format=tags.get(FORMAT, (1,))[0],
        compression=tags.get(COMPRESSION, (1,))[0],
        stored_bytes=sum(lengths),
        tiled=tiled,
    )
    return made, int(following)


def _values(
    stream: BinaryIO, entry: tuple[int, int, bytes], layout: _Layout, about: tuple[int, str]
) -> tuple[int, ...]:
    kind, number, value = entry
    if kind not in FORMATS or not 0 < number <= MAXIMUM_PIECES:
        raise CorruptField("a tag of the TIFF file is not right", file=about[1], expected="whole numbers", found=kind)
    length = SIZES[kind] * number
    data = value[:length]
    if length > layout.offset.size:
        data = _read(stream, int(layout.offset.unpack(value)[0]), length, about)
    return tuple(int(item) for item in struct.unpack(f"{layout.order}{number}{FORMATS[kind]}", data))

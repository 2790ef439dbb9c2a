"""Opening an STDF file and walking its record headers: the first count of what it holds.

Every byte belongs to a record; the walk must end exactly at the end of the file.
"""

import gzip
import mmap
import struct
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Source
from instruments.electrical.stdf_layouts import LAYOUTS
from instruments.errors import CorruptField, NotThisFormat, ReadingLimit, Truncated, UnsupportedVersion

MAX_BYTES = 512 << 20
GZIP_MARK = b"\x1f\x8b"
_HEADER_BYTES = 4
_BLOCK_BYTES = 1 << 20
_FAR = (0, 10)
_MRR = (1, 20)
_VAX, _BIG, _LITTLE = 0, 1, 2


@dataclass(frozen=True)
class Walk:
    """The headers of a file.

    Attributes:
        data: the whole file, unpacked.
        order: ``<`` or ``>``.
        places: record type (REC_TYP, REC_SUB) to the byte offsets of its records' headers, int64, increasing.
        warnings: what is doubtful about the file's form.
    """

    data: Any
    order: str
    places: dict[tuple[int, int], NDArray[np.int64]]
    warnings: tuple[str, ...]

    def of(self, name: str) -> NDArray[np.int64]:
        """Return the offsets of the records called ``name``, empty when there are none."""
        key = next(key for key, layout in LAYOUTS.items() if layout.name == name)
        return self.places.get(key, np.empty(0, np.int64))


def unpacked_head(head: bytes) -> bytes:
    """Return the beginning of what ``head`` holds; empty when it is a damaged gzip stream."""
    if not head.startswith(GZIP_MARK):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 64)
    except zlib.error:
        return b""


def looks_like_far(head: bytes) -> bool:
    """Say whether ``head`` begins with a file attributes record in either byte order."""
    return len(head) >= _HEADER_BYTES + 2 and head[2:4] == bytes(_FAR) and head[:2] in (b"\x02\x00", b"\x00\x02")


@contextmanager
def opened(source: Source) -> Iterator[Any]:
    """Give the bytes of ``source``, unpacked if it is a gzip stream.

    Raises:
        ReadingLimit: it is larger than may be read.
        Truncated, CorruptField: the gzip stream is damaged.
    """
    if source.size_bytes > MAX_BYTES:
        message = "the file is too large to be read"
        raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
    if source.head.startswith(GZIP_MARK):
        yield _unpack(source)
        return
    with source.path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file cannot be mapped
            yield b""
            return
        yield data
        # Not closed: tables may still look into it. It goes when the last of them does.


def _unpack(source: Source) -> bytes:
    pieces: list[bytes] = []
    total = 0
    try:
        with gzip.open(source.path, "rb") as file:
            while piece := file.read(_BLOCK_BYTES):
                total += len(piece)
                if total > MAX_BYTES:
                    message = "the gzip stream holds more than may be read"
                    raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=total)
                pieces.append(piece)
    except EOFError:
        message = "the gzip stream ends before its end mark"
        raise Truncated(message, file=source.name, offset=source.size_bytes, found=source.size_bytes) from None
    except (OSError, zlib.error) as error:
        raise CorruptField(f"the gzip stream is damaged: {error}", file=source.name) from None
    return b"".join(pieces)


def byte_order(data: Any, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the byte order that the file attributes record declares, and doubts about it.

    Raises:
        NotThisFormat: the file does not begin with such a record.
        UnsupportedVersion: VAX numbers, or another version than 4.
        CorruptField: the declared processor contradicts the record's own length.
    """
    if not looks_like_far(data[:6]):
        raise NotThisFormat("the file does not begin with a FAR record", file=name, offset=0)
    by_length = "<" if data[0] == len(_FAR) else ">"
    processor, version = data[4], data[5]
    if version != _HEADER_BYTES:
        raise UnsupportedVersion("this version of STDF is not read", file=name, offset=5, expected=4, found=version)
    if processor == _VAX:
        message = "the numbers are in the format of a VAX, which is not read"
        raise UnsupportedVersion(message, file=name, offset=4, expected="1 or 2", found=processor)
    if processor in (_BIG, _LITTLE):
        declared = "<" if processor == _LITTLE else ">"
        if declared != by_length:
            message = "CPU_TYPE contradicts the byte order of the record's length"
            expected = _LITTLE if by_length == "<" else _BIG
            raise CorruptField(message, file=name, offset=4, expected=expected, found=processor)
        return declared, ()
    return by_length, (f"CPU_TYPE {processor} is not known; the byte order is that of the first record's length",)


def _ends_log(found: Mapping[int, Sequence[int]], order: str) -> bool:
    """Tell whether the last record is the one that ends a log (MRR)."""
    (code,) = struct.unpack(order + "H", bytes(_MRR))
    return bool(found.get(code)) and found[code][-1] == max(places[-1] for places in found.values())


def walk(data: Any, name: str) -> Walk:
    """Walk the headers of ``data``.

    Raises:
        Truncated: the last record is cut, with its offset.
        NotThisFormat, UnsupportedVersion, CorruptField: see :func:`byte_order`.
    """
    order, warnings = byte_order(data, name)
    unpack = struct.Struct(order + "HH").unpack_from
    size, position = len(data), 0
    found: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
    last = size - _HEADER_BYTES
    looked = False
    while position <= last:
        length, code = unpack(data, position)
        if not code and not looked:  # there is no such record: zeros may fill up the file's last block
            looked = True
            if not any(data[position:]):
                break
        found[code].append(position)
        position += _HEADER_BYTES + length
    if position < size and _ends_log(found, order) and not any(data[position:]):
        warnings = (*warnings, f"{size - position} zero bytes after the last record were left out")
    elif position != size:
        if position < size:
            message = "the file ends inside a record's header"
            raise Truncated(message, file=name, offset=position, expected=_HEADER_BYTES, found=size - position)
        start = max(places[-1] for places in found.values())
        length = unpack(data, start)[0]
        layout = LAYOUTS.get((data[start + 2], data[start + 3]))
        label = layout.name if layout else f"of type {data[start + 2]}-{data[start + 3]}"
        message = f"the file ends inside the record {label}"
        raise Truncated(message, file=name, offset=start, expected=length, found=size - start - _HEADER_BYTES)
    places = {}
    for code, offsets in found.items():
        first, second = struct.unpack("BB", struct.pack(order + "H", code))
        places[first, second] = np.frombuffer(offsets, np.int64)
    if len(places.get(_FAR, ())) != 1:
        message = "the file has more than one FAR record; it is several files in one"
        raise CorruptField(message, file=name, offset=int(places[_FAR][1]), expected=1, found=len(places[_FAR]))
    return Walk(data, order, places, warnings)

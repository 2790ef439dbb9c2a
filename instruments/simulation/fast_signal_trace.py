"""The block structure of a fast signal trace (FST) file, read without the reading library.

The layout is that of GTKWave's ``fstapi``: a chain of blocks, each a type byte and a big-endian 64-bit length that
counts itself; the header block holds the numbers of scopes, variables and handles and the first and last time.
A whole file may be wrapped in one gzip block.
"""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from instruments.errors import CorruptField, NotThisFormat, Truncated, UnsupportedVersion

HEADER, BLACKOUT, GEOMETRY, SKIP, WRAPPED = 0, 2, 3, 255, 254
VALUE_CHANGES = frozenset({1, 5, 8})
HIERARCHY = frozenset({4, 6, 7})
HEADER_LENGTH = 329
ENDIAN_TEST = math.e
MAXIMUM_COMPRESSION = 1100  # deflate reaches 1032:1, LZ4 255:1
WRAPPER_PREFIX = struct.Struct(">BQQ")


@dataclass(frozen=True)
class TraceHeader:
    """What the header block says of the file.

    Attributes:
        start_tick: first time in the file.
        end_tick: last time in the file.
        scopes: number of scopes.
        variables: number of variables, aliases included.
        handles: number of different signals.
        value_change_blocks: number of blocks with value changes.
        timescale_exponent: one tick is ``10 ** timescale_exponent`` seconds.
        timezero: ticks to add to every time.
        version: the writer.
        date: when it was written, as the writer put it.
    """

    start_tick: int
    end_tick: int
    scopes: int
    variables: int
    handles: int
    value_change_blocks: int
    timescale_exponent: int
    timezero: int
    version: str
    date: str


def read_trace_header(path: Path, file: str) -> TraceHeader:
    """Walk all blocks and return the header.

    Args:
        path: the file.
        file: its name for messages.

    Raises:
        NotThisFormat: it does not start with an FST header.
        Truncated: a block is cut, or the simulator never finished the file.
        CorruptField: the blocks contradict the header.
        UnsupportedVersion: numbers in a byte order that the format does not allow.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        first = stream.read(1)
        if first == bytes([WRAPPED]):
            stream.seek(0)
            prefix = stream.read(WRAPPER_PREFIX.size)
            if len(prefix) < WRAPPER_PREFIX.size:
                raise Truncated("the file ends within its gzip wrapper", file=file, offset=len(prefix))
            _, length, inner_size = WRAPPER_PREFIX.unpack(prefix)
            if length + 1 > size:
                raise Truncated("the gzip wrapper is cut", file=file, offset=size, expected=length + 1, found=size)
            with gzip.GzipFile(fileobj=stream) as inner:
                try:
                    header = _walk(inner, inner_size, file)
                    inner.seek(inner_size)
                    if inner.read(1):  # reaching the end also makes gzip verify its checksum
                        message = "the gzip wrapper holds more than it says"
                        raise CorruptField(message, file=file, offset=9, expected=inner_size)
                    return header
                except EOFError as error:
                    raise Truncated(f"the gzip wrapper is cut: {error}", file=file) from error
                except (OSError, zlib.error) as error:
                    raise CorruptField(f"the gzip wrapper cannot be unpacked: {error}", file=file) from error
        stream.seek(0)
        return _walk(stream, size, file)


def _walk(stream: BinaryIO | gzip.GzipFile, size: int, file: str) -> TraceHeader:
    header: TraceHeader | None = None
    types: list[int] = []
    ends: list[int] = []
    offset = 0
    while offset < size:
        stream.seek(offset)
        prefix = stream.read(9)
        if len(prefix) < 9:
            raise Truncated("the file ends within a block's length", file=file, offset=offset)
        kind, length = struct.unpack(">BQ", prefix)
        if kind == SKIP:
            raise Truncated("an unfinished block: the simulator did not close the file", file=file, offset=offset)
        if header is None and kind != HEADER:
            raise NotThisFormat("the file does not start with an FST header block", file=file, offset=offset)
        if length < 8 or offset + 1 + length > size:
            raise Truncated("a block is cut", file=file, offset=offset, expected=length + 1, found=size - offset)
        if header is None:
            header = _header(prefix + stream.read(HEADER_LENGTH - 8), length, file)
        elif kind in VALUE_CHANGES:
            times = stream.read(16)
            if len(times) == 16:
                ends.append(struct.unpack(">QQ", times)[1])
        elif kind in HIERARCHY or kind == GEOMETRY:
            _check_unpacked_size(stream.read(8), length, file, offset)
        types.append(kind)
        offset += 1 + length
    if header is None:
        raise NotThisFormat("the file is empty", file=file, offset=0)
    if GEOMETRY not in types or not HIERARCHY.intersection(types):
        message = "no hierarchy or geometry block: the simulator did not close the file"
        raise Truncated(message, file=file, offset=size)
    _check_blocks(header, ends, file)
    return header


def _check_unpacked_size(field: bytes, length: int, file: str, offset: int) -> None:
    """The reading library allocates what the block claims: refuse a claim that no compression can keep."""
    claimed = int.from_bytes(field, "big")
    most = MAXIMUM_COMPRESSION * length
    if claimed > most:
        message = "a block claims to unpack to more than it can"
        raise CorruptField(message, file=file, offset=offset + 9, expected=f"at most {most}", found=claimed)


def _header(block: bytes, length: int, file: str) -> TraceHeader:
    if length != HEADER_LENGTH or len(block) != HEADER_LENGTH + 1:
        raise CorruptField("the header block's length", file=file, offset=1, expected=HEADER_LENGTH, found=length)
    if struct.unpack_from("<d", block, 25)[0] != ENDIAN_TEST and struct.unpack_from(">d", block, 25)[0] != ENDIAN_TEST:
        raise UnsupportedVersion("the byte order mark of real numbers is unknown", file=file, offset=25)
    start, end = struct.unpack_from(">QQ", block, 9)
    _, scopes, variables, handles, blocks = struct.unpack_from(">5Q", block, 33)
    (exponent,) = struct.unpack_from("b", block, 73)
    (timezero,) = struct.unpack_from(">q", block, 322)
    return TraceHeader(
        start_tick=start,
        end_tick=end,
        scopes=scopes,
        variables=variables,
        handles=handles,
        value_change_blocks=blocks,
        timescale_exponent=exponent,
        timezero=timezero,
        version=_text(block[74:202]),
        date=_text(block[202:321]),
    )


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace").strip()


def _check_blocks(header: TraceHeader, ends: list[int], file: str) -> None:
    if len(ends) != header.value_change_blocks:
        raise CorruptField(
            "the header's number of value change blocks",
            file=file,
            offset=65,
            expected=header.value_change_blocks,
            found=len(ends),
        )
    if ends and max(ends) != header.end_tick:
        raise CorruptField("the header's last time", file=file, offset=17, expected=header.end_tick, found=max(ends))

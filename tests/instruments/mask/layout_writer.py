"""Small writers of GDSII and OASIS for the tests, byte by byte."""

import struct
import zlib

from instruments.mask.gdsii_walk import (
    AREF,
    BGNLIB,
    BGNSTR,
    BOUNDARY,
    COLROW,
    DATATYPE,
    ENDEL,
    ENDLIB,
    ENDSTR,
    HEADER,
    LAYER,
    LIBNAME,
    PATH_RECORD,
    SNAME,
    SREF,
    STRNAME,
    TEXT_RECORD,
    TEXTTYPE,
    UNITS,
    XY,
)

WIDTH, STRING = 0x0F03, 0x1906
DATE = struct.pack(">12h", *([2024, 1, 2, 3, 4, 5] * 2))


def record(kind: int, data: bytes = b"") -> bytes:
    """One GDSII record."""
    return struct.pack(">HH", len(data) + 4, kind) + data


def text(value: str) -> bytes:
    """A text padded to even length."""
    data = value.encode()
    return data + b"\x00" * (len(data) % 2)


def real(value: float) -> bytes:
    """A positive number as GDSII writes it."""
    exponent = 64
    while value >= 1:
        value, exponent = value / 16, exponent + 1
    while value < 1 / 16:
        value, exponent = value * 16, exponent - 1
    return bytes([exponent]) + round(value * (1 << 56)).to_bytes(7, "big")


def points(*pairs: tuple[int, int]) -> bytes:
    """An XY record."""
    return record(XY, b"".join(struct.pack(">ii", *pair) for pair in pairs))


def short(kind: int, value: int) -> bytes:
    """A record of one two-byte number."""
    return record(kind, struct.pack(">H", value))


def box(layer: int, left: int, bottom: int, right: int, top: int) -> bytes:
    """A boundary on layer/0."""
    corners = points((left, bottom), (left, top), (right, top), (right, bottom), (left, bottom))
    return record(BOUNDARY) + short(LAYER, layer) + short(DATATYPE, 0) + corners + record(ENDEL)


def path(layer: int) -> bytes:
    """A path on layer/1."""
    body = short(LAYER, layer) + short(DATATYPE, 1) + record(WIDTH, struct.pack(">i", 10))
    return record(PATH_RECORD) + body + points((0, 0), (100, 0)) + record(ENDEL)


def label(layer: int, value: str) -> bytes:
    """A text on layer/2."""
    body = short(LAYER, layer) + short(TEXTTYPE, 2) + points((5, 5)) + record(STRING, text(value))
    return record(TEXT_RECORD) + body + record(ENDEL)


def sref(name: str, x: int, y: int) -> bytes:
    """A reference."""
    return record(SREF) + record(SNAME, text(name)) + points((x, y)) + record(ENDEL)


def aref(name: str, columns: int, rows: int) -> bytes:
    """An array of references, 1000 apart."""
    body = record(SNAME, text(name)) + record(COLROW, struct.pack(">hh", columns, rows))
    return record(AREF) + body + points((0, 0), (1000 * columns, 0), (0, 1000 * rows)) + record(ENDEL)


def structure(name: str, *elements: bytes) -> bytes:
    """A structure."""
    return record(BGNSTR, DATE) + record(STRNAME, text(name)) + b"".join(elements) + record(ENDSTR)


def library(*structures: bytes, units: bytes | None = None, end: bytes | None = None) -> bytes:
    """A whole file; one database unit is a nanometre."""
    head = record(HEADER, struct.pack(">h", 600)) + record(BGNLIB, DATE) + record(LIBNAME, text("LIB"))
    measures = record(UNITS, real(1e-3) + real(1e-9)) if units is None else units
    return head + measures + b"".join(structures) + (record(ENDLIB) if end is None else end)


SAMPLE_STRUCTURES = (
    structure("LEAF", box(1, 0, 0, 100, 200), box(1, 200, 0, 300, 200), path(2), label(3, "net")),
    structure("MIDDLE", aref("LEAF", 3, 2), sref("LEAF", 5000, 0), box(4, 0, 0, 10, 10)),
    structure("TOP", sref("MIDDLE", 0, 0), sref("MIDDLE", 20000, 0)),
)


def sample_gdsii() -> bytes:
    """Three cells: flat, layer 1/0 has 28 shapes, 2/1 and 3/2 have 14 each, 4/0 has 2."""
    return library(*SAMPLE_STRUCTURES)


def uint(value: int) -> bytes:
    """An OASIS unsigned integer."""
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def sint(value: int) -> bytes:
    """An OASIS signed integer."""
    return uint(abs(value) << 1 | (value < 0))


def string(value: str) -> bytes:
    """An OASIS string."""
    return uint(len(value)) + value.encode()


def start(version: str = "1.0", per_um: int = 1000) -> bytes:
    """Magic and START, the table offsets in END."""
    return b"%SEMI-OASIS\r\n" + uint(1) + string(version) + uint(0) + uint(per_um) + uint(1)


def end_record(before: bytes, scheme: int = 0) -> bytes:
    """END with twelve zero offsets and the checksum of ``before`` and itself."""
    head = uint(2) + bytes(12)
    tail = uint(scheme)
    padding = 256 - len(head) - len(tail) - (4 if scheme else 0)
    body = head + uint(padding - 2) + bytes(padding - 2) if padding - 2 > 127 else b""
    body += tail
    if scheme == 0:
        return body
    covered = before + body
    value = zlib.crc32(covered) if scheme == 1 else sum(covered) & 0xFFFFFFFF
    return body + value.to_bytes(4, "little")


def block(data: bytes, *, expanded: int | None = None) -> bytes:
    """A compressed block."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = engine.compress(data) + engine.flush()
    return uint(34) + uint(0) + uint(len(data) if expanded is None else expanded) + uint(len(packed)) + packed


def rectangle(layer: int, *, repetition: bytes = b"") -> bytes:
    """A 10 x 20 rectangle on layer/0 at (1, 2)."""
    info = 0b01111011 | (0b100 if repetition else 0)
    return uint(20) + bytes([info]) + uint(layer) + uint(0) + uint(10) + uint(20) + sint(1) + sint(2) + repetition


def trapezoid(layer: int) -> bytes:
    """A trapezoid on layer/0."""
    body = uint(layer) + uint(0) + uint(40) + uint(20) + sint(5) + sint(-5) + sint(0) + sint(100)
    return uint(23) + bytes([0b01111011]) + body


def placement(name: str, *, repetition: bytes = b"") -> bytes:
    """A placement of the cell ``name`` at (0, 0)."""
    info = 0b10110000 | (0b1000 if repetition else 0)
    return uint(17) + bytes([info]) + string(name) + sint(0) + sint(0) + repetition


def cell(name: str, *records: bytes) -> bytes:
    """A cell."""
    return uint(14) + string(name) + b"".join(records)


def oasis(*parts: bytes, scheme: int = 0, head: bytes | None = None) -> bytes:
    """A whole file."""
    body = (start() if head is None else head) + b"".join(parts)
    return body + end_record(body, scheme)


GRID_3_BY_2 = uint(1) + uint(1) + uint(0) + uint(100) + uint(100)


def sample_oasis(scheme: int = 1) -> bytes:
    """A mask of one layer and two levels: flat, layer 7/0 has 6 rectangles and one trapezoid, twice."""
    leaf = cell("LEAF", rectangle(7, repetition=GRID_3_BY_2), trapezoid(7))
    along = uint(2) + uint(0) + uint(5000)
    return oasis(leaf, block(cell("TOP", placement("LEAF", repetition=along))), scheme=scheme)

"""GDSII record by record: what is in it, counted without a layout engine.

A record is its length (two bytes, itself included), a type, a data type, and data; all big-endian. The walk follows
the grammar only as far as counting needs: library, structures, elements.
"""

import mmap
import struct
from dataclasses import dataclass

from instruments.adapter import Source
from instruments.errors import CorruptField, Truncated
from instruments.mask.layout_counts import OTHER, PATH, POLYGON, TEXT, CellCount, LayoutCount, decode_name

HEADER, BGNLIB, LIBNAME, UNITS, ENDLIB = 0x0002, 0x0102, 0x0206, 0x0305, 0x0400
BGNSTR, STRNAME, ENDSTR = 0x0502, 0x0606, 0x0700
BOUNDARY, PATH_RECORD, SREF, AREF, TEXT_RECORD = 0x0800, 0x0900, 0x0A00, 0x0B00, 0x0C00
LAYER, DATATYPE, XY, ENDEL, SNAME, COLROW = 0x0D02, 0x0E02, 0x1003, 0x1100, 0x1206, 0x1302
TEXTTYPE, NODE, NODETYPE, BOX, BOXTYPE = 0x1602, 0x1500, 0x2A02, 0x2D00, 0x2E02

_ELEMENTS = {
    BOUNDARY: "BOUNDARY",
    PATH_RECORD: "PATH",
    SREF: "SREF",
    AREF: "AREF",
    TEXT_RECORD: "TEXT",
    NODE: "NODE",
    BOX: "BOX",
}
_KINDS = {BOUNDARY: POLYGON, BOX: POLYGON, PATH_RECORD: PATH, TEXT_RECORD: TEXT, NODE: OTHER}
_SHORTS = {LAYER: "layer", DATATYPE: "datatype", TEXTTYPE: "datatype", BOXTYPE: "datatype", NODETYPE: "datatype"}


@dataclass
class _Element:
    """The element that is being read."""

    record: int
    offset: int
    layer: int = -1
    datatype: int = -1
    name: str = ""
    columns: int = 1
    rows: int = 1
    points: int = 0


class _Walk:
    """The state of a walk over one file."""

    def __init__(self, source: Source, data: mmap.mmap) -> None:
        self.source = source
        self.data = data
        self.count = LayoutCount(0.0)
        self.cell: CellCount | None = None
        self.named = True
        self.element: _Element | None = None

    def corrupt(
        self, message: str, offset: int, expected: str | float | None = None, found: str | float | None = None
    ) -> CorruptField:
        """Return the error that says what is wrong at ``offset``."""
        return CorruptField(message, file=self.source.name, offset=offset, expected=expected, found=found)

    def run(self) -> LayoutCount:
        """Walk from HEADER to ENDLIB."""
        offset, size, first = 0, len(self.data), True
        while offset + 4 <= size:
            length, kind = struct.unpack_from(">HH", self.data, offset)
            if length < 4 or length % 2:
                raise self.corrupt("a record has an impossible length", offset, "an even number of at least 4", length)
            if offset + length > size:
                message = "the file ends inside a record"
                raise Truncated(message, file=self.source.name, offset=offset, expected=length, found=size - offset)
            if first and kind != HEADER:
                raise self.corrupt("the file does not begin with HEADER", offset, f"{HEADER:#06x}", f"{kind:#06x}")
            first = False
            if kind == ENDLIB:
                self._end(offset, offset + length)
                return self.count
            self._record(kind, offset, length)
            offset += length
        message = "the file ends without ENDLIB"
        raise Truncated(message, file=self.source.name, offset=offset, expected="ENDLIB", found="the end of the file")

    def _end(self, offset: int, after: int) -> None:
        if self.cell is not None:
            raise self.corrupt("the library ends inside a structure", offset, "ENDSTR", "ENDLIB")
        if not self.count.unit_um:
            raise self.corrupt("the library has no UNITS", offset)
        rest = len(self.data) - after
        if rest and self.data[after:].strip(b"\x00"):
            self.count.warnings.append(f"{rest} bytes after ENDLIB were ignored")

    def _text(self, offset: int, length: int) -> str:
        return decode_name(self.data[offset + 4 : offset + length].rstrip(b"\x00"))

    def _record(self, kind: int, offset: int, length: int) -> None:
        if self.element is not None:
            self._inside_element(self.element, kind, offset, length)
        elif kind in _ELEMENTS:
            if self.cell is None or not self.named:
                raise self.corrupt(f"{_ELEMENTS[kind]} stands outside a structure", offset)
            self.element = _Element(kind, offset)
            self.count.records[_ELEMENTS[kind]] += 1
        elif kind == BGNSTR:
            if self.cell is not None:
                raise self.corrupt("a structure begins inside another", offset)
            self.cell, self.named = CellCount(""), False
        elif kind == STRNAME:
            self._name_structure(offset, length)
        elif kind == ENDSTR:
            if self.cell is None or not self.named:
                raise self.corrupt("a structure ends that has not begun or has no name", offset)
            self.cell = None
        elif kind == UNITS:
            self._units(offset, length)
        elif kind == LIBNAME:
            self.count.facts["library"] = self._text(offset, length)
        elif kind == HEADER and length >= 6:
            self.count.facts["version"] = int(struct.unpack_from(">h", self.data, offset + 4)[0])

    def _name_structure(self, offset: int, length: int) -> None:
        name = self._text(offset, length)
        if self.cell is None or self.named:
            raise self.corrupt("STRNAME stands outside a structure", offset, found=name[:60])
        if not name:
            raise self.corrupt("a structure has an empty name", offset)
        if name in self.count.cells:
            raise self.corrupt("two structures have the same name", offset, found=name[:60])
        self.cell.name, self.named = name, True
        self.count.cells[name] = self.cell
        self.count.records["STRUCTURE"] += 1

    def _units(self, offset: int, length: int) -> None:
        if length != 20:
            raise self.corrupt("UNITS does not hold two numbers", offset, 20, length)
        user, metres = (decode_real(self.data[start : start + 8]) for start in (offset + 4, offset + 12))
        if not (user > 0 and metres > 0):
            raise self.corrupt("UNITS is not two positive numbers", offset, found=f"{user:g}, {metres:g}")
        self.count.unit_um = metres * 1e6
        self.count.facts["user_units_per_database_unit"] = user

    def _inside_element(self, element: _Element, kind: int, offset: int, length: int) -> None:
        if kind in _SHORTS:
            if length != 6:
                raise self.corrupt("a layer or datatype is not one number", offset, 6, length)
            # Both are unsigned in files that use more than 32767 layers.
            setattr(element, _SHORTS[kind], int(struct.unpack_from(">H", self.data, offset + 4)[0]))
        elif kind == SNAME:
            element.name = self._text(offset, length)
        elif kind == COLROW:
            if length != 8:
                raise self.corrupt("COLROW is not two numbers", offset, 8, length)
            element.columns, element.rows = struct.unpack_from(">hh", self.data, offset + 4)
        elif kind == XY:
            element.points += (length - 4) // 8
        elif kind == ENDEL:
            self._close(element)
        elif kind in _ELEMENTS or kind in (BGNSTR, ENDSTR):
            raise self.corrupt(f"a {_ELEMENTS[element.record]} is not ended by ENDEL", element.offset)

    def _close(self, element: _Element) -> None:
        self.element = None
        what = _ELEMENTS[element.record]
        if self.cell is None:
            raise self.corrupt(f"{what} stands outside a structure", element.offset)
        if not element.points:
            raise self.corrupt(f"{what} has no coordinates", element.offset)
        if element.record in _KINDS:
            if element.layer < 0 or element.datatype < 0:
                raise self.corrupt(f"{what} has no layer or no datatype", element.offset)
            self.cell.shapes[element.layer, element.datatype, _KINDS[element.record]] += 1
            return
        if not element.name:
            raise self.corrupt(f"{what} names no structure", element.offset)
        if element.columns < 1 or element.rows < 1:
            found = f"{element.columns} x {element.rows}"
            raise self.corrupt(f"{what} has no columns or no rows", element.offset, found=found)
        self.cell.references[element.name] += 1
        self.cell.placements[element.name] += element.columns * element.rows


def decode_real(data: bytes) -> float:
    """Return the number in eight bytes of GDSII: a sign, an exponent of 16 in excess 64, and 56 bits of mantissa."""
    exponent = data[0] & 0x7F
    mantissa = int.from_bytes(data[1:8], "big")
    value = float(mantissa) * 16.0 ** (exponent - 64 - 14)
    return -value if data[0] & 0x80 else value


def walk_gdsii(source: Source) -> LayoutCount:
    """Return what the records of ``source`` hold.

    Raises:
        Truncated: the file ends inside a record, or without ENDLIB.
        CorruptField: the records are not a library; the byte is named.
    """
    if source.size_bytes < 4:
        raise Truncated(
            "the file ends inside a record", file=source.name, offset=0, expected=4, found=source.size_bytes
        )
    with source.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Walk(source, data).run()

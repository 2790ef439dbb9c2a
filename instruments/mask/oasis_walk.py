"""OASIS record by record: what is in it, counted without a layout engine, and whether its end and checksum are right.

A file is a magic, a START record, records with modal variables, some of them in compressed blocks, and an END record
of exactly 256 bytes that may carry a checksum of all bytes before it.
"""

import mmap
import zlib
from dataclasses import dataclass, field

from instruments.adapter import Source
from instruments.errors import CorruptField, NotThisFormat, Truncated, UnsupportedVersion
from instruments.mask.layout_counts import OTHER, PATH, POLYGON, TEXT, CellCount, LayoutCount
from instruments.mask.oasis_stream import OasisStream

MAGIC = b"%SEMI-OASIS\r\n"
END_BYTES = 256
_CHUNK = 1 << 20
_NAME_RECORDS = {3: "cell", 4: "cell", 5: "text", 6: "text", 7: "property", 8: "property", 9: "value", 10: "value"}
_RECORDS = {
    17: "PLACEMENT",
    18: "PLACEMENT",
    19: "TEXT",
    20: "RECTANGLE",
    21: "POLYGON",
    22: "PATH",
    23: "TRAPEZOID",
    24: "TRAPEZOID",
    25: "TRAPEZOID",
    26: "CTRAPEZOID",
    27: "CIRCLE",
    33: "XGEOMETRY",
}
_KINDS = {
    20: POLYGON,
    21: POLYGON,
    22: PATH,
    23: POLYGON,
    24: POLYGON,
    25: POLYGON,
    26: POLYGON,
    27: POLYGON,
    33: OTHER,
}


@dataclass
class _Cell:
    """A cell whose own name, and those of the cells in it, may still be numbers."""

    name: str | int
    count: CellCount = field(default_factory=lambda: CellCount(""))
    children: dict[str | int, list[int]] = field(default_factory=dict)


@dataclass
class _Modal:
    """What a record may leave out because the last one said it."""

    layer: int | None = None
    datatype: int | None = None
    text_layer: int | None = None
    text_type: int | None = None
    child: str | int | None = None
    repetition: tuple[int, int] | None = None


class _Walk:
    """The state of a walk over one file."""

    def __init__(self, source: Source, stream: OasisStream) -> None:
        self.source = source
        self.stream = stream
        self.count = LayoutCount(0.0)
        self.names: dict[str, dict[int, str]] = {"cell": {}, "text": {}, "property": {}, "value": {}}
        self.next_number = {"cell": 0, "text": 0, "property": 0, "value": 0}
        self.cells: list[_Cell] = []
        self.cell: _Cell | None = None
        self.modal = _Modal()

    def run(self) -> LayoutCount:
        """Walk from START to END."""
        stream = self.stream
        if stream.unsigned() != 1:
            raise stream.corrupt("the first record is not START")
        version = stream.text()
        if version != "1.0":
            message = "the version of the OASIS file is not known"
            raise UnsupportedVersion(message, file=self.source.name, expected="1.0", found=version[:20])
        per_um = stream.real()
        if not 0 < per_um < 1e12:
            raise stream.corrupt("the number of grid steps in a micrometre is not right", "above 0", per_um)
        self.count.unit_um = 1.0 / per_um
        self.count.facts["version"] = version
        if stream.unsigned() == 0:
            self.count.facts["table_offsets"] = [stream.unsigned() for _ in range(12)]
        while not stream.exhausted():
            self._record(stream.unsigned())
        self._resolve()
        return self.count

    def _record(self, kind: int) -> None:
        stream = self.stream
        if kind in _KINDS:
            self._geometry(kind)
        elif kind in (17, 18):
            self._placement(kind)
        elif kind == 19:
            self._text()
        elif kind == 28:
            self._property()
        elif kind in _NAME_RECORDS:
            self._name(kind)
        elif kind in (11, 12):
            self._layer_name(kind)
        elif kind in (13, 14):
            self._begin_cell(stream.unsigned() if kind == 13 else stream.text())
        elif kind == 34:
            self.count.records["CBLOCK"] += 1
            stream.enter_block()
        elif kind in (30, 31, 32):
            self._extension(kind)
        elif kind == 2:
            raise stream.corrupt(f"END is not the last {END_BYTES} bytes of the file")
        elif kind not in (0, 15, 16, 29):
            raise stream.corrupt("a record has an unknown type", "0 to 34", kind)

    def _extension(self, kind: int) -> None:
        """Pass over XNAME and XELEMENT."""
        self.stream.unsigned()
        self.stream.text()
        _ = self.stream.unsigned() if kind == 31 else 0

    def _begin_cell(self, name: str | int) -> None:
        self.cell = _Cell(name)
        self.cells.append(self.cell)
        self.modal = _Modal()
        self.count.records["CELL"] += 1

    def _here(self, what: str) -> _Cell:
        if self.cell is None:
            raise self.stream.corrupt(f"{what} stands outside a cell")
        return self.cell

    def _name(self, kind: int) -> None:
        table = _NAME_RECORDS[kind]
        text = self.stream.text()
        if kind % 2:
            number = self.next_number[table]
            self.next_number[table] += 1
        else:
            number = self.stream.unsigned()
        if self.names[table].get(number, text) != text:
            raise self.stream.corrupt(f"the {table} name {number} is given twice", self.names[table][number], text)
        self.names[table][number] = text

    def _layer_name(self, kind: int) -> None:
        name = self.stream.text()
        layers, datatypes = self.stream.interval(), self.stream.interval()
        if kind == 11 and layers[0] == layers[1] and datatypes[0] == datatypes[1]:
            self.count.layer_names[layers[0], datatypes[0]] = name

    def _repeat(self, info: int, bit: int) -> tuple[int, int]:
        """Return how many elements there are and lie apart, by the repetition that ``bit`` of ``info`` announces."""
        if not info & bit:
            return 1, 1
        made = self.stream.repetition() or self.modal.repetition
        if made is None:
            raise self.stream.corrupt("a repetition repeats one that is not there")
        self.modal.repetition = made
        return made

    def _layer(self, info: int) -> tuple[int, int]:
        if info & 1:
            self.modal.layer = self.stream.unsigned()
        if info & 2:
            self.modal.datatype = self.stream.unsigned()
        if self.modal.layer is None or self.modal.datatype is None:
            raise self.stream.corrupt("a shape has no layer or no datatype")
        return self.modal.layer, self.modal.datatype

    def _geometry(self, kind: int) -> None:
        stream = self.stream
        cell = self._here(_RECORDS[kind])
        info = stream.byte()
        if kind == 33:
            stream.unsigned()
        layer, datatype = self._layer(info)
        if kind == 20:
            self._sizes(info)
            if info & 0x80 and info & 0x20:
                raise stream.corrupt("a square has a height of its own")
        elif kind == 21:
            _ = stream.point_list() if info & 0x20 else 0
        elif kind == 22:
            self._path(info)
        elif kind in (23, 24, 25):
            self._sizes(info)
            for _ in range(2 if kind == 23 else 1):
                stream.signed()
        elif kind == 26:
            _ = stream.unsigned() if info & 0x80 else 0
            self._sizes(info)
        elif kind == 27:
            _ = stream.unsigned() if info & 0x20 else 0
        else:
            stream.text()
        self._position(info, 0x10, 0x08)
        count, apart = self._repeat(info, 0x04)
        cell.count.shapes[layer, datatype, _KINDS[kind]] += count
        cell.count.coincident[layer, datatype] += count - apart
        self.count.records[_RECORDS[kind]] += count

    def _sizes(self, info: int) -> None:
        for bit in (0x40, 0x20):
            _ = self.stream.unsigned() if info & bit else 0

    def _position(self, info: int, x_bit: int, y_bit: int) -> None:
        for bit in (x_bit, y_bit):
            _ = self.stream.signed() if info & bit else 0

    def _path(self, info: int) -> None:
        stream = self.stream
        _ = stream.unsigned() if info & 0x40 else 0
        if info & 0x80:
            scheme = stream.unsigned()
            for shift in (2, 0):
                _ = stream.signed() if (scheme >> shift) & 3 == 3 else 0
        _ = stream.point_list() if info & 0x20 else 0

    def _text(self) -> None:
        stream = self.stream
        cell = self._here("TEXT")
        info = stream.byte()
        if info & 0x40:
            _ = stream.unsigned() if info & 0x20 else len(stream.text())
        if info & 1:
            self.modal.text_layer = stream.unsigned()
        if info & 2:
            self.modal.text_type = stream.unsigned()
        layer, kind = self.modal.text_layer, self.modal.text_type
        if layer is None or kind is None:
            raise stream.corrupt("a text has no layer or no type")
        self._position(info, 0x10, 0x08)
        count, apart = self._repeat(info, 0x04)
        cell.count.shapes[layer, kind, TEXT] += count
        cell.count.coincident[layer, kind] += count - apart
        self.count.records["TEXT"] += count

    def _placement(self, kind: int) -> None:
        stream = self.stream
        cell = self._here("PLACEMENT")
        info = stream.byte()
        if info & 0x80:
            self.modal.child = stream.unsigned() if info & 0x40 else stream.text()
        if self.modal.child is None:
            raise stream.corrupt("a placement names no cell")
        if kind == 18:
            for bit in (0x04, 0x02):
                _ = stream.real() if info & bit else 0
        self._position(info, 0x20, 0x10)
        count, apart = self._repeat(info, 0x08)
        cell.count.coincident_placements += count - apart
        numbers = cell.children.setdefault(self.modal.child, [0, 0])
        numbers[0] += 1
        numbers[1] += count
        self.count.records["PLACEMENT"] += count

    def _property(self) -> None:
        stream = self.stream
        info = stream.byte()
        if info & 0x04:
            _ = stream.unsigned() if info & 0x02 else len(stream.text())
        if info & 0x08:
            return
        values = info >> 4
        for _ in range(stream.unsigned() if values == 15 else values):
            kind = stream.unsigned()
            if kind < 8:
                stream.real(kind)
            elif kind in (10, 11, 12):
                stream.text()
            elif kind in (8, 9, 13, 14, 15):
                stream.unsigned()
            else:
                raise stream.corrupt("a property value has an unknown type", "0 to 15", kind)

    def _resolve(self) -> None:
        """Give the cells their names, now that all are known."""
        for cell in self.cells:
            name = self._cell_name(cell.name)
            if not name or "" in cell.children:
                raise CorruptField("a cell has an empty name", file=self.source.name)
            if name in self.count.cells:
                raise CorruptField("two cells have the same name", file=self.source.name, found=name[:60])
            cell.count.name = name
            for child, (references, placements) in cell.children.items():
                cell.count.references[self._cell_name(child)] += references
                cell.count.placements[self._cell_name(child)] += placements
            self.count.cells[name] = cell.count

    def _cell_name(self, name: str | int) -> str:
        if isinstance(name, str):
            return name
        try:
            return self.names["cell"][name]
        except KeyError:
            message = "a cell is called by a number that no name has"
            raise CorruptField(message, file=self.source.name, found=name) from None


def _check_end(source: Source, data: memoryview, count: LayoutCount) -> None:
    """Verify END and, where there is one, the checksum.

    Raises:
        Truncated: the last 256 bytes are no END record.
        CorruptField: the checksum is another than that of the bytes.
    """
    start = len(data) - END_BYTES
    if start < len(MAGIC) or data[start] != 2:
        message = "the file does not end with an END record"
        raise Truncated(message, file=source.name, offset=max(start, 0), expected="END", found="other bytes")
    stream = OasisStream(source.name, data, start + 1, len(data))
    if "table_offsets" not in count.facts:
        count.facts["table_offsets"] = [stream.unsigned() for _ in range(12)]
    stream.take(stream.unsigned())
    scheme = stream.unsigned()
    count.facts["validation"] = {0: "none", 1: "CRC32", 2: "checksum32"}.get(scheme, str(scheme))
    if scheme == 0:
        if stream.offset != len(data):
            raise stream.corrupt("END is not 256 bytes long", END_BYTES, stream.offset - start)
        return
    if scheme not in (1, 2):
        raise stream.corrupt("the validation scheme is not known", "0, 1 or 2", scheme)
    covered = stream.offset
    stored = int.from_bytes(stream.take(4), "little")
    if stream.offset != len(data):
        raise stream.corrupt("END is not 256 bytes long", END_BYTES, stream.offset - start)
    computed = 0
    for place in range(0, covered, _CHUNK):
        piece = data[place : min(place + _CHUNK, covered)]
        computed = zlib.crc32(piece, computed) if scheme == 1 else (computed + sum(piece)) & 0xFFFFFFFF
    if computed != stored:
        message = f"the {count.facts['validation']} of the file is not that of its bytes"
        raise CorruptField(
            message, file=source.name, offset=covered, expected=f"{stored:#010x}", found=f"{computed:#010x}"
        )


def walk_oasis(source: Source) -> LayoutCount:
    """Return what the records of ``source`` hold.

    Raises:
        NotThisFormat: the magic is not there.
        Truncated: the file ends inside a record, or not with END.
        CorruptField, UnsupportedVersion, ReadingLimit: a record, a block or the checksum is not right.
    """
    if not source.head.startswith(MAGIC):
        raise NotThisFormat("the file does not begin with %SEMI-OASIS", file=source.name)
    with source.path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    end = max(len(data) - END_BYTES, len(MAGIC))
    walk = _Walk(source, OasisStream(source.name, data, len(MAGIC), end))
    try:
        count = walk.run()
    except Truncated:
        # A file that was cut has no END: that is the better reason.
        _check_end(source, data, walk.count)
        raise
    _check_end(source, data, count)
    return count

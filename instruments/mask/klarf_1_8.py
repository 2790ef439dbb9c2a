"""KLARF 1.8: nested records, fields and lists; whole numbers of nanometres.

``Record Name "id" { … }``, ``Field Name n { values }``, ``List Name { Columns n { type name, … } Data n { row ; … }}``.
An ``ImageList`` cell is ``N``, or ``Images n { "path" "type" index "label", … }``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from instruments.errors import CountMismatch, UnsupportedVersion
from instruments.mask.klarf_text import (
    MISSING,
    NESTED_TOKEN,
    ORIENTATION,
    KlarfText,
    Token,
    WaferDefects,
    parse_integer,
)

MAX_DEPTH = 32
NO_IMAGES = frozenset({"N", "n", *MISSING})
_PAIRS = ("DiePitch", "DieOrigin", "SampleCenterLocation")
_DEFECTS = "DEFECTLIST"
_ROW_MARK = re.compile(r'[;{},"]')


@dataclass
class KlarfList:
    """A list: its columns with their types, and rows of texts; a cell of images is a list of lists."""

    name: str
    types: tuple[str, ...]
    names: tuple[str, ...]
    rows: list[list[str | list[list[str | int]]]] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def column(self, name: str) -> list[str]:
        """Return the texts of the column ``name``; empty when there is none."""
        if name not in self.names:
            return []
        place = self.names.index(name)
        return [str(row[place]) for row in self.rows]


@dataclass
class KlarfRecord:
    """A record: fields by name, lists and records inside, in file order."""

    kind: str
    identifier: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    lists: list[KlarfList] = field(default_factory=list)
    records: list["KlarfRecord"] = field(default_factory=list)

    def inside(self, kind: str) -> Iterator["KlarfRecord"]:
        """Yield the records of ``kind`` at any depth."""
        for record in self.records:
            if record.kind.lower() == kind.lower():
                yield record
            yield from record.inside(kind)


class _Parser:
    """A recursive descent over the tokens, one token ahead."""

    def __init__(self, text: KlarfText) -> None:
        self._text = text
        self._ahead = text.token_at(0, NESTED_TOKEN)

    def take(self, expected: str = "") -> Token:
        """Return the next token, which must be ``expected`` when that is given."""
        token = self._ahead
        if token is None:
            raise self._text.truncated("the file ends inside a record", len(self._text.text))
        if expected and token.text.lower() != expected.lower():
            raise self._text.corrupt("the structure is damaged", token.offset, expected, token.text)
        self._ahead = self._text.token_at(token.end, NESTED_TOKEN)
        return token

    def peek(self) -> str:
        """Return the next token's text in lower case, empty at the end."""
        return self._ahead.text.lower() if self._ahead is not None else ""

    def number(self) -> tuple[int, Token]:
        """Return the next token as a count, and the token."""
        token = self.take()
        value = parse_integer(token.text)
        if value is None or value < 0:
            raise self._text.corrupt("a count is no number", token.offset, "a number", token.text)
        return value, token

    def file(self) -> KlarfRecord:
        """Read the whole file: one record, ``EndOfFile;``, nothing more."""
        self.take("Record")
        record = self.record(0)
        if not self.peek():
            raise self._text.truncated("the file has no EndOfFile", len(self._text.text))
        self.take("EndOfFile")
        if self.peek() == ";":
            self.take()
        if self._ahead is not None:
            raise self._text.corrupt("there is more after EndOfFile", self._ahead.offset, found=self._ahead.text)
        return record

    def record(self, depth: int) -> KlarfRecord:
        """Read a record from its name on."""
        token = self.take()
        if depth > MAX_DEPTH:
            raise self._text.corrupt("the records are nested too deeply", token.offset, MAX_DEPTH)
        identifier = "" if self.peek() == "{" else self.take().value
        made = KlarfRecord(token.value, identifier)
        self.take("{")
        while self.peek() != "}":
            word = self.take()
            kind = word.text.lower()
            if kind == "record":
                made.records.append(self.record(depth + 1))
            elif kind == "field":
                self.field_of(made)
            elif kind == "list":
                made.lists.append(self.list_of())
            else:
                raise self._text.corrupt("the structure is damaged", word.offset, "Record, Field, List or }", word.text)
        self.take("}")
        return made

    def field_of(self, record: KlarfRecord) -> None:
        """Read a field into ``record``; it has as many values as it says."""
        name = self.take()
        count, _ = self.number()
        values = [value for row in self.braces() for value in row]
        if len(values) != count:
            message = f"the field {name.text} does not hold as many values as it says"
            raise self._text.corrupt(message, name.offset, count, len(values))
        if name.text in record.fields:
            raise self._text.corrupt(f"the field {name.text} appears twice in a record", name.offset)
        record.fields[name.text] = [value.value for value in values]

    def braces(self) -> list[list[Token]]:
        """Read ``{ … , … }`` and return the tokens between the commas."""
        self.take("{")
        groups: list[list[Token]] = [[]]
        while self.peek() != "}":
            token = self.take()
            if token.text in ("{", ";"):
                raise self._text.corrupt("the structure is damaged", token.offset, "a value, a comma or }", token.text)
            if token.text == ",":
                groups.append([])
            else:
                groups[-1].append(token)
        self.take("}")
        return groups if groups != [[]] else []

    def list_of(self) -> KlarfList:
        """Read a list from its name on; columns and rows are as many as it says."""
        name = self.take()
        self.take("{")
        self.take("Columns")
        declared, place = self.number()
        pairs = self.braces()
        if len(pairs) != declared or any(len(pair) != 2 for pair in pairs):
            message = f"the list {name.text} does not name as many columns as it says"
            raise self._text.corrupt(message, place.offset, declared, len(pairs))
        names = tuple(pair[1].value.upper() for pair in pairs)
        repeated = next((item for item in names if names.count(item) > 1), None)
        if repeated is not None:
            raise self._text.corrupt(f"the list {name.text} names the column {repeated} twice", place.offset)
        made = KlarfList(name.value, tuple(pair[0].value.lower() for pair in pairs), names)
        self.take("Data")
        rows, place = self.number()
        self.take("{")
        while self.peek() != "}":
            if not self.plain_row_of(made):
                self.row_of(made)
        self.take("}")
        self.take("}")
        if len(made.rows) != rows:
            message = f"the list {name.text} does not hold as many rows as it says"
            line = self._text.line_of(place.offset)
            raise CountMismatch(
                message, file=self._text.file, offset=line, expected=rows, found=len(made.rows), offset_unit="line"
            )
        return made

    def plain_row_of(self, made: KlarfList) -> bool:
        """Read a row that is words alone, and as many as there are columns, at once; tell whether it is one."""
        start = self._ahead
        mark = _ROW_MARK.search(self._text.text, start.offset) if start is not None else None
        if start is None or mark is None or mark.group() != ";":
            return False
        words = self._text.text[start.offset : mark.start()].split()
        if len(words) != len(made.names):
            return False
        row: list[str | list[list[str | int]]] = ["" if word in MISSING else word for word in words]
        for place, kind in enumerate(made.types):
            if kind == "imagelist":
                if words[place] not in NO_IMAGES:
                    return False
                row[place] = []
        made.rows.append(row)
        made.offsets.append(start.offset)
        self._ahead = self._text.token_at(mark.end(), NESTED_TOKEN)
        return True

    def row_of(self, made: KlarfList) -> None:
        """Read one row up to its ``;``."""
        row: list[str | list[list[str | int]]] = []
        start = self._ahead
        number = len(made.rows) + 1
        while self.peek() != ";":
            token = self.take()
            if token.text in ("{", "}", ","):
                message = f"row {number} of the list {made.name} is damaged"
                raise self._text.corrupt(message, token.offset, "a value or ;", token.text)
            if len(row) < len(made.types) and made.types[len(row)] == "imagelist":
                row.append(self.images(token))
            else:
                row.append("" if token.text in MISSING else token.value)
        self.take(";")
        if len(row) == len(made.names) - 1 and made.types[-1] == "imagelist" and _has_no_image(made, row):
            row.append([])
        if len(row) != len(made.names):
            message = f"row {number} of the list {made.name} has another number of values than the list has columns"
            offset = start.offset if start is not None else 0
            raise self._text.corrupt(message, offset, len(made.names), len(row))
        made.rows.append(row)
        made.offsets.append(start.offset if start is not None else 0)

    def images(self, token: Token) -> list[list[str | int]]:
        """Read a cell of images whose first token is ``token``."""
        if token.text in NO_IMAGES or (token.text == "0" and self.peek() != "{"):
            return []
        if token.text.lower() not in ("images", "image"):
            raise self._text.corrupt("this is no list of images", token.offset, "N or Images", token.text)
        declared, place = self.number()
        groups = self.braces()
        if len(groups) != declared:
            message = "a list of images does not hold as many as it says"
            raise self._text.corrupt(message, place.offset, declared, len(groups))
        listed: list[list[str | int]] = []
        for group in groups:
            numbers = [parse_integer(item.text) for item in group]
            listed.append(
                [item.value if number is None else number for item, number in zip(group, numbers, strict=True)]
            )
        return listed


def _has_no_image(made: KlarfList, row: list[str | list[list[str | int]]]) -> bool:
    return "IMAGECOUNT" in made.names and row[made.names.index("IMAGECOUNT")] == "0"


def read_nested(text: KlarfText) -> tuple[WaferDefects, ...]:
    """Return every wafer of ``text``.

    Raises:
        CorruptField, CountMismatch, Truncated: the structure is not right.
        UnsupportedVersion: it is a version of the nested grammar other than 1.8.
    """
    root = _Parser(text).file()
    if root.kind.lower() != "filerecord" or root.identifier != "1.8":
        message = "the version of the KLARF file is not known"
        raise UnsupportedVersion(message, file=text.file, expected="1.8", found=root.identifier[:40])
    wafers = []
    for lot in [record for record in root.records if record.kind.lower() == "lotrecord"]:
        wafers += [_wafer(text, root, lot, record) for record in lot.inside("WaferRecord")]
    if not wafers:
        raise text.corrupt("there is no WaferRecord in a LotRecord", 0)
    return tuple(wafers)


def _wafer(text: KlarfText, root: KlarfRecord, lot: KlarfRecord, record: KlarfRecord) -> WaferDefects:
    wafer = WaferDefects(record.identifier, "1.8", 1000)
    for name in _PAIRS:
        values = record.fields.get(name) or lot.fields.get(name)
        if values is not None:
            wafer.geometry[name] = _pair(text, name, values)
    for name, values in (lot.fields | record.fields).items():
        if name.lower() in ORIENTATION:
            wafer.orientation[name.lower()] = " ".join(values)
    for listed in (*lot.lists, *record.lists):
        if listed.name.lower() == "classlookuplist":
            for number, name in zip(listed.column("CLASSNUMBER"), listed.column("CLASSNAME"), strict=False):
                wafer.classes[parse_integer(number) or 0] = name
        if listed.name.upper() == _DEFECTS:
            _add_defects(text, wafer, listed)
    for summary in record.inside("SummaryRecord"):
        for listed in summary.lists:
            tests, counts = listed.column("TESTNO"), listed.column("NDEFECT")
            for test, count in zip(tests, counts, strict=False):
                wafer.declared.append((parse_integer(test) or 0, parse_integer(count) or 0))
    wafer.metadata = {
        "lot": lot.identifier,
        "file": dict(root.fields),
        "lot_fields": dict(lot.fields),
        "wafer_fields": dict(record.fields),
        "records": [_verbatim(inner) for inner in record.records],
    }
    return wafer


def _verbatim(record: KlarfRecord) -> dict[str, object]:
    return {
        "kind": record.kind,
        "identifier": record.identifier,
        "fields": dict(record.fields),
        "lists": [{"name": item.name, "columns": list(item.names), "rows": item.rows} for item in record.lists],
        "records": [_verbatim(inner) for inner in record.records],
    }


def _add_defects(text: KlarfText, wafer: WaferDefects, listed: KlarfList) -> None:
    """Append the rows of a DefectList; every list of a wafer has the same columns."""
    pictures = [place for place, kind in enumerate(listed.types) if kind == "imagelist"]
    names = [name for place, name in enumerate(listed.names) if place not in pictures]
    if wafer.columns and list(wafer.columns) != names:
        message = "a second DefectList with other columns is not supported"
        raise UnsupportedVersion(message, file=text.file)
    if "DEFECTID" not in names:
        offset = listed.offsets[0] if listed.offsets else 0
        raise text.corrupt("the DefectList has no column DEFECTID", offset)
    for name in names:
        wafer.columns.setdefault(name, []).extend(listed.column(name))
    wafer.listed = True
    wafer.places += [(offset, 0) for offset in listed.offsets]
    for row in listed.rows:
        cells = [row[place] for place in pictures]
        wafer.images.append([image for cell in cells if isinstance(cell, list) for image in cell])


def _pair(text: KlarfText, name: str, values: list[str]) -> tuple[float, float]:
    try:
        first, second = (float(value) for value in values)
    except ValueError:
        raise text.corrupt(f"{name} is not two numbers", 0, found=" ".join(values)) from None
    return first, second

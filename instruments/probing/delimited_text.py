"""Tables of numbers as text: which delimiter and decimal mark, where the numbers begin, and their rows in blocks."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Source
from instruments.errors import CorruptField, NotThisFormat, Truncated
from instruments.probing.delimited_cells import STAMP, trimmed

BLOCK_BYTES = 1 << 22
LONG_BYTES = 1 << 18
"""From here on pyarrow is worth its import."""
MAX_HEADER_LINES = 200
BEGINS_AS_ROW = re.compile(r"[-+]?[.,]?\d")
MAX_LINE_BYTES = 1 << 20
_BESIDE = 3
"""Cells of the header before the samples in a Tektronix table: key, value, and an empty one."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")
SPECIAL = {
    sign + word: -value if sign == "-" else value
    for sign in ("", "+", "-")
    for word, value in (("nan", math.nan), ("inf", math.inf), ("infinity", math.inf), ("∞", math.inf))
}
BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True)
class Dialect:
    """How the rows are written.

    Attributes:
        delimiter: ``","``, ``";"``, a tab, or ``" "`` for any run of white space.
        decimal_comma: numbers have a decimal comma.
        columns: cells in each row.
        trailing: with how many more delimiters every row ends.
        encoding: of the text.
        line_end: the byte that ends a line; carriage returns before it are ignored.
        first: the cell that a row begins with; those left of it hold something else.
    """

    delimiter: str
    decimal_comma: bool
    columns: int
    trailing: int
    encoding: str
    line_end: bytes
    first: int = 0


@dataclass(frozen=True)
class Opening:
    """The beginning of a table.

    Attributes:
        dialect: of the rows.
        header: the lines before the first row, without line ends.
        start: byte offset of the first row.
        rows: the cells of the first rows, as text.
    """

    dialect: Dialect
    header: tuple[str, ...]
    start: int
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class RawCount:
    """Lines counted on the bytes alone.

    Attributes:
        lines: lines from the first row on that are not empty.
        last: the last of them, as text.
        ended: it has a line end.
    """

    lines: int
    last: str
    ended: bool


@dataclass(frozen=True)
class Block:
    """Rows: float64 of shape ``(rows, columns)``, the 1-based line of each, how many cells are empty (NaN here)."""

    values: NDArray[np.float64]
    lines: NDArray[np.int64]
    empty: int


def split(text: str, delimiter: str) -> list[str]:
    """Return the cells of a line, stripped, without quotation marks."""
    cells = text.split() if delimiter == " " else text.split(delimiter)
    return [cell.strip().strip('"').strip() for cell in cells]


def row_cells(text: str, dialect: Dialect) -> list[str]:
    """Return the cells of a row, without what stands left of it."""
    return split(text, dialect.delimiter)[dialect.first :]


def to_number(cell: str, decimal_comma: bool) -> float | None:
    """Return the number in ``cell``, NaN for an empty cell, ``None`` when it is no number."""
    if not cell:
        return math.nan
    text = cell.replace(",", ".") if decimal_comma else cell
    if NUMBER.fullmatch(text):
        return float(text.replace("d", "e").replace("D", "e"))
    return SPECIAL.get(text.lower())


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of ``data`` and the name of its encoding: UTF-8, or Latin-1 where it is not UTF-8."""
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3:
            return data[: error.start].decode("utf-8-sig"), "utf-8"
        return data.decode("latin-1"), "latin-1"


def find_opening(source: Source) -> Opening:
    """Find the header, the first row and the dialect of ``source`` in its head.

    Raises:
        NotThisFormat: it is no text, or no line of numbers comes early enough.
    """
    head = source.head
    if source.is_bundle or not head:
        raise NotThisFormat("there is no text to read", file=source.name)
    if BINARY.search(head):
        raise NotThisFormat("the file is not plain text", file=source.name)
    line_end = b"\n" if b"\n" in head else b"\r"
    whole = source.size_bytes <= len(head)
    raw = head.split(line_end)
    if not whole:
        raw = raw[:-1]
    text = [decode(line)[0].rstrip("\r") for line in raw]
    encoding = decode(head)[1]
    beside = _beside(text, encoding, line_end)
    if beside is not None:
        return beside
    for index in range(min(len(text), MAX_HEADER_LINES)):
        found = _dialect(text[index : index + 50], encoding, line_end)
        if found is not None:
            _refuse_damaged_row(source, text[:index])
            found = _with_titles(found, text[index - 1] if index else "")
            start = sum(len(line) + 1 for line in raw[:index])
            lines = [line for line in text[index:] if line.strip()]
            rows = tuple(tuple(split(line, found.delimiter)[: found.columns]) for line in lines[:1000])
            return Opening(found, tuple(text[:index]), start, rows)
    raise NotThisFormat("no line of numbers was found", file=source.name)


def _beside(text: list[str], encoding: str, line_end: bytes) -> Opening | None:
    """Return the opening of a Tektronix table whose header stands left of its samples, ``None`` for any other."""
    lines = [line for line in text if line.strip()]
    if len(lines) < 2 or not lines[0].startswith("Record Length,") or not lines[1].startswith("Sample Interval,"):
        return None
    rows = [split(line, ",")[_BESIDE:] for line in lines[:1000]]
    if any(len(row) not in (2, 3) or None in (to_number(row[0], False), to_number(row[1], False)) for row in rows[:20]):
        return None
    trailing = int(len(rows[0]) == 3)
    dialect = Dialect(",", False, 2, trailing, encoding, line_end, _BESIDE)
    header = tuple(",".join(line.split(",")[:_BESIDE]) for line in text[:MAX_HEADER_LINES])
    return Opening(dialect, header, 0, tuple(tuple(row[:2]) for row in rows))


def _refuse_damaged_row(source: Source, header: list[str]) -> None:
    """A first row with a cell that is no number must not pass for a line of the header, and be left out in silence."""
    line = next((number for number in range(len(header), 0, -1) if header[number - 1].strip()), 0)
    found = header[line - 1].strip() if line else ""
    if BEGINS_AS_ROW.match(found):
        message = "the line above the first row of numbers begins as one and is none"
        raise CorruptField(message, file=source.name, offset=line, found=found[:80], offset_unit="line")


def _dialect(lines: Sequence[str], encoding: str, line_end: bytes) -> Dialect | None:
    """Return the dialect in which the first of ``lines`` is a row of numbers, and as many as possible of the rest."""
    first = lines[0]
    if not first.strip():
        return None
    best: tuple[int, Dialect] | None = None
    for delimiter in (";", "\t", ",", " "):
        if delimiter != " " and delimiter not in first.strip() and delimiter != ",":
            continue
        comma = delimiter in (";", "\t") and "," in first
        if comma and "." in first:
            continue
        cells = split(first, delimiter)
        numbers = [to_number(cell, comma) for cell in cells]
        if numbers[0] is None or not cells[0] or any(number is None for number in numbers):
            continue
        filled = [line.rstrip(" \r") for line in lines if line.strip()]
        trailing = len(cells) - max(1, len(trimmed(cells)))
        while trailing and not all(line.endswith(delimiter * trailing) for line in filled):
            trailing -= 1
        columns = len(cells) - trailing
        fitting = sum(1 for line in lines if len(split(line, delimiter)) == len(cells))
        candidate = Dialect(delimiter, comma, columns, trailing, encoding, line_end)
        if best is None or fitting > best[0]:
            best = (fitting, candidate)
    return best[1] if best else None


def _with_titles(dialect: Dialect, titles: str) -> Dialect:
    """A last column that is empty in the first rows is a column all the same when it has a title."""
    cells = split(titles, dialect.delimiter)
    width = dialect.columns + dialect.trailing
    titled = len(trimmed(cells)) if not any(map(STAMP.fullmatch, cells)) else 0
    if len(cells) != width or titled <= dialect.columns:
        return dialect
    return replace(dialect, columns=titled, trailing=width - titled)


def count_lines(source: Source, opening: Opening) -> RawCount:
    """Count the lines of ``source`` from the first row on, block by block, without looking into them."""
    end = opening.dialect.line_end
    lines, previous = 0, end
    with source.path.open("rb") as file:
        file.seek(opening.start)
        while block := file.read(BLOCK_BYTES):
            data = block.replace(b"\r", b"") if end == b"\n" else block
            codes = np.frombuffer(previous + data, np.uint8)
            ends = codes == end[0]
            lines += int(np.count_nonzero(ends[1:] & ~ends[:-1]))
            previous = data[-1:] or previous
    ended = previous == end
    last, hollow = _last_line(source, opening)
    return RawCount(lines + (not ended) - hollow, last, ended)


def _last_line(source: Source, opening: Opening) -> tuple[str, int]:
    """Return the last line that is not empty, read from the end of the file, and how many without a cell follow it."""
    end, length, size = opening.dialect.line_end, 4096, source.path.stat().st_size
    with source.path.open("rb") as file:
        while True:
            start = max(opening.start, size - length)
            file.seek(start)
            lines = [line for line in file.read().split(end)[start != opening.start :] if line.strip(b"\r\n")]
            rows = (place for place, line in enumerate(reversed(lines)) if line.strip(_hollow(opening.dialect)))
            after = next(rows, len(lines))
            if after < len(lines) or start == opening.start or length > MAX_LINE_BYTES:
                return decode(b"".join(lines[-1 - after :][:1]))[0].rstrip("\r"), after
            length *= 4


def _hollow(dialect: Dialect) -> bytes:
    """Return the characters of a line without any cell, as UltraScope writes one after the rows."""
    return dialect.delimiter.encode() + b" \t\r\x1a"


def iterate_blocks(source: Source, opening: Opening) -> Iterator[Block]:
    """Yield the rows of ``source`` in blocks.

    Raises:
        CorruptField: a cell is no number, or a row has another number of cells, with its line.
        Truncated: that row is the last one and has no line end.
    """
    end = opening.dialect.line_end
    line, rest = (1 if opening.dialect.first else len(opening.header) + 1), b""
    with source.path.open("rb") as file:
        file.seek(opening.start)
        while True:
            block = file.read(BLOCK_BYTES)
            data = rest + block
            cut = len(data) if not block else data.rfind(end) + 1
            data, rest = data[:cut], data[cut:]
            if len(rest) > MAX_LINE_BYTES:
                message = "a line is too long for a table of numbers"
                raise CorruptField(message, file=source.name, offset=line, offset_unit="line", found=len(rest))
            if data.strip(_hollow(opening.dialect) + b"\n"):
                yield _parse(source, opening.dialect, data, line)
            line += data.count(end)
            if not block:
                return


def _parse(source: Source, dialect: Dialect, data: bytes, line: int) -> Block:
    fast = None if dialect.first else _parse_fast(dialect, data, line)
    return fast if fast is not None else _parse_slowly(source, dialect, data, line)


def _parse_fast(dialect: Dialect, data: bytes, line: int) -> Block | None:
    """Return the rows when every line is full and plain; ``None`` leaves the judgement to the slow reader."""
    text = data.replace(b"\r\n", b"\n") if dialect.line_end == b"\n" else data.replace(b"\r", b"\n")
    text = text.removesuffix(b"\n")
    # A carriage return inside a line parts two things that would be joined without it.
    if text[:1] in (b"\n", b"") or text[-1:] == b"\n" or any(odd in text for odd in (b"_", b'"', b"\n\n", b"\r")):
        return None
    rows = text.count(b"\n") + 1
    if dialect.delimiter == " ":
        table = [line.split() for line in text.split(b"\n")]
        if any(len(cells) != dialect.columns for cells in table):
            return None
        cells = [cell for row in table for cell in row]
    else:
        delimiter = dialect.delimiter.encode()
        if dialect.trailing:
            ending = delimiter * dialect.trailing
            if text.count(ending + b"\n") != rows - 1 or not text.endswith(ending):
                return None
            text = text.replace(ending + b"\n", b"\n")[: -len(ending)]
        codes = np.frombuffer(text + b"\n", np.uint8)
        ends = np.flatnonzero(codes == 10)
        before = np.searchsorted(np.flatnonzero(codes == delimiter[0]), ends)
        if (np.diff(before, prepend=0) != dialect.columns - 1).any():
            return None
        if dialect.decimal_comma:
            if b"." in text:
                return None
            text = text.replace(b",", b".")
        if len(text) >= LONG_BYTES:
            values = _parse_long(text, dialect.delimiter, rows, dialect.columns)
            if values is not None:
                return Block(values, np.arange(line, line + rows), 0)
        cells = text.replace(b"\n", delimiter).split(delimiter)
    try:
        values = np.fromiter(map(float, cells), np.float64, len(cells)).reshape(rows, dialect.columns)
    except ValueError:
        return None
    return Block(values, np.arange(line, line + rows), 0)


def _parse_long(text: bytes, delimiter: str, rows: int, columns: int) -> NDArray[np.float64] | None:
    """Return what pyarrow makes of plain rows, correctly rounded as ``float`` is; ``None`` when it refuses a cell."""
    import pyarrow  # noqa: PLC0415 - a short text does not need it
    from pyarrow import csv  # noqa: PLC0415

    names = [str(column) for column in range(columns)]
    try:
        table = csv.read_csv(
            pyarrow.BufferReader(text),
            read_options=csv.ReadOptions(use_threads=False, column_names=names, block_size=len(text) + 1),
            parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.float64()), null_values=[], check_utf8=False
            ),
        )
    except pyarrow.ArrowInvalid:
        return None
    if table.num_rows != rows or any(column.null_count for column in table.columns):
        return None
    return np.column_stack([column.to_numpy() for column in table.columns])


def _parse_slowly(source: Source, dialect: Dialect, data: bytes, line: int) -> Block:
    text = data.decode(dialect.encoding, "replace")
    ended = text.endswith(("\n", "\r"))
    separator = "\n" if dialect.line_end == b"\n" else "\r"
    lines = [item.rstrip("\r") for item in text.split(separator)]
    hollow = _hollow(dialect).decode()
    while lines and not lines[-1].strip(hollow):  # after the last row only: elsewhere it is counted as a line
        lines.pop()
    rows: list[list[float]] = []
    numbers: list[int] = []
    empty = 0
    for index, content in enumerate(lines):
        if not content.strip("\ufeff\x1a \t"):
            continue
        if "\r" in content:
            message = "a carriage return stands inside the row"
            raise CorruptField(message, file=source.name, offset=line + index, offset_unit="line")
        cut = index == len(lines) - 1 and not ended
        cells = row_cells(content, dialect)
        if len(cells) == dialect.columns + dialect.trailing and not any(cells[dialect.columns :]):
            del cells[dialect.columns :]
        if len(cells) != dialect.columns:
            raise _bad_row(source, line + index, dialect.columns, len(cells), cut)
        rows.append([_value(source, cell, dialect, line + index, cut) for cell in cells])
        numbers.append(line + index)
        empty += cells.count("")
    values = np.array(rows, np.float64).reshape(len(rows), dialect.columns)
    return Block(values, np.array(numbers, np.int64), empty)


def _bad_row(source: Source, line: int, expected: int, found: int, cut: bool) -> CorruptField | Truncated:
    if cut and found < expected:
        message = "the file ends inside a row"
        return Truncated(message, file=source.name, offset=line, expected=expected, found=found, offset_unit="line")
    message = "the row has another number of cells than the first"
    return CorruptField(message, file=source.name, offset=line, expected=expected, found=found, offset_unit="line")


def _value(source: Source, cell: str, dialect: Dialect, line: int, cut: bool) -> float:
    number = to_number(cell, dialect.decimal_comma)
    if number is not None:
        return number
    if cut:
        message = "the file ends inside a number"
        raise Truncated(
            message, file=source.name, offset=line, expected="a number", found=cell[:40], offset_unit="line"
        )
    message = "a cell is no number"
    raise CorruptField(message, file=source.name, offset=line, expected="a number", found=cell[:40], offset_unit="line")

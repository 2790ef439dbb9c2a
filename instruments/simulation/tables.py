"""Small comma-separated tables with a header line, read whole and counted twice."""

import csv
import io
from dataclasses import dataclass

from instruments.adapter import Confidence, Sniff, Source
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, ReadingLimit

MAX_TABLE_BYTES = 512 << 20
MOST_DIGITS = 18


@dataclass(frozen=True)
class TextTable:
    """A header and its rows of text; ``lines[i]`` is the 1-based line number of ``rows[i]``."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]


def header_of(source: Source) -> tuple[str, ...]:
    """Return the cells of the first line of ``source``, stripped; empty when it is no text."""
    first = source.head.partition(b"\n")[0]
    try:
        text = first.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ()
    return tuple(cell.strip() for cell in text.strip("\r").split(","))


def sniff_header(source: Source, *, matches: bool, wanted: str) -> Sniff:
    """Return certainty when the header of ``source`` matches, with what was ``wanted`` in words."""
    if source.is_bundle:
        return Sniff(Confidence.NO, "a bundle is not a table")
    if matches:
        return Sniff(Confidence.CERTAIN, f"the header line is {wanted}")
    return Sniff(Confidence.NO, f"the header line is not {wanted}")


def read_table(source: Source) -> TextTable:
    """Read ``source`` as UTF-8 comma-separated text; every row has as many cells as the header.

    Raises:
        NotThisFormat: the file is not UTF-8 text.
        ReadingLimit: it is larger than such a table may be.
        CorruptField: a row has another number of cells than the header, or a header cell repeats.
        CountMismatch: the rows are not as many as the non-empty lines counted on the raw bytes.
    """
    if source.size_bytes > MAX_TABLE_BYTES:
        message = "the table is too large to be read whole"
        raise ReadingLimit(message, file=source.name, expected=MAX_TABLE_BYTES, found=source.size_bytes)
    data = source.path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotThisFormat("the table is not UTF-8 text", file=source.name, offset=error.start) from error
    reader = csv.reader(io.StringIO(text), strict=True)
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(tuple(cell.strip() for cell in cells))
                lines.append(reader.line_num)
    except csv.Error as error:
        message = f"the table is damaged: {error}"
        raise CorruptField(message, file=source.name, offset=reader.line_num, offset_unit="line") from error
    commented = next((line for cells, line in zip(rows, lines, strict=True) if cells[0].startswith("#")), None)
    if commented is not None:
        message = "the table has a comment, which such tables do not have"
        raise CorruptField(message, file=source.name, offset=commented, offset_unit="line")
    if not rows:
        raise NotThisFormat("the table is empty", file=source.name)
    header = rows[0]
    _check(source, header, rows, lines)
    counted = sum(1 for line in data.replace(b"\r", b"\n").split(b"\n") if line.strip(b" \t,\xef\xbb\xbf"))
    if counted != len(rows):
        raise CountMismatch("lines and rows do not agree", file=source.name, expected=counted, found=len(rows))
    return TextTable(header, tuple(rows[1:]), tuple(lines[1:]))


def _check(source: Source, header: tuple[str, ...], rows: list[tuple[str, ...]], lines: list[int]) -> None:
    repeated = next((name for name in header if header.count(name) > 1), None)
    if repeated is not None:
        raise CorruptField(f"the column {repeated!r} appears twice", file=source.name, offset=1, offset_unit="line")
    for cells, line in zip(rows, lines, strict=True):
        if len(cells) != len(header):
            raise CorruptField(
                "the row has another number of cells than the header",
                file=source.name,
                offset=line,
                expected=len(header),
                found=len(cells),
                offset_unit="line",
            )


def integer(source: Source, text: str, line: int, column: str) -> int:
    """Return the non-negative whole number ``text`` of ``column``; raises CorruptField with the line of ``source``."""
    if not text.isascii() or not text.isdigit():
        message = f"{column} is not a whole number"
        raise CorruptField(message, file=source.name, offset=line, found=text, offset_unit="line")
    if len(text) > MOST_DIGITS:
        message = f"{column} is too large"
        raise CorruptField(message, file=source.name, offset=line, found=text[:40], offset_unit="line")
    return int(text)

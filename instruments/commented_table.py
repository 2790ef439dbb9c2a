"""Comma-, semicolon- or tab-separated tables with comment lines ``# name: value``, read whole and counted twice.

Where the cells are not separated by commas, numbers may have a decimal comma: a whole column of them shows it, if some
have another number of digits after it than thousands have. Then all numbers of the table are written so.
"""

import csv
import io
import re
from dataclasses import dataclass

from instruments.adapter import Source
from instruments.errors import CorruptField, CountMismatch
from instruments.text_lines import split_lines

_COMMENT = re.compile(r"^\s*#\s*(?P<name>[^:=]+?)\s*[:=]\s*(?P<value>.*?)\s*$")
_DELIMITERS = ",;\t"
_WITH_COMMA = re.compile(r"[-+]?(?P<whole>\d*),(?P<part>\d+)(?:[eE][-+]?\d+)?(?:\s*[A-Za-zµμ%°Å][^,;]*)?")
_WITH_POINT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?")
_WHOLE = re.compile(r"[-+]?\d+(?:[eE][-+]?\d+)?(?:\s*[A-Za-zµμ%°Å][^,;]*)?")
_THOUSANDS = 3


@dataclass(frozen=True)
class CommentedTable:
    """A header, its rows of text, the 1-based line of each row, what the comments say, and doubts.

    ``decimal_comma`` says that numbers have a decimal comma; the cells are as they stand.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    comments: dict[str, str]
    warnings: tuple[str, ...] = ()
    decimal_comma: bool = False


def with_point(cell: str, decimal_comma: bool) -> str:
    """Return the number in ``cell`` with a decimal point; anything else as it stands."""
    return cell.replace(",", ".", 1) if decimal_comma and _WITH_COMMA.fullmatch(cell.strip()) else cell


def header_in(text: str) -> tuple[str, ...]:
    """Return the cells of the first line of ``text`` that is neither empty nor a comment."""
    first = next((line for line in split_lines(text) if line.strip() and not line.lstrip().startswith("#")), "")
    return tuple(cell.strip().strip('"') for cell in first.split(delimiter_of(first)))


def delimiter_of(line: str) -> str:
    """Return the mark that separates most cells of ``line``; a comma when none does."""
    return max(_DELIMITERS, key=line.count)


def read_commented_table(source: Source, text: str) -> CommentedTable:
    """Return the table in ``text``, the contents of ``source``; every row has as many cells as the header.

    Raises:
        CorruptField: a row is wider or narrower than the header, a column has no name or another's, or its numbers
            have commas that may be decimal or not.
        CountMismatch: the rows are not as many as the lines that hold any.
    """
    comments: dict[str, str] = {}
    body: list[str] = []
    for line in split_lines(text):
        comment = _COMMENT.match(line)
        if comment:
            comments[comment["name"]] = comment["value"]
        # A comment leaves an empty line, so that line numbers stay those of the file.
        body.append("" if line.lstrip().startswith("#") else line)
    delimiter = delimiter_of(next((line for line in body if line.strip()), ""))
    reader = csv.reader(io.StringIO("\n".join(body)), delimiter=delimiter, strict=True)
    header: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    beyond = 0
    try:
        for raw in reader:
            cells = tuple(cell.strip() for cell in raw)
            if not any(cells):
                continue
            if not header:
                header = _without_empty_end(cells)
                beyond = len(cells) - len(header)
                _check_header(source, header, reader.line_num)
                continue
            # Some programs end every line with a delimiter.
            if beyond and not any(cells[len(header) :]) and len(cells) <= len(header) + beyond:
                cells = cells[: len(header)]
            if len(cells) != len(header):
                raise _wrong_width(source, reader.line_num, len(header), len(cells))
            rows.append(cells)
            lines.append(reader.line_num)
    except csv.Error as error:
        message = f"the table is damaged: {error}"
        raise CorruptField(message, file=source.name, offset=reader.line_num, offset_unit="line") from None
    counted = sum(1 for line in body if line.strip(f' "\t{delimiter}')) - (1 if header else 0)
    if counted != len(rows):
        message = "the rows are not as many as the lines that hold any"
        raise CountMismatch(message, file=source.name, expected=counted, found=len(rows))
    doubts: tuple[str, ...] = (
        () if not rows or text.endswith(("\n", "\r")) else ("the last line has no line end and may be cut",)
    )
    comma = delimiter != "," and _has_decimal_comma(source, header, rows)
    doubts += ("numbers were read with a decimal comma",) if comma else ()
    return CommentedTable(header, tuple(rows), tuple(lines), comments, doubts, comma)


def _has_decimal_comma(source: Source, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> bool:
    """Tell whether numbers have a decimal comma; refuse a table in which that is not clear."""
    with_comma, with_point, clear = "", "", False
    for name, column in zip(header, zip(*rows, strict=True), strict=False):
        cells = [cell for cell in column if cell]
        commas = [match for match in map(_WITH_COMMA.fullmatch, cells) if match]
        if commas and len(commas) + sum(1 for cell in cells if _WHOLE.fullmatch(cell)) == len(cells):
            with_comma = with_comma or name
            clear |= any(len(match["part"]) != _THOUSANDS or match["whole"] in ("", "0") for match in commas)
        elif cells and all(_WITH_POINT.fullmatch(cell) or _WHOLE.fullmatch(cell) for cell in cells):
            with_point = with_point or (name if any("." in cell for cell in cells) else "")
    if with_comma and (with_point or not clear):
        other = f"and those of {with_point} a decimal point" if with_point else "which may separate thousands"
        message = f"the numbers of {with_comma} have a comma, {other}; write them with a decimal point"
        raise CorruptField(message, file=source.name)
    return bool(with_comma)


def _without_empty_end(cells: tuple[str, ...]) -> tuple[str, ...]:
    named = [place for place, cell in enumerate(cells, 1) if cell]
    return cells[: named[-1]]


def _wrong_width(source: Source, line: int, expected: int, found: int) -> CorruptField:
    message = "the row has another number of cells than the header"
    return CorruptField(message, file=source.name, offset=line, expected=expected, found=found, offset_unit="line")


def _check_header(source: Source, header: tuple[str, ...], line: int) -> None:
    repeated = next((name for name in header if header.count(name) > 1), None)
    if repeated is not None or "" in header:
        message = f"the column {repeated!r} appears twice" if repeated else "a column has no name"
        raise CorruptField(message, file=source.name, offset=line, offset_unit="line")

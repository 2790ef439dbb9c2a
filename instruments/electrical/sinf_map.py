"""Wafer maps as SINF text: lines ``NAME:value``, then one ``RowData:`` line for each row, codes with blanks between.

Known from real files. ``__`` (as wide as the codes) is a place without a die, ``@@`` a reference die, ``BCEQU`` the
code of good dies; what other codes mean the file does not say. ``ROWCT`` and ``COLCT`` are compared with the rows and
codes that are there, ``DIECT``, where a writer gives it, with the dies. The writers of ``FNLOC`` (where the notch is)
do not agree on where its degrees begin, nor is it known whence ``REFPX`` and ``REFPY`` count: they are kept, not
applied.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.electrical.die_steps import length_um, length_unit
from instruments.electrical.map_xml import head_text, whole_number
from instruments.electrical.wafer_grid import MAX_BYTES, BinDefinition, CodeType, WaferGrid, make_map
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, ReadingLimit
from instruments.records import Record
from instruments.text_lines import decode_text

_ROW = "ROWDATA"
_NAME = re.compile(r"[A-Z][A-Z0-9 _./#-]{0,39}")
_NO_BIN = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_COUNT = 10
_NUMBERS = ("FNLOC", "REFPX", "REFPY")


class SinfMapAdapter:
    """Reads SINF text into a ``wafer_map`` table."""

    name = "sinf_map"
    version = "4"
    formats = ("sinf",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for ROWCT, COLCT and RowData in the first lines of ``source``."""
        names = {line.partition(":")[0].strip().upper() for line in head_text(source).splitlines() if ":" in line}
        if names >= {"ROWCT", "COLCT", _ROW}:
            return Sniff(Confidence.CERTAIN, "the lines ROWCT, COLCT and RowData of SINF")
        if names >= {"ROWCT", "COLCT"} or names >= {"FNLOC", "BCEQU"}:
            return Sniff(Confidence.LIKELY, "some of SINF's lines")
        return Sniff(Confidence.NO, "no ROWCT, COLCT and RowData of SINF")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the map of ``source``.

        Raises:
            CorruptField, CountMismatch, NotThisFormat, UnsupportedVersion, ReadingLimit: and why.
        """
        text, doubts = _read_text(source)
        header, rows = _read_lines(source, text)
        height = whole_number(source, header.get("ROWCT", ""), "ROWCT")
        width = whole_number(source, header.get("COLCT", ""), "COLCT")
        if height is None or width is None:
            raise NotThisFormat("the map does not say ROWCT and COLCT", file=source.name)
        if len(rows) != height:
            message = "the map does not have as many rows as ROWCT"
            raise CountMismatch(message, file=source.name, expected=height, found=len(rows))
        counted = text.upper().count("ROWDATA:")
        if counted != len(rows):
            message = "the rows are not as many as the marks in the file"
            raise CountMismatch(message, file=source.name, expected=counted, found=len(rows))
        rows = _parted(rows, width, header)
        size = _check_rows(source, rows, width)
        grid = _make_grid(source, header, rows, size)
        grid = replace(grid, warnings=(*doubts, *grid.warnings))
        return "sinf", (make_map(grid, grid.substrate_id or Path(source.name).stem or source.name),)


def _read_text(source: Source) -> tuple[str, tuple[str, ...]]:
    if source.size_bytes > MAX_BYTES:
        message = "the map is too large to be read whole"
        raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
    try:
        return decode_text(source.path.read_bytes().rstrip(b"\x1a"))
    except UnicodeDecodeError as error:
        raise NotThisFormat("the map is no text", file=source.name, offset=error.start) from None


def _read_lines(source: Source, text: str) -> tuple[dict[str, str], dict[int, tuple[str, ...]]]:
    """Return the header and, by their line numbers, the rows."""
    header: dict[str, str] = {}
    rows: dict[int, tuple[str, ...]] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if not line.strip():
            continue
        name, mark, value = line.partition(":")
        name = name.strip().upper()
        if not mark or not _NAME.fullmatch(name):
            message = "the line is no NAME:value"
            raise CorruptField(message, file=source.name, offset=number, found=line[:40], offset_unit="line")
        if name == _ROW:
            rows[number] = tuple(value.split())
        elif name in header:
            message = f"{name} is given twice"
            raise CorruptField(message, file=source.name, offset=number, found=value[:40], offset_unit="line")
        else:
            header[name] = value.strip()
    return header, rows


def _parted(rows: dict[int, tuple[str, ...]], width: int, header: dict[str, str]) -> dict[int, tuple[str, ...]]:
    """Return the rows cut into codes as wide as BCEQU, if all are written without blanks and have so many of them."""
    good = header.get("BCEQU", "").replace(",", " ").split()
    size = len(good[0]) if good else 0
    if not size or any(len(row) != 1 or len(row[0]) != size * width for row in rows.values()):
        return rows
    return {
        line: tuple(text[place : place + size] for place in range(0, len(text), size)) for line, (text,) in rows.items()
    }


def _check_rows(source: Source, rows: dict[int, tuple[str, ...]], width: int) -> int:
    """Return the width of the codes, which is the same for all."""
    size = len(next((row[0] for row in rows.values() if row), ""))
    for line, row in rows.items():
        if len(row) != width:
            message = "the row does not have as many codes as COLCT"
            raise CountMismatch(
                message, file=source.name, offset=line, expected=width, found=len(row), offset_unit="line"
            )
        wrong = next((code for code in row if len(code) != size), None)
        if wrong is not None:
            message = "the code is not as wide as the first"
            raise CorruptField(
                message, file=source.name, offset=line, expected=size, found=wrong[:40], offset_unit="line"
            )
    if not rows or not width:
        raise NotThisFormat("the map has no dies", file=source.name)
    return size


def _make_grid(source: Source, header: dict[str, str], rows: dict[int, tuple[str, ...]], size: int) -> WaferGrid:
    warnings = []
    for name in _NUMBERS:
        _check_number(source, header, name)
    good = header.get("BCEQU", "").replace(",", " ").split()
    if any(len(code) != size for code in good):
        message = "BCEQU is not as wide as the codes"
        raise CorruptField(message, file=source.name, expected=size, found=header["BCEQU"][:40])
    if not good:
        warnings.append("the map does not say which code good dies have")
    if header.get("FNLOC"):
        warnings.append("the place of the notch, FNLOC, is kept and not applied: writers do not agree on its degrees")
    warnings += _doubtful_dies(header, rows, size)
    definitions = [BinDefinition(code, "Pass") for code in dict.fromkeys(good)]
    definitions += [BinDefinition("@" * size, "Reference")]
    # Other codes are no news: the format has no place to say what they mean.
    definitions += [
        BinDefinition(code) for code in sorted({code for row in rows.values() for code in row} - {*good, "@" * size})
    ]
    return WaferGrid(
        source.name,
        header.get("WAFER", ""),
        header.get("LOT", ""),
        tuple(rows.values()),
        CodeType("SINF", size, None),
        "_" * size,
        tuple(definitions),
        None,
        None,
        _steps(source, header, warnings),
        {"header": header},
        tuple(warnings),
    )


def _doubtful_dies(header: dict[str, str], rows: dict[int, tuple[str, ...]], size: int) -> Iterator[str]:
    """Yield what contradicts the number of dies: codes that name no bin, and a count of the writer's own."""
    counts = Counter(code for row in rows.values() for code in row)
    references = counts["@" * size]
    dies = counts.total() - counts["_" * size]
    for code in sorted(code for code in counts if _NO_BIN.fullmatch(code) and code not in ("_" * size, "@" * size)):
        yield f"{counts[code]} places have the code {code}, which names no bin and may mean that there is no die"
    declared = header.get("DIECT", "")
    if declared.isascii() and declared.isdigit() and len(declared) < _LONGEST_COUNT:
        if int(declared) not in (dies, dies - references):
            without = f", {dies - references} without reference dies" if references else ""
            yield f"DIECT counts {int(declared)} dies, the rows have {dies}{without}"
    elif declared:
        yield "DIECT is no number and was not compared with the dies"


def _check_number(source: Source, header: dict[str, str], name: str) -> None:
    text = header.get(name, "")
    if text and not re.fullmatch(r"[+-]?[0-9]{1,9}(?:\.[0-9]*)?", text):
        raise CorruptField(f"{name} is no number", file=source.name, found=text[:40])


def _steps(source: Source, header: dict[str, str], warnings: list[str]) -> tuple[float, float] | None:
    texts = (header.get("XDIES", ""), header.get("YDIES", ""))
    if not all(texts) or set(texts) <= {"0", "0.0", "0.000"}:
        return None
    if not header.get("DUTMS"):
        warnings.append("the steps of dies have no unit and are kept as they stand")
        return None
    unit = length_unit(source, header["DUTMS"])
    return length_um(source, texts[0], unit), length_um(source, texts[1], unit)

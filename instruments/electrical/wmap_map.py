"""Wafer maps as WMAP text: lines of a six-letter name and a value, then one line of codes for each row.

No specification is public; names are known from a real file and the descriptions of readers. ``PASBIN`` is the code of
good dies, ``SUMPAS`` how many there are, ``SKIPDI`` the codes of places that are not probed, ``REFBIN`` the code of
reference dies. Rows stand alone or behind ``MAP001``, ``MAP002``, …; a file whose rows are written in another way, for
example compressed, does not add up and is refused. Three counts must agree: ``ROWCNT``, ``COLCNT`` and ``SUMPAS``. The
corner ``ORLOC`` gives coordinates only where the reference dies lie at the positions that the file says; lengths have
no unit in the file and are kept as they stand.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.electrical.map_xml import head_text, whole_number
from instruments.electrical.wafer_grid import MAX_BYTES, Axes, BinDefinition, CodeType, WaferGrid, cut_row, make_map
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, ReadingLimit, Truncated
from instruments.records import Record
from instruments.text_lines import decode_text

_HEADER = re.compile(r"([A-Z][A-Z0-9]{5})(?:[ \t:=]+(.*))?")
_ROW = re.compile(r"MAP([0-9]{3,4})[ \t:=]+(\S.*)")
_POSITION = re.compile(r"REFPX([0-9]*)")
_CORNERS = {
    "1": Axes("upper right", up=False, right=False),
    "2": Axes("upper left", up=False, right=True),
    "3": Axes("lower left", up=True, right=True),
    "4": Axes("lower right", up=True, right=False),
}
"""ORLOC as SEMI E5 numbers the corners; coordinates grow into the wafer."""
_WANTED = frozenset({"ROWCNT", "COLCNT", "SUMPAS", "PASBIN"})


class WmapMapAdapter:
    """Reads WMAP text into a ``wafer_map`` table."""

    name = "wmap_map"
    version = "2"
    formats = ("wmap",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for ROWCNT, COLCNT, SUMPAS and PASBIN in the first lines of ``source``."""
        names = {line[:6] for line in head_text(source).splitlines() if _HEADER.fullmatch(line.strip())}
        if names >= _WANTED:
            return Sniff(Confidence.CERTAIN, "the lines ROWCNT, COLCNT, PASBIN and SUMPAS of WMAP")
        return Sniff(Confidence.NO, "no ROWCNT, COLCNT, PASBIN and SUMPAS of WMAP")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the map of ``source``.

        Raises:
            CorruptField, CountMismatch, NotThisFormat, Truncated, ReadingLimit: and why.
        """
        header, lines, doubts = _read_lines(source)
        missing = sorted(_WANTED - header.keys())
        if missing:
            raise NotThisFormat(f"the map does not say {missing[0]}", file=source.name)
        good = _codes(source, header, "PASBIN")
        rows = _read_rows(source, header, lines, len(good[0]))
        passing = sum(row.count(code) for row in rows for code in good)
        declared = whole_number(source, header["SUMPAS"], "SUMPAS")
        if declared != passing:
            message = "the map does not have as many good dies as SUMPAS"
            raise CountMismatch(message, file=source.name, expected=declared, found=passing)
        grid = _make_grid(source, header, rows, good)
        grid = replace(grid, warnings=(*doubts, *grid.warnings))
        return "wmap", (make_map(grid, grid.substrate_id or Path(source.name).stem or source.name),)


def _read_lines(source: Source) -> tuple[dict[str, str], list[tuple[int, str]], tuple[str, ...]]:
    """Return the header, each row's line number and codes, and doubts about the text."""
    if source.size_bytes > MAX_BYTES:
        message = "the map is too large to be read whole"
        raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
    try:
        text, doubts = decode_text(b"" if source.is_bundle else source.path.read_bytes().rstrip(b"\x1a"))
    except UnicodeDecodeError as error:
        raise NotThisFormat("the map is no text", file=source.name, offset=error.start) from None
    header: dict[str, str] = {}
    rows: list[tuple[int, str]] = []
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        plain = line.strip()
        if not plain:
            continue
        row, named = _ROW.fullmatch(plain), _HEADER.fullmatch(plain)
        if row is not None:
            if int(row[1]) != len(rows) + 1:
                message = "the rows are not numbered one after another"
                raise CorruptField(
                    message,
                    file=source.name,
                    offset=number,
                    expected=f"MAP{len(rows) + 1:03d}",
                    found=plain[:6],
                    offset_unit="line",
                )
            rows.append((number, row[2]))
        elif named is not None and not rows:
            if named[1] in header:
                message = f"{named[1]} is given twice"
                raise CorruptField(
                    message, file=source.name, offset=number, found=(named[2] or "")[:40], offset_unit="line"
                )
            header[named[1]] = (named[2] or "").strip()
        else:
            rows.append((number, plain))
    return header, rows, doubts


def _codes(source: Source, header: dict[str, str], name: str) -> list[str]:
    """Return the codes that ``name`` lists; all are as wide as the first of PASBIN."""
    codes = [code for code in re.split(r"[,; ]+", header.get(name, "")) if code]
    width = len(re.split(r"[,; ]+", header["PASBIN"])[0])
    wrong = next((code for code in codes if len(code) != width), None)
    if wrong is not None or (name == "PASBIN" and not codes):
        message = f"{name} is no list of codes of equal width"
        raise CorruptField(message, file=source.name, expected=width, found=header[name][:40])
    return codes


def _read_rows(
    source: Source, header: dict[str, str], lines: list[tuple[int, str]], width: int
) -> tuple[tuple[str, ...], ...]:
    height = whole_number(source, header["ROWCNT"], "ROWCNT")
    columns = whole_number(source, header["COLCNT"], "COLCNT")
    rows = []
    for number, text in lines:
        row = cut_row(text, width, columns)
        if row is None:
            message = (
                f"the row does not hold COLCNT codes of {width} characters (COMPRE {header.get('COMPRE', 'none')})"
            )
            found = len("".join(text.split()))
            expected = (columns or 0) * width
            raise CountMismatch(
                message, file=source.name, offset=number, expected=expected, found=found, offset_unit="line"
            )
        rows.append(row)
    if height is None or len(rows) < height:
        message = "the map has fewer rows than ROWCNT"
        raise Truncated(message, file=source.name, expected=height, found=len(rows))
    if len(rows) > height or not rows:
        message = "the map does not have as many rows as ROWCNT"
        raise CountMismatch(message, file=source.name, expected=height, found=len(rows))
    return tuple(rows)


def _make_grid(source: Source, header: dict[str, str], rows: tuple[tuple[str, ...], ...], good: list[str]) -> WaferGrid:
    warnings: list[str] = []
    reference, skipped = _codes(source, header, "REFBIN"), _codes(source, header, "SKIPDI")
    both = sorted(set(good) & {*reference, *skipped})
    if both:
        message = "a code is of good dies and of others"
        raise CorruptField(message, file=source.name, found=both[0])
    empty = [code for code in skipped if code not in reference]
    if not empty:
        warnings.append("the map has no code for places without a die; all its places were read as dies")
    definitions = [BinDefinition(code, "Pass") for code in dict.fromkeys(good)]
    definitions += [BinDefinition(code, "Reference") for code in dict.fromkeys(reference)]
    definitions += [BinDefinition(code, "Skip") for code in dict.fromkeys(empty[1:])]
    known = {item.code for item in definitions}
    definitions += [BinDefinition(code) for code in sorted({code for row in rows for code in row} - known)]
    for name in ("FNLOC1", "FNLOC"):
        if header.get(name):
            warnings.append(
                f"the place of the notch, {name}, is kept and not applied: writers do not agree on its degrees"
            )
    if any(header.get(name) for name in ("XDIES1", "XDIES")):
        warnings.append("the steps of dies have no unit and are kept as they stand")
    return WaferGrid(
        source.name,
        header.get("MAPID1") or header.get("MAPID", ""),
        header.get("LOTMEA", ""),
        rows,
        CodeType("WMAP", len(good[0]), None),
        empty[0] if empty else None,
        tuple(definitions),
        _axes(source, header, rows, reference, warnings),
        metadata={"header": header},
        warnings=tuple(warnings),
    )


def _axes(
    source: Source, header: dict[str, str], rows: tuple[tuple[str, ...], ...], reference: list[str], warnings: list[str]
) -> Axes | None:
    """Return the map's axes where its reference dies confirm them."""
    axes = _CORNERS.get(header.get("ORLOC1") or header.get("ORLOC", ""))
    positions = _positions(source, header)
    if axes is None or not positions or not reference:
        warnings.append("no corner of origin with reference dies is given, so that the dies have no coordinates")
        return None
    height, width = len(rows), len(rows[0])
    for x, y in positions:
        row = height - 1 - y if axes.up else y
        column = x if axes.right else width - 1 - x
        if not (0 <= row < height and 0 <= column < width and rows[row][column] in reference):
            warnings.append(
                f"no reference die lies at ({x}, {y}) from the corner of origin, so that the dies have no coordinates"
            )
            return None
    return axes


def _positions(source: Source, header: dict[str, str]) -> list[tuple[int, int]]:
    positions = []
    for name, text in header.items():
        match = _POSITION.fullmatch(name)
        if match is None:
            continue
        pair = (text.strip(), header.get(f"REFPY{match[1]}", "").strip())
        if not all(re.fullmatch(r"[+-]?[0-9]{1,6}", item) for item in pair):
            message = f"the position of the reference die {match[1] or 1} is not right"
            raise CorruptField(message, file=source.name, found=" ".join(pair)[:40])
        positions.append((int(pair[0]), int(pair[1])))
    return positions

"""Wafer maps as XML after SEMI G85 (1101, 0703).

Known from the headers of real files and the public source of two programs that read and write them. Elements are found
by local name, since some writers declare the namespace and do not use it. Rows are a picture, the first at the top;
the origin is 0 for the centre or a corner, 1 to 4 from the upper right one anticlockwise, and axes lead from it into
the map; orientation is in degrees clockwise. Each map is checked by its Rows and Columns, by the count of each bin and
by the tags in the raw bytes.
"""

import re
from collections.abc import Iterable
from typing import Any

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.electrical.map_xml import (
    attribute,
    attributes,
    children,
    count_tags,
    descendants,
    describe,
    head_text,
    load_xml,
    quarter_turns,
    whole_number,
)
from instruments.electrical.wafer_grid import (
    CODE_TYPES,
    Axes,
    BinDefinition,
    CodeType,
    WaferGrid,
    check_places,
    cut_row,
    make_map,
)
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, UnsupportedVersion
from instruments.records import Record, Table

_ROOT = re.compile(r"<(?:[\w.-]+:)?Maps?[\s>]")
_ORIGINS = {
    "0": Axes("center", False, True),
    "1": Axes("upper right", False, False),
    "2": Axes("upper left", False, True),
    "3": Axes("lower left", True, True),
    "4": Axes("lower right", True, False),
}


_NAMED = {axes.origin.replace(" ", ""): number for number, axes in _ORIGINS.items()}


class G85MapAdapter:
    """Reads SEMI G85 XML into one ``wafer_map`` table for each map."""

    name = "g85_map"
    version = "3"
    formats = ("g85",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for a Map with a Device at the beginning of ``source``."""
        text = head_text(source)
        if not text.lstrip().startswith("<") or not _ROOT.search(text):
            return Sniff(Confidence.NO, "no Map of SEMI G85")
        if "G85-" in text or ("www.semi.org" in text and "Device" in text):
            return Sniff(Confidence.CERTAIN, "a Map of SEMI G85")
        if re.search(r"<(?:[\w.-]+:)?Device\s", text):
            return Sniff(Confidence.LIKELY, "a Map with a Device, but no revision of SEMI G85")
        return Sniff(Confidence.NO, "no Map of SEMI G85")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the maps of ``source``.

        Raises:
            CorruptField, CountMismatch, NotThisFormat, UnsupportedVersion, ReadingLimit: and why.
        """
        root, data = load_xml(source, frozenset({"Map", "Maps"}))
        tables: list[Table] = []
        places = 0
        for wafer in descendants(root, "Map"):
            for device in children(wafer, "Device"):
                parts = list(children(device, "Data"))
                for part in parts:
                    grid = _read_map(source, wafer, device, part)
                    title = grid.substrate_id or "map"
                    name = f"{title} {attribute(attributes(part), 'MapName')}" if len(parts) > 1 else title
                    places += len(grid.rows) * len(grid.rows[0])
                    check_places(source.name, places)
                    tables.append(make_map(grid, name.strip()))
        if not tables:
            raise NotThisFormat("the file has no Device with Data", file=source.name)
        counted, rows = count_tags(data, "Row"), sum(int(table.vendor_metadata["rows"]) for table in tables)
        if counted != rows:
            message = "the rows of codes are not as many as the tags in the file"
            raise CountMismatch(message, file=source.name, expected=counted, found=rows)
        return "g85", tables


def _read_map(source: Source, wafer: Any, device: Any, part: Any) -> WaferGrid:
    given, whole = attributes(device), attributes(wafer)
    name = (attribute(whole, "WaferId") or attribute(whole, "SubstrateId")).strip()
    warnings: list[str] = []
    columns = whole_number(source, attribute(given, "Columns"), "Columns")
    height = whole_number(source, attribute(given, "Rows"), "Rows")
    definitions = tuple(_definition(source, item) for item in children(device, "Bin"))
    if (columns is None or height is None) and not any(item.count for item in definitions):
        warnings.append("nothing in the file but its tags says how many dies there are")
    null = given.get("NullBin")
    codes, rows = _rows(source, given, list(children(part, "Row")), columns, name)
    if not rows or (height is not None and len(rows) != height):
        message = f"the map of {name} does not have as many rows as it says"
        raise CountMismatch(message, file=source.name, expected="rows" if height is None else height, found=len(rows))
    if null is None:
        warnings.append("the map has no code for places without a die; all its places were read as dies")
    axes, orientation = _axes(source, given, warnings)
    inner = [describe(source, child) for child in device if child is not part and not child.tag.endswith("Bin")]
    metadata = {
        "map": whole,
        "device": given,
        "data": attributes(part),
        "bins": [attributes(item) for item in children(device, "Bin")],
        "other": [item for item in inner if item["name"] != "Data"],
    }
    lot = (attribute(given, "LotId") or attribute(given, "LotNo")).strip()
    return WaferGrid(
        source.name, name, lot, rows, codes, null, definitions, axes, orientation, None, metadata, tuple(warnings)
    )


def _definition(source: Source, element: Any) -> BinDefinition:
    given = attributes(element)
    code = attribute(given, "BinCode")
    count = whole_number(source, attribute(given, "BinCount"), f"the count of the bin {code[:20]}")
    return BinDefinition(code, attribute(given, "BinQuality"), attribute(given, "BinDescription"), count)


def _rows(
    source: Source, given: dict[str, str], elements: list[Any], columns: int | None, name: str
) -> tuple[CodeType, tuple[tuple[str, ...], ...]]:
    texts = [element.text or "" for element in elements]
    codes = _code_type(source, given, texts, columns)
    rows = []
    for number, text in enumerate(texts, 1):
        words = tuple(text.split())
        row = cut_row(text, codes.width, columns)
        # Codes with blanks between them may be written without leading zeros.
        if row is None and codes.base and len(words) == columns and max(map(len, words)) <= codes.width:
            row = words
        if row is None:
            message = f"row {number} of the map of {name} does not have as many codes as it says"
            expected = (
                f"codes of {codes.width} characters" if columns is None else f"{columns * codes.width} characters"
            )
            raise CountMismatch(message, file=source.name, expected=expected, found=len("".join(words)))
        rows.append(row)
    return codes, tuple(rows)


def _code_type(source: Source, given: dict[str, str], texts: list[str], columns: int | None) -> CodeType:
    kind = attribute(given, "BinType").strip()
    codes = CODE_TYPES.get(kind.lower())
    if kind and codes is None:
        message = "the type of the codes is not known"
        expected = ", ".join(item.name for item in CODE_TYPES.values())
        raise UnsupportedVersion(message, file=source.name, expected=expected, found=kind[:60])
    null = given.get("NullBin")
    if codes is not None:
        if null is not None and (len(null) > codes.width or not null):
            message = f"the null bin is not as wide as {codes.name} codes"
            raise CorruptField(message, file=source.name, expected=codes.width, found=len(null))
        return codes
    # Without a type the codes stay text, and their width must be plain from blanks or the null bin, and fit everywhere.
    words = [text.split() for text in texts]
    widths = {len(word) for row in words for word in row}
    if len(widths) == 1 and columns is not None and all(len(row) == columns for row in words):
        return CodeType("untyped", widths.pop(), None)
    width = len(null or "")
    if width and columns is not None and all(cut_row(text, width, columns) for text in texts):
        return CodeType("untyped", width, None)
    message = "the map does not say what type its codes are, and nor do its rows"
    raise UnsupportedVersion(message, file=source.name, expected="BinType", found="none")


def _axes(source: Source, given: dict[str, str], warnings: list[str]) -> tuple[Axes | None, int | None]:
    origin, turned = attribute(given, "OriginLocation").strip(), attribute(given, "Orientation").strip()
    number = _NAMED.get(origin.lower().replace(" ", ""), origin)
    if origin and number not in _ORIGINS:
        message = "the origin of coordinates is not known"
        raise UnsupportedVersion(message, file=source.name, expected="0 to 4", found=origin[:60])
    if not origin:
        warnings.append("the file does not say its origin, so that the dies have rows and columns only")
    if not turned:
        warnings.append("the file does not say its orientation")
    return _ORIGINS.get(number), quarter_turns(source, turned) if turned else None

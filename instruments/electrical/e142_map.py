"""Substrate maps as XML after SEMI E142.1, of wafers, strips and trays.

Known from real files of several writers and the public descriptions of readers of the format; elements are found by
local name, whatever version the namespace says. Rows of codes are a picture: the first is the top, its first code the
left. Origin and axis directions give each die its coordinates, orientation (degrees clockwise) turns the picture back.
Each map is checked by the dimensions of its layout, by the count of each bin and by the tags in the raw bytes. Lists of
single devices are laid on a grid by their coordinates (``e142_devices``); overlays that are no bin codes are not read,
which is said.
"""

import re
from collections.abc import Iterable
from typing import Any

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.electrical.die_steps import length_um, length_unit
from instruments.electrical.e142_devices import KIND, CodesAndNull, is_device_list, read_devices
from instruments.electrical.map_xml import (
    attribute,
    attributes,
    children,
    count_tags,
    descendants,
    describe,
    head_text,
    load_xml,
    local,
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

_ROOT = re.compile(r"<(?:[\w.-]+:)?MapData[\s>]")
_ORIGINS = {
    "lowerleft": "lower left",
    "lowerright": "lower right",
    "upperleft": "upper left",
    "upperright": "upper right",
    "center": "center",
}
_DIRECTIONS = {"upright": (True, True), "downright": (False, True), "upleft": (True, False), "downleft": (False, False)}


class E142MapAdapter:
    """Reads SEMI E142 XML into one ``wafer_map`` table for each map of bin codes."""

    name = "e142_map"
    version = "5"
    formats = ("e142",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for the root element MapData at the beginning of ``source``."""
        text = head_text(source)
        if not text.lstrip().startswith("<") or not _ROOT.search(text):
            return Sniff(Confidence.NO, "no MapData of SEMI E142")
        if "E142" in text or "SubstrateMap" in text:
            return Sniff(Confidence.CERTAIN, "MapData of SEMI E142")
        return Sniff(Confidence.LIKELY, "MapData without SEMI's namespace")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the maps of ``source``.

        Raises:
            CorruptField, CountMismatch, NotThisFormat, UnsupportedVersion, ReadingLimit: and why.
        """
        root, data = load_xml(source, frozenset({"MapData"}))
        tables: list[Table] = []
        rows, places = 0, 0
        for element in descendants(root, "SubstrateMap"):
            for table in _read_substrate(source, root, element):
                rows += int(table.vendor_metadata.get("listed_devices", table.vendor_metadata["rows"]))
                places += int(table.vendor_metadata["rows"]) * int(table.vendor_metadata["columns"])
                check_places(source.name, places)
                tables.append(table)
        if not tables:
            raise NotThisFormat("the file has no map of bin codes", file=source.name)
        counted = count_tags(data, "BinCode")
        if counted != rows:
            message = "the rows of codes are not as many as the tags in the file"
            raise CountMismatch(message, file=source.name, expected=counted, found=rows)
        return "e142", tables


def _read_substrate(source: Source, root: Any, element: Any) -> Iterable[Table]:
    given = attributes(element)
    name = attribute(given, "SubstrateId").strip()
    overlays = list(children(element, "Overlay"))
    maps = [(overlay, inner) for overlay in overlays for inner in children(overlay, "BinCodeMap")]
    others = [local(child) for overlay in overlays for child in overlay if local(child).endswith("Map")]
    unread = sorted({kind for kind in others if kind != "BinCodeMap"})
    for overlay, inner in maps:
        warnings = [f"overlays that are no bin codes were not read: {', '.join(unread)}"] if unread else []
        grid = _read_map(source, root, (element, overlay, inner), warnings)
        title = name or "map"
        yield make_map(grid, f"{title} {attribute(attributes(overlay), 'MapName')}" if len(maps) > 1 else title)


def _read_map(source: Source, root: Any, place: tuple[Any, Any, Any], warnings: list[str]) -> WaferGrid:
    element, overlay, inner = place
    given, about = attributes(element), attributes(inner)
    name = attribute(given, "SubstrateId").strip()
    kind = attribute(about, "MapType") or "2DArray"
    cells = list(children(inner, "BinCode"))
    if kind.strip().lower() not in ("2darray", KIND):
        message = f"the map of {name} is of a type that is not read"
        raise UnsupportedVersion(message, file=source.name, expected="2DArray or Coordinate", found=kind[:60])
    codes = _code_type(source, about)
    size, layouts = _dimensions(source, root, given, warnings)
    axes, orientation = _axes(source, given, warnings)
    null, facts = about.get("NullBin"), dict[str, Any]()
    definitions = tuple(_definition(source, item) for item in descendants(inner, "BinDefinition"))
    if is_device_list(kind, cells):
        coding = CodesAndNull(codes, null)
        devices = read_devices(source, name, cells, coding, (axes, size))
        rows, axes, null, facts = devices.rows, devices.axes, "", {"listed_devices": devices.listed}
        definitions = tuple(item for item in definitions if not coding.is_null(item.code))
        warnings += devices.warnings
    else:
        rows = _rows(source, name, cells, codes.width, size)
    if (size is None or facts) and not any(item.count for item in definitions):
        warnings.append("nothing in the file but its tags says how many dies there are")
    if null is None:
        warnings.append("the map has no code for places without a die; all its places were read as dies")
    if attribute(given, "SubstrateSide").strip().lower().startswith("bottom"):
        warnings.append("the map is of the bottom side (SubstrateSide): its columns are not compared with the top's")
    lots = [(lot.text or "").strip() for lot in _substrates(root, name, "LotId")]
    if any(True for _ in descendants(overlay, "ReferenceDevice")):
        warnings.append("reference devices are kept in the metadata; coordinates are counted from the origin")
    metadata = facts | _metadata(source, root, place, layouts)
    return WaferGrid(
        source.name,
        name,
        lots[0] if lots else "",
        rows,
        codes,
        null,
        definitions,
        axes,
        orientation,
        _steps(source, layouts),
        metadata,
        tuple(warnings),
    )


def _metadata(source: Source, root: Any, place: tuple[Any, Any, Any], layouts: list[Any]) -> dict[str, Any]:
    """Return what the file says of a map, verbatim."""
    element, overlay, inner = place
    given = attributes(element)
    substrates = _substrates(root, attribute(given, "SubstrateId").strip(), "")
    return {
        "map": {"substrate": given, "overlay": attributes(overlay), "bin_code_map": attributes(inner)},
        "bins": [attributes(item) for item in descendants(inner, "BinDefinition")],
        "layouts": [describe(source, layout) for layout in layouts],
        "substrates": [describe(source, item) for item in substrates],
        "reference_devices": [describe(source, item) for item in descendants(overlay, "ReferenceDevice")],
    }


def _rows(
    source: Source, name: str, cells: list[Any], width: int, size: tuple[int, int] | None
) -> tuple[tuple[str, ...], ...]:
    rows = []
    for number, cell in enumerate(cells, 1):
        row = cut_row(cell.text or "", width, size[0] if size else None)
        if row is None:
            message = f"row {number} of the map of {name} does not have as many codes as its layout"
            expected = f"{size[0] * width} characters" if size else f"codes of {width} characters"
            raise CountMismatch(message, file=source.name, expected=expected, found=len((cell.text or "").strip()))
        rows.append(row)
    if not rows or (size and len(rows) != size[1]):
        message = f"the map of {name} does not have as many rows as its layout"
        raise CountMismatch(message, file=source.name, expected=size[1] if size else "rows", found=len(rows))
    return tuple(rows)


def _code_type(source: Source, about: dict[str, str]) -> CodeType:
    kind = attribute(about, "BinType") or "Ascii"
    codes = CODE_TYPES.get(kind.strip().lower())
    if codes is None:
        message = "the type of the codes is not known"
        expected = ", ".join(item.name for item in CODE_TYPES.values())
        raise UnsupportedVersion(message, file=source.name, expected=expected, found=kind[:60])
    null = about.get("NullBin")
    if null is not None and len(null) != codes.width:
        message = f"the null bin is not as wide as {codes.name} codes"
        raise CorruptField(message, file=source.name, expected=codes.width, found=len(null))
    return codes


def _definition(source: Source, element: Any) -> BinDefinition:
    given = attributes(element)
    code = attribute(given, "BinCode")
    count = whole_number(source, attribute(given, "BinCount"), f"the count of the bin {code[:20]}")
    return BinDefinition(code, attribute(given, "BinQuality"), attribute(given, "BinDescription"), count)


def _substrates(root: Any, name: str, inner: str) -> list[Any]:
    """Return the Substrate elements of this name, or what is called ``inner`` in them."""
    own = [
        item for item in descendants(root, "Substrate") if attribute(attributes(item), "SubstrateId").strip() == name
    ]
    return [child for item in own for child in children(item, inner)] if inner else own


def _dimensions(
    source: Source, root: Any, given: dict[str, str], warnings: list[str]
) -> tuple[tuple[int, int] | None, list[Any]]:
    """Return columns and rows, multiplied over the nested layouts that the map names, and these layouts."""
    path = [part.strip() for part in attribute(given, "LayoutSpecifier").split("/") if part.strip()]
    known = {attribute(attributes(item), "LayoutId").strip(): item for item in descendants(root, "Layout")}
    layouts = [known[part] for part in path if part in known]
    columns, rows = 1, 1
    for layout in layouts:
        for size in children(layout, "Dimension"):
            x = whole_number(source, attribute(attributes(size), "X"), "a layout's dimension")
            y = whole_number(source, attribute(attributes(size), "Y"), "a layout's dimension")
            columns, rows = columns * (x or 1), rows * (y or 1)
    if not path or len(layouts) != len(path):
        if known:
            warnings.append("the map's layout is not described, so that its size could not be compared")
        return None, layouts
    return (columns, rows), layouts


def _axes(source: Source, given: dict[str, str], warnings: list[str]) -> tuple[Axes, int]:
    origin, direction = attribute(given, "OriginLocation"), attribute(given, "AxisDirection")
    if not origin or not direction:
        warnings.append("origin or axes are not given; the standard's lower left, up and right were taken")
    corner = _ORIGINS.get((origin or "LowerLeft").strip().lower())
    grows = _DIRECTIONS.get((direction or "UpRight").strip().lower())
    if corner is None or grows is None:
        message = "the origin of coordinates or the direction of axes is not known"
        raise UnsupportedVersion(message, file=source.name, found=f"{origin} {direction}"[:60])
    return Axes(corner, *grows), quarter_turns(source, attribute(given, "Orientation") or "0")


def _steps(source: Source, layouts: list[Any]) -> tuple[float, float] | None:
    for layout in layouts[-1:]:
        for size in children(layout, "StepSize"):
            given = attributes(size)
            texts = (attribute(given, "X").strip(), attribute(given, "Y").strip())
            if not all(texts):
                continue
            symbol = attribute(given, "Units") or attribute(attributes(layout), "DefaultUnits")
            unit = length_unit(source, symbol)
            return length_um(source, texts[0], unit), length_um(source, texts[1], unit)
    return None

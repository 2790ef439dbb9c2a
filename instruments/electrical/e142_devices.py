"""SEMI E142 maps that list single devices (``MapType="Coordinate"``): a code with X and Y for each, laid on a grid.

Known from what map editors write. Where the layout's dimensions and the origin say where the grid lies, rows and
columns are those of the layout; else they are counted from the outermost devices, which is said. Coordinates are kept
as given.
"""

import re
from dataclasses import dataclass
from typing import Any

from instruments.adapter import Source
from instruments.electrical.map_xml import attribute, attributes
from instruments.electrical.wafer_grid import Axes, CodeType, check_places
from instruments.errors import CorruptField, CountMismatch, ReadingLimit, UnsupportedVersion

KIND = "coordinate"
_COORDINATE = re.compile(r"[+-]?[0-9]{1,7}")
_LONGEST_CODE = 16
_SPARSE_PLACES = 1_000_000
_PLACES_PER_DEVICE = 20
"""A grid of more places than the first must not have more of them than this for each device in it."""


@dataclass(frozen=True)
class DeviceList:
    """Devices on a grid: rows of codes from the top, ``""`` where none is listed; the axes that give it x and y."""

    rows: tuple[tuple[str, ...], ...]
    axes: Axes
    listed: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class CodesAndNull:
    """How codes are written, and which one means that there is no device, if any does."""

    codes: CodeType
    null: str | None

    def is_null(self, code: str) -> bool:
        """Tell whether ``code`` means that there is no device."""
        return self.null is not None and self.codes.key(code) == self.codes.key(self.null)


def is_device_list(kind: str, cells: list[Any]) -> bool:
    """Tell whether a map of this type, or with such codes, lists single devices."""
    return kind.strip().lower() == KIND or any(cell.attrib for cell in cells)


def read_devices(
    source: Source, name: str, cells: list[Any], coding: CodesAndNull, frame: tuple[Axes, tuple[int, int] | None]
) -> DeviceList:
    """Return the devices in ``cells`` of the map of ``name``; ``frame`` are its axes and its layout's dimensions.

    Raises:
        CorruptField: a coordinate or a code is not right, or two codes are of one device.
        CountMismatch: the devices do not fit in the layout's dimensions, columns and rows.
        ReadingLimit: they are too far apart.
    """
    axes, size = frame
    places: dict[tuple[int, int], str] = {}
    for number, cell in enumerate(cells, 1):
        given, code = attributes(cell), (cell.text or "").strip()
        place = (_coordinate(source, given, "X", number), _coordinate(source, given, "Y", number))
        if not code or len(code) > _LONGEST_CODE or len(code.split()) != 1:
            message = f"device {number} of the map of {name} does not have one code"
            raise CorruptField(message, file=source.name, expected="one code", found=code[:60])
        if place in places:
            message = f"the map of {name} lists the device at {place[0]}, {place[1]} twice"
            raise CorruptField(message, file=source.name)
        places[place] = code
    if not places:
        raise UnsupportedVersion(f"the map of {name} lists no device", file=source.name)
    box, warnings = _box(source, name, list(places), axes, size)
    left, bottom, right, top = box
    area = (right - left + 1) * (top - bottom + 1)
    check_places(source.name, area)
    if area > max(_SPARSE_PLACES, _PLACES_PER_DEVICE * len(places)):
        message = f"the devices of the map of {name} are too far apart for one map"
        raise ReadingLimit(message, file=source.name, expected=_SPARSE_PLACES, found=area)
    grid = [[""] * (right - left + 1) for _ in range(top - bottom + 1)]
    for (x, y), code in places.items():
        if not coding.is_null(code):
            grid[top - y if axes.up else y - bottom][x - left if axes.right else right - x] = code
    corner = f"{'lower' if axes.up else 'upper'} {'left' if axes.right else 'right'}"
    placed = Axes(corner, axes.up, axes.right, (left, bottom))
    return DeviceList(tuple(tuple(row) for row in grid), placed, len(places), warnings)


def _coordinate(source: Source, given: dict[str, str], axis: str, number: int) -> int:
    text = attribute(given, axis).strip()
    if not _COORDINATE.fullmatch(text):
        message = f"device {number} has no whole number as {axis}"
        raise CorruptField(message, file=source.name, expected="a whole number", found=text[:40])
    return int(text)


def _box(
    source: Source, name: str, places: list[tuple[int, int]], axes: Axes, size: tuple[int, int] | None
) -> tuple[tuple[int, int, int, int], tuple[str, ...]]:
    """Return the least and largest x and y of the grid: the layout's, or those of the devices."""
    x, y = [place[0] for place in places], [place[1] for place in places]
    found = (min(x), min(y), max(x), max(y))
    if size is not None and size != (1, 1):
        width, height = found[2] - found[0] + 1, found[3] - found[1] + 1
        if width > size[0] or height > size[1]:
            message = f"the devices of the map of {name} do not fit in its layout"
            expected = f"{size[0]} x {size[1]}"
            raise CountMismatch(message, file=source.name, expected=expected, found=f"{width} x {height}")
        layout = _layout_box(axes, size)
        if layout and all(layout[side] <= found[side] and found[side + 2] <= layout[side + 2] for side in (0, 1)):
            return layout, ()
    return found, ("rows and columns are counted from the outermost devices in the list",)


def _layout_box(axes: Axes, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    columns, rows = size
    if axes.origin == "center":
        half = (columns // 2, rows // 2)
        return (-half[0], -half[1], half[0], half[1]) if columns % 2 and rows % 2 else None
    left = 0 if axes.right == ("left" in axes.origin) else 1 - columns
    bottom = 0 if axes.up == ("lower" in axes.origin) else 1 - rows
    return left, bottom, left + columns - 1, bottom + rows - 1

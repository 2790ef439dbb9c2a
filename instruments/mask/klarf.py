"""KLARF defect files, 1.1, 1.2, 1.7 and 1.8, as tables of mask defects with positions on the sample.

Position from the centre: ``XINDEX * DiePitch + XREL - SampleCenterLocation``. ``XREL`` and ``SampleCenterLocation``
both count from the origin of a die, so that ``DieOrigin`` cancels; a ``RADIUS`` column, where a tool gives one, is
compared with it. The summary in the file is a check, never the truth: tools write it before and after reviews.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, UnsupportedVersion
from instruments.mask.klarf_1_8 import read_nested
from instruments.mask.klarf_flat import VERSIONS, read_flat
from instruments.mask.klarf_text import MISSING, KlarfText, WaferDefects, parse_integer, read_text
from instruments.mask.vocabulary import MASK_DEFECT
from instruments.records import Record, Table
from instruments.vocabulary import Remarks

_FLAT_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*FileVersion\s+(\d+)\s+(\d+)\s*;", re.IGNORECASE)
_NESTED_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*Record\s+FileRecord\b", re.IGNORECASE)
_RADIUS_TOLERANCE_UM = 1.0

_INTEGERS = {"DEFECTID": "defect_id", "XINDEX": "die_x", "YINDEX": "die_y"}
_COUNTS = {
    "CLASSNUMBER": "class_number",
    "TEST": "test_number",
    "CLUSTERNUMBER": "cluster_number",
    "ROUGHBINNUMBER": "rough_bin",
    "FINEBINNUMBER": "fine_bin",
    "REVIEWSAMPLE": "review_sample",
}
_LENGTHS = {
    "XREL": "x_die_um",
    "YREL": "y_die_um",
    "GDSX": "layout_x_um",
    "GDSY": "layout_y_um",
    "DSIZE": "size_um",
    "XSIZE": "size_x_um",
    "YSIZE": "size_y_um",
}
_AREA = "DEFECTAREA"
_UNITS_OF_OTHERS = ("X", "Y", "RADIUS")


class KlarfAdapter:
    """Reads KLARF files into one ``mask_defect`` table for each wafer or mask."""

    name = "klarf"
    version = "3"
    formats = tuple(f"klarf-{version}" for version in (*VERSIONS, "1.8"))
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look at the first statement of ``source``."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is no KLARF file")
        if _FLAT_START.match(source.head):
            return Sniff(Confidence.CERTAIN, "it begins with FileVersion")
        if _NESTED_START.match(source.head):
            return Sniff(Confidence.CERTAIN, "it begins with Record FileRecord")
        return Sniff(Confidence.NO, "it begins neither with FileVersion nor with Record FileRecord")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the defects of ``source``, one table for each wafer.

        Raises:
            CorruptField, CountMismatch, Truncated, UnsupportedVersion, NotThisFormat, ReadingLimit: and why.
        """
        text = read_text(source)
        match = _FLAT_START.match(source.head)
        if match:
            version = f"{int(match[1])}.{int(match[2])}"
            if version not in VERSIONS:
                message = "the version of the KLARF file is not known"
                raise UnsupportedVersion(message, file=source.name, expected=", ".join(VERSIONS), found=version)
            wafers = read_flat(text, version)
        else:
            version, wafers = "1.8", read_nested(text)
        return f"klarf-{version}", [make_table(text, wafer) for wafer in wafers]


def make_table(text: KlarfText, wafer: WaferDefects) -> Table:
    """Return the defects of ``wafer`` in micrometres, with the doubts about them.

    Raises:
        CorruptField: a value is no number; the row and the column are named.
    """
    if not wafer.columns or not wafer.listed:
        _accept_empty(text, wafer)
    columns: dict[str, Any] = {}
    for name, target in _INTEGERS.items():
        if name in wafer.columns:
            columns[target] = _integers(text, wafer, name)
    for name, target in _COUNTS.items():
        if name in wafer.columns:
            columns[target] = _whole_numbers(text, wafer, name)
    for name, target in _LENGTHS.items():
        if name in wafer.columns:
            columns[target] = _numbers(text, wafer, name) / wafer.units_per_um
    if _AREA in wafer.columns:
        columns["area_um2"] = _numbers(text, wafer, _AREA) / wafer.units_per_um**2
    columns["class_name"] = [
        wafer.classes.get(int(item), "") if math.isfinite(item) else ""
        for item in columns.get("class_number", np.full(wafer.row_count, np.nan))
    ]
    counted = "IMAGECOUNT" in wafer.columns
    columns["image_count"] = _integers(text, wafer, "IMAGECOUNT") if counted else [len(item) for item in wafer.images]
    columns["images"] = [json.dumps(images, ensure_ascii=False) if images else "" for images in wafer.images]
    columns["x_um"], columns["y_um"], doubts = _positions(wafer, columns)
    warnings = (*text.warnings, *wafer.warnings, *doubts, *_check(wafer, columns))
    frame = {
        "origin": "centre of the sample",
        "axes": "x to the right, y up, with the orientation mark where the file says",
        "orientation": wafer.orientation,
        "geometry_um": {name: [value / wafer.units_per_um for value in pair] for name, pair in wafer.geometry.items()},
    }
    known = {*_INTEGERS, *_COUNTS, *_LENGTHS, _AREA, "IMAGECOUNT"}
    others = {name: _other(wafer, name) for name in wafer.columns if name not in known}
    remarks = Remarks(
        {"klarf_version": wafer.version, "frame": frame, "classes": {str(k): v for k, v in wafer.classes.items()}}
        | wafer.metadata,
        (*warnings, *_check_radius(others, columns, wafer)),
    )
    return MASK_DEFECT.make_table(wafer.name or "wafer", columns, remarks, others)


def _accept_empty(text: KlarfText, wafer: WaferDefects) -> None:
    """A file without a list of defects is whole only when its summary says that there are none."""
    if not wafer.declared or any(count for _, count in wafer.declared):
        found = ", ".join(str(count) for _, count in wafer.declared) or "no summary"
        message = f"there is no DefectList of {wafer.name or 'the wafer'}"
        raise CorruptField(message, file=text.file, expected="a summary of 0 defects", found=found)
    wafer.columns.setdefault("DEFECTID", [])


def _bad(text: KlarfText, wafer: WaferDefects, row: int, name: str, expected: str) -> Exception:
    found = wafer.columns[name][row]
    message = f"{name} of defect row {row + 1} is not {expected}"
    return text.corrupt(message, text.offset_of(wafer.places[row]), found=found or "N/A")


def _integers(text: KlarfText, wafer: WaferDefects, name: str) -> NDArray[np.int64]:
    values = [parse_integer(item) for item in wafer.columns[name]]
    for row, value in enumerate(values):
        if value is None:
            raise _bad(text, wafer, row, name, "a whole number")
    return np.asarray(values, np.int64)


def _whole_numbers(text: KlarfText, wafer: WaferDefects, name: str) -> NDArray[np.float64]:
    """Return whole numbers where each may be missing."""
    values = np.full(wafer.row_count, np.nan)
    for row, item in enumerate(wafer.columns[name]):
        number = parse_integer(item)
        if number is not None:
            values[row] = number
        elif item and item not in MISSING:
            raise _bad(text, wafer, row, name, "a whole number")
    return values


def _numbers(text: KlarfText, wafer: WaferDefects, name: str) -> NDArray[np.float64]:
    values = np.full(wafer.row_count, np.nan)
    for row, item in enumerate(wafer.columns[name]):
        number = _parse_number(item)
        if number is not None:
            values[row] = number
        elif item and item not in MISSING:
            raise _bad(text, wafer, row, name, "a number")
    return values


def _parse_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _other(wafer: WaferDefects, name: str) -> tuple[NDArray[Any], str]:
    """Return a column that the vocabulary does not have: whole numbers, numbers, or text, whichever holds all."""
    items = wafer.columns[name]
    whole = [parse_integer(item) for item in items]
    if None not in whole:
        return np.asarray(whole, np.int64), ""
    numbers = [np.nan if item == "" or item in MISSING else _parse_number(item) for item in items]
    if None not in numbers:
        unit = "" if name not in _UNITS_OF_OTHERS else "um" if wafer.units_per_um == 1 else "nm"
        return np.asarray(numbers, np.float64), unit
    return np.asarray(items, np.dtypes.StringDType()), ""


def _positions(
    wafer: WaferDefects, columns: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return the positions from the centre in micrometres, NaN where the file does not say enough, and why."""
    unknown = np.full(wafer.row_count, np.nan)
    needed = ("x_die_um", "y_die_um", "die_x", "die_y")
    missing = [name for name in ("DiePitch", "SampleCenterLocation") if name not in wafer.geometry]
    if missing or any(name not in columns for name in needed):
        what = " and ".join(missing) or "XREL, YREL, XINDEX, YINDEX"
        return unknown, unknown.copy(), [f"without {what} the defects have no position on the sample"]
    pitch, centre = wafer.geometry["DiePitch"], wafer.geometry["SampleCenterLocation"]
    x_um, y_um = (
        columns[f"die_{axis}"] * (pitch[place] / wafer.units_per_um)
        + columns[f"{axis}_die_um"]
        - centre[place] / wafer.units_per_um
        for place, axis in enumerate("xy")
    )
    return x_um, y_um, []


def _check(wafer: WaferDefects, columns: dict[str, Any]) -> Iterable[str]:
    """Yield what a second look at the file doubts."""
    if wafer.orientation.get("coordinatesmirrored", "").lower() in ("yes", "true", "1"):
        yield "the file says that its coordinates are mirrored; they are given as they stand"
    counts = Counter(columns["defect_id"].tolist())
    repeated = [str(number) for number, count in counts.items() if count > 1]
    if repeated:
        yield f"defect ids appear more than once: {', '.join(repeated[:5])}"
    if any(wafer.images) and list(columns["image_count"]) != [len(images) for images in wafer.images]:
        yield "IMAGECOUNT does not agree with the lists of images"
    if not wafer.declared:
        return
    found = Counter(int(item) for item in columns.get("test_number", ()) if math.isfinite(item))
    for test, declared in wafer.declared:
        there = found.get(test, 0) if found and len(wafer.declared) > 1 else wafer.row_count
        if declared != there:
            yield f"the summary counts {declared} defects in test {test}, the list has {there}"


def _check_radius(
    others: dict[str, tuple[NDArray[Any], str]], columns: dict[str, Any], wafer: WaferDefects
) -> tuple[str, ...]:
    """Compare the distances from the centre with a RADIUS column."""
    if "RADIUS" not in others or others["RADIUS"][0].dtype.kind not in "if":
        return ()
    stated = others["RADIUS"][0] / wafer.units_per_um
    off = np.abs(stated - np.hypot(columns["x_um"], columns["y_um"]))
    count = int(np.count_nonzero(off > _RADIUS_TOLERANCE_UM))
    return (f"the tool's RADIUS of {count} defects is not their distance from the centre",) if count else ()

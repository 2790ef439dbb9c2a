"""Line widths and registration of masks as comma-separated tables.

There is no public standard; these are the columns we document. A width table has ``site_id``, ``x_um``, ``y_um``,
``target_nm``, ``meas_nm`` and may have ``mask_id``, ``sigma_nm``, ``orientation``, ``tone``, ``layer``, ``feature``,
``tool``, ``ts``; a registration table has ``dx_nm`` and ``dy_nm`` instead of, or beside, the widths. Units may be
others of length, in the name or in brackets. Comment lines ``# name: value`` say what holds for the whole file:

* ``scale``: ``mask`` or ``wafer``; values at wafer scale need ``magnification`` (4 for most scanners) and are read at
  mask scale;
* ``correction``: of registration, ``raw`` or what was removed (``magnification``, ``rotation``, …);
* ``sites``: how many there are, which is checked.
"""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.commented_table import CommentedTable, header_in, read_commented_table, with_point
from instruments.description import Reach
from instruments.errors import CorruptField, CountMismatch, InstrumentError, NotThisFormat, ReadingLimit
from instruments.headings import Headings, Meaning
from instruments.mask.vocabulary import METROLOGY_SITE
from instruments.records import Record
from instruments.text_lines import decode_text, head_text
from instruments.vocabulary import Remarks

MAX_BYTES = 128 << 20
HEADINGS = Headings(
    METROLOGY_SITE,
    {
        "mask": ("mask_id",),
        "reticle_id": ("mask_id",),
        "site": ("site_id",),
        "target": ("target_nm",),
        "nominal": ("target_nm",),
        "design": ("target_nm",),
        "meas": ("measured_nm",),
        "cd": ("measured_nm",),
        "mean": ("measured_nm",),
        "meas_sigma": ("sigma_nm",),
        "registration_x": ("dx_nm",),
        "registration_y": ("dy_nm",),
        "error_x": ("dx_nm",),
        "error_y": ("dy_nm",),
        "ts": ("measured_at",),
        "timestamp": ("measured_at",),
        "time": ("measured_at",),
        "date": ("measured_at",),
    },
)
_TEXTS = frozenset(column.name for column in METROLOGY_SITE.columns if column.type == "text")
_PLACE = frozenset({"site_id", "x_um", "y_um"})
_WIDTH = frozenset({"target_nm", "measured_nm"})
_REGISTRATION = frozenset({"dx_nm", "dy_nm"})
_NOT_NEGATIVE = frozenset({"target_nm", "measured_nm", "sigma_nm", "dx_sigma_nm", "dy_sigma_nm"})


class MetrologyAdapter:
    """Reads width and registration tables into a ``metrology_site`` table."""

    name = "mask_metrology"
    version = "3"
    formats = ("mask-metrology",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for a site, its position, and a width or a registration error in the header of ``source``."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is no table")
        try:
            header = header_in(head_text(source.head))
            found = {HEADINGS.meaning(name).column for name in header}
        except InstrumentError as error:
            # A table of ours in a unit that is not known: let the reader say so.
            header = tuple(name.lower() for name in header)
            if any(name.startswith("site") for name in header):
                return Sniff(Confidence.LIKELY, str(error))
            return Sniff(Confidence.NO, "no site, position, and width or registration error in the header")
        if found >= _PLACE and (found >= _WIDTH or found >= _REGISTRATION):
            return Sniff(Confidence.CERTAIN, "the header has sites with widths or registration errors")
        return Sniff(Confidence.NO, "no site, position, and width or registration error in the header")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the sites of ``source``.

        Raises:
            CorruptField, UnsupportedVersion, CountMismatch, NotThisFormat, ReadingLimit: and why.
        """
        text, doubts = _read_text(source)
        table = read_commented_table(source, text)
        columns, other, warnings = _read_columns(source, table)
        warnings += doubts
        missing = sorted(_PLACE - columns.keys())
        if missing or not (columns.keys() >= _WIDTH or columns.keys() >= _REGISTRATION):
            found = ", ".join(missing) or "target_nm and meas_nm, or dx_nm and dy_nm"
            raise NotThisFormat(f"the table has no {found}", file=source.name)
        _check_count(source, table)
        magnification = _magnification(source, table, warnings)
        for name in columns.keys() - _TEXTS:
            columns[name] = np.asarray(columns[name], np.float64) * magnification
        if columns.keys() >= _REGISTRATION and "correction" not in table.comments:
            warnings.append("the file does not say whether magnification and rotation were removed")
        keys = zip(columns.get("mask_id", [""] * len(table.rows)), columns["site_id"], strict=True)
        repeated = [site for (_, site), count in Counter(keys).items() if count > 1]
        if repeated:
            warnings.append(f"sites appear more than once: {', '.join(repeated[:5])}")
        remarks = Remarks({"comments": table.comments, "header": list(table.header)}, tuple(warnings))
        name = Path(source.name).stem or source.name
        return "mask-metrology", (METROLOGY_SITE.make_table(name, columns, remarks, other),)


def _read_text(source: Source) -> tuple[str, tuple[str, ...]]:
    if source.size_bytes > MAX_BYTES:
        message = "the table is too large to be read whole"
        raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
    try:
        return decode_text(source.path.read_bytes())
    except UnicodeDecodeError as error:
        raise NotThisFormat("the table is no text", file=source.name, offset=error.start) from None


def _read_columns(
    source: Source, table: CommentedTable
) -> tuple[dict[str, Any], dict[str, tuple[NDArray[Any], str]], list[str]]:
    columns: dict[str, Any] = {}
    other: dict[str, tuple[NDArray[Any], str]] = {}
    warnings = list(table.warnings)
    for place, name in enumerate(table.header):
        cells = [row[place] for row in table.rows]
        meaning = HEADINGS.meaning(name, file=source.name)
        if not meaning.column:
            warnings += [meaning.warning] if meaning.warning else []
            other[name] = (np.asarray(cells, np.dtypes.StringDType()), "")
        elif meaning.column in columns:
            raise CorruptField(f"two columns mean {meaning.column}, {name} is the second", file=source.name)
        elif meaning.column in _TEXTS:
            columns[meaning.column] = cells
        else:
            columns[meaning.column] = _numbers(source, table, name, meaning, cells)
    return columns, other, warnings


def _numbers(source: Source, table: CommentedTable, name: str, meaning: Meaning, cells: list[str]) -> list[float]:
    values = []
    for cell, line in zip(cells, table.lines, strict=True):
        try:
            value = float(with_point(cell, table.decimal_comma)) if cell else math.nan
        except ValueError:
            value = math.inf
        if cell and (not math.isfinite(value) or "_" in cell):
            message = f"{name} is no number"
            raise CorruptField(message, file=source.name, offset=line, found=cell[:60], offset_unit="line")
        if meaning.column in _NOT_NEGATIVE and value < 0:
            raise CorruptField(f"{name} is negative", file=source.name, offset=line, found=value, offset_unit="line")
        values.append(meaning.scaled(value))
    return values


def _check_count(source: Source, table: CommentedTable) -> None:
    declared = table.comments.get("sites")
    if declared is not None and declared != str(len(table.rows)):
        message = "the table does not hold as many sites as it says"
        raise CountMismatch(message, file=source.name, expected=declared[:20], found=len(table.rows))


def _magnification(source: Source, table: CommentedTable, warnings: list[str]) -> float:
    """Return what to multiply lengths with to have them at mask scale."""
    scale = table.comments.get("scale", "").lower()
    if scale == "mask":
        return 1.0
    if not scale:
        warnings.append("the file does not say its scale; it was read as the mask's own")
        return 1.0
    text = table.comments.get("magnification", "")
    try:
        value = float(text.lower().rstrip("x"))
    except ValueError:
        value = math.nan
    if scale != "wafer" or not (math.isfinite(value) and value > 0):
        message = "the scale is neither mask, nor wafer with a magnification"
        raise CorruptField(
            message, file=source.name, expected="mask or wafer", found=f"{scale[:20]} {text[:20]}".strip()
        )
    return value

"""A wafer map as a grid of codes: which are dies, where their coordinates lie, and whether the bins add up."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.electrical.stress_vocabulary import WAFER_MAP
from instruments.errors import CorruptField, CountMismatch, ReadingLimit
from instruments.records import Table, VendorMetadata
from instruments.vocabulary import Remarks

MAX_BYTES = 64 << 20
"""A file is read whole."""

MAX_PLACES = 6_000_000
"""Of all maps of a file; a die takes some hundred and fifty bytes in memory."""

_DIGITS = {10: re.compile(r"[0-9]+"), 16: re.compile(r"[0-9A-Fa-f]+")}
_LONGEST_NUMBER = 8


@dataclass(frozen=True)
class CodeType:
    """How codes are written: ``width`` characters each, ``base`` 10 or 16, or ``None`` where they are no numbers."""

    name: str
    width: int
    base: int | None

    def key(self, code: str) -> int | str:
        """Return what equals for two spellings of one code: its number, or the code itself."""
        plain = code.strip() if self.base else code
        if self.base and len(plain) <= _LONGEST_NUMBER and _DIGITS[self.base].fullmatch(plain):
            return int(plain, self.base)
        return plain


CODE_TYPES = {
    "ascii": CodeType("Ascii", 1, None),
    "decimal": CodeType("Decimal", 3, 10),
    "hexadecimal": CodeType("HexaDecimal", 2, 16),
    "integer2": CodeType("Integer2", 4, 16),
}


@dataclass(frozen=True)
class BinDefinition:
    """What a map says of one code; ``count`` is ``None`` where it gives none."""

    code: str
    quality: str = ""
    description: str = ""
    count: int | None = None


@dataclass(frozen=True)
class Axes:
    """The map's own coordinates: origin in a corner (``"lower left"``, …) or ``"center"``, and where they grow.

    ``least`` are the coordinates of the die at the origin, where the map gives each die its own.
    """

    origin: str
    up: bool
    right: bool
    least: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class WaferGrid:
    """A map before it is a table.

    Attributes:
        file: the name for errors.
        substrate_id, lot_id: whose map it is.
        rows: rows of codes from the top, each of equal length.
        code_type: how they are written.
        null: the code of a place without a die, if there is one.
        definitions: of the codes, perhaps several of one code.
        axes: of the map's coordinates, if it says them.
        orientation: degrees clockwise by which the map is turned, if it says so.
        steps_um: distances of dies in x and y.
    """

    file: str
    substrate_id: str
    lot_id: str
    rows: tuple[tuple[str, ...], ...]
    code_type: CodeType
    null: str | None
    definitions: tuple[BinDefinition, ...] = ()
    axes: Axes | None = None
    orientation: int | None = None
    steps_um: tuple[float, float] | None = None
    metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def cut_row(text: str, width: int, columns: int | None) -> tuple[str, ...] | None:
    """Return the codes of ``width`` characters in ``text``, ``None`` when they do not fit or are not ``columns``.

    Codes of one character may be blanks; longer ones may have blanks between them.
    """
    for plain in (text.strip("\r\n\t"), text.strip()) if width == 1 else ("".join(text.split()),):
        count, rest = divmod(len(plain), width)
        if not rest and count and columns in (None, count):
            return tuple(plain[place : place + width] for place in range(0, len(plain), width))
    return None


def check_places(file: str, places: int) -> None:
    """Raise ReadingLimit when the maps of a file have too many ``places``."""
    if places > MAX_PLACES:
        message = "the maps have too many places to be read whole"
        raise ReadingLimit(message, file=file, expected=MAX_PLACES, found=places)


def make_map(grid: WaferGrid, name: str) -> Table:
    """Return the dies of ``grid`` as a ``wafer_map`` table.

    Raises:
        CorruptField: a code is no number though its type says so, or is defined twice with different qualities.
        CountMismatch: the dies of a bin are not as many as its definition says, or the rows differ in length.
        ReadingLimit: there are too many places.
    """
    lengths = {len(row) for row in grid.rows}
    if len(lengths) != 1:
        message = f"the rows of the map of {grid.substrate_id} differ in length"
        raise CountMismatch(message, file=grid.file, expected=max(lengths, default=0), found=min(lengths, default=0))
    check_places(grid.file, len(grid.rows) * max(lengths))
    codes = np.asarray(grid.rows, dtype=np.str_)
    spellings, inverse, counted = np.unique(codes, return_inverse=True, return_counts=True)
    keys = [grid.code_type.key(str(code)) for code in spellings]
    null = None if grid.null is None else grid.code_type.key(grid.null)
    bins, warnings = _merge_definitions(grid)
    _check_codes(grid, keys, {null, *bins})
    totals: dict[int | str, int] = {}
    for key, count in zip(keys, counted.tolist(), strict=True):
        totals[key] = totals.get(key, 0) + count
    warnings += _check_counts(grid, totals, null)
    undefined = [str(code) for code, key in zip(spellings, keys, strict=True) if key != null and key not in bins]
    if undefined and bins:
        warnings.append(f"codes without a definition: {', '.join(undefined[:8])}")
    is_die = np.asarray([key != null for key in keys])[inverse].reshape(codes.shape)
    rows, columns = np.nonzero(is_die)
    chosen = inverse.reshape(codes.shape)[rows, columns]
    return _table(grid, name, (rows, columns), _texts_of(spellings, keys, bins, chosen), warnings)


def _texts_of(
    spellings: NDArray[np.str_],
    keys: Sequence[int | str],
    bins: dict[int | str, BinDefinition],
    chosen: NDArray[np.intp],
) -> dict[str, NDArray[Any]]:
    text = np.dtypes.StringDType()
    known = [bins.get(key, BinDefinition("")) for key in keys]
    numbers = [float(key) if isinstance(key, int) else np.nan for key in keys]
    return {
        "bin_code": np.asarray([str(code) for code in spellings], text)[chosen],
        "bin_number": np.asarray(numbers, np.float64)[chosen],
        "quality": np.asarray([item.quality for item in known], text)[chosen],
        "description": np.asarray([item.description for item in known], text)[chosen],
    }


def _table(
    grid: WaferGrid,
    name: str,
    places: tuple[NDArray[np.intp], NDArray[np.intp]],
    texts: dict[str, NDArray[Any]],
    warnings: list[str],
) -> Table:
    rows, columns = (part.astype(np.int64) for part in places)
    shape = (len(grid.rows), len(grid.rows[0]))
    made: dict[str, Any] = {
        "substrate_id": [grid.substrate_id] * rows.size,
        "lot_id": [grid.lot_id] * rows.size,
        "row": rows,
        "column": columns,
        **texts,
    }
    if grid.axes is not None:
        placed = _coordinates(grid.axes, rows, columns, shape)
        if placed is None:
            warnings.append("the map's origin is the centre of an even number of dies, so that it has no coordinates")
        else:
            made["x"], made["y"] = placed
    if grid.orientation is not None:
        made["upright_row"], made["upright_column"] = _turn_back(grid.orientation, rows, columns, shape)
    if grid.steps_um is not None:
        for key, step in zip(("step_x_um", "step_y_um"), grid.steps_um, strict=True):
            made[key] = np.full(rows.size, step)
    if not grid.code_type.base:
        del made["bin_number"]
    about = {
        **grid.metadata,
        "rows": shape[0],
        "columns": shape[1],
        "places_without_die": shape[0] * shape[1] - rows.size,
    }
    return WAFER_MAP.make_table(name, made, Remarks(about, (*grid.warnings, *warnings)))


def _coordinates(
    axes: Axes, rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    if axes.origin == "center":
        if shape[0] % 2 == 0 or shape[1] % 2 == 0:
            return None
        origin_row, origin_column = shape[0] // 2, shape[1] // 2
    else:
        origin_row = shape[0] - 1 if "lower" in axes.origin else 0
        origin_column = shape[1] - 1 if "right" in axes.origin else 0
    x = columns - origin_column if axes.right else origin_column - columns
    y = origin_row - rows if axes.up else rows - origin_row
    return x + axes.least[0], y + axes.least[1]


def _turn_back(
    degrees: int, rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Turn the map anticlockwise by ``degrees``, a multiple of 90."""
    height, width = shape
    turned = {
        0: (rows, columns),
        90: (width - 1 - columns, rows),
        180: (height - 1 - rows, width - 1 - columns),
        270: (columns, height - 1 - rows),
    }
    return turned[degrees]


def _merge_definitions(grid: WaferGrid) -> tuple[dict[int | str, BinDefinition], list[str]]:
    """Return one definition for each code; several of one code complete each other."""
    bins: dict[int | str, BinDefinition] = {}
    repeated: list[str] = []
    for item in grid.definitions:
        key = grid.code_type.key(item.code)
        other = bins.get(key)
        if other is None:
            bins[key] = item
            continue
        repeated.append(item.code)
        if other.quality and item.quality and other.quality.casefold() != item.quality.casefold():
            message = f"the bin {item.code} is defined with two qualities"
            raise CorruptField(message, file=grid.file, expected=other.quality[:60], found=item.quality[:60])
        texts = dict.fromkeys(text for text in (other.description, item.description) if text)
        bins[key] = BinDefinition(other.code, other.quality or item.quality, "; ".join(texts))
    unique = ", ".join(dict.fromkeys(repeated[:8]))
    return bins, [f"bins are defined more than once: {unique}"] if repeated else []


def _check_codes(grid: WaferGrid, keys: Iterable[int | str], known: set[int | str | None]) -> None:
    wrong = next((key for key in keys if grid.code_type.base and isinstance(key, str) and key not in known), None)
    if wrong is not None:
        message = f"the map of {grid.substrate_id} has a code that is no number"
        raise CorruptField(message, file=grid.file, expected=f"{grid.code_type.name} codes", found=str(wrong)[:60])


def _check_counts(grid: WaferGrid, totals: dict[int | str, int], null: int | str | None) -> list[str]:
    """Compare the dies of each bin with its definitions; return doubts."""
    declared: dict[int | str, list[int]] = {}
    for item in grid.definitions:
        if item.count is not None:
            declared.setdefault(grid.code_type.key(item.code), []).append(item.count)
    if declared and not any(count for counts in declared.values() for count in counts):
        dies = sum(count for key, count in totals.items() if key != null)
        return ["all counts of bins are zero and were not compared"] if dies else []
    for key, counts in declared.items():
        found = totals.get(key, 0)
        # A code may be defined twice, with the whole count each time or with a part of it.
        whole = counts[0] if len(set(counts)) == 1 else None
        if found in (whole, sum(counts)) or (key == null and not any(counts)):
            continue
        message = f"the bin {key} of {grid.substrate_id} does not have as many dies as the map says"
        raise CountMismatch(message, file=grid.file, expected=sum(counts) if whole is None else whole, found=found)
    return []

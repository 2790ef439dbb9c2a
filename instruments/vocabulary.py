"""One documented vocabulary for what many tools call by many names: the columns of a kind of table, with their units.

A family of formats declares its vocabularies once (``instruments/<family>/vocabulary.py``); its adapters make tables
through them, so that a laser log and a FIB log, or two versions of KLARF, come out in the same columns and units.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, CountMismatch
from instruments.records import Table, VendorMetadata

ColumnType = Literal["text", "number", "integer", "flag"]
_DTYPES: dict[ColumnType, Any] = {
    "text": np.dtypes.StringDType(),
    "number": np.dtype(np.float64),
    "integer": np.dtype(np.int64),
    "flag": np.dtype(np.bool_),
}


@dataclass(frozen=True)
class Column:
    """A column of a vocabulary.

    Attributes:
        name: with its unit at the end, for example ``x_um``.
        type: ``number`` may be missing (NaN), ``text`` may be empty; ``integer`` and ``flag`` are always there.
        unit: ``""`` for text and counts.
        meaning: one sentence.
        required: every table of the kind has it.
    """

    name: str
    type: ColumnType
    unit: str
    meaning: str
    required: bool = False


@dataclass(frozen=True)
class Remarks:
    """What else is known of a table: the vendor's own metadata verbatim, and doubts."""

    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """The columns that tables of ``kind`` may have; ``row`` says what a row is."""

    kind: str
    row: str
    columns: tuple[Column, ...]

    def make_table(
        self,
        name: str,
        columns: Mapping[str, Any],
        remarks: Remarks | None = None,
        other: Mapping[str, tuple[NDArray[Any], str]] | None = None,
    ) -> Table:
        """Return a table of ``columns`` (sequences or arrays by name), converted to the vocabulary's dtypes.

        ``other`` has columns outside the vocabulary, each with its unit; they keep the vendor's name.

        Raises:
            CorruptField: a column is not of the vocabulary, a required one is missing, or a value does not convert.
            CountMismatch: the columns have different lengths.
        """
        known = {column.name: column for column in self.columns}
        unknown = next((key for key in columns if key not in known), None)
        if unknown is not None:
            raise CorruptField(f"{unknown} is no column of a {self.kind} table")
        missing = next((column.name for column in self.columns if column.required and column.name not in columns), None)
        if missing is not None:
            raise CorruptField(f"a {self.kind} table needs the column {missing}")
        arrays = {key: convert_column(known[key], columns[key]) for key in known if key in columns}
        units = {key: known[key].unit for key in arrays}
        for key, (values, unit) in (other or {}).items():
            if key in arrays:
                raise CorruptField(f"the column {key} appears twice")
            arrays[key], units[key] = values, unit
        lengths = sorted({len(values) for values in arrays.values()})
        if len(lengths) > 1:
            message = f"the columns of a {self.kind} table have different lengths"
            raise CountMismatch(message, expected=lengths[-1], found=lengths[0])
        remarks = remarks or Remarks()
        return Table(name, arrays, units, self.kind, remarks.vendor_metadata, remarks.warnings)


def convert_column(column: Column, values: Any) -> NDArray[Any]:
    """Return ``values`` as a 1-D array of the column's dtype; ``None`` becomes NaN or the empty text.

    Raises:
        CorruptField: a value does not convert, or is missing where none may be.
    """
    if isinstance(values, np.ndarray) and values.dtype == _DTYPES[column.type]:
        return values
    items = [_replace_missing(column, value) for value in values]
    try:
        return np.asarray(items, _DTYPES[column.type])
    except (TypeError, ValueError, OverflowError) as error:
        raise CorruptField(f"a value of {column.name} is no {column.type}: {error}") from error


def _replace_missing(column: Column, value: Any) -> Any:
    if column.type == "text":
        return "" if value is None else str(value)
    if value is not None:
        return value
    if column.type == "number":
        return np.nan
    raise CorruptField(f"a value of {column.name} is missing")

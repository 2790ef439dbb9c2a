"""Tables of stress results, as comma-separated text or Parquet: columns by documented names, times in hours.

Text has comments ``# name: value``; ``# rows: 12`` says how many rows there are, which is checked. In Parquet a column
has one number type or text; the footer's row groups are the second count.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.commented_table import CommentedTable, header_in, read_commented_table, with_point
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    NotThisFormat,
    ReadingLimit,
    UnsupportedVersion,
    cut_value,
)
from instruments.headings import Headings, Meaning
from instruments.records import Table
from instruments.text_lines import decode_text, head_text
from instruments.vocabulary import Remarks

MAX_BYTES = 128 << 20
MAX_CELLS = 20_000_000
"""Rows times columns of a Parquet file, which may unpack to far more than its bytes."""

PARQUET_MARK = b"PAR1"
_TEXT = np.dtypes.StringDType()
_LARGEST_COUNT = 1e12


@dataclass
class StressColumns:
    """Columns of a vocabulary as they were read.

    Attributes:
        file: the name for errors.
        rows: how many there are.
        place: makes the error that blames a row (0-based): message, row, what was found.
        numbers: float64, missing NaN, in the vocabulary's unit.
        texts: missing ``""``.
        other: outside the vocabulary, with their units.
        metadata, warnings: for the table.
        decimal_comma: numbers in the texts have one.
    """

    file: str
    rows: int
    place: Callable[[str, int, Any], CorruptField]
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    texts: dict[str, NDArray[Any]] = field(default_factory=dict)
    other: dict[str, tuple[NDArray[Any], str]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    decimal_comma: bool = False

    def __contains__(self, name: str) -> bool:
        return name in self.numbers or name in self.texts

    def refuse(self, wrong: NDArray[np.bool_], message: str, column: str) -> None:
        """Raise CorruptField for the first row where ``wrong``, showing what ``column`` holds there."""
        if wrong.any():
            row = int(np.argmax(wrong))
            values = self.numbers.get(column, self.texts.get(column))
            found = "nothing" if values is None or values[row] in ("",) or values[row] != values[row] else values[row]
            raise self.place(message, row, found)

    def require(self, names: tuple[str, ...]) -> None:
        """Raise NotThisFormat naming the first column that is missing, CorruptField at the first missing value."""
        missing = next((name for name in names if name not in self), None)
        if missing is not None:
            raise NotThisFormat(f"the table has no {missing}", file=self.file)
        for name in names:
            values = self.numbers.get(name)
            empty = self.texts[name] == "" if values is None else np.isnan(values)
            self.refuse(empty, f"{name} is missing", name)

    def whole(self, name: str) -> NDArray[np.int64]:
        """Return counts as integers; raises CorruptField at the first that is no whole number above 0."""
        values = self.numbers[name]
        wrong = ~((values >= 1) & (values <= _LARGEST_COUNT) & (values == np.floor(values)))
        self.refuse(wrong, f"{name} is no whole number above 0", name)
        return values.astype(np.int64)

    def to_table(self, headings: Headings, counts: dict[str, NDArray[np.int64]] | None = None) -> Table:
        """Return all columns as a table of the headings' vocabulary, ``counts`` instead of numbers of that name."""
        columns: dict[str, Any] = {**self.numbers, **self.texts, **(counts or {})}
        remarks = Remarks(self.metadata, tuple(self.warnings))
        return headings.vocabulary.make_table(Path(self.file).stem or self.file, columns, remarks, self.other)


def meaning_of(headings: Headings, name: str, file: str = "") -> Meaning:
    """Return what a column called ``name`` means; raises UnsupportedVersion for a time without a known unit."""
    plain = name.strip().lower()
    if any(plain == column.name for column in headings.vocabulary.columns):
        return Meaning(plain)
    meaning = headings.meaning(name, file=file)
    first = plain.replace(" ", "_").partition("_")[0].partition("[")[0]
    if not meaning.column and first in _times(headings):
        message = f"the unit of the column {name} is not known"
        raise UnsupportedVersion(message, file=file, expected=f"{first}_h or another unit of time", found=name[:40])
    return meaning


def columns_in_head(source: Source, headings: Headings, own: frozenset[str]) -> set[str] | Sniff:
    """Return the columns of the vocabulary that the header of ``source`` names, or the answer where none can be told.

    ``own`` are names, in lower case, that make a table whose units are not known one of ours all the same.
    """
    if source.is_bundle:
        return Sniff(Confidence.NO, "a bundle is no table")
    if source.head.startswith(PARQUET_MARK):
        return Sniff(Confidence.POSSIBLE, "Parquet, whose columns stand at its end")
    names = header_in(head_text(source.head))
    try:
        return {meaning_of(headings, name).column for name in names}
    except InstrumentError as error:
        # A table of ours in a unit that is not known: let the reader say so.
        sure = own <= {name.lower() for name in names}
        return Sniff(Confidence.LIKELY if sure else Confidence.NO, str(error))


def _times(headings: Headings) -> set[str]:
    return {column.name.removesuffix("_h") for column in headings.vocabulary.columns if column.unit == "h"}


def read_columns(source: Source, headings: Headings) -> StressColumns:
    """Return the columns of ``source``, text or Parquet.

    Raises:
        CorruptField, CountMismatch, NotThisFormat, ReadingLimit, UnsupportedVersion: and why.
    """
    if source.size_bytes > MAX_BYTES:
        message = "the table is too large to be read whole"
        raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
    if source.head.startswith(PARQUET_MARK):
        return _read_parquet(source, headings)
    try:
        text, doubts = decode_text(source.path.read_bytes())
    except UnicodeDecodeError as error:
        raise NotThisFormat("the table is no text", file=source.name, offset=error.start) from None
    made = _read_text(source, headings, read_commented_table(source, text))
    made.warnings += doubts
    return made


def _read_text(source: Source, headings: Headings, table: CommentedTable) -> StressColumns:
    def place(message: str, row: int, found: Any) -> CorruptField:
        shown = float(found) if isinstance(found, float) else cut_value(found, 60)
        return CorruptField(message, file=source.name, offset=table.lines[row], found=shown, offset_unit="line")

    made = StressColumns(source.name, len(table.rows), place, warnings=list(table.warnings))
    made.decimal_comma = table.decimal_comma
    made.metadata = {"comments": table.comments, "header": list(table.header)}
    declared = table.comments.get("rows")
    if declared is not None and declared != str(len(table.rows)):
        message = "the table does not hold as many rows as it says"
        raise CountMismatch(message, file=source.name, expected=declared[:20], found=len(table.rows))
    for column, name in enumerate(table.header):
        cells = [row[column] for row in table.rows]
        _add(made, headings, name, np.asarray(cells, _TEXT), table.decimal_comma)
    return made


def _read_parquet(source: Source, headings: Headings) -> StressColumns:
    import pyarrow as pa  # noqa: PLC0415 - text needs none
    import pyarrow.parquet as pq  # noqa: PLC0415

    def place(message: str, row: int, found: Any) -> CorruptField:
        shown = float(found) if isinstance(found, float) else cut_value(found, 60)
        return CorruptField(f"{message} in row {row + 1}", file=source.name, found=shown)

    try:
        with pq.ParquetFile(source.path) as file:
            footer = file.metadata
            cells = footer.num_rows * max(footer.num_columns, 1)
            if cells > MAX_CELLS:
                message = "the table has too many cells to be read whole"
                raise ReadingLimit(message, file=source.name, expected=MAX_CELLS, found=cells)
            names = file.schema_arrow.names
            if len(set(names)) != len(names):
                raise CorruptField("two columns have the same name", file=source.name)
            counted = sum(footer.row_group(group).num_rows for group in range(footer.num_row_groups))
            table = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        message = f"the Parquet file is damaged: {str(error).splitlines()[0][:120]}"
        raise CorruptField(message, file=source.name) from None
    if not counted == footer.num_rows == table.num_rows:
        message = "the row groups do not hold as many rows as the footer says"
        raise CountMismatch(message, file=source.name, expected=footer.num_rows, found=min(counted, table.num_rows))
    made = StressColumns(source.name, table.num_rows, place)
    schema = {
        key.decode("utf-8", "replace"): text.decode("utf-8", "replace")
        for key, text in (table.schema.metadata or {}).items()
    }
    made.metadata = {"schema": {key: text for key, text in schema.items() if key != "ARROW:schema"}, "header": names}
    for name in names:
        _add(made, headings, name, _array(source, name, table.column(name), pa))
    return made


def _array(source: Source, name: str, column: Any, pa: Any) -> NDArray[Any]:
    """Return a column as int64 or float64, missing NaN, or as text, missing empty."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        wanted = pa.int64() if pa.types.is_integer(kind) and not column.null_count else pa.float64()
        try:
            return np.asarray(column.cast(wanted).to_numpy())
        except pa.ArrowInvalid:
            message = f"the column {name} has numbers too large to be kept exactly"
            raise UnsupportedVersion(message, file=source.name, expected=str(wanted), found=str(kind)) from None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            return np.asarray([text or "" for text in column.to_pylist()], _TEXT)
        except UnicodeDecodeError:
            raise CorruptField(f"the column {name} is not UTF-8 text", file=source.name) from None
    message = f"the column {name} is neither number nor text"
    raise UnsupportedVersion(message, file=source.name, expected="numbers or text", found=str(kind)[:40])


def _add(made: StressColumns, headings: Headings, name: str, values: NDArray[Any], decimal_comma: bool = False) -> None:
    meaning = meaning_of(headings, name, made.file)
    kinds = {column.name: column.type for column in headings.vocabulary.columns}
    if not meaning.column:
        made.warnings += [meaning.warning] if meaning.warning else []
        made.other[name] = (values, meaning.unit_text)
    elif meaning.column in made:
        raise CorruptField(f"two columns mean {meaning.column}, {name} is the second", file=made.file)
    elif kinds[meaning.column] == "text":
        made.texts[meaning.column] = values if values.dtype.kind == "T" else _words(values)
    else:
        if decimal_comma:
            values = np.asarray([with_point(cell, True) for cell in values.tolist()], _TEXT)
        made.numbers[meaning.column] = _numbers(made, name, meaning, values)


def _words(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers, for example of lots, as text without a fraction that is zero."""
    texts = [str(item) if isinstance(item, int) else f"{item:.15g}" for item in values.tolist()]
    return np.asarray(["" if text == "nan" else text for text in texts], _TEXT)


def _numbers(made: StressColumns, name: str, meaning: Meaning, values: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype.kind != "T":
        wrong = np.isinf(values)
        if wrong.any():
            raise made.place(f"{name} is no number", int(np.argmax(wrong)), values[wrong][0])
        read = values.tolist()
    else:
        read = []
        for row, cell in enumerate(values.tolist()):
            try:
                value = float(cell) if cell else math.nan
            except ValueError:
                value = math.inf
            if cell and (not math.isfinite(value) or "_" in cell):
                raise made.place(f"{name} is no number", row, cell)
            read.append(value)
    return np.asarray([meaning.scaled(value) for value in read], np.float64)


def check_conditions(columns: StressColumns) -> None:
    """Refuse temperatures below absolute zero and humidities that are no share of a hundred."""
    temperature = columns.numbers.get("temperature_c")
    if temperature is not None:
        columns.refuse(temperature < -273.15, "temperature_c is below absolute zero", "temperature_c")
    humidity = columns.numbers.get("humidity_percent")
    if humidity is not None:
        wrong = (humidity < 0) | (humidity > 100)
        columns.refuse(wrong, "humidity_percent is not between 0 and 100", "humidity_percent")

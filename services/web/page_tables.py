"""Tables within a page as files: the rows that a browser shows, written as lists are."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from sqlalchemy import BigInteger, Column, DateTime, Double, Text

from services.web.exports import csv_pieces, parquet_pieces

MOST_COLUMNS = 100
MOST_ROWS = 100_000
_UNKNOWN = frozenset({"", "\N{EN DASH}"})
_WHOLE = re.compile(r"-?\d{1,18}")
_REAL = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class ShownColumn(BaseModel):
    """A column: its heading, and whether the page sets it as numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    numeric: bool = False


class ShownTable(BaseModel):
    """The rows that a browser shows, every cell as its text or the value behind it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    columns: Annotated[list[ShownColumn], Field(min_length=1, max_length=MOST_COLUMNS)]
    rows: Annotated[list[list[str]], Field(max_length=MOST_ROWS)]

    @field_validator("columns")
    @classmethod
    def _check_names(cls, columns: list[ShownColumn]) -> list[ShownColumn]:
        if len({column.name for column in columns}) < len(columns):
            raise ValueError("two columns have the same name")
        return columns

    @field_validator("rows")
    @classmethod
    def _check_widths(cls, rows: list[list[str]], info: ValidationInfo) -> list[list[str]]:
        width = len(info.data.get("columns", ()))
        if any(len(row) != width for row in rows):
            raise ValueError(f"a row does not have {width} cells")
        return rows


def write_table(table: ShownTable, form: str) -> Iterator[Any]:
    """Yield ``table`` as ``csv`` or ``parquet``: numbers as numbers, times as times, what is unknown as nothing.

    A column is one of numbers only where the page sets it so and every cell is one: a serial number keeps its zeros.
    """
    columns: list[Column[Any]] = []
    cells: list[list[Any]] = []
    for place, shown in enumerate(table.columns):
        kind, values = _type_column([row[place] for row in table.rows], numeric=shown.numeric)
        columns.append(Column(shown.name, kind))
        cells.append(values)
    names = [column.name for column in columns]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
    return csv_pieces(columns, [rows]) if form == "csv" else parquet_pieces(columns, [rows])


def _type_column(texts: list[str], *, numeric: bool) -> tuple[Any, list[Any]]:
    """Return the column's type and its values, ``None`` for what is unknown."""
    known = [None if text.strip() in _UNKNOWN else text for text in texts]
    told = [text for text in known if text is not None]
    if told and all(_MOMENT.fullmatch(text) and _is_moment(text) for text in told):
        return DateTime(timezone=True), list(known)
    bare = [None if text is None else re.sub(r"[\s\u202f]", "", text) for text in known]
    if numeric and told and all(_WHOLE.fullmatch(text) for text in bare if text is not None):
        return BigInteger(), [None if text is None else int(text) for text in bare]
    if numeric and told and all(_REAL.fullmatch(text) for text in bare if text is not None):
        return Double(), [None if text is None else float(text) for text in bare]
    return Text(), list(known)


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True

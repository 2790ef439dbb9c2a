"""Whole lists as files: CSV for spreadsheets, Parquet for programs; every row that passes the filters."""

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Integer

FORMATS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
_PIECE_BYTES = 1 << 20
_IN_MEMORY_BYTES = 8 << 20

Pages = Iterable[Sequence[Mapping[str, Any]]]


def csv_pieces(columns: Sequence[Column[Any]], pages: Pages) -> Iterator[str]:
    """Yield CSV (RFC 4180) of ``pages`` of rows, the columns' names first."""
    names = [column.name for column in columns]
    yield _csv_text([names])
    for rows in pages:
        yield _csv_text([_cell(_number(column, row[column.name])) for column in columns] for row in rows)


def _csv_text(rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    """Return a cell; text that a spreadsheet would run as a formula is quoted (OWASP, CSV injection)."""
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def parquet_pieces(columns: Sequence[Column[Any]], pages: Pages) -> Iterator[bytes]:
    """Yield a Parquet file of ``pages`` of rows, a row group for each; times are UTC, documents JSON text."""
    import pyarrow  # noqa: PLC0415 - only who asks for a file waits for it
    from pyarrow import parquet  # noqa: PLC0415

    schema = pyarrow.schema([(column.name, _arrow_type(column, pyarrow)) for column in columns])
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for rows in pages:
                converted = [{column.name: _value(column, row[column.name]) for column in columns} for row in rows]
                writer.write_table(pyarrow.Table.from_pylist(converted, schema))
        file.seek(0)
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _arrow_type(column: Column[Any], pyarrow: Any) -> Any:
    kinds = (
        (DateTime, pyarrow.timestamp("us", "UTC")),
        (BigInteger, pyarrow.int64()),
        (Integer, pyarrow.int64()),
        (Double, pyarrow.float64()),
        (Boolean, pyarrow.bool_()),
    )
    return next((arrow for kind, arrow in kinds if isinstance(column.type, kind)), pyarrow.string())


def _number(column: Column[Any], value: Any) -> Any:
    """Return a number as one where JSON has to write it as text: NaN and the infinities."""
    return float(value) if isinstance(value, str) and isinstance(column.type, Double) else value


def _value(column: Column[Any], value: Any) -> Any:
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    if value is not None and isinstance(column.type, DateTime):
        return datetime.fromisoformat(value)
    return _number(column, value)

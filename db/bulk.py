"""Many rows at once: COPY in binary form on the transaction's own connection, from rows or from columns.

Source of the binary form: PostgreSQL manual, COPY, "Binary Format".
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.pq import Format
from psycopg.sql import SQL
from psycopg.types.json import Jsonb
from sqlalchemy import Column, Connection, Table, types
from sqlalchemy.dialects import postgresql

_TYPE_NAMES: tuple[tuple[type[types.TypeEngine[Any]], str], ...] = (
    (postgresql.UUID, "uuid"),
    (postgresql.JSONB, "jsonb"),
    (types.BigInteger, "int8"),
    (types.Integer, "int4"),
    (types.Double, "float8"),
    (types.Boolean, "bool"),
    (types.DateTime, "timestamptz"),
    (types.Text, "text"),
)

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_TRAILER = struct.pack(">h", -1)
_NULL = struct.pack(">i", -1)
_CHUNK_BYTES = 1 << 20
_BINARY_FORMS: tuple[tuple[type[types.TypeEngine[Any]], str], ...] = (
    (types.BigInteger, ">i8"),
    (types.Integer, ">i4"),
    (types.Double, ">f8"),
    (postgresql.UUID, "V16"),
)


@dataclass(frozen=True)
class ColumnBlock:
    """Rows of one table that have most of their values in common.

    Attributes:
        count: number of rows.
        constants: by column, the value that all rows share; JSON columns take plain Python values.
        columns: by column, each row's own value, shape ``(count,)``: int64 for an integer, float64 for a double (NaN is
            NULL), ``V16`` for a UUID, ``S<width>`` for ASCII text of exactly this width.
    """

    count: int
    constants: Mapping[str, Any]
    columns: Mapping[str, NDArray[Any]]


def copy_rows(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> int:
    """Insert ``rows`` into ``table`` by COPY; return how many.

    Every row has the same keys as the first one; columns that are not named take their defaults. JSON columns take
    plain Python values.

    Raises:
        KeyError: a row lacks a key of the first one, or a key is no column.
        psycopg.Error: a row breaks a constraint; nothing of the transaction stays.
    """
    iterator = iter(rows)
    first = next(iterator, None)
    if first is None:
        return 0
    columns = [table.c[name] for name in first]
    is_json = [isinstance(column.type, postgresql.JSONB) for column in columns]
    count = 0
    with _driver(connection).cursor() as cursor, cursor.copy(_statement(table, columns)) as copy:
        copy.set_types([_type_name(column.type) for column in columns])
        for row in chain([first], iterator):
            values = [row[column.name] for column in columns]
            copy.write_row([Jsonb(v) if j and v is not None else v for v, j in zip(values, is_json, strict=True)])
            count += 1
    return count


def copy_blocks(connection: Connection, table: Table, blocks: Iterable[ColumnBlock]) -> int:
    """Insert the rows of ``blocks`` into ``table`` by one COPY; return how many.

    Every block has the same constants and columns as the first one; columns that are not named take their defaults.

    Raises:
        KeyError: a block lacks a name of the first one, or a name is no column.
        OverflowError: an integer does not fit its column.
        psycopg.Error: a row breaks a constraint; nothing of the transaction stays.
    """
    iterator = iter(blocks)
    first = next(iterator, None)
    if first is None:
        return 0
    constants = [table.c[name] for name in first.constants]
    varying = [table.c[name] for name in first.columns]
    driver = _driver(connection)
    count = 0
    with driver.cursor() as cursor, cursor.copy(_statement(table, [*constants, *varying])) as copy:
        copy.write(_SIGNATURE)
        for block in chain([first], iterator):
            head = struct.pack(">h", len(constants) + len(varying))
            shared = head + b"".join(_field(driver, column, block.constants[column.name]) for column in constants)
            values = {column.name: _big_endian(column, block.columns[column.name]) for column in varying}
            for data in _encode(block.count, shared, values):
                copy.write(data)
            count += block.count
        copy.write(_TRAILER)
    return count


def _encode(count: int, shared: bytes, values: Mapping[str, NDArray[Any]]) -> Iterator[bytes]:
    """Yield the rows' binary form in chunks: what they share, and then their own values."""
    width = len(shared) + sum(4 + column.itemsize for column in values.values())
    step = max(1, _CHUNK_BYTES // width)
    nullable = [name for name, column in values.items() if column.dtype.kind == "f"]
    for start in range(0, count, step):
        chunk = {name: column[start : start + step] for name, column in values.items()}
        patterns = np.zeros(min(step, count - start), np.int64)
        for bit, name in enumerate(nullable):
            patterns |= np.isnan(chunk[name]).astype(np.int64) << bit
        for pattern in np.unique(patterns).tolist():
            nulls = {name for bit, name in enumerate(nullable) if pattern >> bit & 1}
            chosen = patterns == pattern
            yield _encode_alike(shared, {name: column[chosen] for name, column in chunk.items()}, nulls)


def _encode_alike(shared: bytes, values: Mapping[str, NDArray[Any]], nulls: set[str]) -> bytes:
    """Return the binary form of rows whose NULLs are in the columns ``nulls``: all of them are of one length."""
    layout: list[tuple[str, str]] = [("shared", f"V{len(shared)}")]
    for index, (name, column) in enumerate(values.items()):
        layout.append((f"length_{index}", ">i4"))
        if name not in nulls:
            layout.append((f"value_{index}", column.dtype.str))
    rows = np.empty(len(next(iter(values.values()))), np.dtype(layout))
    rows["shared"] = np.void(shared)
    for index, (name, column) in enumerate(values.items()):
        if name in nulls:
            rows[f"length_{index}"] = -1
        else:
            rows[f"length_{index}"] = column.itemsize
            rows[f"value_{index}"] = column
    return rows.tobytes()


def _big_endian(column: Column[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Return ``values`` in the form that PostgreSQL's type of ``column`` has on the wire."""
    if values.dtype.kind == "S" and isinstance(column.type, types.Text):
        return values
    form = next((form for kind, form in _BINARY_FORMS if isinstance(column.type, kind)), None)
    if form is None or np.dtype(form).kind != values.dtype.kind:
        raise KeyError(f"no binary form of {values.dtype} for {column.type!r}")
    converted = values.astype(form)
    if values.dtype.kind == "i" and (converted != values).any():
        raise OverflowError(f"a value does not fit {column.name}")
    return converted


def _field(driver: psycopg.Connection[Any], column: Column[Any], value: Any) -> bytes:
    """Return one value with its length before it."""
    if value is None:
        return _NULL
    if isinstance(column.type, postgresql.JSONB):
        value = Jsonb(value)
    oid = driver.adapters.types[_type_name(column.type)].oid
    data = driver.adapters.get_dumper_by_oid(oid, Format.BINARY)(type(value), driver).dump(value)
    if data is None:
        return _NULL
    return struct.pack(">i", len(data)) + bytes(data)


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise RuntimeError("the connection is closed")
    return driver


def _statement(table: Table, columns: Iterable[Column[Any]]) -> SQL:
    names = ", ".join(f'"{column.name}"' for column in columns)
    return SQL(f"COPY {table.schema}.{table.name} ({names}) FROM STDIN (FORMAT BINARY)")


def _type_name(kind: types.TypeEngine[Any]) -> str:
    for known, name in _TYPE_NAMES:
        if isinstance(kind, known):
            return name
    raise KeyError(f"no COPY type for {kind!r}")

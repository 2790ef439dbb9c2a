"""Many rows at once: COPY in binary form on the transaction's own connection."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, Table, types
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
    names = ", ".join(f'"{column.name}"' for column in columns)
    statement = f"COPY {table.schema}.{table.name} ({names}) FROM STDIN (FORMAT BINARY)"
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection is closed")
    count = 0
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([_type_name(column.type) for column in columns])
        for row in chain([first], iterator):
            values = [row[column.name] for column in columns]
            copy.write_row([Jsonb(v) if j and v is not None else v for v, j in zip(values, is_json, strict=True)])
            count += 1
    return count


def _type_name(kind: types.TypeEngine[Any]) -> str:
    for known, name in _TYPE_NAMES:
        if isinstance(kind, known):
            return name
    raise KeyError(f"no COPY type for {kind!r}")

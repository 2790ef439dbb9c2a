"""Queries compiled once and run on the driver's own cursor.

For hot paths: building and compiling a wide SELECT, and SQLAlchemy's description of its result, cost more than
running it.
"""

from typing import Any

import psycopg
from sqlalchemy import Connection, exc
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import ClauseElement

_DIALECT = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]


class PreparedQuery:
    """A statement with named ``bindparam`` s, as SQL text; values are always bound, never written into it.

    Rows are tuples of what psycopg gives: UUIDs, aware datetimes, lists, documents.
    """

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self._sql = str(compiled).encode()
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}

    def fetch(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Return all rows for these values of the parameters, in the connection's transaction if it has any.

        Failures are SQLAlchemy's, as if the connection had executed the statement.
        """
        driver: Any = connection.connection.dbapi_connection
        if not (driver.autocommit or connection.in_transaction()):
            raise exc.InvalidRequestError("a prepared query runs inside a transaction, or on a connection without any")
        try:
            with driver.cursor() as cursor:
                cursor.execute(self._sql, self._constants | values)
                rows: list[tuple[Any, ...]] = cursor.fetchall()
                return rows
        except psycopg.Error as error:
            raise _translate(connection, driver, self._sql.decode(), error) from error


def _translate(connection: Connection, driver: Any, sql: str, error: psycopg.Error) -> BaseException:
    """Return SQLAlchemy's exception for the driver's; a connection that is lost leaves the pool."""
    lost = connection.dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
    return exc.DBAPIError.instance(
        sql, None, error, psycopg.Error, connection_invalidated=lost, dialect=connection.dialect
    )

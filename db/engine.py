"""The SQLAlchemy engine of one process."""

import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

SCHEMA = "faultlight"


# What only reads: no transaction around a statement, so nothing to end when a connection goes back to the pool.
_READS_ONLY: Mapping[str, Any] = MappingProxyType(
    {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None, "skip_autocommit_rollback": True}
)


def make_engine(url: str, *, pool_size: int = 10, statement_timeout_s: float = 60.0) -> Engine:
    """Return an engine for ``url`` (``postgresql+psycopg://…``).

    ``pool_size`` must be at least the number of threads that use the engine. Connections are looked at
    before use, so that a restarted PostgreSQL costs no failed request, and every statement is bounded by
    ``statement_timeout_s`` seconds.
    """
    return _make_engine(url, pool_size, [f"statement_timeout={int(statement_timeout_s * 1000)}"], {})


def make_reading_engine(url: str, *, pool_size: int = 10, statement_timeout_s: float = 60.0) -> Engine:
    """Return an engine as :func:`make_engine` does, for what only reads; the server refuses to write on it.

    No transaction is opened around its statements: at PostgreSQL's level *read committed* each statement of a
    transaction sees its own state of the data anyway, and the round trips are saved. The connections are its own,
    because a connection that changed between the two ways would wait for the server each time.
    """
    options = [f"statement_timeout={int(statement_timeout_s * 1000)}", "default_transaction_read_only=on"]
    return _make_engine(url, pool_size, options, _READS_ONLY)


def _make_engine(url: str, pool_size: int, options: list[str], ways: Mapping[str, Any]) -> Engine:
    # Every name is qualified; a user called like the schema must not make it the default one.
    settings = " ".join(f"-c {option}" for option in [*options, "search_path=pg_catalog"])
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_timeout=10,
        connect_args={"connect_timeout": 5, "application_name": "faultlight", "options": settings},
        **ways,
    )

    @event.listens_for(engine, "connect")
    def _use_utc(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.close()
        connection.commit()

    @event.listens_for(engine, "checkout")
    def _refuse_lost(connection: Any, _record: ConnectionPoolEntry, _proxy: object) -> None:
        if connection.closed or (_has_something_to_read(connection) and not _answers(engine, connection)):
            raise DisconnectionError("the server closed the connection")

    return engine


def _has_something_to_read(connection: Any) -> bool:
    """Return whether the socket of an idle connection can be read.

    An idle connection hears nothing, unless the server went away or says that it is about to: one look at the socket
    instead of a round trip at every use.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _answers(engine: Engine, connection: Any) -> bool:
    try:
        return bool(engine.dialect.do_ping(connection))
    except psycopg.Error:
        return False


@lru_cache(maxsize=8)
def _without_transactions(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def single_statement(engine: Engine) -> Iterator[Connection]:
    """Open a connection for one statement that is a transaction by itself: neither BEGIN nor COMMIT is sent for it."""
    with _without_transactions(engine).connect() as connection:
        yield connection

"""Connections of the pool: lost ones are replaced unseen, reads run without a transaction."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, InternalError

from db.engine import make_reading_engine
from db.prepared import PreparedQuery

_PID = text("SELECT pg_backend_pid()")


def _end_idle_connections(database_server: str, pids: list[int]) -> None:
    with psycopg.connect(database_server, autocommit=True) as connection:
        for pid in pids:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def _occupy_three(engine: Engine) -> list[int]:
    with engine.connect() as first, engine.connect() as second, engine.connect() as third:
        return [connection.execute(_PID).scalar_one() for connection in (first, second, third)]


def test_connections_that_the_server_closed_are_replaced_unseen(engine: Engine, database_server: str) -> None:
    """A restarted PostgreSQL costs no failed request."""
    pids = _occupy_three(engine)
    _end_idle_connections(database_server, pids)
    again = _occupy_three(engine)
    assert len(set(again)) == 3
    assert set(again).isdisjoint(pids)


def test_a_connection_with_a_mere_notice_is_kept(engine: Engine, database_server: str) -> None:
    """Something to read does not mean that the connection is lost."""
    with engine.connect() as connection:
        pid = connection.execute(_PID).scalar_one()
        connection.execute(text("LISTEN news"))
        connection.commit()
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    with psycopg.connect(database_server, dbname=name, autocommit=True) as other:
        other.execute("NOTIFY news")
    with engine.connect() as connection:
        assert connection.execute(_PID).scalar_one() == pid


def test_a_connection_lost_while_in_use_is_an_error_and_leaves_the_pool(engine: Engine, database_server: str) -> None:
    """Nothing is repeated behind the back of a transaction."""
    with engine.connect() as connection:
        _end_idle_connections(database_server, [connection.execute(_PID).scalar_one()])
        with pytest.raises(DBAPIError):
            connection.execute(_PID)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


@pytest.fixture
def reading_engine(engine: Engine) -> Iterator[Engine]:
    """An engine for reading on the same database."""
    made = make_reading_engine(engine.url.render_as_string(hide_password=False), pool_size=2)
    yield made
    made.dispose()


def test_reading_opens_no_transaction_and_leaves_none_behind(reading_engine: Engine) -> None:
    """Each statement of a reading engine is its own, however it was executed, and the connection is used again."""
    in_transaction = text("SELECT now() = statement_timestamp()")
    pids = []
    for _ in range(2):
        with reading_engine.connect() as connection:
            connection.execute(text("SELECT pg_sleep(0.01)"))
            assert connection.execute(in_transaction).scalar_one()
            pids.append(connection.execute(_PID).scalar_one())
            assert PreparedQuery(text("SELECT 1")).fetch(connection) == [(1,)]
    assert pids[0] == pids[1]


def test_a_reading_engine_cannot_write(reading_engine: Engine) -> None:
    """What must not write is refused by the server, not by our care."""
    with reading_engine.connect() as connection, pytest.raises(InternalError, match="read-only transaction"):
        connection.execute(text("CREATE TABLE written ()"))
    with reading_engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_reading_engine_replaces_what_the_server_closed(reading_engine: Engine, database_server: str) -> None:
    """Without a transaction a lost connection is found at checkout all the same."""
    with reading_engine.connect() as connection:
        pid = connection.execute(_PID).scalar_one()
    _end_idle_connections(database_server, [pid])
    with reading_engine.connect() as connection:
        assert connection.execute(_PID).scalar_one() != pid

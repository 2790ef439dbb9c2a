"""Connections of the pool: lost ones are replaced unseen, reads run without a transaction."""

import threading

import psycopg
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from db.engine import reading

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


def test_reading_opens_no_transaction_and_leaves_none_behind(engine: Engine) -> None:
    """Each statement of a reading engine is its own; the same pool then gives transactions again."""
    in_transaction = text("SELECT now() = statement_timestamp()")
    opened = threading.Event()
    event.listen(engine, "checkout", lambda *_: opened.set())
    with reading(engine).begin() as connection:
        connection.execute(text("SELECT pg_sleep(0.01)"))
        assert connection.execute(in_transaction).scalar_one()
        pid = connection.execute(_PID).scalar_one()
    assert opened.is_set()
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_sleep(0.01)"))
        assert not connection.execute(in_transaction).scalar_one()
        assert connection.execute(_PID).scalar_one() == pid

"""Prepared queries fail as any other statement does."""

import pytest
from sqlalchemy import Engine, bindparam, exc, select, text

from db.prepared import PreparedQuery
from db.schema.people import program


def test_values_are_bound(engine: Engine) -> None:
    query = PreparedQuery(select(program.c.id).where(program.c.name == bindparam("name")))
    with engine.begin() as connection:
        assert query.fetch(connection, name="'; DROP TABLE faultlight.program; --") == []


def test_failures_are_sqlalchemys(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        with pytest.raises(exc.DataError) as caught:
            PreparedQuery(text("SELECT 1 / 0")).fetch(connection)
        assert not caught.value.connection_invalidated


def test_a_lost_connection_leaves_the_pool(engine: Engine) -> None:
    ends = PreparedQuery(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with engine.connect() as connection:
        transaction = connection.begin()
        with pytest.raises(exc.OperationalError) as caught:
            ends.fetch(connection)
        assert caught.value.connection_invalidated
        transaction.close()
    with engine.begin() as connection:
        assert PreparedQuery(text("SELECT 7")).fetch(connection) == [(7,)]


def test_a_transaction_is_needed(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(exc.InvalidRequestError):
        PreparedQuery(text("SELECT 7")).fetch(connection)

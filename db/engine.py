"""The SQLAlchemy engine of one process."""

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

SCHEMA = "faultlight"


def make_engine(url: str, *, pool_size: int = 10, statement_timeout_s: float = 60.0) -> Engine:
    """Return an engine for ``url`` (``postgresql+psycopg://…``).

    ``pool_size`` must be at least the number of threads that use the engine. Connections are checked
    before use, so that a restarted PostgreSQL costs no failed request, and every statement is bounded by
    ``statement_timeout_s`` seconds.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_pre_ping=True,
        pool_timeout=10,
        connect_args={
            "connect_timeout": 5,
            "application_name": "faultlight",
            # Every name is qualified; a user called like the schema must not make it the default one.
            "options": f"-c statement_timeout={int(statement_timeout_s * 1000)} -c search_path=pg_catalog",
        },
    )

    @event.listens_for(engine, "connect")
    def _use_utc(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.close()
        connection.commit()

    return engine

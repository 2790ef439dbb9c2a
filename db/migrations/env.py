"""Alembic's environment: migrations run in one transaction with a lock timeout and an advisory lock."""

from alembic import context
from sqlalchemy import Connection, text

from db.engine import SCHEMA
from db.schema.tables import metadata

MIGRATION_LOCK = 0x6661756C74  # "fault": only one migration runs at a time


def _migrate(connection: Connection) -> None:
    timeout_ms = int(context.config.attributes["lock_timeout_s"] * 1000)
    connection.execute(text(f"SET LOCAL lock_timeout = {timeout_ms}"))
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # the engine's is for requests; an index may take long
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
        include_name=lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run() -> None:
    """Run on the connection that :mod:`db.migration` gave; there is no alembic.ini, use ``faultlight migrate``."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        raise RuntimeError("migrations run through faultlight migrate, which gives the connection")
    _migrate(connection)


run()

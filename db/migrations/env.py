"""Alembic's environment: migrations run in one transaction with a lock timeout and an advisory lock."""

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from db.engine import SCHEMA
from db.schema.tables import metadata

LOCK_TIMEOUT = "5s"
MIGRATION_LOCK = 0x6661756C74  # "fault": only one migration runs at a time


def _migrate(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
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
    """Run the migrations on the connection that the caller gave, or on the configured URL."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection)
        return
    url = context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise RuntimeError("give the database URL: faultlight migrate, or alembic -x is not used here")
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.begin() as opened:
        _migrate(opened)


run()

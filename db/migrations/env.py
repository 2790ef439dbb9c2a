"""Alembic's environment: migrations run in one transaction with a lock timeout and an advisory lock.

After each step the database says from which version on processes can use it: what the migration's ``serves_from`` says.
"""

from collections.abc import Collection, Mapping
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy import Connection, text

from db.engine import SCHEMA
from db.schema.tables import metadata

MIGRATION_LOCK = 0x6661756C74  # "fault": only one migration runs at a time


def _note_compatibility(
    ctx: MigrationContext,
    step: MigrationInfo,
    heads: Collection[Any],  # noqa: ARG001 - alembic names its arguments
    run_args: Mapping[str, Any],  # noqa: ARG001
) -> None:
    """Write the ``serves_from`` of the migration that the database is at after this step."""
    connection = ctx.connection
    if connection is None:
        raise RuntimeError("migrations run on a connection")
    if connection.execute(text(f"SELECT to_regclass('{SCHEMA}.schema_compatibility')")).scalar() is None:
        return
    script: Any = context.script.get_revision(step.destination_revision_ids[0])
    statement = (
        f"INSERT INTO {SCHEMA}.schema_compatibility (serves_from) VALUES (:serves_from) "
        "ON CONFLICT (only_row) DO UPDATE SET serves_from = EXCLUDED.serves_from"
    )
    connection.execute(text(statement), {"serves_from": script.module.serves_from})


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
        on_version_apply=_note_compatibility,
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

"""Bringing a database to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from db.engine import SCHEMA
from db.schema.tables import metadata


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(engine: Engine) -> None:
    """Apply every migration that is missing; waits at most five seconds for any lock."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def head_revision() -> str:
    """Return the one head of the migrations."""
    heads = ScriptDirectory.from_config(_config()).get_heads()
    if len(heads) != 1:
        raise RuntimeError(f"the migrations have {len(heads)} heads, not one: {heads}")
    return heads[0]


def current_revision(engine: Engine) -> str | None:
    """Return the revision that the database is at, ``None`` when it has never been migrated."""
    with engine.connect() as connection:
        table = connection.execute(text(f"SELECT to_regclass('{SCHEMA}.alembic_version')")).scalar()
        if table is None:
            return None
        revision = connection.execute(text(f"SELECT version_num FROM {SCHEMA}.alembic_version")).scalar()
        return str(revision) if revision is not None else None


def schema_differences(engine: Engine) -> list[object]:
    """Return what ``alembic check`` would report: differences between the tables here and the database."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
                "version_table_schema": SCHEMA,
                "compare_type": True,
                "compare_server_default": True,
            },
        )
        return list(compare_metadata(context, metadata))

"""Bringing a database to the schema of this version, and whether this version can use the schema that is there."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from db.engine import SCHEMA

LOCK_TIMEOUT_S = 5.0
"""How long a migration waits for a lock, while everybody else waits behind it."""


def _config(connection: Connection | None = None, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Config:
    config = Config()
    config.attributes["connection"] = connection
    config.attributes["lock_timeout_s"] = lock_timeout_s
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(engine: Engine, revision: str = "head", *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
    """Apply every missing migration up to ``revision`` in one transaction.

    Raises:
        sqlalchemy.exc.OperationalError: a lock was not to be had within ``lock_timeout_s`` seconds; nothing changed.
    """
    with engine.begin() as connection:
        command.upgrade(_config(connection, lock_timeout_s), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Undo every migration after ``revision`` (``base``: all), with what its tables hold. For development.

    An installation goes back by restoring its backup.
    """
    with engine.begin() as connection:
        command.downgrade(_config(connection), revision)


def check(engine: Engine) -> None:
    """Do what ``alembic check`` does.

    Raises:
        alembic.util.CommandError: the database differs from the tables here; the message says how.
    """
    with engine.begin() as connection:
        command.check(_config(connection))


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


@dataclass(frozen=True)
class SchemaState:
    """Where a database stands.

    Attributes:
        revision: of its last migration; ``None`` when it has never been migrated.
        serves_from: the oldest version, named by its newest migration, that can use it; ``None`` when it does not say.
    """

    revision: str | None
    serves_from: str | None

    def serves(self, head: str) -> bool:
        """Return whether a version whose newest migration is ``head`` can use it.

        One that is older cannot be used. One that is newer can be when it says so: during an upgrade the schema is
        migrated first, and the old processes go on until the new ones are there.
        """
        if self.revision == head:
            return True
        return self.revision not in known_revisions() and self.serves_from in known_revisions()


@cache
def known_revisions() -> frozenset[str]:
    """Return every revision up to this version's head."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def read_state(engine: Engine) -> SchemaState:
    """Return where the database stands."""
    revision = current_revision(engine)
    with engine.connect() as connection:
        table = connection.execute(text(f"SELECT to_regclass('{SCHEMA}.schema_compatibility')")).scalar()
        if table is None:
            return SchemaState(revision, None)
        serves_from = connection.execute(text(f"SELECT serves_from FROM {SCHEMA}.schema_compatibility")).scalar()
        return SchemaState(revision, serves_from)

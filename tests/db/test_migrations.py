"""Migrations: one head, no drift, bounded waits, all or nothing, and a populated installation comes along."""

import hashlib
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from db import migration
from db.blobs import BlobStore
from db.engine import make_engine
from db.identifiers import uuid7
from db.repositories.access import authenticate, digest_secret
from services.pipelines.ingestion.ingest import run
from services.settings import Settings
from tests.conftest import sqlalchemy_url
from tests.pipelines.bench import Bench

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s" * 43


@pytest.fixture
def database_url(fresh_database_url: str) -> str:
    """A database whose schema these tests may change."""
    return fresh_database_url


@pytest.fixture
def bare(database_server: str) -> Iterator[Engine]:
    """An engine on an empty database that has never been migrated."""
    name = f"bare_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    engine = make_engine(sqlalchemy_url(database_server, name))
    yield engine
    engine.dispose()
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def count_tables(engine: Engine) -> int:
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'faultlight' AND tablename <> 'alembic_version'"
        return int(connection.execute(text(query)).scalar_one())


def test_there_is_one_head_and_one_line() -> None:
    scripts = ScriptDirectory.from_config(migration._config())
    assert len(scripts.get_heads()) == len(scripts.get_bases()) == 1
    revisions = list(scripts.walk_revisions())
    assert len(revisions) == len(list(Path(str(scripts.versions)).glob("0*.py")))
    for revision in revisions:
        assert not revision.is_branch_point
        assert not revision.is_merge_point
        assert revision.doc
        assert Path(revision.path).name.startswith(revision.revision)
    assert migration.head_revision() == scripts.get_heads()[0]


def test_the_migrated_database_is_what_the_tables_say(engine: Engine) -> None:
    migration.check(engine)
    assert migration.current_revision(engine) == migration.head_revision()


def test_every_migration_says_which_versions_can_go_on(engine: Engine) -> None:
    """From 0007 on, which made the table: itself, or one before it whose processes need not be stopped first."""
    scripts = list(ScriptDirectory.from_config(migration._config()).walk_revisions())
    for script in scripts:
        if script.revision >= "0007":
            assert script.module.serves_from in migration.known_revisions()
            assert script.module.serves_from <= script.revision
    state = migration.read_state(engine)
    assert state == migration.SchemaState(migration.head_revision(), scripts[0].module.serves_from)


@pytest.mark.parametrize(
    ("revision", "serves_from", "head", "served"),
    [
        ("0007", "0006", "0007", True),
        ("0006", None, "0007", False),
        (None, None, "0007", False),
        ("9999", "0007", "0007", True),
        ("9999", "9998", "0007", False),
        ("9999", None, "0007", False),
    ],
)
def test_older_schemas_serve_nobody_and_newer_ones_whom_they_say(
    revision: str | None, serves_from: str | None, head: str, served: bool
) -> None:
    assert migration.SchemaState(revision, serves_from).serves(head) is served


def test_drift_is_noticed(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE faultlight.job ADD COLUMN surprise int"))
    with pytest.raises(Exception, match="surprise"):
        migration.check(engine)


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    before = count_tables(engine)
    migration.upgrade(engine)
    assert count_tables(engine) == before


def test_down_and_up_again_ends_at_the_same_schema(engine: Engine) -> None:
    """Every downgrade step fits its upgrade; nothing is left behind that the way up would stumble over."""
    migration.downgrade(engine, "base")
    assert count_tables(engine) == 0
    with engine.connect() as connection:
        left = (
            "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = 'faultlight'"
        )
        assert connection.execute(text(left)).scalar_one() == 0
    migration.upgrade(engine)
    migration.check(engine)


def test_a_migration_waits_for_a_lock_only_so_long_and_then_changes_nothing(bare: Engine) -> None:
    migration.upgrade(bare, "0001")
    with bare.connect() as holder:
        holder.execute(text("LOCK TABLE faultlight.job IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(OperationalError, match="lock timeout"):
            migration.upgrade(bare, lock_timeout_s=0.1)
    assert migration.current_revision(bare) == "0001"
    migration.upgrade(bare)
    migration.check(bare)


def test_the_wait_is_five_seconds_and_statements_may_take_long(bare: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, str] = {}
    original = migration.command.upgrade

    def upgrade(config: Any, revision: str) -> None:
        original(config, revision)
        connection = config.attributes["connection"]
        for name in ("lock_timeout", "statement_timeout"):
            shown[name] = connection.execute(text(f"SHOW {name}")).scalar()

    monkeypatch.setattr(migration.command, "upgrade", upgrade)
    migration.upgrade(bare)
    assert shown == {"lock_timeout": "5s", "statement_timeout": "0"}
    with bare.connect() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar() == "0"


def test_two_migrations_at_once_are_one(bare: Engine) -> None:
    """Two hosts run `faultlight migrate` at the same moment: one waits for the other and finds nothing to do."""
    url = bare.url.render_as_string(hide_password=False)
    code = (
        "import sys; from db.engine import make_engine; from db.migration import upgrade;"
        "upgrade(make_engine(sys.argv[1]), lock_timeout_s=60)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    migration.check(bare)


def populate_first_revision(engine: Engine, blobs: BlobStore) -> dict[str, uuid.UUID]:
    """What an installation of revision 0001 holds, in plain SQL: the tables here may have grown since."""
    ids = {name: uuid7() for name in ("program", "account", "key", "file", "job", "done", "session", "result", "event")}
    content = b"INPUT(a)\nOUTPUT(y)\ny = NOT(a)\n"
    sha256 = hashlib.sha256(content).hexdigest()
    blob_key = f"raw/{ids['program']}/{sha256}"
    blobs.put_bytes(blob_key, content)
    statements = [
        "INSERT INTO faultlight.program (id, name) VALUES (:program, 'alpha')",
        "INSERT INTO faultlight.account (id, name) VALUES (:account, 'ada')",
        "INSERT INTO faultlight.membership (id, account_id, program_id, role) "
        "VALUES (:job, :account, :program, 'admin')",
        "INSERT INTO faultlight.api_key (id, prefix, secret_sha256, label, account_id, scopes) "
        "VALUES (:key, 'abcdefgh', :secret, 'k', :account, '{read}')",
        "INSERT INTO faultlight.blob (key, size_bytes, sha256) VALUES (:blob_key, :size, :sha256)",
        "INSERT INTO faultlight.raw_file (id, program_id, filename, size_bytes, sha256, blob_key) "
        "VALUES (:file, :program, 'not.bench', :size, :sha256, :blob_key)",
        "INSERT INTO faultlight.job (id, job_key, program_id, kind, queue, payload, requested_by) "
        "VALUES (:job, 'waiting', :program, 'ingest', 'ingest', CAST(:payload AS jsonb), 'x')",
        "INSERT INTO faultlight.job (id, job_key, program_id, kind, queue, payload, requested_by, state, started_at, "
        "finished_at) VALUES (:done, 'done', :program, 'localize', 'cpu', '{}', 'x', 'succeeded', now(), now())",
        "INSERT INTO faultlight.probing_session (id, program_id, raw_file_id, name, role, technique, document) "
        "VALUES (:session, :program, :file, 'S-1', 'suspect', 'LVP', '{}')",
        "INSERT INTO faultlight.result (id, job_key, job_id, program_id, kind, probing_session_id, verdict, body, "
        "provenance) VALUES (:result, 'done', :done, :program, 'localize', :session, 'located', '{}', '{}')",
        "INSERT INTO faultlight.audit_event (id, program_id, actor, action, subject_type) "
        "VALUES (:event, :program, 'account:ada', 'file.received', 'raw_file')",
    ]
    values: dict[str, object] = {**ids, "secret": digest_secret(SECRET), "sha256": sha256, "blob_key": blob_key}
    values |= {"size": len(content), "payload": json.dumps({"raw_file_id": str(ids["file"])})}
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), values)
    return ids


def dump(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    with engine.connect() as connection:
        names = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'faultlight'")).scalars()
        return {
            name: list(connection.execute(text(f"SELECT to_jsonb(t) FROM faultlight.{name} t ORDER BY 1")).scalars())
            for name in names
            if name != "alembic_version"
        }


def test_a_populated_installation_of_the_first_revision_comes_along(
    bare: Engine, blobs: BlobStore, tmp_path: Path
) -> None:
    """Every row and value is kept, and today's code works with them: a key opens, a waiting job runs."""
    migration.upgrade(bare, "0001")
    ids = populate_first_revision(bare, blobs)
    before = dump(bare)
    migration.upgrade(bare)
    migration.check(bare)
    after = dump(bare)
    for table, rows in before.items():
        assert len(after[table]) == len(rows), table
        for old, new in zip(rows, after[table], strict=True):
            assert old.items() <= new.items(), table
    with bare.begin() as connection:
        assert authenticate(connection, f"fl_abcdefgh_{SECRET}").caller.roles == {ids["program"]: "admin"}
    bench = Bench(bare, blobs, Settings(data_dir=tmp_path))
    context = bench.claim(ids["job"])
    bench.finish(context, run(context))
    with bare.connect() as connection:
        assert connection.execute(text("SELECT state FROM faultlight.raw_file")).scalar() == "stored"


@pytest.mark.parametrize("table", ["audit_event", "ingest_event"])
@pytest.mark.parametrize(
    "statement", ["UPDATE faultlight.{} SET id = id", "DELETE FROM faultlight.{}", "TRUNCATE faultlight.{}"]
)
def test_what_happened_cannot_be_rewritten(engine: Engine, blobs: BlobStore, table: str, statement: str) -> None:
    ids = populate_first_revision(engine, blobs)
    event = (
        "INSERT INTO faultlight.ingest_event (id, program_id, raw_file_id, outcome) "
        "VALUES (:event, :program, :file, 'stored')"
    )
    with engine.begin() as connection:
        connection.execute(text(event), ids)
    with pytest.raises(ProgrammingError, match=f"{table} is append-only"), engine.begin() as connection:
        connection.execute(text(statement.format(table)))

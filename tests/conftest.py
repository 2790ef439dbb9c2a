"""Databases, services and folders for the tests: the embedded servers, or the ones that the environment names.

``FAULTLIGHT_TEST_DATABASE_URL`` (libpq URL of an administrator) and ``FAULTLIGHT_TEST_BROKER_URL`` make the suite
use servers that are already running; otherwise it starts its own through ``services.embedded``. What the tests write
is kept in memory where there is room: they are some hundred thousand small files that nobody reads again.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import Engine, delete, text

from db.blobs import BlobStore
from db.engine import make_engine
from db.migration import upgrade
from db.schema.tables import metadata

SERVERS = {"database_server", "broker"}
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 << 30
"""What has to be free there, and of the machine's memory, for it to be used."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep the folders of the tests in memory, unless the caller says where."""
    if config.option.basetemp is None and not hasattr(config, "workerinput") and _has_room(MEMORY):
        folder = Path(tempfile.mkdtemp(prefix="faultlight-tests-", dir=MEMORY))
        config.option.basetemp = str(folder / "tests")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def _has_room(folder: Path) -> bool:
    free = min(shutil.disk_usage(folder).free, psutil.virtual_memory().available) if folder.is_dir() else 0
    return free >= MEMORY_BYTES and os.access(folder, os.W_OK)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a server, so that it can be tried on other servers without all else."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")


@pytest.fixture(scope="session")
def database_server() -> Iterator[str]:
    """The libpq URL of a PostgreSQL server's maintenance database."""
    configured = os.environ.get("FAULTLIGHT_TEST_DATABASE_URL")
    if configured:
        yield configured
        return
    from services.embedded import EmbeddedPostgres

    # A server that is started as root runs as another user, who cannot enter the folders of the tests.
    folder = Path(tempfile.mkdtemp(prefix="faultlight-postgres-", dir=MEMORY if _has_room(MEMORY) else None))
    folder.chmod(0o711)
    try:
        with EmbeddedPostgres(folder / "server", durable=False) as server:
            yield server.libpq_url("postgres")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sqlalchemy_url(libpq_url: str, database: str) -> str:
    """The SQLAlchemy URL of ``database`` on the server of ``libpq_url``."""
    from sqlalchemy.engine import make_url

    url = make_url(libpq_url).set(drivername="postgresql+psycopg", database=database)
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def template_database(database_server: str) -> Iterator[str]:
    """A migrated database that others are cloned from; its name."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    engine = make_engine(sqlalchemy_url(database_server, name))
    upgrade(engine)
    engine.dispose()
    yield name
    _drop(database_server, name)


def _copy_template(server: str, template: str) -> str:
    """Make a database like ``template``; return its name."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        (durable,) = connection.execute("SHOW fsync").fetchone() or ("on",)
        # Copied files are waited for, twice, by a server that cares for its disk.
        strategy = "WAL_LOG" if durable == "on" else "FILE_COPY"
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY {strategy}')
        # As on the embedded server, nobody waits for a disk that no test takes away.
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    return name


def _drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def fresh_database_url(database_server: str, template_database: str) -> Iterator[str]:
    """The SQLAlchemy URL of a migrated database of its own, for a test that changes the schema."""
    name = _copy_template(database_server, template_database)
    yield sqlalchemy_url(database_server, name)
    _drop(database_server, name)


@pytest.fixture(scope="session")
def shared_database(database_server: str, template_database: str) -> Iterator[str]:
    """The SQLAlchemy URL of one migrated database for all tests, emptied before each."""
    name = _copy_template(database_server, template_database)
    yield sqlalchemy_url(database_server, name)
    _drop(database_server, name)


@pytest.fixture
def database_url(shared_database: str) -> str:
    """The SQLAlchemy URL of a migrated, empty database that nothing else is connected to."""
    rows = [table for table in metadata.sorted_tables if table.name != "schema_compatibility"]
    engine = make_engine(shared_database)
    with engine.begin() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        connection.execute(text(f"{others} AND pid <> pg_backend_pid()"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in rows:
            connection.execute(delete(table))
    engine.dispose()
    return shared_database


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh database."""
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """An empty blob store on the local disk."""
    return BlobStore.local(tmp_path / "blobs")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real sample files beside the project; fails in CI, skips elsewhere, when it is missing."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    configured = os.environ.get("FAULTLIGHT_SHARED_DATA")
    folder = Path(configured) if configured else folder
    if not folder.is_dir():
        message = f"the sample files are not at {folder}; set FAULTLIGHT_SHARED_DATA"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder

"""Databases and services for the tests: the embedded servers, or the ones that the environment names.

``FAULTLIGHT_TEST_DATABASE_URL`` (libpq URL of an administrator) and ``FAULTLIGHT_TEST_BROKER_URL`` make the suite
use servers that are already running; otherwise it starts its own through ``services.embedded``.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from db.blobs import BlobStore
from db.engine import make_engine
from db.migration import upgrade

SERVERS = {"database_server", "broker"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a server, so that it can be tried on other servers without all else."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")


@pytest.fixture(scope="session")
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The libpq URL of a PostgreSQL server's maintenance database."""
    configured = os.environ.get("FAULTLIGHT_TEST_DATABASE_URL")
    if configured:
        yield configured
        return
    from services.embedded import EmbeddedPostgres

    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server.libpq_url("postgres")


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
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def database_url(database_server: str, template_database: str) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, migrated, empty database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}" STRATEGY FILE_COPY')
        # As on the embedded server, nobody waits for a disk that no test takes away.
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    yield sqlalchemy_url(database_server, name)
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


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

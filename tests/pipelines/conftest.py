"""A bench for jobs: they are claimed, handled and finished without a worker."""

import uuid
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.blobs import BlobStore
from services.settings import Settings
from tests.pipelines.bench import Bench
from tests.workers.scenery import make_program


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a scratch folder of the test's own."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def program_id(engine: Engine) -> uuid.UUID:
    """A program."""
    return make_program(engine)


@pytest.fixture
def bench(engine: Engine, blobs: BlobStore, settings: Settings) -> Bench:
    """A bench for ingest jobs."""
    return Bench(engine, blobs, settings)

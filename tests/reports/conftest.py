"""A bench for reports: a program, its stored lifetimes, a mail server."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.blobs import BlobStore
from services.settings import Settings
from tests.pipelines.bench import Bench
from tests.reports.mail_server import MailSink
from tests.workers.scenery import make_program


@pytest.fixture
def program_id(engine: Engine) -> uuid.UUID:
    return make_program(engine, "alpha")


@pytest.fixture
def bench(engine: Engine, blobs: BlobStore, tmp_path: Path) -> Bench:
    return Bench(engine, blobs, Settings(data_dir=tmp_path / "data"))


@pytest.fixture
def sink() -> Iterator[MailSink]:
    made = MailSink()
    yield made
    made.close()

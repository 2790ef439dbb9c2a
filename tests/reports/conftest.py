"""A bench for reports: a program, its stored lifetimes, a mail server."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import DateTime, Engine, literal

from db.blobs import BlobStore
from db.repositories import report_schedules
from services.settings import Settings
from tests.pipelines.bench import Bench
from tests.reports.mail_server import MailSink
from tests.workers.scenery import make_program

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """For schedules it stays ``NOW``, so that no due time comes while a test counts them."""
    monkeypatch.setattr(report_schedules, "CLOCK", literal(NOW, DateTime(timezone=True)))


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

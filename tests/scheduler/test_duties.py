"""What the scheduler does on time: take back, ring again, sweep, read again."""

import os
import time
import uuid
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, text

from db.blobs import BlobStore, raw_key
from db.identifiers import uuid7
from db.repositories import jobs
from db.repositories.ingest import Reading, close_reading, find_subject
from db.repositories.sweep import COMPUTED_DIGEST
from db.schema.files import blob, raw_file, upload
from db.schema.work import job
from services.scheduler.main import Duty, make_duties
from services.scheduler.reconciler import export_gauges, reconcile_once
from services.scheduler.rereading import REREAD_PRIORITY, request_rereading
from services.scheduler.sweep import sweep_blobs
from services.settings import Settings
from services.telemetry import queue_jobs
from services.workers.doorbell import Doorbell
from tests.workers.scenery import add_job, job_row, make_program, store_bundle, store_original

HOUR_S = 3600.0


class Bell(Doorbell):
    """A doorbell that writes down who was rung for."""

    def __init__(self, *, works: bool = True) -> None:
        self.rung: list[uuid.UUID] = []
        self._works = works

    def ring(self, job_id: uuid.UUID, queue: str, priority: int) -> bool:
        self.rung.append(job_id)
        return self._works


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """No patience, so that nothing waits for the clock."""
    return Settings(data_dir=tmp_path / "data", database_url=database_url, republish_after_s=0, lease_s=1)


@pytest.fixture
def program_id(engine: Engine) -> uuid.UUID:
    """A program."""
    return make_program(engine)


def test_lost_jobs_are_taken_back_and_rung_for(engine: Engine, program_id: uuid.UUID, settings: Settings) -> None:
    lost, unheard = add_job(engine, program_id), add_job(engine, program_id)
    assert jobs.claim(engine, lost, "dead", 0.0) is not None
    bell = Bell()
    report = reconcile_once(engine, bell, settings)
    assert report.requeued == 1
    assert set(bell.rung) == {lost, unheard}
    assert job_row(engine, lost).state == "queued"


def test_a_broker_that_is_down_does_not_hold_the_reconciler_up(
    engine: Engine, program_id: uuid.UUID, settings: Settings
) -> None:
    for _ in range(5):
        add_job(engine, program_id)
    bell = Bell(works=False)
    reconcile_once(engine, bell, settings)
    assert len(bell.rung) == 1


def test_a_dead_ingest_job_quarantines_its_file(
    engine: Engine, blobs: BlobStore, program_id: uuid.UUID, settings: Settings
) -> None:
    file_id = store_original(engine, blobs, program_id, "a", b"a")
    payload = {"raw_file_id": str(file_id)}
    identity = add_job(engine, program_id, "ingest", payload=payload, max_attempts=1)
    assert jobs.claim(engine, identity, "dead", 0.0) is not None
    assert reconcile_once(engine, Bell(), settings).dead == [identity]
    with engine.connect() as connection:
        row = connection.execute(select(raw_file)).one()
    assert row.state == "quarantined"
    assert "the worker of attempt 1 was lost" in row.quarantine_reasons[0]["reason"]


def test_gauges_tell_the_queues(engine: Engine, program_id: uuid.UUID) -> None:
    add_job(engine, program_id)
    export_gauges(engine)
    assert queue_jobs.labels("cpu", "queued")._value.get() == 1


def age(blobs: BlobStore, key: str, seconds: float) -> None:
    path = blobs.local_path(key)
    assert path is not None
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_only_old_objects_without_a_row_are_swept(engine: Engine, blobs: BlobStore, program_id: uuid.UUID) -> None:
    kept = f"records/{program_id}/known"
    with engine.begin() as connection:
        connection.execute(insert(blob).values(key=kept, size_bytes=1, sha256="0"))
    for name in ("known", "old", "new"):
        blobs.put_bytes(f"records/{program_id}/{name}", b"x")
    age(blobs, kept, 2 * HOUR_S)
    age(blobs, f"records/{program_id}/old", 2 * HOUR_S)
    store_original(engine, blobs, program_id, "a", b"original")
    assert sweep_blobs(engine, blobs, HOUR_S) == 1
    assert {info.key.rpartition("/")[2] for info in blobs.list("records")} == {"known", "new"}
    assert len(list(blobs.list("raw"))) == 1


def test_an_original_that_an_unfinished_upload_has_moved_is_no_orphan(
    engine: Engine, blobs: BlobStore, program_id: uuid.UUID
) -> None:
    """The server was killed between the move and the commit; the client comes back days later."""
    key = raw_key(program_id, "ab" * 32)
    blobs.put_bytes(key, b"moved")
    age(blobs, key, 48 * HOUR_S)
    values = {"program_id": program_id, "actor": "account:x", "filename": "a", "length_bytes": 5}
    moved = {"metadata": {COMPUTED_DIGEST: "ab" * 32}, "expires_at": text("now() + interval '1 day'")}
    with engine.begin() as connection:
        connection.execute(insert(upload).values(id=uuid7(), **values, **moved))
    assert sweep_blobs(engine, blobs, HOUR_S) == 0
    with engine.begin() as connection:
        connection.execute(upload.delete())
    assert sweep_blobs(engine, blobs, HOUR_S) == 1


def test_the_digest_is_where_uploads_keep_it() -> None:
    from db.repositories import uploads

    assert uploads._DIGEST == COMPUTED_DIGEST


def close(engine: Engine, payload: dict[str, str], reading: Reading) -> None:
    with engine.begin() as connection:
        subject = find_subject(connection, payload)
        assert subject is not None
        close_reading(connection, subject, reading)


def test_what_other_adapters_read_or_refused_is_read_again_once(
    engine: Engine, blobs: BlobStore, program_id: uuid.UUID, settings: Settings
) -> None:
    current = {"scope": "2", "text": "1"}
    stored = {"raw_file_id": str(store_original(engine, blobs, program_id, "stored", b"1"))}
    fresh = {"raw_file_id": str(store_original(engine, blobs, program_id, "fresh", b"2"))}
    refused = {"bundle_id": str(store_bundle(engine, blobs, program_id, "refused", {"a": b"3"}))}
    hopeless = {"raw_file_id": str(store_original(engine, blobs, program_id, "hopeless", b"4"))}
    close(engine, stored, Reading("stored", None, "trc", "scope", "1"))
    close(engine, fresh, Reading("stored", None, "trc", "scope", "1"))
    close(engine, fresh, Reading("stored", None, "trc", "scope", "2"))
    old = [{"adapter": "text", "version": "1", "reason": "no"}]
    close(engine, refused, Reading("quarantined", None, reasons=old))
    now = [*old, {"adapter": "scope", "version": "2", "reason": "no"}]
    close(engine, hopeless, Reading("quarantined", None, reasons=now))
    assert request_rereading(engine, settings, current, "fingerprint") == 2
    assert request_rereading(engine, settings, current, "fingerprint") == 0
    with engine.connect() as connection:
        rows = connection.execute(select(job)).all()
    assert sorted(str(row.payload) for row in rows) == sorted(map(str, (stored, refused)))
    assert {(row.kind, row.queue, row.priority) for row in rows} == {("ingest", "ingest", REREAD_PRIORITY)}


def test_rereading_goes_through_every_page(
    engine: Engine, blobs: BlobStore, program_id: uuid.UUID, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.scheduler.rereading.BATCH", 2)
    for index in range(5):
        file_id = store_original(engine, blobs, program_id, f"{index}", bytes([index]))
        close(engine, {"raw_file_id": str(file_id)}, Reading("stored", None, "trc", "scope", "1"))
    assert request_rereading(engine, settings, {"scope": "2"}, "fingerprint") == 5


def test_a_duty_that_fails_is_tried_again_at_its_time() -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise RuntimeError("down")

    duty = Duty("failing", 10.0, fail)
    for now in (100.0, 105.0, 110.0):
        duty.attend(now)
    assert len(calls) == 2


def test_every_duty_runs_on_a_fresh_installation(engine: Engine, settings: Settings) -> None:
    for duty in make_duties(settings, engine, Bell()):
        duty.action()

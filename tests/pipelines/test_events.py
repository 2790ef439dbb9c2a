"""Events of files and jobs: a quarantine and a death are told once, in the transaction that writes them."""

import threading
import time
import uuid

from sqlalchemy import Connection, Engine, func, insert, select, text, update

from db.blobs import BlobStore
from db.identifiers import uuid7
from db.repositories import events, jobs
from db.repositories.access import Caller
from db.repositories.events import NewEvent
from db.repositories.webhooks import remove
from db.schema.events import event, webhook_delivery, webhook_subscription
from db.schema.files import raw_file
from db.schema.people import instrument
from db.schema.work import job
from instruments.errors import UnknownFormat
from services.pipelines import kinds
from services.pipelines.ingestion.ingest import read_subject
from tests.pipelines.bench import Bench, make_waveform, reader, refusing
from tests.webhooks.test_deliveries import subscribe
from tests.workers.scenery import add_ingest, add_job, make_program, store_original

REASONS = [{"adapter": "klarf", "version": "1", "reason": "cut", "verdict": "refused"}]


def read(bench: Bench, program_id: uuid.UUID, file_id: uuid.UUID, generation: str, *, good: bool) -> None:
    job_id = add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)}, generation)
    bench.ingest(job_id, reader(make_waveform()) if good else refusing(UnknownFormat("no", reasons=REASONS)))


def test_a_quarantine_is_told_each_time_that_a_file_becomes_unreadable(bench: Bench, program_id: uuid.UUID) -> None:
    sender = uuid7()
    with bench.engine.begin() as connection:
        connection.execute(insert(instrument).values(id=sender, program_id=program_id, name="KLA-1", kind="k"))
    file_id = store_original(bench.engine, bench.blobs, program_id, "a.klarf", b"x")
    with bench.engine.begin() as connection:
        connection.execute(update(raw_file).values(instrument_id=sender))
    for generation, good in (("1", False), ("2", False), ("3", True), ("4", False), ("5", False)):
        read(bench, program_id, file_id, generation, good=good)
    told = bench.rows(event)
    assert [(row.kind, row.subject_id, row.instrument_id) for row in told] == [
        ("file.quarantined", file_id, sender)
    ] * 2
    assert (told[0].data["name"], told[0].data["reasons"]) == ("a.klarf", REASONS)


def test_a_quarantine_that_is_not_committed_is_not_told(bench: Bench, program_id: uuid.UUID) -> None:
    subscribe(bench.engine, program_id, "http://receiver.example/")
    file_id = store_original(bench.engine, bench.blobs, program_id, "a", b"x")
    job_id = add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)})
    context = bench.claim(job_id)
    with bench.engine.begin() as connection:
        connection.execute(update(job).values(lease_token=uuid.uuid4()))
    completion = read_subject(context, refusing(UnknownFormat("no", reasons=REASONS)))
    try:
        bench.finish(context, completion)
    except jobs.LeaseLost:
        pass
    else:
        raise AssertionError("the lease was another's")
    assert (bench.count(event), bench.count(webhook_delivery)) == (0, 0)


def test_a_job_that_kills_its_workers_is_told_with_its_file(engine: Engine, blobs: BlobStore) -> None:
    program_id = make_program(engine)
    subscribe(engine, program_id, "http://receiver.example/", "job.dead")
    file_id = store_original(engine, blobs, program_id, "a", b"x")
    job_id = add_job(
        engine, program_id, "ingest", queue="ingest", payload={"raw_file_id": str(file_id)}, max_attempts=1
    )
    assert jobs.claim(engine, job_id, "doomed", 0.0) is not None
    for _ in range(2):
        jobs.reconcile(engine, republish_after_s=60, on_dead=kinds.bury)
    with engine.connect() as connection:
        told = {row.kind: row for row in connection.execute(select(event))}
        deliveries = connection.execute(select(webhook_delivery.c.event_id)).scalars().all()
    assert set(told) == {"job.dead", "file.quarantined"}
    dead = told["job.dead"]
    assert (dead.subject_id, dead.data["job_kind"], dead.data["error"]["type"]) == (job_id, "ingest", "LeaseExpired")
    assert deliveries == [dead.id]


def test_a_webhook_that_is_deleted_at_this_moment_costs_no_event(engine: Engine) -> None:
    """The deletion waits for the transaction of the event, and takes its delivery along."""
    program_id = make_program(engine)
    subscribe(engine, program_id, "http://receiver.example/")
    with engine.connect() as connection:
        webhook = connection.execute(select(webhook_subscription.c.id)).scalar_one()
    done = threading.Event()

    def delete() -> None:
        with engine.begin() as connection:
            remove(connection, _admin(program_id), webhook)
        done.set()

    thread = threading.Thread(target=delete)
    with engine.begin() as connection:
        subject = uuid.uuid4()
        assert events.record(connection, NewEvent(program_id, "job.dead", "job", subject, {}, (subject,))) is not None
        thread.start()
        _wait_until_somebody_waits(connection)
        assert not done.is_set()
    thread.join(30)
    assert done.is_set()
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(event)).scalar_one() == 1
        assert connection.execute(select(func.count()).select_from(webhook_delivery)).scalar_one() == 0


def _wait_until_somebody_waits(connection: Connection) -> None:
    blocked = text("SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    deadline = time.monotonic() + 30
    while not connection.execute(blocked).scalar_one():
        # Within a transaction the view shows the sessions of its first use.
        connection.execute(text("SELECT pg_stat_clear_snapshot()"))
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def _admin(program_id: uuid.UUID) -> Caller:
    return Caller(uuid7(), "account:ada", frozenset({"write"}), {program_id: "admin"}, account_id=uuid7())

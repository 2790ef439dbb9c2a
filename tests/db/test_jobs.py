"""Job rows on a real PostgreSQL: one claim wins, a zombie writes nothing, attempts end, cancel and reconcile."""

import threading
import uuid
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text, update

from db.identifiers import uuid7
from db.repositories import jobs
from db.repositories.jobs import ClaimedJob, LeaseLost, NewJob
from db.schema.people import program
from db.schema.work import job

LEASE_S = 30.0


@pytest.fixture
def program_id(engine: Engine) -> uuid.UUID:
    """A program to put jobs into."""
    identity = uuid7()
    with engine.begin() as connection:
        connection.execute(program.insert().values(id=identity, name="p"))
    return identity


def add(engine: Engine, program_id: uuid.UUID, **changes: Any) -> uuid.UUID:
    """Insert a job with a key of its own."""
    values: dict[str, Any] = {
        "job_key": uuid.uuid4().hex,
        "program_id": program_id,
        "kind": "noop",
        "queue": "cpu",
        "payload": {},
        "requested_by": "service:test",
    }
    with engine.begin() as connection:
        identity, created = jobs.insert(connection, NewJob(**(values | changes)))
    assert created
    return identity


def claim(engine: Engine, identity: uuid.UUID) -> ClaimedJob:
    """Claim a job that must be free."""
    claimed = jobs.claim(engine, identity, "worker", LEASE_S)
    assert claimed is not None
    return claimed


def state(engine: Engine, identity: uuid.UUID) -> str:
    """The job's state."""
    with engine.connect() as connection:
        return str(connection.execute(select(job.c.state).where(job.c.id == identity)).scalar_one())


def expire(engine: Engine, identity: uuid.UUID) -> None:
    """Let the lease have run out."""
    with engine.begin() as connection:
        connection.execute(
            update(job).where(job.c.id == identity).values(lease_expires_at=text("now() - interval '1 s'"))
        )


def test_the_same_key_gives_the_same_job(engine: Engine, program_id: uuid.UUID) -> None:
    """Asking twice inserts once."""
    first = add(engine, program_id, job_key="k")
    with engine.begin() as connection:
        again = jobs.insert(connection, NewJob("k", program_id, "noop", "cpu", {}, "service:test"))
    assert again == (first, False)


def test_of_many_claimants_one_wins(engine: Engine, program_id: uuid.UUID) -> None:
    """Eight threads ask for one job at the same time."""
    identity = add(engine, program_id)
    start, won = threading.Barrier(8), []

    def ask() -> None:
        start.wait()
        won.append(jobs.claim(engine, identity, "worker", LEASE_S))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([claimed for claimed in won if claimed is not None]) == 1


def test_claim_next_takes_priority_then_age_and_only_its_queues(engine: Engine, program_id: uuid.UUID) -> None:
    """Priority 0 goes first, the older of two equals next, another queue's job never."""
    late, urgent, early = (
        add(engine, program_id),
        add(engine, program_id, priority=0),
        add(engine, program_id, priority=4),
    )
    other = add(engine, program_id, queue="gpu", priority=0)
    order = [jobs.claim_next(engine, ["cpu"], "worker", LEASE_S) for _ in range(4)]
    assert [claimed and claimed.id for claimed in order] == [urgent, early, late, None]
    assert state(engine, other) == "queued"


def test_a_zombie_writes_nothing(engine: Engine, program_id: uuid.UUID) -> None:
    """After the lease was taken back and given to another, every write of the first worker fails."""
    identity = add(engine, program_id)
    zombie = claim(engine, identity)
    expire(engine, identity)
    report = jobs.reconcile(engine, republish_after_s=60)
    assert report.requeued == 1
    assert [due.job_id for due in report.to_publish] == [identity]
    successor = claim(engine, identity)
    assert not jobs.renew(engine, zombie, LEASE_S).held
    assert not jobs.release(engine, zombie)
    writes = [
        lambda connection: jobs.fence(connection, zombie),
        lambda connection: jobs.finish(connection, zombie, "succeeded"),
        lambda connection: jobs.retry_or_bury(connection, zombie, {}),
    ]
    for write in writes:
        with pytest.raises(LeaseLost), engine.begin() as connection:
            write(connection)
    with engine.begin() as connection:
        jobs.finish(connection, successor, "succeeded")
    assert state(engine, identity) == "succeeded"


def test_a_finished_job_is_never_claimed_again(engine: Engine, program_id: uuid.UUID) -> None:
    """A doorbell that rings twice finds nothing to do."""
    identity = add(engine, program_id)
    claimed = claim(engine, identity)
    with engine.begin() as connection:
        jobs.finish(connection, claimed, "succeeded")
    assert jobs.claim(engine, identity, "worker", LEASE_S) is None
    with pytest.raises(LeaseLost), engine.begin() as connection:
        jobs.finish(connection, claimed, "failed")


def test_a_job_that_kills_its_worker_dies_after_its_attempts(engine: Engine, program_id: uuid.UUID) -> None:
    """Attempts count at the claim; the burial happens in the reconciler's own transaction."""
    identity = add(engine, program_id, max_attempts=2, kind="ingest", payload={"raw_file_id": "x"})
    buried: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    def on_dead(_connection: Connection, kind: str, payload: dict[str, Any], error: dict[str, Any]) -> None:
        buried.append((kind, payload, error))

    for expected in ("queued", "dead"):
        claim(engine, identity)
        expire(engine, identity)
        jobs.reconcile(engine, republish_after_s=60, on_dead=on_dead)
        assert state(engine, identity) == expected
    lost = {"type": "LeaseExpired", "message": "the worker of attempt 2 was lost"}
    assert buried == [("ingest", {"raw_file_id": "x"}, lost)]


def test_a_crash_waits_before_the_next_attempt_and_then_dies(engine: Engine, program_id: uuid.UUID) -> None:
    """An exception puts the job back with a pause; the last attempt buries it."""
    identity = add(engine, program_id, max_attempts=2)
    with engine.begin() as connection:
        assert jobs.retry_or_bury(connection, claim(engine, identity), {"type": "E", "message": "m"}) == "queued"
    assert jobs.claim(engine, identity, "worker", LEASE_S) is None, "the pause is not over"
    with engine.begin() as connection:
        connection.execute(update(job).values(not_before=None))
    with engine.begin() as connection:
        assert jobs.retry_or_bury(connection, claim(engine, identity), {"type": "E", "message": "m"}) == "dead"


def test_release_gives_the_attempt_back(engine: Engine, program_id: uuid.UUID) -> None:
    """A worker that is told to stop costs the job nothing."""
    identity = add(engine, program_id, max_attempts=1)
    assert jobs.release(engine, claim(engine, identity))
    assert claim(engine, identity).attempts == 1


def test_cancel_ends_a_queued_job_and_asks_a_running_one(engine: Engine, program_id: uuid.UUID) -> None:
    """The running one learns of it at its next renewal; a finished one keeps its state."""
    waiting, running = add(engine, program_id), add(engine, program_id)
    claimed = claim(engine, running)
    with engine.begin() as connection:
        assert jobs.request_cancel(connection, waiting) == "cancelled"
        assert jobs.request_cancel(connection, running) == "running"
        assert jobs.request_cancel(connection, uuid7()) is None
    assert jobs.renew(engine, claimed, LEASE_S, 0.5, "half") == jobs.LeaseState(held=True, cancel_requested=True)
    expire(engine, running)
    jobs.reconcile(engine, republish_after_s=60)
    assert state(engine, running) == "cancelled"
    with engine.begin() as connection:
        assert jobs.request_cancel(connection, running) == "cancelled"


def test_a_lost_doorbell_is_rung_again_once_per_interval(engine: Engine, program_id: uuid.UUID) -> None:
    """A job that nobody claimed for long is published again; the next pass leaves it alone."""
    identity = add(engine, program_id)
    assert jobs.reconcile(engine, republish_after_s=60).to_publish == []
    with engine.begin() as connection:
        connection.execute(update(job).values(published_at=text("now() - interval '2 min'")))
    assert [due.job_id for due in jobs.reconcile(engine, republish_after_s=60).to_publish] == [identity]
    assert jobs.reconcile(engine, republish_after_s=60).to_publish == []


def test_progress_and_estimate_are_written(engine: Engine, program_id: uuid.UUID) -> None:
    """Progress is kept within 0..1; the estimate is the median of the kind's past durations."""
    for seconds in (10, 20, 90):
        done = add(engine, program_id)
        claimed = claim(engine, done)
        with engine.begin() as connection:
            jobs.finish(connection, claimed, "succeeded")
            started = text(f"finished_at - interval '{seconds} s'")
            connection.execute(update(job).where(job.c.id == done).values(started_at=started))
    identity = add(engine, program_id)
    claimed = claim(engine, identity)
    assert jobs.renew(engine, claimed, LEASE_S, 7.0, "far").held
    with engine.connect() as connection:
        row = connection.execute(select(job).where(job.c.id == identity)).one()
    assert (row.progress, row.progress_message) == (1.0, "far")
    assert (row.estimated_finish_at - row.started_at).total_seconds() == 20

"""Jobs under contention: transactions that race, workers that share queues, cancels that meet other ends."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from db.identifiers import uuid7
from db.repositories import jobs
from db.repositories.jobs import ClaimedJob, NewJob
from db.schema.people import program
from db.schema.work import job

LEASE_S = 60.0


@pytest.fixture
def program_id(engine: Engine) -> uuid.UUID:
    """A program."""
    identity = uuid7()
    with engine.begin() as connection:
        connection.execute(insert(program).values(id=identity, name="jobs"))
    return identity


def add(engine: Engine, program_id: uuid.UUID, key: str, **values: Any) -> uuid.UUID:
    defaults: dict[str, Any] = {"kind": "noop", "queue": "cpu", "payload": {}, "requested_by": "service:test"}
    with engine.begin() as connection:
        identity, created = jobs.insert(connection, NewJob(job_key=key, program_id=program_id, **(defaults | values)))
    assert created
    return identity


def row_of(engine: Engine, job_id: uuid.UUID) -> Row[Any]:
    with engine.connect() as connection:
        return connection.execute(select(job).where(job.c.id == job_id)).one()


def claimed(engine: Engine, job_id: uuid.UUID, worker: str = "w", lease_s: float = LEASE_S) -> ClaimedJob:
    found = jobs.claim(engine, job_id, worker, lease_s)
    assert found is not None
    return found


def expire(engine: Engine, job_id: uuid.UUID) -> None:
    """Let the lease have run out a minute ago."""
    with engine.begin() as connection:
        past = datetime.now(UTC) - timedelta(minutes=1)
        connection.execute(update(job).where(job.c.id == job_id).values(lease_expires_at=past))


def test_two_transactions_with_one_key_insert_one_job(engine: Engine, program_id: uuid.UUID) -> None:
    """The second transaction waits for the first one's end and then finds its row."""
    new = NewJob("key", program_id, "noop", "cpu", {}, "service:test")
    with ThreadPoolExecutor(1) as pool, engine.begin() as connection:
        first, _ = jobs.insert(connection, new)

        def insert_again() -> tuple[uuid.UUID, bool]:
            with engine.begin() as other:
                return jobs.insert(other, new)

        waiting = pool.submit(insert_again)
        connection.commit()
        assert waiting.result(30) == (first, False)


def test_an_insert_that_is_rolled_back_leaves_no_job(engine: Engine, program_id: uuid.UUID) -> None:
    with engine.connect() as connection:
        jobs.insert(connection, NewJob("key", program_id, "noop", "cpu", {}, "service:test"))
        connection.rollback()
    assert jobs.claim_next(engine, ["cpu"], "w", LEASE_S) is None


def test_concurrent_workers_share_the_jobs_without_doubling(engine: Engine, program_id: uuid.UUID) -> None:
    expected = {add(engine, program_id, f"key-{index}", queue=("cpu", "gpu")[index % 2]) for index in range(40)}

    def work(worker: str) -> list[uuid.UUID]:
        done = []
        while (found := jobs.claim_next(engine, ["cpu", "gpu"], worker, LEASE_S)) is not None:
            done.append(found.id)
        return done

    with ThreadPoolExecutor(4) as pool:
        taken = [identity for done in pool.map(work, ["a", "b", "c", "d"]) for identity in done]
    assert len(taken) == len(set(taken))
    # A claimer that met only rows locked by others goes home early; what it left is there for the next look.
    taken += work("e")
    assert set(taken) == expected
    assert len(taken) == len(expected)


def test_the_next_job_is_first_by_priority_then_by_age_of_the_queues_asked(
    engine: Engine, program_id: uuid.UUID
) -> None:
    late = add(engine, program_id, "late", priority=9, queue="cpu")
    first = add(engine, program_id, "first", priority=1, queue="gpu")
    second = add(engine, program_id, "second", priority=1, queue="cpu")
    other = add(engine, program_id, "other", priority=0, queue="ingest")
    order = []
    while (found := jobs.claim_next(engine, ["cpu", "gpu"], "w", LEASE_S)) is not None:
        order.append(found.id)
    assert order == [first, second, late]
    assert row_of(engine, other).state == "queued"


def test_a_job_is_not_claimed_before_its_time(engine: Engine, program_id: uuid.UUID) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    identity = add(engine, program_id, "key", not_before=later)
    assert jobs.claim(engine, identity, "w", LEASE_S) is None
    assert jobs.claim_next(engine, ["cpu"], "w", LEASE_S) is None
    assert jobs.reconcile(engine, republish_after_s=0).to_publish == []


def test_the_fence_holds_against_the_reconciler(engine: Engine, program_id: uuid.UUID) -> None:
    """A lease that has run out but was not taken back is still good: whoever locks the row first has it."""
    taken = claimed(engine, add(engine, program_id, "key"))
    expire(engine, taken.id)
    with engine.begin() as connection:
        jobs.fence(connection, taken)
        assert jobs.reconcile(engine, republish_after_s=1000).requeued == 0
        jobs.finish(connection, taken, "succeeded")
    assert jobs.reconcile(engine, republish_after_s=1000).requeued == 0
    assert row_of(engine, taken.id).state == "succeeded"


def test_a_cancelled_job_whose_worker_is_lost_is_not_tried_again(engine: Engine, program_id: uuid.UUID) -> None:
    taken = claimed(engine, add(engine, program_id, "key"))
    with engine.begin() as connection:
        jobs.request_cancel(connection, taken.id)
    expire(engine, taken.id)
    report = jobs.reconcile(engine, republish_after_s=1000)
    assert (report.requeued, report.to_publish) == (0, [])
    assert row_of(engine, taken.id).state == "cancelled"


@pytest.mark.parametrize("way", ["release", "surprise"])
def test_a_cancelled_job_does_not_return_to_the_queue(engine: Engine, program_id: uuid.UUID, way: str) -> None:
    """Somebody asked for its end; giving it back must not run it once more."""
    taken = claimed(engine, add(engine, program_id, "key"))
    with engine.begin() as connection:
        jobs.request_cancel(connection, taken.id)
    if way == "release":
        assert jobs.release(engine, taken)
    else:
        with engine.begin() as connection:
            assert jobs.retry_or_bury(connection, taken, {"type": "X", "message": ""}) == "cancelled"
    assert row_of(engine, taken.id).state == "cancelled"


def test_no_lease_without_a_running_job(engine: Engine, program_id: uuid.UUID) -> None:
    taken = claimed(engine, add(engine, program_id, "key"))
    with pytest.raises(IntegrityError, match="lease_while_running"), engine.begin() as connection:
        connection.execute(update(job).where(job.c.id == taken.id).values(state="succeeded"))

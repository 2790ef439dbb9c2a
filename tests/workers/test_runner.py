"""Jobs from claim to end in one process: every way to end, and what other processes and servers do meanwhile."""

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text

from db.blobs import BlobStore
from db.engine import make_engine
from db.repositories import jobs
from db.repositories.results import NewResult, insert_result
from db.schema.work import result
from db.unit_of_work import UnitOfWork
from services.pipelines import kinds
from services.pipelines.context import Completion, JobContext, JobRefused
from services.settings import Settings
from services.workers.runner import JobRunner
from tests.workers.scenery import add_job, job_row, make_program

Handler = Callable[[JobContext], Completion]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Short leases."""
    return Settings(data_dir=tmp_path / "data", lease_s=1.5)


@pytest.fixture
def program_id(engine: Engine) -> uuid.UUID:
    """A program."""
    return make_program(engine)


@pytest.fixture
def make_runner(engine: Engine, blobs: BlobStore, settings: Settings) -> Iterator[Callable[[str], JobRunner]]:
    """Make runners of the queue ``cpu``."""
    made: list[JobRunner] = []

    def make(name: str) -> JobRunner:
        made.append(JobRunner(settings, engine, blobs, name, ["cpu"], lambda _due: None))
        return made[-1]

    yield make
    for runner in made:
        runner.close()


@pytest.fixture
def runner(make_runner: Callable[[str], JobRunner]) -> JobRunner:
    """A runner."""
    return make_runner("worker")


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Callable[[Handler], None]:
    """Set the handler of the kind ``noop``."""
    return lambda handler: monkeypatch.setattr(kinds, "run_nothing", handler)


def write_result(context: JobContext) -> Completion:
    """A handler whose completion writes a result."""

    def write(unit: UnitOfWork) -> None:
        claimed = context.claimed
        new = NewResult(claimed.job_key, claimed.id, claimed.program_id, "noop", None, {}, {}, False)
        insert_result(unit.connection, new, [])

    return write


def count_results(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(result)).scalar_one())


def test_a_job_runs_and_its_rows_and_state_are_committed_together(
    engine: Engine, program_id: uuid.UUID, runner: JobRunner, handle: Callable[[Handler], None]
) -> None:
    handle(write_result)
    identity = add_job(engine, program_id)
    assert runner.run_waiting() == 1
    row = job_row(engine, identity)
    assert (row.state, row.progress, row.worker) == ("succeeded", 1.0, "worker")
    assert count_results(engine) == 1


def test_bells_of_jobs_that_ran_already_cost_no_look_at_the_rows(
    engine: Engine, program_id: uuid.UUID, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bell runs what waits; the bells of the others are heard once each, then count again."""
    looks: list[int] = []
    claim_next = jobs.claim_next

    def count_looks(*arguments: Any) -> Any:
        looks.append(1)
        return claim_next(*arguments)

    monkeypatch.setattr(jobs, "claim_next", count_looks)
    first, second, third = (add_job(engine, program_id) for _ in range(3))
    assert runner.answer(second) == 3
    assert len(looks) == 4
    assert [runner.answer(first), runner.answer(third)] == [0, 0]
    assert len(looks) == 4
    assert [runner.answer(identity) for identity in (first, second, third)] == [0, 0, 0]
    assert len(looks) == 7


def test_an_unknown_kind_fails_with_a_reason(engine: Engine, program_id: uuid.UUID, runner: JobRunner) -> None:
    identity = add_job(engine, program_id, "astrology")
    runner.run_waiting()
    row = job_row(engine, identity)
    assert (row.state, row.attempts, row.error["type"]) == ("failed", 1, "JobRefused")
    assert "astrology" in row.error["message"]


def test_a_refusal_is_not_tried_again(
    engine: Engine, program_id: uuid.UUID, runner: JobRunner, handle: Callable[[Handler], None]
) -> None:
    def refuse(context: JobContext) -> Completion:
        raise JobRefused("no netlist")

    handle(refuse)
    identity = add_job(engine, program_id)
    runner.run_waiting()
    assert runner.run_waiting() == 0
    assert job_row(engine, identity).error == {"type": "JobRefused", "message": "no netlist"}


def test_a_crash_is_tried_again_later_with_its_traceback(
    engine: Engine, program_id: uuid.UUID, runner: JobRunner, handle: Callable[[Handler], None]
) -> None:
    def crash(context: JobContext) -> Completion:
        raise ZeroDivisionError("surprise")

    handle(crash)
    identity = add_job(engine, program_id, max_attempts=2)
    assert runner.run_waiting() == 1
    row = job_row(engine, identity)
    assert (row.state, row.error["type"]) == ("queued", "ZeroDivisionError")
    assert "surprise" in row.error["traceback"]
    assert row.not_before is not None


def test_a_completion_that_fails_leaves_nothing(
    engine: Engine, program_id: uuid.UUID, runner: JobRunner, handle: Callable[[Handler], None]
) -> None:
    def write_twice(context: JobContext) -> Completion:
        write = write_result(context)

        def twice(unit: UnitOfWork) -> None:
            write(unit)
            write(unit)

        return twice

    handle(write_twice)
    identity = add_job(engine, program_id, max_attempts=1)
    runner.run_waiting()
    assert job_row(engine, identity).state == "dead"
    assert count_results(engine) == 0


def test_a_commit_that_fails_writes_nothing(
    engine: Engine, program_id: uuid.UUID, runner: JobRunner, handle: Callable[[Handler], None]
) -> None:
    """A deferred constraint fails at the commit itself, after every statement has succeeded."""
    handle(write_result)
    first, second = (add_job(engine, program_id, max_attempts=1) for _ in range(2))
    table = "ALTER TABLE faultlight.result"
    with engine.begin() as connection:
        connection.execute(text(f"{table} ADD CONSTRAINT late UNIQUE (program_id) DEFERRABLE INITIALLY DEFERRED"))
    try:
        runner.run_waiting()
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"{table} DROP CONSTRAINT late"))
    assert (job_row(engine, first).state, job_row(engine, second).state) == ("succeeded", "dead")
    assert count_results(engine) == 1


def test_cancelling_a_running_job_stops_it(
    engine: Engine, program_id: uuid.UUID, runner: JobRunner, handle: Callable[[Handler], None]
) -> None:
    def wait_for_cancel(context: JobContext) -> Completion:
        with engine.begin() as connection:
            assert jobs.request_cancel(connection, context.claimed.id) == "running"
        assert context.cancel_requested.wait(30)
        context.progress(0.5, "going on")
        return write_result(context)

    handle(wait_for_cancel)
    identity = add_job(engine, program_id)
    runner.run_waiting()
    assert job_row(engine, identity).state == "cancelled"
    assert count_results(engine) == 0


def test_progress_reaches_the_row_of_a_second_job_too(
    engine: Engine,
    program_id: uuid.UUID,
    settings: Settings,
    make_runner: Callable[[str], JobRunner],
    handle: Callable[[Handler], None],
) -> None:
    """The thread that keeps the lease must not still wait for the job before."""
    settings.lease_s = 3600
    seen: list[float] = []

    def report(context: JobContext) -> Completion:
        context.progress(0.5, "half way")
        for _ in range(200):
            if (row := job_row(engine, context.claimed.id)).progress:
                seen.append(row.progress)
                break
            threading.Event().wait(0.05)
        return lambda _unit: None

    handle(report)
    for _ in range(2):
        add_job(engine, program_id)
    make_runner("patient").run_waiting()
    assert seen == [0.5, 0.5]


def test_a_long_job_keeps_its_lease(
    engine: Engine, program_id: uuid.UUID, settings: Settings, runner: JobRunner, handle: Callable[[Handler], None]
) -> None:
    def last(context: JobContext) -> Completion:
        first = job_row(engine, context.claimed.id).lease_expires_at
        for _ in range(400):
            if job_row(engine, context.claimed.id).lease_expires_at > first:
                return lambda _unit: None
            threading.Event().wait(0.02)
        raise AssertionError("the lease was not renewed")

    handle(last)
    identity = add_job(engine, program_id)
    runner.run_waiting()
    assert job_row(engine, identity).state == "succeeded"


def test_a_worker_that_lost_its_lease_writes_nothing(
    engine: Engine,
    program_id: uuid.UUID,
    runner: JobRunner,
    make_runner: Callable[[str], JobRunner],
    handle: Callable[[Handler], None],
) -> None:
    """The first worker is a zombie by the time it finishes: another one has run the job."""
    heir = make_runner("heir")

    def stall(context: JobContext) -> Completion:
        if context.claimed.attempts == 1:
            with engine.begin() as connection:
                connection.execute(text("UPDATE faultlight.job SET lease_expires_at = now() - interval '1 minute'"))
            assert jobs.reconcile(engine, republish_after_s=1000).requeued == 1
            assert heir.run_waiting() == 1
        return write_result(context)

    handle(stall)
    identity = add_job(engine, program_id)
    runner.run_waiting()
    row = job_row(engine, identity)
    assert (row.state, row.worker, row.attempts) == ("succeeded", "heir", 2)
    assert count_results(engine) == 1


def test_two_workers_on_one_key_give_one_result(
    engine: Engine, program_id: uuid.UUID, make_runner: Callable[[str], JobRunner], handle: Callable[[Handler], None]
) -> None:
    handle(write_result)
    key = uuid.uuid4().hex
    assert len({add_job(engine, program_id, job_key=key) for _ in range(5)}) == 1
    threads = [threading.Thread(target=make_runner(f"w{index}").run_waiting) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count_results(engine) == 1


def test_a_killed_connection_during_a_job_costs_nothing(
    engine: Engine, database_url: str, program_id: uuid.UUID, runner: JobRunner, handle: Callable[[Handler], None]
) -> None:
    """Every connection of the worker is killed while the job runs, and again inside its last transaction."""
    killer = make_engine(database_url, pool_size=1)
    kill = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    struck = threading.Event()

    def be_killed(context: JobContext) -> Completion:
        with killer.connect() as connection:
            connection.execute(kill)
        write = write_result(context)

        def write_and_be_killed(unit: UnitOfWork) -> None:
            write(unit)
            if not struck.is_set():
                struck.set()
                with killer.connect() as connection:
                    connection.execute(kill)

        return write_and_be_killed

    handle(be_killed)
    identity = add_job(engine, program_id)
    runner.run_waiting()
    killer.dispose()
    assert struck.is_set()
    row = job_row(engine, identity)
    assert (row.state, row.attempts) == ("succeeded", 1)
    assert count_results(engine) == 1


def test_a_worker_told_to_stop_gives_its_job_back(
    engine: Engine, program_id: uuid.UUID, runner: JobRunner, handle: Callable[[Handler], None]
) -> None:
    def be_stopped(context: JobContext) -> Completion:
        runner.stop()
        context.progress(0.1, "first step")
        return write_result(context)

    handle(be_stopped)
    identity = add_job(engine, program_id, max_attempts=1)
    other = add_job(engine, program_id)
    runner.run_waiting()
    row = job_row(engine, identity)
    assert (row.state, row.attempts) == ("queued", 0)
    assert job_row(engine, other).attempts == 0


def test_a_dead_ingest_quarantines_its_file(
    engine: Engine, blobs: BlobStore, settings: Settings, program_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    from db.schema.files import raw_file
    from tests.workers.scenery import store_original

    def crash(_context: JobContext) -> Completion:
        raise RuntimeError("the object is gone")

    monkeypatch.setattr(kinds, "run_nothing", crash)
    monkeypatch.setitem(kinds.HANDLERS, "ingest", "services.pipelines.kinds:run_nothing")
    file_id = store_original(engine, blobs, program_id, "a", b"a")
    add_job(engine, program_id, "ingest", payload={"raw_file_id": str(file_id)}, max_attempts=1)
    runner = JobRunner(settings, engine, blobs, "worker", ["cpu"], lambda _due: None)
    runner.run_waiting()
    runner.close()
    with engine.connect() as connection:
        row = connection.execute(select(raw_file)).one()
    assert row.state == "quarantined"
    assert row.quarantine_reasons[0]["reason"] == "reading was given up: the object is gone"

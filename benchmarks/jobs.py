"""Jobs: what the row, the lease and the fence cost, against an empty Celery task on the same broker."""

import os
import subprocess
import sys
import time
import uuid

import celery
from sqlalchemy import text

from benchmarks.report import Row, main
from benchmarks.workbench import PROGRAM, running_stack
from db.engine import make_engine
from db.repositories.jobs import NewJob, insert
from services.stack import Stack
from services.workers.doorbell import Doorbell

JOBS = 300


def measure() -> list[Row]:
    """Time ``JOBS`` no-op jobs from insertion to their final state, and as many empty tasks, on one worker each."""
    with running_stack() as stack:
        ours_s = _our_jobs(stack)
        theirs_s = _empty_tasks(stack)
    return [
        Row("a job from insertion to its final state", ours_s / JOBS * 1e3, "ms"),
        Row("an empty Celery task on the same broker", theirs_s / JOBS * 1e3, "ms"),
        Row("job overhead against an empty Celery task", ours_s / theirs_s, "ratio", "<= 3"),
    ]


def _our_jobs(stack: Stack) -> float:
    database, broker = stack.settings.database_url, stack.settings.broker_url
    if database is None or broker is None:
        raise RuntimeError("the stack is not running")
    engine = make_engine(database.get_secret_value())
    doorbell = Doorbell(broker.get_secret_value())
    with engine.connect() as connection:
        found = connection.execute(text("SELECT id FROM faultlight.program WHERE name = :name"), {"name": PROGRAM})
        program = found.scalar_one()
    started = time.perf_counter()
    for index in range(JOBS):
        key = f"noop-{index}-{uuid.uuid4()}"
        with engine.begin() as connection:
            job, _ = insert(connection, NewJob(key, program, "noop", "cpu", {}, requested_by="service:benchmark"))
        doorbell.ring(job, "cpu", 5)
    question = text("SELECT count(*) FROM faultlight.job WHERE kind = 'noop' AND state = 'succeeded'")
    while time.perf_counter() - started < 300:
        with engine.connect() as connection:
            if connection.execute(question).scalar_one() == JOBS:
                engine.dispose()
                return time.perf_counter() - started
        time.sleep(0.01)
    raise RuntimeError("the jobs were not done in 300 s")


def empty_app(broker: str) -> celery.Celery:
    """Return a Celery application with one empty task that keeps its result in the broker's Redis."""
    application = celery.Celery("empty", broker=broker, backend=broker)
    application.conf.update(task_default_queue="bench-empty", task_acks_late=True, worker_prefetch_multiplier=1)
    application.task(name="empty", ignore_result=False)(_nothing)
    return application


def _nothing() -> None:
    """Do nothing."""


def _empty_tasks(stack: Stack) -> float:
    broker = stack.settings.broker_url
    if broker is None:
        raise RuntimeError("the stack is not running")
    url = broker.get_secret_value()
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.jobs", "worker"],
        env=os.environ | {"BENCH_BROKER": url},
        stdout=subprocess.DEVNULL,  # a banner, where the answer in JSON is to stand alone
    )
    try:
        task = empty_app(url).tasks["empty"]
        task.delay().get(timeout=60)
        started = time.perf_counter()
        pending = [task.delay() for _ in range(JOBS)]
        for result in pending:
            result.get(timeout=120)
        return time.perf_counter() - started
    finally:
        worker.terminate()
        worker.wait(20)


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        arguments = ["worker", "--pool=solo", "--loglevel=ERROR", "-Q", "bench-empty", "--without-mingle"]
        empty_app(os.environ["BENCH_BROKER"]).worker_main(arguments)
    else:
        main(measure)

"""A worker process: a Celery consumer for the doorbell, and a poll of the rows for when the bell is broken."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import structlog
from celery import Celery
from celery.signals import worker_shutting_down
from prometheus_client import start_http_server
from sqlalchemy.exc import SQLAlchemyError

from db.repositories.jobs import DueJob
from services.settings import Settings
from services.stores import broker_url, open_blobs, open_engine
from services.telemetry import configure_logging
from services.workers.celery_app import RUN_JOB, make_app, queue_name
from services.workers.doorbell import Doorbell
from services.workers.presence import Presence
from services.workers.runner import JobRunner
from services.workers.scratch import sweep_scratch

log = structlog.get_logger(__name__)

POLL_INTERVAL_S = 2.0
SWEEP_INTERVAL_S = 3600.0


class RowPoll:
    """Looks for waiting rows now and then, so that a lost broker, or a consumer that hangs, costs seconds only.

    It also sweeps the scratch folder, which may be on a disk that only workers see.
    """

    def __init__(self, runner: JobRunner, settings: Settings) -> None:
        self._runner = runner
        self._settings = settings
        self._sweep_due = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="row-poll", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop looking, and wait for the job that this thread may be running."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.wait(POLL_INTERVAL_S):
            self._sweep()
            run_patiently(self._runner.run_waiting)

    def _sweep(self) -> None:
        if time.monotonic() < self._sweep_due:
            return
        self._sweep_due = time.monotonic() + SWEEP_INTERVAL_S
        try:
            sweep_scratch(self._settings.scratch(), self._settings.orphan_age_s)
        except OSError as error:
            log.warning("scratch_not_swept", reason=str(error))


def run_patiently(run: Callable[[], int]) -> None:
    """Run what waits; a database that is down is tried again at the next call, and nothing ends the calling thread."""
    try:
        run()
    except SQLAlchemyError as error:
        log.warning("database_unavailable", reason=type(error).__name__)
    except Exception:  # the job's lease runs out and the reconciler takes it back
        log.exception("job_abandoned")


def run_worker(settings: Settings, queues: Sequence[str], name: str) -> None:
    """Run jobs of ``queues`` until SIGTERM or SIGINT; a running job is finished or goes back to the queue."""
    configure_logging(settings)
    identity = f"{name}@{os.uname().nodename}:{os.getpid()}"
    engine = open_engine(settings, pool_size=4)
    url = broker_url(settings)
    doorbell = Doorbell(url)

    def announce(due: DueJob) -> None:
        doorbell.ring(due.job_id, due.queue, due.priority)

    runner = JobRunner(settings, engine, open_blobs(settings), identity, queues, announce)
    poll = RowPoll(runner, settings)
    presence = Presence(engine, identity, queues)
    app = make_app(url)
    _register_task(app, runner)

    def begin_to_stop(**_: Any) -> None:
        runner.stop()

    worker_shutting_down.connect(begin_to_stop, weak=False)
    _stop_runner_on_signals(runner)
    _serve_metrics(settings)
    log.info("worker_started", worker=identity, queues=list(queues))
    poll.start()
    presence.start()
    try:
        _consume(app, queues, identity)
    finally:
        runner.stop()
        poll.stop(settings.lease_s)
        presence.stop()
        runner.close()
        engine.dispose()
        log.info("worker_stopped", worker=identity)


def _serve_metrics(settings: Settings) -> None:
    """Answer Prometheus, when a port is set; a port that is taken costs the metrics, not the worker."""
    if not settings.worker_metrics_port:
        return
    try:
        start_http_server(settings.worker_metrics_port)
    except OSError as error:
        log.warning("metrics_not_served", port=settings.worker_metrics_port, reason=str(error))


def _register_task(app: Celery, runner: JobRunner) -> None:
    def run_job(job_id: str) -> None:
        """Run what waits: the job whose bell rang, or a more urgent one; the rows decide."""
        run_patiently(lambda: runner.answer(uuid.UUID(job_id)))

    app.task(name=RUN_JOB)(run_job)


def _consume(app: Celery, queues: Sequence[str], identity: str) -> None:
    """Consume until told to stop. ``solo`` runs a job in this thread, so CUDA never sees a fork."""
    worker = app.Worker(
        pool="solo",
        queues=[queue_name(queue) for queue in queues],
        hostname=identity,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()


def _stop_runner_on_signals(runner: JobRunner) -> None:
    """Before Celery installs its own handlers: a worker that still waits for its broker stops as well."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        runner.stop()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

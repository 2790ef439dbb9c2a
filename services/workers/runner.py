"""Running jobs: claim, handle, finish in one fenced transaction; every way a job can end is here."""

import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from db.blobs import BlobStore
from db.repositories import jobs
from db.repositories.jobs import ClaimedJob, DueJob, LeaseLost
from db.unit_of_work import UnitOfWork, begin
from services import telemetry
from services.pipelines import kinds
from services.pipelines.context import (
    Completion,
    JobCancelled,
    JobContext,
    JobRefused,
    WorkerStopping,
)
from services.settings import Settings
from services.workers.lease import LeaseKeeper

log = structlog.get_logger(__name__)

DATABASE_PATIENCE_S = 120.0
_PAUSE_S = 0.5
_BELLS_REMEMBERED = 1000

T = TypeVar("T")


class JobRunner:
    """Runs the waiting jobs of some queues, one at a time in this process, whoever asks: doorbell or poll."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        blobs: BlobStore,
        worker: str,
        queues: Sequence[str],
        announce: Callable[[DueJob], None],
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._blobs = blobs
        self._worker = worker
        self._queues = list(queues)
        self._announce = announce
        self._keeper = LeaseKeeper(engine, settings)
        self._busy = threading.Lock()
        self._current: JobContext | None = None
        self._not_rung: deque[uuid.UUID] = deque(maxlen=_BELLS_REMEMBERED)
        self.stopping = threading.Event()

    def answer(self, job_id: uuid.UUID) -> int:
        """Run what waits because the bell of ``job_id`` rang; return how many jobs that were.

        A job that was run before its bell was heard needs no look at the rows: whatever waited with it ran, too.
        """
        if self._forget(job_id):
            return 0
        done = self.run_waiting()
        self._forget(job_id)
        return done

    def _forget(self, job_id: uuid.UUID) -> bool:
        """Return whether the job was run and its bell not heard since."""
        try:
            self._not_rung.remove(job_id)
        except ValueError:
            return False
        return True

    def run_waiting(self) -> int:
        """Run jobs until none waits; return how many. Returns at once while another thread of this process does so."""
        if not self._busy.acquire(blocking=False):
            return 0
        try:
            done = 0
            while not self.stopping.is_set():
                claimed = jobs.claim_next(self._engine, self._queues, self._worker, self._settings.lease_s)
                if claimed is None:
                    break
                self._not_rung.append(claimed.id)
                self.run(claimed)
                done += 1
            return done
        finally:
            self._busy.release()

    def run(self, claimed: ClaimedJob) -> str:
        """Run a claimed job to its end; return the state it ended in here (``lost`` when the lease was)."""
        context = JobContext(claimed, self._settings, self._engine, self._blobs, self._announce)
        self._current = context
        if self.stopping.is_set():
            context.worker_stopping.set()
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(
            job_id=str(claimed.id), job_kind=claimed.kind, request_id=claimed.request_id, attempt=claimed.attempts
        ):
            log.info("job_started")
            try:
                with self._keeper.keeping(context):
                    state = self._handle(context)
            finally:
                self._current = None
            seconds = time.perf_counter() - started
            log.info("job_ended", state=state, seconds=round(seconds, 4))
        telemetry.jobs_finished.labels(claimed.kind, state).inc()
        telemetry.job_seconds.labels(claimed.kind).observe(seconds)
        return state

    def stop(self) -> None:
        """Let the running job end at its next report of progress and go back to the queue."""
        self.stopping.set()
        if self._current is not None:
            self._current.worker_stopping.set()

    def close(self) -> None:
        """End the lease keeper's thread."""
        self._keeper.stop()

    def _handle(self, context: JobContext) -> str:
        claimed = context.claimed
        try:
            completion = kinds.handler(claimed.kind)(context)
            return self._write(context, completion, "succeeded", None)
        except JobRefused as refusal:
            return self._write(context, None, "failed", _document(refusal))
        except JobCancelled:
            return self._write(context, None, "cancelled", None)
        except WorkerStopping:
            self._patiently(lambda: jobs.release(self._engine, claimed))
            return "released"
        except LeaseLost:
            telemetry.leases_lost.labels(claimed.kind).inc()
            return "lost"
        except Exception as error:
            log.exception("job_crashed")
            return self._bury_or_retry(
                claimed, _document(error) | {"traceback": _storable(traceback.format_exc()[-4000:])}
            )

    def _write(
        self, context: JobContext, completion: Completion | None, state: str, error: dict[str, Any] | None
    ) -> str:
        """Write rows and final state in one fenced transaction; a repeated try after a lost answer writes nothing."""

        def write(unit: UnitOfWork) -> str:
            jobs.finish(
                unit.connection, context.claimed, state, error
            )  # the fence: nothing is written without the lease
            if completion is not None:
                completion(unit)
            return state

        try:
            return self._patiently(lambda: self._transact(write))
        except LeaseLost:
            telemetry.leases_lost.labels(context.claimed.kind).inc()
            return "lost"

    def _bury_or_retry(self, claimed: ClaimedJob, error: dict[str, Any]) -> str:
        def write(unit: UnitOfWork) -> str:
            state = jobs.retry_or_bury(unit.connection, claimed, error)
            if state == "dead":
                kinds.bury(unit.connection, claimed.kind, claimed.payload, error)
            return state

        try:
            return self._patiently(lambda: self._transact(write))
        except LeaseLost:
            return "lost"

    def _transact(self, write: Callable[[UnitOfWork], str]) -> str:
        with begin(self._engine) as unit:
            return write(unit)

    def _patiently(self, action: Callable[[], T]) -> T:
        """Try ``action`` again while the database is down, for a while; the lease may well be lost by then."""
        deadline = time.monotonic() + DATABASE_PATIENCE_S
        while True:
            try:
                return action()
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                log.warning("database_unavailable")
                time.sleep(_PAUSE_S)


def _document(error: Exception) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": _storable(str(error))}


def _storable(message: str) -> str:
    """Return the text without what PostgreSQL's JSON cannot hold: NUL and lone surrogates."""
    return message.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")

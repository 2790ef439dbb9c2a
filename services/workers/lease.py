"""Keeping the lease of a running job from a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db.repositories import jobs
from services.pipelines.context import JobContext
from services.settings import Settings
from services.telemetry import give_sign_of_life

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """One thread per worker process: renews the lease of the job that runs, writes its progress, gives a sign of life.

    A database that is down is tried again; only an answer that the lease is another's sets ``lease_lost``.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._current: JobContext | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
        self._thread.start()

    @contextmanager
    def keeping(self, context: JobContext) -> Iterator[None]:
        """Keep the lease of ``context`` for the length of the block."""
        with self._lock:
            self._current = context
        try:
            yield
        finally:
            with self._lock:
                self._current = None
            context.report_due.set()  # the thread waits on this job; the next one is not to wait for that

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._attend()
            except Exception:  # without this thread every lease would be lost
                log.exception("lease_keeper_failed")
                self._stop.wait(0.5)

    def _attend(self) -> None:
        """Wait for the next report or a third of the lease, and renew."""
        interval_s = self._settings.lease_s / 3
        with self._lock:
            context = self._current
        if context is None:
            give_sign_of_life(self._settings)
            self._stop.wait(min(interval_s, 1.0))
            return
        context.report_due.wait(interval_s)
        context.report_due.clear()
        self._renew(context)
        give_sign_of_life(self._settings)

    def _renew(self, context: JobContext) -> None:
        with self._lock:
            if self._current is not context:
                return
        fraction, message = context.last_progress()
        try:
            state = jobs.renew(self._engine, context.claimed, self._settings.lease_s, fraction, message)
        except SQLAlchemyError as error:
            log.warning("lease_not_renewed", job_id=str(context.claimed.id), reason=type(error).__name__)
            self._stop.wait(0.5)
            return
        with self._lock:
            finished = self._current is not context
        if state.cancel_requested:
            context.cancel_requested.set()
        if not state.held and not finished:
            context.lease_lost.set()

"""What a job's handler gets, and how it ends."""

import time
from collections.abc import Callable
from threading import Event, Lock

from sqlalchemy import Engine

from db.blobs import BlobStore
from db.repositories.jobs import ClaimedJob, DueJob, LeaseLost
from db.unit_of_work import UnitOfWork
from services.settings import Settings

REPORT_INTERVAL_S = 0.5

Completion = Callable[[UnitOfWork], None]
"""Writes a handler's rows in the transaction that finishes the job."""


class JobRefused(Exception):  # noqa: N818
    """The job cannot be done, for a reason that a retry would not change; it ends as ``failed``."""


class JobCancelled(Exception):  # noqa: N818
    """Somebody asked to cancel; the job ends as ``cancelled``."""


class DamagedRecord(Exception):  # noqa: N818
    """The stored bytes of a record are not those that were written."""


class WorkerStopping(Exception):  # noqa: N818
    """The worker is told to stop; the job goes back to the queue."""


class JobContext:
    """The job, what it may use, and how it reports; shared with the thread that keeps the lease."""

    def __init__(
        self,
        claimed: ClaimedJob,
        settings: Settings,
        engine: Engine,
        blobs: BlobStore,
        announce: Callable[[DueJob], None],
    ) -> None:
        self.claimed = claimed
        self.settings = settings
        self.engine = engine
        self.blobs = blobs
        self.announce = announce
        self.lease_lost = Event()
        self.cancel_requested = Event()
        self.worker_stopping = Event()
        self.report_due = Event()
        self._lock = Lock()
        self._progress: tuple[float, str] = (0.0, "")
        self._reported_at = 0.0

    def progress(self, fraction: float, message: str) -> None:
        """Say how far the job is (0..1) and what it does; raises what :meth:`raise_if_stopped` raises."""
        with self._lock:
            self._progress = (fraction, message)
            due = time.monotonic() - self._reported_at >= REPORT_INTERVAL_S
            if due:
                self._reported_at = time.monotonic()
        if due:
            self.report_due.set()
        self.raise_if_stopped()

    def last_progress(self) -> tuple[float, str]:
        """Return the last fraction and message."""
        with self._lock:
            return self._progress

    def raise_if_stopped(self) -> None:
        """Raise :class:`LeaseLost`, :class:`JobCancelled` or :class:`WorkerStopping` when it is no use."""
        if self.lease_lost.is_set():
            raise LeaseLost(self.claimed.id)
        if self.cancel_requested.is_set():
            raise JobCancelled
        if self.worker_stopping.is_set():
            raise WorkerStopping

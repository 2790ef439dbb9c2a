"""A worker tells that it is there, from a thread of its own, so that people see who serves which queue."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db.repositories.workers import WorkerSign, keep_sign, take_away
from db.unit_of_work import begin
from services.pipelines.stored_answer import code_version
from services.workers.graphics_cards import read_cards

log = structlog.get_logger(__name__)

SIGN_INTERVAL_S = 15.0


class Presence:
    """Writes the worker's row every ``SIGN_INTERVAL_S``. Nothing depends on it: a job's lease is what holds a job.

    Cards are told by workers that serve the queue ``gpu``.
    """

    def __init__(self, engine: Engine, name: str, queues: Sequence[str]) -> None:
        self._engine = engine
        self._name = name
        self._queues = tuple(queues)
        self._started_at = datetime.now(UTC)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self, timeout_s: float = 2 * SIGN_INTERVAL_S) -> None:
        """Stop telling, and take the row away."""
        self._stop.set()
        self._thread.join(timeout_s)
        try:
            with begin(self._engine) as unit:
                take_away(unit.connection, self._name)
        except SQLAlchemyError as error:
            log.warning("worker_not_taken_away", reason=type(error).__name__)

    def tell(self) -> None:
        """Write the row now; a database that is down is tried again at the next sign."""
        cards = read_cards() if "gpu" in self._queues else []
        sign = WorkerSign(self._name, self._queues, cards, code_version(), self._started_at)
        try:
            with begin(self._engine) as unit:
                keep_sign(unit.connection, sign)
        except SQLAlchemyError as error:
            log.warning("sign_not_kept", reason=type(error).__name__)

    def _run(self) -> None:
        while True:
            try:
                self.tell()
            except Exception:  # a thread that ends would make a working worker look silent
                log.exception("presence_failed")
            if self._stop.wait(SIGN_INTERVAL_S):
                return

"""Threads of the scheduler that work while there is work, look again after a pause, and stop when they are told."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger(__name__)

IDLE_S = 1.0

Attend = Callable[[], bool]
"""Does one piece of work; returns whether there was one."""


class Attendants:
    """Threads that attend until they are stopped; each opens what it works with for itself.

    Args:
        name: of the threads.
        count: how many.
        open_one: opens what one thread works with.
    """

    def __init__(self, name: str, count: int, open_one: Callable[[], AbstractContextManager[Attend]]) -> None:
        self._name = name
        self._open_one = open_one
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(count)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop, and wait so long for the work that goes on; what takes longer is taken up again after its lease."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout_s)

    def _run(self) -> None:
        with self._open_one() as attend:
            while not self._stop.is_set():
                if not self._safely(attend):
                    self._stop.wait(IDLE_S)

    def _safely(self, attend: Attend) -> bool:
        try:
            return attend()
        except SQLAlchemyError as error:
            log.warning("database_unavailable", reason=type(error).__name__)
        except Exception:  # its lease runs out; the next piece of work must not wait for that
            log.exception("work_abandoned", attendant=self._name)
        return False

"""Ending a watch between two steps, on a signal."""

import signal
import time

from services.uploader.observer import Observer
from services.uploader.quiet_hours import QuietCheck

_SLICE_S = 0.25


class Stopped(Exception):  # noqa: N818
    """Somebody wants the watch to end; raised between two steps, when nothing is half done."""


class Stop:
    """Set by SIGINT, SIGTERM or the closing of the console; a second SIGINT ends at once.

    A plain flag: a ``threading.Event`` that is set by a signal while its own thread waits can lock itself up.
    """

    def __init__(self) -> None:
        self._is_set = False

    def listen(self) -> None:
        """Take the signals; to be called from the main thread."""
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, self.set)

    def set(self, number: int | None = None, _frame: object = None) -> None:
        """Want the watch to end."""
        self._is_set = True
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raise :class:`Stopped` when set."""
        if self._is_set:
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Wait, at most until it is set; raises as :meth:`check`."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _SLICE_S))
        self.check()


class StopObserver(Observer):
    """Ends an upload between two chunks, also when quiet hours begin, and hashing between two blocks."""

    def __init__(self, stop: Stop, quiet: QuietCheck | None = None) -> None:
        self._stop = stop
        self._quiet = quiet

    def hashing(self, name: str, done: int, total: int) -> None:  # noqa: ARG002
        """Look whether to stop."""
        self._stop.check()

    def sending(self, name: str, done: int, total: int) -> None:  # noqa: ARG002
        """Look whether to stop."""
        self._stop.check()
        if self._quiet is not None and done < total:
            self._quiet.check()

"""What an agent tells the service of itself now and then: its backlog, its version and its clock."""

import importlib.metadata
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from services.uploader.client import UploadClient
from services.uploader.errors import Blocked, Refused, ServiceUnreachable, show
from services.uploader.journal import Journal

REPORT_INTERVAL_S = 300.0
DENIED_INTERVAL_S = 3600.0
_MAX_FOLDER, _MAX_TROUBLE = 200, 2000


class HealthReporter:
    """Reports on the journal every ``REPORT_INTERVAL_S`` seconds of ``clock``, a monotonic one.

    A report that fails is not repeated: the next one says it all. With a key that is no instrument's it is tried again
    after ``DENIED_INTERVAL_S``, in case the key is exchanged. ``wall`` gives the PC's seconds since the epoch.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._wall = wall
        self._due_at = float("-inf")

    def is_due(self) -> bool:
        """Return whether it is time for a report."""
        return self._clock() >= self._due_at

    def report(self, connect: Callable[[], UploadClient]) -> None:
        """Report once; whether it arrives or not, the next one is due later."""
        self._due_at = self._clock() + REPORT_INTERVAL_S
        try:
            connect().report_health(self.document())
        except (Blocked, Refused):
            self._due_at = self._clock() + DENIED_INTERVAL_S
        except ServiceUnreachable:
            return

    def document(self) -> dict[str, Any]:
        """Return the report as of now."""
        backlog = self._journal.backlog()
        notes = self._journal.notes()
        return {
            "agent_id": self._journal.agent_id,
            "agent_version": agent_version(),
            "folder": _printable(notes.get("folder", ""))[-_MAX_FOLDER:] or "?",
            "waiting_files": backlog.waiting_files,
            "waiting_bytes": backlog.waiting_bytes,
            "oldest_waiting_s": backlog.oldest_waiting_s,
            "refused_files": backlog.refused_files,
            "trouble": _printable(notes.get("trouble", ""))[:_MAX_TROUBLE] or None,
            "sent_at": datetime.fromtimestamp(self._wall(), UTC).isoformat(),
        }


def agent_version() -> str:
    """Return the version of the installed program."""
    try:
        return importlib.metadata.version("faultlight")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in show(text))

"""From the journal to the service: full segments become files, files are uploaded, what is uploaded is dropped."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from instruments.secs.journal_lines import write_journal
from services.secs_host.journal import Limits, MessageJournal, Segment
from services.uploader.errors import Refused, UploadFailed

log = logging.getLogger("faultlight.secs_host")

INTERVAL_S = 5.0
SHORTEST_INTERVAL_S = 0.1


class Shipper:
    """Makes files of an equipment's journal and hands them over.

    A file is written whole under another name and then renamed; the same segment gives the same bytes, so that a crash
    between any two steps leads to nothing but the same upload, which the service knows.

    Args:
        journal: whose messages they are.
        outbox: the folder for the files; a segment that is uploaded stays there for ``keep_uploaded_s``.
        limits: when a segment is full.
        send: uploads a file, and raises :class:`services.uploader.errors.UploadFailed`; ``None``: somebody else takes
            the files from the outbox.
        keep_uploaded_s: how long.
    """

    def __init__(
        self,
        journal: MessageJournal,
        outbox: Path,
        limits: Limits,
        send: Callable[[Path], None] | None,
        keep_uploaded_s: float = 7 * 86400.0,
    ) -> None:
        self._journal = journal
        self._outbox = outbox
        self._limits = limits
        self._send = send
        self._keep_uploaded_s = keep_uploaded_s

    def path_of(self, segment: Segment) -> Path:
        """Return where the file of a segment is."""
        journal = self._journal
        return self._outbox / f"{journal.equipment}-{journal.id[:8]}-{segment.id:08d}.secs.jsonl"

    def run(self, stop: threading.Event) -> None:
        """Ship until ``stop`` is set: every ``INTERVAL_S``, or oftener where segments close younger than that."""
        interval_s = min(INTERVAL_S, max(self._limits.age_s, SHORTEST_INTERVAL_S))
        while True:
            try:
                self.ship()
            except UploadFailed as error:
                log.warning("%s: not uploaded, it will be tried again: %s", self._journal.equipment, error)
            except Exception:
                if stop.is_set():
                    return
                log.exception("%s: a segment cannot be shipped", self._journal.equipment)
            if stop.wait(interval_s):
                return

    def ship(self) -> None:
        """Do what is to be done now.

        Raises:
            UploadFailed: the service cannot be reached, or does not take anything.
            OSError, sqlite3.Error: files or the journal cannot be written.
        """
        while self._journal.close_segment(self._limits) is not None:
            pass
        for segment in self._journal.segments("closed"):
            self._write(segment)
        if self._send is None:
            return
        for segment in self._journal.segments("written"):
            self._upload(segment, self._send)
        for segment in self._journal.uploaded_before(self._keep_uploaded_s):
            self.path_of(segment).unlink(missing_ok=True)

    def _write(self, segment: Segment) -> None:
        path = self.path_of(segment)
        self._outbox.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".part")
        with unfinished.open("wb") as file:
            write_journal(self._journal.heading(segment), self._journal.messages(segment.first, segment.last), file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync_folder(self._outbox)
        self._journal.mark(segment, "written")

    def _upload(self, segment: Segment, send: Callable[[Path], None]) -> None:
        path = self.path_of(segment)
        if not path.exists():
            self._write(segment)
        try:
            send(path)
        except Refused as error:
            log.error("%s: the service refused %s: %s", self._journal.equipment, path.name, error)
            self._journal.mark(segment, "refused", str(error))
            return
        self._journal.mark(segment, "uploaded")
        log.info("%s: uploaded %s", self._journal.equipment, path.name)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; systems that cannot open folders do it by themselves."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Staging files: one per upload, locked by ``flock`` across processes.

A dead client's request may still hold the lock. Who needs it (HEAD, DELETE) leaves a note ``<id>.interrupt``; the
holder looks for it between two pieces of the body and lets go. A lock is released by the kernel when its process dies.
"""

import asyncio
import fcntl
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.problems import Problem

_POLL_S = 0.02


class StagingFile:
    """A staging file that this request holds the lock of."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def size(self) -> int:
        """Return how many bytes are there."""
        return os.fstat(self._descriptor).st_size

    def append(self, data: bytes) -> None:
        """Write ``data`` at the end; raises OSError with everything before it in place."""
        view = memoryview(data)
        offset = self.size()
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written

    def truncate(self, size: int) -> None:
        """Drop every byte from ``size`` on."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Make the bytes durable."""
        os.fsync(self._descriptor)

    def release(self) -> None:
        """Let go of the lock."""
        os.close(self._descriptor)

    def drop(self) -> None:
        """Remove the file; a missing file is no error."""
        self.path.unlink(missing_ok=True)


class Staging:
    """The folder of staging files, shared by all API processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, upload_id: uuid.UUID) -> Path:
        """Return where an upload's bytes are staged."""
        return self.folder / f"{upload_id}.part"

    def interrupt_path(self, upload_id: uuid.UUID) -> Path:
        """Return the note that asks the holder of the lock to let go."""
        return self.folder / f"{upload_id}.interrupt"

    def interrupted(self, upload_id: uuid.UUID) -> bool:
        """Return whether somebody wants the lock."""
        return self.interrupt_path(upload_id).exists()

    def staged_bytes(self) -> int:
        """Return how many bytes are staged in all."""
        total = 0
        with os.scandir(self.folder) as entries:
            for entry in entries:
                try:
                    total += entry.stat().st_size
                except FileNotFoundError:
                    continue
        return total

    def try_lock(self, upload_id: uuid.UUID) -> StagingFile | None:
        """Return the locked staging file, made when missing; ``None`` when another request holds it."""
        path = self.path(upload_id)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            if self._is_current(path, descriptor):
                self.interrupt_path(upload_id).unlink(missing_ok=True)
                return StagingFile(path, descriptor)
            os.close(descriptor)

    @staticmethod
    def _is_current(path: Path, descriptor: int) -> bool:
        """Return whether ``path`` still names the open file: it may have been moved to the store meanwhile."""
        try:
            return os.path.samestat(path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    @asynccontextmanager
    async def lock(self, upload_id: uuid.UUID, *, interrupt: bool, wait_s: float) -> AsyncIterator[StagingFile]:
        """Hold an upload's staging file; raises the problem ``upload-locked`` when it stays busy for ``wait_s``.

        ``interrupt`` asks a request that is receiving to let go.
        """
        deadline = time.monotonic() + wait_s
        while (held := self.try_lock(upload_id)) is None:
            if interrupt:
                self.interrupt_path(upload_id).touch()
            if time.monotonic() > deadline:
                raise Problem("upload-locked", "another request holds this upload", headers={"Retry-After": "2"})
            await asyncio.sleep(_POLL_S)
        try:
            yield held
        finally:
            held.release()

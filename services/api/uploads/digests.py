"""Hashes of uploads in progress, kept while one process has received every byte.

The bytes below an offset that a finished request has acknowledged never change, so an entry is right for a
staging file exactly when its offset is the file's size.
"""

import hashlib
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

_MAX_ENTRIES = 4096


@dataclass(frozen=True)
class RunningDigest:
    """The sha256 of the first ``offset`` bytes of an upload, to be continued."""

    offset: int
    sha256: Any


class RunningDigests:
    """The most recently used running hashes of this process."""

    def __init__(self) -> None:
        self._entries: OrderedDict[uuid.UUID, RunningDigest] = OrderedDict()
        self._lock = threading.Lock()

    def resume(self, upload_id: uuid.UUID, offset: int) -> Any | None:
        """Return a copy of the sha256 of the first ``offset`` bytes, ``None`` when this process has not seen them."""
        if offset == 0:
            return hashlib.sha256()
        with self._lock:
            entry = self._entries.get(upload_id)
        return entry.sha256.copy() if entry is not None and entry.offset == offset else None

    def keep(self, upload_id: uuid.UUID, offset: int, sha256: Any | None) -> None:
        """Remember the hash of the first ``offset`` bytes; ``None`` forgets."""
        with self._lock:
            self._entries.pop(upload_id, None)
            if sha256 is not None:
                self._entries[upload_id] = RunningDigest(offset, sha256)
            while len(self._entries) > _MAX_ENTRIES:
                self._entries.popitem(last=False)

    def forget(self, upload_id: uuid.UUID) -> None:
        """Drop what is known about an upload."""
        self.keep(upload_id, 0, None)

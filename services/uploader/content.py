"""A file of the instrument as it was when it was looked at. Opened for reading only, for one block at a time."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.uploader.errors import BadInput, FileChanged

BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class Signature:
    """What tells one state of a file from another without reading it."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Signature":
        """Return the signature in a stat result."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)

    def __str__(self) -> str:
        return f"{self.size} bytes, mtime {self.mtime_ns} ns, inode {self.inode}"


def look(path: Path) -> Signature:
    """Return the signature of a regular file.

    Raises:
        BadInput: there is none, or it cannot be reached.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise BadInput(path, getattr(error, "strerror", None) or str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(path, "is no regular file")
    return Signature.of(status)


class Content:
    """The bytes of ``path`` in the state ``signature``; every read checks that the file is still in it."""

    def __init__(self, path: Path, signature: Signature | None = None) -> None:
        self.path = path
        self.signature = signature or look(path)

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.signature.size

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset``.

        The file is open only meanwhile, so that an instrument that wants to rename it seldom has to wait.

        Raises:
            FileChanged: the file is in another state, before or after the read.
            BadInput: it cannot be opened.
        """
        try:
            with self.path.open("rb", buffering=0) as file:
                self._check(os.fstat(file.fileno()))
                file.seek(offset)
                pieces = []
                missing = count
                while missing and (piece := file.read(missing)):
                    pieces.append(piece)
                    missing -= len(piece)
                self._check(os.fstat(file.fileno()))
        except FileNotFoundError as error:
            raise FileChanged(self.path, str(self.signature), "no file") from error
        except OSError as error:
            raise BadInput(self.path, f"cannot be read: {error.strerror or error}") from error
        if missing:
            raise FileChanged(self.path, f"{count} bytes at {offset}", f"{count - missing} bytes")
        return b"".join(pieces)

    def check(self) -> None:
        """Raise :class:`FileChanged` unless the path still names the file in this state."""
        try:
            found = look(self.path)
        except BadInput as error:
            raise FileChanged(self.path, str(self.signature), error.reason) from error
        if found != self.signature:
            raise FileChanged(self.path, str(self.signature), str(found))

    def blocks(self) -> Iterator[bytes]:
        """Yield the whole content."""
        for offset in range(0, self.size, BLOCK_BYTES):
            yield self.read(offset, min(BLOCK_BYTES, self.size - offset))

    def digest(self, tell: Callable[[int], None] | None = None) -> str:
        """Return the sha256 as hex digits; ``tell`` hears how many bytes are done.

        Raises:
            FileChanged: the file was in another state at the beginning, at the end or in between.
        """
        sha256 = hashlib.sha256()
        done = 0
        for block in self.blocks():
            sha256.update(block)
            done += len(block)
            if tell is not None:
                tell(done)
        self.check()
        return sha256.hexdigest()

    def _check(self, status: os.stat_result) -> None:
        found = Signature.of(status)
        if found != self.signature:
            raise FileChanged(self.path, str(self.signature), str(found))

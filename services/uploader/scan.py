"""A look into the watched folder: which files and bundles are there, and in which state."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from services.uploader.content import Signature
from services.uploader.errors import BadInput
from services.uploader.folder import SESSION_FILE, Ignoring, list_members
from services.uploader.journal import Sighting
from services.uploader.prepared import sign, sign_bundle


@dataclass(frozen=True)
class Look:
    """What a look into the folder found.

    ``troubles`` holds, by path, what could not be looked at or is not sent, and why.
    """

    sightings: tuple[Sighting, ...]
    troubles: dict[str, str]

    def hides(self, path: str) -> bool:
        """Return whether ``path`` may be there unseen: it, or a folder above it, could not be looked at."""
        if not self.troubles:
            return False
        parts = path.split("/")
        return "." in self.troubles or any("/".join(parts[:n]) in self.troubles for n in range(1, len(parts) + 1))


class Scan:
    """One look into ``folder``; folders with ``session.json`` are bundles, whatever lies below them."""

    def __init__(self, folder: Path, ignoring: Ignoring) -> None:
        self._folder = folder
        self._ignoring = ignoring
        self._sightings: list[Sighting] = []
        self._troubles: dict[str, str] = {}

    def run(self) -> Look:
        """Return what is there.

        Raises:
            OSError: the folder itself cannot be read.
        """
        with os.scandir(self._folder):
            pass
        pending = [""]
        while pending:
            pending += self._enter(pending.pop())
        return Look(tuple(self._sightings), self._troubles)

    def _enter(self, folder: str) -> list[str]:
        """Note what is in a folder, named relative to the watched one; returns the folders to enter next."""
        try:
            with os.scandir(self._folder / folder) as entries:
                found = {entry.name: entry for entry in entries if not self._ignoring(entry.name)}
                session = found.get(SESSION_FILE)
                if session is not None and session.is_file(follow_symlinks=False):
                    self._see_bundle(folder or ".")
                    return []
                prefix = f"{folder}/" if folder else ""
                return [prefix + name for name, entry in sorted(found.items()) if self._see(prefix + name, entry)]
        except FileNotFoundError:
            return []
        except OSError as error:
            self._troubles[folder or "."] = f"cannot be read: {error.strerror or error}"
            return []

    def _see(self, path: str, entry: os.DirEntry[str]) -> bool:
        """Note a file; returns whether it is a folder instead."""
        if entry.is_symlink():
            self._troubles[path] = "is a link: not followed, not sent"
            return False
        if entry.is_dir(follow_symlinks=False):
            return True
        try:
            status = os.lstat(entry.path)  # the entry's own result has no inode on Windows, and may be old there
        except FileNotFoundError:
            return False
        except OSError as error:
            self._troubles[path] = f"cannot be looked at: {error.strerror or error}"
            return False
        if stat.S_ISREG(status.st_mode):
            self._sightings.append(Sighting(path, False, sign(Signature.of(status)), status.st_size))
        return False

    def _see_bundle(self, folder: str) -> None:
        try:
            members = list_members(self._folder / folder, self._ignoring)
            signatures = {member: Signature.of(path.lstat()) for member, path in members.items()}
        except BadInput as error:
            self._troubles[folder] = str(error)
        except OSError as error:
            self._troubles[folder] = f"cannot be looked at: {error.strerror or error}"
        else:
            size_bytes = sum(signature.size for signature in signatures.values())
            self._sightings.append(Sighting(folder, True, sign_bundle(signatures), size_bytes))

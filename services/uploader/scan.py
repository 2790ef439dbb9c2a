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

    ``troubles`` holds, by path, what could not be looked at or is not sent; with ``is_whole`` false, files may be
    missing from ``sightings`` that are still there.
    """

    sightings: tuple[Sighting, ...]
    troubles: dict[str, str]
    is_whole: bool


class Scan:
    """One look into ``folder``; folders with ``session.json`` are bundles, whatever lies below them."""

    def __init__(self, folder: Path, ignoring: Ignoring) -> None:
        self._folder = folder
        self._ignoring = ignoring
        self._sightings: list[Sighting] = []
        self._troubles: dict[str, str] = {}
        self._is_whole = True

    def run(self) -> Look:
        """Return what is there.

        Raises:
            OSError: the folder itself cannot be read.
        """
        with os.scandir(self._folder):
            pass
        pending = [self._folder]
        while pending:
            pending += self._enter(pending.pop())
        return Look(tuple(self._sightings), self._troubles, self._is_whole)

    def _enter(self, folder: Path) -> list[Path]:
        """Note what is in a folder; returns the folders to enter next."""
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if not self._ignoring(entry.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            self._trouble(folder, f"cannot be read: {error.strerror or error}")
            self._is_whole = False
            return []
        if SESSION_FILE in names and (folder / SESSION_FILE).is_file():
            self._see_bundle(folder)
            return []
        return [path for name in names if self._see(path := folder / name)]

    def _see(self, path: Path) -> bool:
        """Note a file; returns whether it is a folder instead."""
        try:
            status = path.lstat()
        except FileNotFoundError:
            return False
        except OSError as error:
            self._trouble(path, f"cannot be looked at: {error.strerror or error}")
            self._is_whole = False
            return False
        if stat.S_ISLNK(status.st_mode):
            self._trouble(path, "is a link: not followed, not sent")
        elif stat.S_ISREG(status.st_mode):
            self._sightings.append(Sighting(self._relative(path), False, sign(Signature.of(status))))
        return stat.S_ISDIR(status.st_mode)

    def _see_bundle(self, folder: Path) -> None:
        try:
            members = list_members(folder, self._ignoring)
            signatures = {member: Signature.of(path.lstat()) for member, path in members.items()}
        except (BadInput, OSError) as error:
            self._trouble(folder, str(error))
            self._is_whole = False
            return
        self._sightings.append(Sighting(self._relative(folder), True, sign_bundle(signatures)))

    def _trouble(self, path: Path, reason: str) -> None:
        self._troubles[self._relative(path)] = reason

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

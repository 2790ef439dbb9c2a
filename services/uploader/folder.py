"""Folders: which files belong to a bundle, and what a probing session names."""

import fnmatch
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from services.uploader.errors import BadInput

SESSION_FILE = "session.json"
SESSION_BYTES = 64 << 20
IGNORED = (
    ".*",
    "~*",
    "*~",
    "#*#",
    "*.tmp",
    "*.temp",
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.swp",
    "*.lock",
    "*.lck",
)
IGNORED_NAMES = ("Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information", "lost+found")
_SESSION_KEYS = ("netlist", "patterns", "fails", "placement", "simulation", "delays", "layout")


class Ignoring:
    """Names of files and folders that are not the instrument's data, by shell ``patterns``, whatever their case."""

    def __init__(self, patterns: Iterable[str] = (*IGNORED, *IGNORED_NAMES)) -> None:
        self._pattern = re.compile("|".join(fnmatch.translate(pattern.lower()) for pattern in patterns) or r"(?!)")

    def __call__(self, name: str) -> bool:
        """Return whether ``name`` matches a pattern."""
        return self._pattern.match(name.lower()) is not None


@dataclass(frozen=True)
class Listing:
    """What lies in a folder and below: regular files, links (never followed), folders that could not be read."""

    files: tuple[Path, ...]
    links: tuple[Path, ...]
    unreadable: tuple[Path, ...]


def list_files(folder: Path, ignoring: Ignoring) -> Listing:
    """Return every file below ``folder`` that is not ignored, sorted."""
    files: list[str] = []
    links: list[str] = []
    unreadable: list[str] = []
    pending = [str(folder)]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if ignoring(entry.name):
                        continue
                    if entry.is_symlink():
                        links.append(entry.path)
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        files.append(entry.path)
        except OSError:
            unreadable.append(current)
    return Listing(*(tuple(sorted(map(Path, paths))) for paths in (files, links, unreadable)))


def list_members(folder: Path, ignoring: Ignoring) -> dict[str, Path]:
    """Return the files of a bundle by their path in it (forward slashes, Unicode normal form C).

    Raises:
        BadInput: the folder is empty, cannot be read, or holds links or two files of the same name.
    """
    listing = list_files(folder, ignoring)
    if listing.unreadable:
        raise BadInput(listing.unreadable[0], "cannot be read")
    if listing.links:
        raise BadInput(listing.links[0], "is a link, and a bundle holds files only")
    members: dict[str, Path] = {}
    for path in listing.files:
        member = unicodedata.normalize("NFC", path.relative_to(folder).as_posix())
        if member in members:
            raise BadInput(path, "has the same name as another file once Unicode is normalised")
        members[member] = path
    if not members:
        raise BadInput(folder, "holds no file")
    return members


def check_session(folder: Path, ignoring: Ignoring) -> None:
    """Check that a probing session has every file that it names; a folder without ``session.json`` has.

    Raises:
        BadInput: files are missing, or a pattern says to ignore them.
    """
    document = _read_session(folder)
    named = sorted(set(_named_files(document)))
    missing = [name for name in named if not _is_there(folder, name)]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BadInput(folder, f"{SESSION_FILE} names files that are not there: {', '.join(missing[:3])}{more}")
    ignored = [name for name in named if any(ignoring(part) for part in PurePosixPath(name).parts if part != "..")]
    if ignored:
        raise BadInput(folder, f"{SESSION_FILE} names {ignored[0]}, which a pattern says to ignore")


def _read_session(folder: Path) -> dict[str, object]:
    """A document that cannot be understood names nothing: it is sent, and the service tells what is wrong with it."""
    try:
        with (folder / SESSION_FILE).open("rb") as file:
            document = json.loads(file.read(SESSION_BYTES).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _named_files(document: dict[str, object]) -> Iterator[str]:
    for key in _SESSION_KEYS:
        value = document.get(key)
        if isinstance(value, str) and value:
            yield value
    for key in ("waveforms", "maps"):
        entries = document.get(key)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("file"), str) and entry["file"]:
                yield entry["file"]


def _is_there(folder: Path, name: str) -> bool:
    """A path that leaves the folder never will be: it counts as there, and the service refuses the session."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or "\x00" in name:
        return True
    if (folder / name).is_file():
        return True
    wanted = unicodedata.normalize("NFC", name)
    parent = (folder / name).parent
    try:
        return any(
            unicodedata.normalize("NFC", path.relative_to(folder).as_posix()) == wanted for path in parent.iterdir()
        )
    except OSError:
        return False

"""What the uploader takes from its surroundings: the key, and where it keeps its own files."""

import hashlib
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from services.uploader.exchange import is_loopback

DEFAULT_URL = "http://127.0.0.1:8460"

UPLOADER_VARIABLES = (
    ("FAULTLIGHT_URL", f"`{DEFAULT_URL}`", "the service's address; also `--url`"),
    ("FAULTLIGHT_KEY", "unset", "the API key"),
    (
        "FAULTLIGHT_KEY_FILE",
        "unset",
        "a file with the key, read again when the service stops accepting the old one; where `FAULTLIGHT_KEY` is unset",
    ),
    ("FAULTLIGHT_PROGRAM", "unset", "the program the data belongs to; also `--program`; an instrument's key knows it"),
    (
        "FAULTLIGHT_STATE_DIR",
        "`$STATE_DIRECTORY` under systemd, `~/.local/state/faultlight`, or `%LOCALAPPDATA%\\faultlight`",
        "where journals are kept",
    ),
    ("FAULTLIGHT_JOURNAL", "one per folder in that place", "the journal of `watch` and `status`; also `--journal`"),
    ("FAULTLIGHT_MAX_RATE", "no cap", "most bytes sent per second, such as `500k` or `2M`; also `--max-rate`"),
    (
        "FAULTLIGHT_QUIET_HOURS",
        "none",
        "when `watch` sends nothing, local time, such as `22:00-06:00,12:00-13:00`; also `--quiet-hours`",
    ),
)
"""Every environment variable that the uploader reads: name, default, and what it is."""


def read_key() -> str:
    """Return the key from ``FAULTLIGHT_KEY``, or from the file that ``FAULTLIGHT_KEY_FILE`` names.

    Raises:
        ValueError: there is none.
    """
    key = os.environ.get("FAULTLIGHT_KEY", "").strip()
    if key:
        return key
    name = os.environ.get("FAULTLIGHT_KEY_FILE", "")
    if not name:
        raise ValueError("no key: set FAULTLIGHT_KEY or FAULTLIGHT_KEY_FILE")
    try:
        key = Path(name).read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise ValueError(f"the key file {name} cannot be read: {error}") from error
    if not key:
        raise ValueError(f"the key file {name} is empty")
    return key


def state_folder() -> Path:
    """Return where journals are kept.

    The first of ``FAULTLIGHT_STATE_DIR``, systemd's ``STATE_DIRECTORY``, and the user's place for such files.
    """
    for name in ("FAULTLIGHT_STATE_DIR", "STATE_DIRECTORY"):
        if value := os.environ.get(name, "").split(os.pathsep)[0]:
            return Path(value)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "faultlight"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "faultlight"


def journal_path(folder: Path) -> Path:
    """Return the default journal of a watched folder."""
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    return state_folder() / f"watch-{digest[:16]}.sqlite"


def list_journals() -> list[Path]:
    """Return every watch journal in the default place."""
    return sorted(state_folder().glob("watch-*.sqlite"))


def sends_key_in_clear(url: str) -> bool:
    """Return whether the key would cross a network unencrypted."""
    return urlsplit(url).scheme == "http" and not is_loopback(url)

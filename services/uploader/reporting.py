"""What the commands print: JSON lines for machines, plain lines and a progress bar for people."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.text import Text

from services.uploader.errors import show
from services.uploader.observer import Observer


def print_json(document: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Write one document as one line."""
    stream = stream or sys.stdout
    stream.write(json.dumps(document, ensure_ascii=True, allow_nan=False) + "\n")
    stream.flush()


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Write one line; characters that the terminal does not have are escaped."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def format_bytes(count: int) -> str:
    """Return a number of bytes for people."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def format_duration(seconds: float) -> str:
    """Return a duration for people."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


class EventLines:
    """One line per event of a watch, with the time of the PC's clock in UTC."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        """Print one event."""
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if "path" in facts:
            facts = {**facts, "path": show(str(facts["path"]))}
        if self._as_json:
            print_json({"at": at, "event": event, **facts})
            return
        details = [str(facts["path"])] if "path" in facts else []
        if event == "sent":
            details.append(f"{format_bytes(facts['sent_bytes'])} sent")
        if "until" in facts:
            details.append(f"nothing is sent until {facts['until']}")
        reason = facts.get("reason") or facts.get("message")
        if reason:
            details.append(str(reason))
        if "wait_s" in facts:
            details.append(f"next try in {format_duration(facts['wait_s'])}")
        print_line(f"{at} {event:12} {'; '.join(details)}".rstrip())


class ProgressBar(Observer):
    """A bar on the terminal's standard error; nothing where that is no terminal. To be used in a ``with`` block."""

    def __init__(self, *, visible: bool) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
            disable=not (visible and self._console.is_terminal),
        )
        self._visible = visible
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def hashing(self, name: str, done: int, total: int) -> None:
        """Move the bar."""
        self._update("hashing", name, done, total)

    def sending(self, name: str, done: int, total: int) -> None:
        """Move the bar."""
        self._update("sending", name, done, total)

    def waiting(self, name: str, wait_s: float, reason: str) -> None:
        """Say why it waits, above the bar."""
        if self._visible:
            self._console.print(Text(f"{name}: {reason}; next try in {wait_s:.1f} s"), soft_wrap=True)

    def _update(self, what: str, name: str, done: int, total: int) -> None:
        for key in [key for key in self._tasks if key != (what, name)]:
            self._progress.remove_task(self._tasks.pop(key))
        if (what, name) not in self._tasks:
            self._tasks[what, name] = self._progress.add_task(f"{what} {name}", total=total, note="")
        self._progress.update(self._tasks[what, name], completed=done, total=total)

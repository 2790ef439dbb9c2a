"""The watch journal: what has been seen in the folder, and how far each file or bundle has come.

SQLite with a write-ahead log and ``synchronous=FULL``: what was told as seen, sent or refused is on the disk. Steps in
between (hashed, being sent) wait for the disk together with the next of those: with 100,000 small files that is one
wait for each and not five. Each step is one statement that applies only to the state of the files that it was decided
on, so a crash between any two leaves a journal that is behind, never one that is wrong; what is behind is done again
and the service knows what it has.
"""

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

VERSION = 1
KEEP_GONE_S = 30 * 86400.0
KEEP_UNFINISHED_S = 30 * 86400.0

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    is_bundle INTEGER NOT NULL,
    signature TEXT NOT NULL,
    state TEXT NOT NULL,
    prepared TEXT,
    sha256 TEXT,
    size_bytes INTEGER,
    reason TEXT,
    outcome_id TEXT,
    job_id TEXT,
    seen_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    gone_at REAL
);
CREATE INDEX item_state ON item (state);
CREATE TABLE unfinished (key TEXT PRIMARY KEY, upload_id TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
"""


class State(StrEnum):
    """How far a file or bundle has come."""

    SEEN = "seen"
    HASHED = "hashed"
    UPLOADING = "uploading"
    DONE = "done"
    REFUSED = "refused"


FINAL = (State.DONE, State.REFUSED)


class JournalBusy(Exception):  # noqa: N818
    """Another process watches with this journal."""


class JournalTooNew(Exception):  # noqa: N818
    """A later version of the program has written this journal."""


@dataclass(frozen=True)
class Item:
    """A file or bundle of the folder; ``path`` is relative to it, times are seconds since the epoch."""

    path: str
    is_bundle: bool
    signature: str
    state: State
    prepared: str | None
    sha256: str | None
    size_bytes: int | None
    reason: str | None
    seen_at: float
    gone_at: float | None


@dataclass(frozen=True)
class Sighting:
    """A file or bundle as a look into the folder found it."""

    path: str
    is_bundle: bool
    signature: str
    size_bytes: int = 0


@dataclass(frozen=True)
class Backlog:
    """What is not sent yet; ``oldest_waiting_s`` is how long the first of it has been known, by the wall clock."""

    waiting_files: int
    waiting_bytes: int
    oldest_waiting_s: float | None
    refused_files: int


_COLUMNS = "path, is_bundle, signature, state, prepared, sha256, size_bytes, reason, seen_at, gone_at"


def _item(row: tuple[Any, ...]) -> Item:
    return Item(os.fsdecode(row[0]), bool(row[1]), row[2], State(row[3]), *row[4:])


class Journal:
    """The journal at ``path``, made when missing; one that is damaged is set aside and begun anew.

    ``clock`` gives seconds since the epoch, for people; nothing is decided by it but when rows of files that are
    gone are dropped.

    Raises:
        JournalTooNew: a later version has written it.
        sqlite3.Error, OSError: it cannot be made.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self.was_damaged: Path | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = self._open()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self.was_damaged = self._set_aside()
            self._connection = self._open()
        self.agent_id = self.notes()["agent"]
        """Who the agent with this journal is, for the service: a UUID made together with the journal."""

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30.0, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("the journal is damaged")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise JournalTooNew(f"{self.path} is of version {version}, this program knows {VERSION}")
            if version == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('agent', ?)", (str(uuid.uuid4()),))
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self) -> Path:
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(self._clock())}")
        self.path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return aside

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def aim(self, target: str) -> None:
        """Say where and to which program things are sent; what was done for another target is to be done again."""
        with self._transaction() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = 'target'").fetchone()
            if row is not None and row[0] == target:
                return
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('target', ?)", (target,))
            connection.execute(
                "UPDATE item SET state = 'hashed', reason = NULL, outcome_id = NULL, job_id = NULL "
                "WHERE state IN ('uploading', 'done', 'refused') AND prepared IS NOT NULL"
            )

    def note(self, name: str, value: str) -> None:
        """Keep a fact for ``faultlight status``: ``folder``, or ``trouble`` (empty when there is none)."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def notes(self) -> dict[str, str]:
        """Return the kept facts by name."""
        return dict(self._connection.execute("SELECT name, value FROM meta").fetchall())

    def known(self) -> dict[str, Item]:
        """Return every item by its path, without what is prepared."""
        columns = _COLUMNS.replace("prepared", "NULL")
        rows = self._connection.execute(f"SELECT {columns} FROM item ORDER BY id")
        return {item.path: item for item in map(_item, rows)}

    def backlog(self) -> Backlog:
        """Return what is in the folder and not sent yet."""
        query = (
            "SELECT count(*), coalesce(sum(size_bytes), 0), min(seen_at) FROM item "
            "WHERE gone_at IS NULL AND state IN ('seen', 'hashed', 'uploading')"
        )
        count, size_bytes, oldest = self._connection.execute(query).fetchone()
        query = "SELECT count(*) FROM item WHERE gone_at IS NULL AND state = 'refused'"
        (refused,) = self._connection.execute(query).fetchone()
        age_s = None if oldest is None else max(0.0, self._clock() - oldest)
        return Backlog(count, size_bytes, age_s, refused)

    def find(self, path: str) -> Item | None:
        """Return the item at ``path``."""
        row = self._connection.execute(f"SELECT {_COLUMNS} FROM item WHERE path = ?", (os.fsencode(path),)).fetchone()
        return _item(row) if row is not None else None

    def see(self, sightings: Iterable[Sighting]) -> None:
        """Begin with files that are new, or in another state than before; nothing that was known of them counts."""
        now = self._clock()
        rows = [
            (os.fsencode(each.path), each.is_bundle, each.signature, each.size_bytes, now, now) for each in sightings
        ]
        if not rows:
            return
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO item (path, is_bundle, signature, size_bytes, state, seen_at, changed_at) "
                "VALUES (?, ?, ?, ?, 'seen', ?, ?) ON CONFLICT (path) DO UPDATE SET is_bundle = excluded.is_bundle, "
                "signature = excluded.signature, size_bytes = excluded.size_bytes, state = 'seen', prepared = NULL, "
                "sha256 = NULL, reason = NULL, outcome_id = NULL, job_id = NULL, gone_at = NULL, "
                "changed_at = excluded.changed_at, "
                "seen_at = CASE WHEN item.state IN ('done', 'refused') THEN excluded.seen_at ELSE item.seen_at END",
                rows,
            )

    def hashed(self, sighting: Sighting, prepared: str, sha256: str, size_bytes: int) -> None:
        """Keep what is ready to be sent."""
        with self._lazily():
            self._advance(
                sighting,
                "state = 'hashed', prepared = ?, sha256 = ?, size_bytes = ?, reason = NULL",
                (prepared, sha256, size_bytes),
            )

    def uploading(self, sighting: Sighting) -> None:
        """Say that sending begins."""
        with self._lazily():
            self._advance(sighting, "state = 'uploading'", ())

    def done(self, sighting: Sighting, outcome_id: str, job_id: str | None) -> None:
        """Say that the service has it, as which file or bundle, and the id of its ingest job."""
        self._advance(sighting, "state = 'done', reason = NULL, outcome_id = ?, job_id = ?", (outcome_id, job_id))

    def refused(self, sighting: Sighting, reason: str) -> None:
        """Say that the service will never have it."""
        self._advance(sighting, "state = 'refused', reason = ?", (reason,))

    def waits(self, sighting: Sighting, reason: str) -> None:
        """Say why it has not gone on."""
        with self._lazily():
            self._advance(sighting, "reason = ?", (reason,))

    @contextmanager
    def _lazily(self) -> Iterator[None]:
        """Do not wait for the disk: a power cut may take the step back, together with all that follow it."""
        self._connection.execute("PRAGMA synchronous=NORMAL")
        try:
            yield
        finally:
            self._connection.execute("PRAGMA synchronous=FULL")

    def _advance(self, sighting: Sighting, change: str, values: tuple[Any, ...]) -> None:
        self._connection.execute(
            f"UPDATE item SET {change}, changed_at = ? WHERE path = ? AND signature = ?",
            (*values, self._clock(), os.fsencode(sighting.path), sighting.signature),
        )

    def gone(self, paths: Iterable[str]) -> None:
        """Say that files are not in the folder any more."""
        rows = [(self._clock(), os.fsencode(path)) for path in paths]
        if rows:
            with self._transaction() as connection:
                connection.executemany("UPDATE item SET gone_at = ? WHERE path = ? AND gone_at IS NULL", rows)

    def drop(self, paths: Iterable[str]) -> None:
        """Forget files that have become members of a bundle."""
        rows = [(os.fsencode(path),) for path in paths]
        if rows:
            with self._transaction() as connection:
                connection.executemany("DELETE FROM item WHERE path = ?", rows)

    def back(self, paths: Iterable[str]) -> None:
        """Say that files are in the folder again, as they were."""
        rows = [(os.fsencode(path),) for path in paths]
        if rows:
            with self._transaction() as connection:
                connection.executemany("UPDATE item SET gone_at = NULL WHERE path = ?", rows)

    def prune(self) -> None:
        """Drop what was gone long ago, so that the journal is no larger than the folder and a month of its past."""
        now = self._clock()
        with self._transaction() as connection:
            connection.execute("DELETE FROM item WHERE gone_at < ?", (now - KEEP_GONE_S,))
            connection.execute("DELETE FROM unfinished WHERE at < ?", (now - KEEP_UNFINISHED_S,))

    def recall(self, key: str) -> str | None:
        """Return the id of the unfinished upload of ``key``."""
        row = self._connection.execute("SELECT upload_id FROM unfinished WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row is not None else None

    def remember(self, key: str, upload_id: str) -> None:
        """Keep the id of an unfinished upload."""
        with self._lazily():
            row = (key, upload_id, self._clock())
            self._connection.execute("INSERT OR REPLACE INTO unfinished VALUES (?, ?, ?)", row)

    def forget(self, key: str) -> None:
        """Drop the id of an upload that is finished."""
        with self._lazily():
            self._connection.execute("DELETE FROM unfinished WHERE key = ?", (key,))


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the right to use the journal at ``path`` alone; the system lets go of it when the process dies.

    Raises:
        JournalBusy: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path.with_name(path.name + ".lock"), timeout=0.0, isolation_level=None)
    try:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise JournalBusy(f"another process uses {path}") from error
        yield
    finally:
        connection.close()

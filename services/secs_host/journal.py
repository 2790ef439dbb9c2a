"""The host's journal of messages: on the disk before anything is acknowledged.

SQLite with a write-ahead log and ``synchronous=FULL``: a commit that returned survives a power cut. Messages have
numbers without gaps; segments (ranges of numbers) become files, which are uploaded.

What is doubled and what is not: an acknowledgement can be lost with the connection, and then the equipment sends the
message again. A message is *confirmed* when the equipment answered a linktest that was sent after the acknowledgement
on the same connection: then it has read the acknowledgement. While one is unconfirmed,

* the same content with the same system bytes over a later connection is a repeat: acknowledged again, listed as such,
  not read twice;
* the same content with other system bytes over a later connection, or with the same ones over the same connection, may
  be a repeat or a new message: it is kept as a new one and marked. Nobody but the equipment can tell, and a host that
  guessed would lose events.

System bytes alone decide nothing: equipment counts from 1 again after it restarts.
"""

import hashlib
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from instruments.secs.journal_lines import Heading, Received
from services.secs_host.frames import Frame

VERSION = 1

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE message (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    received_s REAL NOT NULL,
    connection INTEGER NOT NULL,
    session INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    function INTEGER NOT NULL,
    wait INTEGER NOT NULL,
    system INTEGER NOT NULL,
    body BLOB NOT NULL,
    digest BLOB NOT NULL,
    confirmed INTEGER NOT NULL,
    repeat_of INTEGER,
    may_repeat INTEGER
);
CREATE INDEX message_unconfirmed ON message (digest) WHERE confirmed = 0;
CREATE TABLE segment (
    id INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    map TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    changed_s REAL NOT NULL
);
"""


class JournalTooNew(Exception):  # noqa: N818
    """A later version of the program has written this journal."""


@dataclass(frozen=True)
class Limits:
    """When a segment is full: messages, bytes of bodies, age of its first message."""

    messages: int = 50_000
    body_bytes: int = 2 << 20
    age_s: float = 300.0


@dataclass(frozen=True)
class Segment:
    """A range of messages; ``state`` is ``closed``, ``written``, ``uploaded`` or ``refused``."""

    id: int
    first: int
    last: int
    map_text: str
    state: str
    reason: str | None


class MessageJournal:
    """The journal at ``path``, made when missing; safe for several threads.

    Args:
        path: the SQLite file.
        equipment: whose messages they are.
        map_document: the configuration that explains them, as JSON; when it changes, a new segment begins.
        repeat_window_s: how long an unconfirmed message is remembered to recognise it.
        clock: seconds since the epoch.

    Raises:
        JournalTooNew: a later version has written it.
        sqlite3.Error: it cannot be made or is damaged.
    """

    def __init__(
        self,
        path: Path,
        equipment: str,
        map_document: Any,
        *,
        repeat_window_s: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.equipment = equipment
        self._clock = clock
        self._repeat_window_s = repeat_window_s
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
        try:
            self._set_up(path)
            self._adopt_map(json.dumps(map_document, ensure_ascii=False, sort_keys=True))
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self, path: Path) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise JournalTooNew(f"{path} is of version {version}, this program knows {VERSION}")
        if version == 0:
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('journal', ?)", (str(uuid.uuid4()),))
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('connection', '0')")
        self.id = self._note("journal")

    def _adopt_map(self, text: str) -> None:
        """Use another configuration from now on; what came before keeps the one that it came under."""
        before = self._connection.execute("SELECT value FROM meta WHERE name = 'map'").fetchone()
        if before is not None and before[0] != text:
            while self.close_segment(Limits(age_s=0.0)):
                pass
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('map', ?)", (text,))

    def _note(self, name: str) -> str:
        return str(self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def begin_connection(self) -> int:
        """Return the number of a new connection; raises ``sqlite3.Error`` when the journal cannot be written."""
        with self._transaction():
            number = int(self._note("connection")) + 1
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'connection'", (str(number),))
            before = self._clock() - self._repeat_window_s
            self._connection.execute(
                "UPDATE message SET confirmed = 1 WHERE confirmed = 0 AND received_s < ?", (before,)
            )
            self._connection.execute(
                "DELETE FROM message WHERE confirmed = 1 AND EXISTS (SELECT 1 FROM segment "
                "WHERE state = 'uploaded' AND message.n BETWEEN first AND last)"
            )
        return number

    def keep(self, connection: int, frames: Sequence[Frame]) -> list[int]:
        """Write messages down and return their numbers; when it returns they are on the disk.

        Raises:
            sqlite3.Error: they are not, none of them.
        """
        with self._transaction():
            return [self._keep_one(connection, frame) for frame in frames]

    def _keep_one(self, connection: int, frame: Frame) -> int:
        head = f"{frame.session_id} {frame.byte_2} {frame.byte_3} ".encode()
        digest = hashlib.sha256(head + frame.body).digest()
        repeat_of, may_repeat = self._find_repeated(connection, frame, digest)
        now = self._clock()
        cursor = self._connection.execute(
            "INSERT INTO message (at, received_s, connection, session, stream, function, wait, system, body, digest, "
            "confirmed, repeat_of, may_repeat) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
                now,
                connection,
                frame.session_id,
                frame.stream,
                frame.function,
                frame.wants_reply,
                frame.system_bytes,
                frame.body,
                digest,
                repeat_of is not None or not frame.wants_reply,
                repeat_of,
                may_repeat,
            ),
        )
        return int(cursor.lastrowid or 0)

    def _find_repeated(self, connection: int, frame: Frame, digest: bytes) -> tuple[int | None, int | None]:
        rows = self._connection.execute(
            "SELECT n, system, connection FROM message "
            "WHERE digest = ? AND confirmed = 0 AND received_s >= ? ORDER BY n",
            (digest, self._clock() - self._repeat_window_s),
        ).fetchall()
        for n, system, earlier in reversed(rows):
            if system == frame.system_bytes:
                return (n, None) if earlier < connection else (None, n)
        for n, _, earlier in rows:
            if earlier < connection:
                self._connection.execute("UPDATE message SET confirmed = 1 WHERE n = ?", (n,))
                return None, n
        return None, None

    def confirm(self, connection: int, up_to: int) -> None:
        """Note that the equipment has read the acknowledgements of a connection's messages up to a number."""
        with self._transaction():
            self._connection.execute(
                "UPDATE message SET confirmed = 1 WHERE confirmed = 0 AND n <= ?1 AND (connection = ?2 OR n IN "
                "(SELECT repeat_of FROM message WHERE connection = ?2 AND n <= ?1 AND repeat_of IS NOT NULL))",
                (up_to, connection),
            )

    def count(self) -> int:
        """Return how many messages have been written down, ever."""
        with self._lock:
            row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'message'").fetchone()
        return int(row[0]) if row else 0

    def messages(self, first: int, last: int) -> Iterator[Received]:
        """Yield the messages from ``first`` to ``last``."""
        for number in range(first, last + 1):
            with self._lock:
                row = self._connection.execute(
                    "SELECT n, at, connection, session, stream, function, wait, system, body, repeat_of, may_repeat "
                    "FROM message WHERE n = ?",
                    (number,),
                ).fetchone()
            n, at, connection, session, stream, function, wait, system, body, repeat_of, may_repeat = row
            yield Received(
                n, at, connection, session, stream, function, bool(wait), system, body, repeat_of, may_repeat
            )

    def close_segment(self, limits: Limits) -> Segment | None:
        """Close the open segment if it is full, and return it; of a long one, as much as a segment may hold."""
        with self._transaction():
            (last,) = self._connection.execute("SELECT COALESCE(MAX(last), 0) FROM segment").fetchone()
            rows = self._connection.execute(
                "SELECT n, LENGTH(body), received_s FROM message WHERE n > ? ORDER BY n LIMIT ?",
                (last, limits.messages),
            ).fetchall()
            if not rows:
                return None
            size, end = 0, 0
            for index, (_, body_bytes, _) in enumerate(rows):
                if index and size + body_bytes > limits.body_bytes:
                    break
                size, end = size + body_bytes, index + 1
            is_full = end < len(rows) or end >= limits.messages or size >= limits.body_bytes
            if not is_full and self._clock() - rows[0][2] < limits.age_s:
                return None
            cursor = self._connection.execute(
                "INSERT INTO segment (first, last, map, state, changed_s) VALUES (?, ?, ?, 'closed', ?)",
                (rows[0][0], rows[end - 1][0], self._note("map"), self._clock()),
            )
            number = int(cursor.lastrowid or 0)
        return self.segment(number)

    def segment(self, number: int) -> Segment:
        """Return a segment."""
        with self._lock:
            row = self._connection.execute(
                "SELECT id, first, last, map, state, reason FROM segment WHERE id = ?", (number,)
            ).fetchone()
        return Segment(*row)

    def segments(self, state: str) -> list[Segment]:
        """Return the segments in ``state``, the oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, first, last, map, state, reason FROM segment WHERE state = ? ORDER BY id", (state,)
            ).fetchall()
        return [Segment(*row) for row in rows]

    def heading(self, segment: Segment) -> Heading:
        """Return what the file of a segment begins with."""
        return Heading(self.id, self.equipment, segment.id, segment.first, json.loads(segment.map_text))

    def mark(self, segment: Segment, state: str, reason: str | None = None) -> None:
        """Note how far a segment has come; messages of one that is uploaded are dropped once they are confirmed."""
        with self._transaction():
            self._connection.execute(
                "UPDATE segment SET state = ?, reason = ?, changed_s = ? WHERE id = ?",
                (state, reason, self._clock(), segment.id),
            )
            if state == "uploaded":
                self._connection.execute(
                    "DELETE FROM message WHERE n BETWEEN ? AND ? AND confirmed = 1", (segment.first, segment.last)
                )

    def uploaded_before(self, seconds: float) -> list[Segment]:
        """Return the segments that were uploaded more than ``seconds`` ago."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, first, last, map, state, reason FROM segment WHERE state = 'uploaded' AND changed_s < ?",
                (self._clock() - seconds,),
            ).fetchall()
        return [Segment(*row) for row in rows]

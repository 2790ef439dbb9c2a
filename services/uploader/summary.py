"""What ``faultlight status`` tells of the watch journals."""

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.uploader.errors import show

MAX_REFUSED_SHOWN = 100


@dataclass(frozen=True)
class RefusedItem:
    """A file or bundle that the service will not have, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """A journal's counts; ``oldest_waiting_s`` is how long the first of the waiting has been known.

    ``lost`` counts what left the folder before it was sent; ``trouble`` is why nothing can be sent, if so.
    """

    journal: str
    folder: str
    target: str
    waiting: int
    waiting_states: Mapping[str, int]
    waiting_reasons: Mapping[str, int]
    sent: int
    refused: int
    lost: int
    oldest_waiting: str | None
    oldest_waiting_s: float | None
    trouble: str | None
    refused_items: tuple[RefusedItem, ...]

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON tells it."""
        return asdict(self)


def summarize(path: Path, now: float) -> Summary:
    """Return the summary of the journal at ``path`` without changing it; ``now`` is seconds since the epoch.

    Raises:
        sqlite3.Error: it is no journal, or it is damaged.
    """
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
    try:
        notes = dict(connection.execute("SELECT name, value FROM meta").fetchall())
        present = "gone_at IS NULL"
        states = dict(connection.execute(f"SELECT state, count(*) FROM item WHERE {present} GROUP BY state").fetchall())
        waiting = f"{present} AND state IN ('seen', 'hashed', 'uploading')"
        reasons = dict(
            connection.execute(
                f"SELECT reason, count(*) FROM item WHERE {waiting} AND reason IS NOT NULL "
                "GROUP BY reason ORDER BY 2 DESC LIMIT 20"
            ).fetchall()
        )
        oldest = connection.execute(
            f"SELECT path, seen_at FROM item WHERE {waiting} ORDER BY seen_at, id LIMIT 1"
        ).fetchone()
        refused = connection.execute(
            f"SELECT path, reason FROM item WHERE {present} AND state = 'refused' ORDER BY id DESC LIMIT ?",
            (MAX_REFUSED_SHOWN,),
        ).fetchall()
        (lost,) = connection.execute(
            "SELECT count(*) FROM item WHERE gone_at IS NOT NULL AND state IN ('seen', 'hashed', 'uploading')"
        ).fetchone()
        (sent,) = connection.execute("SELECT count(*) FROM item WHERE state = 'done'").fetchone()
    finally:
        connection.close()
    waiting_states = {state: states.get(state, 0) for state in ("seen", "hashed", "uploading")}
    return Summary(
        journal=show(path),
        folder=notes.get("folder", ""),
        target=notes.get("target", ""),
        waiting=sum(waiting_states.values()),
        waiting_states=waiting_states,
        waiting_reasons=reasons,
        sent=sent,
        refused=states.get("refused", 0),
        lost=lost,
        oldest_waiting=show(os.fsdecode(oldest[0])) if oldest else None,
        oldest_waiting_s=max(0.0, now - oldest[1]) if oldest else None,
        trouble=notes.get("trouble") or None,
        refused_items=tuple(RefusedItem(show(os.fsdecode(row[0])), row[1] or "") for row in refused),
    )

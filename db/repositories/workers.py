"""Which workers there are: each tells of itself every few seconds, and takes its row away when it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from db.identifiers import uuid7
from db.repositories.access import Action, Caller
from db.schema.work import job
from db.schema.workers import worker

SILENT_AFTER = timedelta(seconds=45)
"""Without a sign for this long a worker counts as silent: three of its signs are missing."""
FORGET_AFTER = timedelta(days=2)
MOST_WORKERS = 500


@dataclass(frozen=True)
class GraphicsCard:
    """A card of the worker's host: memory in bytes, the part of the last second that it was busy, 0 to 1.

    ``used_bytes`` and ``busy_part`` are ``None`` where the driver does not tell them.
    """

    index: int
    name: str
    memory_bytes: int
    used_bytes: int | None
    busy_part: float | None


@dataclass(frozen=True)
class WorkerSign:
    """What a worker tells of itself; ``name`` is what it writes into ``job.worker``."""

    name: str
    queues: Sequence[str]
    cards: Sequence[GraphicsCard]
    version: str
    started_at: datetime


def keep_sign(connection: Connection, sign: WorkerSign) -> None:
    """Write the worker's row anew, seen now by the database's clock; forget those silent for ``FORGET_AFTER``."""
    told: dict[str, Any] = {
        "queues": list(sign.queues), "cards": [asdict(card) for card in sign.cards], "version": sign.version,
        "started_at": sign.started_at, "seen_at": func.now(),
    }  # fmt: skip
    statement = upsert(worker).values(id=uuid7(), name=sign.name, **told)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=told))
    connection.execute(delete(worker).where(worker.c.seen_at < func.now() - FORGET_AFTER))


def take_away(connection: Connection, name: str) -> None:
    """Remove the row of a worker that ends."""
    connection.execute(delete(worker).where(worker.c.name == name))


def list_workers(connection: Connection, caller: Caller) -> list[dict[str, Any]]:
    """Return the workers by name, each with what it does: ``idle``, ``running`` or ``silent``.

    ``job`` is the running job where the caller may read it: id, kind, when it began. Workers serve every program.
    """
    running = _running(connection)
    allowed = caller.programs(Action.READ_OPERATIONS)
    query = select(worker, (worker.c.seen_at < func.now() - SILENT_AFTER).label("silent"))
    found = connection.execute(query.order_by(worker.c.name).limit(MOST_WORKERS)).mappings()
    return [_describe(dict(row), running.get(row["name"]), allowed) for row in found]


def _running(connection: Connection) -> dict[str, Mapping[str, Any]]:
    columns = (job.c.worker, job.c.id, job.c.kind, job.c.started_at, job.c.program_id)
    query = select(*columns).where(job.c.state == "running").limit(MOST_WORKERS)
    return {row["worker"]: dict(row) for row in connection.execute(query).mappings()}


def _describe(row: dict[str, Any], running: Mapping[str, Any] | None, allowed: frozenset[Any] | None) -> dict[str, Any]:
    visible = running is not None and (allowed is None or running["program_id"] in allowed)
    names = ("name", "queues", "cards", "version", "started_at", "seen_at")
    busy = "running" if running is not None else "idle"
    return {name: row[name] for name in names} | {
        "state": "silent" if row["silent"] else busy,
        "job": {name: running[name] for name in ("id", "kind", "started_at")} if running and visible else None,
    }

"""Sweeping what crashes leave behind in the blob store: objects without a row."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import structlog
from sqlalchemy import Engine

from db.blobs import BlobInfo, BlobStore
from db.repositories import sweep
from services import telemetry

log = structlog.get_logger(__name__)

BATCH = 1000
PREFIXES = ("raw", "records", "reports", "models")


def sweep_blobs(engine: Engine, blobs: BlobStore, age_s: float) -> int:
    """Remove objects older than ``age_s`` seconds that no row refers to; return how many.

    A writer puts the object first and commits the row later, so an object is only an orphan when it is old.
    """
    before = datetime.now(UTC) - timedelta(seconds=age_s)
    removed = 0
    old = (info for prefix in PREFIXES for info in blobs.list(prefix) if info.modified_at < before)
    for batch in _batches(old):
        with engine.connect() as connection:
            orphans = sweep.find_orphans(connection, [info.key for info in batch])
        for key in orphans:
            removed += _remove(blobs, key, before)
    if removed:
        telemetry.orphans_swept.inc(removed)
        log.info("orphans_swept", count=removed)
    return removed


def _batches(items: Iterator[BlobInfo]) -> Iterator[list[BlobInfo]]:
    while batch := list(islice(items, BATCH)):
        yield batch


def _remove(blobs: BlobStore, key: str, before: datetime) -> int:
    """Remove an orphan unless the same content has been stored again since it was listed."""
    info = blobs.describe(key)
    if info is None or info.modified_at >= before:
        return 0
    blobs.delete(key)
    return 1

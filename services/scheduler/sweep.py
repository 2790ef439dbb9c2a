"""Sweeping what crashes leave behind: objects without a row, and workers' scratch folders."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import structlog
from sqlalchemy import Engine

from db.blobs import BlobInfo, BlobStore
from db.repositories import sweep
from services import telemetry

log = structlog.get_logger(__name__)

BATCH = 1000
PREFIXES = ("raw", "records")


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


def sweep_scratch(scratch: Path, age_s: float) -> int:
    """Remove folders in the workers' scratch space that nothing has changed for ``age_s`` seconds; return how many."""
    removed = 0
    if not scratch.is_dir():
        return removed
    for folder in scratch.iterdir():
        if folder.is_dir() and not folder.is_symlink() and time.time() - _last_change(folder) > age_s:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    if removed:
        log.info("scratch_swept", folders=removed)
    return removed


def _last_change(folder: Path) -> float:
    latest = 0.0
    for path in (folder, *folder.rglob("*")):
        try:
            latest = max(latest, path.lstat().st_mtime)
        except FileNotFoundError:
            latest = time.time()  # somebody is at work here
    return latest

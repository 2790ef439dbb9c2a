"""Sweeping what killed workers leave in their scratch folder."""

import shutil
import time
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


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

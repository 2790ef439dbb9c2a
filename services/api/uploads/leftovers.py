"""What crashes leave in the staging folder: files and notes of uploads that have ended."""

import uuid
from pathlib import Path

from db.repositories import uploads
from db.unit_of_work import begin
from services.api.state import ApiState


def sweep_leftovers(state: ApiState) -> int:
    """Remove what no unfinished upload owns, unless a request holds it; return how many uploads' files there were.

    A row is there before its file and ends before its file is removed: a file without an unfinished row is left over
    from a process that died in between.
    """
    found = {identity for path in state.staging.folder.iterdir() if (identity := _owner(path)) is not None}
    if not found:
        return 0
    with begin(state.engine) as unit:
        ended = found - uploads.list_unfinished(unit.connection, found)
    removed = 0
    for upload_id in ended:
        held = state.staging.try_lock(upload_id)
        if held is not None:
            held.drop()
            held.release()
            removed += 1
    return removed


def _owner(path: Path) -> uuid.UUID | None:
    """Return the upload that a file in the staging folder belongs to, ``None`` for what is not ours."""
    if path.suffix not in {".part", ".interrupt"}:
        return None
    try:
        return uuid.UUID(path.stem)
    except ValueError:
        return None

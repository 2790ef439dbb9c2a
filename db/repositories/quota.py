"""How much a program keeps, and how much is claimed by uploads on their way."""

import uuid
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from db.schema.files import program_usage, upload
from db.schema.people import program


@dataclass(frozen=True)
class Claims:
    """Bytes that are taken.

    Attributes:
        program_bytes: of the program's originals and of its unfinished, unexpired uploads.
        pending_bytes: that all unfinished, unexpired uploads of all programs have announced.
    """

    program_bytes: int
    pending_bytes: int


def lock_program(connection: Connection, program_id: uuid.UUID) -> None:
    """Let one transaction at a time claim room in the program, so that the quota holds under concurrency."""
    connection.execute(_LOCK, {"program_id": program_id})


def claims(connection: Connection, program_id: uuid.UUID) -> Claims:
    """Return what is taken in a program and by uploads on their way.

    The originals are counted as they are inserted, by a trigger; unfinished uploads have an index of their own. So the
    answer costs the same whatever the program holds.
    """
    stored, own, all_pending = connection.execute(_CLAIMS, {"program_id": program_id}).one()
    return Claims(int(stored) + int(own), int(all_pending))


_LOCK = select(program.c.id).where(program.c.id == bindparam("program_id")).with_for_update(key_share=True)
_STORED = (
    select(program_usage.c.stored_bytes).where(program_usage.c.program_id == bindparam("program_id")).scalar_subquery()
)
_SUM = func.sum(upload.c.length_bytes)
_CLAIMS = select(
    func.coalesce(_STORED, 0),
    func.coalesce(_SUM.filter(upload.c.program_id == bindparam("program_id")), 0),
    func.coalesce(_SUM, 0),
).where(upload.c.completed_at.is_(None), upload.c.expires_at > func.now())

"""How much a program keeps, and how much is claimed by uploads on their way."""

import uuid

from sqlalchemy import Connection, func, select

from db.schema.files import raw_file, upload
from db.schema.people import program


def lock_program(connection: Connection, program_id: uuid.UUID) -> None:
    """Let one transaction at a time claim room in the program, so that the quota holds under concurrency."""
    connection.execute(select(program.c.id).where(program.c.id == program_id).with_for_update(key_share=True))


def claimed_bytes(connection: Connection, program_id: uuid.UUID) -> int:
    """Return the bytes of the program's originals and of its unfinished, unexpired uploads."""
    stored = select(func.coalesce(func.sum(raw_file.c.size_bytes), 0)).where(raw_file.c.program_id == program_id)
    pending = select(func.coalesce(func.sum(upload.c.length_bytes), 0)).where(
        upload.c.program_id == program_id, upload.c.completed_at.is_(None), upload.c.expires_at > func.now()
    )
    return int(connection.execute(stored).scalar_one()) + int(connection.execute(pending).scalar_one())


def pending_bytes(connection: Connection) -> int:
    """Return the bytes that all unfinished, unexpired uploads of all programs have announced."""
    query = select(func.coalesce(func.sum(upload.c.length_bytes), 0))
    open_uploads = query.where(upload.c.completed_at.is_(None), upload.c.expires_at > func.now())
    return int(connection.execute(open_uploads).scalar_one())

"""Layouts whose nets have been traced: which object has them."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from db.identifiers import uuid7
from db.repositories.tiles import StoredBlob, insert_blob
from db.schema.data import traced_layout
from db.schema.files import blob


@dataclass(frozen=True)
class NewTrace:
    """Traced nets to be kept: whose they are, their key, the layout's hash, the tracing's version, the object."""

    program_id: uuid.UUID
    trace_key: str
    content_sha256: str
    version: str
    stored: StoredBlob


def find_trace(connection: Connection, program_id: uuid.UUID, trace_key: str) -> StoredBlob | None:
    """Return the object with the nets of this key, ``None`` when they have not been traced."""
    query = (
        select(blob.c.key, blob.c.size_bytes, blob.c.sha256)
        .join(traced_layout, traced_layout.c.blob_key == blob.c.key)
        .where(traced_layout.c.program_id == program_id, traced_layout.c.trace_key == trace_key)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredBlob(row.key, row.size_bytes, row.sha256)


def insert_trace(connection: Connection, new: NewTrace) -> bool:
    """Write the row of ``new`` and of its object; return ``False``, and write neither, when the key is there."""
    row = {
        "id": uuid7(),
        "program_id": new.program_id,
        "trace_key": new.trace_key,
        "content_sha256": new.content_sha256,
        "version": new.version,
        "blob_key": new.stored.key,
    }
    statement = postgresql_insert(traced_layout).values(row).on_conflict_do_nothing().returning(traced_layout.c.id)
    if connection.execute(statement).one_or_none() is None:
        return False
    insert_blob(connection, new.stored)
    return True


def forget_trace(connection: Connection, program_id: uuid.UUID, stored: StoredBlob) -> None:
    """Remove the rows of an object that is damaged or gone, so that the layout is traced anew."""
    connection.execute(
        delete(traced_layout).where(traced_layout.c.program_id == program_id, traced_layout.c.blob_key == stored.key)
    )
    connection.execute(delete(blob).where(blob.c.key == stored.key))


@contextmanager
def try_to_trace(engine: Engine, trace_key: str) -> Iterator[bool]:
    """Say whether this process alone may trace ``trace_key`` now; the right ends with the block or the connection."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        number = func.hashtextextended(trace_key, 0)
        held = bool(connection.execute(select(func.pg_try_advisory_lock(number))).scalar_one())
        try:
            yield held
        finally:
            if held:
                connection.execute(select(func.pg_advisory_unlock(number)))

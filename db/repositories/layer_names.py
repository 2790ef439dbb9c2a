"""What the layers of stored layouts are called, where a person has said so; each change with its audit entry."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from db.repositories import audit
from db.repositories.access import Action, Caller, Conflict
from db.repositories.audit import AuditEntry
from db.repositories.catalogue import FILES, fetch_row
from db.schema.files import raw_file
from db.schema.layers import layer_names


@dataclass(frozen=True)
class GivenNames:
    """Names by layer/datatype as somebody gave them; ``revision`` counts changes, 0 where nobody has."""

    names: Mapping[str, str]
    source: str = ""
    revision: int = 0
    set_by: str | None = None
    set_at: datetime | None = None


@dataclass(frozen=True)
class NamedFile:
    """A file whose layers somebody has named, and how many of them."""

    id: uuid.UUID
    filename: str
    layers: int


def list_named(connection: Connection, caller: Caller, but: uuid.UUID, most: int) -> list[NamedFile]:
    """Return the other files of the program of ``but`` whose layers have given names, the last named first.

    Raises:
        RowNotFound: the caller may not see ``but``.
    """
    program_id = fetch_row(connection, caller, FILES, but, ("program_id",))["program_id"]
    columns = layer_names.c
    query = select(raw_file.c.id, raw_file.c.filename, columns.names).join(
        layer_names, columns.raw_file_id == raw_file.c.id
    )
    query = query.where(columns.program_id == program_id, raw_file.c.id != but, columns.names != {})
    rows = connection.execute(query.order_by(columns.set_at.desc(), raw_file.c.id).limit(most))
    return [NamedFile(row.id, row.filename, len(row.names)) for row in rows]


def find(connection: Connection, caller: Caller, file_id: uuid.UUID) -> GivenNames:
    """Return the names given to the layers of a file; raises RowNotFound where the caller may not see the file."""
    fetch_row(connection, caller, FILES, file_id, ("id",))
    columns = layer_names.c
    query = select(columns.names, columns.source, columns.revision, columns.set_by, columns.set_at)
    row = connection.execute(query.where(columns.raw_file_id == file_id)).one_or_none()
    return GivenNames({}) if row is None else GivenNames(*row)


def give(
    connection: Connection, caller: Caller, file_id: uuid.UUID, names: Mapping[str, str], source: str, revision: int
) -> int:
    """Call the layers of a file by ``names`` in place of those of ``revision``, which was read; return the new one.

    Raises:
        RowNotFound: there is no such file that the caller may see.
        ActionDenied: the caller may not name its layers.
        Conflict: somebody has named them since ``revision``.
    """
    program_id = fetch_row(connection, caller, FILES, file_id, ("program_id",))["program_id"]
    caller.require_in(Action.ANALYSE, program_id)
    values = {"names": dict(names), "source": source, "set_by": caller.actor}
    key = layer_names.c.raw_file_id
    if revision == 0:
        first = insert(layer_names).values(raw_file_id=file_id, program_id=program_id, **values)
        done = connection.execute(first.on_conflict_do_nothing(index_elements=[key]).returning(key)).scalar()
    else:
        changed = update(layer_names).where(key == file_id, layer_names.c.revision == revision)
        changed = changed.values(**values, revision=revision + 1, set_at=func.now())
        done = connection.execute(changed.returning(key)).scalar()
    if done is None:
        raise Conflict("somebody has named the layers since they were read: look at them again")
    after = {"names": len(names), "source": source, "revision": revision + 1}
    entry = AuditEntry("layout.layers-named", "raw_file", file_id, program_id, after=after)
    audit.record(connection, caller.actor, caller.request_id, entry)
    return revision + 1

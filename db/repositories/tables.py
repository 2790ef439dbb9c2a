"""Stored tables with what they were read from, for the analyses."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from db.schema.data import data_table
from db.schema.files import ingest_event, raw_file


@dataclass(frozen=True)
class StoredTable:
    """A table's row, its file's name and sha256, and the adapter that read it."""

    row: Row[Any]
    file: str
    sha256: str
    adapter: str | None
    adapter_version: str | None


def find_tables(connection: Connection, identities: Sequence[uuid.UUID]) -> list[StoredTable]:
    """Return the tables of these ids in their order; those that do not exist are left out."""
    query = (
        select(data_table, raw_file.c.filename, raw_file.c.sha256.label("file_sha256"))
        .join(raw_file, raw_file.c.id == data_table.c.raw_file_id)
        .where(data_table.c.id.in_(identities))
    )
    found = {row.id: row for row in connection.execute(query)}
    return [_describe(connection, found[identity]) for identity in identities if identity in found]


def find_tables_of_files(
    connection: Connection, file_ids: Sequence[uuid.UUID], kinds: Collection[str]
) -> list[StoredTable]:
    """Return the tables of ``kinds`` in each file, files in their order and tables as the file has them."""
    query = (
        select(data_table, raw_file.c.filename, raw_file.c.sha256.label("file_sha256"))
        .join(raw_file, raw_file.c.id == data_table.c.raw_file_id)
        .where(data_table.c.raw_file_id.in_(file_ids), data_table.c.kind.in_(kinds))
        .order_by(data_table.c.record_index)
    )
    rows = connection.execute(query).all()
    # A file that came alone and again within a bundle was read twice: its own reading counts.
    alone = {row.raw_file_id for row in rows if row.bundle_id is None}
    found = []
    for file_id in file_ids:
        of = [row for row in rows if row.raw_file_id == file_id]
        bundles = [row.bundle_id for row in of]
        chosen = None if file_id in alone or not of else min(bundles)
        found += [_describe(connection, row) for row in of if row.bundle_id == chosen]
    return found


def _describe(connection: Connection, row: Row[Any]) -> StoredTable:
    name = "bundle_id" if row.bundle_id is not None else "raw_file_id"
    reading = connection.execute(
        select(ingest_event.c.adapter, ingest_event.c.adapter_version)
        .where(ingest_event.c[name] == getattr(row, name))
        .order_by(ingest_event.c.id.desc())
        .limit(1)
    ).one_or_none()
    adapter = (None, None) if reading is None else (reading.adapter, reading.adapter_version)
    return StoredTable(row, row.filename, row.file_sha256, *adapter)

"""Stored tables with what they were read from, for the analyses."""

import uuid
from collections.abc import Sequence
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

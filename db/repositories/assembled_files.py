"""Files that the service itself makes of what it has stored: originals like those that are uploaded, with records."""

import uuid
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from db.identifiers import uuid7
from db.repositories import ingest
from db.repositories.ingest import PackedBlob, Reading, Rows, Subject
from db.repositories.tiles import StoredBlob, insert_blob
from db.schema.data import data_table
from db.schema.files import raw_file


@dataclass(frozen=True)
class NewFile:
    """A file whose bytes are in the blob store already."""

    program_id: uuid.UUID
    name: str
    size_bytes: int
    sha256: str
    blob_key: str


def find_table(connection: Connection, new: NewFile) -> uuid.UUID | None:
    """Return the table of the file of these bytes, ``None`` when the program has not stored any."""
    query = (
        select(data_table.c.id)
        .join(raw_file, raw_file.c.id == data_table.c.raw_file_id)
        .where(raw_file.c.program_id == new.program_id, raw_file.c.sha256 == new.sha256)
        .order_by(data_table.c.id)
        .limit(1)
    )
    return connection.execute(query).scalar()


def insert_file(connection: Connection, new: NewFile) -> Subject:
    """Insert the file, unless it is there already, and return it as what is read."""
    insert_blob(connection, StoredBlob(new.blob_key, new.size_bytes, new.sha256))
    connection.execute(
        postgresql_insert(raw_file)
        .values(
            id=uuid7(),
            program_id=new.program_id,
            filename=new.name,
            size_bytes=new.size_bytes,
            sha256=new.sha256,
            blob_key=new.blob_key,
        )
        .on_conflict_do_nothing()
    )
    query = select(raw_file.c.id).where(raw_file.c.program_id == new.program_id, raw_file.c.sha256 == new.sha256)
    found = ingest.find_subject(connection, {"raw_file_id": str(connection.execute(query).scalar_one())})
    assert found is not None
    return found


def insert_table(
    connection: Connection, subject: Subject, packed: PackedBlob, rows: Rows, reading: Reading
) -> uuid.UUID:
    """Write the one table that was read in ``subject``, and that it was read; return the table's id."""
    ingest.insert_records(connection, packed, rows)
    ingest.close_reading(connection, subject, reading)
    (row,) = rows.documents["table"]
    return uuid.UUID(str(row["id"]))

"""Tiles of layouts: pictures that lie one after another in one object, found by the index in their result."""

import uuid
from dataclasses import dataclass

from sqlalchemy import Connection, cast, select
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from db.schema.files import blob
from db.schema.work import result

TILES, PICTURES = "tiles", "printing-pictures"
"""The kinds of the results that have tiles."""


@dataclass(frozen=True)
class StoredBlob:
    """An object in the blob store."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class StoredTile:
    """Where the bytes of a tile lie."""

    blob_key: str
    offset: int
    length: int


def insert_blob(connection: Connection, stored: StoredBlob) -> None:
    """Write the row of an object, so that the sweep leaves it alone."""
    connection.execute(
        postgresql_insert(blob)
        .values(key=stored.key, size_bytes=stored.size_bytes, sha256=stored.sha256)
        .on_conflict_do_nothing()
    )


def find_tile(connection: Connection, result_id: uuid.UUID, layer: str, place: str) -> StoredTile | None:
    """Return the tile ``place`` (level/x/y) of ``layer`` (layer/datatype) of a result; ``None`` where nothing is.

    Whether the caller may read the result is not asked here.
    """
    at = result.c.body.op("#>")(cast(["index", layer, place], ARRAY(TEXT)))
    mine = result.c.id == result_id, result.c.kind.in_((TILES, PICTURES))
    query = select(result.c.body["blob_key"].astext, at).where(*mine)
    row = connection.execute(query).one_or_none()
    if row is None or row[1] is None:
        return None
    return StoredTile(str(row[0]), int(row[1][0]), int(row[1][1]))

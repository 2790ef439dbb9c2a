"""Which objects of the blob store no row refers to."""

from collections.abc import Sequence

from sqlalchemy import ARRAY, Connection, Text, cast, exists, func, select

from db.blobs import raw_key
from db.schema.files import blob, upload

COMPUTED_DIGEST = "computed_sha256"
"""Where an unfinished upload keeps the server's hash once its bytes are on their way to the blob store."""


def find_orphans(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Return those of ``keys`` that no row refers to, and that no unfinished upload has moved there."""
    if not keys:
        return set()
    asked = func.unnest(cast(list(keys), ARRAY(Text))).table_valued("key").render_derived("asked")
    unknown = select(asked.c.key).where(~exists().where(blob.c.key == asked.c.key))
    digest = upload.c.metadata[COMPUTED_DIGEST].astext
    moving = select(upload.c.program_id, digest).where(upload.c.completed_at.is_(None), digest.is_not(None))
    protected = {raw_key(row[0], row[1]) for row in connection.execute(moving)}
    return set(connection.execute(unknown).scalars()) - protected

"""Uploads on their way, and the originals they become."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from db.identifiers import uuid7
from db.repositories.access import Action, Caller, Conflict, RowNotFound
from db.schema.files import blob, raw_file, upload
from db.schema.work import job

_DIGEST = "computed_sha256"


@dataclass(frozen=True)
class NewUpload:
    """What the client announces."""

    program_id: uuid.UUID
    filename: str
    length_bytes: int
    expires_at: datetime
    sha256: str | None = None
    bundle_id: uuid.UUID | None = None
    bundle_path: str | None = None
    creation_key: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Upload:
    """An upload as stored. ``digest`` is the server's own sha256 once every byte has been hashed."""

    id: uuid.UUID
    program_id: uuid.UUID
    actor: str
    instrument_id: uuid.UUID | None
    filename: str
    length_bytes: int
    sha256: str | None
    bundle_id: uuid.UUID | None
    bundle_path: str | None
    verified_offset_bytes: int
    checksum_pending: bool
    digest: str | None
    expires_at: datetime
    raw_file_id: uuid.UUID | None
    completed_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class NewOriginal:
    """A file that has arrived whole."""

    program_id: uuid.UUID
    instrument_id: uuid.UUID | None
    filename: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class KnownFile:
    """An original that is in the program already."""

    id: uuid.UUID
    program_id: uuid.UUID
    state: str
    size_bytes: int
    sha256: str


def _upload_of(row: RowMapping) -> Upload:
    names = [name for name in Upload.__dataclass_fields__ if name != "digest"]
    return Upload(digest=row["metadata"].get(_DIGEST), **{name: row[name] for name in names})


def _visible(caller: Caller) -> Select[Any]:
    """Return the query of the uploads that the caller may see: an instrument sees its own."""
    query = select(upload).where(caller.restriction(Action.UPLOAD, upload.c.program_id))
    if caller.instrument_id is not None:
        query = query.where(upload.c.instrument_id == caller.instrument_id)
    return query


def declare(connection: Connection, caller: Caller, new: NewUpload, *, complete_as: uuid.UUID | None = None) -> Upload:
    """Insert an upload for the caller, who may upload to the program; ``complete_as`` is the original it has become."""
    caller.require_in(Action.UPLOAD, new.program_id)
    values = {
        "id": uuid7(),
        "program_id": new.program_id,
        "actor": caller.actor,
        "instrument_id": caller.instrument_id,
        "filename": new.filename,
        "length_bytes": new.length_bytes,
        "sha256": new.sha256,
        "bundle_id": new.bundle_id,
        "bundle_path": new.bundle_path,
        "creation_key": new.creation_key,
        "metadata": dict(new.metadata),
        "expires_at": new.expires_at,
    }
    if complete_as is not None:
        values |= {"raw_file_id": complete_as, "completed_at": func.now(), "verified_offset_bytes": new.length_bytes}
    row = connection.execute(insert(upload).values(values).returning(upload)).mappings().one()
    return _upload_of(row)


def find_begun(connection: Connection, caller: Caller, new: NewUpload) -> Upload | None:
    """Return the unfinished upload that the caller has begun with the same creation key, and let it live on.

    To be asked under :func:`db.repositories.quota.lock_program`, so that two requests cannot both begin it.

    Raises:
        Conflict: the key was used for another file.
    """
    if new.creation_key is None:
        return None
    same = (
        upload.c.program_id == new.program_id,
        upload.c.actor == caller.actor,
        upload.c.creation_key == new.creation_key,
        upload.c.completed_at.is_(None),
    )
    expires_at = func.greatest(upload.c.expires_at, new.expires_at)
    statement = update(upload).where(*same).values(expires_at=expires_at).returning(upload)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        return None
    found = _upload_of(row)
    told = ("filename", "length_bytes", "sha256", "bundle_id", "bundle_path")
    if any(getattr(found, name) != getattr(new, name) for name in told):
        raise Conflict("the creation key belongs to an upload of another file")
    return found


def find(connection: Connection, caller: Caller, upload_id: uuid.UUID) -> Upload:
    """Return an upload that the caller may see; raises :class:`RowNotFound`."""
    row = connection.execute(_visible(caller).where(upload.c.id == upload_id)).mappings().one_or_none()
    if row is None:
        raise RowNotFound("upload", upload_id)
    return _upload_of(row)


def reread(connection: Connection, upload_id: uuid.UUID, *, lock: bool = False) -> Upload | None:
    """Return the upload as it is now, for the request that has found it and holds its staging file."""
    query = select(upload).where(upload.c.id == upload_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return _upload_of(row) if row is not None else None


def begin_verified_chunk(connection: Connection, upload_id: uuid.UUID, offset: int) -> None:
    """Note that bytes from ``offset`` on belong to a chunk whose checksum is still to be verified."""
    statement = update(upload).where(upload.c.id == upload_id)
    connection.execute(statement.values(verified_offset_bytes=offset, checksum_pending=True))


def end_chunk(connection: Connection, upload_id: uuid.UUID, offset: int, expires_at: datetime) -> None:
    """Note that every byte below ``offset`` counts, and that the upload lives until ``expires_at``."""
    statement = update(upload).where(upload.c.id == upload_id, upload.c.completed_at.is_(None))
    connection.execute(statement.values(verified_offset_bytes=offset, checksum_pending=False, expires_at=expires_at))


def record_digest(connection: Connection, upload_id: uuid.UUID, sha256: str) -> None:
    """Keep the server's own sha256, so that the blob is found again after a crash that follows the move."""
    statement = update(upload).where(upload.c.id == upload_id)
    connection.execute(statement.values(metadata=upload.c.metadata.op("||")(func.jsonb_build_object(_DIGEST, sha256))))


def mark_complete(connection: Connection, upload_id: uuid.UUID, raw_file_id: uuid.UUID) -> None:
    """Close the upload: it has become the original ``raw_file_id``."""
    statement = update(upload).where(upload.c.id == upload_id)
    connection.execute(
        statement.values(
            raw_file_id=raw_file_id,
            completed_at=func.now(),
            verified_offset_bytes=upload.c.length_bytes,
            checksum_pending=False,
        )
    )


def remove(connection: Connection, upload_id: uuid.UUID) -> bool:
    """Delete an upload that is not complete; returns whether there was one."""
    statement = delete(upload).where(upload.c.id == upload_id, upload.c.completed_at.is_(None))
    return connection.execute(statement).rowcount > 0


def list_expired(connection: Connection, limit: int = 1000) -> list[uuid.UUID]:
    """Return unfinished uploads that have expired, oldest first."""
    query = select(upload.c.id).where(upload.c.completed_at.is_(None), upload.c.expires_at <= func.now())
    return list(connection.execute(query.order_by(upload.c.expires_at).limit(limit)).scalars())


def list_unfinished(connection: Connection, upload_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of ``upload_ids`` that are uploads still on their way."""
    query = select(upload.c.id).where(upload.c.id.in_(upload_ids), upload.c.completed_at.is_(None))
    return set(connection.execute(query).scalars())


_KNOWN_COLUMNS = (raw_file.c.id, raw_file.c.program_id, raw_file.c.state, raw_file.c.size_bytes, raw_file.c.sha256)
_KNOWN = select(*_KNOWN_COLUMNS)


def find_known(connection: Connection, program_id: uuid.UUID, sha256: str | None) -> KnownFile | None:
    """Return the original with these bytes in this program, if it is known; nothing is known without a ``sha256``."""
    if sha256 is None:
        return None
    query = _KNOWN.where(raw_file.c.program_id == program_id, raw_file.c.sha256 == sha256)
    row = connection.execute(query).one_or_none()
    return KnownFile(*row) if row is not None else None


def find_original(connection: Connection, raw_file_id: uuid.UUID) -> KnownFile:
    """Return an original that an upload refers to."""
    return KnownFile(*connection.execute(_KNOWN.where(raw_file.c.id == raw_file_id)).one())


def store_original(connection: Connection, new: NewOriginal, blob_key: str) -> tuple[KnownFile, bool]:
    """Insert the original and its blob; the flag is ``False`` when the same bytes were known."""
    blob_row = {"key": blob_key, "size_bytes": new.size_bytes, "sha256": new.sha256}
    connection.execute(upsert(blob).values(blob_row).on_conflict_do_nothing())
    values = asdict(new) | {"id": uuid7(), "blob_key": blob_key}
    statement = upsert(raw_file).values(values).on_conflict_do_nothing().returning(*_KNOWN_COLUMNS)
    row = connection.execute(statement).one_or_none()
    if row is not None:
        return KnownFile(*row), True
    known = find_known(connection, new.program_id, new.sha256)
    assert known is not None
    return known, False


def find_job(connection: Connection, job_key: str) -> uuid.UUID | None:
    """Return the job with this key, if there is one."""
    found: uuid.UUID | None = connection.execute(select(job.c.id).where(job.c.job_key == job_key)).scalar()
    return found

"""From the last byte to the answer: hash, store, one transaction, doorbell.

Each step can be repeated after a crash that follows any other: the digest is committed before the staging file is
moved, so a missing file whose blob exists was moved; the transaction is unique by upload, content and job key.
"""

import hashlib
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection

from db.blobs import raw_key
from db.repositories import audit, bundles, jobs, uploads
from db.repositories.uploads import Upload
from db.unit_of_work import UnitOfWork, begin
from services.api.state import ApiState
from services.api.uploads.staging import StagingFile
from services.pipelines.job_keys import ingest_key
from services.problems import Problem

log = structlog.get_logger(__name__)

INGEST_QUEUE = "ingest"
INGEST_PRIORITY = 5
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Received:
    """What an upload has become; ``job_id`` is ``None`` while its bundle is incomplete."""

    raw_file_id: uuid.UUID
    job_id: uuid.UUID | None


@dataclass(frozen=True)
class Requester:
    """On whose behalf a job is inserted."""

    actor: str
    request_id: str | None


def request_ingest(
    state: ApiState, unit: UnitOfWork, requester: Requester, program_id: uuid.UUID, work: tuple[str, str, uuid.UUID]
) -> uuid.UUID:
    """Insert the ingest job of a file or bundle unless it exists; rings the doorbell after the commit.

    ``work`` is the name of the payload's member, the sha256 of the content, and the id of the file or bundle.
    """
    member, content_sha256, subject_id = work
    job = jobs.NewJob(
        job_key=ingest_key(program_id, content_sha256),
        program_id=program_id,
        kind="ingest",
        queue=INGEST_QUEUE,
        payload={member: str(subject_id)},
        requested_by=requester.actor,
        priority=INGEST_PRIORITY,
        max_attempts=state.settings.job_max_attempts,
        request_id=requester.request_id,
    )
    job_id, created = jobs.insert(unit.connection, job)
    if created:
        unit.after_commit(partial(state.ring, job_id, INGEST_QUEUE, INGEST_PRIORITY))
    return job_id


def place_original(
    state: ApiState, unit: UnitOfWork, requester: Requester, original: uploads.KnownFile, bundle_id: uuid.UUID | None
) -> uuid.UUID | None:
    """Give an original its place: in its bundle, or as a file of its own; returns the ingest job, if there is one."""
    if bundle_id is None:
        program_id = original.program_id
        return request_ingest(state, unit, requester, program_id, ("raw_file_id", original.sha256, original.id))
    return request_bundle_ingest(state, unit, requester, bundles.join(unit.connection, bundle_id))


def request_bundle_ingest(
    state: ApiState, unit: UnitOfWork, requester: Requester, bundle: bundles.Bundle
) -> uuid.UUID | None:
    """Insert the ingest job of a bundle that has everything; ``None`` while members are missing."""
    if bundle.state == "open":
        return None
    return request_ingest(state, unit, requester, bundle.program_id, ("bundle_id", bundle.content_sha256, bundle.id))


def describe_completed(connection: Connection, upload: Upload) -> Received:
    """Return what a completed upload has become, from the rows."""
    assert upload.raw_file_id is not None
    if upload.bundle_id is not None:
        bundle = bundles.reread(connection, upload.bundle_id)
        job_id = uploads.find_job(connection, ingest_key(bundle.program_id, bundle.content_sha256))
        return Received(upload.raw_file_id, job_id)
    original = uploads.find_original(connection, upload.raw_file_id)
    return Received(original.id, uploads.find_job(connection, ingest_key(original.program_id, original.sha256)))


def complete(state: ApiState, upload: Upload, held: StagingFile, request_id: str) -> Received:
    """Finish an upload whose every byte is staged, or was moved to the blob store by an attempt that was cut.

    Raises the problem ``checksum-mismatch`` (and removes the upload) when the bytes are not what was declared.
    """
    digest = upload.digest if upload.length_bytes and held.size() == 0 else None
    if digest is None:
        digest = _hash_staged(state, upload, held)
    if upload.sha256 is not None and upload.sha256 != digest:
        _terminate(state, upload, held)
        raise Problem(
            "checksum-mismatch", f"the file's sha256 is {digest}, not {upload.sha256}; the upload was dropped"
        )
    key = raw_key(upload.program_id, digest)
    _store(state, upload, held, key, digest)
    received = _commit(state, upload, key, digest, request_id)
    held.drop()
    state.digests.forget(upload.id)
    log.info("file_received", upload_id=str(upload.id), raw_file_id=str(received.raw_file_id), size=upload.length_bytes)
    return received


def _hash_staged(state: ApiState, upload: Upload, held: StagingFile) -> str:
    running = state.digests.resume(upload.id, upload.length_bytes)
    return str(running.hexdigest()) if running is not None else hash_file(held.path)


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as source:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _terminate(state: ApiState, upload: Upload, held: StagingFile) -> None:
    with begin(state.engine) as unit:
        uploads.remove(unit.connection, upload.id)
    held.drop()
    state.digests.forget(upload.id)


def _store(state: ApiState, upload: Upload, held: StagingFile, key: str, digest: str) -> None:
    """Move the bytes to the blob store, unless they are there: known, or moved by an attempt that was cut."""
    with begin(state.engine) as unit:
        known = uploads.find_known(unit.connection, upload.program_id, digest)
        if known is None and upload.digest != digest:
            uploads.record_digest(unit.connection, upload.id, digest)
    if held.size() == upload.length_bytes and (known is None or not state.blobs.exists(key)):
        state.blobs.put_file(key, held.path, move=True)


def _commit(state: ApiState, upload: Upload, key: str, digest: str, request_id: str) -> Received:
    with begin(state.engine) as unit:
        current = uploads.reread(unit.connection, upload.id, lock=True)
        if current is not None and current.completed_at is not None:
            return describe_completed(unit.connection, current)
        values = uploads.NewOriginal(
            upload.program_id, upload.instrument_id, upload.filename, upload.length_bytes, digest
        )
        original, created = uploads.store_original(unit.connection, values, key)
        job_id = place_original(state, unit, Requester(upload.actor, request_id), original, upload.bundle_id)
        uploads.mark_complete(unit.connection, upload.id, original.id)
        after = {"sha256": digest, "size_bytes": upload.length_bytes, "filename": upload.filename, "new": created}
        entry = audit.AuditEntry("file.received", "raw_file", original.id, upload.program_id, after=after)
        audit.record(unit.connection, upload.actor, request_id, entry)
    return Received(original.id, job_id)

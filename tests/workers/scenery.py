"""What the tests of jobs share: a program, stored originals, jobs, and their state."""

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, Row, insert, select

from db.blobs import BlobStore, raw_key
from db.identifiers import uuid7
from db.repositories import jobs
from db.repositories.bundles import Member, digest_content
from db.repositories.jobs import NewJob
from db.schema.files import blob, bundle, bundle_member, raw_file
from db.schema.people import program
from db.schema.work import job
from services.pipelines.job_keys import ingest_key


def make_program(engine: Engine, name: str = "p") -> uuid.UUID:
    """Insert a program."""
    identity = uuid7()
    with engine.begin() as connection:
        connection.execute(insert(program).values(id=identity, name=name))
    return identity


def add_job(engine: Engine, program_id: uuid.UUID, kind: str = "noop", **values: Any) -> uuid.UUID:
    """Insert a job with a key of its own."""
    defaults = {"job_key": uuid.uuid4().hex, "queue": "cpu", "payload": {}, "requested_by": "service:test"}
    with engine.begin() as connection:
        identity, _ = jobs.insert(connection, NewJob(program_id=program_id, kind=kind, **(defaults | values)))
    return identity


def job_row(engine: Engine, job_id: uuid.UUID) -> Row[Any]:
    """The job as it is now."""
    with engine.connect() as connection:
        return connection.execute(select(job).where(job.c.id == job_id)).one()


def store_original(engine: Engine, blobs: BlobStore, program_id: uuid.UUID, name: str, data: bytes) -> uuid.UUID:
    """Store a file as an upload would: the blob, then its rows."""
    sha256 = hashlib.sha256(data).hexdigest()
    key = raw_key(program_id, sha256)
    blobs.put_bytes(key, data)
    identity = uuid7()
    values = {"program_id": program_id, "filename": name, "size_bytes": len(data), "sha256": sha256, "blob_key": key}
    with engine.begin() as connection:
        connection.execute(insert(blob).values(key=key, size_bytes=len(data), sha256=sha256))
        connection.execute(insert(raw_file).values(id=identity, **values))
    return identity


def store_bundle(
    engine: Engine, blobs: BlobStore, program_id: uuid.UUID, name: str, files: Mapping[str, bytes]
) -> uuid.UUID:
    """Store a bundle whose members have all arrived."""
    members = [Member(path, hashlib.sha256(data).hexdigest(), len(data)) for path, data in files.items()]
    identity = uuid7()
    with engine.begin() as connection:
        values = {"program_id": program_id, "name": name, "content_sha256": digest_content(members)}
        connection.execute(insert(bundle).values(id=identity, state="received", **values))
    for member in members:
        file_id = store_original(engine, blobs, program_id, member.path, files[member.path])
        place = {"bundle_id": identity, "path": member.path, "sha256": member.sha256, "size_bytes": member.size_bytes}
        with engine.begin() as connection:
            connection.execute(insert(bundle_member).values(id=uuid7(), raw_file_id=file_id, **place))
    return identity


def add_ingest(engine: Engine, program_id: uuid.UUID, payload: dict[str, str], generation: str = "first") -> uuid.UUID:
    """Insert the job that reads a file or bundle."""
    key = ingest_key(program_id, next(iter(payload.values())), generation)
    return add_job(engine, program_id, "ingest", job_key=key, queue="ingest", payload=payload)

"""Originals of the blob store as files, for the jobs that read them."""

from pathlib import Path

from db.repositories import ingest
from db.repositories.ingest import Subject
from services.pipelines.context import JobContext, JobRefused


def find_file(context: JobContext, identity: object) -> Subject:
    """Return the file of the job's program.

    Raises:
        JobRefused: the program has no such file.
    """
    with context.engine.connect() as connection:
        subject = ingest.find_subject(connection, {"raw_file_id": str(identity)})
    if subject is None or subject.program_id != context.claimed.program_id:
        raise JobRefused(f"there is no file {identity}")
    return subject


def fetch_original(context: JobContext, subject: Subject, folder: Path, name: str = "original") -> Path:
    """Return where the original can be read: in place when the store is local, else fetched to ``folder``/``name``."""
    key = subject.blob_keys[""]
    local = context.blobs.local_path(key)
    if local is not None:
        return local
    context.blobs.fetch(key, folder / name)
    return folder / name

"""Scores of every part or unit of an answer: one file in the blob store, which the stored result points to."""

import hashlib
from collections.abc import Iterable
from typing import Any

from db.blobs import BlobStore, record_key
from db.identifiers import uuid7
from db.repositories import tiles
from db.repositories.results import NewFinding
from db.repositories.tiles import StoredBlob
from db.unit_of_work import UnitOfWork
from instruments.records import Table
from instruments.table_codec import decode_table
from services.pipelines.context import DamagedRecord, JobContext
from services.pipelines.table_job import store_document


def keep_scores(context: JobContext, document: dict[str, Any], data: bytes) -> StoredBlob:
    """Put the file of scores into the blob store and say in ``document["scores"]`` where it lies."""
    digest = hashlib.sha256(data).hexdigest()
    stored = StoredBlob(record_key(context.claimed.program_id, uuid7()), len(data), digest)
    context.blobs.put_bytes(stored.key, data)
    document["scores"] |= {"blob_key": stored.key, "byte_length": stored.size_bytes, "sha256": digest}
    return stored


def store_scored(
    unit: UnitOfWork,
    context: JobContext,
    document: dict[str, Any],
    findings: Iterable[NewFinding],
    stored: StoredBlob,
) -> None:
    """Write the row of the scores' object, so that the sweep leaves it alone, and ``document`` as the job's result."""
    tiles.insert_blob(unit.connection, stored)
    store_document(unit, context, document, findings)


def load_scores(blobs: BlobStore, scores: dict[str, Any]) -> Table:
    """Return the table of scores that ``scores``, as the answer tells them, points to.

    Raises:
        DamagedRecord: the stored bytes are not those that were written.
    """
    data = blobs.read_range(scores["blob_key"], 0, int(scores["byte_length"]))
    if hashlib.sha256(data).hexdigest() != scores["sha256"]:
        raise DamagedRecord(f"the stored bytes of the scores {scores['sha256'][:12]}… are not those that were written")
    return decode_table(data)

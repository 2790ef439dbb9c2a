"""What the jobs that analyse stored tables share: the tables, and the stored result."""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from db.repositories.results import NewFinding
from db.repositories.tables import StoredTable, find_tables, find_tables_of_files
from db.unit_of_work import UnitOfWork
from instruments.documents import decode_document
from instruments.records import Table
from services.pipelines.context import DamagedRecord, JobContext, JobRefused
from services.pipelines.stored_answer import Answer, code_version, store_answer
from services.pipelines.table_source import SourceTable


def load_tables(context: JobContext, identities: Sequence[object], kind: str) -> list[SourceTable]:
    """Return the stored tables with these ids, checked against their hash.

    Raises:
        JobRefused: one does not exist, is of another program, or its rows are something else.
        DamagedRecord: stored bytes are not those that were written.
    """
    wanted = [uuid.UUID(str(identity)) for identity in dict.fromkeys(identities)]
    with context.engine.connect() as connection:
        found = find_tables(connection, wanted)
    known = {each.row.id: each for each in found if each.row.program_id == context.claimed.program_id}
    for identity in wanted:
        if identity not in known:
            raise JobRefused(f"there is no table {identity}")
        if known[identity].row.kind != kind:
            raise JobRefused(f"the table {identity} has rows of the kind {known[identity].row.kind}, not {kind}")
    return [load_stored(context, known[identity]) for identity in wanted]


def load_tables_of_files(context: JobContext, identities: Sequence[object], kinds: Sequence[str]) -> list[SourceTable]:
    """Return the stored tables of ``kinds`` in the files with these ids, in the files' order, checked by their hash.

    Raises:
        JobRefused: a file does not exist, is of another program, or holds no such table.
        DamagedRecord: stored bytes are not those that were written.
    """
    wanted = [uuid.UUID(str(identity)) for identity in dict.fromkeys(identities)]
    with context.engine.connect() as connection:
        found = find_tables_of_files(connection, wanted, kinds)
    mine = [each for each in found if each.row.program_id == context.claimed.program_id]
    for identity in wanted:
        if not any(each.row.raw_file_id == identity for each in mine):
            raise JobRefused(f"the file {identity} has no table of the kinds {', '.join(kinds)}")
    return [load_stored(context, each) for each in mine]


def load_stored(context: JobContext, stored: StoredTable) -> SourceTable:
    """Return the table of a row, checked against its hash.

    Raises:
        DamagedRecord: the stored bytes are not those that were written.
    """
    row = stored.row
    data = context.blobs.read_range(row.blob_key, row.byte_offset, row.byte_length)
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise DamagedRecord(f"the stored bytes of table {row.id} are not those that were written")
    table = decode_document("table", data)
    if not isinstance(table, Table):
        raise DamagedRecord(f"the table {row.id} is a {type(table).__name__}")
    return SourceTable(table, stored.file, stored.sha256, f"{stored.adapter}/{stored.adapter_version}")


def store_document(
    unit: UnitOfWork, context: JobContext, document: dict[str, Any], findings: Iterable[NewFinding]
) -> None:
    """Write ``document``, which has its own provenance, as the job's result."""
    provenance = document["provenance"] | {"code_version": code_version()}
    answer = Answer(document, provenance, bool(provenance["simulated"]), document["verdict"])
    store_answer(unit, context, answer, findings)

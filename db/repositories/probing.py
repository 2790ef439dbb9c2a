"""Everything that is stored of one probing session, for the analyses."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from db.repositories.ingest import DOCUMENT_TABLES, Subject, find_subject
from db.schema.data import fail_log, probing_session, waveform
from db.schema.files import ingest_event


@dataclass(frozen=True)
class StoredSession:
    """A session's row, its records' rows, and what they were read from.

    ``documents`` has the rows of each kind in file order, ``waveforms`` one row per segment in file order.
    """

    row: Row[Any]
    subject: Subject
    documents: Mapping[str, Sequence[Row[Any]]]
    waveforms: Sequence[Row[Any]]
    adapter: str | None
    adapter_version: str | None


def find_session(connection: Connection, session_id: uuid.UUID) -> StoredSession | None:
    """Return the session with all its records, ``None`` when there is none."""
    row = connection.execute(select(probing_session).where(probing_session.c.id == session_id)).one_or_none()
    if row is None:
        return None
    name = "bundle_id" if row.bundle_id is not None else "raw_file_id"
    source = getattr(row, name)
    subject = find_subject(connection, {name: source})
    if subject is None:
        return None
    documents = {
        kind: connection.execute(select(table).where(table.c[name] == source).order_by(table.c.record_index)).all()
        for kind, table in DOCUMENT_TABLES.items()
    }
    segments = (
        select(waveform)
        .where(waveform.c.probing_session_id == session_id)
        .order_by(waveform.c.record_index, waveform.c.segment_index)
    )
    reading = connection.execute(
        select(ingest_event.c.adapter, ingest_event.c.adapter_version)
        .where(ingest_event.c[name] == source)
        .order_by(ingest_event.c.id.desc())
        .limit(1)
    ).one_or_none()
    return StoredSession(
        row=row,
        subject=subject,
        documents=documents,
        waveforms=connection.execute(segments).all(),
        adapter=reading.adapter if reading else None,
        adapter_version=reading.adapter_version if reading else None,
    )


@dataclass(frozen=True)
class DieChoice:
    """Which dies sessions are to be of: what ``session.json`` says of its unit; ``None`` is any. ``net`` was probed."""

    product: str | None = None
    lot: str | None = None
    wafer: str | None = None
    net: str | None = None


def choose_sessions(
    connection: Connection, program_id: uuid.UUID, choice: DieChoice, most: int
) -> list[tuple[uuid.UUID, str]]:
    """Return id and role of up to ``most`` sessions of the program that are of ``choice``, oldest first."""
    unit = probing_session.c.document["unit"]
    query = select(probing_session.c.id, probing_session.c.role).where(probing_session.c.program_id == program_id)
    for name in ("product", "lot", "wafer"):
        wanted = getattr(choice, name)
        if wanted is not None:
            query = query.where(unit[name].astext == wanted)
    if choice.net is not None:
        probed = select(waveform.c.probing_session_id).where(waveform.c.net == choice.net)
        query = query.where(probing_session.c.id.in_(probed.where(waveform.c.program_id == program_id)))
    rows = connection.execute(query.order_by(probing_session.c.id).limit(most))
    return [(row.id, row.role) for row in rows]


def find_fail_logs(connection: Connection, identities: Sequence[uuid.UUID]) -> dict[uuid.UUID, Row[Any]]:
    """Return the rows of these fail logs by id; of some there may be none."""
    rows = connection.execute(select(fail_log).where(fail_log.c.id.in_(identities))).all()
    return {row.id: row for row in rows}


def find_waveforms(connection: Connection, subject: Subject) -> Sequence[Row[Any]]:
    """Return the waveforms that were read from a file or bundle, one row per segment, in file order."""
    source = (
        waveform.c.bundle_id == subject.bundle_id
        if subject.bundle_id is not None
        else (waveform.c.raw_file_id == subject.raw_file_id) & waveform.c.bundle_id.is_(None)
    )
    rows = select(waveform).where(source).order_by(waveform.c.record_index, waveform.c.segment_index)
    return connection.execute(rows).all()

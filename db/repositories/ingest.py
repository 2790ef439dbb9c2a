"""What reading a file or bundle writes: records, state, ingest event; and what a repeated reading replaces."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Table, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from db.bulk import ColumnBlock, copy_blocks, copy_rows
from db.identifiers import uuid7
from db.repositories import events
from db.repositories.events import NewEvent
from db.schema.data import (
    data_table,
    digital_trace,
    fail_log,
    netlist,
    pattern_set,
    placement,
    probing_session,
    raster,
    waveform,
)
from db.schema.events import event
from db.schema.files import blob, bundle, bundle_member, ingest_event, raw_file
from db.schema.parts import lot, product, unit, wafer
from db.schema.work import result

DOCUMENT_TABLES: Mapping[str, Table] = {
    "digital_trace": digital_trace,
    "netlist": netlist,
    "pattern_set": pattern_set,
    "fail_log": fail_log,
    "placement": placement,
    "table": data_table,
    "raster": raster,
}
QUARANTINED = "file.quarantined"
MOST_REASONS_TOLD = 50
RECORD_TABLES = (waveform, *DOCUMENT_TABLES.values())


@dataclass(frozen=True)
class Subject:
    """What is read: a file of its own, or a bundle; ``members`` maps a path inside the bundle to its file."""

    program_id: uuid.UUID
    name: str
    content_sha256: str
    raw_file_id: uuid.UUID | None
    bundle_id: uuid.UUID | None
    blob_keys: Mapping[str, str]
    file_ids: Mapping[str, uuid.UUID]
    file_sha256: Mapping[str, str]

    @property
    def first_file_id(self) -> uuid.UUID:
        """The file itself; for a bundle any of its members (records that belong to the bundle as a whole)."""
        return self.raw_file_id or next(iter(self.file_ids.values()))


@dataclass(frozen=True)
class Reading:
    """How a reading ended: which adapter, and either records or the reasons of a refusal."""

    outcome: str
    job_id: uuid.UUID | None
    format: str | None = None
    adapter: str | None = None
    adapter_version: str | None = None
    record_count: int = 0
    warnings: Sequence[str] = ()
    reasons: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class PackedBlob:
    """The object that holds the samples and documents of a reading."""

    key: str
    size_bytes: int
    sha256: str


@dataclass
class Rows:
    """The records of a reading as rows, by table; a waveform is one block, a row per segment."""

    waveforms: list[ColumnBlock] = field(default_factory=list)
    documents: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def find_subject(connection: Connection, payload: Mapping[str, Any]) -> Subject | None:
    """Return what an ingest job is to read; ``None`` when it does not exist."""
    if "bundle_id" in payload:
        return _bundle_subject(connection, uuid.UUID(str(payload["bundle_id"])))
    row = connection.execute(
        select(raw_file).where(raw_file.c.id == uuid.UUID(str(payload["raw_file_id"])))
    ).one_or_none()
    if row is None:
        return None
    return Subject(
        program_id=row.program_id,
        name=row.filename,
        content_sha256=row.sha256,
        raw_file_id=row.id,
        bundle_id=None,
        blob_keys={"": row.blob_key},
        file_ids={"": row.id},
        file_sha256={"": row.sha256},
    )


def _bundle_subject(connection: Connection, bundle_id: uuid.UUID) -> Subject | None:
    head = connection.execute(select(bundle).where(bundle.c.id == bundle_id)).one_or_none()
    if head is None:
        return None
    members = connection.execute(
        select(bundle_member.c.path, raw_file.c.id, raw_file.c.blob_key, raw_file.c.sha256)
        .join(raw_file, raw_file.c.id == bundle_member.c.raw_file_id)
        .where(bundle_member.c.bundle_id == bundle_id)
        .order_by(bundle_member.c.path)
    ).all()
    return Subject(
        program_id=head.program_id,
        name=head.name,
        content_sha256=head.content_sha256,
        raw_file_id=None,
        bundle_id=head.id,
        blob_keys={row.path: row.blob_key for row in members},
        file_ids={row.path: row.id for row in members},
        file_sha256={row.path: row.sha256 for row in members},
    )


def remove_records(connection: Connection, subject: Subject) -> None:
    """Delete what an earlier reading of the subject wrote, and the rows of its blobs, which the sweep then collects."""
    keys: set[str] = set()
    for table in RECORD_TABLES:
        removed = connection.execute(delete(table).where(_of(table, subject)).returning(table.c.blob_key))
        keys.update(row.blob_key for row in removed)
    if keys:
        connection.execute(delete(blob).where(blob.c.key.in_(keys)))


def _of(table: Table, subject: Subject) -> Any:
    if subject.bundle_id is not None:
        return table.c.bundle_id == subject.bundle_id
    return and_(table.c.raw_file_id == subject.raw_file_id, table.c.bundle_id.is_(None))


def insert_records(connection: Connection, packed: PackedBlob, rows: Rows) -> None:
    """Insert the blob's row and the records that lie in it."""
    connection.execute(
        postgresql_insert(blob).values(key=packed.key, size_bytes=packed.size_bytes, sha256=packed.sha256)
    )
    copy_blocks(connection, waveform, rows.waveforms)
    for kind, documents in rows.documents.items():
        copy_rows(connection, DOCUMENT_TABLES[kind], documents)


def close_reading(connection: Connection, subject: Subject, reading: Reading) -> None:
    """Write the ingest event and the state of the file, or of the bundle and its members; tell of a new quarantine."""
    if reading.outcome == "quarantined" and _last_outcome(connection, subject) != "quarantined":
        _tell_of_quarantine(connection, subject, reading)
    connection.execute(
        ingest_event.insert().values(
            id=uuid7(),
            program_id=subject.program_id,
            raw_file_id=subject.raw_file_id,
            bundle_id=subject.bundle_id,
            job_id=reading.job_id,
            outcome=reading.outcome,
            adapter=reading.adapter,
            adapter_version=reading.adapter_version,
            record_count=reading.record_count,
            warnings=list(reading.warnings),
            reasons=list(reading.reasons),
        )
    )
    reasons = list(reading.reasons) or None
    values = {"state": reading.outcome, "quarantine_reasons": reasons}
    described = values | {
        "format": reading.format,
        "adapter": reading.adapter,
        "adapter_version": reading.adapter_version,
    }
    if subject.bundle_id is None:
        connection.execute(update(raw_file).where(raw_file.c.id == subject.raw_file_id).values(**described))
        return
    connection.execute(update(bundle).where(bundle.c.id == subject.bundle_id).values(**values))
    open_states = ("received", "quarantined") if reading.outcome == "stored" else ("received",)
    members = update(raw_file).where(
        raw_file.c.id.in_(set(subject.file_ids.values())), raw_file.c.state.in_(open_states)
    )
    connection.execute(members.values(**described))


def quarantine_after_death(connection: Connection, payload: Mapping[str, Any], error: Mapping[str, Any]) -> None:
    """Quarantine the subject of an ingest job whose every attempt killed its worker; what was read before stays."""
    subject = find_subject(connection, payload)
    if subject is None or was_read(connection, subject):
        return
    message = f"reading was given up: {error.get('message', 'unknown')}".replace("\0", "\ufffd")
    reason = {"adapter": "none", "version": "none", "reason": message}
    close_reading(connection, subject, Reading("quarantined", None, reasons=[reason]))


def was_read(connection: Connection, subject: Subject) -> bool:
    """Return whether a reading of the subject has ended before, well or not."""
    return _last_outcome(connection, subject) is not None


def _last_outcome(connection: Connection, subject: Subject) -> str | None:
    of_subject = (
        ingest_event.c.bundle_id == subject.bundle_id
        if subject.bundle_id is not None
        else ingest_event.c.raw_file_id == subject.raw_file_id
    )
    last = select(ingest_event.c.outcome).where(of_subject).order_by(ingest_event.c.id.desc()).limit(1)
    outcome: str | None = connection.execute(last).scalar()
    return outcome


def find_instrument(connection: Connection, subject: Subject) -> uuid.UUID | None:
    """Return the instrument whose key sent the file or declared the bundle; ``None`` when a person did."""
    table, identity = (bundle, subject.bundle_id) if subject.bundle_id is not None else (raw_file, subject.raw_file_id)
    found: uuid.UUID | None = connection.execute(select(table.c.instrument_id).where(table.c.id == identity)).scalar()
    return found


def _tell_of_quarantine(connection: Connection, subject: Subject, reading: Reading) -> None:
    """Tell once of each time that a subject becomes unreadable."""
    subject_type, identity = ("bundle", subject.bundle_id) if subject.bundle_id else ("raw_file", subject.raw_file_id)
    assert identity is not None
    data = {
        "name": subject.name,
        "sha256": subject.content_sha256,
        "reasons": list(reading.reasons)[:MOST_REASONS_TOLD],
        "reasons_in_all": len(reading.reasons),
    }
    times = select(func.count()).select_from(event).where(event.c.subject_id == identity, event.c.kind == QUARANTINED)
    events.record(
        connection,
        NewEvent(
            subject.program_id,
            QUARANTINED,
            subject_type,
            identity,
            data,
            (identity, connection.execute(times).scalar_one()),
            instrument_id=find_instrument(connection, subject),
        ),
    )


def remove_unused_session(connection: Connection, subject: Subject) -> None:
    """Delete the subject's probing session, which a repeated reading did not find, unless results refer to it."""
    used = select(result.c.id).where(result.c.probing_session_id == probing_session.c.id).exists()
    connection.execute(delete(probing_session).where(_session_of(subject), ~used))


def _session_of(subject: Subject) -> Any:
    if subject.bundle_id is not None:
        return probing_session.c.bundle_id == subject.bundle_id
    return probing_session.c.raw_file_id == subject.raw_file_id


def upsert_session(connection: Connection, values: Mapping[str, Any]) -> uuid.UUID:
    """Insert the probing session of a bundle or archive, or replace what a repeated reading says about it."""
    key = "bundle_id" if values["bundle_id"] is not None else "raw_file_id"
    condition = probing_session.c[key] == values[key]
    existing = connection.execute(select(probing_session.c.id).where(condition)).scalar()
    if existing is not None:
        connection.execute(update(probing_session).where(probing_session.c.id == existing).values(**values))
        return uuid.UUID(str(existing))
    identity = uuid7()
    connection.execute(probing_session.insert().values(id=identity, **values))
    return identity


def find_or_make_unit(connection: Connection, program_id: uuid.UUID, part: Mapping[str, Any]) -> uuid.UUID | None:
    """Return the unit that a session's ``unit`` names (product, lot, wafer, x, y, serial), made when it is new.

    ``None`` when the session does not identify one.
    """
    if not part.get("product"):
        return None
    named = {"program_id": program_id, "name": str(part["product"])}
    product_id = _find_or_insert(connection, product, ("program_id", "name"), named)
    if part.get("lot") and part.get("wafer") and part.get("x") is not None and part.get("y") is not None:
        lot_values = {"program_id": program_id, "product_id": product_id, "name": str(part["lot"])}
        lot_id = _find_or_insert(connection, lot, ("product_id", "name"), lot_values)
        wafer_values = {"program_id": program_id, "lot_id": lot_id, "name": str(part["wafer"])}
        wafer_id = _find_or_insert(connection, wafer, ("lot_id", "name"), wafer_values)
        values = {"program_id": program_id, "product_id": product_id, "wafer_id": wafer_id}
        return _find_or_insert(connection, unit, ("wafer_id", "x", "y"), values | {"x": part["x"], "y": part["y"]})
    if part.get("serial"):
        by_serial = {"program_id": program_id, "product_id": product_id, "serial": str(part["serial"])}
        return _find_or_insert(connection, unit, ("product_id", "serial"), by_serial)
    return None


def _find_or_insert(
    connection: Connection, table: Table, unique: Sequence[str], values: Mapping[str, Any]
) -> uuid.UUID:
    statement = (
        postgresql_insert(table)
        .values(id=uuid7(), **values)
        .on_conflict_do_nothing(index_elements=[table.c[name] for name in unique])
    )
    connection.execute(statement)
    condition = and_(*(table.c[name] == values[name] for name in unique))
    return uuid.UUID(str(connection.execute(select(table.c.id).where(condition)).scalar_one()))


@dataclass(frozen=True)
class StaleReading:
    """A file or bundle whose last reading was by other adapters than there are now."""

    program_id: uuid.UUID
    content_sha256: str
    payload: Mapping[str, str]


def list_subjects(connection: Connection, after: uuid.UUID | None, limit: int) -> list[uuid.UUID]:
    """Return the next ``limit`` files and bundles that were ever read, in the order of their ids."""
    subject = func.coalesce(ingest_event.c.raw_file_id, ingest_event.c.bundle_id)
    statement = select(subject).distinct().order_by(subject).limit(limit)
    if after is not None:
        statement = statement.where(subject > after)
    return list(connection.execute(statement).scalars())


def find_stale(
    connection: Connection, subjects: Sequence[uuid.UUID], versions: Mapping[str, str]
) -> list[StaleReading]:
    """Return those of ``subjects`` that ``versions`` (adapter to version) may read otherwise than they were read.

    A stored one is stale when its adapter has another version now, a quarantined one when an adapter is there that has
    not refused it.
    """
    subject = func.coalesce(ingest_event.c.raw_file_id, ingest_event.c.bundle_id)
    recency = func.row_number().over(partition_by=subject, order_by=ingest_event.c.id.desc())
    latest = (
        select(ingest_event, recency.label("recency"))
        .where(or_(ingest_event.c.raw_file_id.in_(subjects), ingest_event.c.bundle_id.in_(subjects)))
        .subquery("latest")
    )
    rows = connection.execute(
        select(latest, raw_file.c.sha256, bundle.c.content_sha256)
        .outerjoin(raw_file, raw_file.c.id == latest.c.raw_file_id)
        .outerjoin(bundle, bundle.c.id == latest.c.bundle_id)
        .where(latest.c.recency == 1)
    )
    return [_stale_reading(row) for row in rows if _is_stale(row, versions)]


def _stale_reading(row: Row[Any]) -> StaleReading:
    if row.raw_file_id is not None:
        return StaleReading(row.program_id, str(row.sha256), {"raw_file_id": str(row.raw_file_id)})
    return StaleReading(row.program_id, str(row.content_sha256), {"bundle_id": str(row.bundle_id)})


def _is_stale(row: Row[Any], versions: Mapping[str, str]) -> bool:
    if row.outcome == "stored":
        return row.adapter in versions and versions[row.adapter] != row.adapter_version
    refused = {(item.get("adapter"), item.get("version")) for item in row.reasons}
    return not set(versions.items()) <= refused


def result_exists(connection: Connection, job_key: str) -> bool:
    """Return whether a result with this key is there."""
    return connection.execute(select(result.c.id).where(result.c.job_key == job_key)).scalar() is not None

"""Reading a file or bundle: original -> sandboxed reader -> packed object -> rows, or quarantine with every reason."""

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from db.blobs import BlobStore, record_key
from db.identifiers import uuid7
from db.repositories import audit, ingest
from db.repositories.ingest import PackedBlob, Reading, Subject
from db.unit_of_work import UnitOfWork
from instruments.errors import InstrumentError
from instruments.packing import PackedReading, PackedRecord
from instruments.sandbox import Sandbox, SandboxLimits
from services import telemetry
from services.pipelines.context import Completion, JobContext, JobRefused
from services.pipelines.follow_up import request_localization, request_reference
from services.pipelines.ingestion.record_rows import SESSION, WAVEFORM, count_rows, find_homeless, make_rows, storable
from services.settings import Settings

ACTOR = "service:ingest"
_BLOCK_BYTES = 1 << 20

Reader = Callable[[Path, str, Path], PackedReading]


@cache
def _sandbox(limits: SandboxLimits) -> Sandbox:
    """One warm reading server for this process."""
    return Sandbox(limits)


def open_reader(settings: Settings) -> Callable[..., PackedReading]:
    """Return ``read(path, name, workdir)`` in the sandbox, with the configured limits."""
    return _sandbox(SandboxLimits(settings.read_timeout_s, settings.read_memory_bytes, settings.read_output_bytes)).read


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``ingest``."""
    read = partial(open_reader(context.settings), watch=context.raise_if_stopped)
    return read_subject(context, read)


def read_subject(context: JobContext, read: Reader) -> Completion:
    """Read what the job names with ``read``; return what writes the records, or the refusal.

    Raises:
        JobRefused: there is no such file or bundle.
    """
    with context.engine.connect() as connection:
        subject = ingest.find_subject(connection, context.claimed.payload)
    if subject is None:
        raise JobRefused(f"there is nothing to read: {context.claimed.payload}")
    context.settings.scratch().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ingest-", dir=context.settings.scratch()) as name:
        folder = Path(name)
        context.progress(0.02, "fetching the original")
        original = _fetch(context.blobs, subject, folder / "original")
        context.progress(0.1, "reading")
        try:
            reading = read(original, subject.name, folder / "packed")
        except InstrumentError as error:
            return _refuse(context, subject, error.reasons or [_sole_reason(error)])
        homeless = find_homeless(reading)
        if homeless is not None:
            reason = f"it holds a record of the kind {homeless}, which is not stored"
            listing = [{"adapter": reading.adapter, "version": reading.adapter_version, "reason": reason}]
            return _refuse(context, subject, listing)
        context.progress(0.7, "storing samples")
        packed = _store(context.blobs, subject, reading.samples_path)
    context.progress(0.9, "storing records")
    return lambda unit: _write(unit, context, subject, reading, packed)


def _sole_reason(error: InstrumentError) -> dict[str, str]:
    return {"adapter": "none", "version": "none", "reason": str(error)}


def _fetch(blobs: BlobStore, subject: Subject, target: Path) -> Path:
    """Return where the original can be read: in place when the store is local, else fetched to ``target``."""
    if subject.bundle_id is None:
        key = subject.blob_keys[""]
        local = blobs.local_path(key)
        if local is not None:
            return local
        blobs.fetch(key, target)
        return target
    target.mkdir()
    for path, key in subject.blob_keys.items():
        member = target / path
        member.parent.mkdir(parents=True, exist_ok=True)
        _place(blobs, key, member)
    return target


def _place(blobs: BlobStore, key: str, member: Path) -> None:
    local = blobs.local_path(key)
    if local is not None:
        try:
            os.link(local, member)
        except OSError:  # another file system, or one without links
            shutil.copyfile(local, member)
        return
    blobs.fetch(key, member)


def _store(blobs: BlobStore, subject: Subject, path: Path) -> PackedBlob:
    """Put the packed samples into the blob store, before any row refers to them."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    packed = PackedBlob(record_key(subject.program_id, uuid7()), path.stat().st_size, digest.hexdigest())
    blobs.put_file(packed.key, path, move=True)
    return packed


def _refuse(context: JobContext, subject: Subject, reasons: list[dict[str, str]]) -> Completion:
    kept = storable(reasons)

    def write(unit: UnitOfWork) -> None:
        if ingest.was_read(unit.connection, subject):
            ingest.remove_records(unit.connection, subject)
            ingest.remove_unused_session(unit.connection, subject)
        _close(unit, context, subject, Reading("quarantined", context.claimed.id, reasons=kept))

    return write


def _write(unit: UnitOfWork, context: JobContext, subject: Subject, reading: PackedReading, packed: PackedBlob) -> None:
    """Replace what an earlier reading wrote by this one, and ask for what follows from it."""
    repeated = ingest.was_read(unit.connection, subject)
    if repeated:
        ingest.remove_records(unit.connection, subject)
    session = next((record for record in reading.records if record.kind == SESSION), None)
    session_id = None if session is None else _write_session(unit, subject, session)
    rows = make_rows(reading, subject, packed.key, session_id)
    ingest.insert_records(unit.connection, packed, rows)
    if repeated and session is None:
        ingest.remove_unused_session(unit.connection, subject)
    _close(
        unit,
        context,
        subject,
        Reading(
            outcome="stored",
            job_id=context.claimed.id,
            format=reading.format,
            adapter=reading.adapter,
            adapter_version=reading.adapter_version,
            record_count=count_rows(rows) + (session is not None),
            warnings=storable(reading.warnings),
        ),
    )
    parameters = {"reader": reading.adapter_version} if repeated else {}
    if session is not None and session_id is not None and _is_complete(session, reading):
        request_localization(unit, context, subject, session_id, parameters)
    request_reference(unit, context, subject, reading, session_id, parameters)


def _write_session(unit: UnitOfWork, subject: Subject, session: PackedRecord) -> uuid.UUID:
    document = storable(session.fields["document"])
    values = {
        "program_id": subject.program_id,
        "bundle_id": subject.bundle_id,
        "raw_file_id": subject.raw_file_id,
        "unit_id": ingest.find_or_make_unit(unit.connection, subject.program_id, document.get("unit") or {}),
        "name": storable(session.name),
        "role": session.fields["role"],
        "technique": document["technique"],
        "document": document,
        "simulated": document.get("simulated") is True,
    }
    return ingest.upsert_session(unit.connection, values)


def _is_complete(session: PackedRecord, reading: PackedReading) -> bool:
    """A suspect with waveforms and a simulation, or with netlist, patterns, and waveforms or fails."""
    kinds = {record.kind for record in reading.records}
    simulated = {"netlist", "pattern_set"} <= kinds and bool(kinds & {WAVEFORM, "fail_log"})
    return session.fields["role"] == "suspect" and (simulated or {WAVEFORM, "digital_trace"} <= kinds)


def _close(unit: UnitOfWork, context: JobContext, subject: Subject, reading: Reading) -> None:
    ingest.close_reading(unit.connection, subject, reading)
    subject_type, subject_id = (
        ("raw_file", subject.raw_file_id) if subject.raw_file_id else ("bundle", subject.bundle_id)
    )
    after = {"adapter": reading.adapter, "version": reading.adapter_version, "records": reading.record_count}
    entry = audit.AuditEntry(
        f"{subject_type}.{reading.outcome}", subject_type, subject_id, subject.program_id, after=after
    )
    audit.record(unit.connection, ACTOR, context.claimed.request_id, entry)
    counter = telemetry.files_ingested.labels(reading.adapter or "none", reading.outcome)
    unit.after_commit(counter.inc)

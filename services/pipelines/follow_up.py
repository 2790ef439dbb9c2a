"""What a reading asks for: the jobs that are inserted in the transaction that writes its records."""

import uuid
from collections.abc import Mapping
from typing import Any

from db.repositories import charts, ingest, jobs
from db.repositories.ingest import Subject
from db.unit_of_work import UnitOfWork
from instruments.packing import PackedReading
from services.pipelines.context import JobContext
from services.pipelines.ingestion.record_rows import SESSION, WAVEFORM
from services.pipelines.job_keys import localize_key, reference_key
from services.pipelines.monitoring.reference_nodes import matches, read_patterns, session_nets
from services.pipelines.versions import LOCALIZATION_VERSION, MONITORING_VERSION

QUEUE = "cpu"
PRIORITY = 4


def request_localization(
    unit: UnitOfWork, context: JobContext, subject: Subject, session_id: uuid.UUID, parameters: dict[str, Any]
) -> None:
    """Ask for the failing gate of a probing session."""
    key = localize_key(session_id, subject.content_sha256, LOCALIZATION_VERSION, parameters)
    _insert(unit, context, subject, ("localize", key, {"probing_session_id": str(session_id)}))


def request_reference(
    unit: UnitOfWork,
    context: JobContext,
    subject: Subject,
    reading: PackedReading,
    session_id: uuid.UUID | None,
    parameters: Mapping[str, Any],
) -> None:
    """Ask for the readings of an instrument's reference nodes, when it has sent waveforms of some.

    ``parameters`` names the reader of a repeated reading, and is empty for the first. What was measured before is
    measured again even when nothing of it is a reference any more.
    """
    patterns = read_patterns(context.settings.reference_nets)
    repeated = bool(parameters)
    if not (_has_reference(reading, patterns) or (repeated and charts.has_readings(unit.connection, subject))):
        return
    if ingest.find_instrument(unit.connection, subject) is None:
        return
    identity = session_id or subject.bundle_id or subject.raw_file_id
    payload = (
        {"probing_session_id": str(session_id)}
        if session_id is not None
        else {"bundle_id": str(subject.bundle_id)}
        if subject.bundle_id is not None
        else {"raw_file_id": str(subject.raw_file_id)}
    )
    wanted = {**parameters, "nets": sorted(patterns)}
    key = reference_key(identity, subject.content_sha256, MONITORING_VERSION, wanted)
    _insert(unit, context, subject, ("reference", key, payload))


def _has_reference(reading: PackedReading, patterns: tuple[str, ...]) -> bool:
    for record in reading.records:
        if record.kind == SESSION and session_nets(record.fields["document"], patterns):
            return True
        if record.kind == WAVEFORM and matches(record.fields.get("net") or record.name, patterns):
            return True
    return False


def _insert(unit: UnitOfWork, context: JobContext, subject: Subject, job: tuple[str, str, dict[str, str]]) -> None:
    kind, key, payload = job
    new = jobs.NewJob(
        job_key=key,
        program_id=subject.program_id,
        kind=kind,
        queue=QUEUE,
        payload=payload,
        requested_by=context.claimed.requested_by,
        priority=PRIORITY,
        max_attempts=context.settings.job_max_attempts,
        request_id=context.claimed.request_id,
    )
    job_id, created = jobs.insert(unit.connection, new)
    if created:
        unit.after_commit(lambda: context.announce(jobs.DueJob(job_id, QUEUE, PRIORITY)))

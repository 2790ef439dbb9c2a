"""The job ``reference``: the waveforms of an instrument's reference nodes in, readings of its control charts out.

The readings are written with the result that says how they were made, and with the job that evaluates their charts.
"""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from db.repositories import charts, ingest, jobs
from db.repositories.charts import NewReading, ReadingSource, Series
from db.repositories.ingest import Subject
from db.repositories.probing import StoredSession, find_session, find_waveforms
from db.unit_of_work import UnitOfWork
from services.pipelines.context import Completion, JobContext, JobRefused
from services.pipelines.ingestion.record_rows import storable
from services.pipelines.job_keys import monitor_key
from services.pipelines.monitoring.reference_nodes import matches, read_patterns, session_nets
from services.pipelines.monitoring.reference_readings import (
    MeasuredReading,
    Measurement,
    measure_session,
    measure_waveform,
    parameters,
)
from services.pipelines.probing.stored_session import rebuild_session, rebuild_waveforms
from services.pipelines.stored_answer import Answer, code_version, store_answer
from services.pipelines.versions import MONITORING_VERSION

MONITOR_QUEUE = "cpu"
MONITOR_PRIORITY = 4


@dataclass(frozen=True)
class _Measured:
    """What was measured on what."""

    subject: Subject
    instrument_id: uuid.UUID
    measurement: Measurement
    simulated: bool
    session_id: uuid.UUID | None
    adapters: dict[str, str | None]


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``reference``.

    Raises:
        JobRefused: there is no such session or file, no instrument sent it, or its data do not allow a measurement.
    """
    context.progress(0.02, "loading the waveforms")
    payload = context.claimed.payload
    try:
        if "probing_session_id" in payload:
            measured = _measure_session(context, uuid.UUID(str(payload["probing_session_id"])))
        else:
            measured = _measure_file(context, payload)
    except ValueError as error:
        raise JobRefused(str(error)) from error
    context.progress(0.97, "storing the readings")
    return lambda unit: _write(unit, context, measured)


def _measure_session(context: JobContext, session_id: uuid.UUID) -> _Measured:
    with context.engine.connect() as connection:
        stored = find_session(connection, session_id)
        instrument_id = None if stored is None else ingest.find_instrument(connection, stored.subject)
    if stored is None:
        raise JobRefused(f"there is no probing session {session_id}")
    session = rebuild_session(stored, context.blobs)
    nets = session_nets(session.document, read_patterns(context.settings.reference_nets))
    measurement = measure_session(session, nets)
    return _Measured(
        stored.subject,
        _instrument(instrument_id),
        measurement,
        bool(stored.row.simulated),
        session_id,
        _adapters(stored),
    )


def _adapters(stored: StoredSession) -> dict[str, str | None]:
    return {} if stored.adapter is None else {stored.adapter: stored.adapter_version}


def _measure_file(context: JobContext, payload: Mapping[str, Any]) -> _Measured:
    with context.engine.connect() as connection:
        subject = ingest.find_subject(connection, payload)
        instrument_id = None if subject is None else ingest.find_instrument(connection, subject)
        rows = [] if subject is None else find_waveforms(connection, subject)
    if subject is None:
        raise JobRefused(f"there is nothing to measure: {dict(payload)}")
    patterns = read_patterns(context.settings.reference_nets)
    measurement = Measurement()
    chosen = [row for row in rows if row.kind == "waveform" and matches(row.net or row.name, patterns)]
    for number in sorted({row.record_index for row in chosen}):
        segments = [row for row in chosen if row.record_index == number]
        context.progress(0.1, f"measuring {segments[0].name}")
        ((waveform,),) = rebuild_waveforms(segments, context.blobs).values()
        node, path = segments[0].net or segments[0].name, segments[0].member_path
        found = measure_waveform(node, waveform, path, number)
        measurement.readings += found.readings
        measurement.not_measured += found.not_measured
    return _Measured(subject, _instrument(instrument_id), measurement, False, None, {})


def _instrument(identity: uuid.UUID | None) -> uuid.UUID:
    if identity is None:
        raise JobRefused("no instrument has sent this, so that it says nothing about one")
    return identity


def _write(unit: UnitOfWork, context: JobContext, measured: _Measured) -> None:
    subject = measured.subject
    body, provenance = storable(_body(measured)), _provenance(context, measured)
    answer = Answer(body, provenance, measured.simulated, None, measured.session_id)
    result_id = store_answer(unit, context, answer)
    source = ReadingSource(measured.instrument_id, subject, charts.received_at(unit.connection, subject), result_id)
    readings = [_new_reading(item, measured) for item in measured.measurement.readings]
    changed = charts.replace_readings(unit.connection, source, readings)
    if changed:
        _request_monitoring(unit, context, measured.instrument_id)


def _new_reading(item: MeasuredReading, measured: _Measured) -> NewReading:
    subject = measured.subject
    series = Series(
        storable(item.node), item.quantity, storable(item.unit), storable(dict(item.setup)), measured.simulated
    )
    return NewReading(
        series=series,
        value=item.value,
        sigma=item.sigma,
        raw_file_id=subject.file_ids.get(item.member_path, subject.first_file_id),
        member_path=storable(item.member_path),
        record_index=item.record_index,
    )


def _body(measured: _Measured) -> dict[str, Any]:
    return {
        "instrument_id": str(measured.instrument_id),
        "readings": [asdict(item) for item in measured.measurement.readings],
        "not_measured": [asdict(item) for item in measured.measurement.not_measured],
    }


def _provenance(context: JobContext, measured: _Measured) -> dict[str, Any]:
    return {
        "algorithm": "cycles against the simulated net; outside sessions the two levels by medians",
        "algorithm_version": MONITORING_VERSION,
        "parameters": {**parameters(), "reference_nets": context.settings.reference_nets},
        "inputs": sorted(measured.subject.file_sha256.values()),
        "content_sha256": measured.subject.content_sha256,
        "adapters": measured.adapters,
        "code_version": code_version(),
        "device": "cpu",
        "precision": "float64",
        "simulated": measured.simulated,
    }


def _request_monitoring(unit: UnitOfWork, context: JobContext, instrument_id: uuid.UUID) -> None:
    new = jobs.NewJob(
        job_key=monitor_key(context.claimed.job_key, MONITORING_VERSION),
        program_id=context.claimed.program_id,
        kind="monitor",
        queue=MONITOR_QUEUE,
        payload={"instrument_id": str(instrument_id)},
        requested_by=context.claimed.requested_by,
        priority=MONITOR_PRIORITY,
        max_attempts=context.settings.job_max_attempts,
        request_id=context.claimed.request_id,
    )
    job_id, created = jobs.insert(unit.connection, new)
    if created:
        unit.after_commit(lambda: context.announce(jobs.DueJob(job_id, MONITOR_QUEUE, MONITOR_PRIORITY)))

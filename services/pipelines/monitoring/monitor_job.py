"""The job ``monitor``: the charts of an instrument that have changed, evaluated; each new excursion is an event.

Nothing but the rows decides what is to be done: a job that died is made up for by the next one.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from analysis.monitoring.baseline import Baseline, NoBaseline
from db.repositories import charts, events
from db.repositories.charts import ChartSnapshot
from db.repositories.events import NewEvent
from db.repositories.excursions import list_told
from db.unit_of_work import UnitOfWork
from services.pipelines.context import Completion, JobContext
from services.pipelines.monitoring.chart_evaluation import (
    Evaluation,
    Excursion,
    Limits,
    Reading,
    estimate_limits,
    evaluate,
)
from services.pipelines.stored_answer import code_version
from services.pipelines.versions import MONITORING_VERSION

OUT_OF_CONTROL = "instrument.out_of_control"


@dataclass(frozen=True)
class _Evaluated:
    """A chart, the limits that were settled with it, and how it stands."""

    snapshot: ChartSnapshot
    settled: tuple[tuple[uuid.UUID, dict[str, Any]], ...]
    baseline: Mapping[str, Any] | None
    evaluation: Evaluation


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``monitor``."""
    instrument_id = uuid.UUID(str(context.claimed.payload["instrument_id"]))
    with context.engine.connect() as connection:
        changed = charts.list_changed(connection, instrument_id)
        evaluated = []
        for number, chart_id in enumerate(changed):
            context.progress(number / len(changed), f"chart {number + 1} of {len(changed)}")
            evaluated.append(_evaluate(charts.read_chart(connection, chart_id)))
            connection.rollback()
    return lambda unit: _write(unit, context, evaluated)


def _evaluate(snapshot: ChartSnapshot) -> _Evaluated:
    readings = [Reading(row.id, row.observed_at, row.value, row.sigma) for row in snapshot.readings]
    settled = []
    baseline = None if snapshot.baseline is None else dict(snapshot.baseline._mapping)
    for requested in snapshot.requested:
        values = _settle(requested, readings, truncated=snapshot.truncated)
        settled.append((requested.id, values))
        if values["state"] == "frozen" and (baseline is None or baseline["id"] < requested.id):
            baseline = {**requested._mapping, **values}
    return _Evaluated(snapshot, tuple(settled), baseline, evaluate(readings, _limits(baseline)))


def _settle(requested: Row[Any], readings: Sequence[Reading], *, truncated: bool) -> dict[str, Any]:
    """Return what becomes of limits that were requested."""
    try:
        found, count = estimate_limits(readings, requested.from_at, requested.to_at, robust=requested.robust)
    except NoBaseline as error:
        return {"state": "refused", "reason": str(error)}
    warnings = list(found.warnings)
    if truncated and (requested.from_at is None or requested.from_at < readings[0].observed_at):
        warnings.append(f"of the newest {charts.MOST_READINGS} readings only")
    return {
        "state": "frozen",
        "centre": found.centre,
        "sigma": found.sigma,
        "count": count,
        "method": found.method,
        "warnings": warnings,
    }


def _limits(baseline: Mapping[str, Any] | None) -> Limits | None:
    if baseline is None:
        return None
    known = Baseline(baseline["centre"], baseline["sigma"], baseline["count"] or 0, baseline["method"])
    return Limits(known, baseline["to_at"], baseline["parameters"])


def _write(unit: UnitOfWork, context: JobContext, evaluated: Sequence[_Evaluated]) -> None:
    """Write what is still current; what has changed meanwhile has a job of its own."""
    seen = {item.snapshot.row.id: item.snapshot.row.revision for item in evaluated}
    current = charts.lock_current(unit.connection, seen)
    for item in evaluated:
        row = item.snapshot.row
        if row.id not in current:
            continue
        for baseline_id, values in item.settled:
            charts.settle_baseline(unit.connection, baseline_id, values)
        document = _document(item, context)
        charts.write_evaluation(unit.connection, row.id, row.revision, item.evaluation.state, document)
        _tell(unit.connection, item)


def _document(item: _Evaluated, context: JobContext) -> dict[str, Any]:
    return {
        **item.evaluation.document,
        "truncated": item.snapshot.truncated,
        "baseline": None if item.baseline is None else _describe_baseline(item.baseline),
        "provenance": {
            "algorithm_version": MONITORING_VERSION,
            "code_version": code_version(),
            "job_id": str(context.claimed.id),
            "order": "by the time at which the server received the file",
            "most_readings": charts.MOST_READINGS,
        },
    }


def _describe_baseline(baseline: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: baseline[name] for name in ("from_at", "to_at")}
    return {
        "id": str(baseline["id"]),
        **{name: baseline[name] for name in ("centre", "sigma", "count", "method", "warnings", "parameters", "note")},
        **{name: None if value is None else value.isoformat() for name, value in times.items()},
        "requested_by": baseline["requested_by"],
        "requested_at": baseline["created_at"].isoformat(),
    }


def _tell(connection: Connection, item: _Evaluated) -> None:
    """Record an event for each excursion that has not been told of; the chart is locked."""
    if item.baseline is None or not item.evaluation.excursions:
        return
    told = list_told(connection, item.snapshot.row.id, item.baseline["id"])
    for excursion in item.evaluation.excursions:
        if any((excursion.rule, str(reading.id)) in told for reading in excursion.readings):
            continue
        events.record(connection, _event(item.snapshot, item.baseline, excursion))


def _event(snapshot: ChartSnapshot, baseline: Mapping[str, Any], excursion: Excursion) -> NewEvent:
    row, first = snapshot.row, excursion.readings[0]
    lower, upper = excursion.limits
    data = {
        "chart_id": str(row.id),
        "instrument": snapshot.instrument,
        **{name: getattr(row, name) for name in ("node", "quantity", "unit", "setup", "simulated")},
        "rule": excursion.rule,
        "meaning": excursion.meaning,
        "reading_id": str(first.id),
        "observed_at": first.observed_at.isoformat(),
        "value": first.value,
        "statistic": excursion.statistic,
        "lower": lower,
        "upper": upper,
        "since_reading_id": str(excursion.since.id),
        "since": excursion.since.observed_at.isoformat(),
        "baseline": {"id": str(baseline["id"]), "centre": baseline["centre"], "sigma": baseline["sigma"]},
    }
    return NewEvent(
        program_id=row.program_id,
        kind=OUT_OF_CONTROL,
        subject_type="control_chart",
        subject_id=row.id,
        data=data,
        identity=(row.id, baseline["id"], excursion.rule, first.id),
        instrument_id=row.instrument_id,
        occurred_at=first.observed_at,
    )

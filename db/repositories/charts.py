"""Control charts of instruments: readings that replace those of an earlier reading, and evaluations of what is there.

Every change of a chart's readings or limits raises its ``revision``, in a transaction that also asks for a job
``monitor``. An evaluation is written only for the revision that it saw; a later one has a later job.
"""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from db.identifiers import uuid7
from db.repositories import audit
from db.repositories.access import Action, Caller, RowNotFound
from db.repositories.audit import AuditEntry
from db.repositories.ingest import Subject
from db.schema.files import bundle, raw_file
from db.schema.monitoring import chart_baseline, control_chart, reference_reading
from db.schema.people import instrument

MOST_READINGS = 20_000
"""The newest ones, which an evaluation looks at."""


@dataclass(frozen=True)
class Series:
    """What a chart is of, besides its instrument."""

    node: str
    quantity: str
    unit: str
    setup: Mapping[str, Any]
    simulated: bool

    @property
    def key(self) -> tuple[str, str, str, str, bool]:
        """What two charts of one instrument differ in."""
        return self.node, self.quantity, self.unit, json.dumps(self.setup, sort_keys=True), self.simulated


@dataclass(frozen=True)
class NewReading:
    """One value of a series, and the record that it was measured on."""

    series: Series
    value: float
    sigma: float | None
    raw_file_id: uuid.UUID
    member_path: str
    record_index: int


@dataclass(frozen=True)
class ReadingSource:
    """Where readings come from: the instrument, the file or bundle, when it was received, the result that tells how."""

    instrument_id: uuid.UUID
    subject: Subject
    observed_at: datetime
    result_id: uuid.UUID


@dataclass(frozen=True)
class ChartSnapshot:
    """A chart as it was when it was looked at: its row, its limits, and its readings in the order of their times.

    ``requested``: limits that are still to be estimated, oldest first; ``baseline``: those that count, if any.
    """

    row: Row[Any]
    instrument: str
    baseline: Row[Any] | None
    requested: Sequence[Row[Any]]
    readings: Sequence[Row[Any]]
    truncated: bool


def received_at(connection: Connection, subject: Subject) -> datetime:
    """Return when the file was received, or the bundle declared."""
    table, identity = (bundle, subject.bundle_id) if subject.bundle_id is not None else (raw_file, subject.raw_file_id)
    found: datetime = connection.execute(select(table.c.created_at).where(table.c.id == identity)).scalar_one()
    return found


def _of(subject: Subject) -> Any:
    if subject.bundle_id is not None:
        return reference_reading.c.bundle_id == subject.bundle_id
    return (reference_reading.c.raw_file_id == subject.raw_file_id) & reference_reading.c.bundle_id.is_(None)


def has_readings(connection: Connection, subject: Subject) -> bool:
    """Return whether an earlier reading of the subject gave readings of charts."""
    return connection.execute(select(reference_reading.c.id).where(_of(subject)).limit(1)).scalar() is not None


def replace_readings(connection: Connection, source: ReadingSource, readings: Sequence[NewReading]) -> int:
    """Write the readings of a file or bundle in place of those that an earlier reading of it gave.

    A reading of the same record in the same chart keeps its id. Return how many charts have changed.
    """
    charts = _find_or_make_charts(connection, source, {reading.series.key: reading.series for reading in readings})
    before = connection.execute(select(reference_reading).where(_of(source.subject)).with_for_update()).all()
    touched = {row.chart_id for row in before} | set(charts.values())
    _lock(connection, touched)
    rows = [
        {
            "id": uuid7(),
            "program_id": source.subject.program_id,
            "chart_id": charts[reading.series.key],
            "raw_file_id": reading.raw_file_id,
            "bundle_id": source.subject.bundle_id,
            "member_path": reading.member_path,
            "record_index": reading.record_index,
            "value": reading.value,
            "sigma": reading.sigma,
            "observed_at": source.observed_at,
            "result_id": source.result_id,
        }
        for reading in readings
    ]
    places = {_place(row) for row in rows}
    left = [row.id for row in before if _place(row._mapping) not in places]
    if left:
        connection.execute(delete(reference_reading).where(reference_reading.c.id.in_(left)))
    if rows:
        statement = postgresql_insert(reference_reading)
        replaced = {name: statement.excluded[name] for name in ("value", "sigma", "observed_at", "result_id")}
        connection.execute(
            statement.on_conflict_do_update(constraint="uq_reference_reading_place", set_=replaced), rows
        )
    _raise_revision(connection, touched)
    return len(touched)


def _place(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    return row["chart_id"], row["raw_file_id"], row["member_path"], row["record_index"]


def _find_or_make_charts(
    connection: Connection, source: ReadingSource, series: Mapping[Any, Series]
) -> dict[Any, uuid.UUID]:
    """Return the charts of the series by their keys, those that are new made. In one order, so that none waits for
    another that waits for it."""
    rows = [
        {
            "id": uuid7(),
            "program_id": source.subject.program_id,
            "instrument_id": source.instrument_id,
            "node": each.node,
            "quantity": each.quantity,
            "unit": each.unit,
            "setup": dict(each.setup),
            "simulated": each.simulated,
        }
        for _, each in sorted(series.items())
    ]
    if not rows:
        return {}
    statement = postgresql_insert(control_chart).on_conflict_do_nothing(constraint="uq_control_chart_series")
    connection.execute(statement, rows)
    nodes = {each.node for each in series.values()}
    mine = control_chart.c.instrument_id == source.instrument_id
    found = connection.execute(select(control_chart).where(mine, control_chart.c.node.in_(nodes)))
    known = {Series(row.node, row.quantity, row.unit, row.setup, row.simulated).key: row.id for row in found}
    return {key: known[key] for key in series}


def _lock(connection: Connection, charts: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Lock charts, in the order of their ids; return their revisions."""
    chosen = select(control_chart.c.id, control_chart.c.revision).where(control_chart.c.id.in_(charts))
    found = connection.execute(chosen.order_by(control_chart.c.id).with_for_update())
    return {row.id: row.revision for row in found}


def _raise_revision(connection: Connection, charts: Collection[uuid.UUID]) -> None:
    statement = update(control_chart).where(control_chart.c.id.in_(charts))
    connection.execute(statement.values(revision=control_chart.c.revision + 1))


def list_changed(connection: Connection, instrument_id: uuid.UUID) -> list[uuid.UUID]:
    """Return the instrument's charts that have changed since they were evaluated."""
    stale = or_(
        control_chart.c.evaluated_revision.is_(None), control_chart.c.evaluated_revision < control_chart.c.revision
    )
    chosen = select(control_chart.c.id).where(control_chart.c.instrument_id == instrument_id, stale)
    return list(connection.execute(chosen.order_by(control_chart.c.id)).scalars())


def read_chart(connection: Connection, chart_id: uuid.UUID) -> ChartSnapshot:
    """Return a chart with what it is drawn of. The row is read first: what comes later has a higher revision."""
    row = connection.execute(
        select(control_chart, instrument.c.name.label("instrument"))
        .join(instrument, instrument.c.id == control_chart.c.instrument_id)
        .where(control_chart.c.id == chart_id)
    ).one()
    of_chart = select(chart_baseline).where(chart_baseline.c.chart_id == chart_id)
    frozen = of_chart.where(chart_baseline.c.state == "frozen").order_by(chart_baseline.c.id.desc()).limit(1)
    requested = of_chart.where(chart_baseline.c.state == "requested").order_by(chart_baseline.c.id)
    newest = (
        select(reference_reading)
        .where(reference_reading.c.chart_id == chart_id)
        .order_by(reference_reading.c.observed_at.desc(), reference_reading.c.id.desc())
        .limit(MOST_READINGS + 1)
    )
    readings = list(connection.execute(newest))
    return ChartSnapshot(
        row=row,
        instrument=row.instrument,
        baseline=connection.execute(frozen).one_or_none(),
        requested=connection.execute(requested).all(),
        readings=readings[MOST_READINGS - 1 :: -1] if len(readings) > MOST_READINGS else readings[::-1],
        truncated=len(readings) > MOST_READINGS,
    )


def lock_current(connection: Connection, seen: Mapping[uuid.UUID, int]) -> set[uuid.UUID]:
    """Lock charts whose evaluation is to be written; return those that are still at the revision that it saw."""
    return {chart for chart, revision in _lock(connection, seen).items() if revision == seen[chart]}


def write_evaluation(
    connection: Connection, chart_id: uuid.UUID, revision: int, state: str, document: Mapping[str, Any]
) -> None:
    """Write how a chart stands at ``revision``; the chart is locked."""
    values = {"state": state, "evaluation": dict(document), "evaluated_revision": revision, "evaluated_at": func.now()}
    connection.execute(update(control_chart).where(control_chart.c.id == chart_id).values(**values))


def settle_baseline(connection: Connection, baseline_id: uuid.UUID, values: Mapping[str, Any]) -> None:
    """Freeze or refuse limits that were requested: ``values`` has ``state`` and what belongs to it."""
    settled = {"frozen_at": func.now()} if values["state"] == "frozen" else {}
    waiting = (chart_baseline.c.id == baseline_id) & (chart_baseline.c.state == "requested")
    connection.execute(update(chart_baseline).where(waiting).values(**values, **settled))


def request_baseline(
    connection: Connection, caller: Caller, chart_id: uuid.UUID, values: Mapping[str, Any]
) -> tuple[uuid.UUID, Row[Any]]:
    """Insert limits on behalf of a caller, with the audit entry; return their id and the chart's row.

    Raises:
        RowNotFound: there is no such chart that the caller may see.
        ActionDenied: the caller may see it and may not set limits.
    """
    allowed = caller.restriction(Action.READ_OPERATIONS, control_chart.c.program_id)
    chart = connection.execute(select(control_chart).where(control_chart.c.id == chart_id, allowed)).one_or_none()
    if chart is None:
        raise RowNotFound("control chart", chart_id)
    caller.require_in(Action.MONITOR, chart.program_id)
    own = {"chart_id": chart_id, "program_id": chart.program_id, "requested_by": caller.actor}
    identity = insert_baseline(connection, {**values, **own})
    after = {"chart_id": str(chart_id), **{name: values.get(name) for name in ("state", "centre", "sigma", "note")}}
    entry = AuditEntry("chart-baseline.created", "chart_baseline", identity, chart.program_id, after=after)
    audit.record(connection, caller.actor, caller.request_id, entry)
    return identity, chart


def insert_baseline(connection: Connection, values: Mapping[str, Any]) -> uuid.UUID:
    """Insert limits that are given or requested, and raise the chart's revision; return their id."""
    identity = uuid7()
    _lock(connection, {values["chart_id"]})
    settled = {"frozen_at": func.now()} if values["state"] == "frozen" else {}
    connection.execute(insert(chart_baseline).values(id=identity, **values, **settled))
    _raise_revision(connection, {values["chart_id"]})
    return identity

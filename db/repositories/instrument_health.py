"""How an instrument is doing: its uploads, what its agents report, and what no adapter could read."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, delete, func, literal_column, or_, select, true, union_all
from sqlalchemy.dialects.postgresql import insert as upsert

from db.identifiers import uuid7
from db.repositories.access import Action, ActionDenied, Caller, RowNotFound
from db.schema.files import bundle, ingest_event, raw_file, upload
from db.schema.people import agent_report, api_key, instrument

MOST_AGENTS = 100
FORGET_AFTER = timedelta(days=90)


@dataclass(frozen=True)
class AgentReport:
    """What an agent says of one watched folder; ``sent_at`` is its clock's time, the others as in the table."""

    agent_id: uuid.UUID
    agent_version: str
    folder: str
    waiting_files: int
    waiting_bytes: int
    oldest_waiting_s: float | None
    refused_files: int
    trouble: str | None
    sent_at: datetime


def record(connection: Connection, caller: Caller, report: AgentReport, received_at: datetime) -> None:
    """Keep an agent's report in place of its last one; ``received_at`` is the server's time.

    No more than ``MOST_AGENTS`` of an instrument are kept, those that reported last, and none for longer than
    ``FORGET_AFTER``.

    Raises:
        ActionDenied: the caller is no instrument.
    """
    if caller.instrument_id is None:
        raise ActionDenied(Action.UPLOAD, "only an instrument's key reports its health")
    values: dict[str, Any] = {name: value for name, value in vars(report).items() if name != "sent_at"}
    values |= {
        "clock_offset_s": (report.sent_at - received_at).total_seconds(),
        "reported_at": received_at,
    }
    statement = upsert(agent_report).values(id=uuid7(), instrument_id=caller.instrument_id, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["instrument_id", "agent_id"], set_=values))
    own = agent_report.c.instrument_id == caller.instrument_id
    newest = select(agent_report.c.id).where(own).order_by(agent_report.c.reported_at.desc()).limit(MOST_AGENTS)
    old = agent_report.c.reported_at < received_at - FORGET_AFTER
    connection.execute(delete(agent_report).where(own, or_(agent_report.c.id.not_in(newest), old)))


def read(connection: Connection, caller: Caller, instrument_id: uuid.UUID) -> dict[str, Any]:
    """Return the health of an instrument; raises :class:`RowNotFound`.

    ``files`` counts its originals by state; ``quarantined`` has, for each adapter's version, how many files and
    bundles it refused that nothing has read since; ``readings`` has, for each adapter's version, how many files and
    bundles it has ever read, and how many it has tried to read and refused.
    """
    allowed = caller.restriction(Action.READ_OPERATIONS, instrument.c.program_id)
    found = connection.execute(select(instrument.c.program_id).where(instrument.c.id == instrument_id, allowed))
    program_id = found.scalar()
    if program_id is None:
        raise RowNotFound("instrument", instrument_id)
    mine = raw_file.c.instrument_id == instrument_id
    counts = connection.execute(select(raw_file.c.state, func.count()).where(mine).group_by(raw_file.c.state)).all()
    last_upload = select(func.max(upload.c.completed_at)).where(upload.c.instrument_id == instrument_id)
    open_uploads = select(func.count()).where(
        upload.c.instrument_id == instrument_id, upload.c.completed_at.is_(None), upload.c.expires_at > func.now()
    )
    last_contact = select(func.max(api_key.c.last_used_at)).where(api_key.c.instrument_id == instrument_id)
    return {
        "instrument_id": instrument_id,
        "program_id": program_id,
        "last_upload_at": connection.execute(last_upload).scalar_one(),
        "last_contact_at": connection.execute(last_contact).scalar_one(),
        "open_uploads": connection.execute(open_uploads).scalar_one(),
        "files": {"received": 0, "stored": 0, "quarantined": 0} | {row[0]: row[1] for row in counts},
        "agents": _agents(connection, instrument_id),
        "quarantined": _quarantined(connection, instrument_id),
        "readings": _readings(connection, instrument_id),
    }


def _agents(connection: Connection, instrument_id: uuid.UUID) -> list[dict[str, Any]]:
    columns = [column for column in agent_report.c if column.name not in {"id", "instrument_id"}]
    query = select(*columns).where(agent_report.c.instrument_id == instrument_id)
    rows = connection.execute(query.order_by(agent_report.c.reported_at.desc(), agent_report.c.id)).mappings()
    return [{str(name): value for name, value in row.items()} for row in rows]


def _quarantined(connection: Connection, instrument_id: uuid.UUID) -> list[dict[str, Any]]:
    subjects = union_all(
        *(
            select(table.c.id, table.c.quarantine_reasons.label("reasons")).where(
                table.c.instrument_id == instrument_id,
                table.c.state == "quarantined",
                func.jsonb_typeof(table.c.quarantine_reasons) == "array",
            )
            for table in (raw_file, bundle)
        )
    ).subquery()
    reason = func.jsonb_array_elements(subjects.c.reasons).table_valued("value", name="reason")
    adapter: ColumnElement[str | None] = literal_column("reason.value ->> 'adapter'", Text)
    version: ColumnElement[str | None] = literal_column("reason.value ->> 'version'", Text)
    query = (
        select(adapter.label("adapter"), version.label("adapter_version"), func.count(subjects.c.id.distinct()))
        .select_from(subjects.join(reason, true()))
        .group_by(adapter, version)
        .order_by(adapter, version)
    )
    rows = connection.execute(query).all()
    return [{"adapter": row[0], "adapter_version": row[1], "files": row[2]} for row in rows]


def _readings(connection: Connection, instrument_id: uuid.UUID) -> list[dict[str, Any]]:
    """Count the instrument's ingest events by adapter and version: each reading of each file and bundle."""
    mine = union_all(
        *(
            select(ingest_event).join(table, table.c.id == column).where(table.c.instrument_id == instrument_id)
            for table, column in ((raw_file, ingest_event.c.raw_file_id), (bundle, ingest_event.c.bundle_id))
        )
    ).cte("mine")
    reason = func.jsonb_array_elements(mine.c.reasons).table_valued("value", name="reason")
    tried = literal_column("reason.value ->> 'verdict'", Text) == "refused"
    counted = union_all(
        select(
            mine.c.id, mine.c.created_at, mine.c.adapter, mine.c.adapter_version, literal_column("1").label("stored")
        ).where(mine.c.outcome == "stored"),
        select(
            mine.c.id,
            mine.c.created_at,
            literal_column("reason.value ->> 'adapter'", Text),
            literal_column("reason.value ->> 'version'", Text),
            literal_column("0"),
        )
        .select_from(mine.join(reason, true()))
        .where(mine.c.outcome == "quarantined", func.jsonb_typeof(mine.c.reasons) == "array", tried),
    ).subquery("counted")
    stored = func.count(counted.c.id.distinct()).filter(counted.c.stored == 1)
    refused = func.count(counted.c.id.distinct()).filter(counted.c.stored == 0)
    query = (
        select(
            counted.c.adapter,
            counted.c.adapter_version,
            stored.label("stored"),
            refused.label("refused"),
            func.max(counted.c.created_at).label("last_at"),
        )
        .group_by(counted.c.adapter, counted.c.adapter_version)
        .order_by(counted.c.adapter, counted.c.adapter_version)
    )
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]

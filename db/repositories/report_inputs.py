"""What a report is made of: what had arrived in a program by the freeze, and what happened in the period before it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from db.schema.cases import case_decision, fa_case
from db.schema.data import data_table
from db.schema.events import event
from db.schema.files import raw_file
from db.schema.models import model, model_decision, model_version, model_watch
from db.schema.people import instrument


@dataclass(frozen=True)
class Period:
    """The time that a report of a program tells of: from (exclusive) to the freeze (inclusive)."""

    program_id: uuid.UUID
    begin: datetime
    freeze_at: datetime

    def covers(self, moment: Any) -> Any:
        """Return the condition that ``moment`` lies in the period."""
        return and_(moment > self.begin, moment <= self.freeze_at)


def list_files_until_freeze(connection: Connection, period: Period, kinds: tuple[str, ...]) -> list[uuid.UUID]:
    """Return the files with a table of ``kinds`` that had arrived by the freeze, in order of arrival."""
    return _files(connection, period, kinds, raw_file.c.created_at <= period.freeze_at)


def list_files_of_period(connection: Connection, period: Period, kinds: tuple[str, ...]) -> list[uuid.UUID]:
    """Return the files with a table of ``kinds`` that arrived in the period, in order of arrival."""
    return _files(connection, period, kinds, period.covers(raw_file.c.created_at))


def _files(connection: Connection, period: Period, kinds: tuple[str, ...], arrived: Any) -> list[uuid.UUID]:
    query = (
        select(raw_file.c.id)
        .join(data_table, data_table.c.raw_file_id == raw_file.c.id)
        .where(raw_file.c.program_id == period.program_id, data_table.c.kind.in_(kinds), arrived)
        .group_by(raw_file.c.id)
        .order_by(raw_file.c.id)
    )
    return list(connection.execute(query).scalars())


def count_unread(connection: Connection, period: Period) -> dict[str, int]:
    """Return how many files that had arrived by the freeze are not read (``received``) or could not be."""
    query = (
        select(raw_file.c.state, func.count())
        .where(
            raw_file.c.program_id == period.program_id,
            raw_file.c.state.in_(("received", "quarantined")),
            or_(
                and_(raw_file.c.state == "received", raw_file.c.created_at <= period.freeze_at),
                period.covers(raw_file.c.created_at),
            ),
        )
        .group_by(raw_file.c.state)
    )
    return {str(state): int(count) for state, count in connection.execute(query)}


def list_excursions(connection: Connection, period: Period) -> Sequence[Any]:
    """Return the excursions of control charts in the period, the first first, with the instrument's name."""
    query = (
        select(event.c.occurred_at, event.c.data, instrument.c.name.label("instrument_name"))
        .outerjoin(instrument, instrument.c.id == event.c.instrument_id)
        .where(
            event.c.program_id == period.program_id,
            event.c.kind == "instrument.out_of_control",
            period.covers(event.c.occurred_at),
        )
        .order_by(event.c.occurred_at, event.c.id)
    )
    return connection.execute(query).all()


def count_cases(connection: Connection, period: Period) -> tuple[int, int]:
    """Return how many cases were open at the freeze, and how many were opened in the period."""
    closed = and_(fa_case.c.closed_at.is_not(None), fa_case.c.closed_at <= period.freeze_at)
    query = select(
        func.count().filter(fa_case.c.created_at <= period.freeze_at, ~closed),
        func.count().filter(period.covers(fa_case.c.created_at)),
    ).where(fa_case.c.program_id == period.program_id)
    row = connection.execute(query).one()
    return int(row[0]), int(row[1])


def list_signed_off(connection: Connection, period: Period) -> Sequence[Any]:
    """Return the sign-offs of cases in the period with the conclusion as it stood, the first first."""
    query = (
        select(case_decision.c.created_at, case_decision.c.conclusion, fa_case.c.title)
        .join(fa_case, fa_case.c.id == case_decision.c.case_id)
        .where(
            case_decision.c.program_id == period.program_id,
            case_decision.c.kind == "signed-off",
            period.covers(case_decision.c.created_at),
        )
        .order_by(case_decision.c.created_at, case_decision.c.id)
    )
    return connection.execute(query).all()


def list_counting_models(connection: Connection, period: Period, kind: str) -> Sequence[Row[Any]]:
    """Return the versions of models of ``kind`` that counted at the freeze, with the model's name and who decided so.

    What counted is read off the decisions, which stay on record, not off the state of today. That a version which did
    not count is retired says nothing of the one that does.
    """
    newest = func.row_number().over(
        partition_by=model_decision.c.model_id,
        order_by=(model_decision.c.created_at.desc(), model_decision.c.id.desc()),
    )
    last = (
        select(model_decision, newest.label("place"))
        .where(
            model_decision.c.program_id == period.program_id,
            model_decision.c.created_at <= period.freeze_at,
            or_(model_decision.c.kind != "retired", model_decision.c.replaced_version_id.is_not(None)),
        )
        .subquery("last")
    )
    query = (
        select(model_version, model.c.name, last.c.person, last.c.created_at.label("decided_at"))
        .join(last, last.c.version_id == model_version.c.id)
        .join(model, model.c.id == model_version.c.model_id)
        .where(model.c.kind == kind, last.c.place == 1, last.c.kind != "retired")
        .order_by(model.c.name)
    )
    return connection.execute(query).all()


def find_last_watch(connection: Connection, period: Period, version_id: uuid.UUID) -> Row[Any] | None:
    """Return the last look at a version's drift before the freeze, ``None`` when there was none."""
    query = select(model_watch).where(
        model_watch.c.version_id == version_id, model_watch.c.created_at <= period.freeze_at
    )
    return connection.execute(query.order_by(model_watch.c.created_at.desc()).limit(1)).one_or_none()

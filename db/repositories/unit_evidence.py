"""Stored answers and outcomes as evidence on units: what there is in a program, since when, made from which files."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, any_, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, UUID

from db.schema.data import data_table, probing_session
from db.schema.files import raw_file
from db.schema.parts import lot, product, unit, wafer
from db.schema.work import job, result


@dataclass(frozen=True)
class ResultHead:
    """A stored answer without its body: what it is, since when it is there, what was asked, what it rests on."""

    id: uuid.UUID
    kind: str
    created_at: datetime
    provenance: Mapping[str, Any]
    payload: Mapping[str, Any]
    simulated: bool
    probing_session_id: uuid.UUID | None


@dataclass(frozen=True)
class SessionUnit:
    """The unit of a probing session as its document names it."""

    product: str | None
    lot: str | None
    wafer: str | None
    x: int | None
    y: int | None
    serial: str | None
    role: str


@dataclass(frozen=True)
class KnownFile:
    """A file's id, and when it arrived."""

    id: uuid.UUID
    arrived_at: datetime


@dataclass(frozen=True)
class Chosen:
    """Answers of a program: of ``kinds``, stored ``until`` then (whenever if ``None``), those of ``ids`` if any."""

    program_id: uuid.UUID
    kinds: tuple[str, ...]
    until: datetime | None = None
    ids: tuple[uuid.UUID, ...] = ()

    def restrict(self, query: Any) -> Any:
        """Return ``query`` over the results, of these answers alone."""
        query = query.where(result.c.program_id == self.program_id, result.c.kind.in_(sorted(self.kinds)))
        if self.until is not None:
            query = query.where(result.c.created_at <= self.until)
        return query.where(result.c.id.in_(self.ids)) if self.ids else query


def find_newest(connection: Connection, chosen: Chosen) -> uuid.UUID | None:
    """Return the id of the newest of the answers, ``None`` when there is none."""
    query = chosen.restrict(select(result.c.id)).order_by(result.c.id.desc()).limit(1)
    return connection.execute(query).scalar()


def list_results(connection: Connection, chosen: Chosen, most: int) -> list[ResultHead]:
    """Return the newest ``most`` of the answers, oldest first."""
    query = select(
        result.c.id,
        result.c.kind,
        result.c.created_at,
        result.c.provenance,
        job.c.payload,
        result.c.simulated,
        result.c.probing_session_id,
    ).join(job, job.c.id == result.c.job_id)
    rows = connection.execute(chosen.restrict(query).order_by(result.c.id.desc()).limit(most))
    return [ResultHead(**row) for row in reversed(rows.mappings().all())]


def read_body(connection: Connection, result_id: uuid.UUID, *path: str) -> Any:
    """Return the part of an answer's document at ``path``, all of it without one; ``None`` where there is none."""
    part = result.c.body if not path else result.c.body.op("#>")(cast(list(path), ARRAY(TEXT)))
    return connection.execute(select(part).where(result.c.id == result_id)).scalar()


def find_known_files(connection: Connection, program_id: uuid.UUID, digests: Sequence[str]) -> dict[str, KnownFile]:
    """Return the files of the program with these sha256; of some there may be none."""
    query = select(raw_file.c.sha256, raw_file.c.id, raw_file.c.created_at).where(
        raw_file.c.program_id == program_id, raw_file.c.sha256 == any_(literal(sorted(set(digests)), ARRAY(TEXT)))
    )
    return {row.sha256: KnownFile(row.id, row.created_at) for row in connection.execute(query)}


def find_session_units(connection: Connection, sessions: Collection[uuid.UUID]) -> dict[uuid.UUID, SessionUnit]:
    """Return the unit of each probing session that names one."""
    query = (
        select(
            probing_session.c.id,
            probing_session.c.role,
            product.c.name.label("product"),
            lot.c.name.label("lot"),
            wafer.c.name.label("wafer"),
            unit.c.x,
            unit.c.y,
            unit.c.serial,
        )
        .join(unit, unit.c.id == probing_session.c.unit_id)
        .join(product, product.c.id == unit.c.product_id)
        .outerjoin(wafer, wafer.c.id == unit.c.wafer_id)
        .outerjoin(lot, lot.c.id == wafer.c.lot_id)
        .where(probing_session.c.id == any_(literal(sorted(sessions), ARRAY(UUID(as_uuid=True)))))
    )
    rows = connection.execute(query).mappings()
    return {row["id"]: SessionUnit(**{name: row[name] for name in row if name != "id"}) for row in rows}


def list_shared_lots(connection: Connection, program_id: uuid.UUID) -> list[str]:
    """Return the names of lots that several products of the program have."""
    query = (
        select(lot.c.name)
        .where(lot.c.program_id == program_id)
        .group_by(lot.c.name)
        .having(func.count() > 1)
        .order_by(lot.c.name)
    )
    return list(connection.execute(query).scalars())


def list_tables(connection: Connection, program_id: uuid.UUID, kind: str, most: int) -> list[uuid.UUID]:
    """Return the stored tables of ``kind``, the newest ``most`` of them, oldest first."""
    query = (
        select(data_table.c.id)
        .where(data_table.c.program_id == program_id, data_table.c.kind == kind)
        .order_by(data_table.c.id.desc())
        .limit(most)
    )
    return list(reversed(connection.execute(query).scalars().all()))


def find_arrivals(connection: Connection, tables: Collection[uuid.UUID]) -> dict[uuid.UUID, KnownFile]:
    """Return by stored table the file that it was read from, and when that arrived."""
    query = (
        select(data_table.c.id, raw_file.c.id.label("file_id"), raw_file.c.created_at)
        .join(raw_file, raw_file.c.id == data_table.c.raw_file_id)
        .where(data_table.c.id == any_(literal(sorted(tables), ARRAY(UUID(as_uuid=True)))))
    )
    return {row.id: KnownFile(row.file_id, row.created_at) for row in connection.execute(query)}

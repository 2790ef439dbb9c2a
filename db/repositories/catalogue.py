"""Lists and single rows of every resource, as JSON made by PostgreSQL.

Building the JSON where the rows are costs a third of fetching, converting and encoding them here. Each
:class:`Listing` says which columns are shown, which action reads them, and by what they can be filtered.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from db.pagination import PageRequest
from db.prepared import PreparedQuery
from db.repositories.access import Action, Caller, RowNotFound
from db.schema import data, files, parts, people, work

Condition = Callable[[Any], ColumnElement[bool]]
_Form = Literal["every", "one", "several"]
_Names = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Listing:
    """A resource that can be listed and read.

    Attributes:
        kind: what a row is called in messages.
        table: where the rows are; it has ``id`` and the column ``program_column``.
        action: what the caller must be allowed to do in the row's program.
        hidden: columns that are never shown.
        detail_only: columns that a list leaves out because they can be large.
        conditions: filters by name.
        program_column: the column that says whose the row is.
        alternative: another action that allows to read the row.
    """

    kind: str
    table: Table
    action: Action
    hidden: frozenset[str] = frozenset()
    detail_only: frozenset[str] = frozenset()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    program_column: str = "program_id"
    alternative: Action | None = None

    def columns(self, *, detail: bool) -> list[Column[Any]]:
        """Return the columns that a list or a single row shows."""
        left_out = self.hidden if detail else self.hidden | self.detail_only
        return [column for column in self.table.columns if column.name not in left_out]

    @cached_property
    def own_columns(self) -> tuple[str, ...]:
        """The columns that the service itself works with: hidden ones too, none of those that can be large."""
        return tuple(column.name for column in self.table.columns if column.name not in self.detail_only)

    def allowed_programs(self, caller: Caller) -> frozenset[uuid.UUID] | None:
        """Return the programs whose rows the caller may read; ``None`` means every program."""
        allowed = caller.programs(self.action)
        other = caller.programs(self.alternative) if self.alternative is not None else frozenset()
        return None if allowed is None or other is None else allowed | other


@dataclass(frozen=True)
class RowPage:
    """One page: each row as JSON, and the row to continue after, ``None`` at the end."""

    rows: list[str]
    next_after: uuid.UUID | None


def list_page(
    connection: Connection, caller: Caller, listing: Listing, filters: Mapping[str, Any], page: PageRequest
) -> RowPage:
    """Return one page of the rows that the caller may read and that pass every filter."""
    allowed = listing.allowed_programs(caller)
    if allowed is not None and not allowed:
        return RowPage([], None)
    query = _prepare_page(listing, _form_of(allowed), tuple(sorted(filters)), page.after is not None, page.newest_first)
    values = {f"filter_{name}": value for name, value in filters.items()}
    if page.after is not None:
        values["after"] = page.after
    found = query.fetch(connection, count=page.limit + 1, **values, **_program_values(allowed))
    shown = found[: page.limit]
    return RowPage([row[0] for row in shown], shown[-1][1] if len(found) > page.limit else None)


@lru_cache(maxsize=1024)
def _prepare_page(
    listing: Listing, form: _Form, filters: tuple[str, ...], after: bool, newest_first: bool
) -> PreparedQuery:
    key = listing.table.c.id
    query = _restrict(select(*listing.columns(detail=False)), listing, form)
    for name in filters:
        query = query.where(listing.conditions[name](bindparam(f"filter_{name}")))
    if after:
        position = bindparam("after", type_=UUID(as_uuid=True))
        query = query.where(key < position if newest_first else key > position)
    ordered = query.order_by(key.desc() if newest_first else key.asc())
    chosen = ordered.limit(bindparam("count", type_=Integer)).subquery("item")
    order = chosen.c.id.desc() if newest_first else chosen.c.id.asc()
    return PreparedQuery(select(cast(func.row_to_json(chosen.table_valued()), Text), chosen.c.id).order_by(order))


def _form_of(allowed: frozenset[uuid.UUID] | None) -> _Form:
    """Return the kind of restriction: equality with one program keeps the index's order, ANY does not."""
    if allowed is None:
        return "every"
    return "one" if len(allowed) == 1 else "several"


def _program_values(allowed: frozenset[uuid.UUID] | None) -> dict[str, Any]:
    if allowed is None:
        return {}
    return {"programs": next(iter(allowed)) if len(allowed) == 1 else sorted(allowed)}


def _restrict(query: Select[Any], listing: Listing, form: _Form) -> Select[Any]:
    column = listing.table.c[listing.program_column]
    if form == "every":
        return query
    if form == "one":
        return query.where(column == bindparam("programs", type_=UUID(as_uuid=True)))
    return query.where(column == any_(bindparam("programs", type_=ARRAY(UUID(as_uuid=True)))))


@lru_cache(maxsize=1024)
def _prepare_row(listing: Listing, form: _Form, names: _Names) -> PreparedQuery:
    """Return the query of the columns ``names``, or of the row as JSON when there are none."""
    table = listing.table
    columns = [table.c[name] for name in names] if names else listing.columns(detail=True)
    query = _restrict(select(*columns), listing, form).where(table.c.id == bindparam("identity"))
    if names:
        return PreparedQuery(query)
    chosen = query.subquery("item")
    return PreparedQuery(select(cast(func.row_to_json(chosen.table_valued()), Text)))


def _run_row(
    connection: Connection, caller: Caller, listing: Listing, identity: uuid.UUID, names: _Names
) -> tuple[Any, ...]:
    allowed = listing.allowed_programs(caller)
    if allowed is not None and not allowed:
        raise RowNotFound(listing.kind, identity)
    query = _prepare_row(listing, _form_of(allowed), names)
    found = query.fetch(connection, identity=identity, **_program_values(allowed))
    if not found:
        raise RowNotFound(listing.kind, identity)
    return found[0]


def read_row(connection: Connection, caller: Caller, listing: Listing, identity: uuid.UUID) -> str:
    """Return a row with all its columns as JSON; raises :class:`RowNotFound`."""
    return str(_run_row(connection, caller, listing, identity, ())[0])


def fetch_row(
    connection: Connection, caller: Caller, listing: Listing, identity: uuid.UUID, names: _Names = ()
) -> Mapping[str, Any]:
    """Return the row's columns ``names``, by default :attr:`Listing.own_columns`, by name.

    Raises:
        RowNotFound: there is no such row, or not for the caller.
    """
    names = names or listing.own_columns
    return dict(zip(names, _run_row(connection, caller, listing, identity, names), strict=True))


def fetch_rows(
    connection: Connection, caller: Caller, listing: Listing, identities: Sequence[uuid.UUID], names: _Names
) -> list[Mapping[str, Any]]:
    """Return the columns ``names`` of several rows in the order of ``identities``; raises :class:`RowNotFound`."""
    allowed = listing.allowed_programs(caller)
    if allowed is not None and not allowed:
        raise RowNotFound(listing.kind, identities[0])
    query = _prepare_rows(listing, _form_of(allowed), names)
    found = query.fetch(connection, identities=list(identities), **_program_values(allowed))
    rows = {row[0]: dict(zip(names, row[1:], strict=True)) for row in found}
    for identity in identities:
        if identity not in rows:
            raise RowNotFound(listing.kind, identity)
    return [rows[identity] for identity in identities]


@lru_cache(maxsize=64)
def _prepare_rows(listing: Listing, form: _Form, names: _Names) -> PreparedQuery:
    table = listing.table
    wanted = bindparam("identities", type_=ARRAY(UUID(as_uuid=True)))
    columns = [table.c.id.label("identity"), *(table.c[name] for name in names)]
    return PreparedQuery(_restrict(select(*columns), listing, form).where(table.c.id == any_(wanted)))


def fetch_page(connection: Connection, query: Select[Any], key: ColumnElement[Any], page: PageRequest) -> RowPage:
    """Return one page of a query's rows as JSON; ``key`` is the primary key, which the query selects as ``id``."""
    if page.after is not None:
        query = query.where(key < page.after if page.newest_first else key > page.after)
    chosen = query.order_by(key.desc() if page.newest_first else key.asc()).limit(page.limit + 1).subquery("item")
    order = chosen.c.id.desc() if page.newest_first else chosen.c.id.asc()
    ordered = select(cast(func.row_to_json(chosen.table_valued()), Text), chosen.c.id).order_by(order)
    found = connection.execute(ordered).all()
    shown = found[: page.limit]
    return RowPage([row[0] for row in shown], shown[-1][1] if len(found) > page.limit else None)


def filter_by(*columns: Column[Any]) -> dict[str, Condition]:
    """Return filters by equality, named after their columns without ``_id``."""
    return {column.name.removesuffix("_id"): column.__eq__ for column in columns}


def _payload(member: str) -> Condition:
    return lambda value: work.job.c.payload[member].astext == cast(value, Text)


_BLOB_PLACE = frozenset({"blob_key", "byte_offset", "byte_length"})
_VENDOR = frozenset({"vendor_metadata", "warnings"})

FILES = Listing(
    "file",
    files.raw_file,
    Action.READ_OPERATIONS,
    frozenset({"blob_key"}),
    frozenset({"quarantine_reasons"}),
    filter_by(
        files.raw_file.c.program_id,
        files.raw_file.c.state,
        files.raw_file.c.sha256,
        files.raw_file.c.instrument_id,
        files.raw_file.c.format,
        files.raw_file.c.filename,
    )
    | {"formats": lambda formats: files.raw_file.c.format == any_(cast(formats, ARRAY(Text)))},
)
BUNDLES = Listing(
    "bundle",
    files.bundle,
    Action.READ_OPERATIONS,
    frozenset(),
    frozenset({"quarantine_reasons"}),
    filter_by(files.bundle.c.program_id, files.bundle.c.state, files.bundle.c.name),
)
JOBS = Listing(
    "job",
    work.job,
    Action.READ_OPERATIONS,
    frozenset({"lease_token", "trace_context"}),
    frozenset(),
    filter_by(work.job.c.program_id, work.job.c.state, work.job.c.kind, work.job.c.queue)
    | {
        "bundle": _payload("bundle_id"),
        "raw_file": _payload("raw_file_id"),
        "probing_session": _payload("probing_session_id"),
    },
)
INSTRUMENTS = Listing(
    "instrument",
    people.instrument,
    Action.READ_OPERATIONS,
    conditions=filter_by(people.instrument.c.program_id, people.instrument.c.name, people.instrument.c.kind),
    alternative=Action.READ_ADMINISTRATION,
)
PROGRAMS = Listing(
    "program",
    people.program,
    Action.READ_OPERATIONS,
    conditions=filter_by(people.program.c.name) | {"program": people.program.c.id.__eq__},
    program_column="id",
    alternative=Action.READ_ADMINISTRATION,
)
WAVEFORMS = Listing(
    "waveform",
    data.waveform,
    Action.READ_RECORDS,
    _BLOB_PLACE,
    _VENDOR,
    filter_by(
        data.waveform.c.program_id,
        data.waveform.c.raw_file_id,
        data.waveform.c.bundle_id,
        data.waveform.c.probing_session_id,
        data.waveform.c.net,
        data.waveform.c.name,
        data.waveform.c.kind,
        data.waveform.c.sha256,
    ),
)
SESSIONS = Listing(
    "probing session",
    data.probing_session,
    Action.READ_RECORDS,
    detail_only=frozenset({"document"}),
    conditions=filter_by(
        data.probing_session.c.program_id,
        data.probing_session.c.bundle_id,
        data.probing_session.c.raw_file_id,
        data.probing_session.c.unit_id,
        data.probing_session.c.name,
        data.probing_session.c.role,
    ),
)
RESULTS = Listing(
    "result",
    work.result,
    Action.READ_RECORDS,
    detail_only=frozenset({"body", "provenance"}),
    conditions=filter_by(
        work.result.c.program_id,
        work.result.c.probing_session_id,
        work.result.c.job_id,
        work.result.c.kind,
        work.result.c.verdict,
    )
    | {"raw_file": lambda value: work.result.c.job_id.in_(select(work.job.c.id).where(_payload("raw_file_id")(value)))},
)
FINDINGS = Listing(
    "finding",
    work.finding,
    Action.READ_RECORDS,
    detail_only=frozenset({"evidence"}),
    conditions=filter_by(
        work.finding.c.program_id, work.finding.c.result_id, work.finding.c.kind, work.finding.c.subject
    ),
)


def _documents(kind: str, table: Table, *filters: Column[Any]) -> Listing:
    """Return the listing of records that are one document each; ``filters`` are columns besides the usual ones."""
    return Listing(
        kind,
        table,
        Action.READ_RECORDS,
        _BLOB_PLACE,
        _VENDOR,
        filter_by(table.c.program_id, table.c.raw_file_id, table.c.bundle_id, table.c.name, *filters),
    )


NETLISTS = _documents("netlist", data.netlist)
PATTERN_SETS = _documents("pattern set", data.pattern_set)
FAIL_LOGS = _documents("fail log", data.fail_log)
PLACEMENTS = _documents("placement", data.placement)
DIGITAL_TRACES = _documents("digital trace", data.digital_trace)
TABLES = _documents("table", data.data_table, data.data_table.c.kind)
RASTERS = _documents("raster", data.raster, data.raster.c.kind)

PRODUCTS = Listing(
    "product",
    parts.product,
    Action.READ_RECORDS,
    conditions=filter_by(parts.product.c.program_id, parts.product.c.name),
)
LOTS = Listing(
    "lot",
    parts.lot,
    Action.READ_RECORDS,
    conditions=filter_by(parts.lot.c.program_id, parts.lot.c.product_id, parts.lot.c.name),
)
WAFERS = Listing(
    "wafer",
    parts.wafer,
    Action.READ_RECORDS,
    conditions=filter_by(parts.wafer.c.program_id, parts.wafer.c.lot_id, parts.wafer.c.name),
)
UNITS = Listing(
    "unit",
    parts.unit,
    Action.READ_RECORDS,
    conditions=filter_by(parts.unit.c.program_id, parts.unit.c.product_id, parts.unit.c.wafer_id, parts.unit.c.serial),
)

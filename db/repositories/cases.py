"""Cases with their steps, samples, evidence and decisions: each change with its audit entry, in the caller's programs.

An open case can be changed by whoever may analyse in its program. A signed-off case is closed: nothing about it changes
until it is reopened, and both decisions stay on record with the conclusion as it stood.
"""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, literal_column, select, update

from db.identifiers import uuid7
from db.repositories import audit
from db.repositories.access import Action, Caller, Conflict, RowNotFound, find_program
from db.repositories.audit import AuditEntry
from db.repositories.case_turnaround import Turnaround, measure
from db.repositories.catalogue import FILES, SESSIONS, Listing, fetch_row, filter_by
from db.schema.cases import case_decision, case_evidence, case_sample, case_step, fa_case
from db.schema.parts import unit
from db.schema.people import instrument, membership

MOST_CHILDREN = 1000

_WORDS: Any = literal_column("to_tsvector('simple'::regconfig, (fa_case.title || ' '::text) || fa_case.description)")

CASES = Listing(
    "case",
    fa_case,
    Action.READ_RECORDS,
    detail_only=frozenset({"description", "conclusion"}),
    conditions=filter_by(
        fa_case.c.program_id,
        fa_case.c.unit_id,
        fa_case.c.state,
        fa_case.c.assigned_to_id,
        fa_case.c.mechanism,
        fa_case.c.root_cause,
    )
    | {"search": lambda words: _WORDS.op("@@")(func.plainto_tsquery(literal_column("'simple'::regconfig"), words))},
)


@dataclass(frozen=True)
class CaseDetail:
    """A case with all that belongs to it, oldest first."""

    row: dict[str, Any]
    steps: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    evidence: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    turnaround: Turnaround


@dataclass(frozen=True)
class NewStep:
    """A step to be recorded; ``ended_at`` ``None``: it goes on. ``person`` ``None``: the caller."""

    kind: str
    began_at: datetime
    ended_at: datetime | None = None
    person: str | None = None
    note: str = ""
    instrument_id: uuid.UUID | None = None
    tool: str = ""
    sample_id: uuid.UUID | None = None


def _record(connection: Connection, caller: Caller, entry: AuditEntry) -> None:
    audit.record(connection, caller.actor, caller.request_id, entry)


def read(connection: Connection, caller: Caller, case_id: uuid.UUID) -> CaseDetail:
    """Return a case with all that belongs to it; raises :class:`RowNotFound`."""
    names = tuple(str(column.name) for column in fa_case.c)
    row = dict(fetch_row(connection, caller, CASES, case_id, names))
    steps = _children(connection, case_step, case_id, "began_at")
    return CaseDetail(
        row=row,
        steps=steps,
        samples=_children(connection, case_sample, case_id, "id"),
        evidence=_children(connection, case_evidence, case_id, "id"),
        decisions=_children(connection, case_decision, case_id, "id"),
        turnaround=measure(row["created_at"], row["closed_at"], steps),
    )


def _children(connection: Connection, table: Table, case_id: uuid.UUID, order: str) -> list[dict[str, Any]]:
    query = select(table).where(table.c.case_id == case_id).order_by(table.c[order], table.c.id).limit(MOST_CHILDREN)
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]


def open_case(
    connection: Connection, caller: Caller, program_name: str, title: str, description: str, unit_id: uuid.UUID | None
) -> uuid.UUID:
    """Insert a case; raises :class:`RowNotFound` for an unknown program, or a unit of another one."""
    program_id = find_program(connection, caller, Action.ANALYSE, program_name)
    if unit_id is not None:
        _require_same_program(connection, unit, unit_id, program_id, "unit")
    identity = uuid7()
    connection.execute(
        insert(fa_case).values(
            id=identity,
            program_id=program_id,
            title=title,
            description=description,
            unit_id=unit_id,
            opened_by=caller.actor,
        )
    )
    _record(connection, caller, AuditEntry("case.opened", "fa_case", identity, program_id, after={"title": title}))
    return identity


def _require_same_program(
    connection: Connection, table: Table, identity: uuid.UUID, program_id: uuid.UUID, kind: str
) -> None:
    found = select(table.c.id).where(table.c.id == identity, table.c.program_id == program_id)
    if connection.execute(found).scalar() is None:
        raise RowNotFound(kind, identity)


def _lock(connection: Connection, caller: Caller, case_id: uuid.UUID, *, state: str) -> dict[str, Any]:
    """Return the case's row, locked; raises :class:`Conflict` unless it is ``open`` or ``closed`` as it must be."""
    fetch_row(connection, caller, CASES, case_id, ("id",))
    row = connection.execute(select(fa_case).where(fa_case.c.id == case_id).with_for_update()).mappings().one()
    caller.require_in(Action.ANALYSE, row["program_id"])
    if row["state"] != state:
        raise Conflict("the case is closed: reopen it first" if state == "open" else "the case is open")
    return {str(name): value for name, value in row.items()}


def change(connection: Connection, caller: Caller, case_id: uuid.UUID, values: Mapping[str, Any]) -> None:
    """Change columns of an open case; who last touched the conclusion is kept with it.

    Raises:
        RowNotFound: no such case, or no member ``assigned_to_id``, or no unit of the case's program.
        Conflict: the case is closed.
    """
    row = _lock(connection, caller, case_id, state="open")
    if values.get("assigned_to_id") is not None:
        _require_member(connection, values["assigned_to_id"], row["program_id"])
    if values.get("unit_id") is not None:
        _require_same_program(connection, unit, values["unit_id"], row["program_id"], "unit")
    changed = {name: value for name, value in values.items() if row[name] != value}
    if not changed:
        return
    concluding = {"mechanism", "root_cause", "conclusion"} & changed.keys()
    extra = {"concluded_by": caller.actor} if concluding else {}
    connection.execute(update(fa_case).where(fa_case.c.id == case_id).values(changed | extra))
    before = {name: _plain(row[name]) for name in changed}
    after = {name: _plain(value) for name, value in changed.items()}
    entry = AuditEntry("case.changed", "fa_case", case_id, row["program_id"], before=before, after=after)
    _record(connection, caller, entry)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, uuid.UUID) else value


def _require_member(connection: Connection, account_id: uuid.UUID, program_id: uuid.UUID) -> None:
    found = select(membership.c.id).where(membership.c.account_id == account_id, membership.c.program_id == program_id)
    if connection.execute(found).scalar() is None:
        raise RowNotFound("member of the case's program", account_id)


def add_step(connection: Connection, caller: Caller, case_id: uuid.UUID, step: NewStep) -> uuid.UUID:
    """Record a step; raises :class:`RowNotFound` for an instrument of another program or a sample of another case."""
    row = _lock(connection, caller, case_id, state="open")
    if step.instrument_id is not None:
        _require_same_program(connection, instrument, step.instrument_id, row["program_id"], "instrument")
    if step.sample_id is not None:
        mine = select(case_sample.c.id).where(case_sample.c.id == step.sample_id, case_sample.c.case_id == case_id)
        if connection.execute(mine).scalar() is None:
            raise RowNotFound("sample of this case", step.sample_id)
    values = asdict(step) | {"person": step.person or caller.actor.removeprefix("account:")}
    return _add(connection, caller, case_step, row, values, {"kind": step.kind})


def end_step(connection: Connection, caller: Caller, step_id: uuid.UUID, ended_at: datetime) -> uuid.UUID:
    """End a step that goes on; return its case. Raises :class:`Conflict` when it has ended, or before it began."""
    allowed = caller.restriction(Action.READ_RECORDS, case_step.c.program_id)
    found = connection.execute(select(case_step).where(case_step.c.id == step_id, allowed)).one_or_none()
    if found is None:
        raise RowNotFound("step", step_id)
    row = _lock(connection, caller, found.case_id, state="open")
    if ended_at < found.began_at:
        raise Conflict("the step cannot end before it began")
    statement = update(case_step).where(case_step.c.id == step_id, case_step.c.ended_at.is_(None))
    if connection.execute(statement.values(ended_at=ended_at)).rowcount == 0:
        raise Conflict("the step has ended already")
    after = {"ended_at": ended_at.isoformat()}
    _record(connection, caller, AuditEntry("case.step-ended", "case_step", step_id, row["program_id"], after=after))
    case_id: uuid.UUID = found.case_id
    return case_id


def add_sample(
    connection: Connection, caller: Caller, case_id: uuid.UUID, name: str, description: str, place: str
) -> uuid.UUID:
    """Record a sample; raises :class:`Conflict` for a name that the case has already."""
    row = _lock(connection, caller, case_id, state="open")
    taken = select(case_sample.c.id).where(case_sample.c.case_id == case_id, case_sample.c.name == name)
    if connection.execute(taken).scalar() is not None:
        raise Conflict(f"the case has a sample {name!r} already")
    values = {"name": name, "description": description, "place": place}
    return _add(connection, caller, case_sample, row, values, {"name": name})


def add_evidence(
    connection: Connection,
    caller: Caller,
    case_id: uuid.UUID,
    subject: tuple[str, uuid.UUID],
    note: str,
) -> uuid.UUID:
    """Attach ``("probing_session_id", …)`` or ``("raw_file_id", …)`` of the same program.

    Raises:
        RowNotFound: there is none such in the program.
        Conflict: it is attached already.
    """
    row = _lock(connection, caller, case_id, state="open")
    name, identity = subject
    listing = SESSIONS if name == "probing_session_id" else FILES
    if fetch_row(connection, caller, listing, identity, ("program_id",))["program_id"] != row["program_id"]:
        raise RowNotFound(listing.kind, identity)
    taken = select(case_evidence.c.id).where(case_evidence.c.case_id == case_id, case_evidence.c[name] == identity)
    if connection.execute(taken).scalar() is not None:
        raise Conflict("this is attached to the case already")
    return _add(connection, caller, case_evidence, row, {name: identity, "note": note}, {name: str(identity)})


def remove_evidence(connection: Connection, caller: Caller, evidence_id: uuid.UUID) -> uuid.UUID:
    """Detach a session or file from an open case; return the case."""
    allowed = caller.restriction(Action.READ_RECORDS, case_evidence.c.program_id)
    found = connection.execute(select(case_evidence).where(case_evidence.c.id == evidence_id, allowed)).one_or_none()
    if found is None:
        raise RowNotFound("evidence", evidence_id)
    row = _lock(connection, caller, found.case_id, state="open")
    connection.execute(delete(case_evidence).where(case_evidence.c.id == evidence_id))
    before = {"probing_session_id": _plain(found.probing_session_id), "raw_file_id": _plain(found.raw_file_id)}
    entry = AuditEntry("case.evidence-removed", "case_evidence", evidence_id, row["program_id"], before=before)
    _record(connection, caller, entry)
    case_id: uuid.UUID = found.case_id
    return case_id


def _add(
    connection: Connection,
    caller: Caller,
    table: Table,
    row: Mapping[str, Any],
    values: Mapping[str, Any],
    after: Mapping[str, Any],
) -> uuid.UUID:
    """Insert a child of the locked case ``row``; more of them than a case is read with would falsify its turnaround."""
    held = select(func.count()).select_from(table).where(table.c.case_id == row["id"])
    if connection.execute(held).scalar_one() >= MOST_CHILDREN:
        kind = table.name.removeprefix("case_")
        raise Conflict(f"the case has {MOST_CHILDREN} entries of the kind {kind} already; open another case")
    identity = uuid7()
    shared = {"id": identity, "program_id": row["program_id"], "case_id": row["id"], "recorded_by": caller.actor}
    connection.execute(insert(table).values({**values, **shared}))
    action = f"case.{table.name.removeprefix('case_')}-added"
    _record(connection, caller, AuditEntry(action, table.name, identity, row["program_id"], after=after))
    return identity


def sign_off(connection: Connection, caller: Caller, case_id: uuid.UUID, note: str) -> None:
    """Close a case whose conclusion is complete and whose steps have ended; raises :class:`Conflict` otherwise."""
    row = _lock(connection, caller, case_id, state="open")
    missing = [name for name in ("mechanism", "root_cause", "conclusion") if not (row[name] or "").strip()]
    if missing:
        raise Conflict(f"the conclusion is not complete: {', '.join(missing).replace('_', ' ')} missing")
    going = select(func.count()).where(case_step.c.case_id == case_id, case_step.c.ended_at.is_(None))
    if connection.execute(going).scalar_one():
        raise Conflict("a step has not ended yet")
    _decide(connection, caller, row, "signed-off", note)
    closed = update(fa_case).where(fa_case.c.id == case_id)
    connection.execute(closed.values(state="closed", closed_at=func.now()))


def reopen(connection: Connection, caller: Caller, case_id: uuid.UUID, note: str) -> None:
    """Open a closed case again; the sign-off stays on record. Raises :class:`Conflict` for an open one."""
    row = _lock(connection, caller, case_id, state="closed")
    _decide(connection, caller, row, "reopened", note)
    connection.execute(update(fa_case).where(fa_case.c.id == case_id).values(state="open", closed_at=None))


def _decide(connection: Connection, caller: Caller, row: Mapping[str, Any], kind: str, note: str) -> None:
    conclusion = {name: row[name] for name in ("mechanism", "root_cause", "conclusion", "concluded_by")}
    values = {"id": uuid7(), "program_id": row["program_id"], "case_id": row["id"], "kind": kind}
    statement = insert(case_decision).values(**values, person=caller.actor, note=note, conclusion=conclusion)
    connection.execute(statement)
    after = {"note": note, **conclusion}
    _record(connection, caller, AuditEntry(f"case.{kind}", "fa_case", row["id"], row["program_id"], after=after))

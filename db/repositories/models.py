"""The registry of learned models: versions that jobs make, and what people decide about them.

A version is a candidate until a person promotes it; then the one before retires. Rolling back promotes again what the
promoted version had replaced. Whoever decides holds the model's row, so that decisions come one after another.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from db.identifiers import uuid7
from db.repositories import audit, events
from db.repositories.access import Action, Caller, Conflict, RowNotFound
from db.repositories.audit import AuditEntry
from db.repositories.events import NewEvent
from db.repositories.tiles import StoredBlob, insert_blob
from db.schema.data import data_table
from db.schema.models import model, model_decision, model_version, model_watch


class PromotionRefused(Conflict):
    """There are objections to a version that nobody has overridden."""

    def __init__(self, objections: Sequence[str]) -> None:
        super().__init__(f"{'; '.join(objections)}: promote it with override and a reason, or not at all")
        self.objections = tuple(objections)


@dataclass(frozen=True)
class NewVersion:
    """A version to be kept; ``card`` tells all of it, ``metrics`` and ``calibration`` are what is asked for most."""

    program_id: uuid.UUID
    name: str
    kind: str
    job_id: uuid.UUID
    algorithm: str
    code_version: str
    data_sha256: str
    stored: StoredBlob
    beats_baselines: bool
    simulated: bool
    metrics: Mapping[str, Any]
    calibration: Mapping[str, Any]
    card: Mapping[str, Any]
    created_by: str


@dataclass(frozen=True)
class StoredVersion:
    """A version as it was stored: its model, its id and its number."""

    model_id: uuid.UUID
    id: uuid.UUID
    number: int


def insert_version(connection: Connection, new: NewVersion) -> StoredVersion:
    """Keep a candidate, the next version of the model of its name, which is made if there is none."""
    values = {"program_id": new.program_id, "name": new.name, "kind": new.kind, "created_by": new.created_by}
    connection.execute(postgresql_insert(model).values(id=uuid7(), **values).on_conflict_do_nothing())
    of_name = select(model).where(model.c.program_id == new.program_id, model.c.name == new.name).with_for_update()
    found = connection.execute(of_name).one()
    if found.kind != new.kind:
        raise Conflict(f"the model {new.name} is of the kind {found.kind}, not {new.kind}")
    last = select(func.coalesce(func.max(model_version.c.number), 0)).where(model_version.c.model_id == found.id)
    number = int(connection.execute(last).scalar_one()) + 1
    insert_blob(connection, new.stored)
    identity = uuid7()
    row = {
        "id": identity, "program_id": new.program_id, "model_id": found.id, "number": number, "job_id": new.job_id,
        "algorithm": new.algorithm, "code_version": new.code_version, "data_sha256": new.data_sha256,
        "sha256": new.stored.sha256, "blob_key": new.stored.key, "byte_length": new.stored.size_bytes,
        "beats_baselines": new.beats_baselines, "simulated": new.simulated, "metrics": dict(new.metrics),
        "calibration": dict(new.calibration), "card": dict(new.card), "created_by": new.created_by,
    }  # fmt: skip
    connection.execute(insert(model_version).values(**row))
    after = {"model": new.name, "number": number, "sha256": new.stored.sha256, "data_sha256": new.data_sha256}
    entry = AuditEntry("model-version.learned", "model_version", identity, new.program_id, after=after)
    audit.record(connection, new.created_by, None, entry)
    return StoredVersion(found.id, identity, number)


def find_version(
    connection: Connection, program_id: uuid.UUID, name: str, number: int | None = None
) -> Row[Any] | None:
    """Return a version of the model ``name``: that of ``number``, or the promoted one; ``None`` when there is none."""
    wanted = model_version.c.state == "promoted" if number is None else model_version.c.number == number
    query = (
        select(model_version, model.c.name, model.c.kind)
        .join(model, model.c.id == model_version.c.model_id)
        .where(model.c.program_id == program_id, model.c.name == name, wanted)
    )
    return connection.execute(query).one_or_none()


def read_version(connection: Connection, program_id: uuid.UUID, version_id: uuid.UUID) -> Row[Any] | None:
    """Return the version with its model's name and kind, ``None`` where the program has none of this id."""
    query = (
        select(model_version, model.c.name, model.c.kind)
        .join(model, model.c.id == model_version.c.model_id)
        .where(model_version.c.program_id == program_id, model_version.c.id == version_id)
    )
    return connection.execute(query).one_or_none()


@dataclass(frozen=True)
class Decision:
    """What a person wants: why, and whether objections are overridden."""

    reason: str = ""
    override: bool = False


def objections_to(*, beats_baselines: bool, simulated: bool) -> list[str]:
    """Return why a version of which this is known is not promoted without a person who overrides it."""
    said = []
    if not beats_baselines:
        said.append("the version does not beat its plain baselines on later units")
    if simulated:
        said.append("the version was learned from simulated data")
    return said


def promote(connection: Connection, caller: Caller, version_id: uuid.UUID, decision: Decision) -> uuid.UUID:
    """Let a version count from now on; return the decision's id.

    Raises:
        RowNotFound: there is no such version, or not for the caller.
        PromotionRefused: there are objections that the decision does not override, with a reason.
        Conflict: it counts already.
    """
    version, current = _hold(connection, caller, version_id)
    if version.state == "promoted":
        raise Conflict(f"version {version.number} counts already")
    objections = objections_to(beats_baselines=version.beats_baselines, simulated=version.simulated)
    if objections and not (decision.override and decision.reason):
        raise PromotionRefused(objections)
    _switch(connection, version.id, current.id if current is not None else None)
    return _decide(connection, caller, _Decided("promoted", version, current, decision.reason, objections))


def roll_back(connection: Connection, caller: Caller, model_id: uuid.UUID, reason: str) -> uuid.UUID:
    """Let the version count again that the promoted one had replaced; return the decision's id.

    Raises:
        RowNotFound: there is no such model, or not for the caller.
        Conflict: no version counts, or none counted before it.
    """
    of_caller = caller.restriction(Action.PROMOTE, model.c.program_id)
    found = connection.execute(select(model).where(model.c.id == model_id, of_caller).with_for_update()).one_or_none()
    if found is None:
        raise RowNotFound("model", model_id)
    current = _promoted(connection, model_id)
    if current is None:
        raise Conflict("no version counts, so there is nothing to go back from")
    replaced = (
        select(model_decision.c.replaced_version_id)
        .where(model_decision.c.version_id == current.id, model_decision.c.kind == "promoted")
        .order_by(model_decision.c.id.desc())
        .limit(1)
    )
    before = connection.execute(replaced).scalar()
    if before is None:
        raise Conflict(f"no version counted before version {current.number}; retire it instead")
    version = connection.execute(select(model_version).where(model_version.c.id == before)).one()
    _switch(connection, version.id, current.id)
    return _decide(connection, caller, _Decided("rolled-back", version, current, reason))


def retire(connection: Connection, caller: Caller, version_id: uuid.UUID, reason: str) -> uuid.UUID:
    """Let a version count no longer, or never; return the decision's id.

    Raises:
        RowNotFound: there is no such version, or not for the caller.
        Conflict: it is retired already.
    """
    version, current = _hold(connection, caller, version_id)
    if version.state == "retired":
        raise Conflict(f"version {version.number} is retired already")
    connection.execute(update(model_version).where(model_version.c.id == version.id).values(state="retired"))
    held = current if current is not None and current.id == version.id else None
    return _decide(connection, caller, _Decided("retired", version, held, reason))


def _hold(connection: Connection, caller: Caller, version_id: uuid.UUID) -> tuple[Row[Any], Row[Any] | None]:
    """Lock the model of a version; return the version and the one that counts."""
    of_caller = caller.restriction(Action.PROMOTE, model_version.c.program_id)
    wanted = select(model_version.c.model_id).where(model_version.c.id == version_id, of_caller)
    model_id = connection.execute(wanted).scalar()
    if model_id is None:
        raise RowNotFound("model version", version_id)
    connection.execute(select(model.c.id).where(model.c.id == model_id).with_for_update())
    version = connection.execute(select(model_version).where(model_version.c.id == version_id)).one()
    return version, _promoted(connection, model_id)


def _promoted(connection: Connection, model_id: uuid.UUID) -> Row[Any] | None:
    query = select(model_version).where(model_version.c.model_id == model_id, model_version.c.state == "promoted")
    return connection.execute(query).one_or_none()


def _switch(connection: Connection, to: uuid.UUID, current: uuid.UUID | None) -> None:
    if current is not None:
        connection.execute(update(model_version).where(model_version.c.id == current).values(state="retired"))
    promoted = {"state": "promoted", "promoted_at": func.now()}
    connection.execute(update(model_version).where(model_version.c.id == to).values(**promoted))


@dataclass(frozen=True)
class _Decided:
    kind: str
    version: Row[Any]
    replaced: Row[Any] | None
    reason: str
    overridden: Sequence[str] = field(default_factory=tuple)


def _decide(connection: Connection, caller: Caller, decided: _Decided) -> uuid.UUID:
    identity, version = uuid7(), decided.version
    row = {
        "id": identity, "program_id": version.program_id, "model_id": version.model_id, "version_id": version.id,
        "replaced_version_id": decided.replaced.id if decided.replaced is not None else None, "kind": decided.kind,
        "person": caller.actor, "reason": decided.reason, "overridden": list(decided.overridden),
    }  # fmt: skip
    connection.execute(insert(model_decision).values(**row))
    before = {"promoted": decided.replaced.number} if decided.replaced is not None else None
    after = {"number": version.number, "reason": decided.reason, "overridden": list(decided.overridden)}
    entry = AuditEntry(
        f"model-version.{decided.kind}", "model_version", version.id, version.program_id, before=before, after=after
    )
    audit.record(connection, caller.actor, caller.request_id, entry)
    return identity


@dataclass(frozen=True)
class NewWatch:
    """What newer units in a table say of a version; its result has the whole answer."""

    program_id: uuid.UUID
    version_id: uuid.UUID
    table_id: uuid.UUID
    result_id: uuid.UUID
    verdict: str
    features: str
    calibration: str
    units: int


def insert_watch(connection: Connection, new: NewWatch, told: Mapping[str, Any]) -> uuid.UUID:
    """Keep what was seen; when it is drift, record the event ``model.drifted`` with ``told`` in it. Return its id."""
    identity = uuid7()
    connection.execute(insert(model_watch).values(id=identity, **vars(new)))
    if new.verdict == "drifted":
        data = {**told, "result_id": str(new.result_id), "features": new.features, "calibration": new.calibration}
        same = (new.version_id, new.table_id, new.result_id)
        events.record(
            connection, NewEvent(new.program_id, "model.drifted", "model_version", new.version_id, data, same)
        )
    return identity


@dataclass(frozen=True)
class DueWatch:
    """A promoted version, and a table of newer units that it was not yet compared with."""

    program_id: uuid.UUID
    version_id: uuid.UUID
    version_sha256: str
    name: str
    number: int
    table_id: uuid.UUID
    table_sha256: str


def find_due_watches(connection: Connection, kind: str, table_kind: str, most: int = 500) -> list[DueWatch]:
    """Return what is to be watched: promoted versions of ``kind`` with tables of ``table_kind`` that came after them.

    At most ``most``, the newest tables first: what a job has been asked for and failed stays due (asking again is the
    same job), and must not stand in the way of newer ones.
    """
    seen = (
        select(model_watch.c.id)
        .where(model_watch.c.version_id == model_version.c.id, model_watch.c.table_id == data_table.c.id)
        .exists()
    )
    query = (
        select(
            model_version.c.program_id,
            model_version.c.id.label("version_id"),
            model_version.c.sha256.label("version_sha256"),
            model.c.name,
            model_version.c.number,
            data_table.c.id.label("table_id"),
            data_table.c.sha256.label("table_sha256"),
        )
        .join(model, model.c.id == model_version.c.model_id)
        .join(data_table, data_table.c.program_id == model_version.c.program_id)
        .where(
            model_version.c.state == "promoted",
            model.c.kind == kind,
            data_table.c.kind == table_kind,
            data_table.c.created_at > model_version.c.created_at,
            ~seen,
        )
        .order_by(data_table.c.id.desc())
        .limit(most)
    )
    return [DueWatch(**row) for row in connection.execute(query).mappings()]

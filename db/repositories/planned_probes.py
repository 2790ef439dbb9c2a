"""Probes planned for a session, from what a localization proposed; each change with its audit entry."""

import uuid
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from db.identifiers import uuid7
from db.repositories import audit
from db.repositories.access import Action, Caller, Conflict, RowNotFound
from db.repositories.audit import AuditEntry
from db.repositories.catalogue import RESULTS, SESSIONS, Listing, fetch_row, filter_by
from db.schema.data import probing_session, waveform
from db.schema.probes import planned_probe

PLANNED_PROBES = Listing(
    "planned probe",
    planned_probe,
    Action.READ_RECORDS,
    conditions=filter_by(
        planned_probe.c.program_id, planned_probe.c.probing_session_id, planned_probe.c.state, planned_probe.c.net
    ),
)
_TAKEN = ("net", "x_um", "y_um", "bits", "seconds", "averages")


class NotProposed(ValueError):  # noqa: N818
    """The net is not among the next probes of the result."""


def plan(
    connection: Connection, caller: Caller, session_id: uuid.UUID, result_id: uuid.UUID, proposal: tuple[str, str]
) -> uuid.UUID:
    """Plan the probe that the localization ``result_id`` of the session proposed; ``proposal`` is its net and a note.

    Raises:
        RowNotFound: no such session, or no such localization of it.
        NotProposed: the result does not propose this net.
        Conflict: a probe of this net is planned already.
    """
    program_id = fetch_row(connection, caller, SESSIONS, session_id, ("program_id",))["program_id"]
    caller.require_in(Action.ANALYSE, program_id)
    found = fetch_row(connection, caller, RESULTS, result_id, ("probing_session_id", "kind", "body"))
    if found["probing_session_id"] != session_id or found["kind"] != "localize":
        raise RowNotFound("localization of this session", result_id)
    net, note = proposal
    proposed = next((each for each in found["body"].get("next_probes", []) if each["net"] == net), None)
    if proposed is None:
        raise NotProposed(f"the result does not propose to probe {net}")
    identity = uuid7()
    values = {name: proposed.get(name) for name in _TAKEN}
    shared = {"id": identity, "program_id": program_id, "probing_session_id": session_id, "result_id": result_id}
    taken = select(planned_probe.c.id).where(
        planned_probe.c.probing_session_id == session_id,
        planned_probe.c.net == net,
        planned_probe.c.state == "planned",
    )
    # The row of the session is locked, so that of two who plan the same the second is told.
    connection.execute(select(probing_session.c.id).where(probing_session.c.id == session_id).with_for_update())
    if connection.execute(taken).scalar() is not None:
        raise Conflict(f"a probe of {net} is planned already")
    connection.execute(insert(planned_probe).values(**shared, **values, note=note, planned_by=caller.actor))
    _record(connection, caller, AuditEntry("probe.planned", "planned_probe", identity, program_id, after={"net": net}))
    return identity


def withdraw(connection: Connection, caller: Caller, probe_id: uuid.UUID) -> uuid.UUID:
    """Withdraw a planned probe; return its session. Raises RowNotFound, and Conflict when it is withdrawn already."""
    found = fetch_row(connection, caller, PLANNED_PROBES, probe_id, ("program_id", "probing_session_id"))
    caller.require_in(Action.ANALYSE, found["program_id"])
    statement = update(planned_probe).where(planned_probe.c.id == probe_id, planned_probe.c.state == "planned")
    if connection.execute(statement.values(state="withdrawn", withdrawn_at=func.now())).rowcount == 0:
        raise Conflict("the probe is withdrawn already")
    _record(connection, caller, AuditEntry("probe.withdrawn", "planned_probe", probe_id, found["program_id"]))
    session_id: uuid.UUID = found["probing_session_id"]
    return session_id


def sessions_that_probed(
    connection: Connection, unit_id: uuid.UUID | None, after: uuid.UUID, nets: Sequence[str]
) -> Mapping[str, uuid.UUID]:
    """Return for each of ``nets`` the first session of the unit, later than ``after``, that probed it.

    Whether the caller may read the unit's sessions is not asked here.
    """
    if unit_id is None or not nets:
        return {}
    query = (
        select(waveform.c.net, func.min(probing_session.c.id.cast(waveform.c.net.type)).label("session"))
        .join(probing_session, waveform.c.probing_session_id == probing_session.c.id)
        .where(probing_session.c.unit_id == unit_id, probing_session.c.id > after, waveform.c.net.in_(nets))
        .group_by(waveform.c.net)
    )
    return {row.net: uuid.UUID(row.session) for row in connection.execute(query)}


def _record(connection: Connection, caller: Caller, entry: AuditEntry) -> None:
    audit.record(connection, caller.actor, caller.request_id, entry)


def extend_document(document: Mapping[str, Any], probes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a session's document with the planned ``probes`` added, each with a file that is still to be recorded.

    No two waveforms share a file, whatever nets have in common once they are written as names of files.
    """
    recorded = document.get("waveforms", [])
    used = {str(each.get("file")).casefold() for each in recorded}
    sigma = next((each["placement_sigma_nm"] for each in recorded if "placement_sigma_nm" in each), None)
    added = []
    for probe in probes:
        entry: dict[str, Any] = {"file": _free_name(f"planned_{file_stem(probe['net'])}", used), "net": probe["net"]}
        if probe["x_um"] is not None and probe["y_um"] is not None:
            entry |= {"x_um": probe["x_um"], "y_um": probe["y_um"]}
            entry |= {"placement_sigma_nm": sigma} if sigma is not None else {}
        added.append(entry)
    return {**document, "waveforms": [*recorded, *added]}


def _free_name(stem: str, used: set[str]) -> str:
    """Return the name of a file that is not among ``used``, and put it there; case does not count."""
    names = (f"{stem}{f'_{number}' if number > 1 else ''}.csv" for number in count(1))
    name = next(each for each in names if each.casefold() not in used)
    used.add(name.casefold())
    return name


def file_stem(net: str) -> str:
    """Return the name of a net as part of a file's name."""
    return "".join(each if each.isalnum() or each in "-_" else "_" for each in net)[:80]

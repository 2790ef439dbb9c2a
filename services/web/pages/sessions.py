"""Probing sessions, and what a localization says about one."""

import uuid
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.blobs import BlobMissing
from db.repositories.access import Action
from db.repositories.catalogue import JOBS, PLACEMENTS, RESULTS, SESSIONS, WAVEFORMS, fetch_row, read_row
from db.repositories.planned_probes import sessions_that_probed
from services.api.context import RequestUnit
from services.api.listing import SessionQuery
from services.api.routers import planned_probes as planned
from services.api.routers import sessions as api
from services.presentation.time_offset import describe_offset
from services.problems import Problem
from services.web.heat_map import draw
from services.web.history_plot import draw_history
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.origins import origins_of
from services.web.page import AnyPage, Page, PageRoute, redirect

router = APIRouter(prefix="/sessions", include_in_schema=False, route_class=PageRoute)

LIST = ListSource(SESSIONS, SessionQuery, "probing-sessions")
MOST_WAVEFORMS = 200
MOST_RESULTS = 50
MOST_OF_UNIT = 20
MOST_DRAINS = 5000
MOST_PROBES = 10
LEAST_BITS = 0.01
"""A next probe that tells less is listed only where none tells more."""
MOST_PLACEMENT_BYTES = 4 << 20
_SAID = ("no_fault", "unmodelled", "missing_bits", "expected_probes", "decided", "heat_map")
_LISTS = {
    "candidates": ("posterior", "fault", "equivalent", "x_um", "y_um"),
    "waveforms": ("p_faulty", "snr", "skew_ps", "skew_sigma_ps", "skew_refused", "spot", "mixture", "doubts"),
    "next_probes": ("bits", "seconds", "averages", "x_um", "y_um"),
}
VERDICTS = {
    "located": "One site holds at least 0.95 of the probability: the failing gate is located.",
    "ambiguous": "Several sites remain, or only the fail log speaks for a late one. Probe the first of the next "
    "probes, add it to the session and ask again.",
    "unmodelled": "No fault that is modelled explains the measurements: look for a defect outside the model, or a "
    "mistake in netlist, patterns or probing.",
    "no-fault": "The fail log and the waveforms agree with a good die.",
}


@router.get("")
def list_sessions(page: AnyPage) -> Response:
    """Return the sessions, each with the verdict of its newest localization."""
    if wants_export(page):
        return answer_export(page, LIST, "probing-sessions")
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        verdicts = {row["id"]: _newest(unit, row["id"], "localize") for row in shown.rows}
        return page.show(unit, "sessions.html", shown=shown, verdicts=verdicts, found=origins_of(unit, shown.rows))


def _newest(unit: RequestUnit, session_id: str, kind: str) -> dict[str, Any] | None:
    filters = {"probing_session": uuid.UUID(session_id), "kind": kind}
    return next(iter(load_rows(unit, RESULTS, filters, 1)), None)


@router.get("/{session_id}")
def show_session(session_id: uuid.UUID, page: AnyPage) -> Response:
    """Return the session with its newest localization, or the one that ``result`` names."""
    with page.read() as unit:
        session = orjson.loads(read_row(unit.connection, unit.caller, SESSIONS, session_id))
        results = load_rows(unit, RESULTS, {"probing_session": session_id}, MOST_RESULTS)
        localizations = [row for row in results if row["kind"] == "localize"]
        result = _result(unit, page, localizations)
        jobs = []
        if unit.caller.programs(Action.READ_OPERATIONS) != frozenset():
            jobs = load_rows(unit, JOBS, {"probing_session": session_id}, MOST_RESULTS)
        waveforms = load_rows(unit, WAVEFORMS, {"probing_session": session_id}, MOST_WAVEFORMS, newest_first=False)
        drains = _drains(page, unit, session)
        return page.show(
            unit,
            "session.html",
            session=session,
            result=result,
            localizations=localizations,
            others=[row for row in results if row["kind"] != "localize"],
            jobs=jobs,
            running=[job for job in jobs if job["state"] in ("queued", "running")],
            waveforms=waveforms,
            ids_by_net={row["net"]: row["id"] for row in waveforms if row["net"]},
            ranked=sorted(result["body"]["waveforms"], key=_wrongest_first) if result else [],
            drawing=draw(_worth_drawing(result["body"]), drains) if result else None,
            offset=describe_offset(result["body"]) if result else "",
            sentence=VERDICTS.get(result["body"]["verdict"], "") if result else "",
            most_waveforms=MOST_WAVEFORMS,
            worthwhile=_worth_listing(result["body"]["next_probes"]) if result else [],
            least_bits=LEAST_BITS,
            asked="asked" in page.query,
            history=draw_history(result["body"].get("history")) if result else None,
            planned=_planned(unit, session, waveforms),
            of_unit=_others_of_unit(unit, session),
            found=origins_of(unit, [session]),
        )


def _planned(unit: RequestUnit, session: dict[str, Any], waveforms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the probes that are planned, each with the later session of the unit that made it, if one did."""
    identity = uuid.UUID(session["id"])
    rows = [dict(row) for row in planned.planned_of(unit, identity)]
    unit_id = None if session["unit_id"] is None else uuid.UUID(session["unit_id"])
    made = sessions_that_probed(unit.connection, unit_id, identity, [row["net"] for row in rows])
    already = {row["net"] for row in waveforms}
    for row in rows:
        row["made_in"] = made.get(row["net"])
        row["here"] = row["net"] in already
    return rows


def _others_of_unit(unit: RequestUnit, session: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the other sessions of the session's unit, newest first, each with its newest verdict."""
    if session["unit_id"] is None:
        return []
    found = load_rows(unit, SESSIONS, {"unit": uuid.UUID(session["unit_id"])}, MOST_OF_UNIT)
    others = [row for row in found if row["id"] != session["id"]]
    for row in others:
        row["newest"] = _newest(unit, row["id"], "localize")
    return others


def _worth_listing(probes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first probes without those that tell next to nothing; the best one, whatever it tells."""
    return [item for at, item in enumerate(probes[:MOST_PROBES]) if at == 0 or (item["bits"] or 0.0) >= LEAST_BITS]


def _wrongest_first(item: dict[str, Any]) -> float:
    return -(item["p_faulty"] or 0.0)


def _worth_drawing(body: dict[str, Any]) -> dict[str, Any]:
    """Return the document without the probes that nobody need make."""
    return body | {"next_probes": []} if body.get("decided") else body


def _result(unit: RequestUnit, page: Page, localizations: list[dict[str, Any]]) -> dict[str, Any] | None:
    wanted = page.query.get("result")
    known = [row["id"] for row in localizations]
    identity = wanted if wanted in known else (known[0] if known else None)
    if identity is None:
        return None
    found: dict[str, Any] = orjson.loads(read_row(unit.connection, unit.caller, RESULTS, uuid.UUID(identity)))
    found["body"] = _fill_gaps(found["body"])
    return found


def _fill_gaps(body: dict[str, Any]) -> dict[str, Any]:
    """Return a localization's document with ``None`` for all that an earlier version of the method did not say."""
    filled: dict[str, Any] = {**dict.fromkeys(_SAID), **{name: [] for name in _LISTS}, **body}
    for name, fields in _LISTS.items():
        filled[name] = [{**dict.fromkeys(fields), **item} for item in filled[name]]
    return filled


def _drains(page: Page, unit: RequestUnit, session: dict[str, Any]) -> list[tuple[float, float]]:
    """Return where the session's drivers are; none where there is no placement, or one too large to draw."""
    source = "bundle" if session["bundle_id"] else "raw_file"
    found = load_rows(unit, PLACEMENTS, {source: uuid.UUID(session[f"{source}_id"])}, 1)
    if not found:
        return []
    row = fetch_row(unit.connection, unit.caller, PLACEMENTS, uuid.UUID(found[0]["id"]))
    if row["byte_length"] > MOST_PLACEMENT_BYTES:
        return []
    data = page.context.state.blobs.read_range(row["blob_key"], row["byte_offset"], row["byte_length"])
    if len(data) != row["byte_length"]:
        raise BlobMissing(row["blob_key"])
    document = orjson.loads(data)
    places = list(zip(document.get("x_um", ()), document.get("y_um", ()), strict=False))
    return places if len(places) <= MOST_DRAINS else []


@router.post("/{session_id}/localizations")
def localize(session_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask for the failing gate, as the API does, and go to the job."""
    api.localize_session(session_id, page.context)
    return redirect(f"/sessions/{session_id}?asked=1")


@router.post("/{session_id}/planned-probes")
def plan_probe(session_id: uuid.UUID, page: AnyPage) -> Response:
    """Plan one of the next probes, as the API does."""
    result = page.identity("result")
    if result is None:
        raise Problem("invalid-request", "the form names no result")
    body = planned.NewPlannedProbe(result_id=result, net=page.field("net", 200))
    planned.plan_probe(session_id, body, page.context)
    return redirect(f"/sessions/{session_id}#planned")


@router.post("/{session_id}/planned-probes/{probe_id}/withdraw")
def withdraw_probe(session_id: uuid.UUID, probe_id: uuid.UUID, page: AnyPage) -> Response:
    """Withdraw a planned probe, as the API does."""
    planned.withdraw_probe(probe_id, page.context)
    return redirect(f"/sessions/{session_id}#planned")

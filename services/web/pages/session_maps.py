"""Maps of a session (LVI, EOFM, reflectance) beside those of a golden die, with the places that differ."""

import math
import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action
from db.repositories.catalogue import JOBS, RASTERS, SESSIONS, fetch_row, read_row
from services.api.context import RequestUnit
from services.api.routers import sessions as api
from services.problems import Problem
from services.web.lists import load_rows
from services.web.page import AnyPage, PageRoute, redirect
from services.web.pages.beside_waveforms import newest_result

router = APIRouter(prefix="/sessions", include_in_schema=False, route_class=PageRoute)

MOST_MAPS = 40
MOST_GOLDEN = 100
MOST_MARKS = 100


@router.get("/{session_id}/maps")
def show_maps(session_id: uuid.UUID, page: AnyPage) -> Response:
    """Return the maps of the session, each beside its golden one, by the newest comparison or that of ``result``."""
    with page.read() as unit:
        session = orjson.loads(read_row(unit.connection, unit.caller, SESSIONS, session_id))
        result = newest_result(unit, session_id, "anomaly", page.query.get("result"))
        golden = _golden_maps(unit, result)
        said = result["body"] if result else {}
        compared = {(each["map"], each["frequency_hz"]): each for each in said.get("maps", [])}
        pairs = [_pair(raster, compared, golden) for raster in _maps(unit, session)]
        program = uuid.UUID(session["program_id"])
        filters = {"program": program, "role": "golden"}
        return page.show(
            unit,
            "session_maps.html",
            session=session,
            result=result,
            pairs=pairs,
            chain=said.get("scan_chain"),
            offered=load_rows(unit, SESSIONS, filters, MOST_GOLDEN),
            jobs=load_rows(unit, JOBS, {"probing_session": session_id, "kind": "anomaly"}, 5),
        )


def _maps(unit: RequestUnit, session: Mapping[str, Any]) -> list[dict[str, Any]]:
    source = "bundle" if session["bundle_id"] else "raw_file"
    filters = {source: uuid.UUID(session[f"{source}_id"])}
    return load_rows(unit, RASTERS, filters, MOST_MAPS, newest_first=False)


def _golden_maps(unit: RequestUnit, result: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the maps of the first golden session of a comparison, which is what maps are compared with."""
    if result is None or not unit.caller.may(Action.READ_OPERATIONS, uuid.UUID(result["program_id"])):
        return []
    job = fetch_row(unit.connection, unit.caller, JOBS, uuid.UUID(result["job_id"]), ("payload",))
    golden = next(iter(job["payload"].get("golden_session_ids", [])), None)
    if golden is None:
        return []
    return _maps(unit, orjson.loads(read_row(unit.connection, unit.caller, SESSIONS, uuid.UUID(golden))))


def _pair(
    raster: Mapping[str, Any], compared: Mapping[tuple[Any, Any], dict[str, Any]], golden: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a map with what was said of it, its golden map, the band to show, and one scale of grey for both.

    There is none, and each is drawn from its own smallest to its own largest value, where several bands have one range.
    """
    names = [name for name, _ in raster["bands"]]
    same = [each for each in golden if each["bands"] == raster["bands"] and _same_frequency(each, raster)]
    reference = same[0] if len(same) == 1 else None
    band = "amplitude" if {"real", "imaginary"} <= set(names) else names[0]
    ends = [each for each in (raster, reference) if each is not None and each["minimum"] is not None]
    window = None
    if ends and band in names and len(names) == 1:
        window = (min(each["minimum"] for each in ends), max(each["maximum"] for each in ends))
    elif ends and band == "amplitude" and len(names) == 2:
        # No amplitude is larger, whatever the phase, so nothing is cut off.
        window = (0.0, math.sqrt(2) * max(max(abs(each["minimum"]), abs(each["maximum"])) for each in ends))
    found = compared.get((raster["name"], raster["frequency_hz"]))
    marks = found["differences"][:MOST_MARKS] if found else []
    unit = next((unit for name, unit in raster["bands"] if name in (band, "real")), "")
    return {
        "map": raster, "golden": reference, "band": band, "window": window, "compared": found, "marks": marks,
        "unit": unit,
    }  # fmt: skip


def _same_frequency(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    if left["frequency_hz"] is None or right["frequency_hz"] is None:
        return left["frequency_hz"] is right["frequency_hz"] and bool(left["name"] == right["name"])
    return math.isclose(left["frequency_hz"], right["frequency_hz"], rel_tol=1e-6)


@router.post("/{session_id}/maps")
def compare(session_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask for what differs from a golden session, as the API does."""
    golden = page.identity("golden")
    if golden is None:
        raise Problem("invalid-request", "choose a golden session")
    api.compare_session(session_id, api.NewComparison(golden_session_ids=[golden]), page.context)
    return redirect(f"/sessions/{session_id}/maps")

"""Waveforms: choose some, look at them together."""

import math
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.catalogue import SESSIONS, WAVEFORMS, fetch_rows
from services.api.context import RequestUnit
from services.api.listing import WaveformQuery
from services.api.routers import sessions as api
from services.api.routers.waveform_views import MOST_TRACES
from services.problems import Problem
from services.web.lists import ListSource, answer_export, load_list, wants_export
from services.web.origins import origins_of
from services.web.page import AnyPage, Page, PageRoute, redirect
from services.web.pages.beside_waveforms import Beside, nets_worth_simulating

router = APIRouter(prefix="/waveforms", include_in_schema=False, route_class=PageRoute)

_COLUMNS = (
    "id", "name", "net", "unit", "t0_s", "dt_s", "sample_count", "minimum", "maximum", "averages", "segment_index",
    "raw_file_id", "probing_session_id", "member_path",
)  # fmt: skip
FIRST_BINS = 2048
"""Bins of each trace in the first view, as many as the columns of a wide screen: nobody has told the real one yet."""
LIST = ListSource(WAVEFORMS, WaveformQuery, "waveforms")


@router.get("")
def show_waveforms(page: AnyPage) -> Response:
    """Return the waveforms that ``id`` names, drawn together; without any, the list to choose from."""
    wanted = page.request.query_params.getlist("id")
    if wanted:
        return _show_viewer(page, wanted)
    if wants_export(page):
        return answer_export(page, LIST, "waveforms")
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        mark_simulated(unit, shown.rows)
        for row in shown.rows:
            row["span"] = None if row["minimum"] is None else row["maximum"] - row["minimum"]
        return page.show(unit, "waveforms.html", shown=shown, most=MOST_TRACES, found=origins_of(unit, shown.rows))


def _show_viewer(page: Page, wanted: list[str]) -> Response:
    if len(wanted) > MOST_TRACES:
        raise Problem("invalid-request", f"{len(wanted)} waveforms were chosen; {MOST_TRACES} are shown at most")
    with page.read() as unit:
        identities = [_identity(text) for text in dict.fromkeys(wanted)]
        rows = [dict(row) for row in fetch_rows(unit.connection, unit.caller, WAVEFORMS, identities, _COLUMNS)]
        mark_simulated(unit, rows)
        axis = "time" if all(row["dt_s"] for row in rows) else "sample"
        starts = [(row["t0_s"] or 0.0) if axis == "time" else 0.0 for row in rows]
        steps = [row["dt_s"] if axis == "time" else 1.0 for row in rows]
        ends = [start + step * row["sample_count"] for row, start, step in zip(rows, starts, steps, strict=True)]
        sessions = {row["probing_session_id"] for row in rows}
        beside = Beside.find(unit, page.query, sessions.pop()) if len(sessions) == 1 and axis == "time" else Beside()
        for row in rows:
            row["probe"] = beside.probe_of(row["member_path"])
            row["timing"] = beside.timing_of(row["probe"])
        api_url = "/api/v1/waveform-views?" + "&".join([*(f"waveform={row['id']}" for row in rows), f"axis={axis}"])
        first_view = _first_view(api_url, page.query, compared=beside.is_compared(page.query))
        return page.show(
            unit,
            "waveform_viewer.html",
            early=[*([first_view] if first_view else []), *beside.documents],
            first_view=first_view,
            first_bins=FIRST_BINS,
            rows=rows,
            axis=axis,
            begin=min(starts),
            end=max(ends),
            beside=beside,
            api_url=api_url,
            here=page.request.url.query,
            found=origins_of(unit, rows),
        )


def _first_view(api_url: str, query: Mapping[str, str], *, compared: bool) -> str | None:
    """Return the view that the page will draw first, so that the browser asks for it before any module has run.

    ``None`` where it depends on documents that the modules read first, or where the address makes no window.
    """
    if compared:
        return None
    asked: dict[str, float] = {"px": FIRST_BINS}
    for name in ("from", "to"):
        if name in query:
            try:
                bound = float(query[name])
            except ValueError:
                return None
            if not math.isfinite(bound):
                return None
            asked[name] = bound
    return f"{api_url}&{urlencode(asked)}"


def _identity(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise Problem("invalid-request", f"{text[:40]!r} is not the id of a waveform") from error


def mark_simulated(unit: RequestUnit, rows: list[dict[str, Any]]) -> None:
    """Give each waveform ``simulated``, whether its session says that it was not measured, and the session's name."""
    sessions = sorted({str(row["probing_session_id"]) for row in rows if row["probing_session_id"]})
    told: dict[str, Mapping[str, Any]] = {}
    if sessions:
        identities = [uuid.UUID(each) for each in sessions]
        found = fetch_rows(unit.connection, unit.caller, SESSIONS, identities, ("simulated", "name"))
        told = dict(zip(sessions, found, strict=True))
    for row in rows:
        session = told.get(str(row["probing_session_id"]))
        row["simulated"] = session is not None and session["simulated"]
        row["session_name"] = session["name"] if session else None


@router.post("/simulations")
def ask_for_simulation(page: AnyPage) -> Response:
    """Ask for a simulation of the session that the form names, as the API does, and go back to the waveforms."""
    session_id, net = page.identity("session"), page.form.get("net", "").strip()
    if session_id is None:
        raise Problem("invalid-request", "the form names no session")
    with page.read() as unit:
        nets = nets_worth_simulating(unit, session_id)
    wanted = api.NewSimulation(nets=[*([net] if net else []), *nets][: api.MOST_NETS])
    api.simulate_session(session_id, wanted, page.context)
    kept = [(name, value) for name, value in parse_qsl(page.form.get("here", "")) if name != "sim"]
    return redirect(f"/waveforms?{urlencode(kept)}")

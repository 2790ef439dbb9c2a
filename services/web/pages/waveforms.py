"""Waveforms: choose some, look at them together."""

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.catalogue import SESSIONS, WAVEFORMS, fetch_rows
from services.api.context import RequestUnit
from services.api.listing import WaveformQuery
from services.api.routers.waveform_views import MOST_TRACES
from services.problems import Problem
from services.web.lists import ListSource, answer_csv, load_list, wants_csv
from services.web.page import AnyPage, Page, PageRoute

router = APIRouter(prefix="/waveforms", include_in_schema=False, route_class=PageRoute)

_COLUMNS = (
    "id", "name", "net", "unit", "t0_s", "dt_s", "sample_count", "minimum", "maximum", "averages", "segment_index",
    "raw_file_id", "probing_session_id",
)  # fmt: skip
LIST = ListSource(WAVEFORMS, WaveformQuery, "waveforms")


@router.get("")
def show_waveforms(page: AnyPage) -> Response:
    """Return the waveforms that ``id`` names, drawn together; without any, the list to choose from."""
    wanted = page.request.query_params.getlist("id")
    if wanted:
        return _show_viewer(page, wanted)
    if wants_csv(page):
        return answer_csv(page, LIST, "waveforms")
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        mark_simulated(unit, shown.rows)
        return page.show(unit, "waveforms.html", shown=shown, most=MOST_TRACES)


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
        session = next((row["probing_session_id"] for row in rows if row["probing_session_id"]), None)
        return page.show(
            unit,
            "waveform_viewer.html",
            rows=rows,
            axis=axis,
            begin=min(starts),
            end=max(ends),
            session=session,
            api_url="/api/v1/waveform-views?" + "&".join([*(f"waveform={row['id']}" for row in rows), f"axis={axis}"]),
        )


def _identity(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise Problem("invalid-request", f"{text[:40]!r} is not the id of a waveform") from error


def mark_simulated(unit: RequestUnit, rows: list[dict[str, Any]]) -> None:
    """Give each waveform ``simulated``: whether its session says that it was not measured."""
    sessions = sorted({str(row["probing_session_id"]) for row in rows if row["probing_session_id"]})
    told: dict[str, bool] = {}
    if sessions:
        identities = [uuid.UUID(each) for each in sessions]
        found = fetch_rows(unit.connection, unit.caller, SESSIONS, identities, ("simulated",))
        told = {each: row["simulated"] for each, row in zip(sessions, found, strict=True)}
    for row in rows:
        row["simulated"] = told.get(str(row["probing_session_id"]), False)

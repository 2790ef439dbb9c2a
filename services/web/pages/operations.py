"""Instruments with the health of their agents, and their control charts."""

import uuid

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import attention, instrument_health
from db.repositories.access import Action
from db.repositories.catalogue import FILES, INSTRUMENTS, read_row
from db.repositories.monitoring_catalogue import CHART_BASELINES, CONTROL_CHARTS, EVENTS
from services.api.monitoring_documents import BaselineRequest, ChartParameters, ChartQuery
from services.api.routers import monitoring as api
from services.api.routers.administration import InstrumentQuery
from services.web.control_plot import TITLES, plot_charts
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.origins import origins_of
from services.web.page import AnyPage, PageRoute, redirect

router = APIRouter(include_in_schema=False, route_class=PageRoute)

LIST = ListSource(INSTRUMENTS, InstrumentQuery, "instruments")
CHART_LIST = ListSource(CONTROL_CHARTS, ChartQuery, "control-charts")
MOST_EVENTS = 20
MOST_CHARTS = 100
MOST_FILES = 10


@router.get("/instruments")
def list_instruments(page: AnyPage) -> Response:
    """Return the instruments, each with how it is doing."""
    if wants_export(page):
        return answer_export(page, LIST, "instruments")
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        for row in shown.rows:
            identity, program = uuid.UUID(row["id"]), uuid.UUID(row["program_id"])
            visible = unit.caller.may(Action.READ_OPERATIONS, program)
            row["health"] = instrument_health.read(unit.connection, unit.caller, identity) if visible else None
        return page.show(unit, "instruments.html", shown=shown)


@router.get("/instruments/{instrument_id}")
def show_instrument(instrument_id: uuid.UUID, page: AnyPage) -> Response:
    """Return an instrument: uploads, agents, what readers refused, charts, events."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, INSTRUMENTS, instrument_id))
        health = instrument_health.read(unit.connection, unit.caller, instrument_id)
        charts = load_rows(unit, CONTROL_CHARTS, {"instrument": instrument_id}, MOST_CHARTS)
        events = load_rows(unit, EVENTS, {"instrument": instrument_id}, MOST_EVENTS)
        newest = load_rows(unit, FILES, {"instrument": instrument_id}, MOST_FILES)
        found = origins_of(unit, [{"raw_file_id": file["id"]} for file in newest])
        return page.show(unit, "instrument.html", row=row, health=health, charts=charts, events=events, found=found)


@router.get("/charts")
def list_charts(page: AnyPage) -> Response:
    """Return the control charts."""
    if wants_export(page):
        return answer_export(page, CHART_LIST, "control-charts")
    with page.read() as unit:
        instruments = attention.names_of_instruments(unit.connection, unit.caller)
        names = {str(each): name for each, name in instruments.items()}
        return page.show(unit, "charts.html", shown=load_list(page, unit, CHART_LIST), instruments=names)


@router.get("/charts/{chart_id}")
def show_chart(chart_id: uuid.UUID, page: AnyPage) -> Response:
    """Return a chart drawn, with its signals, its limits and their history."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, CONTROL_CHARTS, chart_id))
        instrument = orjson.loads(read_row(unit.connection, unit.caller, INSTRUMENTS, uuid.UUID(row["instrument_id"])))
        evaluation = row["evaluation"]
        return page.show(
            unit,
            "chart.html",
            row=row,
            instrument=instrument,
            evaluation=evaluation,
            plots=plot_charts(evaluation, row["unit"]) if evaluation else [],
            baselines=load_rows(unit, CHART_BASELINES, {"chart": chart_id}, MOST_EVENTS),
            rules=ChartParameters().rules,
            titles=TITLES,
        )


@router.post("/charts/{chart_id}/baselines")
def freeze_limits(chart_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask for limits from all readings so far, as the API does."""
    request = BaselineRequest(chart=chart_id, robust="robust" in page.form, note=page.form.get("note", "").strip())
    api.create_baseline(request, page.context)
    return redirect(f"/charts/{chart_id}")

"""Control charts of instruments, their readings and limits, and events."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.repositories import charts, jobs
from db.repositories.access import Action
from db.repositories.catalogue import read_row
from db.repositories.monitoring_catalogue import CHART_BASELINES, CONTROL_CHARTS, EVENTS, REFERENCE_READINGS
from services.api.answers import JsonAnswer
from services.api.context import ReadsOperations, RequestContext, RequestUnit, acting
from services.api.contract import describe_problems
from services.api.listing import answer_list, answer_row, describe_page, describe_row
from services.api.monitoring_documents import (
    BaselineItem,
    BaselineQuery,
    BaselineRequest,
    ChartDetail,
    ChartItem,
    ChartQuery,
    EventItem,
    EventQuery,
    ReadingQuery,
    ReferenceReadingItem,
)
from services.pipelines.job_keys import monitor_key
from services.pipelines.versions import MONITORING_VERSION

router = APIRouter(tags=["monitoring"])

MONITOR_QUEUE = "cpu"
_PRIORITY_OF_PEOPLE = 3
Monitors = Annotated[RequestContext, acting(Action.MONITOR)]


@router.get("/control-charts", responses=describe_page(ChartItem))
def list_charts(query: Annotated[ChartQuery, Query()], context: ReadsOperations) -> Response:
    """Return control charts."""
    return answer_list(context, CONTROL_CHARTS, query)


@router.get("/control-charts/{chart_id}", responses=describe_row(ChartDetail))
def read_chart(chart_id: uuid.UUID, request: Request, context: ReadsOperations) -> Response:
    """Return a control chart with its newest points, their limits, the rules that fired, and whose limits they are."""
    return answer_row(request, context, CONTROL_CHARTS, chart_id)


@router.get("/reference-readings", responses=describe_page(ReferenceReadingItem))
def list_readings(query: Annotated[ReadingQuery, Query()], context: ReadsOperations) -> Response:
    """Return the readings of charts, in the order in which they were measured."""
    return answer_list(context, REFERENCE_READINGS, query)


@router.get("/chart-baselines", responses=describe_page(BaselineItem))
def list_baselines(query: Annotated[BaselineQuery, Query()], context: ReadsOperations) -> Response:
    """Return the limits of charts, those that no longer count too."""
    return answer_list(context, CHART_BASELINES, query)


@router.get("/chart-baselines/{baseline_id}", responses=describe_row(BaselineItem))
def read_baseline(baseline_id: uuid.UUID, request: Request, context: ReadsOperations) -> Response:
    """Return limits with who set them, when, and from what."""
    return answer_row(request, context, CHART_BASELINES, baseline_id)


@router.post(
    "/chart-baselines",
    status_code=202,
    responses={202: {"model": BaselineItem}, **describe_problems("not-found")},
)
def create_baseline(body: BaselineRequest, context: Monitors) -> Response:
    """Set a chart's limits: given ones at once, others as soon as a worker has estimated them."""
    with context.begin() as unit:
        identity, chart = charts.request_baseline(unit.connection, unit.caller, body.chart, _values(body))
        _request_evaluation(context, unit, identity, chart)
        document = read_row(unit.connection, unit.caller, CHART_BASELINES, identity).encode()
    return JsonAnswer(document, status_code=202, headers={"Location": f"/api/v1/chart-baselines/{identity}"})


def _values(body: BaselineRequest) -> dict[str, Any]:
    parameters = body.parameters.model_dump() | {"rules": sorted(set(body.parameters.rules))}
    values = {
        "from_at": body.from_at,
        "to_at": body.to_at if body.to_at is not None else datetime.now(UTC),
        "robust": body.robust,
        "parameters": parameters,
        "note": body.note,
    }
    if body.centre is None:
        return values | {"state": "requested"}
    return values | {"state": "frozen", "centre": body.centre, "sigma": body.sigma, "method": "given"}


def _request_evaluation(context: RequestContext, unit: RequestUnit, cause: uuid.UUID, chart: Any) -> None:
    new = jobs.NewJob(
        job_key=monitor_key(cause, MONITORING_VERSION),
        program_id=chart.program_id,
        kind="monitor",
        queue=MONITOR_QUEUE,
        payload={"instrument_id": str(chart.instrument_id)},
        requested_by=unit.caller.actor,
        priority=_PRIORITY_OF_PEOPLE,
        max_attempts=context.state.settings.job_max_attempts,
        request_id=context.request_id,
    )
    job_id, _ = jobs.insert(unit.connection, new)
    unit.unit.after_commit(lambda: context.state.ring(job_id, MONITOR_QUEUE, _PRIORITY_OF_PEOPLE))


@router.get("/events", responses=describe_page(EventItem))
def list_events(query: Annotated[EventQuery, Query()], context: ReadsOperations) -> Response:
    """Return events."""
    return answer_list(context, EVENTS, query)


@router.get("/events/{event_id}", responses=describe_row(EventItem))
def read_event(event_id: uuid.UUID, request: Request, context: ReadsOperations) -> Response:
    """Return an event."""
    return answer_row(request, context, EVENTS, event_id)

"""Whether the process lives, whether it can serve, and its metrics; needs no key."""

from typing import Literal

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from db.migration import SchemaState, known_revisions, read_state
from db.repositories.statistics import count_everything
from db.unit_of_work import begin
from services.api.answers import JsonAnswer
from services.api.contract import describe_problems
from services.api.metrics import render_metrics
from services.api.state import ApiState
from services.problems import Problem

log = structlog.get_logger(__name__)

router = APIRouter(tags=["health"])


class HealthDocument(BaseModel):
    """All is well; ``revision`` is the schema's."""

    status: Literal["ok"]
    revision: str | None = None


@router.get(
    "/livez",
    responses={200: {"model": HealthDocument, "description": "the process answers"}},
)
async def live() -> Response:
    """Say that the process answers; touches nothing."""
    return JsonAnswer({"status": "ok"})


@router.get(
    "/readyz",
    responses={
        200: {"model": HealthDocument, "description": "the database is at a schema that this version can use"},
        **describe_problems("unavailable"),
    },
)
def ready(request: Request) -> Response:
    """Say whether the database answers at a schema that this version can use.

    The broker does not matter: uploads work without it.
    """
    state: ApiState = request.app.state.api
    schema = read_state(state.engine)
    if not schema.serves(state.head_revision):
        raise Problem("unavailable", _explain(schema, state.head_revision), headers={"Retry-After": "5"})
    return JsonAnswer({"status": "ok", "revision": schema.revision})


def _explain(schema: SchemaState, head: str) -> str:
    if schema.revision is None or schema.revision in known_revisions():
        return f"the schema is at {schema.revision}, this version needs {head}: run faultlight migrate"
    oldest = schema.serves_from or schema.revision
    return f"the schema is at {schema.revision}, which serves versions from {oldest} on; this one is {head}: upgrade it"


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
def metrics(request: Request) -> Response:
    """Return the metrics of this process and the state of the queues."""
    state: ApiState = request.app.state.api
    statistics = None
    try:
        with begin(state.engine) as unit:
            statistics = count_everything(unit.connection)
    except SQLAlchemyError as error:
        log.warning("queues_not_counted", error=type(error).__name__)
    return Response(render_metrics(statistics), media_type="text/plain; version=0.0.4; charset=utf-8")

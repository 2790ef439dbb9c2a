"""Next probes that somebody takes up for a session, and the session's document with them."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.pagination import MAX_PAGE, PageRequest
from db.repositories import planned_probes
from db.repositories.catalogue import SESSIONS, fetch_row, list_page, read_row
from db.repositories.planned_probes import PLANNED_PROBES, NotProposed
from db.schema.probes import ProbeState
from services.api.answers import JsonAnswer
from services.api.case_documents import Prose
from services.api.context import Analyses, ReadsRecords, RequestUnit
from services.api.contract import describe_problems
from services.api.documents import Document, Name
from services.api.listing import ProgramQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_documents import ProgramRow
from services.problems import Problem

router = APIRouter(tags=["probing sessions"])


class PlannedProbeItem(ProgramRow):
    """A planned probe."""

    probing_session_id: uuid.UUID
    result_id: uuid.UUID
    net: str
    x_um: float | None
    y_um: float | None
    bits: float
    seconds: float | None
    averages: int | None
    note: str
    state: ProbeState
    planned_by: str
    withdrawn_at: datetime | None


class PlannedProbeQuery(ProgramQuery):
    """Filters of planned probes."""

    probing_session: uuid.UUID | None = None
    state: ProbeState | None = None
    net: Name | None = None


class NewPlannedProbe(Document):
    """Which of a localization's next probes to plan."""

    result_id: uuid.UUID
    net: Name
    note: Prose = ""


_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"model": PlannedProbeItem},
    **describe_problems("not-found", "conflict", "invalid-request"),
}


@router.get("/planned-probes", responses=describe_page(PlannedProbeItem))
def list_planned_probes(query: Annotated[PlannedProbeQuery, Query()], context: ReadsRecords) -> Response:
    """Return planned probes."""
    return answer_list(context, PLANNED_PROBES, query)


@router.get("/planned-probes/{probe_id}", responses=describe_row(PlannedProbeItem))
def read_planned_probe(probe_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a planned probe."""
    return answer_row(request, context, PLANNED_PROBES, probe_id)


@router.post("/probing-sessions/{session_id}/planned-probes", status_code=201, responses=_CREATED)
def plan_probe(session_id: uuid.UUID, body: NewPlannedProbe, context: Analyses) -> Response:
    """Plan one of the next probes that a localization of the session proposed."""
    with context.begin() as unit:
        proposal = (body.net, body.note)
        try:
            identity = planned_probes.plan(unit.connection, unit.caller, session_id, body.result_id, proposal)
        except NotProposed as error:
            raise Problem("invalid-request", str(error)) from error
        return JsonAnswer(read_row(unit.connection, unit.caller, PLANNED_PROBES, identity).encode(), status_code=201)


@router.delete(
    "/planned-probes/{probe_id}",
    responses={200: {"model": PlannedProbeItem}, **describe_problems("not-found", "conflict")},
)
def withdraw_probe(probe_id: uuid.UUID, context: Analyses) -> Response:
    """Withdraw a planned probe; it stays on record."""
    with context.begin() as unit:
        planned_probes.withdraw(unit.connection, unit.caller, probe_id)
        return JsonAnswer(read_row(unit.connection, unit.caller, PLANNED_PROBES, probe_id).encode())


@router.get(
    "/probing-sessions/{session_id}/planned-document",
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        **describe_problems("not-found"),
    },
)
def read_planned_document(session_id: uuid.UUID, context: ReadsRecords) -> Response:
    """Return `session.json` with the planned probes added, to be put into the session's folder with their waveforms."""
    with context.read() as unit:
        document = fetch_row(unit.connection, unit.caller, SESSIONS, session_id, ("document",))["document"]
        probes = planned_of(unit, session_id)
    content = orjson.dumps(planned_probes.extend_document(document, probes), option=orjson.OPT_INDENT_2)
    return JsonAnswer(content, headers={"Content-Disposition": 'attachment; filename="session.json"'})


def planned_of(unit: RequestUnit, session_id: uuid.UUID) -> list[Mapping[str, Any]]:
    """Return the probes that are planned for a session, oldest first."""
    filters = {"probing_session": session_id, "state": "planned"}
    page = PageRequest(MAX_PAGE, newest_first=False)
    found = list_page(unit.connection, unit.caller, PLANNED_PROBES, filters, page)
    return [orjson.loads(row) for row in found.rows]

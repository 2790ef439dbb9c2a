"""Failure-analysis cases: steps, samples, evidence, conclusion, sign-off, reopening, turnaround."""

import uuid
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from db.repositories import cases
from db.repositories.cases import CASES, NewStep
from services.api.answers import JsonAnswer
from services.api.case_documents import (
    CaseChange,
    CaseDetailDocument,
    CaseItem,
    CaseQuery,
    CaseRequest,
    DecisionRequest,
    EvidenceRequest,
    SampleRequest,
    StepEnd,
    StepRequest,
)
from services.api.context import Analyses, ReadsRecords, RequestUnit
from services.api.contract import describe_problems
from services.api.listing import answer_list, describe_page

router = APIRouter(tags=["cases"])

_DETAIL: dict[int | str, dict[str, Any]] = {
    200: {"model": CaseDetailDocument},
    **describe_problems("not-found", "conflict"),
}
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"model": CaseDetailDocument},
    **describe_problems("not-found", "conflict"),
}


def _answer(unit: RequestUnit, case_id: uuid.UUID, status: int = 200) -> Response:
    detail = cases.read(unit.connection, unit.caller, case_id)
    document = asdict(detail)
    return JsonAnswer(document.pop("row") | document, status_code=status)


@router.get("/cases", responses=describe_page(CaseItem))
def list_cases(query: Annotated[CaseQuery, Query()], context: ReadsRecords) -> Response:
    """Return cases."""
    return answer_list(context, CASES, query)


@router.post("/cases", status_code=201, responses=_CREATED)
def open_case(body: CaseRequest, context: Analyses) -> Response:
    """Open a case."""
    with context.begin() as unit:
        identity = cases.open_case(
            unit.connection, unit.caller, body.program, body.title, body.description, body.unit_id
        )
        return _answer(unit, identity, 201)


@router.get("/cases/{case_id}", responses={200: {"model": CaseDetailDocument}, **describe_problems("not-found")})
def read_case(case_id: uuid.UUID, context: ReadsRecords) -> Response:
    """Return a case with its steps, samples, evidence and decisions, and the turnaround measured from the steps."""
    with context.read() as unit:
        return _answer(unit, case_id)


@router.patch("/cases/{case_id}", responses=_DETAIL)
def change_case(case_id: uuid.UUID, body: CaseChange, context: Analyses) -> Response:
    """Change an open case: title, unit, whom it is assigned to, its conclusion."""
    with context.begin() as unit:
        cases.change(unit.connection, unit.caller, case_id, body.model_dump(exclude_unset=True))
        return _answer(unit, case_id)


@router.post("/cases/{case_id}/steps", status_code=201, responses=_CREATED)
def add_step(case_id: uuid.UUID, body: StepRequest, context: Analyses) -> Response:
    """Record a step of an open case."""
    with context.begin() as unit:
        cases.add_step(unit.connection, unit.caller, case_id, NewStep(**body.model_dump()))
        return _answer(unit, case_id, 201)


@router.patch("/case-steps/{step_id}", responses=_DETAIL)
def end_step(step_id: uuid.UUID, body: StepEnd, context: Analyses) -> Response:
    """Say when a step ended; the answer is its case."""
    with context.begin() as unit:
        return _answer(unit, cases.end_step(unit.connection, unit.caller, step_id, body.ended_at))


@router.post("/cases/{case_id}/samples", status_code=201, responses=_CREATED)
def add_sample(case_id: uuid.UUID, body: SampleRequest, context: Analyses) -> Response:
    """Record a sample of an open case."""
    with context.begin() as unit:
        cases.add_sample(unit.connection, unit.caller, case_id, body.name, body.description, body.place)
        return _answer(unit, case_id, 201)


@router.post("/cases/{case_id}/evidence", status_code=201, responses=_CREATED)
def add_evidence(case_id: uuid.UUID, body: EvidenceRequest, context: Analyses) -> Response:
    """Attach a probing session or a file to an open case."""
    with context.begin() as unit:
        cases.add_evidence(unit.connection, unit.caller, case_id, body.subject(), body.note)
        return _answer(unit, case_id, 201)


@router.delete("/case-evidence/{evidence_id}", responses=_DETAIL)
def remove_evidence(evidence_id: uuid.UUID, context: Analyses) -> Response:
    """Detach a session or file from an open case; the answer is the case."""
    with context.begin() as unit:
        return _answer(unit, cases.remove_evidence(unit.connection, unit.caller, evidence_id))


@router.post("/cases/{case_id}/sign-off", responses=_DETAIL)
def sign_off_case(case_id: uuid.UUID, body: DecisionRequest, context: Analyses) -> Response:
    """Close a case whose conclusion is complete and whose steps have ended."""
    with context.begin() as unit:
        cases.sign_off(unit.connection, unit.caller, case_id, body.note)
        return _answer(unit, case_id)


@router.post("/cases/{case_id}/reopen", responses=_DETAIL)
def reopen_case(case_id: uuid.UUID, body: DecisionRequest, context: Analyses) -> Response:
    """Open a closed case again; the sign-off stays on record."""
    with context.begin() as unit:
        cases.reopen(unit.connection, unit.caller, case_id, body.note)
        return _answer(unit, case_id)

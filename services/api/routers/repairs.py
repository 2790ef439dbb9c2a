"""Asking about stored repair logs and mask measurements: hand-offs, constants, outcomes and maps."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from db.repositories import audit, jobs
from db.repositories.access import Action
from db.repositories.catalogue import JOBS, TABLES, fetch_row, read_row
from services.api.answers import JsonAnswer
from services.api.context import Analyses, RequestContext
from services.api.contract import describe_problems
from services.api.record_documents import JobItem
from services.pipelines.job_keys import make_key
from services.pipelines.repair.repair_requests import LearningRequest, MetrologyRequest, OutcomeRequest, PlanRequest
from services.pipelines.versions import HANDOFF_VERSION, LEARNING_VERSION, METROLOGY_VERSION, OUTCOME_VERSION
from services.problems import Problem

router = APIRouter(prefix="/tables", tags=["repairs"])

QUEUE = "cpu"
_PRIORITY_OF_PEOPLE = 3
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": JobItem, "description": "this has been asked before: the same job"},
    202: {"model": JobItem, "description": "a new job"},
    **describe_problems("not-found"),
}


@dataclass(frozen=True)
class _Question:
    """What is asked of which tables; the first is the one in the path."""

    kind: str
    version: str
    body: BaseModel
    tables: Sequence[uuid.UUID]


@router.post("/{table_id}/handoffs", status_code=202, responses=_ANSWERS)
def plan_handoff(table_id: uuid.UUID, question: PlanRequest, context: Analyses) -> Response:
    """Ask where the laser should stop and the ion beam go on, with constants learned from this log of runs.

    Asking twice gives the same job, and the same result once.
    """
    tables = [table_id, *question.other_table_ids]
    return _ask(context, _Question("handoff", f"{HANDOFF_VERSION}/{LEARNING_VERSION}", question, tables))


@router.post("/{table_id}/repair-learnings", status_code=202, responses=_ANSWERS)
def learn_constants(table_id: uuid.UUID, question: LearningRequest, context: Analyses) -> Response:
    """Ask what a log of measured runs says about the constants of laser and ion beam."""
    tables = [table_id, *question.other_table_ids]
    return _ask(context, _Question("repair-learning", LEARNING_VERSION, question, tables))


@router.post("/{table_id}/repair-outcomes", status_code=202, responses=_ANSWERS)
def judge_outcomes(table_id: uuid.UUID, question: OutcomeRequest, context: Analyses) -> Response:
    """Ask how the repairs of a log went, defect by defect, and how probably its tools and recipes succeed."""
    inspections = [each for each in (question.defect_table_id, question.after_table_id) if each is not None]
    tables = [table_id, *question.other_table_ids, *inspections]
    return _ask(context, _Question("repair-outcome", OUTCOME_VERSION, question, tables))


@router.post("/{table_id}/metrology-maps", status_code=202, responses=_ANSWERS)
def map_metrology(table_id: uuid.UUID, question: MetrologyRequest, context: Analyses) -> Response:
    """Ask for maps of widths and registration errors, raw and corrected, and their trends over several tables."""
    tables = [table_id, *question.other_table_ids]
    return _ask(context, _Question("metrology", METROLOGY_VERSION, question, tables))


def _ask(context: RequestContext, question: _Question) -> Response:
    """Insert the job, unless it is there already, and answer with it."""
    with context.begin() as unit:
        rows = [fetch_row(unit.connection, unit.caller, TABLES, each) for each in question.tables]
        program = rows[0]["program_id"]
        unit.caller.require_in(Action.ANALYSE, program)
        if any(row["program_id"] != program for row in rows):
            raise Problem("not-found", "a table is of another program")
        asked = question.body.model_dump(mode="json", by_alias=True)
        inputs = [part for row in rows for part in (str(row["id"]), row["sha256"])]
        job = jobs.NewJob(
            job_key=make_key(question.kind, question.version, inputs, asked),
            program_id=program,
            kind=question.kind,
            queue=QUEUE,
            payload={"table_id": str(question.tables[0]), "question": asked},
            requested_by=unit.caller.actor,
            priority=_PRIORITY_OF_PEOPLE,
            max_attempts=context.state.settings.job_max_attempts,
            request_id=context.request_id,
        )
        job_id, created = jobs.insert(unit.connection, job)
        if created:
            unit.audit(audit.AuditEntry(f"{question.kind}.requested", "job", job_id, program))
            unit.unit.after_commit(lambda: context.state.ring(job_id, QUEUE, _PRIORITY_OF_PEOPLE))
        document = read_row(unit.connection, unit.caller, JOBS, job_id).encode()
        where = {"Location": f"/api/v1/jobs/{job_id}"}
        return JsonAnswer(document, status_code=202 if created else 200, headers=where)

"""Asking about stored tables of lifetimes."""

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import audit, jobs
from db.repositories.access import Action
from db.repositories.catalogue import JOBS, TABLES, fetch_row, read_row
from services.api.answers import JsonAnswer
from services.api.context import Analyses
from services.api.contract import describe_problems
from services.api.record_documents import JobItem
from services.pipelines.job_keys import make_key
from services.pipelines.reliability.life_requests import StoredLifeRequest
from services.pipelines.versions import LIFE_DATA_VERSION
from services.problems import Problem

router = APIRouter(prefix="/tables", tags=["reliability"])

QUEUE = "cpu"
_PRIORITY_OF_PEOPLE = 3
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": JobItem, "description": "this has been asked before: the same job"},
    202: {"model": JobItem, "description": "a new job"},
    **describe_problems("not-found"),
}


@router.post("/{table_id}/life-fits", status_code=202, responses=_ANSWERS)
def fit_lifetimes(table_id: uuid.UUID, question: StoredLifeRequest, context: Analyses) -> Response:
    """Ask how many units fail by when, from stored lifetimes. Asking twice gives the same job, and one result."""
    with context.begin() as unit:
        tables = [table_id, *question.other_table_ids]
        rows = [fetch_row(unit.connection, unit.caller, TABLES, each) for each in tables]
        program = rows[0]["program_id"]
        unit.caller.require_in(Action.ANALYSE, program)
        if any(row["program_id"] != program for row in rows):
            raise Problem("not-found", "a table is of another program")
        asked = question.model_dump(mode="json")
        inputs = [part for row in rows for part in (str(row["id"]), row["sha256"])]
        job = jobs.NewJob(
            job_key=make_key("life-data", LIFE_DATA_VERSION, inputs, asked),
            program_id=program,
            kind="life-data",
            queue=QUEUE,
            payload={"table_id": str(table_id), "question": asked},
            requested_by=unit.caller.actor,
            priority=_PRIORITY_OF_PEOPLE,
            max_attempts=context.state.settings.job_max_attempts,
            request_id=context.request_id,
        )
        job_id, created = jobs.insert(unit.connection, job)
        if created:
            unit.audit(audit.AuditEntry("life-data.requested", "job", job_id, program))
            unit.unit.after_commit(lambda: context.state.ring(job_id, QUEUE, _PRIORITY_OF_PEOPLE))
        document = read_row(unit.connection, unit.caller, JOBS, job_id).encode()
        where = {"Location": f"/api/v1/jobs/{job_id}"}
        return JsonAnswer(document, status_code=202 if created else 200, headers=where)

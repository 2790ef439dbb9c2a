"""Asking whether the defects of a mask print, on a stored layout."""

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import audit, jobs
from db.repositories.access import Action
from db.repositories.catalogue import FILES, JOBS, fetch_row, read_row
from services.api.answers import JsonAnswer
from services.api.context import Analyses
from services.api.contract import describe_problems
from services.api.record_documents import JobItem
from services.pipelines.job_keys import make_key
from services.pipelines.mask.printability_request import PrintabilityRequest
from services.pipelines.versions import PRINTABILITY_VERSION

router = APIRouter(prefix="/files", tags=["masks"])

QUEUE = "cpu"
_PRIORITY_OF_PEOPLE = 3
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": JobItem, "description": "this has been asked before: the same job"},
    202: {"model": JobItem, "description": "a new job"},
    **describe_problems("not-found"),
}


@router.post("/{file_id}/printabilities", status_code=202, responses=_ANSWERS)
def judge_printability(file_id: uuid.UUID, question: PrintabilityRequest, context: Analyses) -> Response:
    """Ask which defects of a mask print, and which repairs held. The file is a layout or a clip.

    Asking twice gives the same job, and the same result once.
    """
    with context.begin() as unit:
        file = fetch_row(unit.connection, unit.caller, FILES, file_id)
        unit.caller.require_in(Action.ANALYSE, file["program_id"])
        asked = question.model_dump(mode="json", by_alias=True)
        job = jobs.NewJob(
            job_key=make_key("printability", PRINTABILITY_VERSION, [str(file_id), file["sha256"]], asked),
            program_id=file["program_id"],
            kind="printability",
            queue=QUEUE,
            payload={"raw_file_id": str(file_id), "question": asked},
            requested_by=unit.caller.actor,
            priority=_PRIORITY_OF_PEOPLE,
            max_attempts=context.state.settings.job_max_attempts,
            request_id=context.request_id,
        )
        job_id, created = jobs.insert(unit.connection, job)
        if created:
            unit.audit(audit.AuditEntry("printability.requested", "job", job_id, file["program_id"]))
            unit.unit.after_commit(lambda: context.state.ring(job_id, QUEUE, _PRIORITY_OF_PEOPLE))
        document = read_row(unit.connection, unit.caller, JOBS, job_id).encode()
        where = {"Location": f"/api/v1/jobs/{job_id}"}
        return JsonAnswer(document, status_code=202 if created else 200, headers=where)

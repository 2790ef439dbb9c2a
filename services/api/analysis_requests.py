"""Asking for an analysis: a job under its unique key, the same one however often it is asked for."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from db.repositories import audit, jobs
from db.repositories.access import Action
from db.repositories.catalogue import JOBS, Listing, fetch_row, read_row
from services.api.answers import JsonAnswer
from services.api.context import RequestContext, RequestUnit
from services.api.contract import describe_problems
from services.api.record_documents import JobItem
from services.problems import Problem

QUEUE = "cpu"
PRIORITY_OF_PEOPLE = 3
JOB_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": JobItem, "description": "this has been asked before: the same job"},
    202: {"model": JobItem, "description": "a new job"},
    **describe_problems("not-found"),
}


@dataclass(frozen=True)
class AnalysisRequest:
    """What is asked: the job's kind, its unique key, whose data it is about, and what the job is given.

    ``asked`` is what the audit trail calls it, by default as the kind; ``queue`` which workers may take it.
    """

    kind: str
    job_key: str
    program_id: uuid.UUID
    payload: Mapping[str, Any]
    asked: str | None = None
    queue: str = QUEUE


@dataclass(frozen=True)
class Inputs:
    """Stored rows that a question is about: their program, and what of them goes into the job's key."""

    program_id: uuid.UUID
    hashes: Sequence[str]


def find_inputs(unit: RequestUnit, listing: Listing, identities: Sequence[uuid.UUID]) -> Inputs:
    """Return the rows with these ids, which are of one program, in which the caller may ask for analyses.

    Raises:
        RowNotFound: one does not exist, or not for the caller.
        AccessDenied: the caller may not ask for analyses in that program.
        Problem: they are of several programs.
    """
    rows = [fetch_row(unit.connection, unit.caller, listing, each) for each in identities]
    program_id = rows[0]["program_id"]
    unit.caller.require_in(Action.ANALYSE, program_id)
    if any(row["program_id"] != program_id for row in rows):
        raise Problem("not-found", "what is asked about is of several programs")
    return Inputs(program_id, [part for row in rows for part in (str(row["id"]), row["sha256"])])


def ask_for_analysis(context: RequestContext, unit: RequestUnit, request: AnalysisRequest) -> Response:
    """Insert the job, unless it is there already, and answer with it; a new one is announced after the commit."""
    job = jobs.NewJob(
        job_key=request.job_key,
        program_id=request.program_id,
        kind=request.kind,
        queue=request.queue,
        payload=dict(request.payload),
        requested_by=unit.caller.actor,
        priority=PRIORITY_OF_PEOPLE,
        max_attempts=context.state.settings.job_max_attempts,
        request_id=context.request_id,
    )
    job_id, created = jobs.insert(unit.connection, job)
    if created:
        unit.audit(audit.AuditEntry(f"{request.asked or request.kind}.requested", "job", job_id, request.program_id))
        unit.unit.after_commit(lambda: context.state.ring(job_id, request.queue, PRIORITY_OF_PEOPLE))
    document = read_row(unit.connection, unit.caller, JOBS, job_id).encode()
    return JsonAnswer(document, status_code=202 if created else 200, headers={"Location": f"/api/v1/jobs/{job_id}"})

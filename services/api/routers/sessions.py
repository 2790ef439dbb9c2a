"""Probing sessions, and asking for the failing gate of one."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from db.repositories import audit, bundles, jobs, uploads
from db.repositories.access import Action
from db.repositories.catalogue import JOBS, SESSIONS, fetch_row, read_row
from services.api.answers import JsonAnswer
from services.api.context import Analyses, ReadsRecords, RequestUnit
from services.api.contract import describe_problems
from services.api.listing import SessionQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_documents import JobItem, SessionDetail, SessionItem
from services.pipelines.job_keys import anomaly_key, averaging_key, localize_key
from services.pipelines.versions import ANOMALY_VERSION, AVERAGING_VERSION, LOCALIZATION_VERSION
from services.problems import Problem

router = APIRouter(prefix="/probing-sessions", tags=["probing sessions"])

LOCALIZE_QUEUE = "cpu"
_PRIORITY_OF_PEOPLE = 3
MOST_GOLDEN = 20


class NewComparison(BaseModel):
    """Which golden sessions to compare with."""

    model_config = ConfigDict(extra="forbid")

    golden_session_ids: list[uuid.UUID] = Field(min_length=1, max_length=MOST_GOLDEN)


class NewAveraging(BaseModel):
    """How often a decision may be wrong."""

    model_config = ConfigDict(extra="forbid")

    wrong: float = Field(default=0.02, gt=0, lt=0.5)


@router.get("", responses=describe_page(SessionItem))
def list_sessions(query: Annotated[SessionQuery, Query()], context: ReadsRecords) -> Response:
    """Return probing sessions."""
    return answer_list(context, SESSIONS, query)


@router.get("/{session_id}", responses=describe_row(SessionDetail))
def read_session(session_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a probing session with its `session.json`."""
    return answer_row(request, context, SESSIONS, session_id)


@router.post(
    "/{session_id}/localizations",
    status_code=202,
    responses={
        200: {"model": JobItem, "description": "this has been asked before: the same job"},
        202: {"model": JobItem, "description": "a new job"},
        **describe_problems("not-found"),
    },
)
def localize_session(session_id: uuid.UUID, context: Analyses) -> Response:
    """Ask for the failing gate. Asking twice gives the same job, and the same result once."""
    with context.begin() as unit:
        row = fetch_row(unit.connection, unit.caller, SESSIONS, session_id)
        unit.caller.require_in(Action.ANALYSE, row["program_id"])
        content_sha256 = _content_of(unit, row["bundle_id"], row["raw_file_id"])
        job = jobs.NewJob(
            job_key=localize_key(session_id, content_sha256, LOCALIZATION_VERSION, {}),
            program_id=row["program_id"],
            kind="localize",
            queue=LOCALIZE_QUEUE,
            payload={"probing_session_id": str(session_id)},
            requested_by=unit.caller.actor,
            priority=_PRIORITY_OF_PEOPLE,
            max_attempts=context.state.settings.job_max_attempts,
            request_id=context.request_id,
        )
        job_id, created = jobs.insert(unit.connection, job)
        if created:
            unit.audit(audit.AuditEntry("localization.requested", "job", job_id, row["program_id"]))
            unit.unit.after_commit(lambda: context.state.ring(job_id, LOCALIZE_QUEUE, _PRIORITY_OF_PEOPLE))
        document = read_row(unit.connection, unit.caller, JOBS, job_id).encode()
    return JsonAnswer(document, status_code=202 if created else 200, headers={"Location": f"/api/v1/jobs/{job_id}"})


@router.post(
    "/{session_id}/comparisons",
    status_code=202,
    responses={
        200: {"model": JobItem, "description": "this has been asked before: the same job"},
        202: {"model": JobItem, "description": "a new job"},
        **describe_problems("not-found"),
    },
)
def compare_session(session_id: uuid.UUID, wanted: NewComparison, context: Analyses) -> Response:
    """Ask for what differs from golden sessions of the same program. Asking twice gives the same job."""
    with context.begin() as unit:
        rows = [
            fetch_row(unit.connection, unit.caller, SESSIONS, each) for each in (session_id, *wanted.golden_session_ids)
        ]
        program_id = rows[0]["program_id"]
        unit.caller.require_in(Action.ANALYSE, program_id)
        if any(row["program_id"] != program_id for row in rows):
            raise Problem("not-found", "a golden session is of another program")
        inputs = [(row["id"], _content_of(unit, row["bundle_id"], row["raw_file_id"])) for row in rows]
        job = jobs.NewJob(
            job_key=anomaly_key(inputs[0], inputs[1:], ANOMALY_VERSION),
            program_id=program_id,
            kind="anomaly",
            queue=LOCALIZE_QUEUE,
            payload={
                "probing_session_id": str(session_id),
                "golden_session_ids": [str(each) for each in wanted.golden_session_ids],
            },
            requested_by=unit.caller.actor,
            priority=_PRIORITY_OF_PEOPLE,
            max_attempts=context.state.settings.job_max_attempts,
            request_id=context.request_id,
        )
        job_id, created = jobs.insert(unit.connection, job)
        if created:
            unit.audit(audit.AuditEntry("comparison.requested", "job", job_id, program_id))
            unit.unit.after_commit(lambda: context.state.ring(job_id, LOCALIZE_QUEUE, _PRIORITY_OF_PEOPLE))
        document = read_row(unit.connection, unit.caller, JOBS, job_id).encode()
    return JsonAnswer(document, status_code=202 if created else 200, headers={"Location": f"/api/v1/jobs/{job_id}"})


@router.post(
    "/{session_id}/averagings",
    status_code=202,
    responses={
        200: {"model": JobItem, "description": "this has been asked before: the same job"},
        202: {"model": JobItem, "description": "a new job"},
        **describe_problems("not-found"),
    },
)
def judge_averaging(session_id: uuid.UUID, wanted: NewAveraging, context: Analyses) -> Response:
    """Ask which probes need more averages. Asking twice with the same chance of being wrong gives the same job."""
    with context.begin() as unit:
        row = fetch_row(unit.connection, unit.caller, SESSIONS, session_id)
        unit.caller.require_in(Action.ANALYSE, row["program_id"])
        content_sha256 = _content_of(unit, row["bundle_id"], row["raw_file_id"])
        job = jobs.NewJob(
            job_key=averaging_key(session_id, content_sha256, AVERAGING_VERSION, {"wrong": wanted.wrong}),
            program_id=row["program_id"],
            kind="averaging",
            queue=LOCALIZE_QUEUE,
            payload={"probing_session_id": str(session_id), "wrong": wanted.wrong},
            requested_by=unit.caller.actor,
            priority=_PRIORITY_OF_PEOPLE,
            max_attempts=context.state.settings.job_max_attempts,
            request_id=context.request_id,
        )
        job_id, created = jobs.insert(unit.connection, job)
        if created:
            unit.audit(audit.AuditEntry("averaging.requested", "job", job_id, row["program_id"]))
            unit.unit.after_commit(lambda: context.state.ring(job_id, LOCALIZE_QUEUE, _PRIORITY_OF_PEOPLE))
        document = read_row(unit.connection, unit.caller, JOBS, job_id).encode()
    return JsonAnswer(document, status_code=202 if created else 200, headers={"Location": f"/api/v1/jobs/{job_id}"})


def _content_of(unit: RequestUnit, bundle_id: uuid.UUID | None, raw_file_id: uuid.UUID | None) -> str:
    """Return the sha256 of what the session was read from."""
    if bundle_id is not None:
        return bundles.reread(unit.connection, bundle_id).content_sha256
    assert raw_file_id is not None
    return uploads.find_original(unit.connection, raw_file_id).sha256

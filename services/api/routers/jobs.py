"""Jobs: list, follow, cancel."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
import structlog
from fastapi import APIRouter, Query, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from db.repositories import audit, jobs
from db.repositories.access import AccessError, Action
from db.repositories.catalogue import JOBS, fetch_row, read_row
from services.api.answers import JsonAnswer
from services.api.context import Cancels, ReadsOperations, RequestContext
from services.api.contract import describe_problems
from services.api.listing import JobQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_documents import JobItem
from services.problems import Problem

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/jobs", tags=["jobs"])

FINAL_STATES = frozenset({"succeeded", "failed", "dead", "cancelled"})
POLL_S = 0.5
HEARTBEAT_S = 15.0
RETRY_MS = 2000
_EVENT = {
    "type": "object",
    "description": "one event of the stream; `data` is JSON with the job's state, progress and estimate",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["progress"]},
        "data": {"type": "string"},
    },
}
_SHOWN = ("id", "kind", "state", "attempts", "progress", "progress_message", "estimated_finish_at", "error")


@router.get("", responses=describe_page(JobItem))
def list_jobs(query: Annotated[JobQuery, Query()], context: ReadsOperations) -> Response:
    """Return jobs."""
    return answer_list(context, JOBS, query)


@router.get("/{job_id}", responses=describe_row(JobItem))
def read_job(job_id: uuid.UUID, request: Request, context: ReadsOperations) -> Response:
    """Return a job and how far it is."""
    return answer_row(request, context, JOBS, job_id)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    responses={202: {"model": JobItem}, **describe_problems("not-found", "not-cancellable")},
)
def cancel_job(job_id: uuid.UUID, context: Cancels) -> Response:
    """Cancel a waiting job at once; ask a running one to stop."""
    with context.begin() as unit:
        row = fetch_row(unit.connection, unit.caller, JOBS, job_id)
        unit.caller.require_in(Action.CANCEL, row["program_id"])
        state = jobs.request_cancel(unit.connection, job_id)
        if state in FINAL_STATES and row["state"] != "queued":
            raise Problem("not-cancellable", f"the job is {state}")
        entry = audit.AuditEntry("job.cancel-requested", "job", job_id, row["program_id"], after={"state": state})
        unit.audit(entry)
        document = read_row(unit.connection, unit.caller, JOBS, job_id).encode()
    return JsonAnswer(document, status_code=202)


def _look(context: RequestContext, job_id: uuid.UUID) -> dict[str, Any]:
    # Not read(): a stream ends with the look after its key was revoked.
    with context.begin() as unit:
        row = fetch_row(unit.connection, unit.caller, JOBS, job_id)
    return {name: row[name] for name in _SHOWN}


def _event_id(job: dict[str, Any]) -> str:
    return f"{job['attempts']}-{job['state']}-{job['progress']:.6f}"


def _encode_event(job: dict[str, Any]) -> bytes:
    return b"id: " + _event_id(job).encode() + b"\nevent: progress\ndata: " + orjson.dumps(job) + b"\n\n"


async def _follow(context: RequestContext, first: dict[str, Any], seen: str | None) -> AsyncIterator[bytes]:
    """Yield an event for every change until the job has ended, with comments in between to keep the line open."""
    yield f"retry: {RETRY_MS}\n\n".encode()
    job, told, spoke_at = first, seen, time.monotonic()
    shown: dict[str, Any] | None = first if seen == _event_id(first) else None
    while True:
        if job != shown:
            shown, told, spoke_at = job, _event_id(job), time.monotonic()
            yield _encode_event(job)
        elif time.monotonic() - spoke_at >= HEARTBEAT_S:
            spoke_at = time.monotonic()
            yield b": still here\n\n"
        if job["state"] in FINAL_STATES:
            return
        await asyncio.sleep(POLL_S)
        try:
            job = await run_in_threadpool(_look, context, job["id"])
        except (AccessError, Problem) as error:
            log.info("events_ended", job_id=str(first["id"]), reason=str(error), last_event=told)
            return
        except SQLAlchemyError as error:
            log.warning("events_interrupted", job_id=str(first["id"]), error=type(error).__name__)


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses={
        200: {
            "description": "server-sent events `progress` until the job has ended",
            "content": {"text/event-stream": {"schema": _EVENT}},
        },
        204: {"description": "the job has ended and `Last-Event-ID` is its last event: do not reconnect"},
        **describe_problems("not-found"),
    },
)
async def follow_job(job_id: uuid.UUID, request: Request, context: ReadsOperations) -> Response:
    """Follow a job's progress."""
    job = await run_in_threadpool(_look, context, job_id)
    seen = request.headers.get("last-event-id")
    if seen == _event_id(job) and job["state"] in FINAL_STATES:
        return Response(status_code=204)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_follow(context, job, seen), headers=headers, media_type="text/event-stream")

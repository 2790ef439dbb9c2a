"""Jobs: the queue, one job with its progress, and stopping it."""

import uuid

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action
from db.repositories.catalogue import JOBS, RESULTS, read_row
from services.api.listing import JobQuery
from services.api.routers import jobs as api
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.page import AnyPage, PageRoute, redirect
from services.web.pages.reliability import ANSWER_PAGES

router = APIRouter(prefix="/jobs", include_in_schema=False, route_class=PageRoute)

LIST = ListSource(JOBS, JobQuery, "jobs")
MOST_RESULTS = 20


@router.get("")
def list_jobs(page: AnyPage) -> Response:
    """Return the jobs."""
    if wants_export(page):
        return answer_export(page, LIST, "jobs")
    with page.read() as unit:
        return page.show(unit, "jobs.html", shown=load_list(page, unit, LIST))


@router.get("/{job_id}")
def show_job(job_id: uuid.UUID, page: AnyPage) -> Response:
    """Return a job: what was asked, how far it is, how it ended."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, JOBS, job_id))
        results = []
        if unit.caller.may(Action.READ_RECORDS, uuid.UUID(row["program_id"])):
            results = load_rows(unit, RESULTS, {"job": job_id}, MOST_RESULTS)
        ended = row["state"] in api.FINAL_STATES
        return page.show(unit, "job.html", row=row, results=results, ended=ended, answer_pages=ANSWER_PAGES)


@router.post("/{job_id}/cancel")
def cancel_job(job_id: uuid.UUID, page: AnyPage) -> Response:
    """Cancel the job, as the API does."""
    api.cancel_job(job_id, page.context)
    return redirect(f"/jobs/{job_id}")

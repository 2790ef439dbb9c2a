"""Jobs: the queue, one job with its progress, and stopping it."""

import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action, RowNotFound
from db.repositories.catalogue import (
    BUNDLES,
    FILES,
    JOBS,
    RESULTS,
    SESSIONS,
    Listing,
    fetch_rows,
    read_row,
)
from services.api.context import RequestUnit
from services.api.listing import JobQuery
from services.api.routers import jobs as api
from services.web.formatting import parse_moment
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.page import AnyPage, PageRoute, redirect
from services.web.result_places import ANSWER_PAGES

router = APIRouter(prefix="/jobs", include_in_schema=False, route_class=PageRoute)

LIST = ListSource(JOBS, JobQuery, "jobs")
_SUBJECTS = (
    (SESSIONS, "probing_session_id", "sessions", ("name",)),
    (FILES, "raw_file_id", "files", ("filename", "state")),
    (BUNDLES, "bundle_id", "bundles", ("name", "state")),
)
"""What a job's payload may name, the page of it, and the columns with its name and, of what is read, its state."""
MOST_RESULTS = 20


@router.get("")
def list_jobs(page: AnyPage) -> Response:
    """Return the jobs."""
    if wants_export(page):
        return answer_export(page, LIST, "jobs")
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        _tell_subjects(unit, shown.rows)
        for row in shown.rows:
            row["took_s"] = _seconds_between(row["started_at"], row["finished_at"])
        return page.show(unit, "jobs.html", shown=shown)


def _seconds_between(began: str | None, ended: str | None) -> float | None:
    first, last = parse_moment(began), parse_moment(ended)
    return None if first is None or last is None else (last - first).total_seconds()


def _tell_subjects(unit: RequestUnit, rows: list[dict[str, Any]]) -> None:
    """Give each job ``about``: the session, file or bundle that it works on, where the viewer may see that."""
    for row in rows:
        row["about"] = None
    for listing, member, folder, columns in _SUBJECTS:
        about = {row["payload"][member] for row in rows if row["payload"].get(member)}
        found = _look_up(unit, listing, sorted(about), columns)
        for row in rows:
            identity = row["payload"].get(member)
            if identity in found and row["about"] is None:
                told = found[identity]
                row["about"] = {
                    "path": f"/{folder}/{identity}", "name": told[columns[0]], "state": told.get("state"),
                }  # fmt: skip


def _look_up(
    unit: RequestUnit, listing: Listing, identities: list[str], columns: tuple[str, ...]
) -> dict[str, Mapping[str, Any]]:
    """Return the columns of rows by their id; none where one of them is not the viewer's to see."""
    if not identities:
        return {}
    try:
        found = fetch_rows(unit.connection, unit.caller, listing, [uuid.UUID(each) for each in identities], columns)
    except RowNotFound:
        return {}
    return dict(zip(identities, found, strict=True))


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

"""Reliability reports: asked for, read, downloaded, mailed."""

import uuid
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.repositories import report_deliveries, report_schedules, reports
from db.repositories.access import Action, find_program
from db.repositories.audit import AuditEntry
from db.repositories.catalogue import read_row
from db.repositories.report_catalogue import REPORT_DELIVERIES, REPORTS
from db.repositories.reports import NewReport
from services.api.answers import IMMUTABLE, VARY, JsonAnswer, matches_etag, quote_etag
from services.api.context import ReadsRecords, RequestContext, RequestUnit
from services.api.contract import describe_problems
from services.api.listing import answer_list, answer_row, describe_page, describe_row
from services.api.report_documents import (
    MailBatch,
    MailItem,
    MailQuery,
    MailRequest,
    ReportDetail,
    ReportItem,
    ReportQuery,
    ReportRequest,
)
from services.api.routers.report_schedules import WritesReports, check_recipients
from services.problems import Problem
from services.reports.message import file_name
from services.reports.occurrences import period_before, request_making, request_making_again

router = APIRouter(tags=["reports"])

Form = Literal["document", "html", "pdf"]
_MEDIA = {"document": "application/json", "html": "text/html; charset=utf-8", "pdf": "application/pdf"}
# A page of HTML that runs nothing and loads nothing, whatever is in it.
_QUIET = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
_ASKED: dict[int | str, dict[str, Any]] = {202: {"model": ReportDetail}, **describe_problems("not-found")}


@router.get("/reports", responses=describe_page(ReportItem))
def list_reports(query: Annotated[ReportQuery, Query()], context: ReadsRecords) -> Response:
    """Return reports with their scorecards."""
    return answer_list(context, REPORTS, query)


@router.get("/reports/{report_id}", responses=describe_row(ReportDetail))
def read_report(report_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a report: what was asked, what became of it, its scorecard and the hashes of its files."""
    return answer_row(request, context, REPORTS, report_id)


@router.get(
    "/reports/{report_id}/{form}",
    response_class=Response,
    responses={
        200: {"description": "the file", "content": {kind.partition(";")[0]: {} for kind in _MEDIA.values()}},
        304: {"description": "the version named in If-None-Match is current"},
        **describe_problems("not-found", "original-missing"),
    },
)
def download_report(
    report_id: uuid.UUID, form: Form, request: Request, context: ReadsRecords, download: bool = False
) -> Response:
    """Return a report as its document (JSON), as a page of HTML or as PDF; `download` saves it."""
    with context.read() as unit:
        file = reports.find_file(unit.connection, unit.caller, report_id, form)
        if file is None:
            raise Problem("not-found", "the report is not made")
        name = _name_of(unit, report_id, form)
    etag = quote_etag(file["sha256"])
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    place = "attachment" if download else "inline"
    headers |= {"Content-Disposition": f'{place}; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    if form == "html":
        # The console shows the page in a frame.
        headers |= {"Content-Security-Policy": _QUIET, "X-Frame-Options": "SAMEORIGIN"}
    data = context.state.blobs.read_range(file["key"], 0, file["bytes"])
    return Response(data, media_type=_MEDIA[form], headers=headers)


def _name_of(unit: RequestUnit, report_id: uuid.UUID, form: Form) -> str:
    row = reports.find_report(unit.connection, report_id)
    assert row is not None
    return file_name(row.title, row.freeze_at, "json" if form == "document" else form)


@router.post("/reports", status_code=202, responses={**_ASKED, **describe_problems("invalid-request")})
def request_report(body: ReportRequest, context: WritesReports) -> Response:
    """Ask for a report of what is there now; it is mailed to the recipients, if any, once it is made."""
    with context.begin() as unit:
        program_id = find_program(unit.connection, unit.caller, Action.WRITE_REPORTS, body.program)
        check_recipients(context, body.recipients)
        now = report_schedules.read_clock(unit.connection)
        new = NewReport(
            program_id=program_id,
            title=body.title,
            content=body.content.model_dump(mode="json"),
            recipients=list(dict.fromkeys(body.recipients)),
            period_from=now - timedelta(days=body.period_days),
            freeze_at=now,
            requested_by=unit.caller.actor,
        )
        return _ask(context, unit, new)


@router.post(
    "/report-schedules/{schedule_id}/reports",
    status_code=202,
    responses={**_ASKED, **describe_problems("conflict", "invalid-request")},
)
def request_scheduled_report(
    schedule_id: uuid.UUID,
    context: WritesReports,
    unless_since: Annotated[
        datetime | None, Query(description="make none if somebody has asked for one since: a repeated click")
    ] = None,
) -> Response:
    """Make a schedule's report now, besides its due times, and send it to the schedule's recipients."""
    if unless_since is not None and unless_since.tzinfo is None:
        raise Problem("invalid-request", "`unless_since` has no time zone")
    with context.begin() as unit:
        schedule = report_schedules.lock_for_change(unit.connection, unit.caller, schedule_id)
        if unless_since is not None and reports.was_asked_for_since(unit.connection, schedule_id, unless_since):
            raise Problem("conflict", "a report of this schedule has been asked for since then")
        check_recipients(context, schedule.recipients)
        now = report_schedules.read_clock(unit.connection)
        new = NewReport(
            program_id=schedule.program_id,
            title=schedule.name,
            content=schedule.content,
            recipients=schedule.recipients,
            period_from=period_before(unit.connection, schedule, now),
            freeze_at=now,
            requested_by=unit.caller.actor,
            schedule_id=schedule.id,
        )
        return _ask(context, unit, new)


def _ask(context: RequestContext, unit: RequestUnit, new: NewReport) -> Response:
    state = context.state
    identity = reports.insert_report(unit.connection, new)
    assert identity is not None  # without a due time there is nothing to be unique
    request_making(
        unit.unit, identity, new, state.settings, lambda due: state.ring(due.job_id, due.queue, due.priority)
    )
    after = {"title": new.title, "recipients": list(new.recipients)}
    unit.audit(AuditEntry("report.requested", "report", identity, new.program_id, after=after))
    document = read_row(unit.connection, unit.caller, REPORTS, identity).encode()
    return JsonAnswer(document, status_code=202, headers={"Location": f"/api/v1/reports/{identity}"})


@router.post(
    "/reports/{report_id}/makings",
    status_code=202,
    responses={**_ASKED, **describe_problems("conflict")},
)
def make_report_again(report_id: uuid.UUID, context: WritesReports) -> Response:
    """Make a report whose job failed, died or was cancelled: with the same freeze, for the same recipients."""
    state = context.state
    with context.begin() as unit:
        row = reports.lock_report(unit.connection, unit.caller, report_id)
        if row.state != "due" or not reports.has_ended_without(unit.connection, row):
            raise Problem("conflict", "only a report whose job has ended without it can be made again")
        job_id = request_making_again(
            unit.unit,
            row,
            unit.caller.actor,
            state.settings,
            lambda due: state.ring(due.job_id, due.queue, due.priority),
        )
        after = {"job_id": str(job_id)}
        unit.audit(AuditEntry("report.requested_again", "report", report_id, row.program_id, after=after))
        document = read_row(unit.connection, unit.caller, REPORTS, report_id).encode()
    return JsonAnswer(document, status_code=202, headers={"Location": f"/api/v1/reports/{report_id}"})


@router.post(
    "/reports/{report_id}/deliveries",
    status_code=202,
    responses={202: {"model": MailBatch}, **describe_problems("conflict", "not-found", "invalid-request")},
)
def mail_report(report_id: uuid.UUID, body: MailRequest, context: WritesReports) -> Response:
    """Mail a report that is made to further recipients."""
    with context.begin() as unit:
        row = reports.lock_report(unit.connection, unit.caller, report_id)
        check_recipients(context, body.recipients)
        if row.state != "ready":
            raise Problem("conflict", "the report is not made")
        made = report_deliveries.insert_deliveries(unit.connection, row, body.recipients, unit.caller.actor)
        after = {"recipients": body.recipients}
        unit.audit(AuditEntry("report.mailed", "report", report_id, row.program_id, after=after))
        rows = [read_row(unit.connection, unit.caller, REPORT_DELIVERIES, identity) for identity in made]
    return JsonAnswer(f'{{"items":[{",".join(rows)}]}}'.encode(), status_code=202)


@router.get("/report-deliveries", responses=describe_page(MailItem))
def list_report_deliveries(query: Annotated[MailQuery, Query()], context: ReadsRecords) -> Response:
    """Return deliveries of reports by e-mail."""
    return answer_list(context, REPORT_DELIVERIES, query)


@router.get("/report-deliveries/{mail_id}", responses=describe_row(MailItem))
def read_report_delivery(mail_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a delivery by e-mail, and why its last try failed or is not known."""
    return answer_row(request, context, REPORT_DELIVERIES, mail_id)


@router.post(
    "/report-deliveries/{mail_id}/resend",
    status_code=202,
    responses={202: {"model": MailItem}, **describe_problems("conflict", "not-found")},
)
def resend_report(mail_id: uuid.UUID, context: WritesReports) -> Response:
    """Send a report to a recipient again, under the same Message-ID, whatever became of it."""
    with context.begin() as unit:
        report_deliveries.send_again(unit.connection, unit.caller, mail_id)
        document = read_row(unit.connection, unit.caller, REPORT_DELIVERIES, mail_id).encode()
    return JsonAnswer(document, status_code=202)

"""Reliability reports: what was made with its verdicts, where it went, its files, and sending it."""

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import report_deliveries
from db.repositories.access import Action, RowNotFound
from db.repositories.catalogue import JOBS, Listing, fetch_rows, read_row
from db.repositories.report_catalogue import REPORT_DELIVERIES, REPORT_SCHEDULES, REPORTS
from services.api.context import RequestUnit
from services.api.report_documents import MailQuery, MailRequest, ReportQuery
from services.api.routers import reports as api
from services.pipelines.reliability.report_scorecard import figure
from services.problems import Problem
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.page import AnyPage, PageRoute, redirect
from services.web.rendering import POLICY
from services.web.report_words import MAIL_WORDS, MAY_COME_TWICE, count_verdicts

router = APIRouter(prefix="/reliability", include_in_schema=False, route_class=PageRoute)

LIST = ListSource(REPORTS, ReportQuery, "reports")
MAILS = ListSource(REPORT_DELIVERIES, MailQuery, "report-deliveries")
MOST_MAILS = 200
FRAMING = f"{POLICY}; frame-src 'self'"
"""The policy of the page that shows a report's own page in a frame."""


@router.get("/reports")
def list_reports(page: AnyPage) -> Response:
    """Return the reports with their verdicts and where they went."""
    if wants_export(page):
        return answer_export(page, LIST, "reports")
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        ids = [uuid.UUID(row["id"]) for row in shown.rows]
        mails = report_deliveries.count_by_state(unit.connection, unit.caller, ids) if ids else {}
        return page.show(
            unit,
            "reports.html",
            shown=shown,
            verdicts={row["id"]: count_verdicts(row["scorecard"]) for row in shown.rows},
            mails={str(identity): counts for identity, counts in mails.items()},
            schedules=_name(unit, REPORT_SCHEDULES, "name", (row["schedule_id"] for row in shown.rows)),
            jobs={row["id"]: _find_job(unit, row) for row in shown.rows if row["state"] == "due"},
            offered=load_rows(unit, REPORT_SCHEDULES, {}, 200, newest_first=False),
        )


def _name(unit: RequestUnit, listing: Listing, column: str, ids: Iterable[str | None]) -> dict[str, str]:
    """Return what the rows of ``ids`` are called, by id."""
    wanted = list(dict.fromkeys(uuid.UUID(each) for each in ids if each is not None))
    if not wanted:
        return {}
    rows = fetch_rows(unit.connection, unit.caller, listing, wanted, (column,))
    return {str(identity): str(row[column]) for identity, row in zip(wanted, rows, strict=True)}


def _find_job(unit: RequestUnit, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the job that makes a report, ``None`` where there is none that the caller may see."""
    if row["job_id"] is None:
        return None
    try:
        found: dict[str, Any] = orjson.loads(read_row(unit.connection, unit.caller, JOBS, uuid.UUID(row["job_id"])))
    except RowNotFound:
        return None
    return found


@router.get("/reports/{report_id}")
def show_report(report_id: uuid.UUID, page: AnyPage) -> Response:
    """Return a report: its scorecard, its page in a frame, its files, what became of each mail, what was asked."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, REPORTS, report_id))
        rows = load_rows(unit, REPORT_DELIVERIES, {"report": report_id}, MOST_MAILS, newest_first=False)
        answer = page.show(
            unit,
            "report.html",
            row=row,
            job=_find_job(unit, row),
            verdicts=count_verdicts(row["scorecard"]),
            figure=figure,
            mails=rows,
            most=MOST_MAILS,
            words=MAIL_WORDS,
            may_come_twice=MAY_COME_TWICE,
            schedules=_name(unit, REPORT_SCHEDULES, "name", [row["schedule_id"]]),
            may_send=unit.caller.may(Action.WRITE_REPORTS, uuid.UUID(row["program_id"])),
            mails_leave=page.context.state.settings.smtp_host is not None,
        )
    answer.headers["Content-Security-Policy"] = FRAMING
    return answer


@router.post("/reports/{report_id}/makings")
def make_report_again(report_id: uuid.UUID, page: AnyPage) -> Response:
    """Make a report whose job has ended without it, as the API does, and watch it."""
    api.make_report_again(report_id, page.context)
    return redirect(f"/reliability/reports/{report_id}")


@router.post("/reports/{report_id}/deliveries")
def mail_report(report_id: uuid.UUID, page: AnyPage) -> Response:
    """Mail the report to more people, as the API does."""
    recipients = [each for each in re.split(r"[,;\s]+", page.field("recipients", 20000)) if each]
    api.mail_report(report_id, MailRequest(recipients=recipients), page.context)
    return redirect(f"/reliability/reports/{report_id}#deliveries")


@router.get("/deliveries")
def list_deliveries(page: AnyPage) -> Response:
    """Return what became of each report mailed to somebody."""
    if wants_export(page):
        return answer_export(page, MAILS, "report-deliveries")
    with page.read() as unit:
        shown = load_list(page, unit, MAILS)
        titles = _name(unit, REPORTS, "title", (row["report_id"] for row in shown.rows))
        return page.show(unit, "report_deliveries.html", shown=shown, titles=titles, words=MAIL_WORDS)


@router.post("/deliveries/{mail_id}/resend")
def resend_report(mail_id: uuid.UUID, page: AnyPage) -> Response:
    """Send a report to a recipient again; where it may have arrived, only when the form says that this is known."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, REPORT_DELIVERIES, mail_id))
    if row["state"] in MAY_COME_TWICE and "sure" not in page.form:
        raise Problem("invalid-request", f"the mail to {row['recipient']} may have arrived: confirm that it may twice")
    api.resend_report(mail_id, page.context)
    return redirect(f"/reliability/reports/{row['report_id']}#deliveries")

"""Schedules of reliability reports: when they are due, to whom they go, changing, pausing, trying and sending them."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import report_schedules
from db.repositories.access import Action, Conflict
from db.repositories.catalogue import read_row
from db.repositories.report_catalogue import REPORT_SCHEDULES, REPORTS
from services.api.context import RequestUnit
from services.api.report_documents import ReportRequest, ScheduleChange, ScheduleQuery, ScheduleRequest
from services.api.routers import report_schedules as api
from services.api.routers import reports as reports_api
from services.problems import Problem
from services.reports.due_times import BadSchedule, last_due_before
from services.reports.occurrences import FIRST_PERIOD, period_before
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.mechanism_form import ACTIONS, change_rows, show_mechanisms, take_mechanisms
from services.web.mechanism_terms import LAWS
from services.web.page import AnyPage, Page, PageRoute, redirect
from services.web.report_words import count_verdicts
from services.web.schedule_form import FIELDS, ScheduleDraft, fill_form, overlay_fields, read_draft
from services.web.schedule_words import MISSED, list_due_times, tell_schedule

router = APIRouter(prefix="/reliability/schedules", include_in_schema=False, route_class=PageRoute)

LIST = ListSource(REPORT_SCHEDULES, ScheduleQuery, "report-schedules")
SHOWN_DUE_TIMES = 6
MOST_REPORTS = 12


@router.get("")
def list_schedules(page: AnyPage) -> Response:
    """Return the schedules, each in words."""
    if wants_export(page):
        return answer_export(page, LIST, "report-schedules")
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        now = report_schedules.read_clock(unit.connection)
        words = {row["id"]: tell_schedule(row, now) for row in shown.rows}
        return page.show(unit, "schedules.html", shown=shown, words=words, missed=MISSED)


@router.get("/new")
def show_new(page: AnyPage) -> Response:
    """Return the form of a new schedule; the address may fill its fields."""
    with page.read() as unit:
        unit.caller.require(Action.WRITE_REPORTS)
        return _show_form(page, unit, overlay_fields(fill_form(None), page.query))


def _show_form(
    page: Page,
    unit: RequestUnit,
    values: Mapping[str, str],
    schedule: Mapping[str, Any] | None = None,
    wrong: tuple[int, Mapping[str, str]] = (200, {}),
) -> Response:
    """Return the form with ``values``; ``wrong``: the answer's status, and what is wrong by field ("" for all)."""
    status, errors = wrong
    now = report_schedules.read_clock(unit.connection)
    allowed = unit.caller.programs(Action.WRITE_REPORTS)
    settings = page.context.state.settings
    return page.show(
        unit,
        "schedule_form.html",
        status,
        values=values,
        mechanisms=show_mechanisms(values),
        laws=LAWS,
        errors=errors,
        schedule=schedule,
        due=list_due_times(values["cron"], values["time_zone"], now, SHOWN_DUE_TIMES),
        missed=MISSED,
        zones=_zones(),
        allowed=allowed if allowed is None else {str(each) for each in allowed},
        mails_leave=settings.smtp_host is not None,
        domains=settings.report_domains,
    )


@cache
def _zones() -> list[str]:
    return sorted(available_timezones())


@router.post("")
def create_schedule(page: AnyPage) -> Response:
    """Check the draft, make its report without sending it, or make the schedule; ``do`` says which."""

    def save(request: ScheduleRequest) -> uuid.UUID:
        answer = api.create_report_schedule(request, page.context)
        return uuid.UUID(answer.headers["Location"].rpartition("/")[2])

    return _do(page, None, save)


def _do(page: Page, schedule: Mapping[str, Any] | None, save: Callable[[ScheduleRequest], uuid.UUID]) -> Response:
    """Do with the draft in the form what its button says; show the form again where something is wrong."""
    form = page.form if schedule is None else {**page.form, "program": schedule["program_id"]}
    action = form.get("do", "save")
    if ACTIONS.fullmatch(action):
        return _change_rows(page, schedule, form, action)
    draft = read_draft(form)
    wrong: tuple[int, Mapping[str, str]] = (422, draft.errors)
    if draft.request is not None:
        try:
            match action:
                case "check":
                    wrong = (200, _check_recipients(page, draft))
                case "preview":
                    return _preview(page, draft.request)
                case _:
                    return redirect(f"/reliability/schedules/{save(draft.request)}")
        except Conflict as error:
            wrong = (409, {"": str(error)})
        except Problem as error:
            wrong = (error.kind.status, {"": error.detail})
    with page.read() as unit:
        unit.caller.require(Action.WRITE_REPORTS)
        return _show_form(page, unit, draft.values, schedule, wrong)


def _change_rows(page: Page, schedule: Mapping[str, Any] | None, form: Mapping[str, str], action: str) -> Response:
    """Show the form again with mechanisms added, removed or asked for anew; nothing is judged or saved."""
    own = {name: form.get(name, "") for name in FIELDS}
    with page.read() as unit:
        unit.caller.require(Action.WRITE_REPORTS)
        return _show_form(page, unit, own | change_rows(take_mechanisms(form), action), schedule)


def _check_recipients(page: Page, draft: ScheduleDraft) -> dict[str, str]:
    assert draft.request is not None
    try:
        api.check_recipients(page.context, draft.request.recipients)
    except Problem as error:
        return {"recipients": error.detail}
    return {}


def _preview(page: Page, request: ScheduleRequest) -> Response:
    """Ask for the report that the draft would make if it were due now, and mail it to nobody."""
    with page.read() as unit:
        now = report_schedules.read_clock(unit.connection)
    asked = ReportRequest(
        program=request.program,
        title=request.name,
        period_days=_period(request, now) / timedelta(days=1),
        content=request.content,
        recipients=[],
    )
    answer = reports_api.request_report(asked, page.context)
    return redirect(f"/reliability/reports/{answer.headers['Location'].rpartition('/')[2]}")


def _period(request: ScheduleRequest, now: datetime) -> timedelta:
    try:
        last = last_due_before(request.cron, request.time_zone, now)
    except BadSchedule as error:
        raise Problem("invalid-request", str(error)) from error
    return now - last if last is not None else FIRST_PERIOD


@router.get("/{schedule_id}")
def show_schedule(schedule_id: uuid.UUID, page: AnyPage) -> Response:
    """Return a schedule: when it is due, to whom it goes, what it tells, its last reports."""
    with page.read() as unit:
        row = _read(unit, schedule_id)
        now = report_schedules.read_clock(unit.connection)
        reports = load_rows(unit, REPORTS, {"schedule": schedule_id}, MOST_REPORTS)
        return page.show(
            unit,
            "schedule.html",
            row=row,
            words=tell_schedule(row, now),
            due=list_due_times(row["cron"], row["time_zone"], now, SHOWN_DUE_TIMES),
            missed=MISSED,
            reports=reports,
            verdicts={each["id"]: count_verdicts(each["scorecard"]) for each in reports},
            may_change=unit.caller.may(Action.WRITE_REPORTS, uuid.UUID(row["program_id"])),
        )


def _read(unit: RequestUnit, schedule_id: uuid.UUID, *, to_change: bool = False) -> dict[str, Any]:
    row: dict[str, Any] = orjson.loads(read_row(unit.connection, unit.caller, REPORT_SCHEDULES, schedule_id))
    if to_change:
        unit.caller.require_in(Action.WRITE_REPORTS, uuid.UUID(row["program_id"]))
    return row


@router.get("/{schedule_id}/edit")
def show_edit(schedule_id: uuid.UUID, page: AnyPage) -> Response:
    """Return the form of a schedule; the address may fill its fields otherwise than they are stored."""
    with page.read() as unit:
        row = _read(unit, schedule_id, to_change=True)
        values = fill_form(row | {"program": row["program_id"]})
        return _show_form(page, unit, overlay_fields(values, page.query), row)


@router.post("/{schedule_id}")
def change_schedule(schedule_id: uuid.UUID, page: AnyPage) -> Response:
    """Check the changed draft, make its report without sending it, or change the schedule; ``do`` says which."""
    with page.read() as unit:
        row = _read(unit, schedule_id, to_change=True)

    def save(request: ScheduleRequest) -> uuid.UUID:
        values: dict[str, Any] = request.model_dump(mode="json", exclude={"program", "enabled"})
        change = ScheduleChange.model_validate(values | {"revision": page.form.get("revision") or None})
        api.change_report_schedule(schedule_id, change, page.context)
        return schedule_id

    return _do(page, row, save)


@router.post("/{schedule_id}/enabled")
def enable_schedule(schedule_id: uuid.UUID, page: AnyPage) -> Response:
    """Pause the schedule, or let it go on."""
    change = ScheduleChange(enabled=page.form.get("enabled") == "yes")
    api.change_report_schedule(schedule_id, change, page.context)
    return redirect(f"/reliability/schedules/{schedule_id}")


@router.get("/{schedule_id}/send")
def confirm_sending(schedule_id: uuid.UUID, page: AnyPage) -> Response:
    """Return what would be made and to whom it would go, to be confirmed."""
    with page.read() as unit:
        row = _read(unit, schedule_id, to_change=True)
        now = report_schedules.read_clock(unit.connection)
        stored = report_schedules.find(unit.connection, unit.caller, schedule_id)
        begins = period_before(unit.connection, stored, now)
        return page.show(unit, "send_report.html", row=row, now=now.isoformat(), begins=begins)


@router.post("/{schedule_id}/send")
def send_now(schedule_id: uuid.UUID, page: AnyPage) -> Response:
    """Make the report now and send it, once however often the form is sent."""
    try:
        seen = datetime.fromisoformat(page.field("seen", 40))
    except ValueError as error:
        raise Problem("invalid-request", "the field 'seen' holds no time") from error
    answer = reports_api.request_scheduled_report(schedule_id, page.context, seen)
    return redirect(f"/reliability/reports/{answer.headers['Location'].rpartition('/')[2]}")

"""Schedules of reliability reports: made, changed, paused, tried out."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.repositories import report_schedules
from db.repositories.access import Action, find_program
from db.repositories.catalogue import read_row
from db.repositories.report_catalogue import REPORT_SCHEDULES
from db.repositories.report_schedules import NewSchedule
from services.api.answers import JsonAnswer
from services.api.context import ReadsRecords, RequestContext, RequestUnit, acting
from services.api.contract import describe_problems
from services.api.listing import answer_list, answer_row, describe_page, describe_row
from services.api.report_documents import (
    DueRequest,
    DueTimes,
    ScheduleChange,
    ScheduleDetail,
    ScheduleItem,
    ScheduleQuery,
    ScheduleRequest,
)
from services.problems import Problem
from services.reports.due_times import BadSchedule, check_schedule, describe_due, next_due
from services.reports.occurrences import make_due

router = APIRouter(prefix="/report-schedules", tags=["reports"])

WritesReports = Annotated[RequestContext, acting(Action.WRITE_REPORTS)]


@router.get("", responses=describe_page(ScheduleItem))
def list_report_schedules(query: Annotated[ScheduleQuery, Query()], context: ReadsRecords) -> Response:
    """Return schedules of reports."""
    return answer_list(context, REPORT_SCHEDULES, query)


@router.get("/{schedule_id}", responses=describe_row(ScheduleDetail))
def read_report_schedule(schedule_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a schedule with its content."""
    return answer_row(request, context, REPORT_SCHEDULES, schedule_id)


@router.post("/previews", responses={200: {"model": DueTimes}, **describe_problems("not-found", "invalid-request")})
def preview_due_times(body: DueRequest, context: WritesReports) -> Response:
    """Return when a schedule would be due, also where clocks are put forward or back."""
    with context.read() as unit:
        find_program(unit.connection, unit.caller, Action.WRITE_REPORTS, body.program)
        after = body.after if body.after is not None else datetime.now(UTC)
        if after.tzinfo is None:
            raise Problem("invalid-request", "`after` has no time zone")
        try:
            return JsonAnswer(describe_due(body.cron, body.time_zone, after, body.count))
        except BadSchedule as error:
            raise Problem("invalid-request", str(error)) from error


@router.post(
    "",
    status_code=201,
    responses={201: {"model": ScheduleDetail}, **describe_problems("conflict", "not-found", "invalid-request")},
)
def create_report_schedule(body: ScheduleRequest, context: WritesReports) -> Response:
    """Let a report be made on time. It is due for the first time after now."""
    with context.begin() as unit:
        _check(body.cron, body.time_zone)
        check_recipients(context, body.recipients)
        now = report_schedules.read_clock(unit.connection)
        new = NewSchedule(
            program=body.program,
            name=body.name,
            description=body.description,
            cron=body.cron,
            time_zone=body.time_zone,
            catch_up=body.catch_up,
            content=body.content.model_dump(mode="json"),
            recipients=list(dict.fromkeys(body.recipients)),
            next_due_at=next_due(body.cron, body.time_zone, now),
            enabled=body.enabled,
        )
        identity = report_schedules.create(unit.connection, unit.caller, new)
        document = read_row(unit.connection, unit.caller, REPORT_SCHEDULES, identity).encode()
    return JsonAnswer(document, status_code=201, headers={"Location": f"/api/v1/report-schedules/{identity}"})


@router.patch(
    "/{schedule_id}",
    responses={200: {"model": ScheduleDetail}, **describe_problems("conflict", "not-found", "invalid-request")},
)
def change_report_schedule(schedule_id: uuid.UUID, body: ScheduleChange, context: WritesReports) -> Response:
    """Change a schedule, pause it (`enabled: false`) or let it go on: it is then due for the first time after now.

    What was due before the change is made as it was.
    """
    with context.begin() as unit:
        before = report_schedules.lock_for_change(unit.connection, unit.caller, schedule_id)
        if body.revision not in (None, before.revision):
            raise Problem("conflict", "somebody has changed the schedule since it was read: look at it again")
        changes = _changes(body, before)
        _check(changes.get("cron", before.cron), changes.get("time_zone", before.time_zone))
        check_recipients(context, changes.get("recipients", ()))
        if changes:
            _settle(context, unit, before, changes)
            report_schedules.change(unit.connection, unit.caller, before, changes)
        document = read_row(unit.connection, unit.caller, REPORT_SCHEDULES, schedule_id).encode()
    return JsonAnswer(document)


def _changes(body: ScheduleChange, before: Any) -> dict[str, Any]:
    sent = body.model_dump(mode="json", exclude_none=True, exclude={"revision"})
    if body.content is not None:
        sent["content"] = body.content.model_dump(mode="json")  # in which null says something: no screening
    if body.recipients is not None:
        sent["recipients"] = list(dict.fromkeys(body.recipients))
    return {name: value for name, value in sent.items() if value != getattr(before, name)}


def _settle(context: RequestContext, unit: RequestUnit, before: Any, changes: dict[str, Any]) -> None:
    """Make what is due already as it was asked for, and say when the changed schedule is due next."""
    now = report_schedules.read_clock(unit.connection)
    state = context.state
    if before.enabled and before.next_due_at <= now:
        make_due(unit.unit, before, state.settings, lambda due: state.ring(due.job_id, due.queue, due.priority))
    if {"cron", "time_zone", "enabled"} & changes.keys():
        cron, zone = changes.get("cron", before.cron), changes.get("time_zone", before.time_zone)
        changes["next_due_at"] = next_due(cron, zone, now)


def _check(cron: str, time_zone: str) -> None:
    try:
        check_schedule(cron, time_zone)
    except BadSchedule as error:
        raise Problem("invalid-request", str(error)) from error


def check_recipients(context: RequestContext, recipients: Iterable[str]) -> None:
    """Refuse recipients that no mail can be sent to: without a mail server, or of a domain that is not allowed."""
    settings = context.state.settings
    asked = list(recipients)
    if asked and settings.smtp_host is None:
        raise Problem("invalid-request", "no mail server is configured (FAULTLIGHT_SMTP_HOST): leave out recipients")
    allowed = [each.strip().lower() for each in settings.report_domains.split(",") if each.strip()]
    for address in asked if allowed else ():
        domain = address.rpartition("@")[2].lower()
        if not any(fnmatchcase(domain, each) for each in allowed):
            raise Problem("invalid-request", f"reports may not be mailed to {domain} (FAULTLIGHT_REPORT_DOMAINS)")

"""Reports by REST: schedules made, changed, paused and tried out; reports asked for, downloaded and mailed."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from db.schema.people import audit_event, program
from db.schema.reports import report, report_delivery, report_schedule
from db.schema.work import job
from tests.api.conftest import Api
from tests.api.report_rows import FORMS, add_report

FAR_DAY = (datetime.now(UTC) + timedelta(days=14)).day
"""Of a month: never due while a test runs, whatever the day."""
MONTHLY = {"program": "alpha", "name": "monthly", "cron": f"0 6 {FAR_DAY} * *", "time_zone": "Europe/Berlin"}


@pytest.fixture
def made(api: Api) -> dict[str, uuid.UUID]:
    with api.engine.begin() as connection:
        alpha = connection.execute(select(program.c.id)).scalar_one()
    return add_report(api.engine, api.state.blobs, alpha)


def rows(api: Api, table: Any) -> list[Any]:
    with api.engine.connect() as connection:
        return list(connection.execute(select(table).order_by(table.c.id)).all())


def test_a_schedule_is_made_changed_and_paused(api: Api) -> None:
    answer = api.call("POST", "/report-schedules", json=MONTHLY | {"recipients": ["ada@fab.example"] * 2})
    assert answer.status_code == 201, answer.text
    schedule = answer.json()
    due = datetime.fromisoformat(schedule["next_due_at"])
    assert due > datetime.now(UTC)
    assert (due.astimezone(UTC).hour, schedule["recipients"]) in ((4, ["ada@fab.example"]), (5, ["ada@fab.example"]))
    assert schedule["content"]["mechanisms"][0]["law"] == "arrhenius"
    assert api.call("POST", "/report-schedules", json=MONTHLY).status_code == 409
    path = f"/report-schedules/{schedule['id']}"
    paused = api.call("PATCH", path, json={"enabled": False, "catch_up": "all"}).json()
    assert (paused["enabled"], paused["catch_up"], paused["revision"]) == (False, "all", 2)
    with api.engine.begin() as connection:
        connection.execute(update(report_schedule).values(next_due_at=datetime.now(UTC) - timedelta(days=70)))
    resumed = api.call("PATCH", path, json={"enabled": True}).json()
    assert datetime.fromisoformat(resumed["next_due_at"]) > datetime.now(UTC)
    assert rows(api, report) == []
    told = [row.action for row in rows(api, audit_event) if row.subject_type == "report_schedule"]
    assert told == ["report-schedule.created", "report-schedule.changed", "report-schedule.changed"]


def test_a_change_of_what_somebody_else_has_changed_is_a_conflict_and_null_says_something(api: Api) -> None:
    path = f"/report-schedules/{api.call('POST', '/report-schedules', json=MONTHLY).json()['id']}"
    changed = api.call("PATCH", path, json={"revision": 1, "content": {"screen": None}}).json()
    assert (changed["revision"], changed["content"]["screen"]) == (2, None)
    assert api.call("PATCH", path, json={"revision": 1, "description": "late"}).status_code == 409
    assert api.call("PATCH", path, json={"revision": 2, "description": "in time"}).status_code == 200


def test_what_was_due_before_a_change_is_made_as_it_was(api: Api) -> None:
    schedule = api.call("POST", "/report-schedules", json=MONTHLY).json()
    due = datetime.now(UTC) - timedelta(hours=1)
    with api.engine.begin() as connection:
        connection.execute(update(report_schedule).values(next_due_at=due))
    changed = api.call("PATCH", f"/report-schedules/{schedule['id']}", json={"cron": "0 7 * * *", "name": "daily"})
    assert datetime.fromisoformat(changed.json()["next_due_at"]) - datetime.now(UTC) < timedelta(days=1, hours=1)
    ((title, moment),) = [(row.title, row.due_at) for row in rows(api, report)]
    assert (title, moment) == ("monthly", due)
    assert api.doorbell.rung == [row.id for row in rows(api, job)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cron": "0 6 30 2 *"}, "Bad day-of-month"),
        ({"cron": "0 0 6 1 * *"}, "five fields"),
        ({"time_zone": "Europe/Atlantis"}, "no time zone"),
        ({"recipients": ["ada@fab.example\r\nBcc: eve@evil.example"]}, "recipients"),
        ({"recipients": ["Ada <ada@fab.example>"]}, "recipients"),
        ({"content": {"mechanisms": [{"name": "a"}, {"name": "b"}]}}, "every mode left over"),
        ({"content": {"use_temperatur_c": 55}}, "content"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(api: Api, change: dict[str, Any], reason: str) -> None:
    answer = api.call("POST", "/report-schedules", json=MONTHLY | change)
    assert answer.status_code == 422
    assert reason in answer.text
    assert rows(api, report_schedule) == []


def test_recipients_need_a_mail_server_and_an_allowed_domain(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = MONTHLY | {"recipients": ["ada@fab.example"]}
    monkeypatch.setattr(api.state.settings, "report_domains", "*.fab.example, fab.org")
    assert "may not be mailed to fab.example" in api.call("POST", "/report-schedules", json=asked).text
    monkeypatch.setattr(api.state.settings, "report_domains", "FAB.example")
    assert api.call("POST", "/report-schedules", json=asked).status_code == 201
    monkeypatch.setattr(api.state.settings, "smtp_host", None)
    answer = api.call("POST", "/reports", json={"program": "alpha", "title": "now", "recipients": ["ada@fab.example"]})
    assert (answer.status_code, "FAULTLIGHT_SMTP_HOST" in answer.text) == (422, True)


def test_due_times_are_tried_out_before_a_schedule_is_made(api: Api) -> None:
    asked = {"program": "alpha", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "count": 3}
    answer = api.call("POST", "/report-schedules/previews", json=asked | {"after": "2026-10-24T00:00:00Z"})
    assert answer.status_code == 200, answer.text
    assert [each["local"] for each in answer.json()["due"]] == [
        "2026-10-24 02:30 CEST", "2026-10-25 02:30 CEST", "2026-10-26 02:30 CET",
    ]  # fmt: skip
    assert answer.json()["explanation"] == "At 02:30 every day"


def test_a_report_is_asked_for_now(api: Api) -> None:
    answer = api.call("POST", "/reports", json={"program": "alpha", "title": "For the audit", "period_days": 90})
    assert answer.status_code == 202, answer.text
    asked = answer.json()
    (row,), (made,) = rows(api, job), rows(api, report)
    assert (asked["state"], asked["job_id"], asked["due_at"]) == ("due", str(row.id), None)
    assert (row.kind, row.payload) == ("report", {"report_id": asked["id"]})
    assert made.freeze_at - made.period_from == timedelta(days=90)
    assert api.call("GET", f"/reports/{asked['id']}/pdf").status_code == 404
    schedule = api.call("POST", "/report-schedules", json=MONTHLY).json()
    for _ in range(2):
        assert api.call("POST", f"/report-schedules/{schedule['id']}/reports").status_code == 202
    assert len(rows(api, report)) == 3


def test_a_report_that_was_asked_for_meanwhile_is_not_made_again(api: Api, made: dict[str, uuid.UUID]) -> None:
    path = f"/report-schedules/{made['schedule_id']}/reports"
    begun = datetime.now(UTC) - timedelta(minutes=1)
    for moment, status in ((begun, 202), (begun, 409), (datetime.now(UTC) + timedelta(minutes=1), 202)):
        assert api.call("POST", path, params={"unless_since": moment.isoformat()}).status_code == status
    assert api.call("POST", path, params={"unless_since": "2026-03-01T00:00:00"}).status_code == 422
    assert api.call("POST", path).status_code == 202


@pytest.mark.parametrize(
    ("form", "media"), [("document", "application/json"), ("html", "text/html"), ("pdf", "application/pdf")]
)
def test_a_report_is_downloaded(api: Api, made: dict[str, uuid.UUID], form: str, media: str) -> None:
    path = f"/reports/{made['report_id']}/{form}"
    answer = api.call("GET", path)
    assert (answer.status_code, answer.content) == (200, FORMS[form])
    assert answer.headers["Content-Type"].startswith(media)
    assert answer.headers["Content-Disposition"].startswith('inline; filename="monthly-2')
    again = api.call("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api.call("GET", path + "?download=true").headers["Content-Disposition"].startswith("attachment")
    if form == "html":
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


def test_a_report_is_mailed_to_each_recipient_once(api: Api, made: dict[str, uuid.UUID]) -> None:
    path = f"/reports/{made['report_id']}/deliveries"
    first = api.call("POST", path, json={"recipients": ["bob@fab.example", "ada@fab.example"]})
    assert [each["recipient"] for each in first.json()["items"]] == ["bob@fab.example"]
    assert api.call("POST", path, json={"recipients": ["bob@fab.example"]}).json() == {"items": []}
    assert len(rows(api, report_delivery)) == 2
    failed = f"/report-deliveries/{made['mail_id']}"
    assert api.call("GET", failed).json()["reason"] == "550 no such user"
    assert api.call("POST", f"{failed}/resend").json()["state"] == "waiting"
    assert api.call("POST", f"{failed}/resend").status_code == 409
    waiting = api.call("GET", f"/report-deliveries?report={made['report_id']}&state=waiting").json()["items"]
    assert len(waiting) == 2


@pytest.mark.parametrize("state", ["failed", "dead", "cancelled"])
def test_a_report_whose_job_ended_without_it_is_made_again(api: Api, state: str) -> None:
    asked = api.call("POST", "/reports", json={"program": "alpha", "title": "now"}).json()
    path = f"/reports/{asked['id']}/makings"
    assert api.call("POST", path).status_code == 409  # its job is still to run
    with api.engine.begin() as connection:
        connection.execute(update(job).values(state=state))
    again = api.call("POST", path)
    assert again.status_code == 202, again.text
    assert again.headers["Location"] == f"/api/v1/reports/{asked['id']}"
    assert again.json()["job_id"] != asked["job_id"]
    kept = ("id", "freeze_at", "period_from", "recipients", "state")
    assert [again.json()[name] for name in kept] == [asked[name] for name in kept]
    assert api.call("POST", path).status_code == 409
    first, second = rows(api, job)
    assert (first.payload, second.state) == (second.payload, "queued")
    assert api.doorbell.rung == [first.id, second.id]
    assert [row.action for row in rows(api, audit_event) if row.subject_type == "report"] == [
        "report.requested", "report.requested_again"
    ]  # fmt: skip


def test_what_is_made_or_skipped_is_not_made_again(api: Api, made: dict[str, uuid.UUID]) -> None:
    assert api.call("POST", f"/reports/{made['report_id']}/makings").status_code == 409
    assert api.call("POST", f"/reports/{uuid.uuid4()}/makings").status_code == 404

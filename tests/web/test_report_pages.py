"""The pages of reports and their schedules: what they say, refuse, send once, try out without sending."""

import csv
import html
import io
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from db.identifiers import uuid7
from db.schema.reports import report, report_delivery, report_schedule
from db.schema.work import job
from services.pipelines.reliability.report_requests import ReportContent
from services.web.schedule_form import fill_form, read_draft
from services.web.schedule_words import tell_schedule
from tests.api.population import add_row
from tests.web.conftest import Browser, Console, check_html

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)
MISSED = "missed by 3.0 d"
SCORECARD = [
    {"key": "fit", "label": "Failure rate at 55 °C", "unit": "FIT", "value": 61.2, "text": "≤ 61.2 (60 %) FIT",
     "target": 50.0, "verdict": "missed", "section": "rates", "trend": {"text": "first report"}},
    {"key": "mission_ppm", "label": "Failing <in> use", "unit": "ppm", "value": 9.0, "text": "≤ 9 ppm",
     "target": 1000.0, "verdict": "met", "section": "rates", "trend": {"text": "as before"}},
]  # fmt: skip
Fab = tuple[Console, dict[str, str], Browser]


@pytest.fixture
def fab(console: Console) -> Fab:
    ids = {name: str(identity) for name, identity in console.populate().items()}
    with console.api.engine.begin() as connection:
        connection.execute(update(report).values(scorecard=SCORECARD, recipients=["ada@fab.example"]))
    return console, ids, console.person("reliability")


def rows(console: Console, table: Any, **wanted: Any) -> list[Any]:
    query = select(table).where(*(table.c[name] == value for name, value in wanted.items())).order_by(table.c.id)
    with console.api.engine.connect() as connection:
        return list(connection.execute(query))


def fields(**changed: str) -> dict[str, str]:
    return {**fill_form(None), "program": "alpha", "name": "Weekly", **changed}


def add_deliveries(console: Console, report_id: str, states: dict[str, str]) -> dict[str, str]:
    ids = {recipient: uuid7() for recipient in states}
    made = {"report_id": uuid.UUID(report_id), "program_id": console.program, "requested_by": "test"}
    with console.api.engine.begin() as connection:
        for recipient, state in states.items():
            submitted = func.now() if state in ("delivered", "unknown") else None
            values = {"submitted_at": submitted, "delivered_at": func.now() if state == "delivered" else None}
            connection.execute(
                insert(report_delivery).values(
                    id=ids[recipient], recipient=recipient, state=state, next_attempt_at=func.now(), **made, **values
                )
            )
    return {recipient: str(identity) for recipient, identity in ids.items()}


def test_a_report_says_its_verdicts_and_where_it_went(fab: Fab) -> None:
    console, ids, browser = fab
    add_deliveries(console, ids["report_id"], {"b@fab.example": "delivered", "c@fab.example": "unknown"})
    shown = browser.get("/reliability/reports")
    check_html(shown.text)
    for said in ("1 missed", "1 met", "1 delivered", "1 failed", "1 unknown"):
        assert said in shown.text, said
    page = browser.get(f"/reliability/reports/{ids['report_id']}")
    check_html(page.text)
    for said in (
        "Failing &lt;in&gt; use",
        "≤ 61.2 (60 %) FIT",
        "550 no such user",
        "marked and not repeated",
        "sandbox",
    ):
        assert said in page.text, said
    assert page.headers["Content-Security-Policy"].endswith("frame-src 'self'")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    framed = browser.get(f"/api/v1/reports/{ids['report_id']}/html")
    assert framed.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "sandbox" in framed.headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in framed.headers["Content-Security-Policy"]
    assert browser.get(f"/api/v1/reports/{ids['report_id']}/pdf").headers["X-Frame-Options"] == "DENY"
    assert "No report passes this filter" in browser.get("/reliability/reports?state=skipped").text
    exported = list(csv.DictReader(io.StringIO(browser.get("/reliability/deliveries?export=csv").text)))
    assert {row["state"] for row in exported} == {"delivered", "unknown", "failed"}
    unknown = browser.get("/reliability/deliveries?state=unknown").text
    assert "c@fab.example" in unknown
    assert "b@fab.example" not in unknown


def test_what_may_have_arrived_is_sent_again_only_when_that_is_confirmed(fab: Fab) -> None:
    console, ids, browser = fab
    mails = add_deliveries(console, ids["report_id"], {"c@fab.example": "unknown", "d@fab.example": "waiting"})
    page = f"/reliability/reports/{ids['report_id']}"
    unknown = f"/reliability/deliveries/{mails['c@fab.example']}/resend"
    refused = browser.post(unknown)
    assert refused.status_code == 422
    assert "may have arrived" in refused.text
    assert browser.post(unknown, sure="on").headers["location"] == f"{page}#deliveries"
    assert browser.post(f"/reliability/deliveries/{mails['d@fab.example']}/resend").status_code == 409
    assert browser.post(f"/reliability/deliveries/{ids['mail_id']}/resend").status_code == 303
    assert {row.state for row in rows(console, report_delivery)} == {"waiting"}
    engineer = console.person("engineer")
    assert "Send again" not in engineer.get(page).text
    assert engineer.post(unknown, sure="on").status_code == 404
    more = browser.post(f"{page}/deliveries", recipients="e@fab.example, ada@fab.example")
    assert more.headers["location"] == f"{page}#deliveries"
    assert len(rows(console, report_delivery)) == 4  # ada has one already
    assert browser.post(f"{page}/deliveries", recipients="e").status_code == 422


def test_a_report_that_was_not_made_says_why(fab: Fab) -> None:
    console, ids, browser = fab
    said = "its content is of another version"
    of_job = {"kind": "report", "queue": "cpu", "payload": {}, "requested_by": "test", "program_id": console.program}
    failed = add_row(
        console.api.engine, job, job_key=uuid.uuid4().hex, state="failed", error={"message": said}, **of_job
    )
    for due_at, values in (
        (NOW, {"state": "due", "job_id": failed}),
        (TOMORROW, {"state": "skipped", "reason": MISSED}),
    ):
        made = add_row(
            console.api.engine, report, program_id=console.program, title="late", content={}, recipients=[],
            freeze_at=due_at, period_from=due_at - timedelta(days=1), schedule_id=uuid.UUID(ids["schedule_id"]),
            due_at=due_at, requested_by="service:scheduler", **values,
        )  # fmt: skip
        page = browser.get(f"/reliability/reports/{made}")
        check_html(page.text)
        assert (values.get("reason") or said) in page.text
    listed = browser.get("/reliability/reports").text
    assert MISSED in listed
    assert said in listed


def test_a_report_that_was_not_made_is_made_again_by_a_button(fab: Fab) -> None:
    console, _, browser = fab
    tried = browser.post("/reliability/schedules", **fields(do="preview"))
    path = tried.headers["location"]
    assert "Make it again" not in browser.get(path).text
    with console.api.engine.begin() as connection:
        connection.execute(update(job).where(job.c.kind == "report").values(state="dead", error={"message": "killed"}))
    page = browser.get(path)
    check_html(page.text)
    assert "killed" in page.text
    engineer = console.person("engineer")
    assert "Make it again" not in engineer.get(path).text
    assert engineer.post(f"{path}/makings").status_code == 404
    assert browser.post(f"{path}/makings").headers["location"] == path
    assert "data-reload" in browser.get(path).text
    assert browser.post(f"{path}/makings").status_code == 409


def test_a_schedule_says_when_it_is_due_in_its_zone(fab: Fab) -> None:
    row = {
        "cron": "30 2 * * *",
        "time_zone": "Europe/Berlin",
        "enabled": True,
        "next_due_at": "2026-03-29T01:00:00+00:00",
    }
    told = tell_schedule(row, NOW)
    assert (told.next_local, told.late, told.trouble) == ("2026-03-29 03:00 CEST", False, None)
    assert tell_schedule(row, NOW + timedelta(days=9)).late
    assert tell_schedule(row | {"enabled": False}, NOW + timedelta(days=9)).next_local is None
    assert "no time zone 'Mars/North'" in (tell_schedule(row | {"time_zone": "Mars/North"}, NOW).trouble or "")
    _, ids, browser = fab
    for path in ("/reliability/schedules", f"/reliability/schedules/{ids['schedule_id']}"):
        page = browser.get(path)
        check_html(page.text)
        assert "At 06:00 on the first day of every month" in page.text
        assert "the latest is made late" in page.text
    assert "monthly" in browser.get("/reliability/schedules?enabled=true").text
    assert "No schedule passes" in browser.get("/reliability/schedules?enabled=false").text


def test_a_schedule_by_its_form(fab: Fab) -> None:
    console, _, browser = fab
    check_html(browser.get("/reliability/schedules/new").text)
    filled = browser.get("/reliability/schedules/new?name=Drafted&cron=0+7+*+*+1&target_fit=50").text
    for said in ('value="Drafted"', 'value="50"', "At 07:00 on Monday"):
        assert said in filled, said
    made = browser.post(
        "/reliability/schedules", **fields(target_fit="50", confidences_percent="70, 95", lots="L 1; L2")
    )
    path = made.headers["location"]
    (row,) = rows(console, report_schedule, name="Weekly")
    content = ReportContent.model_validate(row.content)
    assert (content.targets.fit, content.confidences, content.lots) == (50.0, [0.7, 0.95], ["L 1", "L2"])
    assert browser.post("/reliability/schedules", **fields()).status_code == 409
    form = browser.get(f"{path}/edit")
    check_html(form.text)
    assert 'name="confidences_percent" value="70, 95"' in form.text
    changed = fields(target_fit="", time_zone="Asia/Tokyo", rest='{"burn_in": {"field_h": 1000}, "screen": null}')
    assert browser.post(path, **changed, revision="1").headers["location"] == path
    (row,) = rows(console, report_schedule, name="Weekly")
    assert (row.time_zone, row.content["targets"]["fit"]) == ("Asia/Tokyo", None)
    assert (row.content["burn_in"]["field_h"], row.content["screen"]) == (1000.0, None)
    stale = browser.post(path, **fields(description="mine"), revision="1")
    assert stale.status_code == 409
    assert "somebody has changed the schedule" in stale.text
    assert 'value="mine"' in stale.text
    assert browser.post(f"{path}/enabled", enabled="no").status_code == 303
    assert "paused" in browser.get(path).text
    assert "paused" in browser.get("/reliability/schedules?enabled=false").text


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("cron", "0 6 1 *", "cron has five fields"),
        ("cron", "0 6 30 2 *", "Bad day-of-month"),
        ("time_zone", "Berlin", "no time zone"),
        ("recipients", "ada@fab.example ada", "is no address of e-mail"),
        ("name", "", "is needed"),
        ("use_temperature_c", "warm", "is a number"),
        ("mission_h", "", "is a number"),
        ("confidences_percent", "60, 100", "between 0 and 100"),
        ("confidences_percent", "", "is needed"),
        ("target_fit", "-1", "greater than 0"),
        ("target_open_excursions", "1.5", "is a whole number"),
        ("rest", "{", "is no JSON"),
        ("rest", "[]", "is an object of JSON"),
        ("rest", '{"mission_h": 5}', "mission_h has a field of its own"),
        ("rest", '{"mechanism": []}', "mechanism: extra inputs are not permitted"),
        ("rest", '{"early_life": 5}', "early_life: should be a valid dictionary"),
    ],
)
def test_a_draft_says_what_is_wrong_with_each_field(field: str, text: str, said: str) -> None:
    draft = read_draft(fields(**{field: text}))
    assert set(draft.errors) == {field}
    assert said in draft.errors[field]
    assert draft.values[field] == text
    assert draft.request is None


def test_a_draft_that_is_wrong_is_shown_again_and_not_saved(fab: Fab) -> None:
    console, _, browser = fab
    answer = browser.post("/reliability/schedules", **fields(target_fit="-1", mission_h="long", description="kept"))
    check_html(answer.text)
    assert answer.status_code == 422
    for said in ("2 fields need another value", "should be greater than 0", 'value="kept"', 'value="long"'):
        assert said in html.unescape(answer.text), said
    assert not rows(console, report_schedule, name="Weekly")


def test_a_draft_is_checked_and_tried_out_without_being_sent_or_kept(fab: Fab, monkeypatch: pytest.MonkeyPatch) -> None:
    console, _, browser = fab
    monkeypatch.setattr(console.api.state.settings, "smtp_host", None)
    checked = browser.post("/reliability/schedules", **fields(do="check", cron="0 8 * * *"))
    assert checked.status_code == 200
    assert "At 08:00 every day" in checked.text
    recipients = browser.post("/reliability/schedules", **fields(do="check", recipients="ada@fab.example"))
    assert "no mail server is configured" in recipients.text
    tried = browser.post("/reliability/schedules", **fields(do="preview", recipients="ada@fab.example"))
    (row,) = rows(console, report, title="Weekly")
    assert tried.headers["location"] == f"/reliability/reports/{row.id}"
    assert (row.recipients, row.schedule_id, row.state) == ([], None, "due")
    assert row.freeze_at - row.period_from <= timedelta(days=32)
    assert "data-reload" in browser.get(tried.headers["location"]).text
    assert not rows(console, report_schedule, name="Weekly")


def test_a_confirmed_report_is_made_once_however_often_the_form_is_sent(fab: Fab) -> None:
    console, ids, browser = fab
    path = f"/reliability/schedules/{ids['schedule_id']}/send"
    page = browser.get(path)
    check_html(page.text)
    seen = re.search(r'name="seen" value="([^"]+)"', page.text)
    assert seen is not None
    sent = browser.post(path, seen=seen[1])
    assert re.fullmatch(r"/reliability/reports/[0-9a-f-]{36}", sent.headers["location"])
    again = browser.post(path, seen=seen[1])
    assert again.status_code == 409
    assert len(rows(console, report, schedule_id=uuid.UUID(ids["schedule_id"]), state="due")) == 1
    later = re.search(r'name="seen" value="([^"]+)"', browser.get(path).text)
    assert later is not None
    assert browser.post(path, seen=later[1]).status_code == 303
    for bad in ("", "yesterday", "2026-03-01T00:00:00"):
        assert browser.post(path, seen=bad).status_code == 422


def test_who_may_not_write_reports_is_neither_offered_nor_lets_it_happen(fab: Fab) -> None:
    console, ids, _ = fab
    schedule = f"/reliability/schedules/{ids['schedule_id']}"
    foreign = console.person("reliability", program=console.add_program("foreign"))
    for browser, status in ((console.person("engineer"), 403), (foreign, 404)):
        for path in (f"{schedule}/edit", f"{schedule}/send"):
            assert browser.get(path).status_code == status
        assert browser.post(schedule, **fields()).status_code == status
    engineer = console.person("engineer")
    assert engineer.get("/reliability/schedules/new").status_code == 403
    assert engineer.post("/reliability/schedules", **fields()).status_code == 403
    assert engineer.post(f"{schedule}/enabled", enabled="no").status_code == 404
    assert engineer.post(f"{schedule}/send", seen=datetime.now(UTC).isoformat()).status_code == 404
    for text in (engineer.get("/reliability/schedules").text, engineer.get(schedule).text):
        for offered in ("New schedule", "Send now", "Pause", "/edit"):
            assert offered not in text
    assert rows(console, report_schedule, id=uuid.UUID(ids["schedule_id"]))[0].enabled


def test_a_form_says_what_the_schedule_said() -> None:
    content = ReportContent.model_validate(
        {"confidences": [0.6, 0.925], "level": 0.999, "lots": ["A"], "targets": {"fit": 0.125}, "screen": None,
         "early_life": {"beta": 0.4}, "mechanisms": [{"name": "oxide", "modes": ["short"]}], "mission_h": 1e5}
    )  # fmt: skip
    stored = {"name": "n", "description": "d", "cron": "5 4 * * *", "time_zone": "UTC", "catch_up": "skip",
              "recipients": ["a@b.example", "c@d.example"], "content": content.model_dump(mode="json")}  # fmt: skip
    draft = read_draft({**fill_form(stored), "program": "alpha"})
    assert draft.errors == {}
    assert draft.request is not None
    assert draft.request.content == content
    assert draft.request.recipients == stored["recipients"]

"""What a day at the console turns on: open cases on the first page, jobs, operations, charts, the audit trail."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from db.identifiers import uuid7, uuid7_floor
from db.repositories import case_load
from db.repositories.workers import GraphicsCard, WorkerSign, keep_sign
from db.schema import cases, data, files, people, work, workers
from services.web.formatting import write_person, write_posterior, write_seconds
from services.web.pages.sessions import _worth_listing
from tests.api.population import add_row
from tests.web.conftest import Console, check_html
from tests.web.furnishing import add_chart

NOW = datetime.now(UTC)


def test_open_cases_on_the_first_page_are_ones_own_then_nobodys_then_others(console: Console) -> None:
    mine = console.person("engineer")
    with console.api.engine.connect() as connection:
        account = connection.execute(people.account.select().where(people.account.c.name.like("engineer-%"))).one()
    console.add_person("eve", "engineer")
    with console.api.engine.connect() as connection:
        other = connection.execute(people.account.select().where(people.account.c.name == "eve")).one()
    for title, assigned in (("of eve", other.id), ("of nobody", None), ("my own", account.id)):
        add_row(console.api.engine, cases.fa_case, program_id=console.program, title=title, assigned_to_id=assigned)
    text = mine.get("/").text
    check_html(text)
    assert re.findall(r'href="/cases/[^"]+">([^<]+)</a></td><td>(?:<[^>]+>)?([^<]+)', text) == [
        ("my own", "you"), ("of nobody", "nobody"), ("of eve", "eve"),
    ]  # fmt: skip
    assert "/api/v1/cases?state=open" in text
    assert "no step under way" in text


def test_a_job_says_how_long_it_took_and_that_its_file_is_in_quarantine(console: Console) -> None:
    ids = console.populate()
    with console.api.engine.begin() as connection:
        connection.execute(update(files.raw_file).values(state="quarantined", quarantine_reasons=[]))
    began = NOW - timedelta(minutes=5)
    add_row(
        console.api.engine, work.job, job_key=uuid.uuid4().hex, program_id=console.program, kind="ingest",
        queue="ingest", payload={"raw_file_id": str(ids["file_id"])}, requested_by="instrument:scope-1",
        state="succeeded", started_at=began, finished_at=began + timedelta(seconds=2.5),
    )  # fmt: skip
    text = console.person("viewer").get("/jobs?kind=ingest").text
    check_html(text)
    assert f'href="/files/{ids["file_id"]}">in quarantine</a>' in text
    assert "2.5\u00a0s" in text
    assert "instrument scope-1" in text


def test_operations_tell_workers_cards_and_a_queue_that_nobody_serves(console: Console) -> None:
    console.populate()
    cards = [GraphicsCard(0, "NVIDIA H200", 150 << 30, 3 << 30, 0.25), GraphicsCard(1, "A", 1 << 30, None, None)]
    with console.api.engine.begin() as connection:
        keep_sign(connection, WorkerSign("gpu@rack4:17", ("gpu",), cards, "1.2", NOW))
        keep_sign(connection, WorkerSign("old@rack1:2", ("cpu",), (), "1.1", NOW))
        long_ago = datetime.now(UTC) - timedelta(minutes=5)
        silent = update(workers.worker).where(workers.worker.c.name == "old@rack1:2")
        connection.execute(silent.values(seen_at=long_ago))
    text = console.person("viewer").get("/operations").text
    check_html(text)
    assert "0: NVIDIA H200, 3 GiB of 150 GiB, 25 % busy" in text
    assert "1: A, 1 GiB</div>" in text
    assert '<span class="state state-failed">silent</span>' in text
    assert "jobs wait until a worker with <code>--queue cpu</code> is started" in text
    assert "1 open case: 1 in intake" in text
    operator = console.person("operator").get("/operations").text
    assert "Work in progress" not in operator
    assert "gpu@rack4:17" in operator


@pytest.mark.parametrize(
    ("most", "sentence"),
    [
        (500, None),
        (2, "Read for this are the 2 signed off last, since "),
        (1, "Read for this are only the case that was signed off last, at "),
    ],
)
def test_operations_tell_how_many_cases_the_turnaround_is_of(
    console: Console, monkeypatch: pytest.MonkeyPatch, most: int, sentence: str | None
) -> None:
    for days in (1, 2, 3):
        add_row(
            console.api.engine, cases.fa_case, program_id=console.program, title=f"{days} days", state="closed",
            mechanism="short", root_cause="process", conclusion="bridge",
            created_at=datetime.now(UTC) - timedelta(days=9), closed_at=datetime.now(UTC) - timedelta(days=days),
        )  # fmt: skip
    monkeypatch.setattr(case_load, "MOST_CLOSED", most)
    text = console.person("viewer").get("/operations").text
    check_html(text)
    assert "3 cases" in text
    assert (sentence or "<dt>Worked</dt>") in text
    assert ("Read for this" in text) == (sentence is not None)


def test_next_probes_that_tell_next_to_nothing_are_left_out_but_for_the_best() -> None:
    told = [{"net": "a", "bits": 0.001}, {"net": "b", "bits": 0.2}, {"net": "c", "bits": 0.004}]
    assert [item["net"] for item in _worth_listing(told)] == ["a", "b"]
    assert _worth_listing([]) == []


def test_a_session_whose_probes_tell_next_to_nothing_has_a_page(console: Console) -> None:
    ids = console.populate()
    body = {
        "verdict": "ambiguous", "no_fault": 0.0, "unmodelled": 0.0, "candidates": [], "waveforms": [],
        "next_probes": [{"net": "G10", "bits": 0.0, "seconds": 4.0}, {"net": "G11", "bits": 0.001, "seconds": None}],
    }  # fmt: skip
    with console.api.engine.begin() as connection:
        connection.execute(update(work.result).where(work.result.c.kind == "localize").values(body=body))
    answer = console.person("viewer").get(f"/sessions/{ids['session_id']}")
    assert answer.status_code == 200
    check_html(answer.text)
    assert "G10" in answer.text
    assert ">0.067<" in answer.text


def test_the_list_of_waveforms_says_which_session_each_is_of(console: Console) -> None:
    console.populate()
    with console.api.engine.begin() as connection:
        session = connection.execute(select(data.probing_session.c.id)).scalar_one()
        connection.execute(update(data.waveform).values(probing_session_id=session))
    text = console.person("viewer").get("/waveforms").text
    check_html(text)
    assert f'<a href="/sessions/{session}">S-1</a>' in text


def test_readings_of_a_control_chart_have_their_error_bars(console: Console) -> None:
    ids = console.populate()
    chart = add_chart(console.api.engine, console.program, ids["instrument_id"])
    browser = console.person("viewer")
    text = browser.get(f"/charts/{chart}").text
    check_html(text)
    assert text.count('<path class="error"') == 60
    assert "\u00b1 0.004 V" in text
    assert "Nelson 1" in text
    assert "beyond 3 sigma" in browser.get("/").text or "too large" in browser.get("/").text


def test_the_audit_trail_is_searched_by_time_and_leads_to_its_subjects(console: Console) -> None:
    browser = console.person("admin")
    made = browser.post("/cases", program=str(console.program), title="Found by its time")
    case = made.headers["location"].rsplit("/", 1)[1]
    text = browser.get(f"/admin/audit?subject={case}").text
    check_html(text)
    assert f'href="/cases/{case}"' in text
    assert "1 field</summary>" in text
    soon = f"{NOW + timedelta(days=1):%Y-%m-%dT%H:%M}"
    assert "case.opened" in browser.get(f"/admin/audit?until={soon}").text
    assert "case.opened" not in browser.get(f"/admin/audit?since={soon}").text
    exported = browser.get(f"/admin/audit?since={soon}&export=csv").text
    assert exported.count("\n") == 1
    assert browser.get("/admin/audit?since=yesterday").status_code == 422


def test_numbers_say_no_more_than_they_know() -> None:
    assert [write_posterior(each) for each in (1.0, 0.0, 0.5, None)] == ["> 0.999", "< 0.001", "0.500", "\u2013"]
    assert [write_seconds(each) for each in (0.0123, 3.44, 59.4, 61.0, None)] == [
        "12 ms", "3.4 s", "59 s", "1 min 1 s", "\u2013",
    ]  # fmt: skip
    assert write_person("service:scheduler") == "service scheduler"
    assert write_person("account:service:odd") == "service:odd"


def test_an_identifier_made_since_a_moment_is_no_smaller_than_that_moments() -> None:
    before = datetime.now(UTC)
    assert uuid7_floor(before) <= uuid7() < uuid7_floor(before + timedelta(minutes=1))

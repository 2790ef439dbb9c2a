"""Every page for every role: well-formed, without foreign scripts, with rows of the viewer's programs only."""

import csv
import html
import io
import math
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pyarrow import parquet
from sqlalchemy import Column, Double, Text, insert, select, update

from db.identifiers import uuid7
from db.repositories.access import ROLE_ACTIONS, Action
from db.schema import cases, data, files, people, work
from services.web import console as console_module
from services.web.assets import FOLDER, asset_path
from services.web.exports import csv_pieces, parquet_pieces
from services.web.identity_provider import CALLBACK
from services.web.page import PageRoute
from tests.api.population import add_file, add_row
from tests.api.test_access_matrix import PRINTABILITY
from tests.web.conftest import Browser, Console, check_html
from tests.web.furnishing import add_chart, add_dead_job

OPERATIONS, RECORDS = Action.READ_OPERATIONS, Action.READ_RECORDS
PAGES = {
    "/": None,
    "/account": None,
    "/files": OPERATIONS,
    "/files/{file_id}": OPERATIONS,
    "/bundles": OPERATIONS,
    "/bundles/{bundle_id}": OPERATIONS,
    "/upload": Action.UPLOAD,
    "/operations": OPERATIONS,
    "/jobs": OPERATIONS,
    "/jobs/{job_id}": OPERATIONS,
    "/instruments": OPERATIONS,
    "/instruments/{instrument_id}": OPERATIONS,
    "/charts": OPERATIONS,
    "/charts/{chart_id}": OPERATIONS,
    "/layouts": OPERATIONS,
    "/layouts/{file_id}": OPERATIONS,
    "/layouts/{file_id}/printing": OPERATIONS,
    "/findings": RECORDS,
    "/sessions/{session_id}/maps": RECORDS,
    "/sessions": RECORDS,
    "/sessions/{session_id}": RECORDS,
    "/waveforms": RECORDS,
    "/maps": RECORDS,
    "/maps/{map_file_id}": RECORDS,
    "/reliability": RECORDS,
    "/reliability/life/{life_result_id}": RECORDS,
    "/reliability/screenings/{screening_result_id}": RECORDS,
    "/reliability/degradations/{degradation_result_id}": RECORDS,
    "/reliability/risks/{risk_result_id}": RECORDS,
    "/reliability/evidence": RECORDS,
    "/reliability/evidence/new": Action.ANALYSE,
    "/reliability/evidence/{evidence_result_id}": RECORDS,
    "/results/{result_id}": RECORDS,
    "/reliability/reports": RECORDS,
    "/reliability/reports/{report_id}": RECORDS,
    "/reliability/deliveries": RECORDS,
    "/reliability/schedules": RECORDS,
    "/reliability/schedules/new": Action.WRITE_REPORTS,
    "/reliability/schedules/{schedule_id}": RECORDS,
    "/reliability/schedules/{schedule_id}/edit": Action.WRITE_REPORTS,
    "/reliability/schedules/{schedule_id}/send": Action.WRITE_REPORTS,
    "/reliability/models": RECORDS,
    "/reliability/models/{version_id}": RECORDS,
    "/cases": RECORDS,
    "/cases/{case_id}": RECORDS,
    "/admin": Action.READ_ADMINISTRATION,
    "/admin/audit": Action.READ_ADMINISTRATION,
}
FOR_SOME = (
    "/upload",
    "/operations",
    "/admin",
    "/admin/audit",
    "/reliability/schedules/new",
    "/reliability/evidence/new",
)
"""Pages that whoever may not see them is told of."""
SLOW_PATH = "PATH:" + " > ".join(f"G{gate}" for gate in range(20, 29))
LOCALIZATION = {
    "verdict": "ambiguous", "no_fault": 0.0002, "unmodelled": 0.03, "missing_bits": 1.5, "expected_probes": 2.0,
    "decided": False, "simulated": True, "heat_map": None,
    "time_offset": {"cycles": -2, "probability": 0.97, "stated": 0.01},
    "candidates": [
        {"net": "<G16>", "fault": "SA1", "posterior": 0.7, "equivalent": ["G17"], "x_um": 1.0, "y_um": 2.0},
        {"net": "G22", "fault": SLOW_PATH, "posterior": 0.2698, "equivalent": [], "x_um": None, "y_um": None},
    ],
    "waveforms": [
        {"net": "G16", "p_faulty": 0.98, "snr": 3.1, "skew_ps": 120.0, "skew_sigma_ps": 30.0, "mixture": [],
         "spot": None, "doubts": [], "skew_refused": None},
    ],
    "next_probes": [{"net": "G10", "x_um": 3.0, "y_um": 1.0, "bits": 0.8, "seconds": 95.0, "averages": 200000}],
    "history": [
        {"waveforms": 0, "net": None, "sites": [{"net": "<G16>", "posterior": 0.5}, {"net": "G22", "posterior": 0.4}],
         "no_fault": 0.02, "unmodelled": 0.08, "bits": 1.53},
        {"waveforms": 1, "net": "G16", "sites": [{"net": "<G16>", "posterior": 0.7}, {"net": "G22", "posterior": 0.27}],
         "no_fault": 0.0002, "unmodelled": 0.0298, "bits": 1.02},
    ],
}  # fmt: skip


OVERLAID = {
    "sample": "W1", "defect_id": 7, "class": "pin hole", "x_um": 1.0, "y_um": 2.0, "sigma_nm": [50.0, 60.0],
    "correlation": 0.0, "inside": True, "size_um": 0.4, "tone": "extra", "criticality": 0.912,
    "criticality_sigma": 0.01, "mode": "bridge", "layer": "met1", "nuisance": False, "cells": [],
    "layers": [{"layer": "met1", "nets": [{"name": "<A>"}, {"name": "B"}]}, {"layer": "met2", "nets": [{"name": "B"}]}],
}  # fmt: skip
JUDGED = {
    "name": "D1", "kind": "opaque", "verdict": "prints", "reason": "wide", "fraction": 0.12, "sigma": 0.01,
    "severity": 3.0, "at_least": False,
}  # fmt: skip
DRAWN = {
    "defect": "D1", "dose": 1.0, "defocus_nm": 0.0, "threshold": 0.3, "window_nm": [0, 0, 500, 500], "changes": {},
    "pictures": {name: {"black": 0.0, "white": 1.0, "quantity": "intensity"} for name in ("reference", "difference")},
}  # fmt: skip


class World:
    """A console with one of everything in ``alpha``, and a foreign program with as much."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.ids = console.populate()
        engine = console.api.engine
        with engine.begin() as connection:
            reasons = [{"adapter": "stdf", "version": "2", "verdict": "refused", "reason": "cut off at byte 7"}]
            connection.execute(
                update(files.raw_file).values(state="quarantined", quarantine_reasons=reasons, format="gdsii")
            )
            localized = update(work.result).where(work.result.c.kind == "localize")
            connection.execute(localized.values(body=LOCALIZATION, verdict="ambiguous"))
            connection.execute(update(data.probing_session).values(simulated=True))
        self.ids["chart_id"] = add_chart(engine, console.program, self.ids["instrument_id"])
        add_dead_job(engine, console.program)
        self.foreign = console.add_program("foreign")
        self.foreign_ids = console.populate(self.foreign)

    def answer(self, kind: str, body: dict[str, object]) -> uuid.UUID:
        """Add an answer about the file, with its job."""
        engine, program = self.console.api.engine, self.console.program
        payload = {"raw_file_id": str(self.ids["file_id"]), "question": PRINTABILITY}
        job = add_row(
            engine, work.job, job_key=uuid.uuid4().hex, program_id=program, kind=kind, queue="cpu", payload=payload,
            requested_by="test", state="succeeded",
        )  # fmt: skip
        return add_row(
            engine, work.result, job_key=uuid.uuid4().hex, job_id=job, program_id=program, kind=kind, verdict="drawn",
            body=body, provenance={},
        )  # fmt: skip


@pytest.fixture
def world(console: Console) -> World:
    return World(console)


def paths(ids: dict[str, uuid.UUID]) -> Iterator[tuple[str, str, Action | None]]:
    for path, action in PAGES.items():
        yield path, path.format(**ids), action


def test_every_page_for_every_role(world: World) -> None:
    wrong = []
    for role, actions in ROLE_ACTIONS.items():
        browser = world.console.person(role)
        for path, target, action in paths(world.ids):
            answer = browser.get(target)
            lists = "{" not in path and path not in FOR_SOME
            allowed = action is None or action in actions
            told = path in FOR_SOME or (action is Action.WRITE_REPORTS and RECORDS in actions)
            right = 200 if allowed or lists else 403 if told else 404
            if answer.status_code != right:
                wrong.append(f"{role} {path}: {answer.status_code}, not {right}")
                continue
            check_html(answer.text)
            policy = answer.headers["Content-Security-Policy"]
            assert "script-src 'self';" in policy
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-store"
            assert str(world.foreign) not in answer.text
            leaked = [name for name, identity in world.foreign_ids.items() if str(identity) in answer.text]
            assert not leaked, (role, path, leaked)
    assert not wrong, "\n".join(wrong)


def test_rows_of_a_foreign_program_are_as_unknown_as_any(world: World) -> None:
    browser = world.console.person("admin", program=world.foreign)
    nothing = dict.fromkeys(world.ids, uuid.uuid4())
    for path, target, _ in paths(world.ids):
        if "{" not in path:
            assert str(world.console.program) not in browser.get(target).text
            continue
        unknown = browser.get(path.format(**nothing))
        assert browser.get(target).status_code == unknown.status_code == 404, path


def test_every_page_of_the_console_is_tried_here_or_is_known_not_to_be() -> None:
    pages = {
        route.path
        for router in console_module.ROUTERS
        for route in router.routes
        if isinstance(route, PageRoute) and "GET" in (route.methods or ())
    }
    assert pages == set(PAGES) | {"/sign-in", "/sign-in/once/{token}", "/sign-in/oidc", CALLBACK}


def test_what_needs_somebody_is_on_the_first_page(world: World) -> None:
    text = world.console.person("engineer").get("/").text
    for said in ("a.csv", "cut off at byte 7", "the worker died three times", "REF_CLK, amplitude in V"):
        assert said in text
    assert "Nothing waits" in world.console.person("viewer", program=world.console.add_program("empty")).get("/").text


def test_a_session_says_its_verdict_in_words_and_escapes_names(world: World) -> None:
    text = world.console.person("engineer").get(f"/sessions/{world.ids['session_id']}").text
    for said in ("Several sites remain", "&lt;G16&gt;", "0.700", "&lt; 0.001", "1.6", "simulated", "1.5 bits"):
        assert said in text, said
    assert "<G16>" not in text
    assert "The waveforms seem to come 2 cycles earlier than their times say (probability 0.97)" in text
    short = "G20 &gt; G21 &gt; G22 &gt; … &gt; G27 &gt; G28"
    assert f'title="{SLOW_PATH.replace(">", "&gt;")}">PATH:{short} (9 gates) <span class="faint">' in text
    assert f"slow along the path {short} (9 gates), all of which are late together" in text


def test_the_next_best_probe_is_planned_from_the_session_and_what_each_probe_changed_is_told(world: World) -> None:
    browser = world.console.person("engineer")
    session = f"/sessions/{world.ids['session_id']}"
    text = browser.get(session).text
    check_html(text)
    for said in ("What each probe changed", "fail log alone", "0.51", "Plan a probe of G10", "Planned probes", "G11"):
        assert said in text, said
    fields = {"result": str(world.ids["result_id"]), "net": "G10"}
    assert browser.post(f"{session}/planned-probes", **fields).status_code == 303
    text = browser.get(session).text
    assert "Withdraw the probe of G10" in text
    assert "Plan a probe of G10" not in text
    assert browser.post(f"{session}/planned-probes", **fields).status_code == 409
    withdraw = f"{session}/planned-probes/{world.ids['probe_id']}/withdraw"
    assert browser.post(withdraw).status_code == 303
    assert "Withdraw the probe of G11" not in browser.get(session).text
    assert world.console.person("viewer").post(f"{session}/planned-probes", **fields).status_code == 403


def test_what_was_simulated_stands_beside_the_waveforms_of_a_session(world: World) -> None:
    browser = world.console.person("engineer")
    page = browser.get(f"/waveforms?id={world.ids['probed_id']}")
    check_html(page.text)
    assert f'data-simulation="{world.ids["simulation_id"]}"' in page.text
    assert "measured over simulated" in page.text
    again = browser.post("/waveforms/simulations", session=str(world.ids["session_id"]), net="G22", here="id=1&sim=2")
    assert (again.status_code, again.headers["location"]) == (303, "/waveforms?id=1")
    assert "data-reload" in browser.get(f"/waveforms?id={world.ids['probed_id']}").text


def test_waveforms_together_and_too_many(world: World) -> None:
    browser = world.console.person("viewer")
    page = browser.get(f"/waveforms?id={world.ids['waveform_id']}")
    check_html(page.text)
    assert 'data-axis="time"' in page.text
    for query, status in (("id=nonsense", 422), (f"id={uuid.uuid4()}", 404), ("id=x&" * 51, 422)):
        assert browser.get(f"/waveforms?{query}").status_code == status


def test_lists_export_every_row_as_csv_and_parquet(world: World) -> None:
    browser = world.console.person("engineer")
    for path in ("/files", "/jobs", "/sessions", "/waveforms", "/cases", "/charts", "/instruments", "/findings"):
        answer = browser.get(f"{path}?export=csv&order=oldest")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert rows
        assert {row["program_id"] for row in rows} == {str(world.console.program)}
        table = parquet.read_table(io.BytesIO(browser.get(f"{path}?export=parquet&order=oldest").content))
        assert table.column_names == list(rows[0])
        assert table["id"].to_pylist() == [row["id"] for row in rows]
    files = parquet.read_table(io.BytesIO(browser.get("/files?export=parquet").content))
    assert str(files.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    sizes = [int(row["size_bytes"]) for row in csv.DictReader(io.StringIO(browser.get("/files?export=csv").text))]
    assert files["size_bytes"].to_pylist() == sizes


def test_a_layout_shows_its_tiles_its_defects_and_what_prints(world: World) -> None:
    browser, ids = world.console.person("engineer"), world.ids
    layout = f"/layouts/{ids['file_id']}"
    assert "The layers have not been drawn yet" in browser.get(layout).text
    assert browser.post(f"{layout}/tiles", levels="4").status_code == 303
    for bad in ("", "x", "9"):
        assert browser.post(f"{layout}/tiles", levels=bad).status_code == 422
    world.answer("tiles", {"layers": [{"layer": 68, "datatype": 20, "tiles": 1}]})
    world.answer("overlay", {"defects": [OVERLAID], "warnings": []})
    text = browser.get(layout).text
    check_html(text)
    for said in ("68/20", "0.912", "bridge", "&lt;A&gt;, B", "data-reload"):
        assert said in text, said
    judged = world.answer("printability", {"verdict": "prints", "defects": [JUDGED], "warnings": []})
    world.answer("printing-pictures", DRAWN | {"result_id": str(judged)})
    text = browser.get(f"{layout}/printing").text
    check_html(text)
    for said in ("Without the defect", "12.0 %", "3.00", "prints", "pictures/difference"):
        assert said in text, said
    fields = {"defect": "D1", "dose": "1", "defocus_nm": "0"}
    assert browser.post(f"{layout}/printing/{judged}/pictures", **fields).status_code == 303
    assert browser.post(f"{layout}/printing", question="{}").status_code == 422
    assert browser.get(f"/layouts/{uuid.uuid4()}").status_code == 404


def test_what_a_browser_keeps_is_of_one_session(world: World) -> None:
    client = world.console.person("engineer").client
    file, waveform = world.ids["file_id"], world.ids["waveform_id"]
    for path in (f"files/{file}", f"files/{file}/content", f"waveform-views?waveform={waveform}"):
        answer = client.get(f"/api/v1/{path}")
        assert answer.status_code == 200
        assert "Cookie" in answer.headers["vary"]


def test_files_are_filtered_by_format(world: World) -> None:
    browser = world.console.person("engineer")
    assert f"/files/{world.ids['file_id']}" in browser.get("/files").text
    for query in ("format=no-such-format", "format=csv"):
        answer = browser.get(f"/files?{query}")
        assert answer.headers["content-type"].startswith("text/html")
        assert "No file passes this filter" in answer.text
        assert len(browser.get(f"/files?{query}&export=csv").text.splitlines()) == 1


def test_the_api_call_of_a_list_gives_the_rows_of_its_page(world: World) -> None:
    browser = world.console.person("engineer")
    rows = {str(world.ids["file_id"])}
    with world.console.api.engine.begin() as connection:
        others = connection.execute(select(files.raw_file.c.id).where(files.raw_file.c.id != world.ids["file_id"]))
        connection.execute(
            update(files.raw_file).where(files.raw_file.c.id.in_(list(others.scalars()))).values(format="oasis")
        )
    add_file(world.console.api.engine, world.console.api.state.blobs, world.console.program, b"no layout")
    for path in ("/layouts", "/layouts?order=oldest", "/layouts?filename=no-such-file"):
        page = browser.get(path).text
        call = html.unescape(re.findall(r'href="(/api/v1/files[^"]*)"', page)[-1])
        told = [each["id"] for each in browser.get(call).json()["items"]]
        assert told == re.findall(r'href="/layouts/([0-9a-f-]{36})"', page), path
    assert rows <= {each["id"] for each in browser.get("/api/v1/files?format=gdsii&format=oasis").json()["items"]}


def test_numbers_that_json_writes_as_text_are_numbers_in_files() -> None:
    columns: list[Column[Any]] = [Column("score", Double()), Column("subject", Text())]
    rows = [[{"score": each, "subject": "-Infinity"} for each in ("NaN", "-Infinity", 0.5, None)]]
    found = parquet.read_table(io.BytesIO(b"".join(parquet_pieces(columns, rows))))["score"].to_pylist()
    assert math.isnan(found[0])
    assert found[1:] == [-math.inf, 0.5, None]
    assert "".join(csv_pieces(columns, rows)).splitlines()[2] == "-inf,'-Infinity"
    sheet = [[{"score": 0.0, "subject": text} for text in ("\n=1", "\uff1d1", "+1", "1")]]
    told = list(csv.DictReader(io.StringIO("".join(csv_pieces(columns, sheet)), newline="")))
    assert [each["subject"] for each in told] == ["'\n=1", "'\uff1d1", "'+1", "1"]


def test_csv_runs_no_formula(console: Console) -> None:
    add_row(console.api.engine, cases.fa_case, program_id=console.program, title='=HYPERLINK("http://x")')
    rows = list(csv.DictReader(io.StringIO(console.person("viewer").get("/cases?export=csv").text)))
    assert rows[0]["title"] == '\'=HYPERLINK("http://x")'


def test_lists_page_by_cursor_and_refuse_what_they_do_not_know(console: Console) -> None:
    with console.api.engine.begin() as connection:
        rows = [
            {"id": uuid7(), "job_key": uuid.uuid4().hex, "program_id": console.program, "kind": f"k{at}",
             "queue": "cpu", "payload": {}, "requested_by": "test"}
            for at in range(60)
        ]  # fmt: skip
        connection.execute(insert(work.job), rows)
    browser = console.person("viewer")
    first = browser.get("/jobs?order=oldest&state=")
    assert "k49<" in first.text
    assert "k50<" not in first.text
    following = first.text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = browser.get(following)
    assert "k50<" in second.text
    assert "k49<" not in second.text
    for bad in ("state=odd", "unknown=1", "cursor=forged"):
        answer = browser.get(f"/jobs?{bad}")
        assert answer.status_code == 422
        check_html(answer.text)


def test_what_a_role_may_not_do_is_neither_offered_nor_done(world: World) -> None:
    viewer = world.console.person("viewer")
    session = f"/sessions/{world.ids['session_id']}"
    assert "Ask for a localization" not in viewer.get(session).text
    assert viewer.post(f"{session}/localizations").status_code == 403
    assert viewer.post(f"/jobs/{world.ids['job_id']}/cancel").status_code == 403
    assert viewer.post("/cases", program=str(world.console.program), title="x").status_code == 403
    assert viewer.post("/admin/programs", name="beta").status_code == 403
    assert viewer.post("/account/keys", label="k", scope_read="on", days="30").status_code == 200


def test_an_engineer_asks_for_a_localization_and_cancels_it(world: World) -> None:
    browser = world.console.person("engineer")
    session = f"/sessions/{world.ids['session_id']}"
    assert browser.post(f"{session}/localizations").headers["location"] == f"{session}?asked=1"
    job = str(world.console.api.doorbell.rung[-1])
    assert job in browser.get(session).text
    assert browser.post(f"/jobs/{job}/cancel").status_code == 303
    assert "cancelled" in browser.get(f"/jobs/{job}").text


def test_a_case_by_its_forms(world: World) -> None:
    browser = world.console.person("engineer")
    made = browser.post("/cases", session=str(world.ids["session_id"]), title="S-1")
    case = made.headers["location"]
    page = browser.get(case)
    check_html(page.text)
    assert "S-1" in page.text
    assert browser.post(f"{case}/steps", kind="intake", began_at="2026-03-01T08:00", tool="bench").status_code == 303
    with world.console.api.engine.connect() as connection:
        steps = select(cases.case_step.c.id).where(
            cases.case_step.c.ended_at.is_(None), cases.case_step.c.tool == "bench"
        )
        step = connection.execute(steps).scalar_one()
    assert "has not ended" in _concluded(browser, case).text
    assert browser.post(f"{case}/steps/{step}/end").status_code == 303
    assert browser.post(f"{case}/samples", name="lamella").status_code == 303
    attached = browser.post(f"{case}/evidence", raw_file_id=str(world.ids["file_id"]))
    assert attached.status_code == 303
    assert browser.post(f"{case}/sign-off", note="agreed").status_code == 303
    closed = browser.get(case).text
    assert "signed off" in closed
    assert "Record a step" not in closed
    assert browser.post(f"{case}/samples", name="late").status_code == 409
    assert browser.post(f"{case}/reopen", note="new readings").status_code == 303
    for path, fields in (
        ("steps", {"kind": "intake", "began_at": "yesterday"}),
        ("steps", {"kind": "gossip", "began_at": "2026-03-01T08:00"}),
        ("evidence", {"raw_file_id": "x"}),
    ):
        assert browser.post(f"{case}/{path}", **fields).status_code == 422


def _concluded(browser: Browser, case: str) -> object:
    fields = {"mechanism": "short", "root_cause": "process", "conclusion": "a bridge"}
    assert browser.post(f"{case}/conclusion", **fields).status_code == 303
    return browser.post(f"{case}/sign-off")


def test_administration_by_its_forms(console: Console) -> None:
    browser = console.person("admin", admin=True)
    assert browser.post("/admin/programs", name="beta").status_code == 303
    made = browser.post("/admin/accounts", name="ada", email="")
    assert "/sign-in/once/" in made.text
    check_html(made.text)
    assert browser.post("/admin/memberships", program="beta", account="ada", role="engineer").status_code == 303
    tool = browser.post("/admin/instruments", program="beta", name="scope", kind="oscilloscope").text
    assert "fl_" in tool
    key = browser.post("/account/keys", label="mine", scope_read="on", days="30").text
    secret = key.split("<code>fl_")[1].split("<")[0]
    headers = {"Authorization": f"Bearer fl_{secret}"}
    assert console.api.client.get("/api/v1/programs", headers=headers).status_code == 200
    assert "fl_" + secret not in browser.get("/admin").text
    with console.api.engine.connect() as connection:
        mine = connection.execute(select(people.api_key.c.id).where(people.api_key.c.label == "mine")).scalar_one()
        ada = connection.execute(select(people.account.c.id).where(people.account.c.name == "ada")).scalar_one()
        member = connection.execute(
            select(people.membership.c.id).where(people.membership.c.account_id == ada)
        ).scalar()
    assert browser.post(f"/admin/keys/{mine}/revoke").status_code == 303
    assert console.api.client.get("/api/v1/programs", headers=headers).status_code == 401
    assert browser.post(f"/admin/accounts/{ada}/link").status_code == 200
    assert browser.post(f"/admin/memberships/{member}/remove").status_code == 303
    assert browser.post(f"/admin/accounts/{ada}/disabled", disabled="yes").status_code == 303
    assert "case.opened" not in browser.get("/admin/audit?action=program.created").text
    assert "program.created" in browser.get("/admin/audit?action=program.created").text
    for bad in ({"label": "k", "days": "30"}, {"label": "k", "scope_read": "on", "days": "9999"}):
        assert browser.post("/account/keys", **bad).status_code == 422


def test_assets_are_our_own_and_cached_by_content(console: Console) -> None:
    client = console.api.client
    answer = client.get("/console/console.mjs")
    assert answer.headers["content-type"].startswith("text/javascript")
    again = client.get("/console/console.mjs", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    for name in ("..%2Fconsole.py", "nothing.css", ".mjs"):
        assert client.get(f"/console/{name}").status_code == 404
    with pytest.raises(KeyError):
        asset_path("nothing.css")


def test_a_page_names_assets_that_never_change(console: Console) -> None:
    client = console.api.client
    linked = set(re.findall(r'"(/console/[^"]+)"', client.get("/sign-in").text))
    assert {path.rsplit("/", 1)[1] for path in linked} == {"console.css", "console.mjs", "mark.svg"}
    for path in linked:
        answer = client.get(path)
        assert "immutable" in answer.headers["cache-control"]
        version, name = path.removeprefix("/console/").split("/")
        older = client.get(f"/console/{version[::-1]}/{name}")
        assert older.content == answer.content
        assert "immutable" not in older.headers["cache-control"]
    for module in FOLDER.glob("*.mjs"):
        for imported in re.findall(r'from "([^"]+)"', module.read_text()):
            assert (FOLDER / imported).is_file(), f"{module.name} imports {imported} from outside of its version"

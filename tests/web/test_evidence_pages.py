"""The pages of assembled evidence and of any result: where each value comes from, asking for it, scoring it."""

import csv
import html
import io
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from db.schema import work
from services.pipelines.latent_risk.evidence_requests import AssemblyRequest
from services.web.evidence_form import fill_assembly, read_assembly
from services.web.result_places import own_page
from tests.web.conftest import Browser, Console, check_html

Fab = tuple[Console, dict[str, str], Browser]
FORM = {
    "program": "alpha", "lots": "L1\r\nL2", "freeze_at": "2024-07-01T00:00", "modality-electrical": "on",
    "survived_until": "2024-06-01T00:00", "name": "june", "wafer_map-given": "on", "wafer_map-y_sign": "-1",
    "wafer_map-y_offset": "20",
}  # fmt: skip


@pytest.fixture
def fab(console: Console) -> Fab:
    ids = {name: str(identity) for name, identity in console.populate().items()}
    return console, ids, console.person("engineer")


def test_every_modality_and_every_unit_names_its_results(fab: Fab) -> None:
    _, ids, browser = fab
    listed = browser.get("/reliability/evidence").text
    check_html(listed)
    assert "electrical 96.7 %" in listed
    path = f"/reliability/evidence/{ids['evidence_result_id']}"
    page = browser.get(path)
    check_html(page.text)
    text = html.unescape(page.text)
    for said in ("60 units, as of", "as a person states", "no screening <has> it", "<S1> is in L1 and L2",
                 f'href="/results/{ids["screening_result_id"]}"', f'href="/results/{uuid.UUID(int=3)}"'):  # fmt: skip
        assert said in text.replace("<b>", "").replace("</b>", ""), said
    assert "<U3>" not in page.text
    rows = list(csv.DictReader(io.StringIO(browser.get(f"{path}?export=csv&q=no+screening").text)))
    assert [row["unit"] for row in rows] == ["<U58>", "<U59>"]
    assert rows[0]["electrical"] == "none: no screening <has> it"
    assert "51 to 60 of 60" in browser.get(f"{path}?at=50").text
    assert browser.get(f"/reliability/evidence/{ids['screening_result_id']}").status_code == 404


def test_units_at_risk_name_where_each_value_comes_from(fab: Fab) -> None:
    _, ids, browser = fab
    page = browser.get(f"/reliability/risks/{ids['risk_result_id']}")
    check_html(page.text)
    assert f'href="/results/{uuid.UUID(int=2)}"' in page.text
    assert page.text.count("&lt;none&gt;") == 1  # one reason, told once
    (row, *_) = csv.DictReader(
        io.StringIO(browser.get(f"/reliability/risks/{ids['risk_result_id']}?export=csv&sort=-probability").text)
    )
    assert row["sources"] == (
        f"electrical: screening {uuid.UUID(int=0)}, screening/1, known 2024-01-05T00:00; probing: none: <none>"
    )


def test_an_answer_without_sources_says_so(fab: Fab) -> None:
    console, ids, browser = fab
    risk = uuid.UUID(ids["risk_result_id"])
    with console.api.engine.begin() as connection:
        body = connection.execute(select(work.result.c.body).where(work.result.c.id == risk)).scalar_one()
        for each in body["units"]:
            each["sources"] = {}
        connection.execute(update(work.result).where(work.result.c.id == risk).values(body=body))
    assert "it was uploaded, not assembled" in browser.get(f"/reliability/risks/{risk}").text


def test_any_result_tells_what_it_rests_on(fab: Fab) -> None:
    _, ids, browser = fab
    page = browser.get(f"/results/{ids['evidence_result_id']}")
    check_html(page.text)
    for said in (f"/reliability/evidence/{ids['evidence_result_id']}", f"/results/{ids['screening_result_id']}"):
        assert said in page.text, said
    screened = browser.get(f"/results/{ids['screening_result_id']}")
    check_html(screened.text)
    assert "Where it is shown" in screened.text
    assert "part-average" in screened.text
    assert "/scores" not in screened.text  # none are kept beside this one
    assert browser.get(f"/results/{uuid.uuid4()}").status_code == 404


@pytest.mark.parametrize(
    ("kind", "session", "payload", "path"),
    [
        ("localize", "S", {}, "/sessions/S?result=R"),
        ("simulation", "S", {}, "/sessions/S"),
        ("anomaly", "S", {}, "/sessions/S/maps?result=R"),
        ("localize", None, {}, None),
        ("overlay", None, {"raw_file_id": "F"}, "/layouts/F?overlay=R"),
        ("printability", None, {"raw_file_id": "F"}, "/layouts/F/printing?result=R"),
        ("overlay", None, {}, None),
        ("latent-risk-training", None, {}, "/reliability/models/V"),
        ("screening", None, {}, "/reliability/screenings/R"),
        ("nets", None, {"raw_file_id": "F"}, None),
    ],
)
def test_a_result_is_shown_where_its_kind_is(
    kind: str, session: str | None, payload: dict[str, Any], path: str | None
) -> None:
    row = {"id": "R", "kind": kind, "probing_session_id": session, "body": {"model": {"version_id": "V"}}}
    assert own_page(row, payload) == path


def test_an_assembly_is_asked_for_by_its_form(fab: Fab) -> None:
    console, _, browser = fab
    check_html(browser.get("/reliability/evidence/new").text)
    filled = browser.get("/reliability/evidence/new?lots=L9&modality-lvp=on&freeze_at=2024-01-01T00:00").text
    for said in (">L9</textarea>", 'name="modality-lvp" checked', 'value="2024-01-01T00:00"'):
        assert said in filled, said
    asked = browser.post("/reliability/evidence", **FORM)
    assert asked.headers["location"] == f"/jobs/{console.api.doorbell.rung[-1]}"
    with console.api.engine.connect() as connection:
        query = select(work.job.c.payload).where(work.job.c.id == console.api.doorbell.rung[-1])
        question = connection.execute(query).scalar_one()["question"]
    assert (question["lots"], question["modalities"], question["name"]) == (["L1", "L2"], ["electrical"], "june")
    assert (question["frames"]["wafer_map"]["y_sign"], question["frames"]["wafer_map"]["y_offset"]) == (-1, 20)
    later = browser.post("/reliability/evidence", **FORM | {"freeze_at": "2999-01-01T00:00"})
    assert later.status_code == 422
    assert "The freeze lies in the future" in html.unescape(later.text) or "the freeze lies in the future" in later.text
    wrong = browser.post("/reliability/evidence", **FORM | {"freeze_at": "soon", "results": "x"})
    check_html(wrong.text)
    assert "2 fields need another value" in wrong.text
    viewer = console.person("viewer")
    assert "Assemble evidence" not in viewer.get("/reliability/evidence").text
    assert viewer.post("/reliability/evidence", **FORM).status_code == 403


def test_a_question_and_its_fields_say_the_same() -> None:
    file_id = uuid.uuid4()
    asked = AssemblyRequest.model_validate(
        {
            "program": "alpha", "lots": ["L1"], "freeze_at": datetime(2024, 7, 1, tzinfo=UTC), "modalities": ["mask"],
            "result_ids": [uuid.uuid4()], "outcome_table_ids": [uuid.uuid4()],
            "frames": {"inspection": {"swap": True, "x_sign": -1, "x_offset": 3}},
            "masks": [{"inspection_file_id": file_id, "lots": ["L1", "L2"], "columns": 2, "y_first": -1}],
            "stated_times": [{"file_id": file_id, "known_at": datetime(2024, 1, 1, tzinfo=UTC)}],
        }
    )  # fmt: skip
    draft = read_assembly(fill_assembly(asked.model_dump(mode="json")))
    assert draft.errors == {}
    assert draft.request == asked


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("freeze_at", "soon", "The freeze is a date and a time such as 2026-03-01T06:00, in UTC."),
        ("results", "abc", "Ids of results are needed, one a line, as their pages show them."),
        ("name", "-", "The name begins with a letter or digit; after it blanks, dots and dashes too."),
        ("program", "", "Choose a program."),
        ("wafer_map-y_offset", "far", "A whole number is needed, not 'far'."),
        ("stated-0-known_at", "", "Since when was this file known?"),
        ("mask-0-lots", "", "Which lots has this mask printed?"),
        ("lots", "", "Name the lots whose units had survived."),
    ],
)
def test_each_wrong_field_of_an_assembly_has_its_sentence(field: str, text: str, said: str) -> None:
    file_id = str(uuid.uuid4())
    rows = {"stated-0-file": file_id, "stated-0-known_at": "2024-01-01", "mask-0-inspection": file_id,
            "mask-0-lots": "L1"}  # fmt: skip
    assert read_assembly(FORM | rows).errors == {}
    draft = read_assembly(FORM | rows | {field: text})
    assert draft.request is None
    assert draft.errors == {"" if field == "lots" else field: said}


def test_assembled_units_are_scored_and_learned_from(fab: Fab) -> None:
    console, ids, browser = fab
    page = browser.get(f"/reliability/evidence/{ids['evidence_result_id']}").text
    table = page.partition("/reliability/evidence/tables/")[2][:36]
    learned = browser.post(f"/reliability/evidence/tables/{table}/trainings", model="latent risk")
    assert learned.headers["location"] == f"/jobs/{console.api.doorbell.rung[-1]}"
    unknown = browser.post(f"/reliability/evidence/tables/{table}/scores", model="no such model")
    assert unknown.status_code == 404
    assert "no promoted version" in unknown.text
    assert console.person("viewer").post(f"/reliability/evidence/tables/{table}/scores", model="m").status_code == 403

"""Cases by REST: from opening to sign-off and back, with the turnaround measured from the steps."""

import random
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from db.repositories import cases as case_rows
from db.repositories.case_turnaround import measure
from db.schema import cases, people
from tests.api.conftest import Api
from tests.api.population import populate

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def open_case(api: Api, **values: Any) -> dict[str, Any]:
    answer = api.call("POST", "/cases", json={"program": "alpha", "title": "Dead on arrival", **values})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_case_from_opening_to_sign_off_and_back(api: Api) -> None:
    case = open_case(api, description="customer return")
    path = f"/cases/{case['id']}"
    assert (case["state"], case["opened_by"], case["turnaround"]["running"]) == ("open", "account:admin", True)
    early = api.call("POST", f"{path}/sign-off", json={})
    assert (early.status_code, "mechanism, root cause, conclusion missing" in early.text) == (409, True)
    sample = api.call("POST", f"{path}/samples", json={"name": "lamella", "place": "box 7"}).json()["samples"][0]
    again = api.call("POST", f"{path}/samples", json={"name": "lamella"})
    assert again.status_code == 409
    step = {"kind": "physical analysis", "began_at": at(0).isoformat(), "sample_id": sample["id"], "tool": "TEM"}
    steps = api.call("POST", f"{path}/steps", json=step).json()["steps"]
    assert (steps[0]["person"], steps[0]["recorded_by"]) == ("admin", "account:admin")
    conclusion = {"mechanism": "short", "root_cause": "process", "conclusion": "a bridge in metal 2"}
    concluded = api.call("PATCH", path, json=conclusion).json()
    assert concluded["concluded_by"] == "account:admin"
    assert "has not ended" in api.call("POST", f"{path}/sign-off", json={}).json()["detail"]
    before = api.call("PATCH", f"/case-steps/{steps[0]['id']}", json={"ended_at": at(-1).isoformat()})
    assert before.status_code == 409
    ended = api.call("PATCH", f"/case-steps/{steps[0]['id']}", json={"ended_at": at(90).isoformat()})
    assert ended.json()["turnaround"]["by_kind_s"] == {"physical analysis": 5400}
    closed = api.call("POST", f"{path}/sign-off", json={"note": "agreed"}).json()
    assert (closed["state"], closed["turnaround"]["running"]) == ("closed", False)
    assert closed["decisions"][0]["conclusion"] == conclusion | {"concluded_by": "account:admin"}
    for method, suffix, body in (("PATCH", "", {"title": "x"}), ("POST", "/steps", step), ("POST", "/sign-off", {})):
        assert "closed" in api.call(method, path + suffix, json=body).json()["detail"]
    reopened = api.call("POST", f"{path}/reopen", json={"note": "a second die"}).json()
    assert [each["kind"] for each in reopened["decisions"]] == ["signed-off", "reopened"]
    assert (reopened["state"], reopened["closed_at"]) == ("open", None)


def test_every_change_is_in_the_audit_trail(api: Api) -> None:
    case = open_case(api)
    api.call("PATCH", f"/cases/{case['id']}", json={"title": "Other"})
    api.call("PATCH", f"/cases/{case['id']}", json={"title": "Other"})
    events = api.call("GET", "/audit-events", params={"subject": case["id"]}).json()["items"]
    assert [event["action"] for event in events] == ["case.changed", "case.opened"]
    assert (events[0]["before"], events[0]["after"]) == ({"title": "Dead on arrival"}, {"title": "Other"})


def test_words_are_searched_in_title_and_description(api: Api) -> None:
    open_case(api, description="a leaking gate oxide")
    open_case(api, title="Quiet unit")
    found = api.call("GET", "/cases", params={"search": "leaking dead"}).json()["items"]
    assert [item["title"] for item in found] == ["Dead on arrival"]
    assert api.call("GET", "/cases", params={"search": "leak"}).json()["items"] == []


def test_evidence_is_of_the_same_program(api: Api) -> None:
    case = open_case(api)
    path = f"/cases/{case['id']}/evidence"
    with api.engine.connect() as connection:
        alpha = connection.execute(select(people.program.c.id)).scalar_one()
    api.call("POST", "/programs", json={"name": "beta"})
    beta = next(each["id"] for each in api.call("GET", "/programs").json()["items"] if each["name"] == "beta")
    mine = populate(api.engine, api.state.blobs, alpha).ids
    other = populate(api.engine, api.state.blobs, uuid.UUID(beta)).ids
    attached = api.call("POST", path, json={"probing_session_id": str(mine["session_id"])}).json()
    assert attached["evidence"][0]["probing_session_id"] == str(mine["session_id"])
    twice = api.call("POST", path, json={"probing_session_id": str(mine["session_id"])})
    assert twice.status_code == 409
    # The caller is a member of both programs: the case still keeps to its own.
    assert api.call("POST", path, json={"raw_file_id": str(other["file_id"])}).status_code == 404
    assert api.call("POST", path, json={}).status_code == 422
    gone = api.call("DELETE", f"/case-evidence/{attached['evidence'][0]['id']}").json()
    assert gone["evidence"] == []


@pytest.mark.parametrize("body", [{"mechanism": "gremlins"}, {"title": None}, {"unknown": 1}])
def test_what_is_not_in_the_vocabulary_is_refused(api: Api, body: dict[str, Any]) -> None:
    assert api.call("PATCH", f"/cases/{open_case(api)['id']}", json=body).status_code == 422


def test_the_vocabularies_are_those_of_the_migrated_database(api: Api) -> None:
    words = {
        "ck_case_step_kind": cases.STEP_KINDS, "ck_fa_case_mechanism": cases.MECHANISMS,
        "ck_fa_case_root_cause": cases.ROOT_CAUSES,
    }  # fmt: skip
    query = text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")
    with api.engine.connect() as connection:
        for name, known in words.items():
            definition = str(connection.execute(query, {"name": name}).scalar_one())
            assert tuple(re.findall(r"'([^']+)'::text", definition)) == known


def test_blanks_are_no_conclusion_and_a_case_holds_no_more_than_it_is_read_with(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/cases/{open_case(api)['id']}"
    conclusion = {"mechanism": "short", "root_cause": "process", "conclusion": " \n"}
    assert api.call("PATCH", path, json=conclusion).status_code == 200
    assert "conclusion missing" in api.call("POST", f"{path}/sign-off", json={}).json()["detail"]
    monkeypatch.setattr(case_rows, "MOST_CHILDREN", 1)
    assert api.call("POST", f"{path}/samples", json={"name": "first"}).status_code == 201
    refused = api.call("POST", f"{path}/samples", json={"name": "second"})
    assert (refused.status_code, "1 entries of the kind sample" in refused.text) == (409, True)


def test_a_decision_stays_as_it_was_made(api: Api) -> None:
    case = open_case(api, title="x")
    conclusion = {"mechanism": "open", "root_cause": "none", "conclusion": "c"}
    api.call("PATCH", f"/cases/{case['id']}", json=conclusion)
    api.call("POST", f"/cases/{case['id']}/sign-off", json={})
    with api.engine.connect() as connection, pytest.raises(ProgrammingError, match="append-only"):
        connection.execute(text("UPDATE faultlight.case_decision SET person = 'somebody else'"))


def step(kind: str, began: float, ended: float | None) -> dict[str, Any]:
    return {"kind": kind, "began_at": at(began), "ended_at": None if ended is None else at(ended)}


def test_turnaround_counts_overlapping_steps_once_and_no_waiting() -> None:
    steps = [step("intake", 0, 10), step("review", 5, 20), step("waiting", 20, 60), step("review", 70, None)]
    found = measure(at(0), None, steps, now=at(80))
    assert (found.total_s, found.worked_s, found.idle_s) == (80 * 60, 30 * 60, 50 * 60)
    assert found.by_kind_s == {"intake": 600, "review": 25 * 60, "waiting": 2400}
    assert found.running


def test_turnaround_is_that_of_counting_minutes() -> None:
    draw = random.Random(7)
    for _ in range(50):
        opened, closed = draw.randrange(20), draw.randrange(40, 60)
        steps = []
        for _ in range(draw.randrange(7)):
            began = draw.randrange(60)
            ended = draw.choice([None, began + draw.randrange(30)])
            steps.append(step(draw.choice(["waiting", "intake", "review"]), began, ended))
        found = measure(at(opened), at(closed), steps)
        start = min([at(opened), *(each["began_at"] for each in steps)])
        minutes = [at(minute) for minute in range(60) if start <= at(minute) < at(closed)]
        at_work = {
            minute: {each["kind"] for each in steps if each["began_at"] <= minute < (each["ended_at"] or at(closed))}
            for minute in minutes
        }
        kinds = [kind for at_once in at_work.values() for kind in at_once]
        assert found.total_s == 60 * len(minutes)
        assert found.worked_s == 60 * sum(bool(at_once - {"waiting"}) for at_once in at_work.values())
        assert found.idle_s == found.total_s - found.worked_s
        assert found.by_kind_s == {kind: 60 * kinds.count(kind) for kind in set(kinds)}


def test_turnaround_begins_with_the_first_step_and_ends_with_the_sign_off() -> None:
    found = measure(at(30), at(60), [step("intake", 0, 10), step("review", 50, 90)])
    assert (found.total_s, found.worked_s, found.running) == (3600, 1200, False)
    assert measure(at(0), at(0), []).total_s == 0

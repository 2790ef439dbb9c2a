"""Asking for assembled evidence, and reading the scores that it is made of."""

import uuid
from datetime import UTC, datetime, timedelta

from tests.api.conftest import Api
from tests.api.population import add_scored_result, populate
from tests.api.test_service import program_id

PATH = "/evidence-assemblies"


def test_a_question_has_a_freeze_and_is_asked_once(api: Api) -> None:
    program_id(api)
    before = datetime.now(UTC)
    freeze = (before - timedelta(days=1)).isoformat()
    body = {"program": "alpha", "lots": ["L1"], "freeze_at": freeze}
    first, second = api.call("POST", PATH, json=body), api.call("POST", PATH, json=body)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["kind"] == "unit-evidence"
    now = api.call("POST", PATH, json={"program": "alpha"}).json()["payload"]["question"]["freeze_at"]
    assert before <= datetime.fromisoformat(now) <= datetime.now(UTC)


def test_where_times_are_stated_a_later_answer_makes_it_another_question(api: Api) -> None:
    program = program_id(api)
    ids = populate(api.engine, api.state.blobs, program).ids
    freeze = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    stated = [{"file_id": str(ids["file_id"]), "known_at": freeze}]
    body = {"program": "alpha", "freeze_at": freeze, "stated_times": stated}
    first, same = (api.call("POST", PATH, json=body).json()["id"] for _ in range(2))
    add_scored_result(api.engine, api.state.blobs, program, ids["job_id"])
    assert first == same != api.call("POST", PATH, json=body).json()["id"]


def test_what_cannot_be_known_is_not_asked_for(api: Api) -> None:
    program_id(api)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    early = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    wrong = [
        {"freeze_at": later},
        {"survived_until": later, "lots": ["L1"]},
        {"survived_until": early},
        {"survived_until": early, "lots": ["L1"], "modalities": ["lvp"]},
        {"freeze_at": early[:-6]},
        {"stated_times": [{"file_id": str(uuid.UUID(int=1)), "known_at": early}] * 2},
        {"modalities": ["rumour"]},
    ]
    for each in wrong:
        answer = api.call("POST", PATH, json={"program": "alpha"} | each)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request"), each
    assert api.call("POST", PATH, json={"program": "nobody"}).status_code == 404


def test_scores_of_all_parts_are_read_as_they_are_stored(api: Api) -> None:
    program = program_id(api)
    ids = populate(api.engine, api.state.blobs, program).ids
    result_id = add_scored_result(api.engine, api.state.blobs, program, ids["job_id"])
    found = api.call("GET", f"/results/{result_id}/scores")
    assert (found.content, found.headers["content-type"]) == (b"scores", "application/vnd.apache.parquet")
    again = api.call("GET", f"/results/{result_id}/scores", headers={"If-None-Match": found.headers["etag"]})
    assert again.status_code == 304
    assert api.call("GET", f"/results/{ids['result_id']}/scores").status_code == 404

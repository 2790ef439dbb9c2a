"""Asking which dies of a population stand out, and which runs of a process are strange."""

import uuid

from tests.api.conftest import Api
from tests.api.population import populate
from tests.api.test_service import program_id


def test_asking_for_outliers_twice_is_one_job_however_the_sessions_are_named(api: Api) -> None:
    session = populate(api.engine, api.state.blobs, program_id(api)).ids["session_id"]
    first = api.call("POST", "/population-outliers", json={"session_ids": [str(session)]})
    second = api.call("POST", "/population-outliers", json={"session_ids": [str(session)], "false_alarms": 0.05})
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert (first.json()["kind"], first.json()["queue"], first.json()["payload"]) == (
        "population-outliers",
        "cpu",
        {
            "session_ids": [str(session)],
            "reference_session_ids": [],
            "question": {"nets": [], "class_by": "none", "false_alarms": 0.05},
        },
    )
    other = api.call("POST", "/population-outliers", json={"session_ids": [str(session)], "class_by": "lot"})
    assert (other.status_code, other.json()["id"] != first.json()["id"]) == (202, True)


def test_sessions_are_chosen_by_what_they_say_of_their_die(api: Api) -> None:
    program = program_id(api)
    session = populate(api.engine, api.state.blobs, program).ids["session_id"]
    unit = api.call("GET", f"/probing-sessions/{session}").json()["document"].get("unit") or {}
    chosen = api.call("POST", "/population-outliers", json={"choice": {"program": str(program)}})
    assert chosen.status_code == 202
    assert str(session) in chosen.json()["payload"]["session_ids"]
    lot = {"program": str(program), "lot": unit.get("lot", "") + "x"}
    assert api.call("POST", "/population-outliers", json={"choice": lot}).status_code == 404
    known = {"choice": {"program": str(program)}, "reference_session_ids": [str(session)]}
    assert api.call("POST", "/population-outliers", json=known).status_code == 404


def test_what_cannot_be_asked_of_populations(api: Api) -> None:
    session = str(populate(api.engine, api.state.blobs, program_id(api)).ids["session_id"])
    for wrong, status in (
        ({}, 422),
        ({"session_ids": [session] * 2}, 422),
        ({"session_ids": [session], "reference_session_ids": [session]}, 422),
        ({"session_ids": [session], "choice": {"program": "alpha"}}, 422),
        ({"session_ids": [session], "false_alarms": 1}, 422),
        ({"session_ids": [str(uuid.uuid4())]}, 404),
    ):
        assert api.call("POST", "/population-outliers", json=wrong).status_code == status, wrong


def test_asking_for_traces_twice_is_one_job(api: Api) -> None:
    file = str(populate(api.engine, api.state.blobs, program_id(api)).ids["file_id"])
    body = {"file_ids": [file], "since": "2026-01-02T00:00:00Z", "context": ["PPID"]}
    first = api.call("POST", "/trace-checks", json=body)
    second = api.call("POST", "/trace-checks", json=body | {"block": 200})
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["payload"]["question"]["since"] == "2026-01-02T00:00:00Z"
    for wrong, status in (([], 422), ([file, file], 422), ([str(uuid.uuid4())], 404)):
        assert api.call("POST", "/trace-checks", json={"file_ids": wrong}).status_code == status

"""Asking for a screening of stored files."""

import uuid

from tests.api.conftest import Api
from tests.api.population import add_file, populate
from tests.api.test_service import program_id


def test_asking_twice_is_one_job_and_other_labels_another(api: Api) -> None:
    program = program_id(api)
    file_id = populate(api.engine, api.state.blobs, program).ids["file_id"]
    other = add_file(api.engine, api.state.blobs, program, b"another log")
    path = f"/files/{file_id}/screenings"
    asked = {"quartiles": "hazen", "other_file_ids": [str(other)]}
    first, second = api.call("POST", path, json=asked), api.call("POST", path, json=asked)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    payload = first.json()["payload"]
    assert (first.json()["kind"], payload["raw_file_id"]) == ("screening", str(file_id))
    assert payload["question"]["sigmas"] == 6
    labelled = asked | {"labels": [{"lot": "L", "wafer": "W", "part": "1", "defective": True}]}
    assert api.call("POST", path, json=labelled).json()["id"] != first.json()["id"]
    assert api.call("POST", path, json=asked | {"other_file_ids": [str(uuid.uuid4())]}).status_code == 404
    wrong = api.call("POST", path, json={"quartiles": "tukey"})
    assert (wrong.status_code, wrong.json()["type"]) == (422, "/problems/invalid-request")

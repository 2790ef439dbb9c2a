"""Asking whether mask defects print."""

import uuid

from tests.api.conftest import Api
from tests.api.population import populate
from tests.api.test_access_matrix import PRINTABILITY
from tests.api.test_service import program_id


def test_asking_twice_is_one_job(api: Api) -> None:
    """The question with its defaults is the payload; another question is another job."""
    file_id = populate(api.engine, api.state.blobs, program_id(api)).ids["file_id"]
    path = f"/files/{file_id}/printabilities"
    first, second = api.call("POST", path, json=PRINTABILITY), api.call("POST", path, json=PRINTABILITY)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    payload = first.json()["payload"]
    assert (first.json()["kind"], payload["raw_file_id"]) == ("printability", str(file_id))
    assert payload["question"]["limits"]["prints"] == 0.1
    assert api.doorbell.rung == [uuid.UUID(first.json()["id"])]
    other = PRINTABILITY | {"exposure": {"threshold": 0.25}}
    assert api.call("POST", path, json=other).json()["id"] != first.json()["id"]
    assert api.call("POST", f"/files/{uuid.uuid4()}/printabilities", json=PRINTABILITY).status_code == 404
    wrong = api.call("POST", path, json=PRINTABILITY | {"mask": {"drawn": "chrome"}})
    assert (wrong.status_code, wrong.json()["type"]) == (422, "/problems/invalid-request")

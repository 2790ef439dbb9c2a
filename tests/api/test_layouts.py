"""Asking about stored layouts and inspections, and reading tiles."""

import uuid

from sqlalchemy import update

from db.schema.work import result
from tests.api.conftest import Api
from tests.api.population import populate
from tests.api.test_service import program_id

ASKED: tuple[tuple[str, dict[str, object], str], ...] = (
    ("nets", {}, "nets"),
    ("places", {"places": [{"x_um": 1, "y_um": 2, "sigma_x_nm": 3}]}, "places"),
    ("windows", {"window_um": [0, 0, 1, 1], "layers": [[68, 20]]}, "window"),
    ("tiles", {"levels": 2}, "tiles"),
    ("signatures", {"field_um": [26000, 33000]}, "signatures"),
)
WRONG: tuple[tuple[str, dict[str, object]], ...] = (
    ("places", {"places": []}),
    ("places", {"places": [{"x_um": 1, "y_um": 2, "correlation": 1}]}),
    ("windows", {"window_um": [0, 0, 1]}),
    ("windows", {"window_um": [0, 0, 1, 1], "layers": [[68]]}),
    ("tiles", {"levels": 30}),
    ("signatures", {"rate": 0}),
    ("nets", {"proces": "sky130"}),
)


def test_asking_twice_is_one_job_and_what_cannot_be_asked_is_none(api: Api) -> None:
    file_id = populate(api.engine, api.state.blobs, program_id(api)).ids["file_id"]
    for path, body, kind in ASKED:
        first, second = (api.call("POST", f"/files/{file_id}/{path}", json=body) for _ in range(2))
        assert (first.status_code, second.status_code) == (202, 200)
        assert first.json()["id"] == second.json()["id"]
        assert (first.json()["kind"], first.json()["payload"]["raw_file_id"]) == (kind, str(file_id))
        assert api.doorbell.rung[-1] == uuid.UUID(first.json()["id"])
        assert api.call("POST", f"/files/{uuid.uuid4()}/{path}", json=body).status_code == 404
    for path, body in WRONG:
        assert api.call("POST", f"/files/{file_id}/{path}", json=body).status_code == 422
    assert len(api.doorbell.rung) == len(ASKED)


def test_an_overlay_needs_two_files_of_one_program(api: Api) -> None:
    file_id = str(populate(api.engine, api.state.blobs, program_id(api)).ids["file_id"])
    path = f"/files/{file_id}/overlays"
    asked = api.call("POST", path, json={"inspection_file_id": file_id, "settings": {"sigma_nm": 20}})
    assert (asked.status_code, asked.json()["kind"]) == (202, "overlay")
    assert api.call("POST", path, json={"inspection_file_id": str(uuid.uuid4())}).status_code == 404
    assert api.call("POST", path, json={}).status_code == 422
    match = {"inspection_file_id": file_id, "sigma_nm": [100, 200]}
    assert api.call("POST", f"/files/{file_id}/matches", json=match).json()["kind"] == "match"
    assert api.call("POST", f"/files/{file_id}/matches", json=match | {"sigma_nm": [0, 1]}).status_code == 422


def test_a_tile_is_read_with_its_tag_and_where_none_is_nothing(api: Api) -> None:
    ids = populate(api.engine, api.state.blobs, program_id(api)).ids
    api.state.blobs.put_bytes("records/tiles", b"abcPNG-def")
    body = {"blob_key": "records/tiles", "index": {"68/20": {"1/0/1": [3, 4]}}}
    with api.engine.begin() as connection:
        connection.execute(update(result).where(result.c.id == ids["result_id"]).values(kind="tiles", body=body))
    path = f"/results/{ids['result_id']}/tiles/68_20/1/0"
    tile = api.call("GET", f"{path}/1")
    assert (tile.status_code, tile.content, tile.headers["content-type"]) == (200, b"PNG-", "image/png")
    again = api.call("GET", f"{path}/1", headers={"If-None-Match": tile.headers["etag"]})
    assert again.status_code == 304
    assert api.call("GET", f"{path}/0").status_code == 204
    assert api.call("GET", f"/results/{uuid.uuid4()}/tiles/68_20/1/0/1").status_code == 404
    assert api.call("GET", f"/results/{ids['result_id']}/tiles/met1/1/0/1").status_code == 422

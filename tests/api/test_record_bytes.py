"""The bytes of records that are one document or one grid: whole, cached, described, and only for members."""

from uuid import UUID

import pytest

from tests.api.conftest import Api
from tests.api.population import Population, add_account, add_program, populate

PATHS = {
    "netlists": ("netlist_id", "content", "application/json"),
    "pattern-sets": ("pattern_set_id", "content", "application/json"),
    "fail-logs": ("fail_log_id", "content", "application/json"),
    "placements": ("placement_id", "content", "application/json"),
    "digital-traces": ("digital_trace_id", "content", "application/json"),
    "tables": ("table_id", "content", "application/vnd.apache.parquet"),
    "rasters": ("raster_id", "samples", "application/octet-stream"),
}


@pytest.fixture
def population(api: Api) -> Population:
    program = UUID(api.call("GET", "/programs").json()["items"][0]["id"])
    return populate(api.engine, api.state.blobs, program)


@pytest.mark.parametrize("resource", PATHS)
def test_the_bytes_are_those_between_offset_and_length(api: Api, population: Population, resource: str) -> None:
    parameter, last, media_type = PATHS[resource]
    path = f"/{resource}/{population.ids[parameter]}/{last}"
    answer = api.call("GET", path)
    assert (answer.status_code, answer.content) == (200, b'{"a": 1}')
    assert answer.headers["Content-Type"].split(";")[0] == media_type
    again = api.call("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_raster_says_how_to_read_its_samples(api: Api, population: Population) -> None:
    answer = api.call("GET", f"/rasters/{population.ids['raster_id']}/samples")
    described = {name: answer.headers[f"Faultlight-{name}"] for name in ("Dtype", "Rows", "Columns", "Gain", "Bands")}
    assert described == {"Dtype": "<i2", "Rows": "1", "Columns": "4", "Gain": "1.0", "Bands": '[["grey", ""]]'}


def test_bytes_that_are_gone_are_a_problem(api: Api, population: Population) -> None:
    for info in list(api.state.blobs.list("records")):
        api.state.blobs.delete(info.key)
    answer = api.call("GET", f"/tables/{population.ids['table_id']}/content")
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/original-missing")


def test_tables_are_listed_by_kind(api: Api, population: Population) -> None:
    found = api.call("GET", "/tables", params={"kind": "mask_defect"}).json()["items"]
    assert [item["id"] for item in found] == [str(population.ids["table_id"])]
    assert api.call("GET", "/tables", params={"kind": "lifetime"}).json()["items"] == []


def test_a_stranger_finds_nothing(api: Api, population: Population) -> None:
    stranger = add_account(api.engine, "stranger", ["read"], {add_program(api.engine, "other"): "admin"})
    path = f"/tables/{population.ids['table_id']}/content"
    assert api.call("GET", path, headers={"Authorization": f"Bearer {stranger}"}).status_code == 404

"""What the layers of a layout are called: by a person, by the file itself, by nobody; changed on record."""

import uuid
from pathlib import Path

import pytest
from sqlalchemy import select

from db.schema.people import audit_event
from instruments.mask.vocabulary import LAYOUT_LAYER
from instruments.vocabulary import Remarks
from tests.api.conftest import Api
from tests.api.population import populate
from tests.api.test_service import program_id
from tests.pipelines.bench import Bench, reader
from tests.workers.scenery import add_ingest, store_original


@pytest.fixture
def layout(api: Api, tmp_path: Path) -> uuid.UUID:
    """A file in which the layer 67/20 has a name, and 11/0 has none."""
    columns = {"layer": [11, 67], "datatype": [0, 20], "layer_name": ["", "li1"]}
    counts = {name: [1, 1] for name in ("polygons", "paths", "texts")} | {"flat_shapes": [1.0, 1.0]}
    table = LAYOUT_LAYER.make_table("layers", columns | counts, Remarks())
    program = program_id(api)
    bench = Bench(api.engine, api.state.blobs, api.state.settings)
    file_id = store_original(api.engine, api.state.blobs, program, "a.oas", b"oasis")
    bench.ingest(add_ingest(api.engine, program, {"raw_file_id": str(file_id)}), reader(table))
    return file_id


def test_a_person_stands_before_the_file_and_a_layer_without_a_name_has_none(api: Api, layout: uuid.UUID) -> None:
    path = f"/files/{layout}/layer-names"
    found = api.call("GET", path).json()
    assert found["layers"] == [{"layer": 67, "datatype": 20, "name": "li1", "given_by": "file"}]
    assert (found["revision"], found["set_by"]) == (0, None)
    body = {"names": {"68/20": "met1", "67/20": "local"}, "source": "layer map C"}
    given = api.call("PUT", path, json=body)
    assert given.status_code == 200, given.text
    assert [(each["layer"], each["name"], each["given_by"]) for each in given.json()["layers"]] == [
        (67, "local", "person"), (68, "met1", "person")
    ]  # fmt: skip
    assert (given.json()["source"], given.json()["revision"]) == ("layer map C", 1)
    assert api.call("PUT", path, json=body).status_code == 409
    changed = api.call("PUT", path, json={"names": {}, "revision": 1}).json()
    assert (changed["layers"][0]["name"], changed["layers"][0]["given_by"], changed["revision"]) == ("li1", "file", 2)
    assert api.call("PUT", path, json={"names": {}, "revision": 1}).status_code == 409
    with api.engine.connect() as connection:
        query = select(audit_event.c.action).where(audit_event.c.action == "layout.layers-named")
        assert len(connection.execute(query).all()) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"names": {"68": "met1"}},
        {"names": {"068/20": "met1"}},
        {"names": {"68/20": ""}},
        {"names": {"68/20": "a\nb"}},
        {"names": {"68/20": "x" * 101}},
        {},
    ],
)
def test_what_names_no_layer_is_refused(api: Api, body: dict[str, object]) -> None:
    ids = populate(api.engine, api.state.blobs, program_id(api)).ids
    assert api.call("PUT", f"/files/{ids['file_id']}/layer-names", json=body).status_code == 422
    assert api.call("GET", f"/files/{uuid.uuid4()}/layer-names").status_code == 404

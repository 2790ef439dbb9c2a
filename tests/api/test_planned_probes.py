"""Probes that are planned: only what a localization proposed, each once, withdrawn on record, told in the document."""

import uuid

import numpy as np
import pytest
from sqlalchemy import select, update

from db.repositories.planned_probes import extend_document, sessions_that_probed
from db.schema import data, people
from tests.api.conftest import Api
from tests.api.population import add_row, add_waveform, populate


@pytest.fixture
def ids(api: Api) -> dict[str, uuid.UUID]:
    with api.engine.connect() as connection:
        program = connection.execute(select(people.program.c.id)).scalar_one()
    found = populate(api.engine, api.state.blobs, program).ids
    document = {"waveforms": [{"file": "a.csv", "net": "G16", "placement_sigma_nm": 30.0}]}
    with api.engine.begin() as connection:
        connection.execute(update(data.probing_session).values(document=document, unit_id=found["unit_id"]))
    return found


def test_a_proposal_is_planned_once_and_withdrawn_on_record(api: Api, ids: dict[str, uuid.UUID]) -> None:
    path = f"/probing-sessions/{ids['session_id']}/planned-probes"
    body = {"result_id": str(ids["result_id"]), "net": "G10", "note": "first thing"}
    first = api.call("POST", path, json=body)
    assert first.status_code == 201
    assert (first.json()["bits"], first.json()["state"], first.json()["note"]) == (0.5, "planned", "first thing")
    assert api.call("POST", path, json=body).status_code == 409
    withdrawn = api.call("DELETE", f"/planned-probes/{first.json()['id']}")
    assert withdrawn.json()["state"] == "withdrawn"
    assert api.call("DELETE", f"/planned-probes/{first.json()['id']}").status_code == 409
    assert api.call("POST", path, json=body).status_code == 201
    with api.engine.connect() as connection:
        event = people.audit_event
        actions = connection.execute(select(event.c.action).order_by(event.c.id)).scalars().all()
    assert [each for each in actions if each.startswith("probe.")] == [
        "probe.planned", "probe.withdrawn", "probe.planned",
    ]  # fmt: skip


def test_what_no_localization_of_the_session_proposed_is_refused(api: Api, ids: dict[str, uuid.UUID]) -> None:
    path = f"/probing-sessions/{ids['session_id']}/planned-probes"
    for result, net, status in (("result_id", "G99", 422), ("simulation_id", "G10", 404)):
        assert api.call("POST", path, json={"result_id": str(ids[result]), "net": net}).status_code == status
    assert api.call("GET", f"/planned-probes?probing_session={uuid.uuid4()}").json()["items"] == []


def test_the_document_has_planned_probes_and_a_later_session_of_the_unit_says_that_they_were_made(
    api: Api, ids: dict[str, uuid.UUID]
) -> None:
    answer = api.call("GET", f"/probing-sessions/{ids['session_id']}/planned-document")
    assert [each["net"] for each in answer.json()["waveforms"]] == ["G16", "G11"]
    assert answer.json()["waveforms"][1] == {"file": "planned_G11.csv", "net": "G11"}
    later = add_row(
        api.engine, data.probing_session, program_id=ids["program_id"], raw_file_id=ids["file_id"], name="S-2",
        role="suspect", technique="LVP", document={}, unit_id=ids["unit_id"],
    )  # fmt: skip
    samples = np.zeros(3, "<i2")
    add_waveform(api.engine, api.state.blobs, ids["file_id"], samples, probing_session_id=later, net="G11")
    with api.engine.connect() as connection:
        made = sessions_that_probed(connection, ids["unit_id"], ids["session_id"], ["G11", "G10"])
        assert made == {"G11": later}
        assert sessions_that_probed(connection, None, ids["session_id"], ["G11"]) == {}


def test_nets_that_are_alike_as_names_of_files_get_files_of_their_own() -> None:
    recorded = [{"file": "planned_q_1_.csv", "net": "q(1)"}]
    far = "u_core/" * 15
    nets = ["q[1]", "q<1>", "Q[1]", f"{far}a", f"{far}b"]
    probes = [{"net": net, "x_um": None, "y_um": None} for net in nets]
    files = [each["file"] for each in extend_document({"waveforms": recorded}, probes)["waveforms"]]
    assert files[:4] == ["planned_q_1_.csv", "planned_q_1__2.csv", "planned_q_1__3.csv", "planned_Q_1__4.csv"]
    assert len(set(files)) == len(nets) + 1

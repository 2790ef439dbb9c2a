"""Models by REST: which version counts is decided by people, refused with the objections, and undone in one call."""

from sqlalchemy import select

from db.schema import models, people
from tests.api.conftest import Api
from tests.api.population import populate


def test_a_version_is_promoted_on_purpose_and_rolled_back(api: Api) -> None:
    with api.engine.connect() as connection:
        program = connection.execute(select(people.program.c.id)).scalar_one()
    ids = populate(api.engine, api.state.blobs, program).ids
    candidate, model = ids["version_id"], ids["model_id"]
    versions = api.call("GET", f"/api/v1/model-versions?model={model}&order=oldest").json()["items"]
    assert [(row["number"], row["state"]) for row in versions] == [(1, "retired"), (2, "promoted"), (3, "candidate")]
    assert "card" not in versions[0]
    assert api.call("GET", f"/api/v1/model-versions/{candidate}").json()["card"] == {"format": "x"}
    weights = api.call("GET", f"/api/v1/model-versions/{candidate}/weights")
    assert weights.content == b"weights"
    again = {"If-None-Match": weights.headers["etag"]}
    assert api.call("GET", f"/api/v1/model-versions/{candidate}/weights", headers=again).status_code == 304
    path = f"/api/v1/model-versions/{candidate}/promotions"
    promoted = api.call("POST", path, json={"reason": "better"}).json()
    assert (promoted["kind"], promoted["overridden"]) == ("promoted", [])
    assert promoted["replaced_version_id"] == versions[1]["id"]
    assert api.call("POST", path, json={}).status_code == 409
    back = api.call("POST", f"/api/v1/models/{model}/rollbacks", json={"reason": "false alarms"}).json()
    assert (back["kind"], back["version_id"]) == ("rolled-back", versions[1]["id"])
    counting = api.call("GET", f"/api/v1/model-versions?model={model}&state=promoted").json()["items"]
    assert [row["number"] for row in counting] == [2]
    asked = api.call("POST", f"/api/v1/tables/{ids['table_id']}/latent-risk-scores", json={"model": "risk"})
    assert asked.status_code == 202
    assert asked.json()["payload"]["question"]["version"] == 2
    assert (
        api.call("POST", f"/api/v1/tables/{ids['table_id']}/latent-risk-scores", json={"model": "no"}).status_code
        == 404
    )
    table = models.model_version
    with api.engine.connect() as connection:
        assert connection.execute(select(table.c.state).where(table.c.id == candidate)).scalar_one() == "retired"

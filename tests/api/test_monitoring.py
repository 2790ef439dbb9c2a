"""Control charts, their limits and events over the API: what members set and see, and what strangers do not."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from db.identifiers import uuid7
from db.repositories import jobs
from db.schema import monitoring, people, work
from db.unit_of_work import begin
from services.api.monitoring_documents import ChartDetail
from services.pipelines import kinds
from services.pipelines.context import JobContext
from tests.api.conftest import Api
from tests.api.population import add_account, add_program, populate

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def program(api: Api) -> uuid.UUID:
    with api.engine.connect() as connection:
        return uuid.UUID(str(connection.execute(select(people.program.c.id)).scalar_one()))


@pytest.fixture
def chart(api: Api, program: uuid.UUID) -> str:
    """A chart with 30 readings around 1."""
    ids = populate(api.engine, api.state.blobs, program).ids
    with api.engine.begin() as connection:
        for index in range(30):
            connection.execute(insert(monitoring.reference_reading).values(
                id=uuid7(), program_id=program, chart_id=ids["chart_id"], raw_file_id=ids["file_id"],
                record_index=index + 1, value=1.0 + 0.1 * (index * 7 % 5 - 2), result_id=ids["result_id"],
                observed_at=START + timedelta(days=index),
            ))  # fmt: skip
        baseline = monitoring.chart_baseline
        connection.execute(insert(monitoring.control_chart).values(
            id=uuid7(), program_id=program, instrument_id=ids["instrument_id"], node="other", quantity="snr", unit="",
            setup={}, simulated=False,
        ))  # fmt: skip
        connection.execute(baseline.delete())
        connection.execute(
            monitoring.reference_reading.delete().where(monitoring.reference_reading.c.record_index == 0)
        )
    return str(ids["chart_id"])


def work_through(api: Api) -> list[str]:
    """Run every job that waits; their kinds."""
    done = []
    while (claimed := jobs.claim_next(api.engine, ["cpu"], "test", 60)) is not None:
        context = JobContext(claimed, api.state.settings, api.engine, api.state.blobs, lambda _due: None)
        completion = kinds.handler(claimed.kind)(context)
        with begin(api.engine) as unit:
            completion(unit)
            jobs.finish(unit.connection, claimed, "succeeded")
        done.append(claimed.kind)
    return done


def settle(api: Api, chart: str, **body: Any) -> dict[str, Any]:
    with api.engine.begin() as connection:
        connection.execute(update(work.job).where(work.job.c.kind == "localize").values(state="cancelled"))
    answer = api.call("POST", "/chart-baselines", json={"chart": chart, **body})
    assert answer.status_code == 202, answer.text
    assert work_through(api) == ["monitor"]
    return dict(api.call("GET", answer.headers["Location"]).json())


def test_limits_are_estimated_frozen_and_shown_with_who_and_when(api: Api, chart: str) -> None:
    rung = len(api.doorbell.rung)
    to_at = (START + timedelta(days=24)).isoformat()
    frozen = settle(api, chart, to_at=to_at, note="after the new laser")
    assert len(api.doorbell.rung) == rung + 1
    assert (frozen["state"], frozen["count"], frozen["requested_by"]) == ("frozen", 25, "account:admin")
    assert frozen["centre"] == pytest.approx(1.0)
    assert frozen["parameters"]["rules"] == [1, 2, 5, 6]
    shown = api.call("GET", f"/control-charts/{chart}").json()
    ChartDetail.model_validate(shown)
    evaluation = shown["evaluation"]
    assert (shown["state"], evaluation["count"], evaluation["judged"]) == ("in-control", 30, 5)
    assert evaluation["baseline"]["note"] == "after the new laser"
    assert evaluation["baseline"]["requested_by"] == "account:admin"
    assert [drawn["kind"] for drawn in evaluation["charts"]] == ["individuals", "ewma", "cusum-high", "cusum-low"]
    upper = evaluation["charts"][0]["upper"]
    assert upper[:25] == [None] * 25
    assert upper[25] == pytest.approx(frozen["centre"] + 3 * frozen["sigma"])
    actions = [item["action"] for item in api.call("GET", "/audit-events").json()["items"]]
    assert "chart-baseline.created" in actions


def test_given_limits_count_at_once_and_an_excursion_is_an_event(api: Api, chart: str) -> None:
    to_at = (START + timedelta(days=24, hours=1)).isoformat()
    given = settle(api, chart, to_at=to_at, centre=5.0, sigma=0.5, parameters={"rules": [1]})
    assert (given["state"], given["method"], given["count"]) == ("frozen", "given", None)
    shown = api.call("GET", f"/control-charts/{chart}").json()
    ChartDetail.model_validate(shown)
    assert shown["state"] == "out-of-control"
    listed = api.call("GET", "/control-charts", params={"state": "out-of-control"}).json()["items"]
    assert [item["id"] for item in listed] == [chart]
    assert "evaluation" not in listed[0]
    query = {"subject": chart, "kind": "instrument.out_of_control"}
    events = api.call("GET", "/events", params=query).json()["items"]
    rules = {event["data"]["rule"]: event for event in events if "baseline" in event["data"]}
    assert {"nelson-1", "ewma-low", "cusum-low"} <= set(rules)
    event = rules["nelson-1"]
    assert api.call("GET", f"/events/{event['id']}").json() == event
    assert event["data"]["baseline"]["id"] == given["id"]
    assert event["occurred_at"].startswith("2026-01-26")


def test_limits_of_nothing_are_refused_with_the_reason(api: Api, chart: str) -> None:
    refused = settle(api, chart, to_at=(START - timedelta(days=1)).isoformat())
    assert (refused["state"], refused["reason"]) == ("refused", "a baseline needs 3 values, there are 0")


@pytest.mark.parametrize(
    "changes",
    [
        {"centre": 1.0},
        {"sigma": 1.0},
        {"centre": 1.0, "sigma": 0.0},
        {"centre": 1.0, "sigma": "Infinity"},
        {"from_at": "2026-02-01T00:00:00Z", "to_at": "2026-01-01T00:00:00Z"},
        {"to_at": "2026-01-01T00:00:00"},
        {"parameters": {"rules": [9]}},
        {"parameters": {"ewma_weight": 0.0}},
        {"note": "a\x00"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_wrong_limits_are_refused(api: Api, chart: str, changes: dict[str, Any]) -> None:
    assert api.call("POST", "/chart-baselines", json={"chart": chart, **changes}).status_code == 422


def test_who_may_set_limits(api: Api, program: uuid.UUID, chart: str) -> None:
    body = {"chart": chart}
    for role, status in (("viewer", 403), ("operator", 202), ("engineer", 202)):
        key = add_account(api.engine, role, ["read", "write"], {program: role})
        assert api.call("POST", "/chart-baselines", key, json=body).status_code == status
        assert api.call("GET", f"/control-charts/{chart}", key).status_code == 200
    foreign = add_program(api.engine, "foreign")
    both = add_account(api.engine, "both", ["read", "write"], {program: "viewer", foreign: "operator"})
    assert api.call("POST", "/chart-baselines", both, json=body).status_code == 403
    stranger = add_account(api.engine, "stranger", ["read", "write"], {foreign: "admin"})
    assert api.call("POST", "/chart-baselines", stranger, json=body).status_code == 404
    assert api.call("GET", "/reference-readings", stranger, params={"chart": chart}).json()["items"] == []


def test_readings_can_be_paged_through(api: Api, chart: str) -> None:
    values, cursor = [], None
    while True:
        query = {"chart": chart, "limit": 7, "order": "oldest"} | ({"cursor": cursor} if cursor else {})
        page = api.call("GET", "/reference-readings", params=query).json()
        values += [item["value"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert values == pytest.approx([1.0 + 0.1 * (index * 7 % 5 - 2) for index in range(30)])

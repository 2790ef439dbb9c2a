"""Instrument health: agents report, members read, and nobody learns of a foreign program's instruments."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from db.identifiers import uuid7
from db.repositories.instrument_health import FORGET_AFTER, MOST_AGENTS
from db.schema import people
from db.schema.files import bundle, ingest_event, raw_file, upload
from db.schema.people import agent_report
from tests.api.conftest import CHUNK, TUS, Api, encode_metadata
from tests.api.population import add_account, add_instrument_key, add_program


@pytest.fixture
def instrument(api: Api) -> str:
    return str(
        api.call("POST", "/instruments", json={"program": "alpha", "name": "scope", "kind": "scope"}).json()["id"]
    )


@pytest.fixture
def key(api: Api, instrument: str) -> str:
    return add_instrument_key(api.engine, uuid.UUID(instrument))


def report(**changes: Any) -> dict[str, Any]:
    document = {
        "agent_id": str(uuid.UUID(int=1)),
        "agent_version": "0.1.0",
        "folder": "/data/scope",
        "waiting_files": 3,
        "waiting_bytes": 4_000_000_000,
        "oldest_waiting_s": 7200.5,
        "refused_files": 1,
        "trouble": "the program's quota is taken",
        "sent_at": datetime.now(UTC).isoformat(),
    }
    return document | changes


def put(api: Api, key: str, **changes: Any) -> int:
    return api.call("PUT", "/instruments/self/health", key, json=report(**changes)).status_code


def health(api: Api, instrument: str) -> dict[str, Any]:
    answer = api.call("GET", f"/instruments/{instrument}/health")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_an_instrument_that_never_spoke_has_an_empty_health(api: Api, instrument: str) -> None:
    found = health(api, instrument)
    assert (found["instrument_id"], found["last_upload_at"], found["last_contact_at"]) == (instrument, None, None)
    assert found["files"] == {"received": 0, "stored": 0, "quarantined": 0}
    assert (found["agents"], found["quarantined"], found["open_uploads"]) == ([], [], 0)


def test_a_report_replaces_the_agents_last_one(api: Api, instrument: str, key: str) -> None:
    assert put(api, key) == 204
    (agent,) = health(api, instrument)["agents"]
    for name, value in report().items():
        if name != "sent_at":
            assert agent[name] == value, name
    assert abs(agent["clock_offset_s"]) < 60
    late = datetime.now(UTC) - timedelta(days=2)
    changes = {"waiting_files": 0, "waiting_bytes": 0, "oldest_waiting_s": None, "trouble": None}
    assert put(api, key, sent_at=late.isoformat(), **changes) == 204
    assert put(api, key, agent_id=str(uuid.UUID(int=2)), folder="/data/fib") == 204
    other, agent = health(api, instrument)["agents"]
    assert other["folder"] == "/data/fib"
    assert {name: agent[name] for name in changes} == changes
    assert agent["clock_offset_s"] == pytest.approx(-2 * 86400, abs=60)
    assert health(api, instrument)["last_contact_at"] is not None


def test_the_number_and_age_of_agents_is_bounded(api: Api, instrument: str, key: str) -> None:
    for number in range(MOST_AGENTS + 5):
        assert put(api, key, agent_id=str(uuid.UUID(int=number))) == 204
    agents = health(api, instrument)["agents"]
    assert len(agents) == MOST_AGENTS
    assert str(uuid.UUID(int=0)) not in {agent["agent_id"] for agent in agents}
    with api.engine.begin() as connection:
        connection.execute(update(agent_report).values(reported_at=func.now() - FORGET_AFTER - timedelta(days=1)))
    assert put(api, key) == 204
    assert len(health(api, instrument)["agents"]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"waiting_files": -1},
        {"oldest_waiting_s": -1},
        {"oldest_waiting_s": "NaN"},
        {"sent_at": "2026-01-01T00:00:00"},
        {"agent_version": "a b"},
        {"folder": "a\x00b"},
        {"trouble": "a\x00b"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_wrong_report_is_refused(api: Api, key: str, changes: dict[str, Any]) -> None:
    assert put(api, key, **changes) == 422


def test_only_an_instrument_reports_and_only_members_read(api: Api, instrument: str, key: str) -> None:
    assert put(api, api.admin_key) == 403
    assert api.call("GET", f"/instruments/{instrument}/health", key).status_code == 403
    foreign = add_account(api.engine, "stranger", ["read"], {add_program(api.engine, "foreign"): "admin"})
    assert api.call("GET", f"/instruments/{instrument}/health", foreign).status_code == 404
    assert api.call("GET", f"/instruments/{uuid.uuid4()}/health").status_code == 404


def test_uploads_and_quarantine_are_counted(api: Api, instrument: str, key: str) -> None:
    headers = {**TUS, "Upload-Metadata": encode_metadata({"filename": "a"})}
    for size in (3, 4, 5):
        location = api.call("POST", "/uploads", key, headers={**headers, "Upload-Length": str(size)}).headers[
            "Location"
        ]
        if size < 5:
            sent = api.call("PATCH", location, key, content=b"x" * size, headers={**CHUNK, "Upload-Offset": "0"})
            assert sent.status_code == 204
    found = health(api, instrument)
    assert (found["files"]["received"], found["open_uploads"]) == (2, 1)
    with api.engine.begin() as connection:
        latest = connection.execute(select(func.max(upload.c.completed_at))).scalar_one()
        first, second = connection.execute(select(raw_file.c.id).order_by(raw_file.c.id)).scalars()
        program = connection.execute(select(raw_file.c.program_id).limit(1)).scalar_one()
        old, new = ({"adapter": "klarf", "version": version, "reason": "r"} for version in ("1", "2"))
        for identity, reasons in ((first, [old, {**old, "reason": "again"}]), (second, [old, new])):
            change = update(raw_file).where(raw_file.c.id == identity)
            connection.execute(change.values(state="quarantined", quarantine_reasons=reasons))
        connection.execute(
            bundle.insert().values(
                id=uuid.uuid4(), program_id=program, instrument_id=uuid.UUID(instrument), name="S", state="quarantined",
                content_sha256="c" * 64, quarantine_reasons=[new],
            )
        )  # fmt: skip
    found = health(api, instrument)
    assert datetime.fromisoformat(found["last_upload_at"]) == latest
    assert found["files"] == {"received": 0, "stored": 0, "quarantined": 2}
    assert found["quarantined"] == [
        {"adapter": "klarf", "adapter_version": "1", "files": 2},
        {"adapter": "klarf", "adapter_version": "2", "files": 2},
    ]


def test_readings_are_counted_by_adapter_and_version(api: Api, instrument: str) -> None:
    """Each reading of each file counts; an adapter that only looked at the beginning has not refused."""
    sniffed = {"adapter": "stdf", "version": "4", "reason": "not mine", "verdict": "sniffed"}
    refused = [{"adapter": "klarf", "version": v, "reason": "cut", "verdict": "refused"} for v in ("1", "2")]
    with api.engine.begin() as connection:
        program = connection.execute(select(people.program.c.id)).scalar_one()

        def add(index: int, *readings: dict[str, Any], sender: str | None = instrument) -> None:
            file = {"id": uuid.uuid4(), "program_id": program, "instrument_id": sender, "filename": "a"}
            content = {"size_bytes": 1, "sha256": f"{index:064d}", "blob_key": f"raw/{index}"}
            connection.execute(raw_file.insert().values(**file, **content))
            for reading in readings:
                values = {"id": uuid7(), "program_id": program, "raw_file_id": file["id"], **reading}
                connection.execute(ingest_event.insert().values(**values))

        stored = {"outcome": "stored", "adapter": "klarf", "adapter_version": "2"}
        add(1, {"outcome": "quarantined", "reasons": [sniffed, refused[0]]}, stored)
        add(2, {"outcome": "quarantined", "reasons": [refused[0], sniffed]})
        add(3, {"outcome": "quarantined", "reasons": [sniffed, refused[1]]})
        add(4, stored)
        add(5, stored, sender=None)
    found = health(api, instrument)["readings"]
    assert [(each["adapter"], each["adapter_version"], each["stored"], each["refused"]) for each in found] == [
        ("klarf", "1", 0, 2),
        ("klarf", "2", 2, 1),
    ]

"""Lists, keys, jobs, limits, health: what the other files do not cover."""

import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from db.identifiers import uuid7
from db.migration import read_state
from db.pagination import BadCursor, decode_cursor, encode_cursor
from db.schema import data, files, people, work
from services.api.ratelimit import RateLimiter
from services.api.routers import jobs as job_routes
from services.problems import Problem
from tests.api.conftest import Api, StartApi
from tests.api.population import add_account, add_program, add_row, populate


def program_id(api: Api) -> uuid.UUID:
    with api.engine.connect() as connection:
        return connection.execute(select(people.program.c.id)).scalars().first()


def add_job(api: Api, **values: Any) -> uuid.UUID:
    row = {"job_key": uuid.uuid4().hex, "program_id": program_id(api), "kind": "k", "queue": "cpu", "payload": {}}
    return add_row(api.engine, work.job, **(row | values), requested_by="test")


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_hold_every_row_once(api: Api, order: str) -> None:
    expected = [str(add_job(api)) for _ in range(23)]
    if order == "newest":
        expected.reverse()
    found: list[str] = []
    cursor = None
    for _ in range(10):
        parameters = {"limit": 5, "order": order} | ({"cursor": cursor} if cursor else {})
        page = api.call("GET", "/jobs", params=parameters).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        assert len(page["items"]) == 5
    assert found == expected


def test_cursors_are_checked() -> None:
    identity = uuid7()
    assert decode_cursor(encode_cursor(identity)) == identity
    for wrong in ("", "x", "é", "A" * 23, "A" * 24, encode_cursor(identity) + "=", encode_cursor(identity)[:-1]):
        with pytest.raises(BadCursor):
            decode_cursor(wrong)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "cursor=zzz", "order=up", "stat=queued", "state=odd", "kind=%00"]
)
def test_wrong_queries_are_refused(api: Api, query: str) -> None:
    answer = api.call("GET", f"/jobs?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")


def test_filters_choose(api: Api) -> None:
    ids = populate(api.engine, api.state.blobs, program_id(api)).ids
    beta = add_program(api.engine, "beta")
    add_row(api.engine, people.membership, account_id=admin_id(api), program_id=beta, role="viewer")
    populate(api.engine, api.state.blobs, beta)
    for path, parameters, expected in (
        ("/waveforms", {"program": "alpha", "net": "G16"}, "probed_id"),
        ("/files", {"program": "alpha", "state": "received"}, "file_id"),
        ("/jobs", {"probing_session": ids["session_id"], "kind": "localize"}, "job_id"),
        ("/results", {"probing_session": ids["session_id"], "kind": "localize"}, "result_id"),
        ("/findings", {"result": ids["result_id"]}, "finding_id"),
        ("/probing-sessions", {"bundle": ids["bundle_id"]}, "session_id"),
        ("/lots", {"product": ids["product_id"]}, "lot_id"),
        ("/programs", {"name": "alpha"}, "program_id"),
    ):
        items = api.call("GET", path, params=parameters).json()["items"]
        assert [item["id"] for item in items] == [str(ids[expected])], path
    assert len(api.call("GET", "/waveforms").json()["items"]) == 4
    assert api.call("GET", "/waveforms", params={"program": "gamma"}).status_code == 404


def admin_id(api: Api) -> uuid.UUID:
    with api.engine.connect() as connection:
        return connection.execute(select(people.account.c.id).where(people.account.c.name == "admin")).scalar_one()


def test_a_key_lives_its_life(api: Api) -> None:
    expires = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    issued = api.call("POST", "/api-keys", json={"label": "mine", "scopes": ["read"], "expires_at": expires}).json()
    assert re.fullmatch(r"fl_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", issued["key"])
    assert issued["key"].split("_")[1] == issued["prefix"]
    assert api.call("GET", "/jobs", issued["key"]).status_code == 200
    assert api.call("POST", "/programs", issued["key"], json={"name": "x"}).status_code == 403
    listed = {item["id"]: item for item in api.call("GET", "/api-keys").json()["items"]}
    assert issued["key"].split("_", 2)[2] not in str(listed)
    assert listed[issued["id"]]["last_used_at"] is not None
    used = listed[issued["id"]]["last_used_at"]
    api.call("GET", "/jobs", issued["key"])
    again = {item["id"]: item for item in api.call("GET", "/api-keys").json()["items"]}
    assert again[issued["id"]]["last_used_at"] == used, "written at most once a minute"
    assert api.call("DELETE", f"/api-keys/{issued['id']}").status_code == 204
    answer = api.call("GET", "/jobs", issued["key"])
    assert (answer.status_code, answer.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    with api.engine.connect() as connection:
        stored = connection.execute(select(people.api_key.c.secret_sha256)).scalars().all()
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in stored)


def test_nobody_can_issue_what_they_do_not_have(api: Api) -> None:
    engineer = add_account(api.engine, "e", ["read", "write"], {program_id(api): "engineer"})
    wider = api.call("POST", "/api-keys", engineer, json={"label": "x", "scopes": ["read", "admin"]})
    assert wider.status_code == 409
    other = api.call("POST", "/api-keys", engineer, json={"label": "x", "scopes": ["read"],
                                                          "account_id": str(admin_id(api))})  # fmt: skip
    assert other.status_code == 404
    instrument = api.call("POST", "/instruments", json={"program": "alpha", "name": "i", "kind": "scope"}).json()["id"]
    theirs = api.call("POST", "/api-keys", engineer, json={"label": "x", "scopes": ["upload"],
                                                           "instrument_id": instrument})  # fmt: skip
    assert theirs.status_code == 404
    for scopes, status in ((["read"], 409), (["upload"], 201)):
        body = {"label": "tool", "scopes": scopes, "instrument_id": instrument}
        assert api.call("POST", "/api-keys", json=body).status_code == status


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer fl_x", "Bearer fl_abcdefgh_\xff", "fl_abcdefgh_" + "x" * 43],
)
def test_malformed_keys_are_refused(api: Api, header: str) -> None:
    answer = api.client.get("/api/v1/jobs", headers={"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")


def test_localizing_twice_is_one_job(api: Api) -> None:
    session = populate(api.engine, api.state.blobs, program_id(api)).ids["session_id"]
    first = api.call("POST", f"/probing-sessions/{session}/localizations")
    second = api.call("POST", f"/probing-sessions/{session}/localizations")
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["payload"] == {"probing_session_id": str(session)}
    assert api.doorbell.rung == [uuid.UUID(first.json()["id"])]


def test_sessions_at_other_powers_are_another_question(api: Api) -> None:
    program = program_id(api)
    first = populate(api.engine, api.state.blobs, program).ids["session_id"]
    bundle = add_row(api.engine, files.bundle, program_id=program, name="S2", content_sha256="d" * 64)
    session = {"program_id": program, "bundle_id": bundle, "name": "S-2", "role": "suspect", "technique": "LVP"}
    second = add_row(api.engine, data.probing_session, document={"session": "S-2"}, **session)
    path = f"/probing-sessions/{first}/localizations"
    plain = api.call("POST", path, json={})
    assert plain.json()["id"] == api.call("POST", path).json()["id"]
    wanted = {"at_power_session_ids": [str(second)]}
    powers = [api.call("POST", path, json=body) for body in (wanted, {"at_power_session_ids": [str(second)] * 2})]
    assert [answer.status_code for answer in powers] == [202, 200]
    assert powers[0].json()["id"] == powers[1].json()["id"] != plain.json()["id"]
    assert powers[0].json()["payload"] == {"probing_session_id": str(first), **wanted}
    assert api.call("POST", path, json={"at_power_session_ids": [str(first)]}).status_code == 422
    assert api.call("POST", path, json={"at_power_session_ids": [str(uuid.uuid4())]}).status_code == 404


def test_judging_the_averaging_twice_is_one_job_for_each_chance_of_being_wrong(api: Api) -> None:
    session = populate(api.engine, api.state.blobs, program_id(api)).ids["session_id"]
    path = f"/probing-sessions/{session}/averagings"
    first, second = api.call("POST", path, json={}), api.call("POST", path, json={"wrong": 0.02})
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert (first.json()["kind"], first.json()["payload"]) == (
        "averaging",
        {"probing_session_id": str(session), "wrong": 0.02},
    )
    assert api.call("POST", path, json={"wrong": 0.001}).status_code == 202
    assert api.call("POST", path, json={"wrong": 0.6}).status_code == 422


def test_asking_for_a_batch_twice_is_one_job_on_the_queue_of_its_device(api: Api) -> None:
    session = populate(api.engine, api.state.blobs, program_id(api)).ids["session_id"]
    body = {"session_ids": [str(session)]}
    first = api.call("POST", "/batch-localizations", json=body)
    second = api.call("POST", "/batch-localizations", json=body | {"false_discovery_rate": 0.05})
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert (first.json()["kind"], first.json()["queue"], first.json()["payload"]) == (
        "localize-batch",
        "cpu",
        {
            "probing_session_ids": [str(session)],
            "fail_log_ids": [],
            "false_discovery_rate": 0.05,
            "device": "cpu",
        },
    )
    on_card = api.call("POST", "/batch-localizations", json=body | {"queue": "gpu"}).json()
    assert (on_card["queue"], on_card["payload"]["device"]) == ("gpu", "cuda")
    for wrong, status in (([], 422), ([str(session)] * 2, 422), ([str(uuid.uuid4())], 404)):
        assert api.call("POST", "/batch-localizations", json={"session_ids": wrong}).status_code == status


def test_comparing_twice_is_one_job_and_names_its_golden_sessions(api: Api) -> None:
    session = populate(api.engine, api.state.blobs, program_id(api)).ids["session_id"]
    path = f"/probing-sessions/{session}/comparisons"
    first = api.call("POST", path, json={"golden_session_ids": [str(session)]})
    second = api.call("POST", path, json={"golden_session_ids": [str(session)]})
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert (first.json()["kind"], first.json()["payload"]) == (
        "anomaly",
        {"probing_session_id": str(session), "golden_session_ids": [str(session)]},
    )
    assert api.call("POST", path, json={"golden_session_ids": []}).status_code == 422
    assert api.call("POST", path, json={"golden_session_ids": [str(uuid.uuid4())]}).status_code == 404


def test_a_waiting_job_is_cancelled_and_an_ended_one_is_not(api: Api) -> None:
    waiting = add_job(api)
    cancelled = api.call("POST", f"/jobs/{waiting}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    again = api.call("POST", f"/jobs/{waiting}/cancel")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/not-cancellable")
    running = add_job(api, state="running", lease_token=uuid.uuid4())
    asked = api.call("POST", f"/jobs/{running}/cancel").json()
    assert (asked["state"], asked["cancel_requested"]) == ("running", True)


def test_events_tell_every_change_until_the_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_routes, "POLL_S", 0.001)
    monkeypatch.setattr(job_routes, "HEARTBEAT_S", 0.0)
    job = add_job(api, state="running", lease_token=uuid.uuid4())
    steps = iter([{"progress": 0.5}, {}, {"state": "succeeded", "progress": 1.0, "lease_token": None}])
    look = job_routes._look

    def step(*arguments: Any) -> Any:
        values = next(steps, {}) if looks else {}
        looks.append(values)
        if values:
            with api.engine.begin() as connection:
                connection.execute(update(work.job).where(work.job.c.id == job).values(values))
        return look(*arguments)

    looks: list[Any] = []
    monkeypatch.setattr(job_routes, "_look", step)
    answer = api.call("GET", f"/jobs/{job}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("retry: 2000\n\n")
    assert ": still here\n\n" in answer.text
    states = re.findall(r'id: (.+)\nevent: progress\ndata: .*"state":"(\w+)"', answer.text)
    assert [state for _, state in states] == ["running", "running", "succeeded"]
    resumed = api.call("GET", f"/jobs/{job}/events", headers={"Last-Event-ID": states[-1][0]})
    assert resumed.status_code == 204


def test_health_does_not_need_the_broker(api: Api, start_api: StartApi) -> None:
    assert api.client.get("/livez").json() == {"status": "ok"}
    assert api.client.get("/readyz").status_code == 200
    metrics = api.client.get("/metrics").text
    assert "faultlight_database_up 1.0" in metrics
    assert 'faultlight_jobs{queue="ingest",state="queued"} 0.0' in metrics
    assert 'route="/api/v1/programs"' in metrics


def test_a_database_at_another_schema_is_not_ready(api: Api) -> None:
    object.__setattr__(api.state, "head_revision", "another")
    answer = api.client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")


def test_a_newer_schema_serves_this_version_as_long_as_it_says_so(api: Api) -> None:
    """A rolling upgrade: the schema is migrated first, and old processes go on until the new ones are there."""

    def migrate(revision: str, serves_from: str) -> None:
        with api.state.engine.begin() as connection:
            connection.execute(text(f"UPDATE faultlight.alembic_version SET version_num = '{revision}'"))
            connection.execute(text(f"UPDATE faultlight.schema_compatibility SET serves_from = '{serves_from}'"))

    before = read_state(api.state.engine)
    try:
        migrate("9999", api.state.head_revision)
        assert api.client.get("/readyz").json() == {"status": "ok", "revision": "9999"}
        migrate("9999", "9998")
        answer = api.client.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
        assert "which serves versions from 9998 on" in answer.json()["detail"]
        migrate("0001", "0001")
        assert "run faultlight migrate" in api.client.get("/readyz").json()["detail"]
    finally:
        migrate(str(before.revision), str(before.serves_from))


def test_a_database_that_is_down_is_told_with_retry_after(api: Api) -> None:
    from db.engine import make_engine

    gone = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    object.__setattr__(api.state, "engine", gone)
    object.__setattr__(api.state, "reading_engine", gone)
    for path in ("/api/v1/jobs", "/readyz"):
        answer = api.client.get(path, headers={"Authorization": f"Bearer {api.admin_key}"})
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert api.client.get("/livez").status_code == 200
    assert "faultlight_database_up 0.0" in api.client.get("/metrics").text


def test_requests_carry_an_id_and_safe_headers(api: Api) -> None:
    given = api.client.get("/livez", headers={"X-Request-ID": "abc-1.2_3"})
    assert given.headers["X-Request-ID"] == "abc-1.2_3"
    made = api.client.get("/livez", headers={"X-Request-ID": "no spaces\tplease"})
    assert uuid.UUID(made.headers["X-Request-ID"])
    for answer in (given, api.call("GET", "/nowhere"), api.call("PUT", "/jobs")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert api.call("GET", "/nowhere").json()["type"] == "/problems/not-found"
    assert api.call("PUT", "/jobs").json()["type"] == "/problems/method-not-allowed"


def test_large_bodies_are_refused(api: Api) -> None:
    for body in (b"x" * (1 << 20) + b"x", iter([b"x" * (1 << 20), b"x"])):
        answer = api.call("POST", "/programs", content=body)
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/request-too-large")


def test_requests_are_counted_per_key(settings: Any) -> None:
    if settings.broker_url is None:
        from services.embedded import EmbeddedBroker

        with EmbeddedBroker(settings.data_dir / "broker") as broker:
            check_rate(broker.url)
    else:
        check_rate(settings.broker_url.get_secret_value())


def check_rate(url: str) -> None:
    limiter = RateLimiter(url, 3, clock=lambda: 1_000_000.0)
    first, second = uuid.uuid4(), uuid.uuid4()
    for _ in range(3):
        limiter.check(first)
    with pytest.raises(Problem) as caught:
        limiter.check(first)
    assert caught.value.kind.name == "too-many-requests"
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 60
    limiter.check(second)
    limiter.close()


def test_without_a_broker_nobody_is_limited() -> None:
    """One key, far beyond its limit of one: a request that cannot be counted is let through."""
    limiter = RateLimiter("redis://127.0.0.1:1/0", 1)
    key = uuid.uuid4()
    for _ in range(5):
        limiter.check(key)


def test_the_audit_trail_tells_who_did_what(api: Api) -> None:
    api.call("POST", "/accounts", json={"name": "new"}, headers={"X-Request-ID": "req-7"})
    member = api.call("POST", "/memberships", json={"program": "alpha", "account": "new", "role": "viewer"})
    assert api.call("DELETE", f"/memberships/{member.json()['id']}").status_code == 204
    twice = api.call("POST", "/accounts", json={"name": "new"})
    assert (twice.status_code, twice.json()["type"]) == (409, "/problems/conflict")
    events = api.call("GET", "/audit-events", params={"program": "alpha"}).json()["items"]
    assert [event["action"] for event in events] == ["membership.deleted", "membership.created", "program.created"]
    assert {event["actor"] for event in events} == {"account:admin"}


def test_the_api_stays_light() -> None:
    code = (
        "import sys, re, pathlib; import services.api.app as a; a.make_app().openapi();"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'analysis', 'instruments', 'scipy'}),"
        "re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])"
    )
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    heavy, _, peak_kib = told.stdout.strip().rpartition(" ")
    assert heavy == "[]"
    assert int(peak_kib) < 250 * 1024


def test_every_table_row_of_a_large_page_is_there(api: Api) -> None:
    program = program_id(api)
    rows = [
        {"id": uuid7(), "job_key": uuid.uuid4().hex, "program_id": program, "kind": "k", "queue": "cpu", "payload": {},
         "requested_by": "t"}
        for _ in range(1001)
    ]  # fmt: skip
    with api.engine.begin() as connection:
        connection.execute(insert(work.job), rows)
    page = api.call("GET", "/jobs", params={"limit": 1000}).json()
    assert (len(page["items"]), page["next"] is not None) == (1000, True)

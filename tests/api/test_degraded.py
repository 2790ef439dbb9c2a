"""What the API does when a server beside it is slow, away or full: it goes on, or says so; it never half-does."""

import time
import uuid
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from db.repositories import access
from db.schema import people, work
from db.schema.files import raw_file
from services.api.ratelimit import RateLimiter
from services.problems import Problem
from services.workers.doorbell import Doorbell
from tests.api.conftest import Api, list_staged
from tests.api.population import add_upload

NOWHERE = "redis://127.0.0.1:1/0"


def test_an_upload_is_accepted_while_the_broker_is_away(api: Api) -> None:
    """The row is the truth: the answer is 2xx, the job waits, and nobody waits for Redis."""
    object.__setattr__(api.state, "doorbell", Doorbell(NOWHERE))
    object.__setattr__(api.state, "limiter", RateLimiter(NOWHERE, 1))
    begun = time.monotonic()
    answers = [api.upload(f"file {index}".encode()) for index in range(8)]
    assert [answer.status_code for answer in answers] == [204] * 8
    assert time.monotonic() - begun < 8, "only the first one waits for the broker"
    with api.engine.connect() as connection:
        assert connection.execute(select(work.job.c.state)).scalars().all() == ["queued"] * 8
    assert api.client.get("/readyz").status_code == 200


class Strict:
    """A limiter whose limit is reached."""

    def check(self, key_id: uuid.UUID) -> None:
        raise Problem("too-many-requests", "enough", headers={"Retry-After": "7"})

    def close(self) -> None:
        """Nothing is open."""


def test_too_many_requests_are_told_on_every_route(api: Api) -> None:
    object.__setattr__(api.state, "limiter", Strict())
    for method, path in (("GET", "/jobs"), ("POST", "/uploads"), ("GET", f"/files/{uuid.uuid4()}/content")):
        answer = api.call(method, path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7"), path
        assert answer.json()["type"] == "/problems/too-many-requests"
    assert api.client.get("/livez").status_code == api.client.get("/metrics").status_code == 200


FAILING_COMMIT = """
CREATE FUNCTION faultlight.fail_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the commit fails'; END $$;
CREATE CONSTRAINT TRIGGER fail_commit AFTER INSERT OR UPDATE OR DELETE ON faultlight.audit_event
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION faultlight.fail_commit();
"""


class failing_commits:  # noqa: N801
    """Every transaction that writes an audit entry fails at its commit, and not before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(FAILING_COMMIT))

    def __exit__(self, *_: object) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("DROP FUNCTION faultlight.fail_commit() CASCADE"))


def dump(engine: Engine) -> dict[str, list[Any]]:
    """Every row, without the time of a key's last use, which is no part of the request."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'faultlight' ORDER BY 1"
    with engine.connect() as connection:
        return {
            name: connection.execute(
                text(f"SELECT to_jsonb(t) - 'last_used_at' FROM faultlight.{name} t ORDER BY 1")
            ).scalars().all()
            for name in connection.execute(text(query)).scalars().all()
        }  # fmt: skip


def test_no_write_is_answered_with_success_when_its_commit_fails(api: Api) -> None:
    """Every endpoint that writes: 5xx, no row, no bell; the same request succeeds afterwards."""
    account = api.call("POST", "/accounts", json={"name": "ada"}).json()["id"]
    member = api.call("POST", "/memberships", json={"program": "alpha", "account": "ada", "role": "viewer"}).json()[
        "id"
    ]
    key = api.call("POST", "/api-keys", json={"label": "old", "scopes": ["read"]}).json()["id"]
    with api.engine.connect() as connection:
        program = connection.execute(select(people.program.c.id)).scalar_one()
    values = {"job_key": "k", "program_id": program, "kind": "k", "queue": "cpu", "payload": {}, "requested_by": "t"}
    with api.engine.begin() as connection:
        job = connection.execute(work.job.insert().values(id=uuid.uuid4(), **values).returning(work.job.c.id)).scalar()
    members = [{"path": "a", "sha256": "0" * 64, "size_bytes": 3}]
    requests: list[tuple[str, str, Any]] = [
        ("POST", "/programs", {"name": "beta"}),
        ("POST", "/accounts", {"name": "bob"}),
        ("PATCH", f"/accounts/{account}", {"disabled": True}),
        ("POST", "/instruments", {"program": "alpha", "name": "i", "kind": "scope"}),
        ("POST", "/api-keys", {"label": "new", "scopes": ["read"]}),
        ("POST", "/bundles", {"program": "alpha", "name": "b", "members": members}),
        ("POST", f"/jobs/{job}/cancel", None),
        ("DELETE", f"/memberships/{member}", None),
        ("DELETE", f"/api-keys/{key}", None),
    ]
    for method, path, body in requests:
        before = dump(api.engine)
        with failing_commits(api.engine):
            answer = api.call(method, path, json=body)
        assert answer.status_code >= 500, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert dump(api.engine) == before, (method, path)
        assert api.doorbell.rung == []
        assert api.call(method, path, json=body).is_success, (method, path)


def test_an_upload_whose_last_commit_fails_is_finished_by_the_next_request(api: Api) -> None:
    data = b"INPUT(a)\nOUTPUT(y)\ny = NOT(a)\n"
    location = api.announce(data).headers["Location"]
    with failing_commits(api.engine):
        assert api.send(location, 0, data).status_code >= 500
        with api.engine.connect() as connection:
            assert connection.execute(select(raw_file.c.id)).all() == []
    assert api.offset(location) == len(data)
    with api.engine.connect() as connection:
        assert connection.execute(select(raw_file.c.state)).scalars().all() == ["received"]
    assert list_staged(api) == []
    assert len(api.doorbell.rung) == 1


def test_a_request_that_is_committed_is_not_denied_by_what_follows(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of the key's last use is written afterwards, and may fail."""

    def fail(*_: object) -> None:
        raise OperationalError("UPDATE", None, Exception("the database went away"))

    monkeypatch.setattr(access, "record_use", fail)
    key = api.call("POST", "/api-keys", json={"label": "new", "scopes": ["read"]}).json()["key"]
    assert api.call("GET", "/jobs", key).status_code == 200


def test_what_crashes_leave_in_the_staging_folder_is_swept(api: Api) -> None:
    from services.api.uploads.leftovers import sweep_leftovers

    with api.engine.connect() as connection:
        program = connection.execute(select(people.program.c.id)).scalar_one()
    alive, dead, noted = add_upload(api.engine, program), uuid.uuid4(), uuid.uuid4()
    staging = api.state.staging
    for identity in (alive, dead):
        staging.path(identity).write_bytes(b"part")
    staging.interrupt_path(noted).touch()
    (staging.folder / "not-ours.part").touch()
    held = staging.try_lock(dead)
    assert held is not None
    assert sweep_leftovers(api.state) == 1
    assert staging.path(dead).exists(), "a request holds it"
    held.release()
    assert sweep_leftovers(api.state) == 1
    assert list_staged(api) == sorted([f"{alive}.part", "not-ours.part"])
    assert sweep_leftovers(api.state) == 0

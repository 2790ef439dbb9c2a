"""Lists, filters and streams show a caller nothing of programs that it is not a member of."""

import json
import uuid
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from db.pagination import encode_cursor
from db.schema import people, work
from services.api.app import ROUTERS
from services.api.contract import ACTIONS_MEMBER, list_operations
from services.api.routers import jobs as job_routes
from tests.api.conftest import Api
from tests.api.population import add_account, add_program, add_row, populate
from tests.api.test_access_matrix import NAMED_BY_QUERY, PUBLIC, SCOPES, TILE

FREE_PATHS = {
    "/openapi.json",
    "/docs",
    "/docs/start.js",
    "/docs/openapi.json",
    "/docs/assets/{name}",
    "/problems/{name}",
}
OVERVIEWS = {"/api/v1/operations"}
"""Answers that are one document of counts instead of a list."""


class Worlds:
    """Two populated programs, ``alpha`` and ``foreign``, and the admin of the foreign one."""

    def __init__(self, api: Api) -> None:
        self.api = api
        with api.engine.begin() as connection:
            self.alpha = connection.execute(select(people.program.c.id)).scalar_one()
            connection.execute(delete(people.membership))
        self.foreign = add_program(api.engine, "foreign")
        self.alpha_ids = populate(api.engine, api.state.blobs, self.alpha).ids
        self.foreign_ids = populate(api.engine, api.state.blobs, self.foreign).ids
        self.stranger = add_account(api.engine, "stranger", SCOPES, {self.foreign: "admin"})


@pytest.fixture
def worlds(api: Api) -> Worlds:
    return Worlds(api)


def list_paths(api: Api) -> list[tuple[str, list[dict[str, Any]]]]:
    """Every list of the contract with its query parameters."""
    return [
        (path, methods["get"].get("parameters", []))
        for path, methods in api.app.openapi()["paths"].items()
        if "get" in methods and "{" not in path and ("get", path) not in PUBLIC and path not in NAMED_BY_QUERY
    ]


def test_every_route_is_in_the_contract_or_public_by_intent(api: Api) -> None:
    """The matrix is made from the contract, so nothing may be reachable outside of it."""
    documented = {(method.lower(), path) for route, path in list_operations(ROUTERS) for method in route.methods or ()}
    contract = {(method, path) for path, methods in api.app.openapi()["paths"].items() for method in methods}
    assert documented == contract
    reachable = {prefix + route.path for prefix, router in ROUTERS for route in router.routes}
    assert reachable - {path for _, path in contract} == FREE_PATHS
    unguarded = {
        (method, path)
        for path, methods in api.app.openapi()["paths"].items()
        for method, operation in methods.items()
        if not operation.get(ACTIONS_MEMBER)
    }
    assert unguarded == PUBLIC


def test_lists_hold_rows_of_the_callers_programs_only(worlds: Worlds) -> None:
    api, seen = worlds.api, 0
    for path, _ in list_paths(api):
        answer = api.call("GET", path, worlds.stranger)
        if answer.status_code == 403:
            assert path == "/api/v1/accounts"
            continue
        assert str(worlds.alpha) not in answer.text, path
        if path in OVERVIEWS:
            continue
        items = answer.json()["items"]
        assert {item["program_id"] for item in items if item.get("program_id")} <= {str(worlds.foreign)}, path
        seen += bool(items)
    assert seen > 15


def test_a_filter_by_a_foreign_row_finds_nothing(worlds: Worlds) -> None:
    """Each identifier that a list takes, with the identifier of every row of the other program."""
    api, tried = worlds.api, 0
    for path, parameters in list_paths(api):
        for parameter in parameters:
            schema = json.dumps(parameter["schema"])
            if '"uuid"' not in schema:
                continue
            for identity in set(worlds.alpha_ids.values()):
                answer = api.call("GET", path, worlds.stranger, params={parameter["name"]: str(identity)})
                assert answer.json() == {"items": [], "next": None}, (path, parameter["name"])
                tried += 1
    assert tried > 200


def test_a_foreign_program_is_as_unknown_as_one_that_does_not_exist(worlds: Worlds) -> None:
    api, tried = worlds.api, 0
    nowhere = str(uuid.uuid4())
    for path, parameters in list_paths(api):
        if "program" not in {parameter["name"] for parameter in parameters}:
            continue
        tried += 1
        for name in ("alpha", str(worlds.alpha)):
            foreign = api.call("GET", path, worlds.stranger, params={"program": name})
            unknown = api.call("GET", path, worlds.stranger, params={"program": nowhere})
            assert foreign.status_code == unknown.status_code == 404, path
            assert foreign.text.replace(name, "?") == unknown.text.replace(nowhere, "?")
    assert tried > 15


def test_a_foreign_row_is_as_unknown_as_one_that_does_not_exist(worlds: Worlds) -> None:
    api, tried = worlds.api, 0
    for path, methods in api.app.openapi()["paths"].items():
        names = [name for name in worlds.alpha_ids if f"{{{name}}}" in path]
        if "get" not in methods or not names:
            continue
        identity, nowhere = str(worlds.alpha_ids[names[0]]), str(uuid.uuid4())
        foreign = api.call("GET", path.format(**{names[0]: identity}, **TILE), worlds.stranger)
        unknown = api.call("GET", path.format(**{names[0]: nowhere}, **TILE), worlds.stranger)
        assert foreign.status_code == unknown.status_code == 404, (path, foreign.text)
        assert foreign.text.replace(identity, "?") == unknown.text.replace(nowhere, "?")
        assert "ETag" not in foreign.headers
        tried += 1
    assert tried > 20


def test_a_forged_cursor_opens_nothing(worlds: Worlds) -> None:
    """A cursor only says where to go on; whose rows are shown does not depend on it."""
    api = worlds.api
    for identity in (worlds.alpha_ids["file_id"], uuid.UUID(int=(1 << 128) - 1)):
        try:
            cursor = encode_cursor(identity)
        except ValueError:
            continue
        for order in ("newest", "oldest"):
            answer = api.call("GET", "/files", worlds.stranger, params={"cursor": cursor, "order": order})
            assert answer.status_code in {200, 422}
            assert str(worlds.alpha) not in answer.text


def test_the_role_counts_in_its_own_program_only(worlds: Worlds) -> None:
    """One account, two roles: an operator of alpha sees no records there, though it is an engineer elsewhere."""
    api = worlds.api
    both = add_account(api.engine, "both", SCOPES, {worlds.alpha: "operator", worlds.foreign: "engineer"})

    def programs(path: str) -> set[str]:
        return {item["program_id"] for item in api.call("GET", path, both).json()["items"]}

    alpha, foreign = str(worlds.alpha), str(worlds.foreign)
    assert programs("/files") == programs("/jobs") == {alpha, foreign}
    assert programs("/waveforms") == programs("/results") == {foreign}
    assert api.call("GET", "/waveforms", both, params={"program": "alpha"}).status_code == 403
    assert api.call("GET", f"/waveforms/{worlds.alpha_ids['waveform_id']}", both).status_code == 404
    assert api.call("POST", f"/jobs/{worlds.alpha_ids['job_id']}/cancel", both).status_code == 403
    assert api.call("POST", f"/jobs/{worlds.foreign_ids['job_id']}/cancel", both).status_code == 202
    session = f"/probing-sessions/{worlds.alpha_ids['session_id']}/localizations"
    assert api.call("POST", session, both).status_code == 404


def test_a_key_that_is_revoked_ends_its_streams(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream asks for access at each look: it does not outlive the key."""
    monkeypatch.setattr(job_routes, "POLL_S", 0.01)
    api, looks = worlds.api, []
    values = {"job_key": uuid.uuid4().hex, "program_id": worlds.alpha, "kind": "k", "queue": "cpu", "payload": {}}
    job = add_row(api.engine, work.job, **values, requested_by="t")
    key = add_account(api.engine, "member", SCOPES, {worlds.alpha: "viewer"})
    look = job_routes._look

    def revoke_at_third(*arguments: Any) -> Any:
        looks.append(1)
        if len(looks) == 3:
            with api.engine.begin() as connection:
                statement = update(people.api_key).where(people.api_key.c.label == "member")
                connection.execute(statement.values(revoked_at=people.api_key.c.created_at))
        return look(*arguments)

    monkeypatch.setattr(job_routes, "_look", revoke_at_third)
    answer = api.call("GET", f"/jobs/{job}/events", key)
    assert (answer.status_code, len(looks)) == (200, 3)
    assert answer.text.count("event: progress") == 1
    again = api.call("GET", f"/jobs/{job}/events", key)
    assert again.status_code == 401

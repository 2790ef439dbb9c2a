"""A key found good is remembered for a moment: who it reads for, how long, and what ends it."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from db.repositories.access import Authenticated, Caller
from db.schema import people
from services.api.recent_keys import RecentKeys
from tests.api.conftest import Api, StartApi

KEY = "fl_abcdefgh_" + "x" * 43


def _authenticated(**values: Any) -> Authenticated:
    caller = Caller(uuid.uuid4(), "account:a", frozenset({"read"}), account_id=uuid.uuid4(), request_id="first")
    return Authenticated(caller, **({"last_use_is_stale": False} | values))


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_known_for_its_time_and_no_longer() -> None:
    """The caller comes back as one of no request: what only reads is not audited."""
    clock = _Clock()
    keys = RecentKeys(1.0, clock)
    authenticated = _authenticated()
    keys.keep(KEY, authenticated)
    clock.now = 100.99
    found = keys.find(KEY)
    assert found is not None
    assert (found.key_id, found.request_id) == (authenticated.caller.key_id, None)
    assert keys.find(KEY[:-1] + "y") is None
    clock.now = 101.0
    assert keys.find(KEY) is None


def test_a_key_is_not_known_beyond_its_expiry() -> None:
    """Expiry counts to the instant."""
    clock = _Clock()
    keys = RecentKeys(3600.0, clock)
    keys.keep(KEY, _authenticated(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert keys.find(KEY) is None
    keys.keep(KEY, _authenticated(expires_at=datetime.now(UTC) + timedelta(seconds=600)))
    assert keys.find(KEY) is not None
    clock.now += 601
    assert keys.find(KEY) is None


def test_what_is_not_kept() -> None:
    """Nothing at 0 seconds, nothing whose last use is due, nothing after a change of access."""
    never = RecentKeys(0.0)
    never.keep(KEY, _authenticated())
    assert never.find(KEY) is None
    keys = RecentKeys(60.0)
    keys.keep(KEY, _authenticated(last_use_is_stale=True))
    assert keys.find(KEY) is None
    keys.keep(KEY, _authenticated())
    keys.forget_all()
    assert keys.find(KEY) is None


def test_memory_is_bounded() -> None:
    """Many keys push out old ones."""
    keys = RecentKeys(60.0)
    for index in range(5000):
        keys.keep(f"{KEY}{index}", _authenticated())
    assert len(keys._callers) <= 1024


def _read_twice(api: Api, key: str) -> list[int]:
    return [api.call("GET", "/waveforms", key).status_code for _ in range(2)]


def test_revoking_through_the_api_counts_at_once(start_api: StartApi) -> None:
    """Also with a long memory; a revocation behind the API's back counts after it, a write never uses it."""
    api = start_api(key_cache_s=3600.0)
    made = api.call("POST", "/api-keys", json={"label": "mine", "scopes": ["read", "write"]}).json()
    assert _read_twice(api, made["key"]) == [200, 200]
    assert api.call("DELETE", f"/api-keys/{made['id']}").status_code == 204
    assert _read_twice(api, made["key"]) == [401, 401]
    other = api.call("POST", "/api-keys", json={"label": "other", "scopes": ["read", "write"]}).json()
    assert _read_twice(api, other["key"]) == [200, 200]
    with api.engine.begin() as connection:
        revoked = update(people.api_key).where(people.api_key.c.id == other["id"])
        connection.execute(revoked.values(revoked_at=datetime.now(UTC)))
    assert _read_twice(api, other["key"]) == [200, 200]
    assert api.call("POST", f"/jobs/{uuid.uuid4()}/cancel", other["key"]).status_code == 401

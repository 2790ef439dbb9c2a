"""Signing in: passwords, lockout, links that are good once, sessions that end, forms of other sites."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select, update

from db.repositories import console_access
from db.schema import people, sign_in
from services.api import middleware
from services.web import console as console_module
from services.web import page
from services.web.pages import signing_in
from services.web.passwords import hash_password, verify_password
from tests.web.conftest import PASSWORD, Console, check_html

WRONG = "incorrect horse battery"


def test_every_page_sends_strangers_to_the_sign_in_and_back(console: Console) -> None:
    browser = console.browser()
    answer = browser.get("/files?state=quarantined")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Ffiles%3Fstate%3Dquarantined")
    form = browser.get(answer.headers["location"])
    check_html(form.text)
    assert 'value="/files?state=quarantined"' in form.text
    console.add_person("ada", "engineer")
    signed = browser.post("/sign-in", name="ada", password=PASSWORD, next="/files?state=quarantined")
    assert (signed.status_code, signed.headers["location"]) == (303, "/files?state=quarantined")


def test_signing_in_leads_nowhere_else(console: Console) -> None:
    console.add_person("ada", "engineer")
    foreign = ("https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example")
    for target in (*foreign, "javascript:x", ""):
        answer = console.browser().post("/sign-in", name="ada", password=PASSWORD, next=target)
        assert answer.headers["location"] == "/"


def test_the_cookie_is_out_of_reach_of_scripts_and_rotates(console: Console) -> None:
    console.add_person("ada", "engineer")
    browser = console.browser()
    first = browser.sign_in("ada").headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(first.split("; "))
    token = browser.client.cookies["faultlight"]
    browser.sign_in("ada")
    assert browser.client.cookies["faultlight"] != token
    browser.client.cookies.set("faultlight", token)
    assert browser.get("/").headers["location"] == "/sign-in"


def test_with_https_the_cookie_insists_on_it(start_api: object, console: Console) -> None:
    state = console.api.state
    secure = state.settings.model_copy(update={"public_url": "https://faultlight.example"})
    object.__setattr__(state, "settings", secure)
    console.add_person("ada", "engineer")
    cookie = console.browser().sign_in("ada").headers["set-cookie"]
    assert cookie.startswith("__Host-faultlight=")
    assert "Secure" in cookie
    # The name that a neighbouring host can set counts for nothing.
    token = cookie.removeprefix("__Host-faultlight=").partition(";")[0]
    browser = console.browser()
    browser.client.cookies.set("faultlight", token)
    assert browser.get("/").headers["location"] == "/sign-in"
    assert browser.client.get("/api/v1/files").status_code == 401
    browser.client.cookies.set("__Host-faultlight", token)
    assert browser.get("/").status_code == 200


def test_wrong_passwords_and_unknown_names_look_the_same(console: Console) -> None:
    console.add_person("ada", "engineer")
    browser = console.browser()
    wrong, unknown = browser.sign_in("ada", WRONG), browser.sign_in("nobody", WRONG)
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("ada", "nobody") == unknown.text
    check_html(wrong.text)


def test_an_account_is_locked_after_too_many_wrong_passwords(console: Console) -> None:
    console.add_person("ada", "engineer")
    browser = console.browser()
    for _ in range(console.api.state.settings.sign_in_attempts):
        assert browser.sign_in("ada", WRONG).status_code == 401
    assert browser.sign_in("ada").status_code == 401
    with console.api.engine.begin() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(update(sign_in.account_credential).values(locked_until=past))
        actions = set(connection.execute(select(people.audit_event.c.action)).scalars())
    assert {"console.sign-in-failed", "console.locked"} <= actions
    assert browser.sign_in("ada").status_code == 303


def test_a_lock_that_came_while_the_password_was_compared_counts(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    console.add_person("ada", "engineer")

    def compare_slowly(stored: str | None, password: str) -> bool:
        with console.api.engine.begin() as connection:
            soon = datetime.now(UTC) + timedelta(minutes=1)
            connection.execute(update(sign_in.account_credential).values(locked_until=soon))
        return verify_password(stored, password)

    monkeypatch.setattr(signing_in, "verify_password", compare_slowly)
    assert console.browser().sign_in("ada").status_code == 401


def test_a_form_of_another_site_is_refused(console: Console) -> None:
    console.add_person("ada", "engineer")
    browser = console.browser()
    fields = {"name": "ada", "password": PASSWORD}
    for origin in ("https://evil.example", "null"):
        answer = browser.client.post("/sign-in", data=fields, headers={"Origin": origin}, follow_redirects=False)
        assert answer.status_code == 403
    browser.sign_in("ada")
    without = browser.client.post("/cases", data={"title": "x", "program": "alpha"}, follow_redirects=False)
    assert (without.status_code, "forgery token" in without.text) == (403, True)
    guessed = browser.client.post("/cases", data={"title": "x", "program": "alpha", "forgery": "0" * 64})
    assert guessed.status_code == 403


def test_no_form_is_looked_at_without_the_token(console: Console) -> None:
    client = console.person("admin", admin=True).client
    forms = [
        route.path
        for router in console_module.ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and "POST" in route.methods and not route.path.startswith("/sign-in")
    ]
    assert len(forms) > 20
    for path in forms:
        answer = client.post(re.sub(r"\{\w+\}", str(uuid.uuid4()), path), data={}, follow_redirects=False)
        assert (answer.status_code, "forgery token" in answer.text) == (403, True), path


def test_the_api_takes_the_cookie_and_asks_scripts_for_the_token(console: Console) -> None:
    browser = console.person("engineer")
    assert browser.client.get("/api/v1/files").status_code == 200
    body = {"program": "alpha", "title": "x"}
    assert browser.client.post("/api/v1/cases", json=body).status_code == 403
    sent = browser.client.post("/api/v1/cases", json=body, headers={"X-Faultlight-Forgery": browser.forgery})
    assert sent.status_code == 201
    # A key that is sent goes before the cookie, and needs no token.
    key = {"Authorization": f"Bearer {console.api.admin_key}"}
    assert browser.client.post("/api/v1/programs", json={"name": "beta"}, headers=key).status_code == 201


def test_a_session_ends_by_signing_out_by_time_and_with_its_account(console: Console) -> None:
    browser = console.person("engineer")
    token = browser.client.cookies["faultlight"]
    assert browser.post("/sign-out").headers["location"] == "/sign-in"
    browser.client.cookies.set("faultlight", token)
    assert browser.get("/").status_code == 303
    for change in ({"idle_expires_at": datetime.now(UTC)}, {"expires_at": datetime.now(UTC)}):
        browser = console.person("viewer")
        with console.api.engine.begin() as connection:
            connection.execute(update(sign_in.console_session).values(change))
        console.api.state.recent_keys.forget_all()
        assert browser.get("/").status_code == 303
    browser = console.person("viewer")
    with console.api.engine.begin() as connection:
        connection.execute(update(people.account).values(disabled_at=datetime.now(UTC)))
    console.api.state.recent_keys.forget_all()
    assert browser.get("/").status_code == 303


def test_an_account_that_was_disabled_by_the_api_has_no_sessions_when_it_is_enabled_again(console: Console) -> None:
    browser = console.person("viewer")
    with console.api.engine.connect() as connection:
        query = select(people.account.c.id).where(people.account.c.name.like("viewer-%"))
        account = connection.execute(query).scalar_one()
    for disabled in (True, False):
        answer = console.api.call("PATCH", f"/accounts/{account}", json={"disabled": disabled})
        assert answer.is_success, answer.text
    assert browser.get("/").headers["location"] == "/sign-in"


def test_the_log_does_not_tell_a_link(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Log:
        def info(self, event: str, **values: object) -> None:
            told.append(f"{event} {values}")

    monkeypatch.setattr(middleware, "log", Log())
    monkeypatch.setattr(page, "log", Log())
    browser = console.browser()
    browser.get("/sign-in/once/secret-of-a-link")
    browser.post("/sign-in/once/secret-of-a-link")
    assert len(told) == 3
    assert not [each for each in told if "secret" in each]


def test_use_moves_the_end_on_but_never_beyond_the_last_moment(console: Console) -> None:
    browser = console.person("viewer")
    session = sign_in.console_session
    long_ago, soon = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(minutes=1)
    with console.api.engine.begin() as connection:
        connection.execute(update(session).values(last_seen_at=long_ago, idle_expires_at=soon, expires_at=soon))
    console.api.state.recent_keys.forget_all()
    assert browser.get("/").status_code == 200
    with console.api.engine.connect() as connection:
        row = connection.execute(select(session)).one()
    assert row.last_seen_at > long_ago
    assert row.idle_expires_at == row.expires_at == soon


def test_a_link_signs_in_once_and_a_look_does_not_use_it_up(console: Console) -> None:
    with console.api.engine.begin() as connection:
        token = console_access.issue_administrator_link(connection, 3600)
    browser = console.browser()
    page = browser.get(f"/sign-in/once/{token}")
    check_html(page.text)
    assert browser.get(f"/sign-in/once/{token}").status_code == 200
    assert browser.post(f"/sign-in/once/{token}").headers["location"] == "/account"
    assert "You administer this installation" in browser.get("/account").text
    assert console.browser().post(f"/sign-in/once/{token}").status_code == 404
    short = browser.post("/account/password", password="short", repeated="short")
    assert "12 to 200 characters" in short.text
    differs = browser.post("/account/password", password="x" * 20, repeated="y" * 20)
    assert differs.status_code == 422
    assert browser.post("/account/password", password="x" * 20, repeated="x" * 20).status_code == 303
    browser.get("/")
    # Now there is a password, and it is asked for.
    assert browser.post("/account/password", password="z" * 20, repeated="z" * 20).status_code == 403
    assert console.browser().sign_in("admin", "x" * 20).status_code == 303


def test_an_old_link_and_one_that_was_replaced_are_refused(console: Console) -> None:
    with console.api.engine.begin() as connection:
        replaced = console_access.issue_administrator_link(connection, 3600)
        expired = console_access.issue_administrator_link(connection, -1)
    for token in (replaced, expired, "nonsense"):
        assert console.browser().post(f"/sign-in/once/{token}").status_code == 404


def test_a_new_password_ends_every_other_session(console: Console) -> None:
    console.add_person("ada", "engineer")
    first, second = console.browser(), console.browser()
    first.sign_in("ada")
    second.sign_in("ada")
    fields = {"current": PASSWORD, "password": "another long one", "repeated": "another long one"}
    assert first.post("/account/password", **fields).status_code == 303
    assert first.get("/").status_code == 200
    assert second.get("/").status_code == 303


def test_passwords_are_hashed_and_compared_even_for_nobody() -> None:
    stored = hash_password(PASSWORD)
    assert re.match(r"\$argon2id\$", stored)
    assert verify_password(stored, PASSWORD)
    assert not verify_password(stored, WRONG)
    assert not verify_password(None, "no account has this password")
    assert not verify_password("not a hash", PASSWORD)

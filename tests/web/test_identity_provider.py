"""Signing in by an identity provider: the code flow against one that is played here, and what must be refused."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt
from pydantic import SecretStr

from tests.web.conftest import Browser, Console

ISSUER = "https://id.example"
KEY = jwk.RSAKey.generate_key(2048, parameters={"kid": "k1"})
OTHER = jwk.RSAKey.generate_key(2048, parameters={"kid": "k1"})


class Provider:
    """Plays the provider; ``claims`` and ``key`` are what it says and signs with."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.key: Any = KEY
        self.header: dict[str, str] = {"alg": "RS256", "kid": "k1"}
        self.issuer = ISSUER
        self.forms: list[dict[str, list[str]]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/.well-known/openid-configuration":
            places = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
            return httpx.Response(200, json={"issuer": self.issuer} | {k: ISSUER + v for k, v in places.items()})
        if path == "/keys":
            return httpx.Response(200, json={"keys": [KEY.as_dict(private=False)]})
        self.forms.append(parse_qs(request.content.decode()))
        return httpx.Response(200, json={"id_token": jwt.encode(self.header, self.claims, self.key)})


@pytest.fixture
def provider(console: Console) -> Iterator[Provider]:
    state, played = console.api.state, Provider()
    changes = {
        "oidc_issuer": ISSUER, "oidc_client_id": "faultlight", "oidc_client_secret": SecretStr("s"),
        "public_url": "http://testserver",
    }  # fmt: skip
    object.__setattr__(state, "settings", state.settings.model_copy(update=changes))
    console.api.app.state.provider_http = httpx.Client(transport=httpx.MockTransport(played.answer))
    yield played
    del console.api.app.state.provider_http


def go(browser: Browser, provider: Provider, **claims: Any) -> dict[str, list[str]]:
    """Begin to sign in; what the browser was sent to the provider with."""
    answer = browser.get("/sign-in/oidc")
    assert answer.headers["location"].startswith(f"{ISSUER}/authorize?")
    sent = parse_qs(urlsplit(answer.headers["location"]).query)
    usual = {"iss": ISSUER, "aud": "faultlight", "exp": int(time.time()) + 300, "nonce": sent["nonce"][0]}
    provider.claims = {**usual, "preferred_username": "ada", **claims}
    provider.claims = {name: value for name, value in provider.claims.items() if value is not None}
    return sent


def come_back(browser: Browser, sent: dict[str, list[str]]) -> httpx.Response:
    return browser.get(f"/sign-in/oidc/callback?code=abc&state={sent['state'][0]}")


def test_who_the_provider_vouches_for_is_signed_in(console: Console, provider: Provider) -> None:
    console.add_person("ada", "engineer")
    browser = console.browser()
    assert "/sign-in/oidc" in browser.get("/sign-in").text
    sent = go(browser, provider)
    answer = come_back(browser, sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "ada" in browser.get("/account").text
    assert provider.forms[0]["client_secret"] == ["s"]
    assert provider.forms[0]["code_verifier"][0] not in str(sent)
    # The same answer is good once: the browser has given its part away.
    assert come_back(browser, sent).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"}, {"aud": ["faultlight", "another"]}, {"iss": "https://evil.example"}, {"exp": 1},
        {"exp": None}, {"nonce": "old"}, {"nonce": None}, {"preferred_username": None},
        {"preferred_username": "nobody"},
    ],
)  # fmt: skip
def test_what_the_provider_does_not_say_of_this_attempt_is_refused(
    console: Console, provider: Provider, claims: dict[str, Any]
) -> None:
    console.add_person("ada", "engineer")
    browser = console.browser()
    assert come_back(browser, go(browser, provider, **claims)).status_code == 403
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(("verified", "status"), [(True, 303), (False, 403), ("true", 403), (None, 403)])
def test_an_address_counts_when_the_provider_has_verified_it(
    console: Console, provider: Provider, verified: object, status: int
) -> None:
    console.add_person("ada@example.com", "engineer")
    settings = console.api.state.settings.model_copy(update={"oidc_claim": "email"})
    object.__setattr__(console.api.state, "settings", settings)
    browser = console.browser()
    sent = go(browser, provider, email="ada@example.com", email_verified=verified)
    assert come_back(browser, sent).status_code == status


def test_a_word_signed_by_another_or_by_the_secret_is_refused(console: Console, provider: Provider) -> None:
    console.add_person("ada", "engineer")
    secret = jwk.OctKey.import_key("s" * 32)
    for key, header in ((OTHER, {"alg": "RS256", "kid": "k1"}), (secret, {"alg": "HS256", "kid": "k1"})):
        browser = console.browser()
        sent = go(browser, provider)
        provider.key, provider.header = key, header
        assert come_back(browser, sent).status_code == 403


def test_an_answer_to_another_browser_is_refused(console: Console, provider: Provider) -> None:
    console.add_person("ada", "engineer")
    sent = go(console.browser(), provider)
    assert come_back(console.browser(), sent).status_code == 403


def test_a_provider_that_is_another_or_none_is_told(console: Console, provider: Provider) -> None:
    provider.issuer = "https://evil.example"
    assert console.browser().get("/sign-in/oidc").status_code == 503
    settings = console.api.state.settings.model_copy(update={"oidc_issuer": None})
    object.__setattr__(console.api.state, "settings", settings)
    assert console.browser().get("/sign-in/oidc").status_code == 404
    assert "/sign-in/oidc" not in console.browser().get("/sign-in").text

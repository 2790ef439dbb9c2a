"""OpenID Connect with the code flow and PKCE: where to send a browser, and who came back.

Sources: OpenID Connect Core 1.0 (3.1), RFC 7636. Only signatures by asymmetric keys are accepted, so that the client's
secret can never pass for the provider's key.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from services.problems import Problem
from services.settings import Settings

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
TIMEOUT_S = 10.0
CALLBACK = "/sign-in/oidc/callback"


@dataclass(frozen=True)
class Attempt:
    """What this browser must bring back; kept in its cookie for some minutes."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def begin(cls) -> "Attempt":
        """Return a new attempt."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @property
    def challenge(self) -> str:
        """The verifier's digest (RFC 7636, S256)."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


class IdentityProvider:
    """The configured provider; what it publishes of itself is asked for at each sign-in.

    ``http`` is for tests; by default each use has a client of its own, without proxies from the environment.
    """

    def __init__(self, settings: Settings, http: httpx.Client | None = None) -> None:
        self._issuer = (settings.oidc_issuer or "").rstrip("/")
        self._client_id = settings.oidc_client_id or ""
        secret = settings.oidc_client_secret
        self._client_secret = secret.get_secret_value() if secret is not None else ""
        self._claim = settings.oidc_claim
        self._redirect = f"{(settings.public_url or '').rstrip('/')}{CALLBACK}"
        self._http = http or httpx.Client(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False)

    @staticmethod
    def is_configured(settings: Settings) -> bool:
        """Whether all that the flow needs is set."""
        return bool(settings.oidc_issuer and settings.oidc_client_id and settings.public_url)

    def address(self, attempt: Attempt) -> str:
        """Return where to send the browser."""
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect,
            "scope": "openid profile email",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._discover()['authorization_endpoint']}?{urlencode(query)}"

    def who(self, attempt: Attempt, code: str) -> str:
        """Return the account's name that the provider vouches for; raises a problem when it does not."""
        found = self._discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "client_id": self._client_id,
            "code_verifier": attempt.verifier,
        }
        if self._client_secret:
            form["client_secret"] = self._client_secret
        answer = self._ask("POST", found["token_endpoint"], data=form)
        claims = self._verify(str(answer.get("id_token", "")), found, attempt)
        name = claims.get(self._claim)
        if not isinstance(name, str) or not name or len(name) > 200:
            raise Problem("forbidden", f"the identity provider does not say {self._claim!r}")
        # An address that nobody has verified is what its owner typed, or somebody else's (Core 1.0, 5.1).
        if self._claim == "email" and claims.get("email_verified") is not True:
            raise Problem("forbidden", "the identity provider does not say that it has verified the e-mail address")
        return name

    def _discover(self) -> dict[str, Any]:
        found = self._ask("GET", f"{self._issuer}/.well-known/openid-configuration")
        if str(found.get("issuer", "")).rstrip("/") != self._issuer:
            raise Problem("unavailable", "the identity provider says that it is another one")
        missing = {"authorization_endpoint", "token_endpoint", "jwks_uri"} - found.keys()
        if missing:
            raise Problem("unavailable", f"the identity provider does not say its {', '.join(sorted(missing))}")
        return found

    def _verify(self, token: str, found: Mapping[str, Any], attempt: Attempt) -> dict[str, Any]:
        rules = jwt.JWTClaimsRegistry(
            leeway=60,
            iss={"essential": True, "value": found["issuer"]},
            aud={"essential": True, "value": self._client_id},
            exp={"essential": True},
            nonce={"essential": True, "value": attempt.nonce},
        )
        try:
            keys = jwk.KeySet.import_key_set(self._ask("GET", str(found["jwks_uri"])))  # type: ignore[arg-type]
            claims: dict[str, Any] = dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)
            rules.validate(claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Problem("forbidden", f"the identity provider's word is not valid: {error}") from error
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != self._client_id:
            raise Problem("forbidden", "the identity provider's word is for another client")
        return claims

    def _ask(self, method: str, url: str, **rest: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, url, headers={"Accept": "application/json"}, **rest)
            document = answer.json() if answer.is_success else None
        except (httpx.HTTPError, ValueError) as error:
            raise Problem("unavailable", f"the identity provider does not answer: {type(error).__name__}") from error
        if not isinstance(document, dict):
            raise Problem("unavailable", f"the identity provider answered {answer.status_code} without a document")
        return document

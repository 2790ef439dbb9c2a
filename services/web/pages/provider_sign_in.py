"""Signing in by an identity provider (OpenID Connect), where one is configured."""

import hmac

from fastapi import APIRouter, Request
from starlette.responses import Response

from db.repositories import console_access
from db.unit_of_work import begin
from services.api.context import is_secure
from services.api.state import ApiState
from services.problems import Problem
from services.web.identity_provider import CALLBACK, Attempt, IdentityProvider
from services.web.page import PageRoute, redirect
from services.web.pages.signing_in import begin_session, set_session

router = APIRouter(include_in_schema=False, route_class=PageRoute)

COOKIE = "faultlight_provider"
PATIENCE_S = 600


def _provider(request: Request) -> tuple[ApiState, IdentityProvider]:
    state: ApiState = request.app.state.api
    if not IdentityProvider.is_configured(state.settings):
        raise Problem("not-found", "no identity provider is configured")
    return state, IdentityProvider(state.settings, getattr(request.app.state, "provider_http", None))


@router.get("/sign-in/oidc")
def go_to_provider(request: Request) -> Response:
    """Send the browser to the provider, with what it must bring back in a cookie."""
    state, provider = _provider(request)
    attempt = Attempt.begin()
    answer = redirect(provider.address(attempt))
    value = f"{attempt.state}.{attempt.nonce}.{attempt.verifier}"
    answer.set_cookie(
        COOKIE,
        value,
        max_age=PATIENCE_S,
        path="/sign-in/oidc",
        secure=is_secure(state.settings),
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get(CALLBACK)
def come_back(request: Request) -> Response:
    """Begin a session for whom the provider vouches for; the account must be there."""
    state, provider = _provider(request)
    parts = request.cookies.get(COOKIE, "").split(".")
    sent = request.query_params.get("state", "")
    if len(parts) != 3 or not hmac.compare_digest(parts[0].encode(), sent.encode()):
        raise Problem("forbidden", "this answer of the identity provider does not belong to this browser; try again")
    if "error" in request.query_params:
        raise Problem("forbidden", f"the identity provider refused: {request.query_params['error'][:100]}")
    name = provider.who(Attempt(*parts), request.query_params.get("code", ""))
    with begin(state.engine) as unit:
        credential = console_access.find_credential(unit.connection, name)
        if credential is None or credential.disabled:
            raise Problem("forbidden", f"there is no account {name!r} here; ask an administrator for one")
        session = begin_session(request, unit.connection, credential.account_id, "oidc")
    answer = set_session(redirect("/"), state.settings, session)
    answer.delete_cookie(COOKIE, path="/sign-in/oidc")
    return answer

"""Signing in and out: by password, by a link that is good once; the cookie and its rules."""

import uuid
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection
from starlette.responses import Response

from db.repositories import console_access
from db.repositories.console_access import BeganSession, Lockout, SessionTimes
from db.unit_of_work import begin
from services.api.context import SESSION_COOKIES, is_secure, session_cookie
from services.api.state import ApiState
from services.problems import Problem
from services.settings import Settings
from services.web.identity_provider import IdentityProvider
from services.web.page import AnyPage, PageRoute, read_form, redirect, theme_of
from services.web.passwords import verify_password
from services.web.rendering import answer_page

router = APIRouter(include_in_schema=False, route_class=PageRoute)

REFUSED = "The name or the password is wrong, or the account is locked for a while after too many tries."
Form = Annotated[dict[str, str], Depends(read_form)]


def _state(request: Request) -> ApiState:
    state: ApiState = request.app.state.api
    return state


def refuse_foreign(request: Request) -> None:
    """Raise a problem for a form that a page of another site sent: nobody is to be signed in by somebody else."""
    origin = request.headers.get("origin")
    if origin is None:
        return
    public = _state(request).settings.public_url
    known = {request.headers.get("host"), urlsplit(public).netloc if public else None}
    if urlsplit(origin).netloc not in known:
        raise Problem("forbidden", "this form was sent from another site")


def local_path(text: str | None) -> str:
    """Return where to go after signing in: a path of this service and nothing else."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return "/"
    # Browsers leave out tabs and line breaks: "/<tab>/host" would be another host's address.
    if not text.isprintable():
        return "/"
    return text


def set_session(answer: Response, settings: Settings, session: BeganSession) -> Response:
    """Give the browser the cookie of a new session."""
    answer.set_cookie(
        session_cookie(settings),
        session.token,
        max_age=int(settings.console_session_s),
        path="/",
        secure=is_secure(settings),
        httponly=True,
        samesite="lax",
    )
    return answer


def times_of(settings: Settings) -> SessionTimes:
    """Return how long sessions last."""
    return SessionTimes(settings.console_idle_s, settings.console_session_s)


@router.get("/sign-in")
def show_sign_in(request: Request) -> Response:
    """Return the form."""
    return _show_form(request, local_path(request.query_params.get("next")), "", None)


def _show_form(request: Request, target: str, name: str, refusal: str | None) -> Response:
    return answer_page(
        "sign_in.html",
        401 if refusal else 200,
        theme=theme_of(request),
        target=target,
        name=name,
        refusal=refusal,
        provider=IdentityProvider.is_configured(_state(request).settings),
        viewer=None,
        path="/sign-in",
        programs={},
    )


@router.post("/sign-in")
def sign_in(request: Request, form: Form) -> Response:
    """Begin a session for the right password; one that this browser had ends."""
    refuse_foreign(request)
    state, request_id = _state(request), request.scope["state"]["request_id"]
    name, target = form.get("name", "").strip()[:200], local_path(form.get("next"))
    if "\x00" in name:
        raise Problem("invalid-request", "a name has no NUL")
    with begin(state.engine) as unit:
        credential = console_access.find_credential(unit.connection, name)
    right = verify_password(credential.password_hash if credential else None, form.get("password", ""))
    if credential is None or credential.locked or credential.disabled or not right:
        if credential is not None and not credential.locked:
            lockout = Lockout(state.settings.sign_in_attempts, state.settings.sign_in_lock_s)
            with begin(state.engine) as unit:
                console_access.record_failure(unit.connection, credential, lockout, request_id)
        return _show_form(request, target, name, REFUSED)
    with begin(state.engine) as unit:
        # Hashing takes long: tries at the same time may have locked the account, or its password has changed.
        if console_access.find_credential(unit.connection, name) != credential:
            return _show_form(request, target, name, REFUSED)
        session = begin_session(request, unit.connection, credential.account_id, "password")
    return set_session(redirect(target), state.settings, session)


def begin_session(request: Request, connection: Connection, account_id: uuid.UUID, method: str) -> BeganSession:
    """Begin a session for this browser; one that it had ends. ``method``: password, link or oidc."""
    state = _state(request)
    for cookie in SESSION_COOKIES:
        if (token := request.cookies.get(cookie)) is not None:
            console_access.end_session(connection, token)
            state.recent_keys.forget_all()
    request_id = request.scope["state"]["request_id"]
    return console_access.begin_session(connection, account_id, method, times_of(state.settings), request_id)


@router.get("/sign-in/once/{token}")
def show_link(token: str, request: Request) -> Response:
    """Return the button that uses the link: a program that only looks at links must not use it up."""
    return answer_page(
        "sign_in_once.html", theme=theme_of(request), token=token, viewer=None, path="/sign-in", programs={}
    )


@router.post("/sign-in/once/{token}")
def use_link(token: str, request: Request) -> Response:
    """Begin a session by a link that is good once."""
    refuse_foreign(request)
    state = _state(request)
    with begin(state.engine) as unit:
        account_id = console_access.use_link(unit.connection, token)
        if account_id is None:
            raise Problem("not-found", "this link has been used or has expired; ask an administrator for a new one")
        session = begin_session(request, unit.connection, account_id, "link")
    return set_session(redirect("/account"), state.settings, session)


@router.post("/sign-out")
def sign_out(page: AnyPage) -> Response:
    """End the session and take the cookie away."""
    token = page.context.presented.session or ""
    with page.begin() as unit:
        console_access.end_session(unit.connection, token)
    page.context.state.recent_keys.forget_all()
    answer = redirect("/sign-in")
    for name in SESSION_COOKIES:
        answer.delete_cookie(name, path="/", secure=name.startswith("__Host-"), httponly=True, samesite="lax")
    return answer

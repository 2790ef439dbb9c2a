"""One's own account: roles, password, keys."""

import uuid
from datetime import UTC, datetime, timedelta

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.pagination import PageRequest
from db.repositories import administration, console_access
from db.repositories.administration import KeyRequest
from services.api.administration_documents import KeyRequestDocument
from services.api.context import RequestUnit
from services.problems import Problem
from services.web.page import AnyPage, Page, PageRoute, redirect
from services.web.pages.signing_in import set_session, times_of
from services.web.passwords import check_strength, hash_password, verify_password

router = APIRouter(include_in_schema=False, route_class=PageRoute)

SCOPES = ("read", "write", "upload")
DAYS = (30, 90, 365)
MOST_KEYS = 500


@router.get("/account")
def show_account(page: AnyPage) -> Response:
    """Return who one is, in which programs, and the form for a new password."""
    with page.read() as unit:
        return _show(page, unit)


def _show(page: Page, unit: RequestUnit, secret: dict[str, str] | None = None) -> Response:
    """Return the page; ``secret``: a key that was just issued and is shown this once."""
    mine = str(unit.caller.account_id)
    found = administration.list_keys(unit.connection, unit.caller, PageRequest(MOST_KEYS))
    keys = [row for row in map(orjson.loads, found.rows) if row["account_id"] == mine]
    return page.show(unit, "account.html", roles=unit.caller.roles, keys=keys, secret=secret, scopes=SCOPES, days=DAYS)


@router.post("/account/password")
def set_password(page: AnyPage) -> Response:
    """Set one's own password; every session ends, and this browser gets a new one.

    Whoever signed in by a link a moment ago has no password to show; anybody else shows the old one.
    """
    password = page.form.get("password", "")
    if password != page.form.get("repeated", ""):
        raise Problem("invalid-request", "the two passwords differ")
    with page.read() as unit:
        caller, name = unit.caller, page.viewer(unit).name
        credential = console_access.find_credential(unit.connection, name)
        method = console_access.method_of(unit.connection, caller.key_id)
    check_strength(password, name)
    assert credential is not None
    if method == "password" and not verify_password(credential.password_hash, page.form.get("current", "")):
        raise Problem("forbidden", "the current password is wrong")
    hashed = hash_password(password)
    settings = page.context.state.settings
    with page.begin() as unit:
        console_access.set_password(unit.connection, credential.account_id, hashed, caller.actor)
        session = console_access.begin_session(
            unit.connection, credential.account_id, "password", times_of(settings), page.context.request_id
        )
    page.context.state.recent_keys.forget_all()
    return set_session(redirect("/"), settings, session)


@router.post("/account/keys")
def create_key(page: AnyPage) -> Response:
    """Issue a key for one's own account, with an end, and show it once."""
    scopes = [scope for scope in SCOPES if f"scope_{scope}" in page.form]
    if not scopes:
        raise Problem("invalid-request", "a key has at least one scope")
    days = page.form.get("days", "")
    if days not in {str(each) for each in DAYS}:
        raise Problem("invalid-request", f"a key is good for {', '.join(map(str, DAYS))} days")
    expires_at = datetime.now(UTC) + timedelta(days=int(days))
    request = KeyRequestDocument.model_validate(
        {"label": page.field("label", 200), "scopes": scopes, "expires_at": expires_at}
    )
    with page.begin() as unit:
        issued = administration.create_key(unit.connection, unit.caller, KeyRequest(**request.model_dump()))
        secret = {"what": f"Key {request.label}, until {expires_at:%Y-%m-%d}", "text": issued.key}
        return _show(page, unit, secret)


@router.post("/account/keys/{key_id}/revoke")
def revoke_key(key_id: uuid.UUID, page: AnyPage) -> Response:
    """Revoke a key of one's own."""
    with page.begin() as unit:
        administration.revoke_key(unit.connection, unit.caller, key_id)
    page.context.state.recent_keys.forget_all()
    return redirect("/account")

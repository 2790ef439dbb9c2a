"""Programs, people, instruments, keys and the audit trail, for administrators."""

import uuid
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.pagination import PageRequest
from db.repositories import administration, console_access
from db.repositories.access import Action, Conflict
from db.repositories.administration import KeyRequest
from db.repositories.catalogue import INSTRUMENTS, RowPage
from db.repositories.people_catalogue import AUDIT_EVENTS, MEMBERSHIPS
from services.api.administration_documents import (
    AccountRequest,
    InstrumentRequest,
    MembershipRequest,
    ProgramRequest,
)
from services.api.context import RequestUnit
from services.api.routers.administration import AuditQuery
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.page import AnyPage, Page, PageRoute, redirect

router = APIRouter(prefix="/admin", include_in_schema=False, route_class=PageRoute)

AUDIT = ListSource(AUDIT_EVENTS, AuditQuery, "audit-events")
MOST = 500
PAGES_OF = {
    "fa_case": "/cases", "job": "/jobs", "raw_file": "/files", "bundle": "/bundles", "instrument": "/instruments",
    "probing_session": "/sessions", "control_chart": "/charts", "model_version": "/reliability/models",
    "report": "/reliability/reports", "report_schedule": "/reliability/schedules",
}  # fmt: skip
"""Where the subject of an audit entry has a page."""
ROLES = ("viewer", "engineer", "reliability", "operator", "admin")


@router.get("")
def show_administration(page: AnyPage) -> Response:
    """Return programs, members, instruments and keys."""
    return _show(page)


def _show(page: Page, secret: dict[str, str] | None = None) -> Response:
    """Return the page; ``secret``: what was just issued and is shown this once."""
    with page.read() as unit:
        caller = unit.caller
        if not caller.installation_admin:
            caller.require(Action.READ_ADMINISTRATION)
        administered = caller.programs(Action.ADMINISTER)
        accounts = (
            _decode(administration.list_accounts(unit.connection, caller, PageRequest(MOST)))
            if caller.installation_admin
            else []
        )
        return page.show(
            unit,
            "administration.html",
            secret=secret,
            accounts=accounts,
            names={row["id"]: row["name"] for row in accounts} | _member_names(unit, administered),
            members=load_rows(unit, MEMBERSHIPS, {}, MOST),
            instruments=load_rows(unit, INSTRUMENTS, {}, MOST),
            keys=_decode(administration.list_keys(unit.connection, caller, PageRequest(MOST))),
            administered=None if administered is None else {str(each) for each in administered},
            roles=ROLES,
            most=MOST,
        )


def _member_names(unit: RequestUnit, administered: frozenset[uuid.UUID] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for program in administered or ():
        members = console_access.members_of(unit.connection, program)
        found |= {str(identity): name for identity, name in members.items()}
    return found


def _decode(found: RowPage) -> list[dict[str, Any]]:
    return [orjson.loads(row) for row in found.rows]


@router.post("/programs")
def create_program(page: AnyPage) -> Response:
    """Make a program; its maker is its first administrator."""
    request = ProgramRequest(name=page.field("name", 200))
    with page.begin() as unit:
        administration.create_program(unit.connection, unit.caller, request.name)
    return _changed(page)


def _changed(page: Page) -> Response:
    page.context.state.recent_keys.forget_all()
    return redirect("/admin")


@router.post("/accounts")
def create_account(page: AnyPage) -> Response:
    """Make an account and show a link with which its owner signs in once and sets a password."""
    request = AccountRequest(name=page.field("name", 200), email=page.form.get("email", "").strip() or None)
    with page.begin() as unit:
        identity = administration.create_account(unit.connection, unit.caller, request.name, request.email)
        link = _issue_link(page, unit, identity)
    return _show(page, {"what": f"Sign-in link for {request.name}, good once", "text": link})


def _issue_link(page: Page, unit: RequestUnit, account_id: uuid.UUID) -> str:
    settings = page.context.state.settings
    token = console_access.issue_link(unit.connection, account_id, unit.caller.actor, settings.sign_in_link_s)
    base = settings.public_url or str(page.request.base_url).rstrip("/")
    return f"{base}/sign-in/once/{token}"


@router.post("/accounts/{account_id}/link")
def issue_link(account_id: uuid.UUID, page: AnyPage) -> Response:
    """Show a new sign-in link for an account; older ones end."""
    with page.begin() as unit:
        unit.caller.require(Action.INSTALL)
        name = console_access.name_of(unit.connection, account_id)
        link = _issue_link(page, unit, account_id)
    return _show(page, {"what": f"Sign-in link for {name}, good once", "text": link})


@router.post("/accounts/{account_id}/disabled")
def disable_account(account_id: uuid.UUID, page: AnyPage) -> Response:
    """Disable an account with its keys and sessions, or enable it again."""
    disabled = page.form.get("disabled") == "yes"
    with page.begin() as unit:
        if disabled and unit.caller.account_id == account_id:
            raise Conflict("you cannot disable your own account")
        administration.set_account_disabled(unit.connection, unit.caller, account_id, disabled=disabled)
    return _changed(page)


@router.post("/memberships")
def create_membership(page: AnyPage) -> Response:
    """Give an account a role in a program."""
    values = {name: page.field(name, 200) for name in ("program", "account", "role")}
    request = MembershipRequest.model_validate(values)
    with page.begin() as unit:
        administration.create_membership(unit.connection, unit.caller, request.program, request.account, request.role)
    return _changed(page)


@router.post("/memberships/{membership_id}/remove")
def remove_membership(membership_id: uuid.UUID, page: AnyPage) -> Response:
    """Take a role away."""
    with page.begin() as unit:
        administration.delete_membership(unit.connection, unit.caller, membership_id)
    return _changed(page)


@router.post("/instruments")
def create_instrument(page: AnyPage) -> Response:
    """Register an instrument and show its key, which can only upload."""
    request = InstrumentRequest.model_validate({name: page.field(name, 200) for name in ("program", "name", "kind")})
    with page.begin() as unit:
        identity = administration.create_instrument(
            unit.connection, unit.caller, request.program, request.name, request.kind
        )
        wanted = KeyRequest(label=request.name, scopes=["upload"], instrument_id=identity)
        issued = administration.create_key(unit.connection, unit.caller, wanted)
    return _show(page, {"what": f"Key of the instrument {request.name}, for FAULTLIGHT_KEY", "text": issued.key})


@router.post("/keys/{key_id}/revoke")
def revoke_key(key_id: uuid.UUID, page: AnyPage) -> Response:
    """Revoke a key."""
    with page.begin() as unit:
        administration.revoke_key(unit.connection, unit.caller, key_id)
    return _changed(page)


@router.get("/audit")
def list_audit(page: AnyPage) -> Response:
    """Return the audit trail."""
    if wants_export(page):
        return answer_export(page, AUDIT, "audit-events")
    with page.read() as unit:
        unit.caller.require(Action.READ_ADMINISTRATION)
        return page.show(unit, "audit.html", shown=load_list(page, unit, AUDIT), pages=PAGES_OF)

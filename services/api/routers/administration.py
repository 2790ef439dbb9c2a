"""Programs, accounts, memberships, instruments, API keys and the audit trail."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from db.identifiers import uuid7_floor
from db.repositories import administration
from db.repositories.administration import KeyRequest
from db.repositories.catalogue import INSTRUMENTS, PROGRAMS, read_row
from db.repositories.people_catalogue import AUDIT_EVENTS, MEMBERSHIPS
from services.api.administration_documents import (
    AccountChange,
    AccountItem,
    AccountRequest,
    AuditItem,
    InstrumentItem,
    InstrumentRequest,
    IssuedKeyDocument,
    KeyItem,
    KeyRequestDocument,
    MembershipItem,
    MembershipRequest,
    ProgramItem,
    ProgramRequest,
    Role,
)
from services.api.answers import JsonAnswer
from services.api.context import (
    Administers,
    Installs,
    ReadsAdministration,
    ReadsInstallation,
    ReadsKeys,
    WritesKeys,
)
from services.api.contract import describe_problems
from services.api.documents import Name
from services.api.listing import (
    PageQuery,
    ProgramQuery,
    answer_list,
    answer_row,
    answer_rows,
    describe_page,
    describe_row,
)

router = APIRouter(tags=["administration"])

_NO_CONTENT = describe_problems("not-found")


class NameQuery(ProgramQuery):
    """Filters of programs."""

    name: Name | None = None


class InstrumentQuery(NameQuery):
    """Filters of instruments."""

    kind: Name | None = None


class MembershipQuery(ProgramQuery):
    """Filters of memberships."""

    account: uuid.UUID | None = None
    role: Role | None = None


class AuditQuery(ProgramQuery):
    """Filters of the audit trail; times without a zone are UTC."""

    actor: Name | None = None
    action: Name | None = None
    subject: uuid.UUID | None = None
    since: Annotated[datetime | None, Field(description="written at this time or later")] = None
    until: Annotated[datetime | None, Field(description="written before this time")] = None

    def filters(self) -> dict[str, Any]:
        """Return the filters that were sent; a time is the identifier that it would begin with."""
        sent = super().filters()
        return sent | {name: uuid7_floor(_in_utc(sent[name])) for name in ("since", "until") if name in sent}


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@router.get("/programs", responses=describe_page(ProgramItem))
def list_programs(query: Annotated[NameQuery, Query()], context: ReadsInstallation) -> Response:
    """Return the programs that the caller is a member of (every program for the installation's admin)."""
    return answer_list(context, PROGRAMS, query)


@router.get("/programs/{program_id}", responses=describe_row(ProgramItem))
def read_program(program_id: uuid.UUID, request: Request, context: ReadsInstallation) -> Response:
    """Return a program."""
    return answer_row(request, context, PROGRAMS, program_id)


@router.post("/programs", status_code=201, responses={201: {"model": ProgramItem}, **describe_problems("conflict")})
def create_program(body: ProgramRequest, context: Installs) -> Response:
    """Make a program; the caller becomes its first admin."""
    with context.begin() as unit:
        identity = administration.create_program(unit.connection, unit.caller, body.name)
        row = administration.read_program(unit.connection, identity)
    return JsonAnswer(row, status_code=201)


@router.get("/accounts", responses=describe_page(AccountItem))
def list_accounts(query: Annotated[PageQuery, Query()], context: Installs) -> Response:
    """Return all accounts."""
    page = query.page()
    with context.read() as unit:
        rows = administration.list_accounts(unit.connection, unit.caller, page)
    return answer_rows(rows)


@router.post("/accounts", status_code=201, responses={201: {"model": AccountItem}, **describe_problems("conflict")})
def create_account(body: AccountRequest, context: Installs) -> Response:
    """Make an account."""
    with context.begin() as unit:
        identity = administration.create_account(unit.connection, unit.caller, body.name, body.email)
        row = administration.read_account(unit.connection, identity)
    return JsonAnswer(row, status_code=201)


@router.patch("/accounts/{account_id}", responses={200: {"model": AccountItem}, **describe_problems("not-found")})
def change_account(account_id: uuid.UUID, body: AccountChange, context: Installs) -> Response:
    """Disable an account and all its keys, or enable it again."""
    with context.begin() as unit:
        administration.set_account_disabled(unit.connection, unit.caller, account_id, disabled=body.disabled)
        row = administration.read_account(unit.connection, account_id)
    return JsonAnswer(row)


@router.get("/memberships", responses=describe_page(MembershipItem))
def list_memberships(query: Annotated[MembershipQuery, Query()], context: ReadsAdministration) -> Response:
    """Return who is a member of which program, and in which role."""
    return answer_list(context, MEMBERSHIPS, query)


@router.post(
    "/memberships",
    status_code=201,
    responses={201: {"model": MembershipItem}, **describe_problems("conflict", "not-found")},
)
def create_membership(body: MembershipRequest, context: Administers) -> Response:
    """Make an account a member of a program."""
    with context.begin() as unit:
        identity = administration.create_membership(unit.connection, unit.caller, body.program, body.account, body.role)
        row = read_row(unit.connection, unit.caller, MEMBERSHIPS, identity).encode()
    return JsonAnswer(row, status_code=201)


@router.delete("/memberships/{membership_id}", status_code=204, response_class=Response, responses=_NO_CONTENT)
def delete_membership(membership_id: uuid.UUID, context: Administers) -> Response:
    """Take a role away."""
    with context.begin() as unit:
        administration.delete_membership(unit.connection, unit.caller, membership_id)
    return Response(status_code=204)


@router.get("/instruments", responses=describe_page(InstrumentItem))
def list_instruments(query: Annotated[InstrumentQuery, Query()], context: ReadsInstallation) -> Response:
    """Return instruments."""
    return answer_list(context, INSTRUMENTS, query)


@router.get("/instruments/{instrument_id}", responses=describe_row(InstrumentItem))
def read_instrument(instrument_id: uuid.UUID, request: Request, context: ReadsInstallation) -> Response:
    """Return an instrument."""
    return answer_row(request, context, INSTRUMENTS, instrument_id)


@router.post(
    "/instruments",
    status_code=201,
    responses={201: {"model": InstrumentItem}, **describe_problems("conflict", "not-found")},
)
def create_instrument(body: InstrumentRequest, context: Administers) -> Response:
    """Make an instrument of a program."""
    with context.begin() as unit:
        identity = administration.create_instrument(unit.connection, unit.caller, body.program, body.name, body.kind)
        row = administration.read_instrument(unit.connection, identity)
    return JsonAnswer(row, status_code=201)


@router.get("/api-keys", responses=describe_page(KeyItem))
def list_keys(query: Annotated[PageQuery, Query()], context: ReadsKeys) -> Response:
    """Return the caller's own keys, and those of instruments and accounts that it administers."""
    page = query.page()
    with context.read() as unit:
        rows = administration.list_keys(unit.connection, unit.caller, page)
    return answer_rows(rows)


@router.post(
    "/api-keys",
    status_code=201,
    responses={201: {"model": IssuedKeyDocument}, **describe_problems("conflict", "not-found")},
)
def create_key(body: KeyRequestDocument, context: WritesKeys) -> Response:
    """Issue a key. It is shown in this answer only."""
    request = KeyRequest(body.label, body.scopes, body.expires_at, body.account_id, body.instrument_id)
    with context.begin() as unit:
        issued = administration.create_key(unit.connection, unit.caller, request)
    document = {"id": issued.id, "prefix": issued.prefix, "key": issued.key}
    return JsonAnswer(document, status_code=201, headers={"Cache-Control": "no-store"})


@router.delete("/api-keys/{key_id}", status_code=204, response_class=Response, responses=_NO_CONTENT)
def revoke_key(key_id: uuid.UUID, context: WritesKeys) -> Response:
    """Revoke a key, at once and for good."""
    with context.begin() as unit:
        administration.revoke_key(unit.connection, unit.caller, key_id)
    return Response(status_code=204)


@router.get("/audit-events", responses=describe_page(AuditItem))
def list_audit_events(query: Annotated[AuditQuery, Query()], context: ReadsAdministration) -> Response:
    """Return who did what."""
    return answer_list(context, AUDIT_EVENTS, query)

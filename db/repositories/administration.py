"""Programs, accounts, memberships, instruments and API keys: made and taken away, each with its audit entry."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, cast, delete, func, insert, or_, select, update
from sqlalchemy.types import Text

from db.identifiers import uuid7
from db.pagination import PageRequest
from db.repositories import audit, console_access
from db.repositories.access import (
    Action,
    Caller,
    Conflict,
    IssuedKey,
    KeyOwner,
    RowNotFound,
    find_program,
    issue_key,
)
from db.repositories.audit import AuditEntry
from db.repositories.catalogue import RowPage, fetch_page
from db.schema.people import account, api_key, instrument, membership, program


@dataclass(frozen=True)
class KeyRequest:
    """A key to be issued: for an account, an instrument, or (both ``None``) the caller's own account."""

    label: str
    scopes: Sequence[str]
    expires_at: datetime | None = None
    account_id: uuid.UUID | None = None
    instrument_id: uuid.UUID | None = None


def _record(connection: Connection, caller: Caller, entry: AuditEntry) -> None:
    audit.record(connection, caller.actor, caller.request_id, entry)


def create_program(connection: Connection, caller: Caller, name: str) -> uuid.UUID:
    """Insert a program; the caller's account becomes its first admin. Raises :class:`Conflict` for a taken name."""
    caller.require(Action.INSTALL)
    if connection.execute(select(program.c.id).where(program.c.name == name)).scalar() is not None:
        raise Conflict(f"there is a program {name!r} already")
    identity = uuid7()
    connection.execute(insert(program).values(id=identity, name=name))
    connection.execute(
        insert(membership).values(id=uuid7(), account_id=caller.account_id, program_id=identity, role="admin")
    )
    after = {"name": name, "admin": str(caller.account_id)}
    _record(connection, caller, AuditEntry("program.created", "program", identity, identity, after=after))
    return identity


def create_account(connection: Connection, caller: Caller, name: str, email: str | None) -> uuid.UUID:
    """Insert an account; raises :class:`Conflict` for a taken name."""
    caller.require(Action.INSTALL)
    if connection.execute(select(account.c.id).where(account.c.name == name)).scalar() is not None:
        raise Conflict(f"there is an account {name!r} already")
    identity = uuid7()
    connection.execute(insert(account).values(id=identity, name=name, email=email))
    _record(connection, caller, AuditEntry("account.created", "account", identity, after={"name": name}))
    return identity


def set_account_disabled(connection: Connection, caller: Caller, account_id: uuid.UUID, *, disabled: bool) -> None:
    """Disable an account with its keys and end its sessions, or enable it again; raises :class:`RowNotFound`."""
    caller.require(Action.INSTALL)
    statement = update(account).where(account.c.id == account_id)
    changed = connection.execute(statement.values(disabled_at=func.now() if disabled else None)).rowcount
    if not changed:
        raise RowNotFound("account", account_id)
    if disabled:
        console_access.end_sessions(connection, account_id)
    action = "account.disabled" if disabled else "account.enabled"
    _record(connection, caller, AuditEntry(action, "account", account_id))


def create_membership(
    connection: Connection, caller: Caller, program_name: str, account_name: str, role: str
) -> uuid.UUID:
    """Make an account (by name or id) a member of a program; raises :class:`Conflict` when it is one."""
    program_id = find_program(connection, caller, Action.ADMINISTER, program_name)
    wanted = or_(account.c.name == account_name, cast(account.c.id, Text) == account_name)
    account_id = connection.execute(select(account.c.id).where(wanted)).scalar()
    if account_id is None:
        raise RowNotFound("account", account_name)
    taken = select(membership.c.id).where(membership.c.account_id == account_id, membership.c.program_id == program_id)
    if connection.execute(taken).scalar() is not None:
        raise Conflict("the account is a member of this program already; remove that membership first")
    identity = uuid7()
    values = {"id": identity, "account_id": account_id, "program_id": program_id, "role": role}
    connection.execute(insert(membership).values(values))
    after = {"account": str(account_id), "role": role}
    _record(connection, caller, AuditEntry("membership.created", "membership", identity, program_id, after=after))
    return identity


def delete_membership(connection: Connection, caller: Caller, identity: uuid.UUID) -> None:
    """Take an account's role in a program away; raises :class:`RowNotFound`."""
    allowed = caller.restriction(Action.ADMINISTER, membership.c.program_id)
    statement = delete(membership).where(membership.c.id == identity, allowed).returning(membership)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise RowNotFound("membership", identity)
    before = {"account": str(row.account_id), "role": row.role}
    _record(connection, caller, AuditEntry("membership.deleted", "membership", identity, row.program_id, before=before))


def create_instrument(connection: Connection, caller: Caller, program_name: str, name: str, kind: str) -> uuid.UUID:
    """Insert an instrument of a program; raises :class:`Conflict` for a taken name."""
    program_id = find_program(connection, caller, Action.ADMINISTER, program_name)
    taken = select(instrument.c.id).where(instrument.c.program_id == program_id, instrument.c.name == name)
    if connection.execute(taken).scalar() is not None:
        raise Conflict(f"the program has an instrument {name!r} already")
    identity = uuid7()
    connection.execute(insert(instrument).values(id=identity, program_id=program_id, name=name, kind=kind))
    after = {"name": name, "kind": kind}
    _record(connection, caller, AuditEntry("instrument.created", "instrument", identity, program_id, after=after))
    return identity


def _visible_keys(caller: Caller, action: Action) -> ColumnElement[bool]:
    """Return the condition of the keys that the caller may see or revoke.

    Its own account's, those of instruments of programs that it administers, and every key for the installation's admin.
    """
    own = api_key.c.account_id == caller.account_id
    of_instruments = api_key.c.instrument_id.in_(
        select(instrument.c.id).where(caller.restriction(action, instrument.c.program_id))
    )
    every = [api_key.c.account_id.is_not(None)] if caller.installation_admin else []
    return or_(own, of_instruments, *every)


_KEY_COLUMNS = [column for column in api_key.c if column.name != "secret_sha256"]


def list_keys(connection: Connection, caller: Caller, page: PageRequest) -> RowPage:
    """Return one page of the keys that the caller may see, without their secrets."""
    query = select(*_KEY_COLUMNS).where(_visible_keys(caller, Action.READ_ADMINISTRATION))
    return fetch_page(connection, query, api_key.c.id, page)


def list_accounts(connection: Connection, caller: Caller, page: PageRequest) -> RowPage:
    """Return one page of all accounts, for the installation's admin."""
    caller.require(Action.INSTALL)
    return fetch_page(connection, select(account), account.c.id, page)


def create_key(connection: Connection, caller: Caller, request: KeyRequest) -> IssuedKey:
    """Issue a key; raises :class:`Conflict` for scopes that its owner cannot have, :class:`RowNotFound` for no owner.

    Nobody can issue a scope that the presented key lacks, except ``upload`` for an instrument that one administers.
    """
    if request.instrument_id is not None:
        owner = _instrument_owner(connection, caller, request.instrument_id)
    else:
        owner = _account_owner(connection, caller, request.account_id)
        beyond = sorted(set(request.scopes) - caller.scopes)
        if beyond:
            raise Conflict(f"the key presented does not have the scopes {beyond} itself")
    issued = issue_key(connection, owner, request.label, request.scopes, request.expires_at)
    after = {
        "label": request.label,
        "scopes": list(request.scopes),
        "account_id": str(owner.account_id) if owner.account_id else None,
        "instrument_id": str(owner.instrument_id) if owner.instrument_id else None,
    }
    _record(connection, caller, AuditEntry("api-key.issued", "api_key", issued.id, after=after))
    return issued


def _instrument_owner(connection: Connection, caller: Caller, instrument_id: uuid.UUID) -> KeyOwner:
    allowed = caller.restriction(Action.ADMINISTER, instrument.c.program_id)
    found = connection.execute(select(instrument.c.id).where(instrument.c.id == instrument_id, allowed)).scalar()
    if found is None:
        raise RowNotFound("instrument", instrument_id)
    return KeyOwner(instrument_id=instrument_id)


def _account_owner(connection: Connection, caller: Caller, account_id: uuid.UUID | None) -> KeyOwner:
    if account_id is None or account_id == caller.account_id:
        return KeyOwner(account_id=caller.account_id)
    known = connection.execute(select(account.c.id).where(account.c.id == account_id)).scalar()
    if known is None or not caller.installation_admin:
        raise RowNotFound("account", account_id)
    return KeyOwner(account_id=account_id)


def revoke_key(connection: Connection, caller: Caller, identity: uuid.UUID) -> None:
    """Revoke a key that the caller may see; revoking twice is no error. Raises :class:`RowNotFound`."""
    visible = _visible_keys(caller, Action.ADMINISTER)
    statement = update(api_key).where(api_key.c.id == identity, visible)
    revoked_at = func.coalesce(api_key.c.revoked_at, func.now())
    row = connection.execute(statement.values(revoked_at=revoked_at).returning(api_key.c.label)).one_or_none()
    if row is None:
        raise RowNotFound("API key", identity)
    _record(connection, caller, AuditEntry("api-key.revoked", "api_key", identity, before={"label": row.label}))


def _read(connection: Connection, table: Table, identity: uuid.UUID) -> dict[str, Any]:
    row = connection.execute(select(table).where(table.c.id == identity)).mappings().one()
    return {str(name): value for name, value in row.items()}


def read_program(connection: Connection, identity: uuid.UUID) -> dict[str, Any]:
    """Return a program that this transaction has made."""
    return _read(connection, program, identity)


def read_account(connection: Connection, identity: uuid.UUID) -> dict[str, Any]:
    """Return an account that this transaction has made or changed."""
    return _read(connection, account, identity)


def read_instrument(connection: Connection, identity: uuid.UUID) -> dict[str, Any]:
    """Return an instrument that this transaction has made."""
    return _read(connection, instrument, identity)

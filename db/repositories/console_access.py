"""Who is signed in to the console: passwords with their lockout, one-time links, sessions of browsers.

A session's token is in the browser's cookie and nowhere else; here is its sha256. The caller that a session makes is
the same :class:`~db.repositories.access.Caller` that a key makes, with the scopes of a person who may do all that
their roles allow.
"""

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert

from db.identifiers import uuid7
from db.prepared import PreparedQuery
from db.repositories.access import LAST_USE_RESOLUTION, Authenticated, Caller, KeyRejected, RowNotFound
from db.repositories.audit import AuditEntry, record
from db.schema.people import account, membership
from db.schema.sign_in import account_credential, console_session, sign_in_link

SCOPES_OF_PEOPLE = frozenset({"read", "write", "upload"})
TOKEN_BYTES = 32


@dataclass(frozen=True)
class SessionTimes:
    """How long a session lasts, seconds: without a request, and at most."""

    idle_s: float
    most_s: float


@dataclass(frozen=True)
class Lockout:
    """After how many failures in a row an account is locked, and for how long, seconds."""

    attempts: int
    lock_s: float


@dataclass(frozen=True)
class Credential:
    """What is known of an account that wants to sign in."""

    account_id: uuid.UUID
    name: str
    password_hash: str | None
    locked: bool
    disabled: bool


@dataclass(frozen=True)
class BeganSession:
    """A new session: ``token`` goes into the browser's cookie and is not kept."""

    id: uuid.UUID
    token: str
    expires_at: datetime


def digest_token(token: str) -> str:
    """Return what is stored of a token: its sha256, hex (a token has 256 random bits)."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()


def forgery_token(token: str) -> str:
    """Return the token that a session's forms and scripts must send along; it tells nothing of ``token``."""
    return hmac.new(token.encode("utf-8"), b"faultlight-forgery", hashlib.sha256).hexdigest()


def find_credential(connection: Connection, name: str) -> Credential | None:
    """Return what is known of the account ``name``, ``None`` when there is none."""
    query = (
        select(
            account.c.id,
            account.c.name,
            account.c.disabled_at,
            account_credential.c.password_hash,
            account_credential.c.locked_until,
        )
        .select_from(account.outerjoin(account_credential, account_credential.c.account_id == account.c.id))
        .where(account.c.name == name)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    locked = row.locked_until is not None and row.locked_until > datetime.now(UTC)
    return Credential(row.id, row.name, row.password_hash, locked, row.disabled_at is not None)


def record_failure(connection: Connection, credential: Credential, lockout: Lockout, request_id: str | None) -> None:
    """Count a wrong password; the account is locked for a while when it was one too many."""
    values = account_credential.c
    counted = values.failed_attempts + 1
    statement = (
        update(account_credential)
        .where(values.account_id == credential.account_id)
        .values(failed_attempts=counted)
        .returning(values.failed_attempts)
    )
    failures = connection.execute(statement).scalar()
    entry = AuditEntry("console.sign-in-failed", "account", credential.account_id, after={"failures": failures})
    record(connection, f"account:{credential.name}", request_id, entry)
    if failures is not None and failures >= lockout.attempts:
        until = datetime.now(UTC) + timedelta(seconds=lockout.lock_s)
        lock = update(account_credential).where(values.account_id == credential.account_id)
        connection.execute(lock.values(locked_until=until, failed_attempts=0))
        entry = AuditEntry("console.locked", "account", credential.account_id, after={"until": until.isoformat()})
        record(connection, f"account:{credential.name}", request_id, entry)


def set_password(connection: Connection, account_id: uuid.UUID, password_hash: str, actor: str) -> None:
    """Keep a password's hash; every session of the account ends with the old password."""
    now = datetime.now(UTC)
    statement = upsert(account_credential).values(account_id=account_id, password_hash=password_hash, changed_at=now)
    changed = {"password_hash": password_hash, "changed_at": now, "failed_attempts": 0, "locked_until": None}
    connection.execute(statement.on_conflict_do_update(index_elements=["account_id"], set_=changed))
    end_sessions(connection, account_id)
    record(connection, actor, None, AuditEntry("console.password-set", "account", account_id))


def end_sessions(connection: Connection, account_id: uuid.UUID) -> None:
    """End every session of an account."""
    mine = (console_session.c.account_id == account_id) & console_session.c.ended_at.is_(None)
    connection.execute(update(console_session).where(mine).values(ended_at=func.now()))


def make_installation_admin(connection: Connection, account_id: uuid.UUID) -> None:
    """Let an account's sessions install programs and accounts, as a key with the scope ``admin`` does."""
    statement = upsert(account_credential).values(account_id=account_id, installation_admin=True)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["account_id"], set_={"installation_admin": True})
    )


def issue_link(connection: Connection, account_id: uuid.UUID, issued_by: str, valid_s: float) -> str:
    """Return the token of a link that signs the account in once within ``valid_s`` seconds; older ones end."""
    token, now = secrets.token_urlsafe(TOKEN_BYTES), datetime.now(UTC)
    old = (sign_in_link.c.account_id == account_id) & sign_in_link.c.used_at.is_(None)
    connection.execute(update(sign_in_link).where(old).values(used_at=now))
    identity = uuid7()
    connection.execute(
        insert(sign_in_link).values(
            id=identity,
            account_id=account_id,
            token_sha256=digest_token(token),
            issued_by=issued_by,
            expires_at=now + timedelta(seconds=valid_s),
        )
    )
    record(connection, issued_by, None, AuditEntry("console.link-issued", "account", account_id))
    return token


def use_link(connection: Connection, token: str) -> uuid.UUID | None:
    """Use up a link; return whom it signs in, ``None`` when it is unknown, used, expired, or the account disabled."""
    enabled = select(account.c.id).where(account.c.disabled_at.is_(None))
    statement = (
        update(sign_in_link)
        .where(
            sign_in_link.c.token_sha256 == digest_token(token),
            sign_in_link.c.used_at.is_(None),
            sign_in_link.c.expires_at > func.now(),
            sign_in_link.c.account_id.in_(enabled),
        )
        .values(used_at=func.now())
        .returning(sign_in_link.c.account_id)
    )
    return connection.execute(statement).scalar()


def begin_session(
    connection: Connection, account_id: uuid.UUID, method: str, times: SessionTimes, request_id: str | None
) -> BeganSession:
    """Insert a session with a new token; the failures that went before are forgotten."""
    token, now, identity = secrets.token_urlsafe(TOKEN_BYTES), datetime.now(UTC), uuid7()
    expires_at = now + timedelta(seconds=times.most_s)
    values: dict[str, Any] = {
        "id": identity,
        "account_id": account_id,
        "token_sha256": digest_token(token),
        "method": method,
        "last_seen_at": now,
        "idle_expires_at": min(now + timedelta(seconds=times.idle_s), expires_at),
        "expires_at": expires_at,
    }
    connection.execute(insert(console_session).values(values))
    forgiven = update(account_credential).where(account_credential.c.account_id == account_id)
    connection.execute(forgiven.values(failed_attempts=0, locked_until=None))
    name = connection.execute(select(account.c.name).where(account.c.id == account_id)).scalar_one()
    entry = AuditEntry("console.signed-in", "account", account_id, after={"method": method})
    record(connection, f"account:{name}", request_id, entry)
    return BeganSession(identity, token, expires_at)


def end_session(connection: Connection, token: str) -> None:
    """End the session of a token; one that is unknown or has ended is no error."""
    mine = (console_session.c.token_sha256 == digest_token(token)) & console_session.c.ended_at.is_(None)
    connection.execute(update(console_session).where(mine).values(ended_at=func.now()))


_SESSION_QUERY = PreparedQuery(
    select(
        console_session.c.id,
        console_session.c.account_id,
        console_session.c.last_seen_at,
        console_session.c.idle_expires_at,
        console_session.c.expires_at,
        console_session.c.ended_at,
        account.c.name,
        account.c.disabled_at,
        account_credential.c.installation_admin,
        select(
            func.array_agg(
                aggregate_order_by(func.concat(membership.c.program_id, " ", membership.c.role), membership.c.id)
            )
        )
        .where(membership.c.account_id == console_session.c.account_id)
        .scalar_subquery()
        .label("roles"),
    )
    .select_from(
        console_session.join(account, account.c.id == console_session.c.account_id).outerjoin(
            account_credential, account_credential.c.account_id == account.c.id
        )
    )
    .where(console_session.c.token_sha256 == bindparam("digest"))
)


def authenticate_session(connection: Connection, token: str, request_id: str | None = None) -> Authenticated:
    """Return who is signed in with ``token``; raises :class:`KeyRejected`."""
    found = _SESSION_QUERY.fetch(connection, digest=digest_token(token))
    if not found:
        raise KeyRejected("the session is unknown")
    identity, account_id, seen_at, idle_expires_at, expires_at, ended_at, name, disabled_at, admin, roles = found[0]
    now = datetime.now(UTC)
    if ended_at is not None:
        raise KeyRejected("the session has ended")
    if min(idle_expires_at, expires_at) <= now:
        raise KeyRejected("the session has expired")
    if disabled_at is not None:
        raise KeyRejected("the account is disabled")
    pairs = (text.split(" ") for text in roles or ())
    caller = Caller(
        key_id=identity,
        actor=f"account:{name}",
        scopes=SCOPES_OF_PEOPLE | {"admin"} if admin else SCOPES_OF_PEOPLE,
        roles={uuid.UUID(program_id): role for program_id, role in pairs},
        account_id=account_id,
        request_id=request_id,
    )
    return Authenticated(caller, now - seen_at >= LAST_USE_RESOLUTION, min(idle_expires_at, expires_at))


def record_session_use(connection: Connection, session_id: uuid.UUID, idle_s: float) -> None:
    """Move the end of an idle session on, at most once a minute and never beyond its last moment."""
    values, now = console_session.c, datetime.now(UTC)
    stale = values.last_seen_at < now - LAST_USE_RESOLUTION
    end = func.least(values.expires_at, now + timedelta(seconds=idle_s))
    statement = update(console_session).where(values.id == session_id, values.ended_at.is_(None), stale)
    connection.execute(statement.values(last_seen_at=now, idle_expires_at=end))


def method_of(connection: Connection, session_id: uuid.UUID) -> str | None:
    """Return how a session began."""
    query = select(console_session.c.method).where(console_session.c.id == session_id)
    return connection.execute(query).scalar()


def issue_link_by_name(connection: Connection, name: str, valid_s: float, *, administrator: bool = False) -> str:
    """Return the token of a sign-in link for the account ``name``, which is made when there is none.

    For whoever has the database itself. ``administrator`` makes it one of the installation's; it never takes that away.
    """
    account_id = connection.execute(select(account.c.id).where(account.c.name == name)).scalar()
    if account_id is None:
        account_id = uuid7()
        connection.execute(insert(account).values(id=account_id, name=name))
        record(connection, "service:bootstrap", None, AuditEntry("account.created", "account", account_id))
    if administrator:
        make_installation_admin(connection, account_id)
    return issue_link(connection, account_id, "service:bootstrap", valid_s)


def issue_administrator_link(connection: Connection, valid_s: float) -> str:
    """Return the token of a sign-in link for the account that :func:`bootstrap_admin` makes."""
    return issue_link_by_name(connection, "admin", valid_s, administrator=True)


def name_of(connection: Connection, account_id: uuid.UUID) -> str:
    """Return the account's name; raises :class:`RowNotFound`."""
    name = connection.execute(select(account.c.name).where(account.c.id == account_id)).scalar()
    if name is None:
        raise RowNotFound("account", account_id)
    return str(name)


def members_of(connection: Connection, program_id: uuid.UUID) -> dict[uuid.UUID, str]:
    """Return the names of the accounts that are members of a program, by id."""
    query = select(account.c.id, account.c.name).join(membership, membership.c.account_id == account.c.id)
    rows = connection.execute(query.where(membership.c.program_id == program_id).order_by(account.c.name).limit(1000))
    return {row.id: row.name for row in rows}

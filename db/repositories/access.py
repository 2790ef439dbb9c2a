"""Who may do what, in one table, and the restriction that every query of a request carries.

A :class:`Caller` is made from an API key and handed to every repository function that reads or writes for a
request; the function adds :meth:`Caller.restriction` to its SQL. A row of a foreign program does not exist.
"""

import hashlib
import hmac
import re
import secrets
import string
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, any_, bindparam, false, func, insert, literal, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY, UUID, aggregate_order_by

from db.identifiers import uuid7
from db.prepared import PreparedQuery
from db.repositories.audit import AuditEntry, record
from db.schema.people import SCOPES, account, api_key, instrument, membership, program

KEY_FORM = re.compile(r"fl_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
LAST_USE_RESOLUTION = timedelta(minutes=1)
_PREFIX_ALPHABET = string.ascii_lowercase + string.digits


class Action(StrEnum):
    """What a request does, as far as access is concerned."""

    READ_OPERATIONS = "read-operations"
    READ_RECORDS = "read-records"
    UPLOAD = "upload"
    ANALYSE = "analyse"
    CANCEL = "cancel"
    MONITOR = "monitor"
    PROMOTE = "promote"
    READ_WEBHOOKS = "read-webhooks"
    WRITE_WEBHOOKS = "write-webhooks"
    WRITE_REPORTS = "write-reports"
    READ_ADMINISTRATION = "read-administration"
    ADMINISTER = "administer"
    READ_KEYS = "read-keys"
    WRITE_KEYS = "write-keys"
    INSTALL = "install"


SCOPE_OF_ACTION: Mapping[Action, str] = {
    Action.READ_OPERATIONS: "read",
    Action.READ_RECORDS: "read",
    Action.UPLOAD: "upload",
    Action.ANALYSE: "write",
    Action.CANCEL: "write",
    Action.MONITOR: "write",
    Action.PROMOTE: "write",
    Action.READ_WEBHOOKS: "read",
    Action.WRITE_WEBHOOKS: "write",
    Action.WRITE_REPORTS: "write",
    Action.READ_ADMINISTRATION: "read",
    Action.ADMINISTER: "write",
    Action.READ_KEYS: "read",
    Action.WRITE_KEYS: "write",
    Action.INSTALL: "admin",
}
"""The scope that a key must carry for an action, whatever the role."""

_ENGINEER = frozenset(
    {
        Action.READ_OPERATIONS,
        Action.READ_RECORDS,
        Action.UPLOAD,
        Action.ANALYSE,
        Action.CANCEL,
        Action.MONITOR,
    }
)

ROLE_ACTIONS: Mapping[str, frozenset[Action]] = {
    "viewer": frozenset({Action.READ_OPERATIONS, Action.READ_RECORDS}),
    "engineer": _ENGINEER,
    "reliability": _ENGINEER | {Action.WRITE_REPORTS, Action.PROMOTE},
    "operator": frozenset({Action.READ_OPERATIONS, Action.UPLOAD, Action.MONITOR}),
    "admin": _ENGINEER
    | {
        Action.READ_ADMINISTRATION,
        Action.ADMINISTER,
        Action.READ_WEBHOOKS,
        Action.WRITE_WEBHOOKS,
        Action.WRITE_REPORTS,
        Action.PROMOTE,
    },
}
"""The one table of roles: what a member may do in a program. Files, bundles, jobs, instruments, their control charts
and events are *operations*; waveforms, sessions, netlists, results, findings and parts are *records*; memberships,
instruments' keys and the audit trail are *administration*; to *monitor* is to set the limits of charts; reports are
*records*; to *write reports* is to schedule, ask for and send them; to *promote* is to say which version of a
learned model counts. An instrument may only upload, to its program."""

INSTALLATION_ACTIONS = frozenset({Action.READ_ADMINISTRATION, Action.ADMINISTER})
"""What a key with the scope ``admin`` may do in every program besides :attr:`Action.INSTALL`: administer it, never
read its data."""

ROLELESS_ACTIONS = frozenset({Action.READ_KEYS, Action.WRITE_KEYS, Action.INSTALL})
"""What depends on the key alone: an account's own keys, and the installation."""


class AccessError(Exception):
    """A request that may not be done."""


class KeyRejected(AccessError):  # noqa: N818
    """The key is missing, malformed, unknown, revoked, expired, or its account is disabled."""


class ActionDenied(AccessError):  # noqa: N818
    """The key is good and does not allow this action."""

    def __init__(self, action: Action, reason: str) -> None:
        super().__init__(reason)
        self.action = action


class RowNotFound(AccessError):  # noqa: N818
    """The row does not exist, or belongs to a program that the caller may not see: the same answer for both."""

    def __init__(self, kind: str, identity: object) -> None:
        super().__init__(f"no {kind} {identity}")
        self.kind = kind


class Conflict(AccessError):  # noqa: N818
    """The request contradicts what is stored."""


@dataclass(frozen=True)
class Caller:
    """An account with its roles by program, or an instrument of one program."""

    key_id: uuid.UUID
    actor: str
    scopes: frozenset[str]
    roles: Mapping[uuid.UUID, str] = field(default_factory=dict)
    account_id: uuid.UUID | None = None
    instrument_id: uuid.UUID | None = None
    instrument_program_id: uuid.UUID | None = None
    request_id: str | None = None

    @property
    def installation_admin(self) -> bool:
        """Whether this is an account's key with the scope ``admin``."""
        return self.account_id is not None and "admin" in self.scopes

    def programs(self, action: Action) -> frozenset[uuid.UUID] | None:
        """Return the programs in which ``action`` is allowed; ``None`` means every program."""
        if SCOPE_OF_ACTION[action] not in self.scopes:
            return frozenset()
        if self.instrument_program_id is not None:
            return frozenset({self.instrument_program_id}) if action is Action.UPLOAD else frozenset()
        if self.installation_admin and action in INSTALLATION_ACTIONS:
            return None
        return frozenset(identity for identity, role in self.roles.items() if action in ROLE_ACTIONS[role])

    def may(self, action: Action, program_id: uuid.UUID) -> bool:
        """Return whether ``action`` is allowed in the program."""
        allowed = self.programs(action)
        return allowed is None or program_id in allowed

    def restriction(self, action: Action, program_column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the SQL condition that keeps only rows of programs in which ``action`` is allowed."""
        allowed = self.programs(action)
        if allowed is None:
            return true()
        if not allowed:
            return false()
        if len(allowed) == 1:
            return program_column == next(iter(allowed))
        return program_column == any_(literal(sorted(allowed), ARRAY(UUID(as_uuid=True))))

    def require(self, action: Action) -> None:
        """Raise :class:`ActionDenied` when the key can do ``action`` nowhere.

        A caller without any membership is not denied: every list is empty and every row unknown to it.
        """
        scope = SCOPE_OF_ACTION[action]
        if scope not in self.scopes:
            raise ActionDenied(action, f"this key lacks the scope {scope!r}")
        if action in ROLELESS_ACTIONS:
            if self.account_id is None:
                raise ActionDenied(action, "an instrument's key can only upload")
            return
        allowed = self.programs(action)
        if allowed is not None and not allowed and (self.roles or self.instrument_id is not None):
            raise ActionDenied(action, f"none of your roles allows {action.value!r}")

    def require_in(self, action: Action, program_id: uuid.UUID) -> None:
        """Raise :class:`ActionDenied` when ``action`` is not allowed in a program that the caller can see."""
        if not self.may(action, program_id):
            raise ActionDenied(action, f"your role in this program does not allow {action.value!r}")


@dataclass(frozen=True)
class Authenticated:
    """A caller, whether the time of the key's last use is due to be written, and when the key expires."""

    caller: Caller
    last_use_is_stale: bool
    expires_at: datetime | None = None


def digest_secret(secret: str) -> str:
    """Return what is stored of a key's secret part: its sha256, hex (the secret has 256 random bits)."""
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


_KEY_QUERY = PreparedQuery(
    select(
        api_key.c.id,
        api_key.c.secret_sha256,
        api_key.c.scopes,
        api_key.c.expires_at,
        api_key.c.revoked_at,
        api_key.c.last_used_at,
        api_key.c.account_id,
        api_key.c.instrument_id,
        account.c.name.label("account_name"),
        account.c.disabled_at,
        instrument.c.name.label("instrument_name"),
        instrument.c.program_id.label("instrument_program_id"),
        select(
            func.array_agg(
                aggregate_order_by(func.concat(membership.c.program_id, " ", membership.c.role), membership.c.id)
            )
        )
        .where(membership.c.account_id == api_key.c.account_id)
        .scalar_subquery()
        .label("roles"),
    )
    .select_from(
        api_key.outerjoin(account, account.c.id == api_key.c.account_id).outerjoin(
            instrument, instrument.c.id == api_key.c.instrument_id
        )
    )
    .where(api_key.c.prefix == bindparam("prefix"))
)


class _KeyRow(NamedTuple):
    """A row of :data:`_KEY_QUERY`."""

    id: uuid.UUID
    secret_sha256: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    account_id: uuid.UUID | None
    instrument_id: uuid.UUID | None
    account_name: str | None
    disabled_at: datetime | None
    instrument_name: str | None
    instrument_program_id: uuid.UUID | None
    roles: list[str] | None


def authenticate(connection: Connection, key: str, request_id: str | None = None) -> Authenticated:
    """Return who presents ``key``; raises :class:`KeyRejected`."""
    form = KEY_FORM.fullmatch(key)
    if form is None:
        raise KeyRejected("the key is malformed")
    found = _KEY_QUERY.fetch(connection, prefix=form[1])
    row = _KeyRow(*found[0]) if found else None
    expected = row.secret_sha256 if row is not None else "0" * 64
    if not hmac.compare_digest(digest_secret(form[2]), expected) or row is None:
        raise KeyRejected("the key is unknown")
    now = datetime.now(UTC)
    if row.revoked_at is not None:
        raise KeyRejected("the key was revoked")
    if row.expires_at is not None and row.expires_at <= now:
        raise KeyRejected("the key has expired")
    if row.disabled_at is not None:
        raise KeyRejected("the account is disabled")
    pairs = (text.split(" ") for text in row.roles or ())
    caller = Caller(
        key_id=row.id,
        actor=f"account:{row.account_name}" if row.account_id else f"instrument:{row.instrument_name}",
        scopes=frozenset(row.scopes),
        roles={uuid.UUID(program_id): role for program_id, role in pairs},
        account_id=row.account_id,
        instrument_id=row.instrument_id,
        instrument_program_id=row.instrument_program_id,
        request_id=request_id,
    )
    stale = row.last_used_at is None or now - row.last_used_at >= LAST_USE_RESOLUTION
    return Authenticated(caller, stale, row.expires_at)


def record_use(connection: Connection, key_id: uuid.UUID) -> None:
    """Write the time of the key's last use, at most once a minute."""
    stale = api_key.c.last_used_at < func.now() - LAST_USE_RESOLUTION
    statement = update(api_key).where(api_key.c.id == key_id, api_key.c.last_used_at.is_(None) | stale)
    connection.execute(statement.values(last_used_at=func.now()))


def find_program(connection: Connection, caller: Caller, action: Action, name_or_id: str) -> uuid.UUID:
    """Return the id of a program in which ``action`` is allowed, by name or id; raises :class:`RowNotFound`.

    A member whose role does not allow the action gets :class:`ActionDenied`: membership is no secret to a member.
    """
    identity = _uuid_or_none(name_or_id)
    wanted = program.c.id == identity if identity is not None else program.c.name == name_or_id
    found: uuid.UUID | None = connection.execute(select(program.c.id).where(wanted)).scalar()
    if found is not None and caller.may(action, found):
        return found
    if found is not None and (found in caller.roles or found == caller.instrument_program_id):
        caller.require_in(action, found)
    raise RowNotFound("program", name_or_id)


def _uuid_or_none(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


@dataclass(frozen=True)
class KeyOwner:
    """Whose key it is: exactly one of an account and an instrument."""

    account_id: uuid.UUID | None = None
    instrument_id: uuid.UUID | None = None


@dataclass(frozen=True)
class IssuedKey:
    """A new key: ``key`` is shown once and not kept."""

    id: uuid.UUID
    prefix: str
    key: str


def issue_key(
    connection: Connection,
    owner: KeyOwner,
    label: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
) -> IssuedKey:
    """Insert a key and return it; an instrument's key has the scope ``upload`` and no other."""
    if owner.instrument_id is not None and list(scopes) != ["upload"]:
        raise Conflict("an instrument's key has the scope 'upload' and no other")
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(8))
    secret = secrets.token_urlsafe(32)
    identity = uuid7()
    connection.execute(
        insert(api_key).values(
            id=identity,
            prefix=prefix,
            secret_sha256=digest_secret(secret),
            label=label,
            account_id=owner.account_id,
            instrument_id=owner.instrument_id,
            scopes=[scope for scope in SCOPES if scope in scopes],
            expires_at=expires_at,
        )
    )
    return IssuedKey(identity, prefix, f"fl_{prefix}_{secret}")


def bootstrap_admin(connection: Connection, name: str = "admin") -> str:
    """Return a new key with every scope for the account ``name``, which is made when there is none.

    For the first start, by whoever has the database itself; called again it issues another key.
    """
    identity = connection.execute(select(account.c.id).where(account.c.name == name)).scalar()
    if identity is None:
        identity = uuid7()
        connection.execute(insert(account).values(id=identity, name=name))
    issued = issue_key(connection, KeyOwner(account_id=identity), "bootstrap", SCOPES)
    entry = AuditEntry("api-key.issued", "api_key", issued.id, after={"account": name, "scopes": list(SCOPES)})
    record(connection, "service:bootstrap", None, entry)
    return issued.key

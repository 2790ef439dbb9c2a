"""What an endpoint works with: the caller and a transaction that commits before the answer is sent.

An endpoint is a plain function that does all its work in one ``with context.begin() as unit`` block: authentication,
rate limit, access and queries happen in one thread and one transaction. (A generator dependency would hold a
connection across three turns in the thread pool: more connections wanted than threads, or the other way round,
and both wait for each other.) The function-scoped dependency makes only the context.
"""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from db.repositories import access, audit, console_access
from db.repositories.access import Action, ActionDenied, Authenticated, Caller
from db.unit_of_work import UnitOfWork, begin, read
from services.api.state import ApiState
from services.problems import Problem
from services.settings import Settings

log = structlog.get_logger(__name__)

_CHANGES_ACCESS = frozenset({Action.ADMINISTER, Action.WRITE_KEYS, Action.INSTALL})

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="faultlight"'}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_COOKIES = ("__Host-faultlight", "faultlight")
"""Names of the console's cookie, with https and without; only the one of the public URL's scheme is looked at."""
FORGERY_HEADER = "x-faultlight-forgery"


def is_secure(settings: Settings) -> bool:
    """Return whether browsers reach the service by https, so that the cookie may insist on it."""
    return (settings.public_url or "").startswith("https://")


def session_cookie(settings: Settings) -> str:
    """Return the name of the console's cookie."""
    return SESSION_COOKIES[0] if is_secure(settings) else SESSION_COOKIES[1]


@dataclass(frozen=True)
class Presented:
    """What a request shows of who asks: a key, or else the cookie of a console session.

    A request that changes something and shows a cookie must send the session's forgery token too, which a page of
    another site cannot know.
    """

    authorization: str | None
    session: str | None = None
    forgery: str | None = None
    changes: bool = True

    @classmethod
    def of(cls, request: Request) -> "Presented":
        """Return what ``request`` presents."""
        # With https the other name is not looked at: a neighbouring host could set it for the whole domain.
        session = request.cookies.get(session_cookie(request.app.state.api.settings)) or None
        headers = request.headers
        changes = request.method not in SAFE_METHODS
        return cls(headers.get("authorization"), session, headers.get(FORGERY_HEADER), changes)

    @property
    def is_session(self) -> bool:
        """Whether a console session counts: a key that is sent goes before it."""
        return self.authorization is None and self.session is not None

    def secret(self) -> str:
        """Return what tells this caller from any other; raises a problem when nothing acceptable is presented."""
        if self.authorization is None and self.session is not None:
            if self.changes and not self._is_own():
                raise Problem("forbidden", "the form or script does not carry the session's forgery token; reload it")
            return f"session {self.session}"
        scheme, _, key = (self.authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Problem("unauthenticated", "send the header Authorization: Bearer <key>", headers=CHALLENGE)
        return key.strip()

    def _is_own(self) -> bool:
        expected = console_access.forgery_token(self.session or "")
        return hmac.compare_digest((self.forgery or "").encode(), expected.encode())


@dataclass(frozen=True)
class RequestUnit:
    """The transaction of a request, and who asks."""

    unit: UnitOfWork
    caller: Caller

    @property
    def connection(self) -> Connection:
        """The connection inside the transaction."""
        return self.unit.connection

    def audit(self, entry: audit.AuditEntry) -> None:
        """Append to the audit trail on behalf of the caller."""
        audit.record(self.connection, self.caller.actor, self.caller.request_id, entry)


class RequestContext:
    """A request that wants to do one of ``actions``; nothing is checked before :meth:`begin`."""

    def __init__(self, state: ApiState, presented: Presented, request_id: str, actions: tuple[Action, ...]) -> None:
        self.state = state
        self.request_id = request_id
        self.actions = actions
        self.presented = presented

    @contextmanager
    def begin(self) -> Iterator[RequestUnit]:
        """Authenticate, open a transaction, and commit it at the end of the block."""
        with begin(self.state.engine) as unit:
            authenticated = self._authenticate(unit.connection, self.presented.secret())
            self._admit(authenticated.caller)
            yield RequestUnit(unit, authenticated.caller)
        if not _CHANGES_ACCESS.isdisjoint(self.actions):
            self.state.recent_keys.forget_all()
        if authenticated.last_use_is_stale:
            self._record_use(authenticated.caller)

    @contextmanager
    def read(self) -> Iterator[RequestUnit]:
        """Authenticate and let the block read, without a transaction: it must not write.

        A key that was good a moment ago is not looked up again (:class:`services.api.recent_keys.RecentKeys`).
        """
        key = self.presented.secret()
        caller = self.state.recent_keys.find(key)
        stale = False
        with read(self.state.reading_engine) as unit:
            if caller is None:
                authenticated = self._authenticate(unit.connection, key)
                self.state.recent_keys.keep(key, authenticated)
                caller, stale = authenticated.caller, authenticated.last_use_is_stale
            self._admit(caller)
            yield RequestUnit(unit, caller)
        if stale:
            self._record_use(caller)

    def _authenticate(self, connection: Connection, secret: str) -> Authenticated:
        if self.presented.is_session:
            return console_access.authenticate_session(connection, self.presented.session or "", self.request_id)
        return access.authenticate(connection, secret, self.request_id)

    def _admit(self, caller: Caller) -> None:
        self.state.limiter.check(caller.key_id)
        self._require(caller)

    def _require(self, caller: Caller) -> None:
        denied: ActionDenied | None = None
        for action in self.actions:
            try:
                caller.require(action)
            except ActionDenied as error:
                denied = error
            else:
                return
        if denied is not None:
            raise denied

    def _record_use(self, caller: Caller) -> None:
        """Write the key's last use; the request itself is committed, so a failure here must not deny it."""
        try:
            with begin(self.state.engine) as unit:
                if self.presented.is_session:
                    idle_s = self.state.settings.console_idle_s
                    console_access.record_session_use(unit.connection, caller.key_id, idle_s)
                else:
                    access.record_use(unit.connection, caller.key_id)
        except SQLAlchemyError as error:
            log.warning("last_use_not_recorded", error=type(error).__name__)


@dataclass(frozen=True)
class ContextFactory:
    """The dependency that makes the context; the contract reads ``actions`` from it."""

    actions: tuple[Action, ...]

    async def __call__(self, request: Request) -> RequestContext:
        """Return the context of ``request``."""
        state: ApiState = request.app.state.api
        request_id: str = request.scope["state"]["request_id"]
        return RequestContext(state, Presented.of(request), request_id, self.actions)


def acting(*actions: Action) -> Any:
    """Return the dependency of an endpoint that does one of ``actions``; it shows up in the contract."""
    return Depends(ContextFactory(actions), scope="function")


Uploads = Annotated[RequestContext, acting(Action.UPLOAD)]
ReadsOperations = Annotated[RequestContext, acting(Action.READ_OPERATIONS)]
FollowsUploads = Annotated[RequestContext, acting(Action.READ_OPERATIONS, Action.UPLOAD)]
ReadsInstallation = Annotated[RequestContext, acting(Action.READ_OPERATIONS, Action.READ_ADMINISTRATION)]
ReadsRecords = Annotated[RequestContext, acting(Action.READ_RECORDS)]
Analyses = Annotated[RequestContext, acting(Action.ANALYSE)]
Cancels = Annotated[RequestContext, acting(Action.CANCEL)]
ReadsAdministration = Annotated[RequestContext, acting(Action.READ_ADMINISTRATION)]
Administers = Annotated[RequestContext, acting(Action.ADMINISTER)]
ReadsKeys = Annotated[RequestContext, acting(Action.READ_KEYS)]
WritesKeys = Annotated[RequestContext, acting(Action.WRITE_KEYS)]
Installs = Annotated[RequestContext, acting(Action.INSTALL)]

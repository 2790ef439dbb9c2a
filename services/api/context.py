"""What an endpoint works with: the caller and a transaction that commits before the answer is sent.

An endpoint is a plain function that does all its work in one ``with context.begin() as unit`` block: authentication,
rate limit, access and queries happen in one thread and one transaction. (A generator dependency would hold a
connection across three turns in the thread pool: more connections wanted than threads, or the other way round,
and both wait for each other.) The function-scoped dependency makes only the context.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from db.repositories import access, audit
from db.repositories.access import Action, ActionDenied, Caller
from db.unit_of_work import UnitOfWork, begin, read
from services.api.state import ApiState
from services.problems import Problem

log = structlog.get_logger(__name__)

_CHANGES_ACCESS = frozenset({Action.ADMINISTER, Action.WRITE_KEYS, Action.INSTALL})

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="faultlight"'}


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

    def __init__(
        self, state: ApiState, authorization: str | None, request_id: str, actions: tuple[Action, ...]
    ) -> None:
        self.state = state
        self.request_id = request_id
        self.actions = actions
        self._authorization = authorization

    @contextmanager
    def begin(self) -> Iterator[RequestUnit]:
        """Authenticate, open a transaction, and commit it at the end of the block."""
        with begin(self.state.engine) as unit:
            authenticated = access.authenticate(unit.connection, self._key(), self.request_id)
            self._admit(authenticated.caller)
            yield RequestUnit(unit, authenticated.caller)
        if not _CHANGES_ACCESS.isdisjoint(self.actions):
            self.state.recent_keys.forget_all()
        if authenticated.last_use_is_stale:
            self._record_use(authenticated.caller.key_id)

    @contextmanager
    def read(self) -> Iterator[RequestUnit]:
        """Authenticate and let the block read, without a transaction: it must not write.

        A key that was good a moment ago is not looked up again (:class:`services.api.recent_keys.RecentKeys`).
        """
        key = self._key()
        caller = self.state.recent_keys.find(key)
        stale = False
        with read(self.state.reading_engine) as unit:
            if caller is None:
                authenticated = access.authenticate(unit.connection, key, self.request_id)
                self.state.recent_keys.keep(key, authenticated)
                caller, stale = authenticated.caller, authenticated.last_use_is_stale
            self._admit(caller)
            yield RequestUnit(unit, caller)
        if stale:
            self._record_use(caller.key_id)

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

    def _key(self) -> str:
        scheme, _, key = (self._authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Problem("unauthenticated", "send the header Authorization: Bearer <key>", headers=CHALLENGE)
        return key.strip()

    def _record_use(self, key_id: uuid.UUID) -> None:
        """Write the key's last use; the request itself is committed, so a failure here must not deny it."""
        try:
            with begin(self.state.engine) as unit:
                access.record_use(unit.connection, key_id)
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
        return RequestContext(state, request.headers.get("authorization"), request_id, self.actions)


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

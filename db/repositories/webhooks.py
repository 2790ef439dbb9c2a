"""Webhook subscriptions of a program: made, changed, given a new secret, deleted, each with its audit entry."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from db.identifiers import uuid7
from db.repositories import audit
from db.repositories.access import Action, Caller, Conflict, RowNotFound, find_program
from db.repositories.audit import AuditEntry
from db.schema.events import webhook_delivery, webhook_subscription

MOST_SUBSCRIPTIONS = 100
"""Of a program: each event is written once for each of them, in the transaction of its cause."""
OVERLAP_S = 86_400.0
"""How long the old secret signs beside a new one."""


@dataclass(frozen=True)
class NewSubscription:
    """Where events of ``kinds`` (empty: every kind) are to be sent, and the secret that signs them."""

    program: str
    url: str
    kinds: Sequence[str]
    description: str
    secret: str


def _record(connection: Connection, caller: Caller, entry: AuditEntry) -> None:
    audit.record(connection, caller.actor, caller.request_id, entry)


def create(connection: Connection, caller: Caller, new: NewSubscription) -> uuid.UUID:
    """Insert a subscription; raises :class:`Conflict` when the program has as many as it may have."""
    program_id = find_program(connection, caller, Action.WRITE_WEBHOOKS, new.program)
    there = select(func.count()).select_from(webhook_subscription)
    if connection.execute(there.where(webhook_subscription.c.program_id == program_id)).scalar_one() >= (
        MOST_SUBSCRIPTIONS
    ):
        raise Conflict(f"the program has {MOST_SUBSCRIPTIONS} webhooks already")
    identity = uuid7()
    connection.execute(
        insert(webhook_subscription).values(
            id=identity,
            program_id=program_id,
            url=new.url,
            kinds=list(new.kinds),
            description=new.description,
            secret=new.secret,
            created_by=caller.actor,
        )
    )
    after = {"url": new.url, "kinds": list(new.kinds)}
    _record(connection, caller, AuditEntry("webhook.created", "webhook", identity, program_id, after=after))
    return identity


def change(connection: Connection, caller: Caller, identity: uuid.UUID, changes: Mapping[str, Any]) -> None:
    """Change ``url``, ``kinds``, ``description`` or ``enabled``; raises :class:`RowNotFound`.

    While a subscription is disabled nothing is sent and nothing new is queued for it; what waits, waits.
    """
    before = _lock(connection, caller, identity)
    values = dict(changes)
    if values.get("enabled"):
        values["disabled_reason"] = None
    if values:
        statement = update(webhook_subscription).where(webhook_subscription.c.id == identity)
        connection.execute(statement.values(**values))
    entry = AuditEntry(
        "webhook.changed",
        "webhook",
        identity,
        before["program_id"],
        before={name: before[name] for name in changes},
        after=dict(changes),
    )
    _record(connection, caller, entry)


def replace_secret(connection: Connection, caller: Caller, identity: uuid.UUID, secret: str) -> None:
    """Sign with ``secret`` from now on, and for a day with the one before as well; raises :class:`RowNotFound`."""
    row = _lock(connection, caller, identity)
    statement = update(webhook_subscription).where(webhook_subscription.c.id == identity)
    until = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, OVERLAP_S)
    connection.execute(statement.values(secret=secret, previous_secret=row["secret"], previous_secret_until=until))
    _record(connection, caller, AuditEntry("webhook.secret-replaced", "webhook", identity, row["program_id"]))


def remove(connection: Connection, caller: Caller, identity: uuid.UUID) -> None:
    """Delete a subscription with its deliveries, those that wait too; raises :class:`RowNotFound`."""
    row = _lock(connection, caller, identity)
    connection.execute(delete(webhook_delivery).where(webhook_delivery.c.subscription_id == identity))
    connection.execute(delete(webhook_subscription).where(webhook_subscription.c.id == identity))
    before = {"url": row["url"], "kinds": list(row["kinds"])}
    _record(connection, caller, AuditEntry("webhook.deleted", "webhook", identity, row["program_id"], before=before))


def _lock(connection: Connection, caller: Caller, identity: uuid.UUID) -> dict[str, Any]:
    allowed = caller.restriction(Action.WRITE_WEBHOOKS, webhook_subscription.c.program_id)
    found = select(webhook_subscription).where(webhook_subscription.c.id == identity, allowed).with_for_update()
    row = connection.execute(found).mappings().one_or_none()
    if row is None:
        raise RowNotFound("webhook", identity)
    return {str(name): value for name, value in row.items()}

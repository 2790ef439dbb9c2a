"""Deliveries of events to webhooks: claimed with a lease, sent outside of any transaction, then marked.

A process that is killed between sending and marking leaves a lease that runs out: the event is sent again, under the
same id. At least once, never lost.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, func, or_, select, update

from db.repositories import audit
from db.repositories.access import Action, Caller, Conflict, RowNotFound
from db.repositories.audit import AuditEntry
from db.schema.events import event, webhook_delivery, webhook_subscription

ACTOR = "service:webhooks"
LOST = "the process was lost while it was sending"


@dataclass(frozen=True)
class ClaimedDelivery:
    """A delivery that this process holds the lease of; ``attempts`` counts this one."""

    id: uuid.UUID
    token: uuid.UUID
    program_id: uuid.UUID
    subscription_id: uuid.UUID
    attempts: int
    url: str
    secrets: tuple[str, ...]
    event_id: uuid.UUID
    event_kind: str
    event_data: Mapping[str, Any]
    occurred_at: datetime


@dataclass(frozen=True)
class DeliveryOutcome:
    """How a try ended: ``retry_after_s`` is the pause before the next one, ``None`` when there is none.

    ``gone``: the receiver wants no more events.
    """

    delivered: bool
    status: int | None
    reason: str | None
    retry_after_s: float | None = None
    gone: bool = False


def _seconds(seconds: float) -> Any:
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def claim(engine: Engine, lease_s: float, most_attempts: int) -> ClaimedDelivery | None:
    """Claim the delivery that has been due longest; ``None`` when none is.

    One whose process was lost is due when its lease has run out, and dead when that was its last attempt. Each
    receiver gets one at a time, so that a slow one does not keep the others waiting.
    """
    with engine.begin() as connection:
        _bury_lost(connection, most_attempts)
        token = uuid.uuid4()
        statement = (
            update(webhook_delivery)
            .where(webhook_delivery.c.id == _first_due())
            .values(
                state="sending",
                attempts=webhook_delivery.c.attempts + 1,
                lease_token=token,
                lease_expires_at=func.now() + _seconds(lease_s),
            )
            .returning(webhook_delivery.c.id)
        )
        claimed = connection.execute(statement).scalar()
        return None if claimed is None else _read_claimed(connection, claimed, token)


def _bury_lost(connection: Connection, most_attempts: int) -> None:
    lost = and_(
        webhook_delivery.c.state == "sending",
        webhook_delivery.c.lease_expires_at < func.now(),
        webhook_delivery.c.attempts >= most_attempts,
    )
    connection.execute(
        update(webhook_delivery)
        .where(lost)
        .values(state="dead", lease_token=None, lease_expires_at=None, last_status=None, reason=LOST)
    )


def _first_due() -> Any:
    other = webhook_delivery.alias("other")
    busy = (
        select(other.c.id)
        .where(
            other.c.subscription_id == webhook_delivery.c.subscription_id,
            other.c.state == "sending",
            other.c.lease_expires_at >= func.now(),
        )
        .exists()
    )
    due = or_(
        and_(webhook_delivery.c.state == "waiting", webhook_delivery.c.next_attempt_at <= func.now()),
        and_(webhook_delivery.c.state == "sending", webhook_delivery.c.lease_expires_at < func.now()),
    )
    return (
        select(webhook_delivery.c.id)
        .join(webhook_subscription, webhook_subscription.c.id == webhook_delivery.c.subscription_id)
        .where(due, webhook_subscription.c.enabled, ~busy)
        .order_by(webhook_delivery.c.next_attempt_at, webhook_delivery.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=webhook_delivery)
        .scalar_subquery()
    )


def _read_claimed(connection: Connection, identity: uuid.UUID, token: uuid.UUID) -> ClaimedDelivery:
    subscription = webhook_subscription.c
    row: Row[Any] = connection.execute(
        select(
            webhook_delivery,
            subscription.url,
            subscription.secret,
            subscription.previous_secret,
            (subscription.previous_secret_until > func.now()).label("previous_counts"),
            event.c.kind,
            event.c.data,
            event.c.occurred_at,
        )
        .join(webhook_subscription, subscription.id == webhook_delivery.c.subscription_id)
        .join(event, event.c.id == webhook_delivery.c.event_id)
        .where(webhook_delivery.c.id == identity)
    ).one()
    secrets = (row.secret, row.previous_secret) if row.previous_counts else (row.secret,)
    return ClaimedDelivery(
        id=row.id,
        token=token,
        program_id=row.program_id,
        subscription_id=row.subscription_id,
        attempts=row.attempts,
        url=row.url,
        secrets=secrets,
        event_id=row.event_id,
        event_kind=row.kind,
        event_data=row.data,
        occurred_at=row.occurred_at,
    )


def mark(connection: Connection, claimed: ClaimedDelivery, outcome: DeliveryOutcome) -> str | None:
    """Write how the try ended; return the state after, ``None`` when the lease is another's by now."""
    state = "delivered" if outcome.delivered else "dead" if outcome.retry_after_s is None else "waiting"
    values: dict[str, Any] = {
        "state": state,
        "lease_token": None,
        "lease_expires_at": None,
        "last_status": outcome.status,
        "reason": outcome.reason,
    }
    if outcome.delivered:
        values["delivered_at"] = func.now()
    if outcome.retry_after_s is not None:
        values["next_attempt_at"] = func.now() + _seconds(outcome.retry_after_s)
    held = and_(webhook_delivery.c.id == claimed.id, webhook_delivery.c.lease_token == claimed.token)
    statement = update(webhook_delivery).where(held).values(**values).returning(webhook_delivery.c.state)
    written: str | None = connection.execute(statement).scalar()
    if written is not None and outcome.gone:
        _disable(connection, claimed, outcome)
    return written


def _disable(connection: Connection, claimed: ClaimedDelivery, outcome: DeliveryOutcome) -> None:
    statement = update(webhook_subscription).where(webhook_subscription.c.id == claimed.subscription_id)
    connection.execute(statement.values(enabled=False, disabled_reason=outcome.reason))
    after = {"enabled": False, "reason": outcome.reason}
    entry = AuditEntry("webhook.disabled", "webhook", claimed.subscription_id, claimed.program_id, after=after)
    audit.record(connection, ACTOR, None, entry)


def redeliver(connection: Connection, caller: Caller, identity: uuid.UUID) -> None:
    """Let a delivery be tried anew, whatever became of it, with all its attempts before it.

    Raises:
        RowNotFound: there is none that the caller may see.
        Conflict: it is being sent at this moment.
    """
    allowed = caller.restriction(Action.WRITE_WEBHOOKS, webhook_delivery.c.program_id)
    found = select(webhook_delivery.c.state, webhook_delivery.c.program_id)
    row = connection.execute(found.where(webhook_delivery.c.id == identity, allowed).with_for_update()).one_or_none()
    if row is None:
        raise RowNotFound("webhook delivery", identity)
    if row.state == "sending":
        raise Conflict("the delivery is being sent at this moment")
    statement = update(webhook_delivery).where(webhook_delivery.c.id == identity)
    connection.execute(statement.values(state="waiting", attempts=0, next_attempt_at=func.now(), delivered_at=None))
    entry = AuditEntry(
        "webhook-delivery.requested", "webhook_delivery", identity, row.program_id, before={"state": row.state}
    )
    audit.record(connection, caller.actor, caller.request_id, entry)

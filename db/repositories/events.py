"""Events: what happened, once, with a delivery for each webhook that asked for it, in the transaction of its cause."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, any_, bindparam, func, insert, or_, select
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from db.identifiers import uuid7
from db.prepared import PreparedQuery
from db.schema.events import event, webhook_delivery, webhook_subscription


@dataclass(frozen=True)
class NewEvent:
    """Something that happened; ``identity`` is what makes it the same event when it is seen again.

    ``occurred_at``: ``None`` is the time of the transaction.
    """

    program_id: uuid.UUID
    kind: str
    subject_type: str
    subject_id: uuid.UUID
    data: Mapping[str, Any]
    identity: tuple[object, ...]
    instrument_id: uuid.UUID | None = None
    occurred_at: datetime | None = None


_SUBSCRIBED = PreparedQuery(
    select(webhook_subscription.c.id)
    .where(
        webhook_subscription.c.program_id == bindparam("program", type_=UUID(as_uuid=True)),
        webhook_subscription.c.enabled,
        or_(
            func.cardinality(webhook_subscription.c.kinds) == 0,
            bindparam("kind", type_=Text) == any_(webhook_subscription.c.kinds),
        ),
    )
    .order_by(webhook_subscription.c.id)
    .with_for_update(read=True, key_share=True)
)
"""A subscription that is being deleted is waited for: it is either told or gone."""


def record(connection: Connection, new: NewEvent) -> uuid.UUID | None:
    """Insert an event and its deliveries; return its id, ``None`` when it has been recorded before."""
    identity = uuid7()
    statement = (
        postgresql_insert(event)
        .values(
            id=identity,
            program_id=new.program_id,
            kind=new.kind,
            event_key=_key(new),
            instrument_id=new.instrument_id,
            subject_type=new.subject_type,
            subject_id=new.subject_id,
            data=dict(new.data),
            occurred_at=new.occurred_at if new.occurred_at is not None else func.now(),
        )
        .on_conflict_do_nothing(index_elements=[event.c.event_key])
        .returning(event.c.id)
    )
    if connection.execute(statement).scalar() is None:
        return None
    _fan_out(connection, new, identity)
    return identity


def _key(new: NewEvent) -> str:
    document = [new.kind, str(new.program_id), *map(str, new.identity)]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def _fan_out(connection: Connection, new: NewEvent, event_id: uuid.UUID) -> None:
    subscriptions = _SUBSCRIBED.fetch(connection, program=new.program_id, kind=new.kind)
    for row in subscriptions:
        statement = insert(webhook_delivery).values(
            id=uuid7(),
            program_id=new.program_id,
            subscription_id=row[0],
            event_id=event_id,
            next_attempt_at=func.now(),
        )
        connection.execute(statement)

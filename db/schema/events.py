"""What happened that people or other systems may want to know, and how they are told."""

from typing import Literal, get_args

from sqlalchemy import ARRAY, Boolean, CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db.schema.base import created_at, identifier, metadata, moment, reference

EventKind = Literal[
    "instrument.out_of_control",
    "file.quarantined",
    "job.dead",
    "agent.silent",
    "agent.backlog",
    "report.ready",
    "report.undelivered",
    "model.drifted",
]

EVENT_KINDS: tuple[str, ...] = get_args(EventKind)
DELIVERY_STATES = ("waiting", "sending", "delivered", "dead")

event = Table(
    "event",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("kind", Text, nullable=False),
    Column("event_key", Text, nullable=False, unique=True, comment="sha256 of what happened: it happens once"),
    reference("instrument_id", "instrument", nullable=True, index=True),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", UUID(as_uuid=True), nullable=False, index=True),
    Column("data", JSONB, nullable=False),
    moment("occurred_at", nullable=False),
    created_at(),
    CheckConstraint(f"kind IN {EVENT_KINDS}", name="kind"),
    Index("ix_event_program_id_id", "program_id", "id"),
    comment="Append-only; triggers refuse UPDATE, DELETE and TRUNCATE.",
)

webhook_subscription = Table(
    "webhook_subscription",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("url", Text, nullable=False),
    Column("kinds", ARRAY(Text), nullable=False, comment="of events; empty: every kind"),
    Column("description", Text, nullable=False, server_default=""),
    Column("enabled", Boolean, nullable=False, server_default="true"),
    Column("disabled_reason", Text, comment="when the service has disabled it"),
    Column("secret", Text, nullable=False, comment="signs; shown once"),
    Column("previous_secret", Text, comment="signs as well until previous_secret_until"),
    moment("previous_secret_until"),
    Column("created_by", Text, nullable=False),
    created_at(),
    Index("ix_webhook_subscription_program_id_id", "program_id", "id"),
    comment="Where events of a program are sent.",
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("subscription_id", "webhook_subscription"),
    reference("event_id", "event", index=True),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="counted at the claim"),
    moment("next_attempt_at", nullable=False),
    Column("lease_token", UUID(as_uuid=True)),
    moment("lease_expires_at"),
    Column("last_status", Integer, comment="HTTP status of the last answer"),
    Column("reason", Text, comment="why the last attempt failed"),
    moment("delivered_at"),
    created_at(),
    UniqueConstraint("subscription_id", "event_id"),
    CheckConstraint(f"state IN {DELIVERY_STATES}", name="state"),
    CheckConstraint("(state = 'sending') = (lease_token IS NOT NULL)", name="lease_while_sending"),
    Index("ix_webhook_delivery_program_id_id", "program_id", "id"),
    Index("ix_webhook_delivery_due", "next_attempt_at", "id", postgresql_where=text("state = 'waiting'")),
    Index("ix_webhook_delivery_leases", "lease_expires_at", postgresql_where=text("state = 'sending'")),
    comment="Inserted with its event: the row is the outbox.",
)

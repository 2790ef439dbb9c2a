"""Reliability reports: when they are due, what was made, and to whom it went."""

from typing import Literal, get_args

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db.schema.base import created_at, identifier, metadata, moment, reference

CatchUp = Literal["all", "latest", "skip"]
ReportState = Literal["due", "ready", "skipped"]
MailState = Literal["waiting", "sending", "delivered", "unknown", "failed"]

# The same words as values, for the checks of the tables.
CATCH_UPS: tuple[str, ...] = get_args(CatchUp)
REPORT_STATES: tuple[str, ...] = get_args(ReportState)
MAIL_STATES: tuple[str, ...] = get_args(MailState)

report_schedule = Table(
    "report_schedule",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("cron", Text, nullable=False, comment="minute, hour, day of month, month, day of week"),
    Column("time_zone", Text, nullable=False, comment="IANA name that cron is read in"),
    Column("catch_up", Text, nullable=False, server_default="latest", comment="what becomes of missed due times"),
    Column("enabled", Boolean, nullable=False, server_default="true"),
    Column("content", JSONB, nullable=False, comment="what is reported, and under which assumptions"),
    Column("recipients", ARRAY(Text), nullable=False, comment="addresses of e-mail"),
    moment("next_due_at", nullable=False),
    Column("revision", Integer, nullable=False, server_default="1", comment="counts changes"),
    Column("created_by", Text, nullable=False),
    created_at(),
    UniqueConstraint("program_id", "name"),
    CheckConstraint(f"catch_up IN {CATCH_UPS}", name="catch_up"),
    Index("ix_report_schedule_program_id_id", "program_id", "id"),
    Index("ix_report_schedule_next_due_at", "next_due_at", postgresql_where=text("enabled")),
    comment="When a program's reliability report is due; next_due_at is the first due time without a report.",
)

report = Table(
    "report",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("schedule_id", "report_schedule", nullable=True),
    moment("due_at"),
    Column("title", Text, nullable=False),
    Column("content", JSONB, nullable=False, comment="as the schedule had it when the report became due"),
    Column("recipients", ARRAY(Text), nullable=False),
    moment("freeze_at", nullable=False),
    moment("period_from", nullable=False),
    Column("state", Text, nullable=False, server_default="due"),
    Column("reason", Text, comment="why it was skipped"),
    reference("job_id", "job", nullable=True, index=True),
    reference("previous_id", "report", nullable=True, index=True),
    Column("scorecard", JSONB, comment="headline numbers with their intervals; NULL: not made"),
    Column("files", JSONB, comment="by form (document, html, pdf): key, sha256, size"),
    Column("inputs_sha256", Text, comment="of the list of inputs with their hashes"),
    Column("simulated", Boolean, nullable=False, server_default="false"),
    Column("requested_by", Text, nullable=False),
    moment("made_at"),
    created_at(),
    UniqueConstraint("schedule_id", "due_at"),
    CheckConstraint(f"state IN {REPORT_STATES}", name="state"),
    CheckConstraint(
        "(state = 'ready') = (files IS NOT NULL AND scorecard IS NOT NULL AND inputs_sha256 IS NOT NULL "
        "AND made_at IS NOT NULL)",
        name="made",
    ),
    CheckConstraint("(state = 'skipped') = (reason IS NOT NULL)", name="reason_of_skipped"),
    CheckConstraint("due_at IS NULL OR schedule_id IS NOT NULL", name="due_by_schedule"),
    CheckConstraint("period_from < freeze_at", name="period"),
    Index("ix_report_program_id_id", "program_id", "id"),
    Index("ix_report_previous", "program_id", "title", "freeze_at", postgresql_where=text("state = 'ready'")),
    comment="One for each due time of a schedule, whoever found it due, and those that people asked for.",
)

report_delivery = Table(
    "report_delivery",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("report_id", "report"),
    Column("recipient", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="counted at the claim"),
    moment("next_attempt_at", nullable=False),
    Column("lease_token", UUID(as_uuid=True)),
    moment("lease_expires_at"),
    moment("submitted_at"),
    Column("reply", Text, comment="the mail server's last word"),
    Column("reason", Text, comment="why the last attempt failed, or why nothing is known of it"),
    moment("delivered_at"),
    Column("requested_by", Text, nullable=False),
    created_at(),
    UniqueConstraint("report_id", "recipient"),
    CheckConstraint(f"state IN {MAIL_STATES}", name="state"),
    CheckConstraint("(state = 'sending') = (lease_token IS NOT NULL)", name="lease_while_sending"),
    CheckConstraint("(state = 'delivered') = (delivered_at IS NOT NULL)", name="delivered"),
    CheckConstraint("state NOT IN ('unknown', 'delivered') OR submitted_at IS NOT NULL", name="submitted"),
    Index("ix_report_delivery_program_id_id", "program_id", "id"),
    Index("ix_report_delivery_due", "next_attempt_at", "id", postgresql_where=text("state = 'waiting'")),
    Index("ix_report_delivery_leases", "lease_expires_at", postgresql_where=text("state = 'sending'")),
    comment="submitted_at: when this attempt was about to end the message, after which it may have been accepted.",
)

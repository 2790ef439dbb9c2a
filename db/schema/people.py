"""Who: programs, accounts, their keys and roles, instruments, and the audit trail."""

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, Double, Index, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db.schema.base import created_at, identifier, metadata, moment, reference

ROLES = ("viewer", "engineer", "reliability", "operator", "admin")
SCOPES = ("read", "write", "upload", "admin")

program = Table(
    "program",
    metadata,
    identifier(),
    Column("name", Text, nullable=False, unique=True),
    created_at(),
    comment="A product's confidentiality boundary: every row of data belongs to one.",
)

account = Table(
    "account",
    metadata,
    identifier(),
    Column("name", Text, nullable=False, unique=True),
    Column("email", Text),
    moment("disabled_at"),
    created_at(),
)

membership = Table(
    "membership",
    metadata,
    identifier(),
    reference("account_id", "account"),
    reference("program_id", "program", index=True),
    Column("role", Text, nullable=False),
    created_at(),
    UniqueConstraint("account_id", "program_id"),
    CheckConstraint(f"role IN {ROLES}", name="role"),
)

instrument = Table(
    "instrument",
    metadata,
    identifier(),
    reference("program_id", "program", index=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    created_at(),
    UniqueConstraint("program_id", "name"),
)

agent_report = Table(
    "agent_report",
    metadata,
    identifier(),
    reference("instrument_id", "instrument"),
    Column(
        "agent_id", UUID(as_uuid=True), nullable=False, comment="of the agent's journal: one for each watched folder"
    ),
    Column("agent_version", Text, nullable=False),
    Column("folder", Text, nullable=False, comment="the watched folder's name on the instrument PC"),
    Column("waiting_files", BigInteger, nullable=False),
    Column("waiting_bytes", BigInteger, nullable=False),
    Column("oldest_waiting_s", Double, comment="NULL: nothing waits"),
    Column("refused_files", BigInteger, nullable=False),
    Column("trouble", Text, comment="why nothing can be sent; NULL: nothing stands in the way"),
    Column("clock_offset_s", Double, nullable=False, comment="the agent's clock minus the server's"),
    moment("reported_at", nullable=False),
    moment("silent_since"),
    moment("backlog_since"),
    UniqueConstraint("instrument_id", "agent_id"),
    comment="The last report of each agent on an instrument's PC.",
)

api_key = Table(
    "api_key",
    metadata,
    identifier(),
    Column("prefix", Text, nullable=False, unique=True, comment="first eight characters, shown in lists"),
    Column("secret_sha256", Text, nullable=False, comment="hex; the key itself is shown once and not kept"),
    Column("label", Text, nullable=False),
    reference("account_id", "account", nullable=True, index=True),
    reference("instrument_id", "instrument", nullable=True, index=True),
    Column("scopes", ARRAY(Text), nullable=False),
    moment("expires_at"),
    moment("last_used_at"),
    moment("revoked_at"),
    created_at(),
    CheckConstraint("(account_id IS NULL) <> (instrument_id IS NULL)", name="one_owner"),
    CheckConstraint("instrument_id IS NULL OR scopes = ARRAY['upload']", name="instrument_only_uploads"),
)

audit_event = Table(
    "audit_event",
    metadata,
    identifier(),
    reference("program_id", "program", nullable=True),
    Column("actor", Text, nullable=False, comment="account:NAME, instrument:NAME or service:NAME"),
    Column("action", Text, nullable=False),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", UUID(as_uuid=True)),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("request_id", Text),
    created_at(),
    Index("ix_audit_event_program_id_id", "program_id", "id"),
    Index("ix_audit_event_actor_id", "actor", "id"),
    Index("ix_audit_event_action_id", "action", "id"),
    Index("ix_audit_event_subject_id_id", "subject_id", "id"),
    comment="Append-only; a trigger refuses UPDATE and DELETE.",
)

"""How people sign in to the console: passwords, one-time links, and the sessions of their browsers."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Integer, Table, Text
from sqlalchemy.dialects.postgresql import UUID

from db.engine import SCHEMA
from db.schema.base import created_at, identifier, metadata, moment, reference

account_credential = Table(
    "account_credential",
    metadata,
    Column("account_id", UUID(as_uuid=True), ForeignKey(f"{SCHEMA}.account.id"), primary_key=True),
    Column("password_hash", Text, comment="argon2id; NULL: signs in by link or identity provider only"),
    Column("installation_admin", Boolean, nullable=False, server_default="false"),
    Column("failed_attempts", Integer, nullable=False, server_default="0", comment="since the last success"),
    moment("locked_until"),
    moment("changed_at"),
    created_at(),
    CheckConstraint("failed_attempts >= 0", name="failed_attempts"),
)

sign_in_link = Table(
    "sign_in_link",
    metadata,
    identifier(),
    reference("account_id", "account", index=True),
    Column("token_sha256", Text, nullable=False, unique=True, comment="hex; the link itself is shown once"),
    Column("issued_by", Text, nullable=False),
    moment("expires_at", nullable=False),
    moment("used_at"),
    created_at(),
    comment="A link that signs an account in once.",
)

console_session = Table(
    "console_session",
    metadata,
    identifier(),
    reference("account_id", "account", index=True),
    Column("token_sha256", Text, nullable=False, unique=True, comment="hex, of the cookie's value"),
    Column("method", Text, nullable=False),
    moment("last_seen_at", nullable=False),
    moment("idle_expires_at", nullable=False),
    moment("expires_at", nullable=False),
    moment("ended_at"),
    created_at(),
    CheckConstraint("method IN ('password', 'link', 'oidc')", name="method"),
    comment="A browser that is signed in; its cookie is not kept here.",
)

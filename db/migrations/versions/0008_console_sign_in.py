"""Let people sign in to the console: credentials, one-time links, sessions of browsers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
serves_from = "0006"


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "account_credential",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column(
            "password_hash",
            sa.Text(),
            nullable=True,
            comment="argon2id; NULL: signs in by link or identity provider only",
        ),
        sa.Column("installation_admin", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "failed_attempts", sa.Integer(), server_default="0", nullable=False, comment="since the last success"
        ),
        _moment("locked_until"),
        _moment("changed_at"),
        _created_at(),
        sa.CheckConstraint("failed_attempts >= 0", name=op.f("ck_account_credential_failed_attempts")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["faultlight.account.id"], name=op.f("fk_account_credential_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_credential")),
        schema="faultlight",
    )
    op.create_table(
        "sign_in_link",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False, comment="hex; the link itself is shown once"),
        sa.Column("issued_by", sa.Text(), nullable=False),
        _moment("expires_at", nullable=False),
        _moment("used_at"),
        _created_at(),
        sa.ForeignKeyConstraint(["account_id"], ["faultlight.account.id"], name=op.f("fk_sign_in_link_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_link")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_sign_in_link_token_sha256")),
        schema="faultlight",
        comment="A link that signs an account in once.",
    )
    op.create_index(op.f("ix_sign_in_link_account_id"), "sign_in_link", ["account_id"], schema="faultlight")
    op.create_table(
        "console_session",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False, comment="hex, of the cookie's value"),
        sa.Column("method", sa.Text(), nullable=False),
        _moment("last_seen_at", nullable=False),
        _moment("idle_expires_at", nullable=False),
        _moment("expires_at", nullable=False),
        _moment("ended_at"),
        _created_at(),
        sa.CheckConstraint("method IN ('password', 'link', 'oidc')", name=op.f("ck_console_session_method")),
        sa.ForeignKeyConstraint(["account_id"], ["faultlight.account.id"], name=op.f("fk_console_session_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_session")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_console_session_token_sha256")),
        schema="faultlight",
        comment="A browser that is signed in; its cookie is not kept here.",
    )
    op.create_index(op.f("ix_console_session_account_id"), "console_session", ["account_id"], schema="faultlight")


def downgrade() -> None:
    op.drop_table("console_session", schema="faultlight")
    op.drop_table("sign_in_link", schema="faultlight")
    op.drop_table("account_credential", schema="faultlight")

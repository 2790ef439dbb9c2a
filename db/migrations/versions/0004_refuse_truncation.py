"""Append-only tables refuse TRUNCATE as well, which row triggers do not see."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("audit_event", "ingest_event")


def upgrade() -> None:
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON faultlight.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION faultlight.refuse_change()"
        )


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"DROP TRIGGER {table}_no_truncate ON faultlight.{table}")

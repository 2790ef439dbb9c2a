"""An index of the jobs that succeeded, by kind and end: the estimate at each claim reads the last of them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_job_past",
        "job",
        ["kind", "finished_at"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("state = 'succeeded'"),
    )


def downgrade() -> None:
    op.drop_index("ix_job_past", table_name="job", schema="faultlight")

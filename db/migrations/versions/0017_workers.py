"""Keep which workers there are, and find signed-off cases by when."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None
serves_from = "0006"


def upgrade() -> None:
    op.create_table(
        "worker",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="name@host:process, as in job.worker"),
        sa.Column("queues", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "cards",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="[{index, name, memory_bytes, used_bytes, busy_part}] of its host",
        ),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint("name", name=op.f("uq_worker_name")),
        schema="faultlight",
        comment="A worker that ends takes its row away; one that was killed falls silent.",
    )
    op.create_index(
        "ix_fa_case_closed",
        "fa_case",
        ["program_id", "closed_at"],
        schema="faultlight",
        postgresql_where=sa.text("state = 'closed'"),
    )


def downgrade() -> None:
    op.drop_index("ix_fa_case_closed", table_name="fa_case", schema="faultlight")
    op.drop_table("worker", schema="faultlight")

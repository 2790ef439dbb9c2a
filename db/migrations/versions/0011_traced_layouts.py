"""Keep the traced nets of layouts: once for all jobs that ask about one."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
serves_from = "0006"


def upgrade() -> None:
    op.create_table(
        "traced_layout",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column(
            "trace_key",
            sa.Text(),
            nullable=False,
            comment="sha256 of the layout's content, connectivity, cell and version",
        ),
        sa.Column("content_sha256", sa.Text(), nullable=False, comment="of the layout"),
        sa.Column("version", sa.Text(), nullable=False, comment="of the tracing"),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_traced_layout_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_traced_layout")),
        sa.UniqueConstraint("program_id", "trace_key", name=op.f("uq_traced_layout_program_id_trace_key")),
        schema="faultlight",
        comment="Nets and cells of layouts, traced once for all jobs that ask about them.",
    )


def downgrade() -> None:
    op.drop_table("traced_layout", schema="faultlight")

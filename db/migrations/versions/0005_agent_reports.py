"""What agents on instrument PCs report, and uploads whose creation can be repeated."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_report",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("instrument_id", sa.UUID(), nullable=False),
        sa.Column("agent_id", sa.UUID(), nullable=False, comment="of the agent's journal: one for each watched folder"),
        sa.Column("agent_version", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False, comment="the watched folder's name on the instrument PC"),
        sa.Column("waiting_files", sa.BigInteger(), nullable=False),
        sa.Column("waiting_bytes", sa.BigInteger(), nullable=False),
        sa.Column("oldest_waiting_s", sa.Double(), nullable=True, comment="NULL: nothing waits"),
        sa.Column("refused_files", sa.BigInteger(), nullable=False),
        sa.Column(
            "trouble", sa.Text(), nullable=True, comment="why nothing can be sent; NULL: nothing stands in the way"
        ),
        sa.Column("clock_offset_s", sa.Double(), nullable=False, comment="the agent's clock minus the server's"),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["faultlight.instrument.id"], name=op.f("fk_agent_report_instrument_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_report")),
        sa.UniqueConstraint("instrument_id", "agent_id", name=op.f("uq_agent_report_instrument_id_agent_id")),
        schema="faultlight",
        comment="The last report of each agent on an instrument's PC.",
    )
    op.add_column(
        "upload",
        sa.Column(
            "creation_key",
            sa.Text(),
            nullable=True,
            comment="the client's own: a creation that is repeated with it is the same upload",
        ),
        schema="faultlight",
    )
    op.create_index(op.f("ix_upload_instrument_id"), "upload", ["instrument_id"], unique=False, schema="faultlight")
    op.create_index(
        "uq_upload_creation_key",
        "upload",
        ["program_id", "actor", "creation_key"],
        unique=True,
        schema="faultlight",
        postgresql_where=sa.text("completed_at IS NULL AND creation_key IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("uq_upload_creation_key", table_name="upload", schema="faultlight")
    op.drop_index(op.f("ix_upload_instrument_id"), table_name="upload", schema="faultlight")
    op.drop_column("upload", "creation_key", schema="faultlight")
    op.drop_table("agent_report", schema="faultlight")

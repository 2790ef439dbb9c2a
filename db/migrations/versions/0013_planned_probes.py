"""Keep probes that somebody has planned for a session."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
serves_from = "0006"


def upgrade() -> None:
    op.create_table(
        "planned_probe",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("probing_session_id", sa.UUID(), nullable=False),
        sa.Column("result_id", sa.UUID(), nullable=False),
        sa.Column("net", sa.Text(), nullable=False),
        sa.Column("x_um", sa.Double(), nullable=True),
        sa.Column("y_um", sa.Double(), nullable=True),
        sa.Column("bits", sa.Double(), nullable=False, comment="expected mutual information about the site"),
        sa.Column("seconds", sa.Double(), nullable=True, comment="of laboratory time; NULL: unknown"),
        sa.Column("averages", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="planned", nullable=False),
        sa.Column("planned_by", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('planned', 'withdrawn')", name=op.f("ck_planned_probe_state")),
        sa.CheckConstraint(
            "(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name=op.f("ck_planned_probe_withdrawn")
        ),
        sa.ForeignKeyConstraint(
            ["probing_session_id"], ["faultlight.probing_session.id"], name=op.f("fk_planned_probe_probing_session_id")
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_planned_probe_program_id")),
        sa.ForeignKeyConstraint(["result_id"], ["faultlight.result.id"], name=op.f("fk_planned_probe_result_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_planned_probe")),
        schema="faultlight",
        comment="Whether it has been made is told by later sessions of the same unit.",
    )
    op.create_index(
        "ix_planned_probe_probing_session_id_id", "planned_probe", ["probing_session_id", "id"], schema="faultlight"
    )
    op.create_index("ix_planned_probe_program_id_id", "planned_probe", ["program_id", "id"], schema="faultlight")
    op.create_index(op.f("ix_planned_probe_result_id"), "planned_probe", ["result_id"], schema="faultlight")
    op.create_index(
        "uq_planned_probe_net",
        "planned_probe",
        ["probing_session_id", "net"],
        unique=True,
        schema="faultlight",
        postgresql_where=sa.text("state = 'planned'"),
    )


def downgrade() -> None:
    op.drop_table("planned_probe", schema="faultlight")

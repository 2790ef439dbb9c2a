"""Keep what a person says the layers of a layout are called."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
serves_from = "0006"


def upgrade() -> None:
    op.create_table(
        "layer_names",
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="name by layer/datatype"),
        sa.Column("source", sa.Text(), server_default="", nullable=False, comment="where the names are from, in words"),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False, comment="counts changes"),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_layer_names_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_layer_names_raw_file_id")),
        sa.PrimaryKeyConstraint("raw_file_id", name=op.f("pk_layer_names")),
        schema="faultlight",
        comment="A layout without a row has the names that its file gives, if any.",
    )
    op.create_index(op.f("ix_layer_names_program_id"), "layer_names", ["program_id"], schema="faultlight")


def downgrade() -> None:
    op.drop_table("layer_names", schema="faultlight")

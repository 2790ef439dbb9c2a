"""Find files of a format by an index: the layouts among millions of waveforms."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
serves_from = "0006"


def upgrade() -> None:
    op.create_index("ix_raw_file_program_id_format_id", "raw_file", ["program_id", "format", "id"], schema="faultlight")


def downgrade() -> None:
    op.drop_index("ix_raw_file_program_id_format_id", table_name="raw_file", schema="faultlight")

"""Find what waits for somebody by indexes: jobs that are not done or died, bundles by state and instrument."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
serves_from = "0006"

_UNFINISHED = "state IN ('queued', 'running')"


def upgrade() -> None:
    op.create_index(
        "ix_job_unfinished",
        "job",
        ["program_id", "id"],
        schema="faultlight",
        postgresql_where=sa.text(_UNFINISHED),
    )
    op.create_index(
        "ix_job_dead", "job", ["program_id", "id"], schema="faultlight", postgresql_where=sa.text("state = 'dead'")
    )
    op.create_index("ix_bundle_state_id", "bundle", ["state", "id"], schema="faultlight")
    op.create_index(op.f("ix_bundle_instrument_id"), "bundle", ["instrument_id"], schema="faultlight")


def downgrade() -> None:
    op.drop_index(op.f("ix_bundle_instrument_id"), table_name="bundle", schema="faultlight")
    op.drop_index("ix_bundle_state_id", table_name="bundle", schema="faultlight")
    op.drop_index("ix_job_dead", table_name="job", schema="faultlight")
    op.drop_index("ix_job_unfinished", table_name="job", schema="faultlight")

"""Count each program's bytes, index unfinished uploads and jobs by subject, say which versions can use the schema."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
serves_from = "0006"

_SUBJECTS = ("raw_file", "bundle", "probing_session")

_COUNT = """
CREATE FUNCTION faultlight.count_stored_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE faultlight.program_usage SET stored_bytes = stored_bytes - OLD.size_bytes
            WHERE program_id = OLD.program_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO faultlight.program_usage AS usage (program_id, stored_bytes)
            VALUES (NEW.program_id, NEW.size_bytes)
            ON CONFLICT (program_id) DO UPDATE SET stored_bytes = usage.stored_bytes + EXCLUDED.stored_bytes;
    END IF;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "program_usage",
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_program_usage_program_id")),
        sa.PrimaryKeyConstraint("program_id", name=op.f("pk_program_usage")),
        schema="faultlight",
        comment="Bytes of the originals of each program, kept by a trigger on raw_file.",
    )
    op.execute(_COUNT)
    op.execute(
        "CREATE TRIGGER raw_file_count_bytes AFTER INSERT OR DELETE OR UPDATE OF size_bytes, program_id "
        "ON faultlight.raw_file FOR EACH ROW EXECUTE FUNCTION faultlight.count_stored_bytes()"
    )
    # The trigger's lock on the table keeps others from inserting until this is committed.
    op.execute(
        "INSERT INTO faultlight.program_usage (program_id, stored_bytes) "
        "SELECT program_id, sum(size_bytes) FROM faultlight.raw_file GROUP BY program_id"
    )
    op.create_index(
        "ix_upload_unfinished",
        "upload",
        ["program_id", "expires_at"],
        schema="faultlight",
        postgresql_include=["length_bytes"],
        postgresql_where=sa.text("completed_at IS NULL"),
    )
    op.drop_index("ix_upload_expires_at", table_name="upload", schema="faultlight")
    for subject in _SUBJECTS:
        op.create_index(
            f"ix_job_of_{subject}",
            "job",
            [sa.text(f"(payload ->> '{subject}_id')"), "id"],
            schema="faultlight",
            postgresql_where=sa.text(f"(payload ->> '{subject}_id') IS NOT NULL"),
        )
    op.create_table(
        "schema_compatibility",
        sa.Column("only_row", sa.Boolean(), server_default="true", nullable=False),
        sa.Column(
            "serves_from",
            sa.Text(),
            nullable=False,
            comment="the oldest version, by its newest migration, that can use it",
        ),
        sa.CheckConstraint("only_row", name=op.f("ck_schema_compatibility_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_schema_compatibility")),
        schema="faultlight",
        comment="Which processes can use the schema as it is: during an upgrade older ones still run.",
    )


def downgrade() -> None:
    op.drop_table("schema_compatibility", schema="faultlight")
    for subject in _SUBJECTS:
        op.drop_index(f"ix_job_of_{subject}", table_name="job", schema="faultlight")
    op.create_index("ix_upload_expires_at", "upload", ["expires_at"], schema="faultlight")
    op.drop_index("ix_upload_unfinished", table_name="upload", schema="faultlight")
    op.execute("DROP TRIGGER raw_file_count_bytes ON faultlight.raw_file")
    op.execute("DROP FUNCTION faultlight.count_stored_bytes()")
    op.drop_table("program_usage", schema="faultlight")

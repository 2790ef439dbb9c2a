"""Tables of any vocabulary, one Parquet file each, and rasters: images and signal maps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_table",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("record_index", sa.Integer(), nullable=False, comment="position among the file's records"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vendor_metadata", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("warnings", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("byte_length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of these bytes"),
        sa.Column("member_path", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "summary", postgresql.JSONB(), nullable=False, comment="counts and ranges, as `faultlight read` prints them"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="what a row is: mask_defect, test_result, repair_step, …"),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_data_table_bundle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_data_table_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_data_table_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_table")),
        sa.UniqueConstraint(
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            name="uq_data_table_place",
            postgresql_nulls_not_distinct=True,
        ),
        schema="faultlight",
        comment="Columns with units in one Parquet file: mask defects, test results, repair steps, lifetimes, …",
    )
    op.create_index(op.f("ix_data_table_bundle_id"), "data_table", ["bundle_id"], unique=False, schema="faultlight")
    op.create_index(
        "ix_data_table_program_id_id", "data_table", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_index(
        "ix_data_table_program_id_kind_id",
        "data_table",
        ["program_id", "kind", "id"],
        unique=False,
        schema="faultlight",
    )
    op.create_table(
        "raster",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("record_index", sa.Integer(), nullable=False, comment="position among the file's records"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vendor_metadata", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("warnings", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("byte_length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of these bytes"),
        sa.Column("member_path", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "summary", postgresql.JSONB(), nullable=False, comment="counts and ranges, as `faultlight read` prints them"
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False, comment="pixels from top to bottom"),
        sa.Column("column_count", sa.Integer(), nullable=False, comment="pixels from left to right"),
        sa.Column("bands", postgresql.JSONB(), nullable=False, comment="[[name, unit], …]"),
        sa.Column("dtype", sa.Text(), nullable=False, comment="numpy dtype string, little-endian"),
        sa.Column("gain", sa.Double(), nullable=False, comment="value = gain * sample + offset"),
        sa.Column("offset", sa.Double(), nullable=False),
        sa.Column("minimum", sa.Double(), nullable=True, comment="over all bands; NULL when no sample is finite"),
        sa.Column("maximum", sa.Double(), nullable=True),
        sa.Column(
            "pitch_x_m", sa.Double(), nullable=True, comment="metres between pixels on the sample; NULL: unknown"
        ),
        sa.Column("pitch_y_m", sa.Double(), nullable=True),
        sa.Column("frequency_hz", sa.Double(), nullable=True, comment="of the lock-in; NULL: none"),
        sa.Column(
            "affine_um",
            postgresql.JSONB(),
            nullable=True,
            comment="2x3: (column, row, 1) to layout micrometres; NULL: unknown",
        ),
        sa.CheckConstraint("kind IN ('image', 'signal_map')", name=op.f("ck_raster_kind")),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_raster_bundle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_raster_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_raster_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raster")),
        sa.UniqueConstraint(
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            name="uq_raster_place",
            postgresql_nulls_not_distinct=True,
        ),
        schema="faultlight",
        comment="Values on a regular grid: images, LVI and EOFM maps; samples band by band, row by row.",
    )
    op.create_index(op.f("ix_raster_bundle_id"), "raster", ["bundle_id"], unique=False, schema="faultlight")
    op.create_index("ix_raster_program_id_id", "raster", ["program_id", "id"], unique=False, schema="faultlight")


def downgrade() -> None:
    op.drop_index("ix_raster_program_id_id", table_name="raster", schema="faultlight")
    op.drop_index(op.f("ix_raster_bundle_id"), table_name="raster", schema="faultlight")
    op.drop_table("raster", schema="faultlight")
    op.drop_index("ix_data_table_program_id_kind_id", table_name="data_table", schema="faultlight")
    op.drop_index("ix_data_table_program_id_id", table_name="data_table", schema="faultlight")
    op.drop_index(op.f("ix_data_table_bundle_id"), table_name="data_table", schema="faultlight")
    op.drop_table("data_table", schema="faultlight")

"""Records read from files. Samples and large documents live in packed blobs; rows say where and how."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.base import created_at, identifier, metadata, reference


def _record_columns() -> list[Column[Any]]:
    """Return what every record has: whose it is, which file it was read from, where in that file."""
    return [
        identifier(),
        reference("program_id", "program"),
        reference("raw_file_id", "raw_file"),
        reference("bundle_id", "bundle", nullable=True, index=True),
        Column("record_index", Integer, nullable=False, comment="position among the file's records"),
        Column("name", Text, nullable=False),
        Column("vendor_metadata", JSONB, nullable=False, server_default="{}"),
        Column("warnings", JSONB, nullable=False, server_default="[]"),
        created_at(),
    ]


def _blob_columns() -> list[Column[Any]]:
    """Return where in the blob store the bytes of a record lie."""
    return [
        Column("blob_key", Text, nullable=False),
        Column("byte_offset", BigInteger, nullable=False),
        Column("byte_length", BigInteger, nullable=False),
        Column("sha256", Text, nullable=False, comment="of these bytes"),
    ]


probing_session = Table(
    "probing_session",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("bundle_id", "bundle", nullable=True),
    reference("raw_file_id", "raw_file", nullable=True, index=True),
    reference("unit_id", "unit", nullable=True, index=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("technique", Text, nullable=False),
    Column("document", JSONB, nullable=False, comment="session.json, verbatim"),
    Column("simulated", Boolean, nullable=False, server_default="false"),
    created_at(),
    UniqueConstraint("bundle_id"),
    CheckConstraint("role IN ('suspect', 'golden')", name="role"),
    CheckConstraint("(raw_file_id IS NULL) <> (bundle_id IS NULL)", name="one_source"),
    Index("ix_probing_session_program_id_id", "program_id", "id"),
    Index("ix_probing_session_program_id_name_id", "program_id", "name", "id"),
)

waveform = Table(
    "waveform",
    metadata,
    *_record_columns(),
    *_blob_columns(),
    Column("member_path", Text, nullable=False, server_default="", comment="inside an archive; else empty"),
    Column("segment_index", Integer, nullable=False, server_default="0"),
    Column("trigger_offset_s", Double, comment="of this segment after the first one's trigger"),
    Column("sample_count", BigInteger, nullable=False),
    Column("dtype", Text, nullable=False, comment="numpy dtype string, little-endian: <i2, <f4, …"),
    Column("gain", Double, nullable=False, comment="value = gain * sample + offset"),
    Column("offset", Double, nullable=False),
    Column("unit", Text, nullable=False),
    Column("t0_s", Double, comment="NULL: unknown"),
    Column("dt_s", Double, comment="NULL: unknown"),
    Column("minimum", Double, comment="in unit; NULL when no sample is finite"),
    Column("maximum", Double),
    Column("kind", Text, nullable=False, server_default="waveform"),
    Column("averages", BigInteger),
    Column("net", Text, comment="the net the laser was on, from the probing session"),
    reference("probing_session_id", "probing_session", nullable=True, index=True),
    UniqueConstraint(
        "raw_file_id",
        "bundle_id",
        "member_path",
        "record_index",
        "segment_index",
        postgresql_nulls_not_distinct=True,
        name="uq_waveform_place",
    ),
    CheckConstraint("kind IN ('waveform', 'envelope_min', 'envelope_max', 'digital_lines')", name="kind"),
    Index("ix_waveform_program_id_id", "program_id", "id"),
    Index("ix_waveform_program_id_net_id", "program_id", "net", "id", postgresql_where=text("net IS NOT NULL")),
    Index("ix_waveform_program_id_name_id", "program_id", "name", "id"),
)


def _document_table(name: str, comment: str, *own: Column[Any] | CheckConstraint) -> Table:
    """Return a table of records that are one document each: a packed blob and a summary."""
    return Table(
        name,
        metadata,
        *_record_columns(),
        *_blob_columns(),
        Column("member_path", Text, nullable=False, server_default=""),
        Column("summary", JSONB, nullable=False, comment="counts and ranges, as `faultlight read` prints them"),
        *own,
        UniqueConstraint(
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            postgresql_nulls_not_distinct=True,
            name=f"uq_{name}_place",
        ),
        Index(f"ix_{name}_program_id_id", "program_id", "id"),
        comment=comment,
    )


digital_trace = _document_table("digital_trace", "Value changes of one signal (VCD, FST, logic analyser).")
netlist = _document_table("netlist", "A gate-level circuit.")
pattern_set = _document_table("pattern_set", "Stimulus: one row of input bits per cycle.")
fail_log = _document_table("fail_log", "The tester's failing bits.")
placement = _document_table("placement", "Where each driver's drain lies, in micrometres.")
traced_layout = Table(
    "traced_layout",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("trace_key", Text, nullable=False, comment="sha256 of the layout's content, connectivity, cell and version"),
    Column("content_sha256", Text, nullable=False, comment="of the layout"),
    Column("version", Text, nullable=False, comment="of the tracing"),
    Column("blob_key", Text, nullable=False),
    created_at(),
    UniqueConstraint("program_id", "trace_key"),
    comment="Nets and cells of layouts, traced once for all jobs that ask about them.",
)
data_table = _document_table(
    "data_table",
    "Columns with units in one Parquet file: mask defects, test results, repair steps, lifetimes, …",
    Column("kind", Text, nullable=False, comment="what a row is: mask_defect, test_result, repair_step, …"),
    Column("row_count", BigInteger, nullable=False),
)
Index("ix_data_table_program_id_kind_id", data_table.c.program_id, data_table.c.kind, data_table.c.id)
raster = _document_table(
    "raster",
    "Values on a regular grid: images, LVI and EOFM maps; samples band by band, row by row.",
    Column("kind", Text, nullable=False),
    Column("row_count", Integer, nullable=False, comment="pixels from top to bottom"),
    Column("column_count", Integer, nullable=False, comment="pixels from left to right"),
    Column("bands", JSONB, nullable=False, comment="[[name, unit], …]"),
    Column("dtype", Text, nullable=False, comment="numpy dtype string, little-endian"),
    Column("gain", Double, nullable=False, comment="value = gain * sample + offset"),
    Column("offset", Double, nullable=False),
    Column("minimum", Double, comment="over all bands; NULL when no sample is finite"),
    Column("maximum", Double),
    Column("pitch_x_m", Double, comment="metres between pixels on the sample; NULL: unknown"),
    Column("pitch_y_m", Double),
    Column("frequency_hz", Double, comment="of the lock-in; NULL: none"),
    Column("affine_um", JSONB, comment="2x3: (column, row, 1) to layout micrometres; NULL: unknown"),
    CheckConstraint("kind IN ('image', 'signal_map')", name="kind"),
)

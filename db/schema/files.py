"""Files as they arrived, uploads on their way, bundles, and what reading them gave."""

from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db.engine import SCHEMA
from db.schema.base import created_at, identifier, metadata, moment, reference

FileState = Literal["received", "stored", "quarantined"]

FILE_STATES: tuple[str, ...] = get_args(FileState)

blob = Table(
    "blob",
    metadata,
    Column("key", Text, primary_key=True, comment="key in the blob store"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    created_at(),
    comment="Every object that some row refers to; an object without a row is an orphan and is swept by age.",
)

upload = Table(
    "upload",
    metadata,
    identifier(),
    reference("program_id", "program", index=True),
    Column("actor", Text, nullable=False),
    reference("instrument_id", "instrument", nullable=True, index=True),
    Column("filename", Text, nullable=False),
    Column("length_bytes", BigInteger, nullable=False),
    Column("sha256", Text, comment="as the client declared it; the server always hashes again"),
    reference("bundle_id", "bundle", nullable=True),
    Column("bundle_path", Text),
    Column("verified_offset_bytes", BigInteger, nullable=False, server_default="0"),
    Column(
        "checksum_pending",
        Boolean,
        nullable=False,
        server_default="false",
        comment="bytes beyond verified_offset_bytes belong to a chunk whose checksum is not verified yet",
    ),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column("creation_key", Text, comment="the client's own: a creation that is repeated with it is the same upload"),
    moment("expires_at", nullable=False),
    reference("raw_file_id", "raw_file", nullable=True),
    moment("completed_at"),
    created_at(),
    Index(
        "ix_upload_unfinished",
        "program_id",
        "expires_at",
        postgresql_include=["length_bytes"],
        postgresql_where=text("completed_at IS NULL"),
    ),
    Index(
        "uq_upload_creation_key",
        "program_id",
        "actor",
        "creation_key",
        unique=True,
        postgresql_where=text("completed_at IS NULL AND creation_key IS NOT NULL"),
    ),
    comment="A tus upload; its bytes are staged until it is complete.",
)

bundle = Table(
    "bundle",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("instrument_id", "instrument", nullable=True, index=True),
    Column("name", Text, nullable=False),
    Column("content_sha256", Text, nullable=False, comment="of the sorted (path, sha256) list"),
    Column("state", Text, nullable=False, server_default="open"),
    Column("quarantine_reasons", JSONB),
    created_at(),
    UniqueConstraint("program_id", "content_sha256"),
    CheckConstraint("state IN ('open', 'received', 'stored', 'quarantined')", name="state"),
    Index("ix_bundle_program_id_id", "program_id", "id"),
    Index("ix_bundle_program_id_name_id", "program_id", "name", "id"),
    Index("ix_bundle_state_id", "state", "id"),
    comment="Several files that belong together; received when every declared member is there.",
)

raw_file = Table(
    "raw_file",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("instrument_id", "instrument", nullable=True, index=True),
    Column("filename", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="received"),
    Column("format", Text),
    Column("adapter", Text),
    Column("adapter_version", Text),
    Column("quarantine_reasons", JSONB, comment="one {adapter, version, reason} per adapter that refused"),
    created_at(),
    UniqueConstraint("program_id", "sha256"),
    CheckConstraint(f"state IN {FILE_STATES}", name="state"),
    Index("ix_raw_file_program_id_id", "program_id", "id"),
    Index("ix_raw_file_program_id_filename_id", "program_id", "filename", "id"),
    Index("ix_raw_file_program_id_format_id", "program_id", "format", "id"),
    Index("ix_raw_file_state_id", "state", "id"),
    comment="The original bytes, kept for ever; one row per content and program.",
)

program_usage = Table(
    "program_usage",
    metadata,
    Column("program_id", UUID(as_uuid=True), ForeignKey(f"{SCHEMA}.program.id"), primary_key=True),
    Column("stored_bytes", BigInteger, nullable=False),
    comment="Bytes of the originals of each program, kept by a trigger on raw_file.",
)

bundle_member = Table(
    "bundle_member",
    metadata,
    identifier(),
    reference("bundle_id", "bundle"),
    Column("path", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    reference("raw_file_id", "raw_file", nullable=True, index=True),
    UniqueConstraint("bundle_id", "path"),
)

ingest_event = Table(
    "ingest_event",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("raw_file_id", "raw_file", nullable=True, index=True),
    reference("bundle_id", "bundle", nullable=True, index=True),
    Column("job_id", UUID(as_uuid=True)),
    Column("outcome", Text, nullable=False),
    Column("adapter", Text),
    Column("adapter_version", Text),
    Column("record_count", BigInteger, nullable=False, server_default="0"),
    Column("warnings", JSONB, nullable=False, server_default="[]"),
    Column("reasons", JSONB, nullable=False, server_default="[]"),
    created_at(),
    CheckConstraint("outcome IN ('stored', 'quarantined')", name="outcome"),
    CheckConstraint("(raw_file_id IS NULL) <> (bundle_id IS NULL)", name="one_subject"),
    comment="Append-only: each reading of a file or bundle.",
)

"""The spine: people, parts, files, records, jobs and results."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
        schema="faultlight",
    )
    op.create_table(
        "blob",
        sa.Column("key", sa.Text(), nullable=False, comment="key in the blob store"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_blob")),
        schema="faultlight",
        comment="Every object that some row refers to; an object without a row is an orphan and is swept by age.",
    )
    op.create_table(
        "program",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_program")),
        sa.UniqueConstraint("name", name=op.f("uq_program_name")),
        schema="faultlight",
        comment="A product's confidentiality boundary: every row of data belongs to one.",
    )
    op.create_table(
        "audit_event",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False, comment="account:NAME, instrument:NAME or service:NAME"),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.UUID(), nullable=True),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_audit_event_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
        schema="faultlight",
        comment="Append-only; a trigger refuses UPDATE and DELETE.",
    )
    op.create_index(
        "ix_audit_event_program_id_id", "audit_event", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_table(
        "instrument",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_instrument_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instrument")),
        sa.UniqueConstraint("program_id", "name", name=op.f("uq_instrument_program_id_name")),
        schema="faultlight",
    )
    op.create_index(op.f("ix_instrument_program_id"), "instrument", ["program_id"], unique=False, schema="faultlight")
    op.create_table(
        "job",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column(
            "job_key",
            sa.Text(),
            nullable=False,
            comment="sha256 of input hashes, algorithm, version, parameters and weights",
        ),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("priority", sa.Integer(), server_default="5", nullable=False, comment="0 first, 9 last"),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False, comment="counted at the claim"),
        sa.Column("max_attempts", sa.Integer(), server_default="3", nullable=False),
        sa.Column("lease_token", sa.UUID(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress", sa.Double(), server_default="0", nullable=False),
        sa.Column("progress_message", sa.Text(), server_default="", nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "error",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="{type, message, …} of the last attempt that failed",
        ),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column(
            "request_id",
            sa.Text(),
            nullable=True,
            comment="of the request that asked for it; bound into the worker's logs",
        ),
        sa.Column("trace_context", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("estimated_finish_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(state = 'running') = (lease_token IS NOT NULL)", name=op.f("ck_job_lease_while_running")),
        sa.CheckConstraint("queue IN ('ingest', 'cpu', 'gpu')", name=op.f("ck_job_queue")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'dead', 'cancelled')",
            name=op.f("ck_job_state"),
        ),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name=op.f("ck_job_progress")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_job_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("job_key", name=op.f("uq_job_job_key")),
        schema="faultlight",
        comment="Inserting the row is the outbox; the broker only rings the doorbell.",
    )
    op.create_index(
        "ix_job_leases",
        "job",
        ["lease_expires_at"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index("ix_job_program_id_id", "job", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_index(
        "ix_job_waiting",
        "job",
        ["queue", "priority", "id"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "membership",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "role IN ('viewer', 'engineer', 'reliability', 'operator', 'admin')",
            name=op.f("ck_membership_role"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["faultlight.account.id"], name=op.f("fk_membership_account_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_membership_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
        sa.UniqueConstraint("account_id", "program_id", name=op.f("uq_membership_account_id_program_id")),
        schema="faultlight",
    )
    op.create_index(op.f("ix_membership_program_id"), "membership", ["program_id"], unique=False, schema="faultlight")
    op.create_table(
        "product",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_product_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("program_id", "name", name=op.f("uq_product_program_id_name")),
        schema="faultlight",
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False, comment="first eight characters, shown in lists"),
        sa.Column(
            "secret_sha256",
            sa.Text(),
            nullable=False,
            comment="hex; the key itself is shown once and not kept",
        ),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=True),
        sa.Column("instrument_id", sa.UUID(), nullable=True),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "instrument_id IS NULL OR scopes = ARRAY['upload']",
            name=op.f("ck_api_key_instrument_only_uploads"),
        ),
        sa.CheckConstraint("(account_id IS NULL) <> (instrument_id IS NULL)", name=op.f("ck_api_key_one_owner")),
        sa.ForeignKeyConstraint(["account_id"], ["faultlight.account.id"], name=op.f("fk_api_key_account_id")),
        sa.ForeignKeyConstraint(["instrument_id"], ["faultlight.instrument.id"], name=op.f("fk_api_key_instrument_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
        schema="faultlight",
    )
    op.create_index(op.f("ix_api_key_account_id"), "api_key", ["account_id"], unique=False, schema="faultlight")
    op.create_index(op.f("ix_api_key_instrument_id"), "api_key", ["instrument_id"], unique=False, schema="faultlight")
    op.create_table(
        "bundle",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("instrument_id", sa.UUID(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False, comment="of the sorted (path, sha256) list"),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("quarantine_reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('open', 'received', 'stored', 'quarantined')", name=op.f("ck_bundle_state")),
        sa.ForeignKeyConstraint(["instrument_id"], ["faultlight.instrument.id"], name=op.f("fk_bundle_instrument_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_bundle_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundle")),
        sa.UniqueConstraint("program_id", "content_sha256", name=op.f("uq_bundle_program_id_content_sha256")),
        schema="faultlight",
        comment="Several files that belong together; received when every declared member is there.",
    )
    op.create_index("ix_bundle_program_id_id", "bundle", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "lot",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("product_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["faultlight.product.id"], name=op.f("fk_lot_product_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_lot_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot")),
        sa.UniqueConstraint("product_id", "name", name=op.f("uq_lot_product_id_name")),
        schema="faultlight",
    )
    op.create_index("ix_lot_program_id_id", "lot", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "raw_file",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("instrument_id", sa.UUID(), nullable=True),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="received", nullable=False),
        sa.Column("format", sa.Text(), nullable=True),
        sa.Column("adapter", sa.Text(), nullable=True),
        sa.Column("adapter_version", sa.Text(), nullable=True),
        sa.Column(
            "quarantine_reasons",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="one {adapter, version, reason} per adapter that refused",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('received', 'stored', 'quarantined')", name=op.f("ck_raw_file_state")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["faultlight.instrument.id"], name=op.f("fk_raw_file_instrument_id")
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_raw_file_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raw_file")),
        sa.UniqueConstraint("program_id", "sha256", name=op.f("uq_raw_file_program_id_sha256")),
        schema="faultlight",
        comment="The original bytes, kept for ever; one row per content and program.",
    )
    op.create_index(op.f("ix_raw_file_instrument_id"), "raw_file", ["instrument_id"], unique=False, schema="faultlight")
    op.create_index("ix_raw_file_program_id_id", "raw_file", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_index("ix_raw_file_state_id", "raw_file", ["state", "id"], unique=False, schema="faultlight")
    op.create_table(
        "bundle_member",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=True),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_bundle_member_bundle_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_bundle_member_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundle_member")),
        sa.UniqueConstraint("bundle_id", "path", name=op.f("uq_bundle_member_bundle_id_path")),
        schema="faultlight",
    )
    op.create_index(
        op.f("ix_bundle_member_raw_file_id"),
        "bundle_member",
        ["raw_file_id"],
        unique=False,
        schema="faultlight",
    )
    op.create_table(
        "digital_trace",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("record_index", sa.Integer(), nullable=False, comment="position among the file's records"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vendor_metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("byte_length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of these bytes"),
        sa.Column("member_path", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "summary",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="counts and ranges, as `faultlight read` prints them",
        ),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_digital_trace_bundle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_digital_trace_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_digital_trace_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digital_trace")),
        sa.UniqueConstraint(
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            name="uq_digital_trace_place",
            postgresql_nulls_not_distinct=True,
        ),
        schema="faultlight",
        comment="Value changes of one signal (VCD, FST, logic analyser).",
    )
    op.create_index(
        op.f("ix_digital_trace_bundle_id"), "digital_trace", ["bundle_id"], unique=False, schema="faultlight"
    )
    op.create_index(
        "ix_digital_trace_program_id_id",
        "digital_trace",
        ["program_id", "id"],
        unique=False,
        schema="faultlight",
    )
    op.create_table(
        "fail_log",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("record_index", sa.Integer(), nullable=False, comment="position among the file's records"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vendor_metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("byte_length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of these bytes"),
        sa.Column("member_path", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "summary",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="counts and ranges, as `faultlight read` prints them",
        ),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_fail_log_bundle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_fail_log_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_fail_log_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fail_log")),
        sa.UniqueConstraint(
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            name="uq_fail_log_place",
            postgresql_nulls_not_distinct=True,
        ),
        schema="faultlight",
        comment="The tester's failing bits.",
    )
    op.create_index(op.f("ix_fail_log_bundle_id"), "fail_log", ["bundle_id"], unique=False, schema="faultlight")
    op.create_index("ix_fail_log_program_id_id", "fail_log", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "ingest_event",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=True),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("job_id", sa.UUID(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=True),
        sa.Column("adapter_version", sa.Text(), nullable=True),
        sa.Column("record_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("outcome IN ('stored', 'quarantined')", name=op.f("ck_ingest_event_outcome")),
        sa.CheckConstraint("(raw_file_id IS NULL) <> (bundle_id IS NULL)", name=op.f("ck_ingest_event_one_subject")),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_ingest_event_bundle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_ingest_event_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_ingest_event_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_event")),
        schema="faultlight",
        comment="Append-only: each reading of a file or bundle.",
    )
    op.create_index(op.f("ix_ingest_event_bundle_id"), "ingest_event", ["bundle_id"], unique=False, schema="faultlight")
    op.create_index(
        op.f("ix_ingest_event_raw_file_id"),
        "ingest_event",
        ["raw_file_id"],
        unique=False,
        schema="faultlight",
    )
    op.create_table(
        "netlist",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("record_index", sa.Integer(), nullable=False, comment="position among the file's records"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vendor_metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("byte_length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of these bytes"),
        sa.Column("member_path", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "summary",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="counts and ranges, as `faultlight read` prints them",
        ),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_netlist_bundle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_netlist_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_netlist_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_netlist")),
        sa.UniqueConstraint(
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            name="uq_netlist_place",
            postgresql_nulls_not_distinct=True,
        ),
        schema="faultlight",
        comment="A gate-level circuit.",
    )
    op.create_index(op.f("ix_netlist_bundle_id"), "netlist", ["bundle_id"], unique=False, schema="faultlight")
    op.create_index("ix_netlist_program_id_id", "netlist", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "pattern_set",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("record_index", sa.Integer(), nullable=False, comment="position among the file's records"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vendor_metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("byte_length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of these bytes"),
        sa.Column("member_path", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "summary",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="counts and ranges, as `faultlight read` prints them",
        ),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_pattern_set_bundle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_pattern_set_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_pattern_set_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pattern_set")),
        sa.UniqueConstraint(
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            name="uq_pattern_set_place",
            postgresql_nulls_not_distinct=True,
        ),
        schema="faultlight",
        comment="Stimulus: one row of input bits per cycle.",
    )
    op.create_index(op.f("ix_pattern_set_bundle_id"), "pattern_set", ["bundle_id"], unique=False, schema="faultlight")
    op.create_index(
        "ix_pattern_set_program_id_id", "pattern_set", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_table(
        "placement",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("record_index", sa.Integer(), nullable=False, comment="position among the file's records"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vendor_metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("byte_length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of these bytes"),
        sa.Column("member_path", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "summary",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="counts and ranges, as `faultlight read` prints them",
        ),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_placement_bundle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_placement_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_placement_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placement")),
        sa.UniqueConstraint(
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            name="uq_placement_place",
            postgresql_nulls_not_distinct=True,
        ),
        schema="faultlight",
        comment="Where each driver's drain lies, in micrometres.",
    )
    op.create_index(op.f("ix_placement_bundle_id"), "placement", ["bundle_id"], unique=False, schema="faultlight")
    op.create_index("ix_placement_program_id_id", "placement", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "upload",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("instrument_id", sa.UUID(), nullable=True),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("length_bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "sha256",
            sa.Text(),
            nullable=True,
            comment="as the client declared it; the server always hashes again",
        ),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("bundle_path", sa.Text(), nullable=True),
        sa.Column("verified_offset_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "checksum_pending",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="bytes beyond verified_offset_bytes belong to a chunk whose checksum is not verified yet",
        ),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_upload_bundle_id")),
        sa.ForeignKeyConstraint(["instrument_id"], ["faultlight.instrument.id"], name=op.f("fk_upload_instrument_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_upload_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_upload_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
        schema="faultlight",
        comment="A tus upload; its bytes are staged until it is complete.",
    )
    op.create_index("ix_upload_expires_at", "upload", ["expires_at"], unique=False, schema="faultlight")
    op.create_index(op.f("ix_upload_program_id"), "upload", ["program_id"], unique=False, schema="faultlight")
    op.create_table(
        "wafer",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("lot_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["lot_id"], ["faultlight.lot.id"], name=op.f("fk_wafer_lot_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_wafer_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wafer")),
        sa.UniqueConstraint("lot_id", "name", name=op.f("uq_wafer_lot_id_name")),
        schema="faultlight",
    )
    op.create_index("ix_wafer_program_id_id", "wafer", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "unit",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("product_id", sa.UUID(), nullable=False),
        sa.Column("wafer_id", sa.UUID(), nullable=True),
        sa.Column("x", sa.Integer(), nullable=True, comment="die column on the wafer"),
        sa.Column("y", sa.Integer(), nullable=True, comment="die row on the wafer"),
        sa.Column("serial", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "serial IS NOT NULL OR (wafer_id IS NOT NULL AND x IS NOT NULL AND y IS NOT NULL)",
            name=op.f("ck_unit_identified"),
        ),
        sa.ForeignKeyConstraint(["product_id"], ["faultlight.product.id"], name=op.f("fk_unit_product_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_unit_program_id")),
        sa.ForeignKeyConstraint(["wafer_id"], ["faultlight.wafer.id"], name=op.f("fk_unit_wafer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit")),
        sa.UniqueConstraint("product_id", "serial", name=op.f("uq_unit_product_id_serial")),
        sa.UniqueConstraint("wafer_id", "x", "y", name=op.f("uq_unit_wafer_id_x_y")),
        schema="faultlight",
        comment="A die or a packaged part.",
    )
    op.create_index("ix_unit_program_id_id", "unit", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "fa_case",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("unit_id", sa.UUID(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("ck_fa_case_state")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_fa_case_program_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["faultlight.unit.id"], name=op.f("fk_fa_case_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fa_case")),
        schema="faultlight",
    )
    op.create_index("ix_fa_case_program_id_id", "fa_case", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_index(op.f("ix_fa_case_unit_id"), "fa_case", ["unit_id"], unique=False, schema="faultlight")
    op.create_table(
        "probing_session",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("raw_file_id", sa.UUID(), nullable=True),
        sa.Column("unit_id", sa.UUID(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("technique", sa.Text(), nullable=False),
        sa.Column(
            "document",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="session.json, verbatim",
        ),
        sa.Column("simulated", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role IN ('suspect', 'golden')", name=op.f("ck_probing_session_role")),
        sa.CheckConstraint("(raw_file_id IS NULL) <> (bundle_id IS NULL)", name=op.f("ck_probing_session_one_source")),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_probing_session_bundle_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_probing_session_program_id")),
        sa.ForeignKeyConstraint(
            ["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_probing_session_raw_file_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["faultlight.unit.id"], name=op.f("fk_probing_session_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_probing_session")),
        sa.UniqueConstraint("bundle_id", name=op.f("uq_probing_session_bundle_id")),
        schema="faultlight",
    )
    op.create_index(
        "ix_probing_session_program_id_id",
        "probing_session",
        ["program_id", "id"],
        unique=False,
        schema="faultlight",
    )
    op.create_index(
        op.f("ix_probing_session_raw_file_id"),
        "probing_session",
        ["raw_file_id"],
        unique=False,
        schema="faultlight",
    )
    op.create_index(
        op.f("ix_probing_session_unit_id"), "probing_session", ["unit_id"], unique=False, schema="faultlight"
    )
    op.create_table(
        "result",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("job_key", sa.Text(), nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("probing_session_id", sa.UUID(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "provenance",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="input hashes, code version, parameters, conventions, device, precision, model hash",
        ),
        sa.Column("simulated", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["faultlight.job.id"], name=op.f("fk_result_job_id")),
        sa.ForeignKeyConstraint(
            ["probing_session_id"],
            ["faultlight.probing_session.id"],
            name=op.f("fk_result_probing_session_id"),
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_result_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_result")),
        sa.UniqueConstraint("job_key", name=op.f("uq_result_job_key")),
        schema="faultlight",
    )
    op.create_index(op.f("ix_result_job_id"), "result", ["job_id"], unique=False, schema="faultlight")
    op.create_index(
        op.f("ix_result_probing_session_id"),
        "result",
        ["probing_session_id"],
        unique=False,
        schema="faultlight",
    )
    op.create_index("ix_result_program_id_id", "result", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "waveform",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("record_index", sa.Integer(), nullable=False, comment="position among the file's records"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vendor_metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("byte_length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of these bytes"),
        sa.Column(
            "member_path",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="inside an archive; else empty",
        ),
        sa.Column("segment_index", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "trigger_offset_s",
            sa.Double(),
            nullable=True,
            comment="of this segment after the first one's trigger",
        ),
        sa.Column("sample_count", sa.BigInteger(), nullable=False),
        sa.Column("dtype", sa.Text(), nullable=False, comment="numpy dtype string, little-endian: <i2, <f4, …"),
        sa.Column("gain", sa.Double(), nullable=False, comment="value = gain * sample + offset"),
        sa.Column("offset", sa.Double(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("t0_s", sa.Double(), nullable=True, comment="NULL: unknown"),
        sa.Column("dt_s", sa.Double(), nullable=True, comment="NULL: unknown"),
        sa.Column("minimum", sa.Double(), nullable=True, comment="in unit; NULL when no sample is finite"),
        sa.Column("maximum", sa.Double(), nullable=True),
        sa.Column("kind", sa.Text(), server_default="waveform", nullable=False),
        sa.Column("averages", sa.BigInteger(), nullable=True),
        sa.Column("net", sa.Text(), nullable=True, comment="the net the laser was on, from the probing session"),
        sa.Column("probing_session_id", sa.UUID(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('waveform', 'envelope_min', 'envelope_max', 'digital_lines')",
            name=op.f("ck_waveform_kind"),
        ),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_waveform_bundle_id")),
        sa.ForeignKeyConstraint(
            ["probing_session_id"],
            ["faultlight.probing_session.id"],
            name=op.f("fk_waveform_probing_session_id"),
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_waveform_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_waveform_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waveform")),
        sa.UniqueConstraint(
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            "segment_index",
            name="uq_waveform_place",
            postgresql_nulls_not_distinct=True,
        ),
        schema="faultlight",
    )
    op.create_index(op.f("ix_waveform_bundle_id"), "waveform", ["bundle_id"], unique=False, schema="faultlight")
    op.create_index(
        op.f("ix_waveform_probing_session_id"),
        "waveform",
        ["probing_session_id"],
        unique=False,
        schema="faultlight",
    )
    op.create_index("ix_waveform_program_id_id", "waveform", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "finding",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("result_id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column("interval_low", sa.Double(), nullable=True),
        sa.Column("interval_high", sa.Double(), nullable=True),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.CheckConstraint(
            "probability IS NULL OR (probability >= 0 AND probability <= 1)",
            name=op.f("ck_finding_probability"),
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_finding_program_id")),
        sa.ForeignKeyConstraint(["result_id"], ["faultlight.result.id"], name=op.f("fk_finding_result_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
        sa.UniqueConstraint("result_id", "kind", "rank", name=op.f("uq_finding_result_id_kind_rank")),
        schema="faultlight",
    )
    op.create_index("ix_finding_program_id_id", "finding", ["program_id", "id"], unique=False, schema="faultlight")
    op.execute(
        """
        CREATE FUNCTION faultlight.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME;
        END $$
        """
    )
    for table in ("audit_event", "ingest_event"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON faultlight.{table} "
            "FOR EACH ROW EXECUTE FUNCTION faultlight.refuse_change()"
        )


def downgrade() -> None:
    for table in ("audit_event", "ingest_event"):
        op.execute(f"DROP TRIGGER {table}_append_only ON faultlight.{table}")
    op.execute("DROP FUNCTION faultlight.refuse_change()")
    op.drop_index("ix_finding_program_id_id", table_name="finding", schema="faultlight")
    op.drop_table("finding", schema="faultlight")
    op.drop_index("ix_waveform_program_id_id", table_name="waveform", schema="faultlight")
    op.drop_index(op.f("ix_waveform_probing_session_id"), table_name="waveform", schema="faultlight")
    op.drop_index(op.f("ix_waveform_bundle_id"), table_name="waveform", schema="faultlight")
    op.drop_table("waveform", schema="faultlight")
    op.drop_index("ix_result_program_id_id", table_name="result", schema="faultlight")
    op.drop_index(op.f("ix_result_probing_session_id"), table_name="result", schema="faultlight")
    op.drop_index(op.f("ix_result_job_id"), table_name="result", schema="faultlight")
    op.drop_table("result", schema="faultlight")
    op.drop_index(op.f("ix_probing_session_unit_id"), table_name="probing_session", schema="faultlight")
    op.drop_index(op.f("ix_probing_session_raw_file_id"), table_name="probing_session", schema="faultlight")
    op.drop_index("ix_probing_session_program_id_id", table_name="probing_session", schema="faultlight")
    op.drop_table("probing_session", schema="faultlight")
    op.drop_index(op.f("ix_fa_case_unit_id"), table_name="fa_case", schema="faultlight")
    op.drop_index("ix_fa_case_program_id_id", table_name="fa_case", schema="faultlight")
    op.drop_table("fa_case", schema="faultlight")
    op.drop_index("ix_unit_program_id_id", table_name="unit", schema="faultlight")
    op.drop_table("unit", schema="faultlight")
    op.drop_index("ix_wafer_program_id_id", table_name="wafer", schema="faultlight")
    op.drop_table("wafer", schema="faultlight")
    op.drop_index(op.f("ix_upload_program_id"), table_name="upload", schema="faultlight")
    op.drop_index("ix_upload_expires_at", table_name="upload", schema="faultlight")
    op.drop_table("upload", schema="faultlight")
    op.drop_index("ix_placement_program_id_id", table_name="placement", schema="faultlight")
    op.drop_index(op.f("ix_placement_bundle_id"), table_name="placement", schema="faultlight")
    op.drop_table("placement", schema="faultlight")
    op.drop_index("ix_pattern_set_program_id_id", table_name="pattern_set", schema="faultlight")
    op.drop_index(op.f("ix_pattern_set_bundle_id"), table_name="pattern_set", schema="faultlight")
    op.drop_table("pattern_set", schema="faultlight")
    op.drop_index("ix_netlist_program_id_id", table_name="netlist", schema="faultlight")
    op.drop_index(op.f("ix_netlist_bundle_id"), table_name="netlist", schema="faultlight")
    op.drop_table("netlist", schema="faultlight")
    op.drop_index(op.f("ix_ingest_event_raw_file_id"), table_name="ingest_event", schema="faultlight")
    op.drop_index(op.f("ix_ingest_event_bundle_id"), table_name="ingest_event", schema="faultlight")
    op.drop_table("ingest_event", schema="faultlight")
    op.drop_index("ix_fail_log_program_id_id", table_name="fail_log", schema="faultlight")
    op.drop_index(op.f("ix_fail_log_bundle_id"), table_name="fail_log", schema="faultlight")
    op.drop_table("fail_log", schema="faultlight")
    op.drop_index("ix_digital_trace_program_id_id", table_name="digital_trace", schema="faultlight")
    op.drop_index(op.f("ix_digital_trace_bundle_id"), table_name="digital_trace", schema="faultlight")
    op.drop_table("digital_trace", schema="faultlight")
    op.drop_index(op.f("ix_bundle_member_raw_file_id"), table_name="bundle_member", schema="faultlight")
    op.drop_table("bundle_member", schema="faultlight")
    op.drop_index("ix_raw_file_state_id", table_name="raw_file", schema="faultlight")
    op.drop_index("ix_raw_file_program_id_id", table_name="raw_file", schema="faultlight")
    op.drop_index(op.f("ix_raw_file_instrument_id"), table_name="raw_file", schema="faultlight")
    op.drop_table("raw_file", schema="faultlight")
    op.drop_index("ix_lot_program_id_id", table_name="lot", schema="faultlight")
    op.drop_table("lot", schema="faultlight")
    op.drop_index("ix_bundle_program_id_id", table_name="bundle", schema="faultlight")
    op.drop_table("bundle", schema="faultlight")
    op.drop_index(op.f("ix_api_key_instrument_id"), table_name="api_key", schema="faultlight")
    op.drop_index(op.f("ix_api_key_account_id"), table_name="api_key", schema="faultlight")
    op.drop_table("api_key", schema="faultlight")
    op.drop_table("product", schema="faultlight")
    op.drop_index(op.f("ix_membership_program_id"), table_name="membership", schema="faultlight")
    op.drop_table("membership", schema="faultlight")
    op.drop_index("ix_job_waiting", table_name="job", schema="faultlight", postgresql_where=sa.text("state = 'queued'"))
    op.drop_index("ix_job_program_id_id", table_name="job", schema="faultlight")
    op.drop_index("ix_job_leases", table_name="job", schema="faultlight", postgresql_where=sa.text("state = 'running'"))
    op.drop_table("job", schema="faultlight")
    op.drop_index(op.f("ix_instrument_program_id"), table_name="instrument", schema="faultlight")
    op.drop_table("instrument", schema="faultlight")
    op.drop_index("ix_audit_event_program_id_id", table_name="audit_event", schema="faultlight")
    op.drop_table("audit_event", schema="faultlight")
    op.drop_table("program", schema="faultlight")
    op.drop_table("blob", schema="faultlight")
    op.drop_table("account", schema="faultlight")

"""Jobs, and what they found."""

from typing import Literal, get_args

from sqlalchemy import (
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
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db.schema.base import created_at, identifier, metadata, moment, reference

JobState = Literal["queued", "running", "succeeded", "failed", "dead", "cancelled"]

JOB_STATES: tuple[str, ...] = get_args(JobState)
QUEUES = ("ingest", "cpu", "gpu")

job = Table(
    "job",
    metadata,
    identifier(),
    Column(
        "job_key",
        Text,
        nullable=False,
        unique=True,
        comment="sha256 of input hashes, algorithm, version, parameters and weights",
    ),
    reference("program_id", "program"),
    Column("kind", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="queued"),
    Column("priority", Integer, nullable=False, server_default="5", comment="0 first, 9 last"),
    Column("payload", JSONB, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0", comment="counted at the claim"),
    Column("max_attempts", Integer, nullable=False, server_default="3"),
    Column("lease_token", UUID(as_uuid=True)),
    moment("lease_expires_at"),
    moment("published_at"),
    moment("not_before"),
    Column("progress", Double, nullable=False, server_default="0"),
    Column("progress_message", Text, nullable=False, server_default=""),
    Column("cancel_requested", Boolean, nullable=False, server_default="false"),
    Column("error", JSONB, comment="{type, message, …} of the last attempt that failed"),
    Column("worker", Text),
    Column("requested_by", Text, nullable=False),
    Column("request_id", Text, comment="of the request that asked for it; bound into the worker's logs"),
    Column("trace_context", Text),
    moment("started_at"),
    moment("finished_at"),
    moment("estimated_finish_at"),
    created_at(),
    CheckConstraint(f"state IN {JOB_STATES}", name="state"),
    CheckConstraint(f"queue IN {QUEUES}", name="queue"),
    CheckConstraint("progress >= 0 AND progress <= 1", name="progress"),
    CheckConstraint("(state = 'running') = (lease_token IS NOT NULL)", name="lease_while_running"),
    Index("ix_job_program_id_id", "program_id", "id"),
    Index("ix_job_waiting", "queue", "priority", "id", postgresql_where=text("state = 'queued'")),
    Index("ix_job_unfinished", "program_id", "id", postgresql_where=text("state IN ('queued', 'running')")),
    Index("ix_job_dead", "program_id", "id", postgresql_where=text("state = 'dead'")),
    Index("ix_job_program_id_kind_id", "program_id", "kind", "id", postgresql_where=text("kind <> 'ingest'")),
    Index("ix_job_program_id_queue_id", "program_id", "queue", "id", postgresql_where=text("queue <> 'ingest'")),
    Index(
        "ix_job_program_id_state_id",
        "program_id",
        "state",
        "id",
        postgresql_where=text("state IN ('failed', 'cancelled')"),
    ),
    Index("ix_job_past", "kind", "finished_at", postgresql_where=text("state = 'succeeded'")),
    Index("ix_job_leases", "lease_expires_at", postgresql_where=text("state = 'running'")),
    *(
        Index(
            f"ix_job_of_{subject}",
            text(f"(payload ->> '{subject}_id')"),
            "id",
            postgresql_where=text(f"(payload ->> '{subject}_id') IS NOT NULL"),
        )
        for subject in ("raw_file", "bundle", "probing_session")
    ),
    comment="Inserting the row is the outbox; the broker only rings the doorbell.",
)

result = Table(
    "result",
    metadata,
    identifier(),
    Column("job_key", Text, nullable=False, unique=True),
    reference("job_id", "job", index=True),
    reference("program_id", "program"),
    reference("probing_session_id", "probing_session", nullable=True, index=True),
    Column("kind", Text, nullable=False),
    Column("verdict", Text),
    Column("body", JSONB, nullable=False),
    Column(
        "provenance",
        JSONB,
        nullable=False,
        comment="input hashes, code version, parameters, conventions, device, precision, model hash",
    ),
    Column("simulated", Boolean, nullable=False, server_default="false"),
    created_at(),
    Index("ix_result_program_id_id", "program_id", "id"),
    Index("ix_result_program_id_kind_id", "program_id", "kind", "id"),
)

finding = Table(
    "finding",
    metadata,
    identifier(),
    reference("result_id", "result"),
    reference("program_id", "program"),
    Column("rank", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("score", Double),
    Column("probability", Double),
    Column("interval_low", Double),
    Column("interval_high", Double),
    Column("evidence", JSONB, nullable=False, server_default="{}"),
    UniqueConstraint("result_id", "kind", "rank"),
    CheckConstraint("probability IS NULL OR (probability >= 0 AND probability <= 1)", name="probability"),
    Index("ix_finding_program_id_id", "program_id", "id"),
    Index("ix_finding_program_id_kind_id", "program_id", "kind", "id"),
    Index("ix_finding_program_id_subject_id", "program_id", "subject", "id"),
)

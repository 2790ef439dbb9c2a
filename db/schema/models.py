"""Learned models: what was learned when and from what, which version counts, who decided so, how it is watched."""

from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db.engine import SCHEMA
from db.schema.base import created_at, identifier, metadata, moment, reference

VersionState = Literal["candidate", "promoted", "retired"]
Decision = Literal["promoted", "rolled-back", "retired"]
WatchVerdict = Literal["stable", "shifting", "drifted", "unknown"]

VERSION_STATES: tuple[str, ...] = get_args(VersionState)
DECISIONS: tuple[str, ...] = get_args(Decision)
WATCH_VERDICTS: tuple[str, ...] = get_args(WatchVerdict)

model = Table(
    "model",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="of its answers, for example latent-risk"),
    Column("created_by", Text, nullable=False),
    created_at(),
    UniqueConstraint("program_id", "name"),
    UniqueConstraint("id", "program_id"),
    Index("ix_model_program_id_id", "program_id", "id"),
    comment="A question that versions of a learned model answer.",
)

model_version = Table(
    "model_version",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("model_id", UUID(as_uuid=True), nullable=False),
    Column("number", Integer, nullable=False, comment="1, 2, … within the model"),
    Column("state", Text, nullable=False, server_default="candidate"),
    reference("job_id", "job", index=True),
    Column("algorithm", Text, nullable=False, comment="and its version: another one refuses it"),
    Column("code_version", Text, nullable=False),
    Column("data_sha256", Text, nullable=False, comment="of what it was learned from"),
    Column("sha256", Text, nullable=False, comment="of the file of weights"),
    Column("blob_key", Text, nullable=False),
    Column("byte_length", BigInteger, nullable=False),
    Column("beats_baselines", Boolean, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("metrics", JSONB, nullable=False, comment="on units later than all that it was learned from"),
    Column("calibration", JSONB, nullable=False, comment="said against seen, on the same units"),
    Column("card", JSONB, nullable=False, comment="all that is told of it, as in its file"),
    Column("created_by", Text, nullable=False),
    moment("promoted_at"),
    created_at(),
    ForeignKeyConstraint(
        ["model_id", "program_id"],
        [f"{SCHEMA}.model.id", f"{SCHEMA}.model.program_id"],
        name="fk_model_version_model_id",
    ),
    UniqueConstraint("model_id", "number"),
    UniqueConstraint("id", "program_id"),
    CheckConstraint(f"state IN {VERSION_STATES}", name="state"),
    CheckConstraint("state <> 'promoted' OR promoted_at IS NOT NULL", name="promoted"),
    Index("uq_model_version_promoted", "model_id", unique=True, postgresql_where=text("state = 'promoted'")),
    Index("ix_model_version_program_id_id", "program_id", "id"),
    comment="Weights with what they rest on; a trigger refuses all changes but those of the state.",
)


def _of_version(column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        [column, "program_id"], [f"{SCHEMA}.model_version.id", f"{SCHEMA}.model_version.program_id"]
    )


model_decision = Table(
    "model_decision",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("model_id", "model"),
    Column("version_id", UUID(as_uuid=True), nullable=False, comment="that counts from now on, or no longer"),
    Column("replaced_version_id", UUID(as_uuid=True), comment="that counted before; NULL: none"),
    Column("kind", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("overridden", JSONB, nullable=False, server_default="[]", comment="objections that the person overrode"),
    created_at(),
    _of_version("version_id"),
    _of_version("replaced_version_id"),
    CheckConstraint(f"kind IN {DECISIONS}", name="kind"),
    CheckConstraint("overridden = '[]' OR reason <> ''", name="reason_to_override"),
    Index("ix_model_decision_model_id_id", "model_id", "id"),
    Index("ix_model_decision_program_id_id", "program_id", "id"),
    comment="Append-only; triggers refuse UPDATE, DELETE and TRUNCATE.",
)

model_watch = Table(
    "model_watch",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("version_id", UUID(as_uuid=True), nullable=False),
    reference("table_id", "data_table", index=True),
    reference("result_id", "result", index=True),
    Column("verdict", Text, nullable=False),
    Column("features", Text, nullable=False, comment="verdict of features and scores"),
    Column("calibration", Text, nullable=False, comment="verdict of the probabilities against outcomes"),
    Column("units", Integer, nullable=False),
    created_at(),
    _of_version("version_id"),
    UniqueConstraint("version_id", "result_id"),
    CheckConstraint(f"verdict IN {WATCH_VERDICTS}", name="verdict"),
    Index("ix_model_watch_program_id_id", "program_id", "id"),
    comment="What newer units say of a version; its result has all of it.",
)

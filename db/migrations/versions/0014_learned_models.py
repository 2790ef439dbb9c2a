"""Keep learned models: versions with their cards, which of them counts, who decided so, and how they are watched."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
serves_from = "0006"

_KINDS = (
    "'instrument.out_of_control', 'file.quarantined', 'job.dead', 'agent.silent', 'agent.backlog', 'report.ready', "
    "'report.undelivered'"
)
_NEW_KINDS = f"{_KINDS}, 'model.drifted'"
_APPEND_ONLY = ("model_decision", "model_watch")


def _allow_events(kinds: str) -> None:
    op.drop_constraint(op.f("ck_event_kind"), "event", schema="faultlight", type_="check")
    # Not validated: rows from before satisfy the wider list, and looking at each of them would hold the lock.
    op.create_check_constraint(
        op.f("ck_event_kind"), "event", f"kind IN ({kinds})", schema="faultlight", postgresql_not_valid=True
    )


def _of_version(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column, "program_id"],
        ["faultlight.model_version.id", "faultlight.model_version.program_id"],
        name=op.f(f"fk_{table}_{column}_program_id"),
    )


def _common(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f(f"fk_{table}_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def upgrade() -> None:
    _allow_events(_NEW_KINDS)
    op.create_table(
        "model",
        *_common("model"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="of its answers, for example latent-risk"),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.UniqueConstraint("program_id", "name", name=op.f("uq_model_program_id_name")),
        sa.UniqueConstraint("id", "program_id", name=op.f("uq_model_id_program_id")),
        schema="faultlight",
        comment="A question that versions of a learned model answer.",
    )
    _create_versions()
    op.create_table(
        "model_decision",
        *_common("model_decision"),
        sa.Column("model_id", sa.UUID(), nullable=False),
        sa.Column("version_id", sa.UUID(), nullable=False, comment="that counts from now on, or no longer"),
        sa.Column("replaced_version_id", sa.UUID(), nullable=True, comment="that counted before; NULL: none"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "overridden",
            postgresql.JSONB(),
            server_default="[]",
            nullable=False,
            comment="objections that the person overrode",
        ),
        sa.CheckConstraint("kind IN ('promoted', 'rolled-back', 'retired')", name=op.f("ck_model_decision_kind")),
        sa.CheckConstraint("overridden = '[]' OR reason <> ''", name=op.f("ck_model_decision_reason_to_override")),
        sa.ForeignKeyConstraint(["model_id"], ["faultlight.model.id"], name=op.f("fk_model_decision_model_id")),
        _of_version("model_decision", "version_id"),
        _of_version("model_decision", "replaced_version_id"),
        schema="faultlight",
        comment="Append-only; triggers refuse UPDATE, DELETE and TRUNCATE.",
    )
    op.create_index("ix_model_decision_model_id_id", "model_decision", ["model_id", "id"], schema="faultlight")
    op.create_table(
        "model_watch",
        *_common("model_watch"),
        sa.Column("version_id", sa.UUID(), nullable=False),
        sa.Column("table_id", sa.UUID(), nullable=False),
        sa.Column("result_id", sa.UUID(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("features", sa.Text(), nullable=False, comment="verdict of features and scores"),
        sa.Column("calibration", sa.Text(), nullable=False, comment="verdict of the probabilities against outcomes"),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('stable', 'shifting', 'drifted', 'unknown')", name=op.f("ck_model_watch_verdict")
        ),
        sa.ForeignKeyConstraint(["table_id"], ["faultlight.data_table.id"], name=op.f("fk_model_watch_table_id")),
        sa.ForeignKeyConstraint(["result_id"], ["faultlight.result.id"], name=op.f("fk_model_watch_result_id")),
        _of_version("model_watch", "version_id"),
        sa.UniqueConstraint("version_id", "result_id", name=op.f("uq_model_watch_version_id_result_id")),
        schema="faultlight",
        comment="What newer units say of a version; its result has all of it.",
    )
    op.create_index(op.f("ix_model_watch_table_id"), "model_watch", ["table_id"], schema="faultlight")
    op.create_index(op.f("ix_model_watch_result_id"), "model_watch", ["result_id"], schema="faultlight")
    for table in ("model", "model_version", "model_decision", "model_watch"):
        op.create_index(f"ix_{table}_program_id_id", table, ["program_id", "id"], schema="faultlight")
    _refuse_changes()


def _create_versions() -> None:
    op.create_table(
        "model_version",
        *_common("model_version"),
        sa.Column("model_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="1, 2, … within the model"),
        sa.Column("state", sa.Text(), server_default="candidate", nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False, comment="and its version: another one refuses it"),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("data_sha256", sa.Text(), nullable=False, comment="of what it was learned from"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of the file of weights"),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("byte_length", sa.BigInteger(), nullable=False),
        sa.Column("beats_baselines", sa.Boolean(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column(
            "metrics", postgresql.JSONB(), nullable=False, comment="on units later than all that it was learned from"
        ),
        sa.Column("calibration", postgresql.JSONB(), nullable=False, comment="said against seen, on the same units"),
        sa.Column("card", postgresql.JSONB(), nullable=False, comment="all that is told of it, as in its file"),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("promoted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('candidate', 'promoted', 'retired')", name=op.f("ck_model_version_state")),
        sa.CheckConstraint("state <> 'promoted' OR promoted_at IS NOT NULL", name=op.f("ck_model_version_promoted")),
        sa.ForeignKeyConstraint(["job_id"], ["faultlight.job.id"], name=op.f("fk_model_version_job_id")),
        sa.ForeignKeyConstraint(
            ["model_id", "program_id"],
            ["faultlight.model.id", "faultlight.model.program_id"],
            name="fk_model_version_model_id",
        ),
        sa.UniqueConstraint("model_id", "number", name=op.f("uq_model_version_model_id_number")),
        sa.UniqueConstraint("id", "program_id", name=op.f("uq_model_version_id_program_id")),
        schema="faultlight",
        comment="Weights with what they rest on; a trigger refuses all changes but those of the state.",
    )
    op.create_index(op.f("ix_model_version_job_id"), "model_version", ["job_id"], schema="faultlight")
    op.create_index(
        "uq_model_version_promoted",
        "model_version",
        ["model_id"],
        unique=True,
        schema="faultlight",
        postgresql_where=sa.text("state = 'promoted'"),
    )


def _refuse_changes() -> None:
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON faultlight.{table} "
            "FOR EACH ROW EXECUTE FUNCTION faultlight.refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER model_version_kept BEFORE DELETE ON faultlight.model_version "
        "FOR EACH ROW EXECUTE FUNCTION faultlight.refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER model_version_fixed BEFORE UPDATE ON faultlight.model_version FOR EACH ROW "
        "WHEN (to_jsonb(OLD) - '{state,promoted_at}'::text[] <> to_jsonb(NEW) - '{state,promoted_at}'::text[]) "
        "EXECUTE FUNCTION faultlight.refuse_change()"
    )
    for table in (*_APPEND_ONLY, "model_version"):
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON faultlight.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION faultlight.refuse_change()"
        )


def downgrade() -> None:
    for table in ("model_watch", "model_decision", "model_version", "model"):
        op.drop_table(table, schema="faultlight")
    _allow_events(_KINDS)

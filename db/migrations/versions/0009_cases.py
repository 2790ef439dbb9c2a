"""Carry failure-analysis cases: steps, samples, evidence, conclusions from a vocabulary, sign-offs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
serves_from = "0006"

_CHECKS = {
    "mechanism": "mechanism IN ('open', 'resistive connection', 'short', 'leakage', 'dielectric breakdown', 'delay', "
    "'parametric shift', 'contamination', 'mechanical damage', 'no defect found', 'not determined')",
    "root_cause": "root_cause IN ('process', 'mask', 'design', 'assembly', 'test', 'electrical overstress', "
    "'electrostatic discharge', 'wear-out', 'handling', 'none', 'not determined')",
    "closed": "(state = 'closed') = (closed_at IS NOT NULL)",
    "closed_with_conclusion": "state = 'open' OR (mechanism IS NOT NULL AND root_cause IS NOT NULL "
    "AND conclusion IS NOT NULL)",
}


def upgrade() -> None:
    op.create_table(
        "case_decision",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "conclusion", postgresql.JSONB(), nullable=False, comment="mechanism, root cause and words as they stood"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('signed-off', 'reopened')", name=op.f("ck_case_decision_kind")),
        sa.ForeignKeyConstraint(["case_id"], ["faultlight.fa_case.id"], name=op.f("fk_case_decision_case_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_case_decision_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_decision")),
        schema="faultlight",
        comment="Append-only: every sign-off and every reopening.",
    )
    op.create_index(
        "ix_case_decision_case_id_id", "case_decision", ["case_id", "id"], unique=False, schema="faultlight"
    )
    op.create_index(
        "ix_case_decision_program_id_id", "case_decision", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_table(
        "case_evidence",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("probing_session_id", sa.UUID(), nullable=True),
        sa.Column("raw_file_id", sa.UUID(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(probing_session_id IS NULL) <> (raw_file_id IS NULL)", name=op.f("ck_case_evidence_one_subject")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["faultlight.fa_case.id"], name=op.f("fk_case_evidence_case_id")),
        sa.ForeignKeyConstraint(
            ["probing_session_id"], ["faultlight.probing_session.id"], name=op.f("fk_case_evidence_probing_session_id")
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_case_evidence_program_id")),
        sa.ForeignKeyConstraint(["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_case_evidence_raw_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_evidence")),
        schema="faultlight",
        comment="Sessions and attached files that a case rests on.",
    )
    op.create_index(
        op.f("ix_case_evidence_probing_session_id"),
        "case_evidence",
        ["probing_session_id"],
        unique=False,
        schema="faultlight",
    )
    op.create_index(
        "ix_case_evidence_program_id_id", "case_evidence", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_index(
        op.f("ix_case_evidence_raw_file_id"), "case_evidence", ["raw_file_id"], unique=False, schema="faultlight"
    )
    op.create_index(
        "uq_case_evidence_subject",
        "case_evidence",
        ["case_id", "probing_session_id", "raw_file_id"],
        unique=True,
        schema="faultlight",
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "case_sample",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("place", sa.Text(), server_default="", nullable=False, comment="where it is kept"),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["faultlight.fa_case.id"], name=op.f("fk_case_sample_case_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_case_sample_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_sample")),
        schema="faultlight",
        comment="A piece that is examined: the part, a cross-section, a lamella.",
    )
    op.create_index(
        "ix_case_sample_program_id_id", "case_sample", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_index("uq_case_sample_case_id_name", "case_sample", ["case_id", "name"], unique=True, schema="faultlight")
    op.create_table(
        "case_step",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("person", sa.Text(), nullable=False, comment="who did it"),
        sa.Column("instrument_id", sa.UUID(), nullable=True),
        sa.Column(
            "tool", sa.Text(), server_default="", nullable=False, comment="where no registered instrument was used"
        ),
        sa.Column("sample_id", sa.UUID(), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('waiting', 'intake', 'non-destructive inspection', 'electrical verification', "
            "'fault localization', 'sample preparation', 'physical analysis', 'review')",
            name=op.f("ck_case_step_kind"),
        ),
        sa.CheckConstraint("ended_at >= began_at", name=op.f("ck_case_step_order")),
        sa.ForeignKeyConstraint(["case_id"], ["faultlight.fa_case.id"], name=op.f("fk_case_step_case_id")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["faultlight.instrument.id"], name=op.f("fk_case_step_instrument_id")
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_case_step_program_id")),
        sa.ForeignKeyConstraint(["sample_id"], ["faultlight.case_sample.id"], name=op.f("fk_case_step_sample_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_step")),
        schema="faultlight",
    )
    op.create_index(
        "ix_case_step_case_id_began_at_id",
        "case_step",
        ["case_id", "began_at", "id"],
        unique=False,
        schema="faultlight",
    )
    op.create_index(
        op.f("ix_case_step_instrument_id"), "case_step", ["instrument_id"], unique=False, schema="faultlight"
    )
    op.create_index("ix_case_step_program_id_id", "case_step", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_index(op.f("ix_case_step_sample_id"), "case_step", ["sample_id"], unique=False, schema="faultlight")
    op.add_column(
        "fa_case", sa.Column("description", sa.Text(), server_default="", nullable=False), schema="faultlight"
    )
    op.add_column("fa_case", sa.Column("opened_by", sa.Text(), server_default="", nullable=False), schema="faultlight")
    op.add_column("fa_case", sa.Column("assigned_to_id", sa.UUID(), nullable=True), schema="faultlight")
    op.add_column(
        "fa_case",
        sa.Column("mechanism", sa.Text(), nullable=True, comment="of the controlled vocabulary"),
        schema="faultlight",
    )
    op.add_column(
        "fa_case",
        sa.Column("root_cause", sa.Text(), nullable=True, comment="of the controlled vocabulary"),
        schema="faultlight",
    )
    op.add_column("fa_case", sa.Column("conclusion", sa.Text(), nullable=True, comment="in words"), schema="faultlight")
    op.add_column("fa_case", sa.Column("concluded_by", sa.Text(), nullable=True), schema="faultlight")
    op.create_index(op.f("ix_fa_case_assigned_to_id"), "fa_case", ["assigned_to_id"], unique=False, schema="faultlight")
    op.create_index(
        "ix_fa_case_open",
        "fa_case",
        ["program_id", "id"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "ix_fa_case_words",
        "fa_case",
        [sa.literal_column("to_tsvector('simple'::regconfig, (title || ' '::text) || description)")],
        unique=False,
        schema="faultlight",
        postgresql_using="gin",
    )
    op.create_foreign_key(
        op.f("fk_fa_case_assigned_to_id"),
        "fa_case",
        "account",
        ["assigned_to_id"],
        ["id"],
        source_schema="faultlight",
        referent_schema="faultlight",
    )
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_fa_case_{name}"), "fa_case", condition, schema="faultlight")
    op.execute(
        "CREATE TRIGGER case_decision_append_only BEFORE UPDATE OR DELETE ON faultlight.case_decision "
        "FOR EACH ROW EXECUTE FUNCTION faultlight.refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER case_decision_no_truncate BEFORE TRUNCATE ON faultlight.case_decision "
        "FOR EACH STATEMENT EXECUTE FUNCTION faultlight.refuse_change()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER case_decision_no_truncate ON faultlight.case_decision")
    op.execute("DROP TRIGGER case_decision_append_only ON faultlight.case_decision")
    for name in reversed(_CHECKS):
        op.drop_constraint(op.f(f"ck_fa_case_{name}"), "fa_case", schema="faultlight", type_="check")
    op.drop_constraint(op.f("fk_fa_case_assigned_to_id"), "fa_case", schema="faultlight", type_="foreignkey")
    op.drop_index("ix_fa_case_words", table_name="fa_case", schema="faultlight", postgresql_using="gin")
    op.drop_index(
        "ix_fa_case_open", table_name="fa_case", schema="faultlight", postgresql_where=sa.text("state = 'open'")
    )
    op.drop_index(op.f("ix_fa_case_assigned_to_id"), table_name="fa_case", schema="faultlight")
    op.drop_column("fa_case", "concluded_by", schema="faultlight")
    op.drop_column("fa_case", "conclusion", schema="faultlight")
    op.drop_column("fa_case", "root_cause", schema="faultlight")
    op.drop_column("fa_case", "mechanism", schema="faultlight")
    op.drop_column("fa_case", "assigned_to_id", schema="faultlight")
    op.drop_column("fa_case", "opened_by", schema="faultlight")
    op.drop_column("fa_case", "description", schema="faultlight")
    op.drop_index(op.f("ix_case_step_sample_id"), table_name="case_step", schema="faultlight")
    op.drop_index("ix_case_step_program_id_id", table_name="case_step", schema="faultlight")
    op.drop_index(op.f("ix_case_step_instrument_id"), table_name="case_step", schema="faultlight")
    op.drop_index("ix_case_step_case_id_began_at_id", table_name="case_step", schema="faultlight")
    op.drop_table("case_step", schema="faultlight")
    op.drop_index("uq_case_sample_case_id_name", table_name="case_sample", schema="faultlight")
    op.drop_index("ix_case_sample_program_id_id", table_name="case_sample", schema="faultlight")
    op.drop_table("case_sample", schema="faultlight")
    op.drop_index(
        "uq_case_evidence_subject", table_name="case_evidence", schema="faultlight", postgresql_nulls_not_distinct=True
    )
    op.drop_index(op.f("ix_case_evidence_raw_file_id"), table_name="case_evidence", schema="faultlight")
    op.drop_index("ix_case_evidence_program_id_id", table_name="case_evidence", schema="faultlight")
    op.drop_index(op.f("ix_case_evidence_probing_session_id"), table_name="case_evidence", schema="faultlight")
    op.drop_table("case_evidence", schema="faultlight")
    op.drop_index("ix_case_decision_program_id_id", table_name="case_decision", schema="faultlight")
    op.drop_index("ix_case_decision_case_id_id", table_name="case_decision", schema="faultlight")
    op.drop_table("case_decision", schema="faultlight")

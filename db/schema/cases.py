"""Failure-analysis cases: what was done to a unit, by whom and how long, on what evidence, and what it was."""

from typing import Literal, get_args

from sqlalchemy import CheckConstraint, Column, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.base import created_at, identifier, metadata, moment, reference

CaseState = Literal["open", "closed"]
StepKind = Literal[
    "waiting",
    "intake",
    "non-destructive inspection",
    "electrical verification",
    "fault localization",
    "sample preparation",
    "physical analysis",
    "review",
]
"""What a step can be: the stations of an analysis, and waiting for one."""
Mechanism = Literal[
    "open",
    "resistive connection",
    "short",
    "leakage",
    "dielectric breakdown",
    "delay",
    "parametric shift",
    "contamination",
    "mechanical damage",
    "no defect found",
    "not determined",
]
RootCause = Literal[
    "process",
    "mask",
    "design",
    "assembly",
    "test",
    "electrical overstress",
    "electrostatic discharge",
    "wear-out",
    "handling",
    "none",
    "not determined",
]

# The same words as values, for the checks of the tables and for forms.
STEP_KINDS: tuple[str, ...] = get_args(StepKind)
MECHANISMS: tuple[str, ...] = get_args(Mechanism)
ROOT_CAUSES: tuple[str, ...] = get_args(RootCause)

fa_case = Table(
    "fa_case",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("unit_id", "unit", nullable=True, index=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False, server_default="open"),
    Column("opened_by", Text, nullable=False, server_default=""),
    reference("assigned_to_id", "account", nullable=True, index=True),
    Column("mechanism", Text, comment="of the controlled vocabulary"),
    Column("root_cause", Text, comment="of the controlled vocabulary"),
    Column("conclusion", Text, comment="in words"),
    Column("concluded_by", Text),
    moment("closed_at"),
    created_at(),
    CheckConstraint("state IN ('open', 'closed')", name="state"),
    CheckConstraint(f"mechanism IN {MECHANISMS}", name="mechanism"),
    CheckConstraint(f"root_cause IN {ROOT_CAUSES}", name="root_cause"),
    CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
    CheckConstraint(
        "state = 'open' OR (mechanism IS NOT NULL AND root_cause IS NOT NULL AND conclusion IS NOT NULL)",
        name="closed_with_conclusion",
    ),
    Index("ix_fa_case_program_id_id", "program_id", "id"),
    Index("ix_fa_case_open", "program_id", "id", postgresql_where=text("state = 'open'")),
    Index("ix_fa_case_closed", "program_id", "closed_at", postgresql_where=text("state = 'closed'")),
    Index(
        "ix_fa_case_words",
        text("to_tsvector('simple'::regconfig, (title || ' '::text) || description)"),
        postgresql_using="gin",
    ),
)

case_step = Table(
    "case_step",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("case_id", "fa_case"),
    Column("kind", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("person", Text, nullable=False, comment="who did it"),
    reference("instrument_id", "instrument", nullable=True, index=True),
    Column("tool", Text, nullable=False, server_default="", comment="where no registered instrument was used"),
    reference("sample_id", "case_sample", nullable=True, index=True),
    moment("began_at", nullable=False),
    moment("ended_at"),
    Column("recorded_by", Text, nullable=False),
    created_at(),
    CheckConstraint(f"kind IN {STEP_KINDS}", name="kind"),
    CheckConstraint("ended_at >= began_at", name="order"),
    Index("ix_case_step_case_id_began_at_id", "case_id", "began_at", "id"),
    Index("ix_case_step_program_id_id", "program_id", "id"),
)

case_sample = Table(
    "case_sample",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("case_id", "fa_case"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("place", Text, nullable=False, server_default="", comment="where it is kept"),
    Column("recorded_by", Text, nullable=False),
    created_at(),
    Index("uq_case_sample_case_id_name", "case_id", "name", unique=True),
    Index("ix_case_sample_program_id_id", "program_id", "id"),
    comment="A piece that is examined: the part, a cross-section, a lamella.",
)

case_evidence = Table(
    "case_evidence",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("case_id", "fa_case"),
    reference("probing_session_id", "probing_session", nullable=True, index=True),
    reference("raw_file_id", "raw_file", nullable=True, index=True),
    Column("note", Text, nullable=False, server_default=""),
    Column("recorded_by", Text, nullable=False),
    created_at(),
    CheckConstraint("(probing_session_id IS NULL) <> (raw_file_id IS NULL)", name="one_subject"),
    Index(
        "uq_case_evidence_subject",
        "case_id",
        "probing_session_id",
        "raw_file_id",
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
    Index("ix_case_evidence_program_id_id", "program_id", "id"),
    comment="Sessions and attached files that a case rests on.",
)

case_decision = Table(
    "case_decision",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("case_id", "fa_case"),
    Column("kind", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("conclusion", JSONB, nullable=False, comment="mechanism, root cause and words as they stood"),
    created_at(),
    CheckConstraint("kind IN ('signed-off', 'reopened')", name="kind"),
    Index("ix_case_decision_case_id_id", "case_id", "id"),
    Index("ix_case_decision_program_id_id", "program_id", "id"),
    comment="Append-only: every sign-off and every reopening.",
)

"""Probes that somebody has planned: what a localization proposed, taken up for a session."""

from typing import Literal

from sqlalchemy import CheckConstraint, Column, Double, Index, Integer, Table, Text, text

from db.schema.base import created_at, identifier, metadata, moment, reference

ProbeState = Literal["planned", "withdrawn"]

planned_probe = Table(
    "planned_probe",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("probing_session_id", "probing_session"),
    reference("result_id", "result", index=True),
    Column("net", Text, nullable=False),
    Column("x_um", Double),
    Column("y_um", Double),
    Column("bits", Double, nullable=False, comment="expected mutual information about the site"),
    Column("seconds", Double, comment="of laboratory time; NULL: unknown"),
    Column("averages", Integer),
    Column("note", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False, server_default="planned"),
    Column("planned_by", Text, nullable=False),
    moment("withdrawn_at"),
    created_at(),
    CheckConstraint("state IN ('planned', 'withdrawn')", name="state"),
    CheckConstraint("(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name="withdrawn"),
    Index("ix_planned_probe_program_id_id", "program_id", "id"),
    Index("ix_planned_probe_probing_session_id_id", "probing_session_id", "id"),
    Index("uq_planned_probe_net", "probing_session_id", "net", unique=True, postgresql_where=text("state = 'planned'")),
    comment="Whether it has been made is told by later sessions of the same unit.",
)

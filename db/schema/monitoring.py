"""Control charts of instruments: what they are drawn of, the limits that were frozen, and the last evaluation."""

from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db.engine import SCHEMA
from db.schema.base import created_at, identifier, metadata, moment, reference

Quantity = Literal["amplitude", "snr", "edge_position", "edge_skew", "laser_power"]
ChartState = Literal["collecting", "in-control", "out-of-control"]
BaselineState = Literal["requested", "frozen", "refused"]

QUANTITIES: tuple[str, ...] = get_args(Quantity)
CHART_STATES: tuple[str, ...] = get_args(ChartState)
BASELINE_STATES: tuple[str, ...] = get_args(BaselineState)

control_chart = Table(
    "control_chart",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("instrument_id", "instrument"),
    Column("node", Text, nullable=False, comment="net or channel; laser: of the session's laser"),
    Column("quantity", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("setup", JSONB, nullable=False, comment="what must be equal for readings to be comparable"),
    Column("simulated", Boolean, nullable=False),
    Column("state", Text, nullable=False, server_default="collecting", comment="of the newest point"),
    Column("revision", BigInteger, nullable=False, server_default="0", comment="counts changes of readings and limits"),
    Column("evaluated_revision", BigInteger, comment="the revision that evaluation tells of; NULL: none yet"),
    moment("evaluated_at"),
    Column("evaluation", JSONB, comment="points, limits, signals, the baseline with its provenance"),
    created_at(),
    UniqueConstraint("instrument_id", "node", "quantity", "unit", "setup", "simulated", name="uq_control_chart_series"),
    UniqueConstraint("id", "program_id"),
    CheckConstraint(f"quantity IN {QUANTITIES}", name="quantity"),
    CheckConstraint(f"state IN {CHART_STATES}", name="state"),
    Index("ix_control_chart_program_id_id", "program_id", "id"),
    comment="One quantity of one reference node of one instrument, under one setup.",
)

reference_reading = Table(
    "reference_reading",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("chart_id", UUID(as_uuid=True), nullable=False),
    reference("raw_file_id", "raw_file", index=True),
    reference("bundle_id", "bundle", nullable=True, index=True),
    Column("member_path", Text, nullable=False, server_default=""),
    Column("record_index", Integer, nullable=False),
    Column("value", Double, nullable=False, comment="in the chart's unit"),
    Column("sigma", Double, comment="its standard error; NULL: unknown"),
    moment("observed_at", nullable=False),
    reference("result_id", "result", index=True),
    created_at(),
    ForeignKeyConstraint(
        ["chart_id", "program_id"],
        [f"{SCHEMA}.control_chart.id", f"{SCHEMA}.control_chart.program_id"],
        name="fk_reference_reading_chart_id",
    ),
    UniqueConstraint(
        "chart_id",
        "raw_file_id",
        "bundle_id",
        "member_path",
        "record_index",
        postgresql_nulls_not_distinct=True,
        name="uq_reference_reading_place",
    ),
    CheckConstraint("value > '-Infinity' AND value < 'Infinity'", name="finite"),
    Index("ix_reference_reading_chart_id_observed_at_id", "chart_id", "observed_at", "id"),
    Index("ix_reference_reading_program_id_id", "program_id", "id"),
    comment="One value of a chart; observed_at: when its file was received; its result says how it was made.",
)

chart_baseline = Table(
    "chart_baseline",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("chart_id", UUID(as_uuid=True), nullable=False),
    Column("state", Text, nullable=False),
    moment("from_at"),
    moment("to_at", nullable=False),
    Column("robust", Boolean, nullable=False, server_default="false"),
    Column("centre", Double, comment="in the chart's unit"),
    Column("sigma", Double, comment="of a single value, in the chart's unit"),
    Column("count", BigInteger, comment="readings that they were estimated from"),
    Column("method", Text),
    Column("warnings", JSONB, nullable=False, server_default="[]"),
    Column("parameters", JSONB, nullable=False, comment="Nelson's rules; weight and width of EWMA; those of CUSUM"),
    Column("reason", Text, comment="why it was refused"),
    Column("note", Text, nullable=False, server_default=""),
    Column("requested_by", Text, nullable=False),
    moment("frozen_at"),
    created_at(),
    ForeignKeyConstraint(
        ["chart_id", "program_id"],
        [f"{SCHEMA}.control_chart.id", f"{SCHEMA}.control_chart.program_id"],
        name="fk_chart_baseline_chart_id",
    ),
    CheckConstraint(f"state IN {BASELINE_STATES}", name="state"),
    CheckConstraint(
        "(state = 'frozen') = (centre IS NOT NULL AND sigma IS NOT NULL AND method IS NOT NULL "
        "AND frozen_at IS NOT NULL)",
        name="frozen",
    ),
    CheckConstraint("sigma > 0 AND sigma < 'Infinity'", name="sigma"),
    Index("ix_chart_baseline_chart_id_id", "chart_id", "id"),
    Index("ix_chart_baseline_program_id_id", "program_id", "id"),
    comment="Limits of phase I; a trigger refuses changes once they are frozen. The newest frozen one counts.",
)

"""What is examined: product, lot, wafer, unit."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint

from db.schema.base import created_at, identifier, metadata, reference

product = Table(
    "product",
    metadata,
    identifier(),
    reference("program_id", "program"),
    Column("name", Text, nullable=False),
    created_at(),
    UniqueConstraint("program_id", "name"),
)

lot = Table(
    "lot",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("product_id", "product"),
    Column("name", Text, nullable=False),
    created_at(),
    UniqueConstraint("product_id", "name"),
    Index("ix_lot_program_id_id", "program_id", "id"),
)

wafer = Table(
    "wafer",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("lot_id", "lot"),
    Column("name", Text, nullable=False),
    created_at(),
    UniqueConstraint("lot_id", "name"),
    Index("ix_wafer_program_id_id", "program_id", "id"),
)

unit = Table(
    "unit",
    metadata,
    identifier(),
    reference("program_id", "program"),
    reference("product_id", "product"),
    reference("wafer_id", "wafer", nullable=True),
    Column("x", Integer, comment="die column on the wafer"),
    Column("y", Integer, comment="die row on the wafer"),
    Column("serial", Text),
    created_at(),
    UniqueConstraint("wafer_id", "x", "y"),
    UniqueConstraint("product_id", "serial"),
    CheckConstraint(
        "serial IS NOT NULL OR (wafer_id IS NOT NULL AND x IS NOT NULL AND y IS NOT NULL)", name="identified"
    ),
    Index("ix_unit_program_id_id", "program_id", "id"),
    comment="A die or a packaged part.",
)

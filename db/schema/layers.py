"""What the layers of a layout are called, where a person has said so."""

from sqlalchemy import Column, DateTime, ForeignKey, Integer, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db.engine import SCHEMA
from db.schema.base import metadata, reference

layer_names = Table(
    "layer_names",
    metadata,
    Column("raw_file_id", UUID(as_uuid=True), ForeignKey(f"{SCHEMA}.raw_file.id"), primary_key=True),
    reference("program_id", "program", index=True),
    Column("names", JSONB, nullable=False, comment="name by layer/datatype"),
    Column("source", Text, nullable=False, server_default="", comment="where the names are from, in words"),
    Column("revision", Integer, nullable=False, server_default="1", comment="counts changes"),
    Column("set_by", Text, nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    comment="A layout without a row has the names that its file gives, if any.",
)

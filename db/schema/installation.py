"""What is true of the installation as a whole."""

from sqlalchemy import Boolean, CheckConstraint, Column, Table, Text

from db.schema.base import metadata

schema_compatibility = Table(
    "schema_compatibility",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("serves_from", Text, nullable=False, comment="the oldest version, by its newest migration, that can use it"),
    CheckConstraint("only_row", name="only_row"),
    comment="Which processes can use the schema as it is: during an upgrade older ones still run.",
)

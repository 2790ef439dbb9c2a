"""What every table shares: the metadata with its naming convention, and the common columns."""

from typing import Any

from sqlalchemy import Column, DateTime, ForeignKey, MetaData, func
from sqlalchemy.dialects.postgresql import UUID

from db.engine import SCHEMA

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def identifier() -> Column[Any]:
    """Return the primary key ``id``, a UUIDv7 made in Python."""
    return Column("id", UUID(as_uuid=True), primary_key=True)


def reference(name: str, target: str, *, nullable: bool = False, index: bool = False) -> Column[Any]:
    """Return a foreign key column ``name`` to ``<target>.id``."""
    return Column(
        name,
        UUID(as_uuid=True),
        ForeignKey(f"{SCHEMA}.{target}.id"),
        nullable=nullable,
        index=index,
    )


def created_at() -> Column[Any]:
    """Return ``created_at``, the time of the transaction that inserted the row."""
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


def moment(name: str, *, nullable: bool = True) -> Column[Any]:
    """Return a column of time with zone."""
    return Column(name, DateTime(timezone=True), nullable=nullable)

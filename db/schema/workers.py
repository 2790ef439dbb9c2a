"""Which worker processes there are, as they tell themselves."""

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.base import identifier, metadata, moment

worker = Table(
    "worker",
    metadata,
    identifier(),
    Column("name", Text, nullable=False, unique=True, comment="name@host:process, as in job.worker"),
    Column("queues", JSONB, nullable=False),
    Column("cards", JSONB, nullable=False, comment="[{index, name, memory_bytes, used_bytes, busy_part}] of its host"),
    Column("version", Text, nullable=False),
    moment("started_at", nullable=False),
    moment("seen_at", nullable=False),
    comment="A worker that ends takes its row away; one that was killed falls silent.",
)

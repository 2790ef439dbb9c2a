"""The audit trail: append-only, written in the transaction of what it tells."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from db.identifiers import uuid7
from db.schema.people import audit_event


@dataclass(frozen=True)
class AuditEntry:
    """What happened to which row; ``before`` and ``after`` hold what changed."""

    action: str
    subject_type: str
    subject_id: uuid.UUID | None
    program_id: uuid.UUID | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def record(connection: Connection, actor: str, request_id: str | None, entry: AuditEntry) -> None:
    """Append ``entry`` on behalf of ``actor`` (``account:NAME``, ``instrument:NAME`` or ``service:NAME``)."""
    connection.execute(
        insert(audit_event).values(
            id=uuid7(),
            program_id=entry.program_id,
            actor=actor,
            action=entry.action,
            subject_type=entry.subject_type,
            subject_id=entry.subject_id,
            before=dict(entry.before) if entry.before is not None else None,
            after=dict(entry.after) if entry.after is not None else None,
            request_id=request_id,
        )
    )

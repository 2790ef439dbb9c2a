"""Where records come from: the file or bundle behind them, who sent it, what read it."""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, any_, literal, select
from sqlalchemy.dialects.postgresql import UUID

from db.repositories.access import Action, Caller
from db.schema.files import bundle, ingest_event, raw_file
from db.schema.people import audit_event, instrument

ARRIVALS = ("file.received", "file.assembled")
"""The audit trail's actions by which a file comes to be: it is complete, or an analysis has made it."""


def find_origins(
    connection: Connection, caller: Caller, file_ids: Collection[uuid.UUID], bundle_ids: Collection[uuid.UUID] = ()
) -> list[Mapping[str, Any]]:
    """Return the files and bundles of those that the caller may see, oldest first.

    Each has ``kind`` (``file`` or ``bundle``), ``id``, ``name``, ``sha256``, ``created_at`` (when it was received, of a
    bundle declared), ``adapter``, ``adapter_version``, ``instrument`` and ``sent_by``: what is not stored is ``None``.
    """
    found = _find_files(connection, caller, file_ids) if file_ids else []
    found += _find_bundles(connection, caller, bundle_ids) if bundle_ids else []
    return sorted(found, key=lambda origin: origin["created_at"])


def _among(column: ColumnElement[Any], identities: Collection[uuid.UUID]) -> ColumnElement[bool]:
    return column == any_(literal(sorted(identities), ARRAY(UUID(as_uuid=True))))


def _find_files(connection: Connection, caller: Caller, identities: Collection[uuid.UUID]) -> list[Mapping[str, Any]]:
    first = (
        select(audit_event.c.actor)
        .where(audit_event.c.subject_id == raw_file.c.id, audit_event.c.action.in_(ARRIVALS))
        .order_by(audit_event.c.id)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(
            literal("file").label("kind"), raw_file.c.id, raw_file.c.filename.label("name"), raw_file.c.sha256,
            raw_file.c.created_at, raw_file.c.adapter, raw_file.c.adapter_version,
            instrument.c.name.label("instrument"), first.label("sent_by"),
        )
        .join(instrument, instrument.c.id == raw_file.c.instrument_id, isouter=True)
        .where(_among(raw_file.c.id, identities), caller.restriction(Action.READ_OPERATIONS, raw_file.c.program_id))
    )  # fmt: skip
    return [dict(row) for row in connection.execute(query).mappings()]


def _find_bundles(connection: Connection, caller: Caller, identities: Collection[uuid.UUID]) -> list[Mapping[str, Any]]:
    last = (
        select(ingest_event.c.adapter, ingest_event.c.adapter_version)
        .where(ingest_event.c.bundle_id == bundle.c.id)
        .order_by(ingest_event.c.id.desc())
        .limit(1)
        .lateral()
    )
    query = (
        select(
            literal("bundle").label("kind"), bundle.c.id, bundle.c.name, bundle.c.content_sha256.label("sha256"),
            bundle.c.created_at, last.c.adapter, last.c.adapter_version, instrument.c.name.label("instrument"),
            literal(None).label("sent_by"),
        )
        .select_from(bundle)
        .join(instrument, instrument.c.id == bundle.c.instrument_id, isouter=True)
        .join(last, literal(True), isouter=True)
        .where(_among(bundle.c.id, identities), caller.restriction(Action.READ_OPERATIONS, bundle.c.program_id))
    )  # fmt: skip
    return [dict(row) for row in connection.execute(query).mappings()]

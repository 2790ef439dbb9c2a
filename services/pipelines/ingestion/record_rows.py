"""Packed records as rows: which column takes what, for each kind of record."""

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from db.bulk import ColumnBlock
from db.identifiers import uuid7, uuid7_column
from db.repositories.ingest import DOCUMENT_TABLES, Rows, Subject
from instruments.packing import PackedReading, PackedRecord

SESSION = "probing_session"
WAVEFORM = "waveform"


def find_homeless(reading: PackedReading) -> str | None:
    """Return a kind of record in the reading that no table takes, ``None`` when every record has its place."""
    places = {SESSION, WAVEFORM, *DOCUMENT_TABLES}
    return next((record.kind for record in reading.records if record.kind not in places), None)


def make_rows(reading: PackedReading, subject: Subject, blob_key: str, session_id: uuid.UUID | None) -> Rows:
    """Return the reading's records as rows that lie in the object ``blob_key``; the session itself has its own row."""
    rows = Rows()
    for record in reading.records:
        if record.kind == WAVEFORM:
            rows.waveforms.append(_waveform_rows(record, subject, blob_key, session_id))
        elif record.kind in DOCUMENT_TABLES:
            rows.documents.setdefault(record.kind, []).append(_document_row(record, subject, blob_key))
    return rows


def count_rows(rows: Rows) -> int:
    """Return how many rows there are."""
    return sum(block.count for block in rows.waveforms) + sum(len(documents) for documents in rows.documents.values())


def storable(value: Any) -> Any:
    """Return ``value`` with what PostgreSQL's text and JSON cannot hold (NUL, lone surrogates) as U+FFFD."""
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def _common(record: PackedRecord, subject: Subject, blob_key: str) -> dict[str, Any]:
    return {
        "program_id": subject.program_id,
        "raw_file_id": subject.file_ids.get(record.member_path, subject.first_file_id),
        "bundle_id": subject.bundle_id,
        "record_index": record.record_index,
        "name": storable(record.name),
        "vendor_metadata": storable(record.fields["vendor_metadata"]),
        "warnings": storable(record.fields["warnings"]),
        "blob_key": blob_key,
        "member_path": storable(record.member_path),
    }


def _waveform_rows(record: PackedRecord, subject: Subject, blob_key: str, session_id: uuid.UUID | None) -> ColumnBlock:
    """Return one row per segment."""
    fields, parts = record.fields, record.parts
    constants = _common(record, subject, blob_key) | {
        "gain": fields["gain"],
        "offset": fields["offset"],
        "unit": storable(fields["unit"]),
        "dt_s": fields["dt_s"],
        "kind": fields["kind"],
        "averages": fields["averages"],
        "net": storable(fields.get("net")),
        "probing_session_id": session_id,
        "dtype": parts.dtype,
    }
    columns = {
        "id": uuid7_column(len(parts)),
        "segment_index": np.arange(len(parts)),
        "sample_count": parts.column("count"),
        "sha256": parts.digests(),
    }
    same = ("trigger_offset_s", "t0_s", "minimum", "maximum", "byte_offset", "byte_length")
    return ColumnBlock(len(parts), constants, columns | {name: parts.column(name) for name in same})


def _document_row(record: PackedRecord, subject: Subject, blob_key: str) -> dict[str, Any]:
    part = record.parts[0]
    return {
        **_common(record, subject, blob_key),
        **(_OWN_COLUMNS[record.kind](record) if record.kind in _OWN_COLUMNS else {}),
        "id": uuid7(),
        "summary": storable(record.summary),
        "byte_offset": part.byte_offset,
        "byte_length": part.byte_length,
        "sha256": part.sha256,
    }


def _table_columns(record: PackedRecord) -> dict[str, Any]:
    return {"kind": storable(record.fields["kind"]), "row_count": record.parts[0].count}


def _raster_columns(record: PackedRecord) -> dict[str, Any]:
    fields = record.fields
    same = ("kind", "dtype", "gain", "offset", "minimum", "maximum", "pitch_x_m", "pitch_y_m", "frequency_hz")
    return {
        **{name: fields[name] for name in same},
        "row_count": fields["rows"],
        "column_count": fields["columns"],
        "bands": storable(fields["bands"]),
        "affine_um": fields["affine_um"],
    }


_OWN_COLUMNS: dict[str, Callable[[PackedRecord], dict[str, Any]]] = {
    "table": _table_columns,
    "raster": _raster_columns,
}

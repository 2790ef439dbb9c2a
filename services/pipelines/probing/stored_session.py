"""A probing session as it was read, put together again from rows and packed objects."""

import hashlib
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Row

from db.blobs import BlobStore
from db.repositories.probing import StoredSession
from instruments.documents import decode_document
from instruments.packed_parts import PackedPart
from instruments.packing import unpack_raster, unpack_waveform
from instruments.records import (
    DigitalTrace,
    FailLog,
    Netlist,
    PatternSet,
    Placement,
    ProbingSession,
    Raster,
    Record,
    Table,
    Waveform,
)
from services.pipelines.context import DamagedRecord

R = TypeVar("R", bound=Record)


def rebuild_session(stored: StoredSession, blobs: BlobStore) -> ProbingSession:
    """Return the session; samples are read from the store when they are asked for, and checked against their hash.

    Raises:
        DamagedRecord: a document's bytes are not those that were written, or there are two where one belongs.
        db.blobs.BlobMissing: an object is gone.
    """
    return ProbingSession(
        name=stored.row.name,
        role=stored.row.role,
        document=stored.row.document,
        netlist=_only(stored, "netlist", Netlist, blobs),
        patterns=_only(stored, "pattern_set", PatternSet, blobs),
        fails=_only(stored, "fail_log", FailLog, blobs),
        placement=_only(stored, "placement", Placement, blobs),
        simulation=tuple(
            decode_row(row, "digital_trace", DigitalTrace, blobs) for row in stored.documents["digital_trace"]
        ),
        waveforms=rebuild_waveforms(stored.waveforms, blobs),
        maps=_maps(stored.documents["raster"], blobs),
        delays=_delays(stored, blobs),
    )


def _delays(stored: StoredSession, blobs: BlobStore) -> tuple[Table, ...]:
    """Return the tables of the session's delay file."""
    path = str(stored.row.document.get("delays") or "")
    rows = [row for row in stored.documents["table"] if path and row.member_path == path]
    return tuple(decode_row(row, "table", Table, blobs) for row in rows)


def _only(stored: StoredSession, kind: str, expected: type[R], blobs: BlobStore) -> R | None:
    rows = stored.documents[kind]
    if len(rows) > 1:
        raise DamagedRecord(f"the session has {len(rows)} records of the kind {kind}, not one")
    return decode_row(rows[0], kind, expected, blobs) if rows else None


def decode_row(row: Row[Any], kind: str, expected: type[R], blobs: BlobStore) -> R:
    """Return the record of a ``row`` that is one document of its ``kind``; raises :class:`DamagedRecord`."""
    record = decode_document(kind, _checked(blobs, row))
    if not isinstance(record, expected):
        raise DamagedRecord(f"the {kind} {row.id} is a {type(record).__name__}")
    return record


def _checked(blobs: BlobStore, row: Row[Any]) -> bytes:
    data = blobs.read_range(row.blob_key, row.byte_offset, row.byte_length)
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise DamagedRecord(f"the stored bytes of record {row.id} are not those that were written")
    return data


def _maps(rows: Sequence[Row[Any]], blobs: BlobStore) -> dict[str, tuple[Raster, ...]]:
    """Return the maps by the file that the session names, in file order."""
    same = ("kind", "bands", "dtype", "gain", "minimum", "maximum", "pitch_x_m", "pitch_y_m", "frequency_hz")
    kept = (*same, "affine_um", "vendor_metadata", "warnings")
    maps: dict[str, tuple[Raster, ...]] = {}
    for row in rows:
        fields = {name: getattr(row, name) for name in kept}
        fields |= {"rows": row.row_count, "columns": row.column_count, "offset": row.offset}
        maps[row.member_path] = (*maps.get(row.member_path, ()), unpack_raster(row.name, fields, _checked(blobs, row)))
    return maps


def rebuild_waveforms(rows: Sequence[Row[Any]], blobs: BlobStore) -> dict[str, tuple[Waveform, ...]]:
    """Return the waveforms in the order of their files, by the member that each was read from.

    Samples are read from the store when they are asked for, and checked against their hash.
    """
    waveforms: dict[str, tuple[Waveform, ...]] = {}
    for _, group in groupby(rows, key=lambda row: row.record_index):
        segments = list(group)
        path = segments[0].member_path
        waveforms[path] = (*waveforms.get(path, ()), _waveform(segments, blobs))
    return waveforms


def _waveform(segments: Sequence[Row[Any]], blobs: BlobStore) -> Waveform:
    first = segments[0]
    low = [row.minimum for row in segments if row.minimum is not None]
    high = [row.maximum for row in segments if row.maximum is not None]
    fields = {name: getattr(first, name) for name in ("unit", "dt_s", "gain", "kind", "averages", "dtype")} | {
        "offset": first.offset,
        "minimum": min(low, default=None),
        "maximum": max(high, default=None),
        "vendor_metadata": first.vendor_metadata,
        "warnings": first.warnings,
    }
    return unpack_waveform(first.name, fields, tuple(map(_part, segments)), _reader(segments, blobs))


def _part(row: Row[Any]) -> PackedPart:
    return PackedPart(
        segment_index=row.segment_index,
        byte_offset=row.byte_offset,
        byte_length=row.byte_length,
        sha256=row.sha256,
        count=row.sample_count,
        dtype=row.dtype,
        t0_s=row.t0_s,
        trigger_offset_s=row.trigger_offset_s,
        minimum=row.minimum,
        maximum=row.maximum,
    )


def _reader(segments: Sequence[Row[Any]], blobs: BlobStore) -> Callable[[int, int], bytes]:
    by_place = {(row.byte_offset, row.byte_length): row for row in segments}
    return lambda offset, length: _checked(blobs, by_place[offset, length])

"""Records on their way from the reading process to the store: JSON, a table of parts, one file of packed samples.

Nothing here executes what it reads: the reading process may have been taken over by a hostile file.
``manifest.json`` describes the records, ``parts.bin`` says where each segment or document lies, ``samples.bin`` holds
native little-endian samples and documents.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from instruments.description import describe_record
from instruments.documents import encode_document, kind_of, plain, range_of
from instruments.errors import CountMismatch
from instruments.packed_parts import LAYOUT, PackedPart, PackedParts
from instruments.packed_segments import SamplesFile, write_segments
from instruments.records import (
    Band,
    ProbingSession,
    Raster,
    ReadResult,
    Record,
    Samples,
    Segment,
    Table,
    Waveform,
)

MANIFEST = "manifest.json"
PARTS = "parts.bin"
SAMPLES = "samples.bin"


@dataclass(frozen=True)
class PackedRecord:
    """A record without its samples. ``summary`` is what ``faultlight read --json`` prints of it."""

    kind: str
    name: str
    member_path: str
    record_index: int
    summary: dict[str, Any]
    fields: dict[str, Any]
    parts: PackedParts


@dataclass(frozen=True)
class PackedReading:
    """What a reading gave, with its files in ``folder``."""

    folder: Path
    file: str
    format: str
    adapter: str
    adapter_version: str
    warnings: tuple[str, ...]
    records: tuple[PackedRecord, ...]

    @property
    def samples_path(self) -> Path:
        """The file that the parts' offsets refer to."""
        return self.folder / SAMPLES

    @staticmethod
    def load(folder: Path) -> "PackedReading":
        """Read a packed reading back.

        Raises:
            CountMismatch: there are more or fewer parts than the records say, or one lies outside the samples' file.
        """
        document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        size_bytes = (folder / SAMPLES).stat().st_size
        table = np.fromfile(folder / PARTS, LAYOUT)
        records = []
        used = 0
        for item in document["records"]:
            dtype, count = item.pop("parts")
            parts = PackedParts(str(dtype), table[used : used + count])
            used += count
            if count < 1 or len(parts) != count:
                message = "a record has fewer parts than it says"
                raise CountMismatch(message, file=document["file"], expected=count, found=len(parts))
            if not parts.lie_within(size_bytes):
                raise CountMismatch("a packed part lies outside the samples", file=document["file"], found=size_bytes)
            records.append(PackedRecord(**item, parts=parts))
        if used != len(table):
            message = "there are more packed parts than the records have"
            raise CountMismatch(message, file=document["file"], expected=used, found=len(table))
        warnings = tuple(document["warnings"])
        return PackedReading(folder=folder, **(document | {"records": tuple(records), "warnings": warnings}))


def pack(result: ReadResult, folder: Path) -> PackedReading:
    """Write ``result`` to ``folder`` (created), samples in blocks, and return its description.

    Raises:
        CountMismatch: a record's samples are fewer or more than it says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / SAMPLES).open("wb") as file:
        records = tuple(_pack_all(result, SamplesFile(file)))
    empty = np.empty(0, LAYOUT)
    with (folder / PARTS).open("wb") as file:  # numpy's tofile does not say why the system stopped it
        file.write(np.concatenate([empty, *(record.parts.table for record in records)]).tobytes())
    reading = PackedReading(
        folder, result.file, result.format, result.adapter, result.adapter_version, result.warnings, records
    )
    described = [vars(record) | {"parts": [record.parts.dtype, len(record.parts)]} for record in records]
    document = vars(reading) | {"records": described}
    document.pop("folder")
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return reading


def _pack_all(result: ReadResult, sink: SamplesFile) -> Iterator[PackedRecord]:
    index = 0
    for record in result.records:
        for member_path, net, piece in _flatten(record):
            packed = _pack_one(piece, member_path, sink)
            if net is not None:
                packed = replace(packed, fields=packed.fields | {"net": net})
            yield replace(packed, record_index=index)
            index += 1


def _flatten(record: Record) -> Iterator[tuple[str, str | None, Record]]:
    """Yield (path in the bundle, net, record): a session is its document and then the records of its files."""
    yield "", None, record
    if not isinstance(record, ProbingSession):
        return
    document = record.document
    for key, piece in (
        ("netlist", record.netlist),
        ("patterns", record.patterns),
        ("fails", record.fails),
        ("placement", record.placement),
    ):
        if piece is not None:
            yield str(document.get(key, "")), None, piece
    for trace in record.simulation:
        yield str(document.get("simulation", "")), None, trace
    nets = {str(item["file"]): str(item["net"]) for item in document.get("waveforms", ())}
    for path, waveforms in record.waveforms.items():
        for waveform in waveforms:
            yield path, nets.get(path), waveform
    for table in record.delays:
        yield str(document.get("delays", "")), None, table
    for path, rasters in record.maps.items():
        for raster in rasters:
            yield path, None, raster


def _pack_one(record: Record, member_path: str, sink: SamplesFile) -> PackedRecord:
    kind = kind_of(record)
    summary = summarize(record)
    if isinstance(record, Waveform):
        return PackedRecord(
            kind, record.name, member_path, 0, summary, _waveform_fields(record), write_segments(record, sink)
        )
    if isinstance(record, Raster):
        return PackedRecord(kind, record.name, member_path, 0, summary, raster_fields(record), _grid(record, sink))
    data = encode_document(record)
    start = sink.offset
    sink.write(data)
    parts = PackedParts.single("", (start, len(data)), hashlib.sha256(data).digest(), int(summary["count"]))
    fields: dict[str, Any] = {"warnings": list(record.warnings), "vendor_metadata": plain(record.vendor_metadata)}
    if isinstance(record, ProbingSession):
        fields |= {"document": plain(record.document), "role": record.role}
    if isinstance(record, Table):
        fields |= {"kind": record.kind}
    return PackedRecord(kind, record.name, member_path, 0, summary, fields, parts)


def _waveform_fields(waveform: Waveform) -> dict[str, Any]:
    return {
        "unit": waveform.unit,
        "dt_s": waveform.dt_s,
        "gain": waveform.gain,
        "offset": waveform.offset,
        "kind": waveform.kind,
        "averages": waveform.averages,
        "dtype": waveform.samples.dtype.str.replace("|", "<"),
        "minimum": waveform.minimum,
        "maximum": waveform.maximum,
        "warnings": list(waveform.warnings),
        "vendor_metadata": plain(waveform.vendor_metadata),
    }


def raster_fields(raster: Raster) -> dict[str, Any]:
    """Return what a raster is without its samples, as :func:`unpack_raster` takes it."""
    return {
        "kind": raster.kind,
        "rows": raster.rows,
        "columns": raster.columns,
        "bands": [[band.name, band.unit] for band in raster.bands],
        "pitch_x_m": raster.pitch_x_m,
        "pitch_y_m": raster.pitch_y_m,
        "frequency_hz": raster.frequency_hz,
        "affine_um": [list(row) for row in raster.affine_um] if raster.affine_um is not None else None,
        "gain": raster.gain,
        "offset": raster.offset,
        "dtype": raster.samples.dtype.str.replace("|", "<"),
        "minimum": raster.minimum,
        "maximum": raster.maximum,
        "warnings": list(raster.warnings),
        "vendor_metadata": plain(raster.vendor_metadata),
    }


def _grid(raster: Raster, sink: SamplesFile) -> PackedParts:
    """Write the samples of all bands as one part.

    Raises:
        CountMismatch: they are not as many as bands, rows and columns say.
    """
    start, count = sink.offset, 0
    digest = hashlib.sha256()
    for block in raster.samples.blocks():
        data = np.ascontiguousarray(block, raster.samples.dtype).data.cast("B")
        sink.write(data)
        digest.update(data)
        count += block.size
    expected = len(raster.bands) * raster.rows * raster.columns
    if not count == raster.samples.count == expected:
        message = f"the samples of {raster.name} are not what its size says"
        raise CountMismatch(message, expected=expected, found=count)
    extent = (start, sink.offset - start)
    dtype = raster.samples.dtype.str.replace("|", "<")
    return PackedParts.single(dtype, extent, digest.digest(), count, (raster.minimum, raster.maximum))


def unpack_raster(name: str, fields: Mapping[str, Any], data: bytes) -> Raster:
    """Return the raster that was packed as ``data`` with ``fields`` (see :func:`raster_fields`)."""
    values = dict(fields)
    dtype = np.dtype(values.pop("dtype"))
    affine = values.pop("affine_um")
    known = affine is not None
    return Raster(
        name=name,
        samples=Samples.of(np.frombuffer(data, dtype)),
        bands=tuple(Band(*pair) for pair in values.pop("bands")),
        affine_um=(tuple(affine[0]), tuple(affine[1])) if known else None,
        warnings=tuple(values.pop("warnings")),
        **values,
    )


def unpack_waveform(
    name: str, fields: Mapping[str, Any], parts: Sequence[PackedPart], read: Callable[[int, int], bytes]
) -> Waveform:
    """Return the waveform that was packed; ``read(offset, length)`` gives bytes of the packed file.

    ``fields`` and ``parts`` are those of its :class:`PackedRecord`.
    """
    dtype = np.dtype(fields["dtype"])

    def blocks() -> Iterator[np.ndarray[Any, Any]]:
        for part in parts:
            yield np.frombuffer(read(part.byte_offset, part.byte_length), dtype)

    return Waveform(
        name=name,
        samples=Samples(dtype, sum(part.count for part in parts), blocks),
        unit=fields["unit"],
        dt_s=fields["dt_s"],
        segments=tuple(Segment(part.count, part.t0_s, part.trigger_offset_s) for part in parts),
        minimum=fields["minimum"],
        maximum=fields["maximum"],
        gain=fields["gain"],
        offset=fields["offset"],
        kind=fields["kind"],
        averages=fields["averages"],
        vendor_metadata=fields["vendor_metadata"],
        warnings=tuple(fields["warnings"]),
    )


def summarize(record: Record) -> dict[str, Any]:
    """Return what ``faultlight read --json`` prints: kind, name, count, unit, t0_s, dt_s, min, max, segments, meta."""
    low, high = range_of(record)
    return describe_record(record).to_document() | {"min": plain(low), "max": plain(high)}

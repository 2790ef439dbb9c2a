"""Records on their way from the reading process to the store: plain JSON, and one file of packed samples.

Nothing here executes what it reads: the reading process may have been taken over by a hostile file.
``manifest.json`` describes the records; ``samples.bin`` holds native little-endian samples and JSON documents.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from instruments.description import describe_record
from instruments.documents import encode_document, kind_of, plain, range_of
from instruments.errors import CountMismatch
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
    finite_range,
)

MANIFEST = "manifest.json"
SAMPLES = "samples.bin"


@dataclass(frozen=True)
class PackedPart:
    """Bytes of a record in ``samples.bin``: one segment of a waveform, or a whole document.

    ``minimum`` and ``maximum`` are in the record's unit; ``dtype`` is a numpy dtype string, ``""`` for a document.
    """

    segment_index: int
    byte_offset: int
    byte_length: int
    sha256: str
    count: int
    dtype: str
    t0_s: float | None = None
    trigger_offset_s: float | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class PackedRecord:
    """A record without its samples. ``summary`` is what ``faultlight read --json`` prints of it."""

    kind: str
    name: str
    member_path: str
    record_index: int
    summary: dict[str, Any]
    fields: dict[str, Any]
    parts: tuple[PackedPart, ...]


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
        """Read a packed reading back; raises CountMismatch when the parts do not lie within the samples' file."""
        document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        records = tuple(
            PackedRecord(**(item | {"parts": tuple(PackedPart(**part) for part in item["parts"])}))
            for item in document["records"]
        )
        size = (folder / SAMPLES).stat().st_size
        for record in records:
            for part in record.parts:
                if part.byte_offset < 0 or part.byte_length < 0 or part.byte_offset + part.byte_length > size:
                    raise CountMismatch("a packed part lies outside the samples", file=document["file"], found=size)
        return PackedReading(
            folder=folder, **(document | {"records": records, "warnings": tuple(document["warnings"])})
        )


@dataclass
class _Sink:
    """The samples' file with the place of the next byte."""

    file: BinaryIO
    offset: int = 0

    def write(self, data: bytes | memoryview) -> None:
        self.file.write(data)
        self.offset += len(data)


def pack(result: ReadResult, folder: Path) -> PackedReading:
    """Write ``result`` to ``folder`` (created), samples in blocks, and return its description.

    Raises:
        CountMismatch: a record's samples are fewer or more than it says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / SAMPLES).open("wb") as file:
        sink = _Sink(file)
        records = tuple(_pack_all(result, sink))
    reading = PackedReading(
        folder, result.file, result.format, result.adapter, result.adapter_version, result.warnings, records
    )
    document = asdict(reading)
    document.pop("folder")
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return reading


def _pack_all(result: ReadResult, sink: _Sink) -> Iterator[PackedRecord]:
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
    for path, rasters in record.maps.items():
        for raster in rasters:
            yield path, None, raster


def _pack_one(record: Record, member_path: str, sink: _Sink) -> PackedRecord:
    kind = kind_of(record)
    summary = summarize(record)
    if isinstance(record, Waveform):
        return PackedRecord(
            kind, record.name, member_path, 0, summary, _waveform_fields(record), _segments(record, sink)
        )
    if isinstance(record, Raster):
        return PackedRecord(kind, record.name, member_path, 0, summary, raster_fields(record), (_grid(record, sink),))
    data = encode_document(record)
    start = sink.offset
    sink.write(data)
    part = PackedPart(0, start, len(data), hashlib.sha256(data).hexdigest(), int(summary["count"]), "")
    fields: dict[str, Any] = {"warnings": list(record.warnings), "vendor_metadata": plain(record.vendor_metadata)}
    if isinstance(record, ProbingSession):
        fields |= {"document": plain(record.document), "role": record.role}
    if isinstance(record, Table):
        fields |= {"kind": record.kind}
    return PackedRecord(kind, record.name, member_path, 0, summary, fields, (part,))


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


def _grid(raster: Raster, sink: _Sink) -> PackedPart:
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
    return PackedPart(
        segment_index=0,
        byte_offset=start,
        byte_length=sink.offset - start,
        sha256=digest.hexdigest(),
        count=count,
        dtype=raster.samples.dtype.str.replace("|", "<"),
        minimum=raster.minimum,
        maximum=raster.maximum,
    )


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


def _segments(waveform: Waveform, sink: _Sink) -> tuple[PackedPart, ...]:
    """Write the samples block by block, cut at the segments' ends."""
    blocks = waveform.samples.blocks()
    rest = np.empty(0, waveform.samples.dtype)
    parts = []
    total = 0
    for index, segment in enumerate(waveform.segments):
        start, missing = sink.offset, segment.count
        digest = hashlib.sha256()
        ranges: list[tuple[float | None, float | None]] = []
        while missing:
            if not rest.size:
                block = next(blocks, None)
                if block is None:
                    break
                rest = np.ascontiguousarray(block, waveform.samples.dtype)
                continue
            piece, rest = rest[:missing], rest[missing:]
            data = piece.data.cast("B")
            sink.file.write(data)
            sink.offset += len(data)
            digest.update(data)
            ranges.append(finite_range((piece,), waveform.gain, waveform.offset))
            missing -= piece.size
        total += segment.count - missing
        parts.append(
            PackedPart(
                segment_index=index,
                byte_offset=start,
                byte_length=sink.offset - start,
                sha256=digest.hexdigest(),
                count=segment.count - missing,
                dtype=waveform.samples.dtype.str.replace("|", "<"),
                t0_s=segment.t0_s,
                trigger_offset_s=segment.trigger_offset_s,
                minimum=min((low for low, _ in ranges if low is not None), default=None),
                maximum=max((high for _, high in ranges if high is not None), default=None),
            )
        )
    left = rest.size + sum(block.size for block in blocks)
    if (
        total + left != waveform.samples.count
        or left
        or any(part.count != segment.count for part, segment in zip(parts, waveform.segments, strict=True))
    ):
        raise CountMismatch(
            f"the samples of {waveform.name} are not what its header says",
            expected=waveform.samples.count,
            found=int(total + left),
        )
    return tuple(parts)


def unpack_waveform(
    name: str, fields: Mapping[str, Any], parts: tuple[PackedPart, ...], read: Callable[[int, int], bytes]
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

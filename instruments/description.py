"""What a file holds without its samples: the answer of ``faultlight read --header``."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from instruments.documents import describe, kind_of, plain
from instruments.records import Record, Waveform

_MOST_TRIGGERS = 1000


class Reach(StrEnum):
    """How much of a file must be looked at to describe it."""

    HEADER = "header"
    """Headers, directories and fields of length; no sample is read, however large the file."""
    WALK = "walk"
    """All of it, because nothing in it says how much it holds."""


@dataclass(frozen=True)
class RecordDescription:
    """One record without its samples; everything but ``reach`` is what the full reading says as well.

    Attributes:
        kind: as ``faultlight read`` prints it, for example ``waveform`` or ``test_result``.
        name: of the record.
        count: samples, rows, changes, …: what ``unit`` or the kind names.
        unit: of the samples, or of what is counted.
        t0_s: time of the first sample relative to its trigger, seconds; ``None`` if unknown.
        dt_s: distance of samples, seconds; ``None`` if unknown.
        segments: triggered pieces, 1 where there is no such thing.
        meta: the rest, what JSON can hold; the instrument's own words under ``vendor``.
        warnings: doubts that need no look at the samples; the full reading may have more.
        reach: how much of the file was looked at for this record.
    """

    kind: str
    name: str
    count: int
    unit: str
    t0_s: float | None
    dt_s: float | None
    segments: int
    meta: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    reach: Reach = Reach.HEADER

    def to_document(self) -> dict[str, Any]:
        """Return it for JSON, without ``warnings`` and ``reach``, which are said of the file."""
        document: dict[str, Any] = plain(
            {
                "kind": self.kind,
                "name": self.name,
                "count": self.count,
                "unit": self.unit,
                "t0_s": self.t0_s,
                "dt_s": self.dt_s,
                "segments": self.segments,
                "meta": self.meta,
            }
        )
        return document


def describe_record(record: Record, reach: Reach = Reach.HEADER) -> RecordDescription:
    """Return the description of ``record``, whose samples are left alone."""
    if isinstance(record, Waveform):
        values: dict[str, Any] = _waveform(record)
    else:
        values = {"kind": kind_of(record), "t0_s": None, "dt_s": None, "segments": 1} | describe(record)
    meta = plain({**values.pop("meta"), "vendor": record.vendor_metadata})
    return RecordDescription(name=record.name, meta=meta, warnings=record.warnings, reach=reach, **values)


def _waveform(record: Waveform) -> dict[str, Any]:
    return {
        "kind": kind_of(record),
        "count": record.samples.count,
        "unit": record.unit,
        "t0_s": record.t0_s,
        "dt_s": record.dt_s,
        "segments": len(record.segments),
        "meta": {
            "kind": record.kind,
            "gain": record.gain,
            "offset": record.offset,
            "dtype": record.samples.dtype.str,
            "averages": record.averages,
            "trigger_offsets_s": [segment.trigger_offset_s for segment in record.segments[:_MOST_TRIGGERS]],
        },
    }


@dataclass(frozen=True)
class FileDescription:
    """What one file or bundle holds, by its header or by a walk over it."""

    file: str
    format: str
    adapter: str
    adapter_version: str
    records: tuple[RecordDescription, ...]

    @property
    def reach(self) -> Reach:
        """How much of the file was looked at."""
        return Reach.WALK if any(record.reach is Reach.WALK for record in self.records) else Reach.HEADER

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of all records, each once."""
        return tuple(dict.fromkeys(text for record in self.records for text in record.warnings))

    def to_document(self) -> dict[str, Any]:
        """Return the answer of ``faultlight read --header --json``."""
        return {
            "file": self.file,
            "format": self.format,
            "adapter": self.adapter,
            "adapter_version": self.adapter_version,
            "reach": str(self.reach),
            "records": [record.to_document() for record in self.records],
            "warnings": plain(list(self.warnings)),
        }

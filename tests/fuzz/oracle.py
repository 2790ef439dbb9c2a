"""What must hold of every mutant: refused with a reason, or read with as much as it holds, and nothing else."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from instruments.adapter import Adapter, HeaderAdapter, Source
from instruments.description import describe_record
from instruments.errors import InstrumentError, ReaderCrashed
from instruments.packing import pack
from instruments.records import (
    DigitalTrace,
    FailLog,
    PatternSet,
    Placement,
    ProbingSession,
    Raster,
    ReadResult,
    Record,
    Table,
    Waveform,
)
from tests.fuzz.second_counts import COUNTS, Files

PACKED_EVERY = 16
"""Packing writes files; one in so many of the mutants that are read is packed too."""
INDICES = {"part_index": "test_part", "test_index": "test_item", "wafer_index": "test_wafer"}


def check(adapter: Adapter, source: Source, files: Files, folder: Path, number: int) -> str:
    """Return ``read``, or the name of the refusal's type.

    Raises:
        Exception: whatever the adapter raised that is no refusal, or what is wrong with what it read.
    """
    assert adapter.sniff(source).reason
    try:
        format_name, made = adapter.read(source)
        records = tuple(made)
    except InstrumentError as error:
        refusal = error
    else:
        check_reading(adapter, source, (files, folder, number), format_name, records)
        return "read"
    assert not isinstance(refusal, ReaderCrashed) or refusal.message.startswith("the reader pywellen crashed"), refusal
    assert str(refusal)
    refusal.to_document()
    return type(refusal).__name__


def check_reading(
    adapter: Adapter, source: Source, what: tuple[Files, Path, int], format_name: str, records: tuple[Record, ...]
) -> None:
    """Compare what was read with itself, its description, a naive count and, of some, its packed form."""
    files, folder, number = what
    assert format_name in adapter.formats
    check_records(records, sum(map(len, files.values())))
    if isinstance(adapter, HeaderAdapter):
        described = [item.to_document() for item in adapter.describe(source)[1]]
        assert described == [describe_record(record).to_document() for record in records], "it was described otherwise"
    count = COUNTS.get(adapter.name)
    expected = count(files, records) if count is not None and records else None
    assert expected is None or expected[0] == expected[1], f"{expected[0]} counted, {expected[1]} read"
    if number % PACKED_EVERY == 0 and records:
        try:
            pack(ReadResult(source.name, format_name, adapter.name, adapter.version, records), folder)
        except InstrumentError as error:
            raise AssertionError(f"it was read and cannot be packed: {error}") from error


def check_records(records: Sequence[Record], size: int) -> None:
    """Every record is consistent in itself, and not larger than its file can hold."""
    tables = {record.kind: record for record in records if isinstance(record, Table)}
    for record in records:
        assert all(isinstance(text, str) and text for text in record.warnings)
        if isinstance(record, Waveform):
            check_waveform(record, size)
        elif isinstance(record, Raster):
            array = record.samples.array()
            assert array.size == record.samples.count == len(record.bands) * record.rows * record.columns > 0
        elif isinstance(record, Table):
            check_table(record, tables)
        elif isinstance(record, DigitalTrace):
            assert record.ticks.size == len(record.values)
            assert (np.diff(record.ticks) >= 0).all()
        elif isinstance(record, PatternSet):
            assert record.bits.shape[1] == len(record.nets) > 0
            assert set(np.unique(record.bits)) <= {0, 1}
        elif isinstance(record, FailLog):
            assert len(record.cycles) == len(record.outputs)
        elif isinstance(record, Placement):
            assert len(record.nets) == len(record.x_um) == len(record.y_um)
            assert np.isfinite(record.x_um).all()
            assert np.isfinite(record.y_um).all()
        elif isinstance(record, ProbingSession):
            for waveforms in record.waveforms.values():
                check_records(waveforms, size)


def check_waveform(record: Waveform, size: int) -> None:
    array = record.samples.array()
    assert array.size == record.samples.count == sum(segment.count for segment in record.segments) > 0
    assert array.dtype == record.samples.dtype
    assert array.size <= 8 * size
    assert record.dt_s is None or (record.dt_s > 0 and math.isfinite(record.dt_s))
    assert record.unit
    assert math.isfinite(record.gain)
    assert record.gain != 0
    assert math.isfinite(record.offset)
    for segment in record.segments:
        for time in (segment.t0_s, segment.trigger_offset_s):
            assert time is None or math.isfinite(time)


def check_table(record: Table, tables: dict[str, Table]) -> None:
    """Columns are equally long, and an index points into the table that it names."""
    assert {len(values) for values in record.columns.values()} <= {record.row_count}
    assert set(record.columns) == set(record.units)
    for column, other in INDICES.items():
        if column in record.columns and record.row_count:
            rows = tables[other].row_count if other in tables else 0
            assert -1 <= int(np.min(record.columns[column])) <= int(np.max(record.columns[column])) < rows

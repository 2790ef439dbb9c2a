"""Packing: every segment's bytes, hash and range are those of the naive twin; what does not add up is refused."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from instruments.errors import CorruptField, CountMismatch
from instruments.packed_parts import LAYOUT
from instruments.packed_segments import SamplesFile, write_segments
from instruments.packing import MANIFEST, PARTS, SAMPLES, PackedReading, pack
from instruments.records import FailLog, ReadResult, Record, Samples, Segment, Waveform
from tests.naive.packed_segments import cut_segments

DTYPES = ("|i1", "|u1", "<i2", "<u2", "<i4", "<i8", "<f4", "<f8")


def in_blocks(samples: NDArray[Any], length: int) -> Samples:
    def blocks() -> Iterator[NDArray[Any]]:
        return (samples[start : start + length] for start in range(0, samples.size, length))

    return Samples(samples.dtype, samples.size, blocks)


def make(samples: NDArray[Any], counts: list[int], block: int = 1 << 20, **values: Any) -> Waveform:
    segments = tuple(Segment(count, None, index * 1e-6) for index, count in enumerate(counts))
    return Waveform("C1", in_blocks(samples, block), "V", 1e-9, segments, None, None, **values)


def result(*records: Record) -> ReadResult:
    return ReadResult("f", "format", "adapter", "1", records)


@st.composite
def waveforms(draw: st.DrawFn) -> Waveform:
    counts = draw(st.lists(st.integers(0, 9) | st.just(4), min_size=1, max_size=20))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    numbers = np.random.default_rng(draw(st.integers(0, 99)))
    if dtype.kind == "f":
        samples = numbers.choice([0.0, -1.5, 2.25, np.nan, np.inf, -np.inf], sum(counts)).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        samples = numbers.integers(limits.min, limits.max, sum(counts), dtype, endpoint=True)
    gain, offset = draw(st.sampled_from([1.0, -0.1, 3e-5])), draw(st.sampled_from([0.0, 0.7]))
    return make(samples, counts, draw(st.integers(1, 50)), gain=gain, offset=offset)


@given(waveforms())
def test_segments_are_those_of_the_naive_twin(waveform: Waveform) -> None:
    target = io.BytesIO()
    sink = SamplesFile(target)
    sink.write(b"before")
    parts = write_segments(waveform, sink)
    data, expected = cut_segments(waveform, 6)
    assert target.getvalue() == b"before" + data
    assert list(parts) == list(expected)
    assert [digest.decode() for digest in parts.digests().tolist()] == [part.sha256 for part in expected]
    assert sink.offset == len(target.getvalue())


@pytest.mark.parametrize(
    ("counts", "declared", "found"),
    [([4, 4], 8, 7), ([4, 4], 8, 9), ([4, 3], 8, 8), ([4, 5], 8, 8), ([4, 4], 7, 8), ([8, 0, 1], 8, 8)],
)
def test_samples_that_do_not_add_up_are_refused(counts: list[int], declared: int, found: int) -> None:
    waveform = make(np.zeros(found, "<i2"), counts, 3)
    waveform = replace(waveform, samples=replace(waveform.samples, count=declared))
    with pytest.raises(CountMismatch) as caught:
        write_segments(waveform, SamplesFile(io.BytesIO()))
    assert str(caught.value) == f"the samples of C1 are not what its header says (expected {declared}, found {found})"


def test_a_range_that_overflows_is_refused() -> None:
    with pytest.raises(CorruptField, match="the range of the values of a segment is no finite number"):
        write_segments(make(np.full(8, 1e300), [4, 4], gain=1e300), SamplesFile(io.BytesIO()))
    with pytest.raises(CorruptField, match="the scale makes values that are no finite numbers"):
        write_segments(make(np.full(8, 1e300), [4, 4], 3, gain=1e300), SamplesFile(io.BytesIO()))


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_time_that_is_no_number_is_refused(odd: float) -> None:
    waveform = make(np.zeros(8, "<i2"), [4, 4])
    waveform = replace(waveform, segments=(Segment(4, 0.0), Segment(4, odd)))
    with pytest.raises(CorruptField) as caught:
        write_segments(waveform, SamplesFile(io.BytesIO()))
    expected = f"the first time in C1 of segment 1 is no finite number (expected a finite number, found {odd})"
    assert str(caught.value) == expected


def test_a_reading_comes_back_as_it_was_packed(tmp_path: Path) -> None:
    fails = FailLog("fails", np.array([3, 5]), ("a", "b"))
    packed = pack(result(make(np.arange(10, dtype="<i2"), [4, 6]), fails), tmp_path)
    again = PackedReading.load(tmp_path)
    assert [list(record.parts) for record in again.records] == [list(record.parts) for record in packed.records]
    assert [(record.kind, record.fields, record.summary) for record in again.records] == [
        (record.kind, record.fields, record.summary) for record in packed.records
    ]
    second = again.records[0].parts[1]
    assert (second.segment_index, second.count, second.minimum, second.maximum) == (1, 6, 4.0, 9.0)
    assert (second.t0_s, second.trigger_offset_s) == (None, 1e-6)
    assert [part.byte_length for part in again.records[0].parts[::-1]] == [12, 8]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("byte_offset", -1, "a packed part lies outside the samples"),
        ("byte_offset", 20, "a packed part lies outside the samples"),
        ("byte_offset", 2**63 - 1, "a packed part lies outside the samples"),
        ("byte_length", 13, "a packed part lies outside the samples"),
        ("byte_length", -1, "a packed part lies outside the samples"),
        ("byte_length", 2**63 - 1, "a packed part lies outside the samples"),
        ("count", -1, "a packed part lies outside the samples"),
    ],
)
def test_parts_outside_the_samples_are_refused(tmp_path: Path, name: str, value: int, message: str) -> None:
    pack(result(make(np.arange(10, dtype="<i2"), [4, 6])), tmp_path)
    table = np.fromfile(tmp_path / PARTS, LAYOUT)
    table[name][1] = value
    table.tofile(tmp_path / PARTS)
    with pytest.raises(CountMismatch, match=message):
        PackedReading.load(tmp_path)


@pytest.mark.parametrize("change", [-1, 1])
def test_more_or_fewer_parts_than_the_records_say_are_refused(tmp_path: Path, change: int) -> None:
    pack(result(make(np.arange(10, dtype="<i2"), [4, 6])), tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    manifest["records"][0]["parts"][1] += change
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CountMismatch, match="parts than"):
        PackedReading.load(tmp_path)
    assert (tmp_path / SAMPLES).stat().st_size == 20

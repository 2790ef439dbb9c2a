"""What every adapter keeps, registered or invented: the same questions to each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from instruments.adapter import HEAD_BYTES, Confidence, Sniff, Source
from instruments.errors import InstrumentError
from instruments.packing import MANIFEST, PARTS, SAMPLES, pack, summarize
from instruments.records import ReadResult, Table, Waveform
from instruments.registry import read_source
from tests.adapter_contract.cases import CASES, EVERY_CASE, ROWS, WHOLE, Case, place_file, registry

REGISTRY = registry()
EVERY = pytest.mark.parametrize("case", EVERY_CASE.values(), ids=EVERY_CASE)
BLOCK_LIMIT_BYTES = 64 << 20


def read(source: Source, adapter: str | None = None) -> ReadResult:
    return read_source(source, REGISTRY, adapter)


def counts_of(result: ReadResult) -> list[tuple[str, int]]:
    return [(summary["kind"], summary["count"]) for summary in map(summarize, result.records)]


def test_every_adapter_has_a_case() -> None:
    assert set(CASES) == set(REGISTRY.adapters)


@EVERY
def test_a_valid_file_is_read_by_its_adapter_with_the_right_counts(case: Case, tmp_path: Path) -> None:
    result = read(case.place(tmp_path))
    assert result.adapter == case.adapter
    assert tuple(counts_of(result)) == case.counts
    adapter = REGISTRY.adapters[case.adapter]
    assert result.format in adapter.formats
    assert adapter.name == case.adapter == adapter.name.lower()
    assert result.adapter_version == adapter.version != ""


@EVERY
def test_nobody_else_is_certain_of_it(case: Case, tmp_path: Path) -> None:
    answers = {answer.adapter.name: answer.sniff for answer in REGISTRY.ask(case.place(tmp_path))}
    best = max(sniff.confidence for sniff in answers.values())
    assert answers[case.adapter].confidence is best
    assert [name for name, sniff in answers.items() if sniff.confidence is best] == [case.adapter]
    assert all(sniff.reason for sniff in answers.values())


@EVERY
def test_two_readings_are_the_same(case: Case, tmp_path: Path) -> None:
    source = case.place(tmp_path)
    for folder in ("first", "second"):
        pack(read(source), tmp_path / folder)
    for name in (MANIFEST, PARTS, SAMPLES):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


@EVERY
def test_blocks_are_the_whole_again_and_again(case: Case, tmp_path: Path) -> None:
    for waveform in waveforms(read(case.place(tmp_path))):
        first, second = list(waveform.samples.blocks()), list(waveform.samples.blocks())
        assert sum(block.size for block in first) == waveform.samples.count
        assert all(block.ndim == 1 and block.dtype == waveform.samples.dtype for block in first)
        assert all(block.nbytes <= BLOCK_LIMIT_BYTES for block in first)
        assert waveform.samples.dtype.newbyteorder("<") == waveform.samples.dtype
        np.testing.assert_array_equal(np.concatenate(first), np.concatenate(second))
        np.testing.assert_array_equal(np.concatenate(first), waveform.samples.array())


@EVERY
def test_what_a_waveform_says_of_itself_is_so(case: Case, tmp_path: Path) -> None:
    for waveform in waveforms(read(case.place(tmp_path))):
        assert waveform.unit.strip() == waveform.unit != ""
        assert waveform.name.strip()
        assert sum(segment.count for segment in waveform.segments) == waveform.samples.count > 0
        assert waveform.dt_s is None or waveform.dt_s > 0
        values = waveform.values()
        assert (waveform.minimum, waveform.maximum) == pytest.approx((values.min(), values.max()), rel=1e-12)


@EVERY
def test_units_metadata_and_warnings_can_be_stored(case: Case, tmp_path: Path) -> None:
    for record in read(case.place(tmp_path)).records:
        text = json.dumps(record.vendor_metadata, allow_nan=False)
        assert json.loads(text) == json.loads(json.dumps(json.loads(text)))
        assert all(isinstance(warning, str) and warning for warning in record.warnings)
        if isinstance(record, Table):
            assert set(record.units) == set(record.columns)


@EVERY
def test_a_missing_file_is_not_blamed_on_the_file(case: Case, tmp_path: Path) -> None:
    """Only the name, the size and the head are needed to sniff."""
    source = case.place(tmp_path)
    members = {path: tmp_path / "gone" / path for path in source.members}
    gone = Source(tmp_path / "gone", source.name, source.size_bytes, source.head, members)
    adapter = REGISTRY.adapters[case.adapter]
    assert adapter.sniff(gone) == adapter.sniff(source)
    assert adapter.sniff(source).confidence > Confidence.NO


@EVERY
def test_a_cut_is_refused_or_read_as_what_is_left(case: Case, tmp_path: Path) -> None:
    truth = read(case.place(tmp_path))
    for path, data in case.files.items():
        for length in cut_places(len(data)):
            source = case.place(tmp_path, {path: data[:length]})
            try:
                result = read(source, case.adapter)
            except InstrumentError as error:
                if str(error).startswith(case.name):
                    continue
                raise
            assert case.nature == ROWS or length >= len(data) - case.spare, (path, length)
            check_rest(result, truth, (path, length))
        case.place(tmp_path)


@EVERY
def test_more_bytes_than_declared_are_refused_or_said(case: Case, tmp_path: Path) -> None:
    if case.nature != WHOLE:
        return
    path = max(case.files, key=lambda key: len(case.files[key]))
    source = case.place(tmp_path, {path: case.files[path] + b"\x01more than there should be" * 9})
    try:
        result = read(source, case.adapter)
    except InstrumentError:
        return
    assert tuple(counts_of(result)) == case.counts
    assert case.found_by_offset or any("after" in warning for warning in result.warnings)


@EVERY
@pytest.mark.parametrize("data", [b"", b"\n", b"\x00" * 4096, b"\xff" * 4096, b"PK\x03\x04", b"time_s,v\n"], ids=repr)
def test_what_is_not_its_own_is_refused_whoever_asks(case: Case, data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InstrumentError) as caught:
        read(place_file(tmp_path, "other", data), case.adapter)
    assert str(caught.value).startswith("other: ")


@hypothesis_settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.binary(max_size=600), name=st.text(max_size=20))
def test_sniffing_never_raises_and_is_repeatable(data: bytes, name: str) -> None:
    check_sniffs(data, name)


@hypothesis_settings(max_examples=150, deadline=None, derandomize=True)
@given(
    case=st.sampled_from([case for case in EVERY_CASE.values() if "" in case.files]),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8),
    length=st.integers(0, 4000),
)
def test_sniffing_never_raises_on_damaged_files(case: Case, changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(case.files[""])
    for place, value in changes:
        data[place % len(data)] = value
    check_sniffs(bytes(data[: max(1, length)]), case.name)


def check_sniffs(data: bytes, name: str) -> None:
    source = Source(Path("nowhere"), name, len(data), data[:HEAD_BYTES], {})
    for adapter in REGISTRY.adapters.values():
        first = adapter.sniff(source)
        assert isinstance(first, Sniff)
        assert first.reason
        assert adapter.sniff(source) == first


def waveforms(result: ReadResult) -> Iterator[Waveform]:
    return (record for record in result.records if isinstance(record, Waveform))


def cut_places(length: int) -> list[int]:
    """Every byte of a short file; of a longer one some hundred, and each of the last."""
    if length <= 300:
        return list(range(length))
    return sorted({*np.linspace(0, length - 1, 120).astype(int).tolist(), *range(length - 20, length)})


def check_rest(result: ReadResult, truth: ReadResult, where: Any) -> None:
    """What was read is a beginning of the truth; only the last value may differ, and then it is said."""
    whole = {(type(record), record.name): record for record in truth.records}
    for record, (kind, count) in zip(result.records, counts_of(result), strict=True):
        original = whole.get((type(record), record.name))
        assert original is not None, (where, record.name)
        assert count <= summarize(original)["count"], (where, kind)
        if isinstance(record, Waveform) and isinstance(original, Waveform):
            found, expected = record.values(), original.values()[: record.samples.count]
            assert (found[:-1] == expected[:-1]).all(), where
            assert found[-1] == expected[-1] or any("may be cut" in text for text in record.warnings), where

"""Files that are read in blocks need memory for a block, not for the file."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from instruments.adapter import HEAD_BYTES, Source
from instruments.errors import ReadingLimit
from instruments.probing import delimited, delimited_text
from instruments.probing.oscilloscope import MAX_BYTES
from instruments.records import Waveform
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc
from tests.adapter_contract.cases import CASES, photometer, registry
from tests.instruments.probing import tdms_writer, writers

SAMPLES = 12_000_000
PEAK_BYTES = 14 << 20
REGISTRY = registry()


def ramp() -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    return (np.arange(SAMPLES, dtype=np.int64) % 30_011 - 15_000).astype(np.int16)


def write_lecroy(path: Path) -> None:
    write_lecroy_trc(path, ramp()[None], Scaling(0.5, 1.0, 1e-9, 0.0))


def write_container(path: Path) -> None:
    codes = ramp()[: SAMPLES // 2]
    path.write_bytes(writers.container([writers.container_waveform([(1, codes)])]))


BIG: dict[str, Callable[[Path], object]] = {
    "lecroy_trc": write_lecroy,
    "float_container": write_container,
    "tektronix_isf": lambda path: path.write_bytes(writers.isf(ramp())),
    "tektronix_wfm": lambda path: path.write_bytes(writers.tektronix_wfm(ramp())),
    "tdms": lambda path: path.write_bytes(tdms_writer.one_channel(ramp())),
    "photometer": lambda path: path.write_bytes(photometer(ramp())),
}


def source_of(path: Path) -> Source:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return Source(path, path.name, path.stat().st_size, head, {})


def peak_while_reading(source: Source, adapter: str) -> tuple[int, int, float]:
    """Peak bytes, samples and their sum, while a file is read and its samples are passed over once."""
    tracemalloc.start()
    try:
        count, total = 0, 0.0
        for record in REGISTRY.adapters[adapter].read(source)[1]:
            assert isinstance(record, Waveform)
            for block in record.samples.blocks():
                count += block.size
                total += float(block.sum(dtype=np.float64))
        return tracemalloc.get_traced_memory()[1], count, total
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("adapter", BIG)
def test_a_large_file_is_read_in_blocks(adapter: str, tmp_path: Path) -> None:
    path = tmp_path / "big"
    BIG[adapter](path)
    source = source_of(path)
    assert source.size_bytes > 20_000_000
    peak, count, total = peak_while_reading(source, adapter)
    expected = ramp()[: SAMPLES // 2] if adapter == "float_container" else ramp()
    assert (count, total) == (expected.size, float(expected.sum(dtype=np.float64)))
    assert peak < PEAK_BYTES, f"{peak:,} bytes for a file of {source.size_bytes:,}"


def test_a_longer_table_needs_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With small blocks, so that the test is quick."""
    monkeypatch.setattr(delimited_text, "BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr(delimited, "KEPT_BYTES", 1 << 14)
    path = tmp_path / "big.csv"
    peaks = {}
    for rows in (10_000, 40_000):
        path.write_text("time_s,a_V,b_V\n" + "".join(f"{i}e-9,{i % 977},-{i % 13}.5\n" for i in range(rows)))
        source = source_of(path)
        peaks[rows], count, total = peak_while_reading(source, "delimited")
        assert count == 2 * rows
        assert total == sum(i % 977 - i % 13 - 0.5 for i in range(rows))
    assert peaks[40_000] < 1.1 * peaks[10_000], peaks


def test_blocks_of_a_table_do_not_depend_on_where_they_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CASES["delimited"].files[""])
    (whole,) = REGISTRY.adapters["delimited"].read(source_of(path))[1]
    assert isinstance(whole, Waveform)
    monkeypatch.setattr(delimited, "KEPT_BYTES", 0)
    for size in (64, 100, 101, 333):
        monkeypatch.setattr(delimited_text, "BLOCK_BYTES", size)
        (record,) = REGISTRY.adapters["delimited"].read(source_of(path))[1]
        assert isinstance(record, Waveform)
        np.testing.assert_array_equal(record.values(), whole.values())
        assert (record.dt_s, record.t0_s, record.warnings) == (whole.dt_s, whole.t0_s, whole.warnings)


def test_readers_that_hold_a_file_in_memory_refuse_a_large_one(tmp_path: Path) -> None:
    path = tmp_path / "DS1.wfm"
    path.write_bytes(CASES["oscilloscope"].files[""])
    with path.open("r+b") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ReadingLimit) as caught:
        REGISTRY.adapters["oscilloscope"].read(source_of(path))
    assert str(caught.value) == (
        "DS1.wfm: the file is too large for such an instrument (expected 268435456, found 268435457)"
    )


def test_a_claimed_length_reserves_nothing(tmp_path: Path) -> None:
    """A header that claims a thousand million samples costs no memory."""
    data = bytearray(writers.container([writers.container_waveform([(1, np.zeros(4, np.float32))])]))
    struct.pack_into("<I", data, 12 + 12, 1_000_000_000)
    struct.pack_into("<I", data, 12 + 140 + 8, 4_000_000_000)
    path = tmp_path / "claim.bin"
    path.write_bytes(bytes(data))
    tracemalloc.start()
    try:
        with pytest.raises(Exception, match="the file ends inside its last buffer") as caught:
            REGISTRY.adapters["float_container"].read(source_of(path))
        assert type(caught.value).__name__ == "Truncated"
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()

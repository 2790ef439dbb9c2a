"""Rigol .wfm through RigolWFM, never on its word alone."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.adapter import Confidence
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    Truncated,
    UnsupportedVersion,
)
from instruments.probing import oscilloscope
from instruments.probing.oscilloscope import OscilloscopeAdapter
from tests.instruments.probing.sources import place, waveforms
from tests.instruments.probing.writers import ds1000e, ds1000z

ADAPTER = OscilloscopeAdapter()
CODES = (np.arange(4 * 100) % 190 + 30).reshape(4, 100).astype(np.uint8)


@pytest.mark.parametrize("channels", [(1,), (2,), (1, 2), (1, 4), (1, 2, 3, 4)])
def test_a_ds1000z_gives_native_codes(tmp_path: Path, channels: tuple[int, ...]) -> None:
    codes = CODES[: len(channels)]
    records = waveforms(ADAPTER, place(tmp_path, "a.wfm", ds1000z(codes, channels)))
    assert [record.name for record in records] == [f"CH{channel}" for channel in channels]
    for record, row in zip(records, codes, strict=True):
        assert (record.samples.dtype.str, record.samples.count, record.unit) == ("|u1", 100, "V")
        assert (record.dt_s, record.t0_s) == (pytest.approx(4e-9), pytest.approx(-2e-7))
        np.testing.assert_array_equal(record.samples.array(), row)


def test_a_ds1000e_with_a_probe_may_be_its_twin(tmp_path: Path) -> None:
    first, second = waveforms(ADAPTER, place(tmp_path, "a.wfm", ds1000e(CODES[:2])))
    (probed,) = waveforms(ADAPTER, place(tmp_path, "b.wfm", ds1000e(CODES[:1], probe=10)))
    np.testing.assert_array_equal(second.samples.array(), CODES[1])
    assert (first.dt_s, first.t0_s) == (pytest.approx(1e-5), pytest.approx(-5e-4))
    assert first.warnings == second.warnings == ()
    assert probed.warnings == ("read as of a DS1000E; if it is of a DS1000D, the values are 10 times too large",)
    assert probed.gain == pytest.approx(10 * first.gain)


@pytest.mark.parametrize(
    ("offset", "layout", "value", "kind", "message"),
    [
        (116, "I", 199, CorruptField, "the memory depth is not right at byte 116"),
        (116, "I", 100, CountMismatch, "the file is longer than its samples at byte 3313 (expected 3313, found 3413)"),
        (116, "I", 202, Truncated, "the file ends before its samples do at byte 3413 (expected 3415, found 3413)"),
        (108, "I", 1, UnsupportedVersion, "the file holds logic levels, which are not read"),
        (115, "B", 1, UnsupportedVersion, "the time base is not Y-T; this is no waveform over time at byte 115"),
        (112, "B", 1, UnsupportedVersion, "peak-detect captures are not read: whether they hold pairs is not known"),
        (120, "f", 0.0, CorruptField, "the sampling rate is not right at byte 120"),
        (84, "H", 1, CorruptField, "the reader RigolWFM refuses the file: ValidationNotEqualError"),
    ],
)
def test_a_wrong_ds1000z_is_refused(
    tmp_path: Path, offset: int, layout: str, value: Any, kind: type[InstrumentError], message: str
) -> None:
    data = bytearray(ds1000z(CODES[:2]))
    struct.pack_into("<" + layout, data, offset, value)
    with pytest.raises(kind) as caught:
        ADAPTER.read(place(tmp_path, "a.wfm", bytes(data)))
    assert str(caught.value).startswith(f"a.wfm: {message}")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (20, 5, "the file was stopped in roll mode, which is not read"),
        (142, 4, "the file has an alternating trigger, which is not read"),
        (120, 1, "the file holds logic levels, which is not read"),
        (49, 0, "the file holds no channel, which is not read"),
    ],
)
def test_a_ds1000e_of_another_kind_is_refused(tmp_path: Path, offset: int, value: int, message: str) -> None:
    data = bytearray(ds1000e(CODES[:1]))
    data[offset] = value
    with pytest.raises(UnsupportedVersion) as caught:
        ADAPTER.read(place(tmp_path, "a.wfm", bytes(data)))
    assert str(caught.value) == f"a.wfm: {message}"


class Liar:
    """A reader's channel with one thing wrong."""

    def __init__(self, channel: Any, **wrong: Any) -> None:
        self._channel, self._wrong = channel, wrong

    def __getattr__(self, name: str) -> Any:
        return self._wrong[name] if name in self._wrong else getattr(self._channel, name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channel_number": 3}, "the reader and the header disagree about the channels (expected (1,), found (3,))"),
        ({"volts": np.zeros(50)}, "the reader and the file's length disagree about the samples of a channel"),
        ({"seconds_per_point": 2e-5}, "the reader and the header disagree about the sampling interval"),
        ({"times": np.zeros(100)}, "the reader and the header disagree about the first time"),
        ({"volts": np.zeros(100)}, "the reader's values are not a gain and an offset of its codes"),
    ],
)
def test_a_reader_that_is_wrong_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], message: str
) -> None:
    parse = oscilloscope._parse
    monkeypatch.setattr(oscilloscope, "_parse", lambda *args: [Liar(channel, **wrong) for channel in parse(*args)])
    with pytest.raises(CountMismatch) as caught:
        ADAPTER.read(place(tmp_path, "a.wfm", ds1000e(CODES[:1])))
    assert str(caught.value).startswith(f"a.wfm: {message}")


@pytest.mark.parametrize("magic", [b"\xa5\xa5\xa4\x01", b"\xa1\xa5\x00\x00", b"\xa5\xa5\x38\x00", b"RG03"])
def test_families_without_a_second_count_are_refused(tmp_path: Path, magic: bytes) -> None:
    source = place(tmp_path, "a.wfm", magic + bytes(5000))
    assert ADAPTER.sniff(source).confidence is Confidence.LIKELY
    with pytest.raises(UnsupportedVersion, match="are not read: there is no second count for them yet"):
        ADAPTER.read(source)

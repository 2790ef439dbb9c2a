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
from tests.instruments.probing.sources import place, source_of, waveforms
from tests.instruments.probing.writers import ds1000b, ds1000c, ds1000e, ds1000z

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


@pytest.mark.parametrize("channels", [1, 2])
def test_a_ds1000c(tmp_path: Path, channels: int) -> None:
    records = waveforms(ADAPTER, place(tmp_path, "a.wfm", ds1000c(CODES[:channels])))
    assert [record.name for record in records] == ["CH1", "CH2"][:channels]
    for record, row in zip(records, CODES, strict=False):
        np.testing.assert_array_equal(record.samples.array(), row)
        assert (record.gain, record.offset) == (pytest.approx(-0.04), pytest.approx(5.0))
        assert (record.dt_s, record.t0_s) == (pytest.approx(1e-5), pytest.approx(-5e-4))
        assert record.warnings == ()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_ds1000b(tmp_path: Path, channels: int) -> None:
    data = ds1000b(CODES[:channels], range(1, channels + 1))
    records = waveforms(ADAPTER, place(tmp_path, "a.wfm", data))
    assert [record.name for record in records] == [f"CH{number + 1}" for number in range(channels)]
    for record, row in zip(records, CODES, strict=False):
        np.testing.assert_array_equal(record.samples.array(), row)
        assert (record.gain, record.offset) == (pytest.approx(-0.04), pytest.approx(0.04 * 127 - 1 - 1.12))
        assert (record.dt_s, record.t0_s) == (pytest.approx(1e-5), pytest.approx(2e-6 - 5e-4))


def test_a_probe_of_an_older_family_is_doubtful(tmp_path: Path) -> None:
    (record,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", ds1000c(CODES[:1], probe=10)))
    assert record.warnings == (
        "no published source says whether the scale of a DS1000C already has the probe's factor; it is applied",
    )


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (
            ds1000c(CODES[:1])[:-1],
            Truncated,
            "the file ends before its samples do at byte 355 (expected 356, found 355)",
        ),
        (
            ds1000c(CODES[:1]) + b"!",
            CountMismatch,
            "the file is longer than its samples at byte 356 (expected 356, found 357)",
        ),
        (ds1000c(CODES[:0]), UnsupportedVersion, "the file holds no channel, which is not read"),
        (
            ds1000c(CODES[:2], padded=True),
            UnsupportedVersion,
            "the file is either of a DS1000C or a cut one of a DS1000E, and does not say which; save .csv "
            "(expected 476, found 472)",
        ),
        (ds1000c(CODES[:2])[:200], Truncated, "the file ends inside its header at byte 0 (expected 256, found 200)"),
        (
            ds1000b(CODES[:2])[:-1],
            Truncated,
            "the file ends before its samples do at byte 619 (expected 620, found 619)",
        ),
        (
            ds1000b(CODES[:2], (1, 3)),
            UnsupportedVersion,
            "the channels are not the first ones; where the others lie in the file is not known (found (1, 3))",
        ),
        (ds1000b(CODES[:0], ()), UnsupportedVersion, "the file holds no channel, which is not read"),
        (
            b"\xa5\xa5\x38\x00DS2D1234" + bytes(5000),
            UnsupportedVersion,
            "Rigol DS2000 waveforms are not read: its files store unit, inversion and trigger position in two ways "
            "and do not say which; save .csv",
        ),
        (
            b"\xa5\xa5\x38\x00MSO4012" + bytes(5000),
            UnsupportedVersion,
            "Rigol DS4000 waveforms are not read: no field of a DS4000 file says how long it is, so that nothing "
            "proves what is read; save .csv",
        ),
        (
            b"\xa5\xa5\x38\x00DS6104" + bytes(5000),
            UnsupportedVersion,
            "Rigol DS6000 waveforms are not read: no reader has been tried on a file of a real DS6000, so that "
            "nothing proves what is read; save .csv",
        ),
        (
            b"\x02\x00\x00\x00" + bytes(5000),
            UnsupportedVersion,
            "Rigol DHO waveforms are not read: the place of the samples and of the trigger in a DHO .wfm file is not "
            "published; save .bin",
        ),
    ],
)
def test_every_word_of_a_refusal(tmp_path: Path, data: bytes, kind: type[InstrumentError], message: str) -> None:
    source = place(tmp_path, "a.wfm", data)
    assert ADAPTER.sniff(source).confidence >= Confidence.LIKELY
    with pytest.raises(kind) as caught:
        ADAPTER.read(source)
    assert str(caught.value) == f"a.wfm: {message}"


@pytest.mark.shared_data
def test_real_files_are_read(shared_data: Path) -> None:
    from RigolWFM.wfm import Wfm

    for name, model in (("DS1054Z-A.wfm", "Z"), ("DS1102D-A.wfm", "E")):
        path = shared_data / "formats" / "rigol_wfm" / name
        channels = Wfm.from_file(str(path), model).channels
        for record, channel in zip(waveforms(ADAPTER, source_of(path)), channels, strict=True):
            np.testing.assert_allclose(record.values(), channel.volts, rtol=0, atol=1e-6 * abs(record.gain))

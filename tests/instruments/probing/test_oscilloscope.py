"""Rigol .wfm through RigolWFM, and Rohde & Schwarz pairs: never on the reader's word alone."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.adapter import Confidence, Source
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    NotThisFormat,
    Truncated,
    UnsupportedVersion,
)
from instruments.probing import oscilloscope
from instruments.probing.oscilloscope import OscilloscopeAdapter
from instruments.probing.rohde_schwarz_pair import RohdeSchwarzPairAdapter
from tests.instruments.probing.sources import place, waveforms
from tests.instruments.probing.writers import ds1000e, ds1000z, rohde_schwarz

ADAPTER = OscilloscopeAdapter()
PAIRS = RohdeSchwarzPairAdapter()
CODES = (np.arange(4 * 100) % 190 + 30).reshape(4, 100).astype(np.uint8)
VALUES = np.linspace(-1, 1, 64).astype(np.float32)


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


def pair(folder: Path, settings: bytes, payload: bytes, **more: bytes) -> Source:
    files = {"cap/a.bin": settings, "cap/a.Wfm.bin": payload} | more
    members = {}
    for index, (path, data) in enumerate(files.items()):
        members[path] = folder / f"staged-{index}"
        members[path].write_bytes(data)
    return Source(folder, "cap", sum(map(len, files.values())), b"", members)


def test_a_pair_is_read_whatever_its_files_are_called_on_disk(tmp_path: Path) -> None:
    source = pair(tmp_path, *rohde_schwarz(VALUES), notes=b"x")
    assert PAIRS.sniff(source).confidence is Confidence.CERTAIN
    (waveform,) = waveforms(PAIRS, source)
    assert (waveform.name, waveform.unit, waveform.dt_s, waveform.t0_s) == ("CH2", "V", 1e-9, -1e-6)
    np.testing.assert_array_equal(waveform.samples.array(), VALUES)
    assert waveform.warnings == ("1 other files were not read: notes",)
    session = pair(tmp_path, *rohde_schwarz(VALUES), **{"session.json": b"{}"})
    assert PAIRS.sniff(session).confidence is Confidence.NO


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"RecordLength": "60"}, CorruptField, "the settings contradict one another about the time axis"),
        ({"SignalHardwareRecordLength": "67"}, Truncated, "the samples' file is not as long as the settings say"),
        (
            {"SignalHardwareRecordLength": "60"},
            CorruptField,
            "the record lengths are not right (expected 60, found 66)",
        ),
        ({"NumberOfAcquisitions": "4"}, UnsupportedVersion, "histories are not read (expected 1, found 4)"),
        ({"TraceType": "eRS_TRACE_TYPE_ENVELOPE"}, UnsupportedVersion, "the trace is no normal or averaged waveform"),
        ({"SignalFormat": "eRS_SIGNAL_FORMAT_RAW"}, UnsupportedVersion, "the signal format is not supported"),
        ({"HardwareXStart": "0"}, CorruptField, "the settings contradict one another about the time axis"),
        ({"XStart": "nan"}, CorruptField, "XStart is no number (expected None, found nan)"),
    ],
)
def test_a_wrong_pair_is_refused(
    tmp_path: Path, changes: dict[str, str], kind: type[InstrumentError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        PAIRS.read(pair(tmp_path, *rohde_schwarz(VALUES, **changes)))
    assert str(caught.value).startswith(f"cap: {message}")


def test_half_a_pair_says_what_is_missing(tmp_path: Path) -> None:
    settings, payload = rohde_schwarz(VALUES)
    with pytest.raises(CorruptField) as caught:
        PAIRS.read(place(tmp_path, "a.bin", settings.replace(b"<?xml", b"<?xml", 1)))
    message = "these are settings without samples; upload them in one bundle (expected a.Wfm.bin, found one file)"
    assert str(caught.value) == f"a.bin: {message}"
    with pytest.raises(CorruptField) as other:
        PAIRS.read(place(tmp_path, "a.Wfm.bin", payload))
    message = "these are samples without their settings; upload them in one bundle (expected a.bin, found one file)"
    assert str(other.value) == f"a.Wfm.bin: {message}"
    with pytest.raises(NotThisFormat):
        PAIRS.read(place(tmp_path, "a.dat", payload))


def test_entities_in_the_settings_are_refused(tmp_path: Path) -> None:
    settings, payload = rohde_schwarz(VALUES)
    bomb = settings.replace(b"<Database", b'<!DOCTYPE a [<!ENTITY b "bbbb">]><Database', 1)
    with pytest.raises(CorruptField, match="the settings declare entities"):
        PAIRS.read(pair(tmp_path, bomb, payload))
    with pytest.raises(CorruptField, match="the XML is damaged"):
        PAIRS.read(pair(tmp_path, settings[:-5], payload))
    hidden = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "bbbb">]><Database>&b;</Database>'
    with pytest.raises(CorruptField, match="the XML has a document type or entities"):
        PAIRS.read(pair(tmp_path, hidden.encode("utf-16"), payload))

"""Rohde & Schwarz pairs: one capture, histories, several channels, envelopes, raw codes, times, and what is refused."""

import shutil
import struct
from pathlib import Path

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
from instruments.probing import rohde_schwarz_pair
from instruments.probing.rohde_schwarz_pair import RohdeSchwarzPairAdapter
from tests.instruments.probing.sources import place, waveforms
from tests.instruments.probing.writers import rohde_schwarz

PAIRS = RohdeSchwarzPairAdapter()
VALUES = np.linspace(-1, 1, 64).astype(np.float32)
HISTORY = np.linspace(-3, 3, 4 * 50).astype(np.float32).reshape(4, 50)
STAMPS = (-0.75, -0.5, -0.125, 0.0)
RAW = {"VerticalOffset": "0.05", "VerticalPosition": "1", "NofQuantisationLevels": "253", "VerticalDivisionCount": "10"}


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
        (
            {"NumberOfAcquisitions": "4"},
            Truncated,
            "the samples' file is not as long as the settings say (expected 1064, found 272)",
        ),
        (
            {"TimestampState": "eRS_ONOFF_ON"},
            Truncated,
            "the samples' file is not as long as the settings say (expected 280, found 272)",
        ),
        (
            {"NumberOfAcquisitions": "0"},
            CorruptField,
            "the number of acquisitions is not right (expected 1 to 1000000, found 0)",
        ),
        (
            {"TraceType": "eRS_TRACE_TYPE_SPECTRUM"},
            UnsupportedVersion,
            "the trace is no normal, averaged or envelope waveform "
            "(expected NORMAL, AVERAGE or ENVELOPE, found SPECTRUM)",
        ),
        (
            {"TraceType": "eRS_TRACE_TYPE_ENVELOPE", "InterleavedTraceCount": "1"},
            CountMismatch,
            "the values of each sample are neither one nor, in an envelope, two (expected 1 or 2, found 1)",
        ),
        (
            {"InterleavedTraceCount": "3"},
            CountMismatch,
            "the values of each sample are neither one nor, in an envelope, two (expected 1 or 2, found 3)",
        ),
        (
            {"SourceType": "eRS_SIGNAL_SOURCE_TYPE_DIGITAL"},
            UnsupportedVersion,
            "logic lines and buses are not read: the maker's own two readers take the bits in opposite order; "
            "export them as .csv with interleaved x/y (found DIGITAL)",
        ),
        (
            {"SignalFormat": "eRS_SIGNAL_FORMAT_RAW"},
            UnsupportedVersion,
            "the signal format is not supported (found RAW)",
        ),
        ({"HardwareXStart": "0"}, CorruptField, "the settings contradict one another about the time axis"),
        ({"XStart": "nan"}, CorruptField, "XStart is no number (found nan)"),
        ({"RecordLength": "6.5"}, CorruptField, "RecordLength is no count (found 6.5)"),
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


def test_a_history_is_segments_with_their_own_stamps(tmp_path: Path) -> None:
    source = pair(tmp_path, *rohde_schwarz(HISTORY, stamps=STAMPS))
    (waveform,) = waveforms(PAIRS, source)
    assert [(segment.count, segment.t0_s) for segment in waveform.segments] == [(50, -1e-6)] * 4
    assert [segment.trigger_offset_s for segment in waveform.segments] == [0.0, 0.25, 0.625, 0.75]
    np.testing.assert_array_equal(waveform.samples.array(), HISTORY.ravel())
    assert (waveform.minimum, waveform.maximum, waveform.warnings) == (-3.0, 3.0, ())
    (described,) = PAIRS.describe(source)[1]
    assert (described.segments, described.count) == (4, 200)


@pytest.mark.parametrize("block_bytes", [64, 500, 1 << 22])
@pytest.mark.parametrize("times", [False, True])
def test_a_history_is_the_same_in_blocks_of_any_length(
    tmp_path: Path, block_bytes: int, times: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rohde_schwarz_pair, "BLOCK_BYTES", block_bytes)
    source = pair(tmp_path, *rohde_schwarz(HISTORY, stamps=STAMPS, times=times))
    (waveform,) = waveforms(PAIRS, source)
    blocks = list(waveform.samples.blocks())
    assert all(block.nbytes <= block_bytes for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), HISTORY.ravel())


def test_a_history_without_stamps_or_with_stamps_that_go_back_says_so(tmp_path: Path) -> None:
    (waveform,) = waveforms(PAIRS, pair(tmp_path, *rohde_schwarz(HISTORY)))
    assert [segment.trigger_offset_s for segment in waveform.segments] == [None] * 4
    assert waveform.warnings == ("the acquisitions have no time stamps; when they were triggered is not known",)
    (waveform,) = waveforms(PAIRS, pair(tmp_path, *rohde_schwarz(HISTORY, stamps=STAMPS[::-1])))
    assert [segment.trigger_offset_s for segment in waveform.segments] == [None] * 4
    warning = "the acquisitions' time stamps do not increase; when they were triggered is not known"
    assert waveform.warnings == (warning,)


CHANNELS = {
    0: {"Source": "eRS_SIGNAL_SOURCE_CH1_TR1", "InterleavedTraceCount": "1"},
    2: {"Source": "eRS_SIGNAL_SOURCE_CH3_TR1", "InterleavedTraceCount": "2", "ViewUnit": "eRS_UNIT_A"},
}


@pytest.mark.parametrize("times", [False, True])
def test_the_channels_of_a_history_alternate_and_one_may_be_an_envelope(tmp_path: Path, times: bool) -> None:
    values = np.sort(np.random.default_rng(3).normal(size=(4, 50, 3)).astype(np.float32), axis=2)
    source = pair(tmp_path, *rohde_schwarz(values, stamps=STAMPS, times=times, channels=CHANNELS))
    records = waveforms(PAIRS, source)
    assert [(record.name, record.kind, record.unit) for record in records] == [
        ("CH1", "waveform", "V"),
        ("CH3", "envelope_min", "A"),
        ("CH3", "envelope_max", "A"),
    ]
    for column, record in enumerate(records):
        np.testing.assert_array_equal(record.samples.array(), values[..., column].ravel())
        assert [segment.t0_s for segment in record.segments] == pytest.approx([-1e-6] * 4, rel=1e-12)
        assert [segment.trigger_offset_s for segment in record.segments] == [0.0, 0.25, 0.625, 0.75]


def test_an_envelope_is_two_waveforms(tmp_path: Path) -> None:
    values = np.stack([VALUES - 1, VALUES + 1], axis=-1)[None]
    changes = {"TraceType": "eRS_TRACE_TYPE_ENVELOPE"}
    low, high = waveforms(PAIRS, pair(tmp_path, *rohde_schwarz(values, **changes)))
    assert (low.kind, high.kind) == ("envelope_min", "envelope_max")
    np.testing.assert_array_equal(low.samples.array(), VALUES - 1)
    np.testing.assert_array_equal(high.samples.array(), VALUES + 1)
    with pytest.raises(CountMismatch) as caught:
        PAIRS.read(pair(tmp_path, *rohde_schwarz(values[..., ::-1], **changes)))
    message = "the minimum of an envelope is above its maximum (expected minimum, maximum, found sample 0)"
    assert str(caught.value) == f"cap: {message}"


@pytest.mark.parametrize(
    ("dtype", "code", "changes", "volts"),
    [
        ("i1", 13, {"VerticalScale": "0.11"}, -0.003478260869559),
        (
            "i2",
            -61,
            {
                "VerticalScale": "0.05",
                "VerticalOffset": "0",
                "VerticalPosition": "0",
                "NofQuantisationLevels": str(253 * 256),
            },
            -4.7091146e-4,
        ),
    ],
)
def test_raw_codes_are_scaled_as_in_the_manual(
    tmp_path: Path, dtype: str, code: int, changes: dict[str, str], volts: float
) -> None:
    """RTO6 manual, table 12-2, whose second example prints ten times what its own formula gives."""
    values, changes = np.full(10, code, dtype), RAW | changes
    (waveform,) = waveforms(PAIRS, pair(tmp_path, *rohde_schwarz(values, **changes)))
    assert waveform.samples.dtype == np.dtype(f"<{dtype}")
    assert waveform.minimum == waveform.maximum == pytest.approx(volts, rel=1e-6)
    channel = {"Source": "eRS_SIGNAL_SOURCE_CH4_TR1"} | {
        key: changes[key] for key in ("VerticalScale", "VerticalOffset", "VerticalPosition")
    }
    (other,) = waveforms(PAIRS, pair(tmp_path, *rohde_schwarz(values, channels={3: channel}, **changes)))
    assert (other.name, other.gain, other.offset) == ("CH4", waveform.gain, waveform.offset)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"NofQuantisationLevels": "0"}, CorruptField, "the vertical scale is not right (found 0.4 x "),
        (
            {"ByteOrder": "eRS_BYTE_ORDER_MSB_FIRST"},
            UnsupportedVersion,
            "16-bit codes with the most significant byte first are not read: the manual and the readers disagree "
            "(expected LSB_FIRST, found eRS_BYTE_ORDER_MSB_FIRST)",
        ),
        ({"XUnit": "Hz"}, UnsupportedVersion, "the horizontal unit is not the second; this is no waveform over time"),
    ],
)
def test_raw_codes_that_are_not_sure_are_refused(
    tmp_path: Path, changes: dict[str, str], kind: type[InstrumentError], message: str
) -> None:
    settings, payload = rohde_schwarz(np.arange(50, dtype=np.int16), **(RAW | changes))
    if "XUnit" in changes:
        settings = settings.replace(b'"XStart" ', b'"XStart" UnitName="Hz" ')
    with pytest.raises(kind) as caught:
        PAIRS.read(pair(tmp_path, settings, payload))
    assert str(caught.value).startswith(f"cap: {message}")


def test_the_time_of_every_sample_is_compared(tmp_path: Path) -> None:
    settings, payload = rohde_schwarz(HISTORY, times=True)
    (waveform,) = waveforms(PAIRS, pair(tmp_path, settings, payload))
    np.testing.assert_array_equal(waveform.samples.array(), HISTORY.ravel())
    row = 8 + (52 + 2 + 7) * 12
    data = bytearray(payload)
    struct.pack_into("<d", data, row, -1e-6 + 7.2e-9)
    with pytest.raises(CountMismatch) as caught:
        PAIRS.read(pair(tmp_path, settings, bytes(data)))
    message = f"the time of sample 7 is not that of the settings (expected {-1e-6 + 7e-9}, found {-1e-6 + 7.2e-9})"
    assert str(caught.value) == f"cap: {message}"
    data = bytearray(payload)
    for sample in range(52):
        struct.pack_into("<d", data, 8 + sample * 12, 1e-9 * sample)
    with pytest.raises(CountMismatch, match="the time of sample 0 is not that of the settings"):
        PAIRS.read(pair(tmp_path, settings, bytes(data)))


def test_no_channel_or_no_name_is_refused(tmp_path: Path) -> None:
    settings, payload = rohde_schwarz(VALUES, MultiChannelExport="eRS_ONOFF_ON")
    with pytest.raises(CorruptField) as caught:
        PAIRS.read(pair(tmp_path, settings, payload))
    assert str(caught.value) == "cap: no channel is exported"
    with pytest.raises(CorruptField) as other:
        PAIRS.read(pair(tmp_path, settings.replace(b'"Source"', b'"Sauce"').replace(b"_ON", b"_OFF"), payload))
    assert str(other.value) == "cap: the settings have no Source"


@pytest.mark.shared_data
def test_the_reader_of_another_hand_and_the_instruments_csv_agree(shared_data: Path, tmp_path: Path) -> None:
    from RigolWFM.wfm import Wfm

    folder = shared_data / "formats"
    names = ("rs_rtp_01.bin", "rs_rtp_01.Wfm.bin")
    members = {name: Path(shutil.copy(folder / "rs_bin" / name, tmp_path / name)) for name in names}
    (waveform,) = waveforms(PAIRS, Source(tmp_path, "rtp", 1, b"", members))
    (channel,) = Wfm.from_file(str(members["rs_rtp_01.bin"])).channels
    np.testing.assert_array_equal(waveform.samples.array(), channel.volts)
    assert (waveform.t0_s, waveform.dt_s) == (pytest.approx(channel.times[0]), channel.seconds_per_point)
    printed = np.loadtxt(folder / "rs_csv" / "rs_rtp_01.Wfm.csv")
    np.testing.assert_allclose(waveform.values(), printed, rtol=0, atol=1e-7)

"""Tektronix .wfm: three versions, two byte orders, checksum, notes, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.errors import CorruptField, CountMismatch, InstrumentError, Truncated, UnsupportedVersion
from instruments.probing import tektronix_wfm as tektronix_wfm_module
from instruments.probing.tektronix_wfm import TektronixWfmAdapter
from tests.instruments.probing.sources import place, source_of, waveforms
from tests.instruments.probing.writers import tektronix_wfm

ADAPTER = TektronixWfmAdapter()
CODES = np.arange(-50, 50, dtype=np.int16)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_versions_and_byte_orders_give_the_same(tmp_path: Path, version: int, order: str) -> None:
    data = tektronix_wfm(CODES, order=order, version=version)
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", data))
    assert (waveform.name, waveform.unit, waveform.samples.dtype.str) == ("Ref1", "V", "<i2")
    assert (waveform.dt_s, waveform.gain, waveform.offset) == (1e-9, 0.5, 2.0)
    assert waveform.t0_s == -5e-8
    np.testing.assert_array_equal(waveform.samples.array(), CODES)
    assert waveform.vendor_metadata["notes"] == {"yOffset": 0.25, "label": "Ch 1", "clipped": 1}
    assert waveform.vendor_metadata["frames"] == [{"utc_s": 0, "fraction_s": 0.0, "trigger_part_samples": 0.25}]
    assert waveform.warnings == (
        "the first times leave out the trigger's part of a sample, 0.25 to 0.25 of an interval, which the instrument "
        "adds in its CSV files",
    )


@pytest.mark.parametrize(("code", "dtype"), [(1, "i4"), (4, "f4"), (5, "f8"), (6, "u1"), (7, "i1")])
def test_sample_formats(tmp_path: Path, code: int, dtype: str) -> None:
    codes = np.arange(100).astype(dtype)
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", tektronix_wfm(codes, code=code)))
    np.testing.assert_array_equal(waveform.samples.array(), codes)


def test_parallel_lines_are_words(tmp_path: Path) -> None:
    codes = np.arange(100, dtype=np.uint8)
    data = tektronix_wfm(codes, code=7, data_type=6, notes=(("d0", ""), ("d3", "")))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", data))
    assert (waveform.kind, waveform.unit, waveform.gain, waveform.offset) == ("digital_lines", "logic level", 1, 0)
    assert waveform.vendor_metadata["lines"] == {"d0": 0, "d3": 3}
    np.testing.assert_array_equal(waveform.samples.array(), codes)


FRAMES = np.arange(-60, 60, dtype=np.int16).reshape(4, 30)
STAMPS = (
    (0.25, 0.999999, 1_700_000_000),
    (0.5, 0.000001, 1_700_000_001),
    (0.0, 0.25, 1_700_000_001),
    (0.75, 0.5, 1_700_000_003),
)


def fast_frame(**changes: Any) -> bytes:
    return tektronix_wfm(changes.pop("codes", FRAMES), stamps=changes.pop("stamps", STAMPS), **changes)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_frames_are_segments_with_their_own_triggers(tmp_path: Path, version: int, order: str) -> None:
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", fast_frame(version=version, order=order)))
    assert [segment.count for segment in waveform.segments] == [30] * 4
    assert [segment.t0_s for segment in waveform.segments] == [-5e-8] * 4
    triggers = [segment.trigger_offset_s for segment in waveform.segments]
    assert triggers == pytest.approx([0.0, 2e-6, 0.250001, 2.500001], abs=1e-12)
    np.testing.assert_array_equal(waveform.samples.array(), FRAMES.ravel())
    assert waveform.vendor_metadata["frames"][3] == {
        "utc_s": 1_700_000_003,
        "fraction_s": 0.5,
        "trigger_part_samples": 0.75,
    }
    assert (waveform.minimum, waveform.maximum) == (-28.0, 31.5)
    assert ["0 to 0.75 of an interval" in warning for warning in waveform.warnings] == [True]


@pytest.mark.parametrize("block_bytes", [64, 200, 1 << 22])
def test_frames_are_the_same_in_blocks_of_any_length(
    tmp_path: Path, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tektronix_wfm_module, "BLOCK_BYTES", block_bytes)
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", fast_frame()))
    blocks = list(waveform.samples.blocks())
    assert all(block.nbytes <= block_bytes for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), FRAMES.ravel())


def test_a_set_of_one_frame_and_counts_by_another_program(tmp_path: Path) -> None:
    one = tektronix_wfm(CODES, patches=((78, "i", 1), (150, "I", 1)))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", one))
    assert [segment.trigger_offset_s for segment in waveform.segments] == [0.0]
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "b.wfm", fast_frame(patches=((142, "I", 4), (150, "I", 0)))))
    assert len(waveform.segments) == 4


def test_frames_of_lines(tmp_path: Path) -> None:
    codes = np.arange(120, dtype=np.uint8).reshape(4, 30)
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", fast_frame(codes=codes, code=6, data_type=6)))
    assert (waveform.kind, len(waveform.segments)) == ("digital_lines", 4)
    np.testing.assert_array_equal(waveform.samples.array(), codes.ravel())


def test_the_average_of_the_frames_is_a_record_of_its_own(tmp_path: Path) -> None:
    for acquired in (3, 4):
        data = fast_frame(patches=((154, "H", 1), (150, "I", acquired)))
        frames, average = waveforms(ADAPTER, place(tmp_path, "a.wfm", data))
        assert (frames.name, average.name) == ("Ref1", "Ref1 average")
        assert (len(frames.segments), frames.averages, len(average.segments), average.averages) == (3, None, 1, 3)
        np.testing.assert_array_equal(frames.samples.array(), FRAMES[:3].ravel())
        np.testing.assert_array_equal(average.samples.array(), FRAMES[3])
        assert (frames.maximum, average.minimum) == (16.5, 17.0)


def test_an_envelope_of_the_frames_is_left_out_and_the_frames_are_read(tmp_path: Path) -> None:
    data = fast_frame(patches=((154, "H", 2), (150, "I", 3)))
    (frames,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", data))
    assert (frames.name, len(frames.segments), frames.averages) == ("Ref1", 3, None)
    np.testing.assert_array_equal(frames.samples.array(), FRAMES[:3].ravel())
    message = "the last frame, an envelope of the others, is not read: how it stores minima and maxima is unpublished"
    assert message in frames.warnings


def test_what_is_doubtful_of_trigger_times_is_said(tmp_path: Path) -> None:
    stamps = [(0.0, 0.0, 0), (0.0, 0.0, 0), (2.5, 0.0, 0), (0.5, 0.0, 0)]
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.wfm", fast_frame(stamps=stamps)))
    assert [segment.trigger_offset_s for segment in waveform.segments] == [None] * 4
    assert [segment.t0_s for segment in waveform.segments][:3] == [-5e-8] * 3
    assert waveform.warnings == (
        "the trigger's place between two samples is not right in 1 of 4 frames (2.5 of an interval)",
        "the first times leave out the trigger's part of a sample, 0 to 0.5 of an interval, which the instrument adds "
        "in its CSV files",
        "the frames have no trigger times; when they were triggered is not known",
    )
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "b.wfm", fast_frame(stamps=STAMPS[::-1])))
    assert waveform.warnings[1:] == ("the frames' trigger times do not increase",)


IQ = {
    "IQ_centerFrequency": 1e9,
    "IQ_span": 0.8e9,
    "IQ_rbw": 1.9e6,
    "IQ_fftLength": 1000.0,
    "IQ_windowType": "BlackHarris",
}


@pytest.mark.parametrize(
    ("changes", "dt_s"),
    [
        ({}, 1e-9),
        ({"IQ_rbw": 0.95e6}, 2e-9),
        ({"IQ_sampleRate": 1e9, "IQ_rbw": 7.0}, 1e-9),
        ({"IQ_sampleRate": 0.5e9}, 2e-9),
    ],
)
@pytest.mark.parametrize("storage", [0, 1])
def test_pairs_are_two_waveforms_at_the_rate_of_the_notes(
    tmp_path: Path, changes: dict[str, Any], dt_s: float, storage: int
) -> None:
    notes = tuple((IQ | changes).items())
    data = tektronix_wfm(CODES, notes=notes, patches=((244, "i", storage),))
    first, second = waveforms(ADAPTER, place(tmp_path, "a.wfm", data))
    assert (first.name, second.name, first.unit) == ("Ref1 I", "Ref1 Q", "V")
    assert first.dt_s == second.dt_s == dt_s
    assert first.t0_s == -5e-8
    assert [segment.count for segment in second.segments] == [50]
    np.testing.assert_array_equal(first.samples.array(), CODES[::2])
    np.testing.assert_array_equal(second.samples.array(), CODES[1::2])
    assert first.vendor_metadata["notes"] == IQ | changes


def test_frames_of_pairs(tmp_path: Path) -> None:
    first, second = waveforms(ADAPTER, place(tmp_path, "a.wfm", fast_frame(notes=tuple(IQ.items()))))
    assert [segment.count for segment in first.segments] == [15] * 4
    assert first.segments[1].trigger_offset_s == pytest.approx(2e-6, abs=1e-12)
    np.testing.assert_array_equal(second.samples.array(), FRAMES.ravel()[1::2])


NEITHER = "the samples are no plain record but minima and maxima, or a histogram (expected 0, found 1)"
NO_RATE = (
    "interleaved I and Q are not read without their sample rate: the interval of a pair is not known "
    "(expected IQ_sampleRate, or IQ_fftLength and IQ_rbw)"
)
OTHER_RATE = (
    "the sample rate of I and Q is neither that of the horizontal scale nor half of it "
    "(expected 1e+09 or 5e+08 Hz, found 2e+09)"
)
ODD = "interleaved I and Q are an odd number of values, logic lines or averaged frames (expected pairs, found 99)"
SUMMARY = "what the last frame is of the others is not known at byte 154 (expected 0, 1 or 2, found 3)"


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (
            tektronix_wfm(CODES, patches=((72, "I", 4),)),
            CountMismatch,
            "the file has frames, but says that it is a single waveform at byte 72 (expected 1, found 5)",
        ),
        (
            tektronix_wfm(CODES, patches=((78, "i", 2),)),
            UnsupportedVersion,
            "the file is neither a single waveform nor a FastFrame set at byte 78 (expected 0 or 1, found 2)",
        ),
        (
            tektronix_wfm(CODES, patches=((142, "I", 2),)),
            UnsupportedVersion,
            "the file does not hold one curve for each frame at byte 142 (expected 1, found 2)",
        ),
        (
            fast_frame(patches=((150, "I", 5),)),
            CountMismatch,
            "the frames acquired are not the frames stored at byte 150 (expected 4, found 5)",
        ),
        (fast_frame(patches=((154, "H", 3),)), UnsupportedVersion, SUMMARY),
        (
            fast_frame(patches=((72, "I", 4), (150, "I", 5))),
            CountMismatch,
            "the curve does not begin where the header and the frames' own headers end at byte 16 "
            "(expected 1054, found 1000)",
        ),
        (
            fast_frame(patches=((838 + 72 + 30 + 14, "I", 12),)),
            CountMismatch,
            "frame 3 does not lie in its curve as the first one does at byte 940 "
            "(expected [0, 8, 68, 76, 76], found [0, 12, 68, 76, 76])",
        ),
        (
            fast_frame(patches=((830, "I", 72),)),
            CountMismatch,
            "the curve of a frame does not end with its last extra point at byte 834 (expected 72, found 76)",
        ),
        (
            tektronix_wfm(CODES, unit=b"Hz"),
            UnsupportedVersion,
            "the horizontal unit is not the second; this is no waveform over time (expected s, found Hz)",
        ),
        (
            tektronix_wfm(CODES, data_type=3),
            UnsupportedVersion,
            "the data are no vector at byte 122 (expected 2, found 3)",
        ),
        (tektronix_wfm(CODES, patches=((244, "i", 1),)), UnsupportedVersion, NEITHER),
        (
            tektronix_wfm(CODES, code=5),
            CorruptField,
            "the sample format is not right at byte 240 (found 5, 2 bytes)",
        ),
        (tektronix_wfm(CODES, notes=(("IQ_span", 1e6),)), UnsupportedVersion, NO_RATE),
        (tektronix_wfm(CODES, notes=(("IQ_sampleRate", 2e9),)), CountMismatch, OTHER_RATE),
        (tektronix_wfm(CODES[:99], notes=(("IQ_sampleRate", 1e9),)), CountMismatch, ODD),
        (
            tektronix_wfm(CODES, patches=((11, "i", 7),)),
            CountMismatch,
            "the length in the file header is not that of header, curve and checksum at byte 11 "
            "(expected 1062, found 22)",
        ),
        (
            tektronix_wfm(CODES, patches=((488, "d", 0.0),)),
            CorruptField,
            "a scale is not right at byte 168 (found 0.5, 0.0)",
        ),
        (
            tektronix_wfm(CODES, patches=((168, "d", float("nan")),)),
            CorruptField,
            "a scale is not right at byte 168 (found nan, 1e-09)",
        ),
        (
            tektronix_wfm(CODES, patches=((822, "I", 3),)),
            CorruptField,
            "the curve's offsets are not right at byte 808 (found 0, 3, 208, 216)",
        ),
        (
            tektronix_wfm(CODES, data_type=6),
            CorruptField,
            "logic lines are not one byte a sample (expected 1, found 2)",
        ),
        (
            fast_frame()[:930],
            Truncated,
            "the file ends inside the headers of its frames at byte 838 (expected 1000, found 930)",
        ),
        (
            fast_frame()[:1100],
            Truncated,
            "the file ends inside its curve at byte 1100 (expected 1312, found 1100)",
        ),
    ],
)
def test_every_word_of_a_refusal(tmp_path: Path, data: bytes, kind: type[InstrumentError], message: str) -> None:
    for ask in (ADAPTER.read, ADAPTER.describe):
        with pytest.raises(kind) as caught:
            ask(place(tmp_path, "a.wfm", data))
        assert str(caught.value) == f"a.wfm: {message}"


def test_a_changed_byte_is_found_by_the_checksum(tmp_path: Path) -> None:
    data = bytearray(tektronix_wfm(CODES))
    data[900] ^= 1
    with pytest.raises(CountMismatch, match="the checksum is not the sum of the bytes before it at byte"):
        ADAPTER.read(place(tmp_path, "a.wfm", bytes(data)))


def test_notes_must_be_whole(tmp_path: Path) -> None:
    data = tektronix_wfm(CODES)
    with pytest.raises(CorruptField, match="the block of notes after the curve cannot be read"):
        ADAPTER.read(place(tmp_path, "a.wfm", data[:-3]))
    with pytest.raises(CorruptField, match="what follows the checksum is no block of notes"):
        ADAPTER.read(place(tmp_path, "b.wfm", data.replace(b"tekmeta!", b"tekmeta?")))
    with pytest.raises(CountMismatch, match="the file goes on after its notes"):
        ADAPTER.read(place(tmp_path, "c.wfm", data + b"more"))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "d.wfm", tektronix_wfm(CODES, notes=())))
    assert waveform.vendor_metadata["notes"] == {}


def test_a_cut_file_and_an_unknown_version_are_refused(tmp_path: Path) -> None:
    data = tektronix_wfm(CODES, notes=())
    with pytest.raises(Truncated, match="the file ends inside its curve"):
        ADAPTER.read(place(tmp_path, "a.wfm", data[:-9]))
    with pytest.raises(Truncated) as caught:
        ADAPTER.read(place(tmp_path, "b.wfm", data[:700]))
    assert str(caught.value) == "b.wfm: the file ends inside its header at byte 0 (expected 838, found 700)"
    with pytest.raises(UnsupportedVersion) as unknown:
        ADAPTER.read(place(tmp_path, "c.wfm", data.replace(b"WFM#003", b"WFM#004")))
    assert str(unknown.value) == (
        "c.wfm: the version is not known at byte 2 (expected WFM#001 to WFM#003, found :WFM#004)"
    )
    with pytest.raises(UnsupportedVersion, match="old LLWFM kind"):
        ADAPTER.read(place(tmp_path, "d.wfm", b"\x00\x00LLWFM " + bytes(2000)))


@pytest.mark.shared_data
def test_the_reader_of_another_hand_agrees(shared_data: Path) -> None:
    from RigolWFM.wfm import Wfm

    for name in ("analog_waveform.wfm", "golden_analog.wfm"):
        path = shared_data / "formats" / "tek_wfm" / name
        (waveform,) = waveforms(ADAPTER, source_of(path))
        (channel,) = Wfm.from_file(str(path)).channels
        np.testing.assert_allclose(waveform.values(), channel.volts, atol=1e-7)
        assert waveform.t0_s == channel.times[0]


@pytest.mark.shared_data
def test_the_instruments_own_csv_adds_the_triggers_part_of_a_sample(shared_data: Path) -> None:
    """The same capture, saved by the same oscilloscope in both formats: with the part that the warning names."""
    (waveform,) = waveforms(ADAPTER, source_of(shared_data / "formats" / "tek_wfm" / "digital_waveform.wfm"))
    lines = (shared_data / "formats" / "tek_csv" / "digital_waveform.csv").read_text().splitlines()
    times = [float(line.split(",")[0]) for line in lines[lines.index("Labels,,,,,,,,") + 2 :]]
    assert waveform.t0_s is not None
    assert waveform.dt_s is not None
    part = waveform.vendor_metadata["frames"][0]["trigger_part_samples"]
    np.testing.assert_allclose(waveform.t0_s + waveform.dt_s * (np.arange(2500) + part), times, rtol=0, atol=1e-15)

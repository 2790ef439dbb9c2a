"""Keysight and Rigol float containers: every buffer counted, segments and peak detect apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.errors import CorruptField, CountMismatch, InstrumentError, Truncated, UnsupportedVersion
from instruments.probing.float_container import FloatContainerAdapter
from tests.instruments.probing.sources import place, source_of, waveforms
from tests.instruments.probing.writers import container, container_waveform

ADAPTER = FloatContainerAdapter()
VALUES = np.linspace(-1, 1, 50).astype(np.float32)


def test_two_channels(tmp_path: Path) -> None:
    data = container([container_waveform([(1, VALUES)], label=label) for label in (b"1", b"F2")])
    first, second = waveforms(ADAPTER, place(tmp_path, "a.bin", data))
    assert (first.name, second.name, first.unit, first.averages) == ("CH1", "F2", "V", 7)
    assert (first.dt_s, first.t0_s, first.samples.dtype.str) == (1e-9, -1e-6, "<f4")
    np.testing.assert_array_equal(second.samples.array(), VALUES)


def test_rigol_measures_the_origin_the_other_way(tmp_path: Path) -> None:
    data = container([container_waveform([(1, VALUES)], label=b"")] * 2, b"RG01", declared=1)
    first, second = waveforms(ADAPTER, place(tmp_path, "a.bin", data))
    assert (first.t0_s, first.name, second.name) == (1e-6, "waveform 1", "waveform 2")
    assert first.warnings == ("the file does not name its channels; they are numbered in the file's order",)


def test_a_dho_has_long_lengths_and_its_own_number_for_logic(tmp_path: Path) -> None:
    logic = np.arange(50, dtype=np.uint8)
    parts = [
        container_waveform([(1, VALUES)], origin=2e-6, long=True),
        container_waveform([(5, logic)], kind=6, label=b"D7-D0", long=True),
    ]
    wave, words = waveforms(ADAPTER, place(tmp_path, "a.bin", container(parts, b"RG03")))
    assert (wave.name, wave.unit, wave.t0_s, wave.warnings) == ("CH1", "V", -2e-6, ())
    np.testing.assert_array_equal(wave.samples.array(), VALUES)
    assert words.kind == "digital_lines"
    np.testing.assert_array_equal(words.samples.array(), logic)
    other = container([container_waveform([(6, VALUES)], long=True)], b"RG03")
    with pytest.raises(UnsupportedVersion) as caught:
        ADAPTER.read(place(tmp_path, "b.bin", other))
    message = "the buffer is not of float32 or of logic levels at byte 160 (found type 6, 4 bytes)"
    assert str(caught.value) == f"b.bin: {message}"
    with pytest.raises(Truncated, match="the file ends inside its last buffer"):
        ADAPTER.read(place(tmp_path, "c.bin", container(parts, b"RG03")[:-1]))


def test_the_first_time_of_a_short_header_is_not_known(tmp_path: Path) -> None:
    parts = [container_waveform([(1, VALUES)], header_bytes=128)] * 2
    data = container([parts[0], container_waveform([(1, VALUES)], header_bytes=128, label=b"2", origin=0.0)], b"RG01")
    first, second = waveforms(ADAPTER, place(tmp_path, "a.bin", data))
    assert (first.t0_s, second.t0_s, first.dt_s, first.samples.count) == (None, 0.0, 1e-9, 50)
    assert first.warnings == (
        "the sign of the origin is not known for the MSO7000 and MSO8000; the first time is not given",
    )
    assert second.warnings == ()
    with pytest.raises(CorruptField) as caught:
        ADAPTER.read(place(tmp_path, "b.bin", container(parts[:1])))
    assert str(caught.value) == "b.bin: a waveform header is too short at byte 12 (expected 140, found 128)"


def test_segments_of_a_channel_are_one_waveform(tmp_path: Path) -> None:
    parts = [container_waveform([(1, VALUES + i)], segment=i + 1, time_tag=i * 1e-3) for i in range(3)]
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.bin", container(parts)))
    assert [(part.count, part.trigger_offset_s) for part in waveform.segments] == [(50, 0), (50, 1e-3), (50, 2e-3)]
    np.testing.assert_array_equal(waveform.samples.array(), np.concatenate([VALUES, VALUES + 1, VALUES + 2]))
    same = container([container_waveform([(1, VALUES)])] * 2)
    with pytest.raises(CountMismatch) as caught:
        ADAPTER.read(place(tmp_path, "b.bin", same))
    assert str(caught.value) == "b.bin: two waveforms are called 1 and are no segments of one (expected 1, found 2)"


def test_peak_detect_is_two_waveforms_and_logic_is_words(tmp_path: Path) -> None:
    logic = np.arange(50, dtype=np.uint8)
    parts = [
        container_waveform([(3, VALUES - 1), (2, VALUES + 1)], kind=2),
        container_waveform([(6, logic)], kind=6, label=b"POD1"),
    ]
    low, high, words = waveforms(ADAPTER, place(tmp_path, "a.bin", container(parts)))
    assert [low.kind, high.kind, words.kind] == ["envelope_min", "envelope_max", "digital_lines"]
    assert words.unit == "logic level"
    np.testing.assert_array_equal(words.samples.array(), logic)
    np.testing.assert_array_equal(high.samples.array(), VALUES + 1)


def test_the_mso5074_stores_logic_as_whole_float32(tmp_path: Path) -> None:
    levels = np.array([0, 16, 255, 41], np.float32)
    data = container([container_waveform([(5, levels)], kind=6, label=b"LA")], b"RG01")
    (lines,) = waveforms(ADAPTER, place(tmp_path, "a.bin", data))
    assert (lines.name, lines.kind, lines.unit) == ("LA", "digital_lines", "logic level")
    np.testing.assert_array_equal(lines.samples.array(), np.array([0, 16, 255, 41], np.uint8))
    for wrong in (256.0, -1.0, 0.5, np.nan):
        data = container([container_waveform([(5, np.array([0, wrong], np.float32))], kind=6)], b"RG01")
        with pytest.raises(CorruptField, match="a word of logic levels is no whole number from 0 to 255"):
            ADAPTER.read(place(tmp_path, "b.bin", data))
    with pytest.raises(UnsupportedVersion, match="the buffer is not of float32 or of logic levels"):
        ADAPTER.read(place(tmp_path, "c.bin", container([container_waveform([(5, levels)], kind=1)], b"RG01")))


def test_values_that_are_not_finite_stay_and_are_said(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[3] = np.nan
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.bin", container([container_waveform([(1, values)])])))
    assert np.isnan(waveform.samples.array()[3])
    assert waveform.warnings == ("1 values are not finite",)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"points": 49}, CountMismatch, "a buffer does not hold the points of its waveform; such exports have wrong"),
        ({"kind": 4}, UnsupportedVersion, "the waveform is a histogram or of an unknown type at byte 16"),
        ({"x_unit": 6}, UnsupportedVersion, "the horizontal unit is not the second; this is no waveform over time"),
        ({"interval": 0.0}, CorruptField, "the sampling interval is not right at byte 44"),
        ({"points": 0}, CorruptField, "a waveform has no points, or not one to four buffers at byte 12"),
    ],
)
def test_a_wrong_header_is_refused(
    tmp_path: Path, changes: dict[str, Any], kind: type[InstrumentError], message: str
) -> None:
    data = container([container_waveform([(1, VALUES)], **changes)])
    with pytest.raises(kind) as caught:
        ADAPTER.read(place(tmp_path, "a.bin", data))
    assert str(caught.value).startswith(f"a.bin: {message}")


def test_the_walk_must_end_with_the_file(tmp_path: Path) -> None:
    data = container([container_waveform([(1, VALUES)])])
    with pytest.raises(Truncated) as caught:
        ADAPTER.read(place(tmp_path, "a.bin", data[:-4]))
    assert str(caught.value) == "a.bin: the file ends inside its last buffer at byte 360 (expected 364, found 360)"
    with pytest.raises(CountMismatch) as longer:
        ADAPTER.read(place(tmp_path, "b.bin", data + b"abcd"))
    message = "the file goes on after the waveforms that it declares at byte 364 (expected 364, found 368)"
    assert str(longer.value) == f"b.bin: {message}"
    with pytest.raises(CountMismatch, match="the length in the file header is not the file's"):
        ADAPTER.read(place(tmp_path, "c.bin", container([container_waveform([(1, VALUES)])], declared=9)))
    with pytest.raises(UnsupportedVersion, match="several exports follow one another"):
        ADAPTER.read(place(tmp_path, "d.bin", data + data))


@pytest.mark.shared_data
def test_the_reader_of_another_hand_agrees(shared_data: Path) -> None:
    from RigolWFM.wfm import Wfm

    for name in ("keysight_bin/agilent_1.bin", "keysight_bin/agilent_3.bin", "rigol_bin/MSO5000-A.bin"):
        path = shared_data / "formats" / name
        channels = Wfm.from_file(str(path)).channels
        for waveform, channel in zip(waveforms(ADAPTER, source_of(path)), channels, strict=True):
            np.testing.assert_array_equal(waveform.values(), channel.volts)
            assert waveform.t0_s == pytest.approx(channel.times[0])

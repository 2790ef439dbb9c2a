"""Keysight Infiniium tables: properties, one waveform or several, segments beside one another."""

from pathlib import Path

import numpy as np
import pytest

from instruments.adapter import HEAD_BYTES, Confidence
from instruments.errors import CorruptField, CountMismatch, InstrumentError, Truncated, UnsupportedVersion
from instruments.probing import delimited_infiniium
from instruments.probing.delimited import DelimitedAdapter
from instruments.probing.delimited_text import count_lines
from tests.instruments.probing.infiniium_writer import beside, padded
from tests.instruments.probing.sources import place, waveforms

ADAPTER = DelimitedAdapter()
WAVE = np.round(np.sin(np.arange(40) / 3) * 0.06, 8)
GRID = np.round(np.cos(np.arange(60) / 7), 5).reshape(20, 3)
STARTS = (-5e-9, -4.99e-9, -4.98e-9)
CHANNELS = ("Channel 1", "Channel 2", "Math 1")


def test_the_interval_is_the_header_s_and_the_times_prove_it(tmp_path: Path) -> None:
    source = place(tmp_path, "a.csv", padded(WAVE, Type="average", Count="16"))
    assert ADAPTER.sniff(source).confidence is Confidence.LIKELY
    (waveform,) = waveforms(ADAPTER, source)
    assert (waveform.dt_s, waveform.t0_s, waveform.unit) == (3.90625e-13, -3.118266724e-09, "V")
    assert (waveform.averages, waveform.samples.count) == (16, 40)
    np.testing.assert_allclose(waveform.values(), WAVE, atol=1e-8)
    assert waveform.vendor_metadata["writer"] == "keysight infiniium"
    assert "Frame:              N8900A:AT0" in waveform.vendor_metadata["header"]


def test_values_without_times_take_them_from_the_header(tmp_path: Path) -> None:
    head, _, rows = padded(WAVE, Type="interpolation").partition("Data: \n")
    text = head + "Data: \n" + "".join(row.split(",")[1] + "\n" for row in rows.split())
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", text))
    assert (waveform.dt_s, waveform.t0_s) == (3.90625e-13, -3.118266724e-09)
    np.testing.assert_allclose(waveform.values(), WAVE, atol=1e-8)
    assert waveform.warnings == ("the oscilloscope has interpolated between the samples (Type: interpolation)",)
    with pytest.raises(UnsupportedVersion, match="begins within the waveform"):
        ADAPTER.read(place(tmp_path, "b.csv", text.replace("Start:              0", "Start:              5")))


@pytest.mark.parametrize("kept", [True, False])
def test_channels_are_waveforms_and_segments_are_one(
    tmp_path: Path, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited_infiniium, "KEPT_BYTES", 1 << 20 if kept else 0)
    for shared, starts in ((False, STARTS), (True, STARTS[:1] * 3)):
        found = waveforms(ADAPTER, place(tmp_path, "a.csv", beside(GRID, starts, CHANNELS, shared=shared)))
        assert [waveform.name for waveform in found] == list(CHANNELS)
        assert [waveform.t0_s for waveform in found] == list(starts)
        for column, waveform in enumerate(found):
            np.testing.assert_array_equal(waveform.values(), GRID[:, column])
            assert waveform.maximum == GRID[:, column].max()
    text = beside(GRID, STARTS, ("Channel 4",) * 3, since_s=(0.0, 0.25, 0.5))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "s.csv", text))
    assert waveform.name == "Channel 4"
    np.testing.assert_array_equal(waveform.values(), GRID.T.ravel())
    assert [(part.count, part.t0_s, part.trigger_offset_s) for part in waveform.segments] == [
        (20, start, since) for start, since in zip(STARTS, (0.0, 0.25, 0.5), strict=True)
    ]


def test_a_header_longer_than_the_head_is_read(tmp_path: Path) -> None:
    count = 1200
    grid = np.arange(2.0 * count).reshape(2, count)
    starts = tuple(-5e-9 + index * 1e-12 for index in range(count))
    source = place(
        tmp_path, "s.csv", beside(grid, starts, ("Channel 1",) * count, tuple(index / 1e3 for index in range(count)))
    )
    assert source.size_bytes > 2 * HEAD_BYTES
    assert ADAPTER.sniff(source).confidence is Confidence.LIKELY
    (waveform,) = waveforms(ADAPTER, source)
    assert len(waveform.segments) == count
    np.testing.assert_array_equal(waveform.values(), grid.T.ravel())


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (("Points:             40", "Points:             41"), Truncated, "another number of points (expected 41, f"),
        (("Points:             40", "Points:             39"), CountMismatch, "number of points (expected 39, fo"),
        (("XInc:               3.90625E-13", "XInc:  3.9E-13"), CorruptField, "sampling interval is not that of the"),
        (("-3.118266724E-09", "-3.117876099E-09"), CorruptField, "the header's first time is not that of the first r"),
        (("XUnits:             Second", "XUnits:  Hertz"), UnsupportedVersion, "the horizontal unit is not the sec"),
        (("Type:               raw", "Type:  versus"), UnsupportedVersion, "the type of the waveform is not read; sa"),
        (("XDispOrg", "XOrg"), CorruptField, "the header says XOrg twice"),
        (("Points:  ", "Paints:  "), InstrumentError, "the Infiniium header has no points"),
        (("E-09,", "E-09,1,"), CountMismatch, "the rows have another number of columns than the header's waveforms"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, change: tuple[str, str], kind: type[InstrumentError], message: str
) -> None:
    text = padded(WAVE)
    assert change[0] in text
    source = place(tmp_path, "a.csv", text.replace(*change))
    opening = delimited_infiniium.open_infiniium(source)
    with pytest.raises(kind) as caught:
        delimited_infiniium.read_infiniium(source, opening, count_lines(source, opening), ())
    assert message in str(caught.value)


def test_channels_and_segments_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedVersion, match=r"whether its waveforms are channels or segments; save \.bin"):
        ADAPTER.read(place(tmp_path, "a.csv", beside(GRID, STARTS, ("Channel 1",) * 3)))
    with pytest.raises(UnsupportedVersion, match="different lengths or intervals; save each channel in a file of"):
        ADAPTER.read(place(tmp_path, "b.csv", beside(GRID, STARTS, CHANNELS).replace("Points:,20", "Points:,19")))

"""LeCroy .trc: our own files and the real ones, sequences as segments, every length checked."""

import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    NotThisFormat,
    Truncated,
    UnsupportedVersion,
)
from instruments.probing.lecroy_trc import LecroyTrcAdapter
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc
from tests.instruments.probing.sources import place, source_of, waveforms

ADAPTER = LecroyTrcAdapter()
CODES = np.arange(-50, 50, dtype=np.int16).reshape(2, 50)
START = 11
"""Of WAVEDESC, after the block header of our own files."""


def written(folder: Path, codes: "np.ndarray[tuple[int, int], np.dtype[np.int16]]" = CODES) -> bytearray:
    offsets = tuple(index * 1e-3 for index in range(len(codes)))
    scaling = Scaling(0.5, 2.0, 1e-9, -1e-8, "a.u.")
    write_lecroy_trc(folder / "own.trc", codes, scaling, trigger_offsets_s=offsets, averages=200_000)
    return bytearray((folder / "own.trc").read_bytes())


def test_our_own_sequence_comes_back(tmp_path: Path) -> None:
    written(tmp_path)
    (waveform,) = waveforms(ADAPTER, source_of(tmp_path / "own.trc"))
    assert (waveform.name, waveform.unit, waveform.averages) == ("own", "a.u.", 200_000)
    assert waveform.dt_s == pytest.approx(1e-9)
    assert [(part.count, part.t0_s, part.trigger_offset_s) for part in waveform.segments] == [
        (50, -1e-8, 0.0),
        (50, -1e-8, 1e-3),
    ]
    np.testing.assert_array_equal(waveform.samples.array(), CODES.ravel())
    np.testing.assert_allclose(waveform.values(), 0.5 * CODES.ravel() + 2.0)
    assert (waveform.minimum, waveform.maximum) == (-23.0, 26.5)


def test_a_single_sweep_has_one_segment(tmp_path: Path) -> None:
    written(tmp_path, CODES[:1])
    (waveform,) = waveforms(ADAPTER, source_of(tmp_path / "own.trc"))
    assert [(part.count, part.t0_s, part.trigger_offset_s) for part in waveform.segments] == [(50, -1e-8, 0.0)]


def test_big_endian_bytes_are_the_same_codes(tmp_path: Path) -> None:
    """The same file with every field and sample turned round."""
    data = written(tmp_path, CODES[:1])
    turned = bytearray(data)
    fields = {2: (32, 34, 172, 174), 4: (*range(36, 76, 4), 116, 120, 124, 128, 132, 136, 140, 144, 148, 156, 160, 176)}
    for width, offsets in fields.items():
        for offset in offsets:
            place_ = START + offset
            turned[place_ : place_ + width] = bytes(reversed(data[place_ : place_ + width]))
    for offset in (180, 188):
        turned[START + offset : START + offset + 8] = bytes(reversed(data[START + offset : START + offset + 8]))
    samples = START + 346
    turned[samples:] = np.frombuffer(bytes(data[samples:]), "<i2").astype(">i2").tobytes()
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "big.trc", bytes(turned)))
    assert waveform.vendor_metadata["byte_order"] == "HIFIRST"
    assert (waveform.gain, waveform.offset, waveform.t0_s) == (0.5, 2.0, -1e-8)
    np.testing.assert_array_equal(waveform.samples.array(), CODES[0])


def put(offset: int, layout: str, *values: float) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into("<" + layout, data, START + offset, *values)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (
            put(116, "i", 99),
            CountMismatch,
            "the bytes of WAVE_ARRAY_1 do not hold WAVE_ARRAY_COUNT samples (expected 99, found 100)",
        ),
        (
            put(144, "i", 3),
            CountMismatch,
            "the samples do not divide into SUBARRAY_COUNT segments (expected 3, found 100)",
        ),
        (put(144, "i", 4), CountMismatch, "the sequence has no trigger time for each segment (expected 64, found 32)"),
        (put(60, "i", 202), Truncated, "the file ends before its arrays do at byte 589 (expected 591, found 589)"),
        (put(60, "i", -1), CorruptField, "the length of WAVE_ARRAY_1 is negative (found -1)"),
        (put(32, "h", 2), CorruptField, "COMM_TYPE is not right at byte 43 (expected 0 or 1, found 2)"),
        (put(176, "f", 0.0), CorruptField, "the vertical gain or the horizontal interval is not right at byte 167"),
        (put(156, "f", float("nan")), CorruptField, "the vertical gain or the horizontal interval is not right"),
        (
            put(244, "4s", b"Hz"),
            UnsupportedVersion,
            "the horizontal unit is not the second; this is no waveform over time",
        ),  # type: ignore[arg-type]
        (put(16, "10s", b"LECROY_9_9"), UnsupportedVersion, "the WAVEDESC template is not known at byte 27"),  # type: ignore[arg-type]
        (put(346, "d", float("inf")), CorruptField, "a trigger time is no finite number"),
    ],
)
def test_a_wrong_field_is_refused(
    tmp_path: Path, change: Callable[[bytearray], None], kind: type[InstrumentError], message: str
) -> None:
    data = written(tmp_path)
    change(data)
    with pytest.raises(kind) as caught:
        ADAPTER.read(place(tmp_path, "a.trc", bytes(data)))
    assert str(caught.value).startswith(f"a.trc: {message}")


def test_bytes_after_the_arrays_are_counted(tmp_path: Path) -> None:
    data = bytes(written(tmp_path))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.trc", data + b"\n"))
    assert waveform.warnings == ("1 bytes after the last array were ignored",)
    with pytest.raises(CountMismatch) as caught:
        ADAPTER.read(place(tmp_path, "b.trc", data + bytes(5)))
    assert str(caught.value) == "b.trc: the file is longer than its arrays at byte 589 (expected 589, found 594)"
    with pytest.raises(NotThisFormat):
        ADAPTER.read(place(tmp_path, "c.trc", bytes(200) + data))


@pytest.mark.shared_data
def test_the_real_sequence_has_twenty_segments(shared_data: Path) -> None:
    """Two public readers give one flat trace of 10 040 points."""
    (waveform,) = waveforms(ADAPTER, source_of(shared_data / "formats" / "lecroy_trc" / "lecroy_3.trc"))
    assert [part.count for part in waveform.segments] == [502] * 20
    triggers = [part.trigger_offset_s for part in waveform.segments]
    assert triggers[0] == 0.0
    assert all(later > earlier for earlier, later in pairwise(triggers))
    assert waveform.dt_s == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "count"), [("lecroy_4.trc", 502), ("trace1.000", 5002)])
def test_the_reader_of_another_hand_agrees(shared_data: Path, name: str, count: int) -> None:
    from RigolWFM.wfm import Wfm

    path = shared_data / "formats" / "lecroy_trc" / name
    (waveform,) = waveforms(ADAPTER, source_of(path))
    (channel,) = Wfm.from_file(str(path)).channels
    assert waveform.samples.count == len(channel.volts) == count
    np.testing.assert_allclose(waveform.values(), channel.volts, atol=1e-6)
    assert waveform.t0_s == pytest.approx(channel.times[0])


@pytest.mark.shared_data
def test_a_header_without_samples_is_refused(shared_data: Path) -> None:
    with pytest.raises(Truncated) as caught:
        ADAPTER.read(source_of(shared_data / "formats" / "lecroy_trc" / "lecroy_1.trc"))
    assert str(caught.value) == (
        "lecroy_1.trc: the file ends before its arrays do at byte 357 (expected 804357, found 357)"
    )


def changed(folder: Path, *changes: Callable[[bytearray], None], segments: int = 1) -> bytes:
    data = written(folder, CODES[:segments])
    for change in changes:
        change(data)
    return bytes(data)


def test_padding_around_the_valid_points_is_left_out(tmp_path: Path) -> None:
    """A roll-mode acquisition that was stopped: points 3 to 39 of 50 are good."""
    data = changed(tmp_path, put(124, "2i", 3, 39))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "stopped.trc", data))
    np.testing.assert_array_equal(waveform.samples.array(), CODES[0, 3:40])
    assert [(part.count, part.t0_s) for part in waveform.segments] == [(37, pytest.approx(-1e-8 + 3e-9))]
    assert waveform.warnings == ("13 points before or after the valid ones are padding and were left out",)
    described = list(ADAPTER.describe(place(tmp_path, "stopped.trc", data))[1])
    assert described[0].count == 37


def test_an_aborted_sequence_keeps_its_whole_segments(tmp_path: Path) -> None:
    data = changed(tmp_path, put(124, "2i", 0, 49), segments=2)
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "aborted.trc", data))
    np.testing.assert_array_equal(waveform.samples.array(), CODES[0])
    assert [part.count for part in waveform.segments] == [50]
    broken = place(tmp_path, "broken.trc", changed(tmp_path, put(124, "2i", 0, 60), segments=2))
    with pytest.raises(UnsupportedVersion, match="ends inside a segment of the sequence"):
        ADAPTER.read(broken)


def test_points_that_were_not_sent_leave_the_time_axis_unknown(tmp_path: Path) -> None:
    sparse = place(tmp_path, "sparse.trc", changed(tmp_path, put(136, "i", 4)))
    (waveform,) = waveforms(ADAPTER, sparse)
    assert (waveform.dt_s, waveform.t0_s) == (None, None)
    assert "their interval is not known" in waveform.warnings[0]
    late = place(tmp_path, "late.trc", changed(tmp_path, put(132, "i", 100)))
    (waveform,) = waveforms(ADAPTER, late)
    assert waveform.dt_s == pytest.approx(1e-9)
    assert waveform.t0_s is None
    assert waveform.warnings == ("the first 100 points were not sent (FIRST_POINT): the first time is not known",)


def test_records_that_are_no_regular_waveform_are_refused(tmp_path: Path) -> None:
    histogram = place(tmp_path, "histogram.trc", changed(tmp_path, put(316, "h", 2)))
    with pytest.raises(UnsupportedVersion, match="the record is a histogram"):
        ADAPTER.read(histogram)
    data = changed(tmp_path, put(52, "i", 16), put(316, "h", 8))
    samples = START + 346
    interleaved = place(tmp_path, "ris.trc", data[:samples] + bytes(16) + data[samples:])
    with pytest.raises(UnsupportedVersion, match="RIS"):
        ADAPTER.read(interleaved)


def test_the_template_2_2_has_the_fields_of_2_3(tmp_path: Path) -> None:
    older = place(tmp_path, "older.trc", changed(tmp_path, put(16, "10s", b"LECROY_2_2")))
    (waveform,) = waveforms(ADAPTER, older)
    assert waveform.vendor_metadata["template"] == "LECROY_2_2"
    np.testing.assert_array_equal(waveform.samples.array(), CODES[0])

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
        (put(60, "i", -1), CorruptField, "the length of WAVE_ARRAY_1 is negative (expected None, found -1)"),
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

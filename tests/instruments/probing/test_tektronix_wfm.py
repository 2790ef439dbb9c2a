"""Tektronix .wfm: three versions, two byte orders, checksum, notes, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.errors import CorruptField, CountMismatch, InstrumentError, Truncated, UnsupportedVersion
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
    assert (waveform.dt_s, waveform.t0_s, waveform.gain, waveform.offset) == (1e-9, -5e-8, 0.5, 2.0)
    np.testing.assert_array_equal(waveform.samples.array(), CODES)
    assert waveform.vendor_metadata["notes"] == {"yOffset": 0.25, "label": "Ch 1", "clipped": 1}
    assert waveform.warnings == ("the trigger is given to a part of a sample (0.25), which the first time leaves out",)


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


FAST_FRAME = ((72, "I", 4),)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"patches": FAST_FRAME}, UnsupportedVersion, "FastFrame captures are not read (expected 0, found 4)"),
        ({"patches": ((78, "i", 1),)}, UnsupportedVersion, "FastFrame captures are not read (expected 0, found 0)"),
        ({"patches": ((142, "I", 2),)}, UnsupportedVersion, "the file does not hold one curve (expected 1, found 2)"),
        ({"unit": b"Hz"}, UnsupportedVersion, "the horizontal unit is not the second; this is no waveform over time"),
        ({"data_type": 3}, UnsupportedVersion, "the data are no vector (expected 2, found 3)"),
        ({"patches": ((244, "i", 1),)}, UnsupportedVersion, "the samples are no plain record but minima and maxima"),
        ({"code": 5}, CorruptField, "the sample format is not right at byte 240 (expected None, found 5, 2 bytes)"),
        ({"notes": (("IQ_span", 1e6),)}, UnsupportedVersion, "interleaved I and Q are not read"),
        ({"patches": ((11, "i", 7),)}, CountMismatch, "the length in the file header is not that of header, curve"),
        ({"patches": ((488, "d", 0.0),)}, CorruptField, "a scale is not right"),
        ({"patches": ((168, "d", float("nan")),)}, CorruptField, "a scale is not right"),
        ({"patches": ((822, "I", 3),)}, CorruptField, "the curve's offsets are not right"),
    ],
)
def test_what_is_no_plain_record_is_refused(
    tmp_path: Path, changes: dict[str, Any], kind: type[InstrumentError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        ADAPTER.read(place(tmp_path, "a.wfm", tektronix_wfm(CODES, **changes)))
    assert str(caught.value).startswith(f"a.wfm: {message}")


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

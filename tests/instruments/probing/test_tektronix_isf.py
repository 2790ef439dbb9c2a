"""Tektronix .isf: spellings, codes, envelopes as two waveforms, the block's length against NR_PT."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.errors import CorruptField, CountMismatch, InstrumentError, Truncated, UnsupportedVersion
from instruments.probing.tektronix_isf import TektronixIsfAdapter, parse_statements
from tests.instruments.probing.sources import place, source_of, waveforms
from tests.instruments.probing.writers import isf

ADAPTER = TektronixIsfAdapter()
CODES = np.arange(-30, 30)


@pytest.mark.parametrize("short", [False, True])
def test_codes_keep_their_scale(tmp_path: Path, short: bool) -> None:
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.isf", isf(CODES, short=short)))
    assert (waveform.name, waveform.unit, waveform.samples.dtype.str) == ("Ch1", "V", "<i2")
    assert (waveform.dt_s, waveform.t0_s) == (1e-6, pytest.approx(-1e-3 - 10e-6))
    np.testing.assert_allclose(waveform.values(), 1.0 + 0.5 * (CODES - 3.0))
    assert waveform.vendor_metadata["fields"]["WFID"].endswith("1.0E-3 s/div; odd")


def test_numbers_in_text_are_codes_too(tmp_path: Path) -> None:
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.isf", isf(CODES, ENCDG="ASCII")))
    np.testing.assert_allclose(waveform.values(), 1.0 + 0.5 * (CODES - 3.0))
    with pytest.raises(Truncated, match="the curve's last number has no end"):
        ADAPTER.read(place(tmp_path, "b.isf", isf(CODES, ENCDG="ASCII")[:-1]))
    with pytest.raises(Truncated, match="the curve does not hold NR_PT numbers"):
        ADAPTER.read(place(tmp_path, "c.isf", isf(CODES, ENCDG="ASCII").rpartition(b",")[0] + b"\n"))


@pytest.mark.parametrize("spelling", ["ENV", "ENVELOPE", "env"])
@pytest.mark.parametrize("gain", ["0.5", "-0.5"])
def test_an_envelope_is_two_waveforms_of_half_the_points(tmp_path: Path, spelling: str, gain: str) -> None:
    low, high = np.array([-5, -4, 7]), np.array([5, -4, 9])
    codes = np.stack([low, high], axis=1).ravel()
    records = waveforms(ADAPTER, place(tmp_path, "a.isf", isf(codes, PT_FMT=spelling, YMULT=gain, YOFF="0")))
    assert [record.kind for record in records] == ["envelope_min", "envelope_max"]
    assert [(record.samples.count, record.dt_s) for record in records] == [(3, 2e-6)] * 2
    values = 1.0 + float(gain) * codes.reshape(3, 2)
    np.testing.assert_allclose(records[0].values(), values.min(axis=1))
    np.testing.assert_allclose(records[1].values(), values.max(axis=1))
    assert "an envelope: pairs of extremes over two sampling intervals each" in records[0].warnings


def test_pairs_in_the_other_order_are_put_in_order_and_that_is_said(tmp_path: Path) -> None:
    codes = np.array([1, 2, 4, 3, 5, 6])
    low, high = waveforms(ADAPTER, place(tmp_path, "a.isf", isf(codes, PT_FMT="ENV", YMULT="1", YOFF="0", YZERO="0")))
    assert (low.values().tolist(), high.values().tolist()) == ([1, 3, 5], [2, 4, 6])
    assert low.warnings[1] == "1 of 3 pairs were in the other order"
    with pytest.raises(CountMismatch, match="an envelope has an odd number of codes"):
        ADAPTER.read(place(tmp_path, "b.isf", isf(codes[:5], PT_FMT="ENV")))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"NR_PT": "59"},
            CountMismatch,
            "the curve's length is not NR_PT codes of BYT_NR bytes (expected 118, found 120)",
        ),
        ({"NR_PT": "-1"}, CorruptField, "NR_PT is no count (found -1)"),
        (
            {"BYT_NR": "1"},
            CountMismatch,
            "the curve's length is not NR_PT codes of BYT_NR bytes (expected 60, found 120)",
        ),
        ({"YMULT": None}, CorruptField, "the preamble has no YMULT at byte"),
        ({"YMULT": "0"}, CorruptField, "YMULT or XINCR is not right (found 0.0, 1e-06)"),
        ({"XINCR": "nan"}, CorruptField, "XINCR is no number (found nan)"),
        ({"YMULT": "1e308"}, CorruptField, "the preamble's numbers are too large: an offset, a time or an interval"),
        ({"XINCR": "1e308"}, CorruptField, "the preamble's numbers are too large: an offset, a time or an interval"),
        ({"XINCR": "1e308", "PT_OFF": "0"}, CorruptField, "the preamble's numbers are too large"),
        ({"XUNIT": '"Hz"'}, UnsupportedVersion, "the horizontal axis is no time; this is no waveform over time"),
        ({"PT_FMT": "XY"}, UnsupportedVersion, "the point format is not supported (found XY)"),
        ({"BN_FMT": "RX"}, UnsupportedVersion, "the binary format is not supported (found RX, MSB, 2)"),
        (
            {"NR_FR": "3"},
            UnsupportedVersion,
            "the curve is of several frames of a FastFrame set; save the .wfm file (expected 1, found 3)",
        ),
        ({"XZERO": ""}, CorruptField, "the preamble has no XZERO at byte"),
        ({"XZERO": None, "PT_OFF": "0.0"}, CorruptField, "the preamble has no XZERO at byte"),
        ({"XZERO": None, "PT_OFF": None}, CorruptField, "the preamble has no XZERO at byte"),
        ({"ENCDG": "SRP"}, UnsupportedVersion, "the encoding is not supported (found SRP)"),
    ],
)
def test_a_wrong_preamble_is_refused(
    tmp_path: Path, changes: dict[str, Any], kind: type[InstrumentError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        ADAPTER.read(place(tmp_path, "a.isf", isf(CODES, **changes)))
    assert str(caught.value).startswith(f"a.isf: {message}")


def test_instruments_without_xzero_count_from_the_trigger_point(tmp_path: Path) -> None:
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.isf", isf(CODES, XZERO=None, PT_OFF="20", NR_FR="1")))
    assert waveform.t0_s == pytest.approx(-20e-6)
    assert waveform.warnings == (
        "there is no XZERO: the times count from PT_OFF alone, as those of instruments without it",
    )


def test_a_cut_or_longer_curve_is_refused(tmp_path: Path) -> None:
    data = isf(CODES)
    with pytest.raises(Truncated) as caught:
        ADAPTER.read(place(tmp_path, "a.isf", data[:-2]))
    size = len(data) - 2
    assert str(caught.value) == (
        f"a.isf: the file ends inside the curve at byte {size} (expected {size + 1}, found {size})"
    )
    with pytest.raises(CountMismatch, match="the file goes on after its curve"):
        ADAPTER.read(place(tmp_path, "b.isf", data + b"\x01\x02"))
    with pytest.raises(CorruptField, match="the curve is no block of known length"):
        ADAPTER.read(place(tmp_path, "c.isf", data.replace(b"#3120", b"#0120")))


def test_a_preamble_of_two_curves_is_refused(tmp_path: Path) -> None:
    """A damaged first curve must not leave the second one alone, as if it were the file."""
    whole = isf(CODES)
    with pytest.raises(CorruptField, match="a curve's name stands before the curve"):
        ADAPTER.read(place(tmp_path, "a.isf", _preamble(whole) + b":CURVE;" + whole))
    with pytest.raises(CorruptField, match="two values of NR_PT; it may be that of two curves"):
        ADAPTER.read(place(tmp_path, "b.isf", _preamble(isf(CODES[:3])) + b";" + whole))


def _preamble(data: bytes) -> bytes:
    return data[: data.upper().index(b":CURV")]


def test_semicolons_in_quotation_marks_do_not_end_a_field() -> None:
    assert dict(parse_statements(':WFMP:WFI "a;b: c";PT_F Y;:WFMP:XIN 1E-9')) == {
        "WFID": "a;b: c",
        "PT_FMT": "Y",
        "XINCR": "1E-9",
    }


@pytest.mark.shared_data
def test_the_real_envelope_is_not_a_trace_of_ten_thousand_points(shared_data: Path) -> None:
    path = shared_data / "formats" / "tek_isf" / "data1.isf"
    low, high = waveforms(ADAPTER, source_of(path))
    codes = np.frombuffer(path.read_bytes()[-20003:-3], ">i2").reshape(5000, 2)
    np.testing.assert_array_equal(low.samples.array(), codes.min(axis=1))
    np.testing.assert_array_equal(high.samples.array(), codes.max(axis=1))
    # 1.0E-3 s/div on ten divisions, says the file itself.
    assert low.dt_s is not None
    assert low.dt_s * 5000 == pytest.approx(10 * 1.0e-3)


@pytest.mark.parametrize(
    ("fields", "prefix", "unit"),
    [
        ({"YUNIT": '"Volts"'}, ":WFMPRE:", "V"),
        ({"WFID": '"My Curve one, 4 points"'}, ":WFMO:", "V"),
    ],
)
def test_other_ways_to_write_the_preamble(tmp_path: Path, fields: dict[str, str], prefix: str, unit: str) -> None:
    data = isf(CODES, **fields).replace(b":WFMOUTPRE:", prefix.encode())
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.isf", data))
    assert (waveform.unit, waveform.samples.count) == (unit, CODES.size)

"""Delimited text: every writer's header, every delimiter, honest time axes, counted rows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    NotThisFormat,
    ReadingLimit,
    Truncated,
    UnsupportedVersion,
)
from instruments.probing import delimited, delimited_text
from instruments.probing.delimited import DelimitedAdapter, line_bits
from instruments.probing.delimited_axis import printed_step
from instruments.probing.delimited_titles import name_and_unit
from services.demo.oscilloscope_files import write_time_reflectance_csv
from tests.instruments.probing.sources import place, source_of, waveforms

ADAPTER = DelimitedAdapter()


def table(header: str, rows: int = 100, step: float = 1e-9, skip: int | None = None, form: str = ".3e") -> str:
    lines = [f"{i * step:{form}},{i % 7}\n" for i in range(rows) if i != skip]
    return header + "".join(lines)


def test_our_own_waveforms_are_in_arbitrary_units(tmp_path: Path) -> None:
    values = np.sin(np.arange(3000) / 50)
    write_time_reflectance_csv(tmp_path / "a.csv", -1e-9, 1.25e-11, values, label="SIMULATED")
    (waveform,) = waveforms(ADAPTER, source_of(tmp_path / "a.csv"))
    assert (waveform.name, waveform.unit, waveform.samples.count) == ("reflectance", "a.u.", 3000)
    assert (waveform.t0_s, waveform.dt_s) == (-1e-9, pytest.approx(1.25e-11, rel=1e-9))
    np.testing.assert_allclose(waveform.values(), values, atol=1e-9)
    assert waveform.vendor_metadata == {"writer": "faultlight", "header": ["# SIMULATED", "time_s,reflectance"]}
    assert waveform.warnings == ()


KEYSIGHT = (
    "x-axis,1,2\nsecond,Volt,Ampere\n-1.000E-03,+1.0E+00,2.0E+00\n-995.000E-06,3.0E+00,4.0E+00\n-990.000E-06,5,6\n"
)
PICO = "Time,Channel A,Channel B\n(us),(V),(mV)\n\n-500.004,1,2\n-500.002,∞,4\n-500,5,6\n"
RTB = "in s,C1 in V,C2 in A\n0,1,2\n1e-3,3,4\n2e-3,5,6\n"
COMMA = "Zeit [ms];Kanal A [V];Kanal B [mA]\n0,0;1,5;2\n0,1;3,5;4\n0,2;5,5;6\n"
TAB = "time_us\tch1_V\tch2_A\n0\t1\t2\n2\t3\t4\n4\t5\t6\n"
BLANKS = "  time (ns)   a(V)   b(V) \n 0.0  1  2\n 0.5  3  4\n 1.0  5  6\n"


@pytest.mark.parametrize(
    ("text", "dt_s", "t0_s", "units"),
    [
        (KEYSIGHT, 5e-6, -1e-3, ("V", "A")),
        (PICO, 2e-9, -500.004e-6, ("V", "mV")),
        (RTB, 1e-3, 0.0, ("V", "A")),
        (COMMA, 1e-4, 0.0, ("V", "mA")),
        (TAB, 2e-6, 0.0, ("V", "A")),
        (TAB.replace("\n", "\r\n"), 2e-6, 0.0, ("V", "A")),
        (TAB.replace("\n", "\r"), 2e-6, 0.0, ("V", "A")),
        ("\ufeff" + TAB, 2e-6, 0.0, ("V", "A")),
        (TAB.replace("\n", "\n\n"), 2e-6, 0.0, ("V", "A")),
    ],
    ids=["keysight", "picoscope", "rtb", "decimal comma", "tab", "crlf", "cr", "mark", "blank lines"],
)
def test_the_writers_and_delimiters(
    tmp_path: Path, text: str, dt_s: float, t0_s: float, units: tuple[str, str]
) -> None:
    first, second = waveforms(ADAPTER, place(tmp_path, "a.csv", text))
    assert (first.unit, second.unit) == units
    assert first.dt_s == second.dt_s == pytest.approx(dt_s)
    assert first.t0_s == pytest.approx(t0_s)
    assert first.samples.count == 3
    assert second.values().tolist() == [2, 4, 6]


def test_blank_separated_columns(tmp_path: Path) -> None:
    first, second = waveforms(ADAPTER, place(tmp_path, "a.txt", BLANKS))
    assert (first.dt_s, first.unit, second.values().tolist()) == (5e-10, "V", [2, 4, 6])


def test_a_rigol_sequence_column_is_a_count_and_no_time(tmp_path: Path) -> None:
    text = "X,CH1,Start,Increment,\nSequence,Volt,-3.0e-07,5.0e-10\n0,1,\n1,2,\n2,3,\n"
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", text))
    assert (waveform.t0_s, waveform.dt_s, waveform.unit) == (-3e-7, 5e-10, "V")
    gap = place(tmp_path, "gap.csv", text.replace("2,3,", "3,3,"))
    with pytest.raises(CorruptField) as caught:
        ADAPTER.read(gap)
    assert str(caught.value) == "gap.csv: the sequence numbers do not count on at line 5 (expected 2, found 3)"


def test_a_line_of_units_is_no_line_of_names(tmp_path: Path) -> None:
    rows = "".join(f"{i * 4e-6:.5e},{i},{-i}, \n" for i in range(5))
    for above, names in ((",CH2,CH4\n", ["CH2", "CH4"]), ("", ["column 2", "column 3"])):
        found = waveforms(ADAPTER, place(tmp_path, "a.csv", f"{above}Second,Volt,Ampere\n\n{rows}"))
        assert [(waveform.name, waveform.unit) for waveform in found] == list(zip(names, ("V", "A"), strict=True))
        assert found[0].warnings == ()


def test_a_line_that_nobody_understands_below_units_is_no_titles(tmp_path: Path) -> None:
    with pytest.raises(NotThisFormat, match=r"lines between the titles and the numbers .*found odd\)"):
        ADAPTER.read(place(tmp_path, "a.csv", "Second,Volt\nodd\n0,1\n1,2\n"))


def test_a_lecroy_table_has_segments(tmp_path: Path) -> None:
    text = (
        "LECROYWR64Xi,12345\nSegments,2,SegmentSize,3\nSegment,TrigTime,TimeSinceSegment1\n"
        "#1,20-Nov-2026 10:00:00,0\n#2,20-Nov-2026 10:00:01,0.5\nTime,Ampl\n"
        "-1e-9,1\n0,2\n1e-9,3\n-1.1e-9,4\n-0.1e-9,5\n0.9e-9,6\n"
    )
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.txt", text))
    assert [(part.count, part.t0_s, part.trigger_offset_s) for part in waveform.segments] == [
        (3, -1e-9, 0.0),
        (3, -1.1e-9, 0.5),
    ]
    assert waveform.dt_s == pytest.approx(1e-9)
    with pytest.raises(Truncated) as caught:
        ADAPTER.read(place(tmp_path, "b.txt", text.rpartition("0.9e-9")[0]))
    assert str(caught.value) == "b.txt: the header declares another number of rows (expected 6, found 5)"
    with pytest.raises(CountMismatch, match="another number of trigger lines than Segments"):
        ADAPTER.read(place(tmp_path, "c.txt", text.replace("#2,", "##,")))


TEKTRONIX = (
    "Model,MSO64\nLabel,\nWaveform Type,{kind}\nHorizontal Units,s\nSample Interval,4.0e-11\nRecord Length,3\n"
    "Zero Index,1.5\nVertical Units,V\n{extra}\nLabels,\nTIME,{names}\n"
)


def test_a_tektronix_table_starts_at_a_fraction_of_a_sample(tmp_path: Path) -> None:
    rows = "-6.0e-11,1\n-2.0e-11,2\n2.0e-11,3\n"
    text = TEKTRONIX.format(kind="ANALOG", extra="", names="REF1") + rows
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", text))
    assert (waveform.t0_s, waveform.dt_s, waveform.unit, waveform.name) == (-6e-11, 4e-11, "V", "REF1")
    for changed, message in (
        (text.replace("Length,3", "Length,4"), "the header declares another number of rows (expected 4, found 3)"),
        (text.replace("Length,3", "Length,2"), "the header declares another number of rows (expected 2, found 3)"),
        (text.replace("Index,1.5", "Index,2.5"), "the header's first time is not that of the first row"),
        (text.replace("4.0e-11\n", "4.3e-11\n"), "the header's sampling interval is not that of the times"),
        (text.replace("Record Length,3\n", ""), "the Tektronix header has no Record Length"),
    ):
        with pytest.raises(InstrumentError) as caught:
            ADAPTER.read(place(tmp_path, "b.csv", changed))
        assert message in str(caught.value)


def test_interleaved_i_and_q_are_no_waveform(tmp_path: Path) -> None:
    text = TEKTRONIX.format(kind="ANALOG", extra="IQ_span,1e6\n", names="REF6") + "-6e-11,1\n-2e-11,2\n2e-11,3\n"
    source = place(tmp_path, "iq.csv", text)
    assert ADAPTER.sniff(source).confidence is Confidence.LIKELY
    with pytest.raises(UnsupportedVersion) as caught:
        ADAPTER.read(source)
    assert str(caught.value) == (
        "iq.csv: this kind of Tektronix text waveform is not supported; export the .wfm file "
        "(expected ANALOG or DIGITAL, found interleaved I and Q)"
    )


def test_parallel_lines_become_words(tmp_path: Path) -> None:
    rows = "-6e-11,1,0\n-2e-11,0,1\n2e-11,1,1\n"
    text = TEKTRONIX.format(kind="DIGITAL", extra="", names="REF1_D3,REF1_D0") + rows
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "d.csv", text))
    assert (waveform.kind, waveform.unit, waveform.samples.dtype.str) == ("digital_lines", "logic level", "|u1")
    assert waveform.samples.array().tolist() == [8, 1, 9]
    assert waveform.vendor_metadata["lines"] == {"REF1_D3": 3, "REF1_D0": 0}
    with pytest.raises(CorruptField, match="a logic level is neither 0 nor 1"):
        ADAPTER.read(place(tmp_path, "e.csv", text.replace("1,1\n", "1,2\n")))


@pytest.mark.shared_data
def test_text_and_binary_of_the_same_capture_agree(shared_data: Path) -> None:
    from instruments.probing.tektronix_wfm import TektronixWfmAdapter

    folder = shared_data / "formats"
    (text,) = waveforms(ADAPTER, source_of(folder / "tek_csv" / "digital_waveform.csv"))
    (binary,) = waveforms(TektronixWfmAdapter(), source_of(folder / "tek_wfm" / "digital_waveform.wfm"))
    np.testing.assert_array_equal(text.samples.array(), binary.samples.array())
    assert (text.dt_s, text.kind, text.unit) == (binary.dt_s, binary.kind, binary.unit)
    (bare,) = waveforms(ADAPTER, source_of(folder / "rs_csv" / "rs_rtp_01.Wfm.csv"))
    payload = np.fromfile(folder / "rs_bin" / "rs_rtp_01.Wfm.bin", "<f4")[2 + 38 : 2 + 38 + 4000]
    np.testing.assert_allclose(bare.values(), payload, atol=5e-8)


def test_bits_of_lines_without_numbers_are_their_places() -> None:
    assert line_bits(("A_D1", "A_D0")) == (1, 0)
    assert line_bits(("A_D1", "A_D1")) == (0, 1)
    assert line_bits(("clk", "data")) == (0, 1)


def test_a_table_without_a_header_knows_no_unit_and_one_column_no_time(tmp_path: Path) -> None:
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", "0.5\n0.25\n-1\n"))
    assert (waveform.dt_s, waveform.t0_s, waveform.unit) == (None, None, "unknown")
    assert waveform.warnings == ("the file has no header: time axis, unit and where an acquisition begins are unknown",)
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "b.csv", "0,0.5\n1e-9,0.25\n2e-9,-1\n"))
    assert (waveform.dt_s, waveform.t0_s, waveform.unit) == (1e-9, 0.0, "unknown")
    assert ADAPTER.sniff(source_of(tmp_path / "b.csv")).confidence is Confidence.POSSIBLE


def test_two_columns_of_values_are_no_time_and_value(tmp_path: Path) -> None:
    text = "".join(f"{np.sin(i / 5):.4f},{i}\n" for i in range(50))
    with pytest.raises(CorruptField) as caught:
        ADAPTER.read(place(tmp_path, "a.csv", text))
    message = "if the first column is no time, which nothing in the file says, send the settings and samples that the"
    assert message in caught.value.message


def test_a_channel_that_begins_late_keeps_its_column(tmp_path: Path) -> None:
    rows = "".join(f"{i}e-6,{i},{i if i > 60 else ''}\n" for i in range(100))
    first, second = waveforms(ADAPTER, place(tmp_path, "a.csv", "x-axis,1,2\nsecond,Volt,Volt\n" + rows))
    assert (first.samples.count, second.samples.count) == (100, 100)
    assert np.isnan(second.values()[:61]).all()
    assert second.values()[61:].tolist() == list(range(61, 100))
    assert first.warnings == ("61 empty cells are not-a-number here",)


BESIDE = (
    "Record Length,4.0e+00,,-00.005000000000,  0.04000,\nSample Interval,4e-06,,-00.004996000000,  0.08000,\n"
    "Source,CH2,,-00.004992000000, -0.04000,\nVertical Units,V,,-00.004988000000,  0.12000,\n"
)


def test_a_header_beside_the_numbers(tmp_path: Path) -> None:
    """As oscilloscopes of the TDS series write it, with and without a comma at the end of each line."""
    for text in (BESIDE, BESIDE.replace(",\n", "\r\n")):
        source = place(tmp_path, "a.csv", text)
        assert ADAPTER.sniff(source).confidence is Confidence.LIKELY
        (waveform,) = waveforms(ADAPTER, source)
        assert (waveform.name, waveform.unit, waveform.dt_s, waveform.t0_s) == ("CH2", "V", 4e-6, -0.005)
        assert waveform.values().tolist() == [0.04, 0.08, -0.04, 0.12]
        assert waveform.warnings == ()
    short = place(tmp_path, "a.csv", BESIDE.replace("4.0e+00", "5.0e+00"))
    with pytest.raises(Truncated, match="the header declares another number of rows"):
        ADAPTER.read(short)
    slow = place(tmp_path, "a.csv", BESIDE.replace("4e-06", "5e-06"))
    with pytest.raises(CorruptField, match="the header's sampling interval is not that of the times"):
        ADAPTER.read(slow)


MSO4000 = (
    "Model,MSO4034\nFirmware Version,2.48\n\nPoint Format,Y,\nHorizontal Units,S,\nSample Interval,1e-09,\n"
    "Record Length,3,\nVertical Units,{units},\n,\n,\nLabel,,\nTIME,{names}\n"
)


def test_tektronix_headers_without_a_kind_and_a_zero_index(tmp_path: Path) -> None:
    text = MSO4000.format(units="V,A", names="CH1,CH2") + "-2e-9,1,4\n-1e-9,2,5\n0,3,6\n"
    first, second = waveforms(ADAPTER, place(tmp_path, "a.csv", text))
    assert [(one.unit, one.dt_s, one.t0_s) for one in (first, second)] == [("V", 1e-9, -2e-9), ("A", 1e-9, -2e-9)]
    text = MSO4000.format(units="V", names="CH1,CH2") + "-2e-9,1,4\n-1e-9,2,5\n0,3,6\n"
    _, second = waveforms(ADAPTER, place(tmp_path, "a.csv", text))
    assert (second.unit, second.warnings) == ("unknown", ("a value column has no unit",))
    text = MSO4000.format(units="V,V", names="D7,D1") + "-2e-9,1,0\n-1e-9,0,1\n0,1,1\n"
    (lines,) = waveforms(ADAPTER, place(tmp_path, "a.csv", "#" + text.replace("\n", "\n#", 11)))
    assert (lines.kind, lines.vendor_metadata["lines"]) == ("digital_lines", {"D7": 7, "D1": 1})
    assert lines.values().tolist() == [0x80, 0x02, 0x82]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MSO4000.format(units="V", names="CH1,,TIME,D1") + "0,1,,0,1\n1e-9,1,,1e-9,0\n", "two tables beside one"),
        (MSO4000.replace("Format,Y", "Format,ENV").format(units="V", names="CH1") + "0,1\n1e-9,1\n", "point format"),
        (BESIDE.replace("Source,CH2", "Pt Fmt,ENV"), "point format"),
        (BESIDE.replace("Source,CH2", "Horizontal Units,Hz"), "the horizontal unit is not the second"),
    ],
)
def test_tektronix_tables_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UnsupportedVersion, match=message):
        ADAPTER.read(place(tmp_path, "a.csv", text))


def test_lecroy_text_with_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    text = (
        "LECROYWR64Xi;12345;Waveform\nSegments;2;SegmentSize;3\nSegment;TrigTime;TimeSinceSegment1\n"
        "#1;01-Jan-2020 10:00:00;0\n#2;01-Jan-2020 10:00:01;0,5\nTime;Ampl\n"
    )
    rows = "".join(f"{time};0,25\n" for time in ("-1e-9", "0", "1e-9") * 2)
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.txt", text + rows))
    assert [part.trigger_offset_s for part in waveform.segments] == [0.0, 0.5]
    assert waveform.maximum == 0.25


def test_a_counting_column_gives_no_time(tmp_path: Path) -> None:
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", "sample,v\n0,1\n1,2\n"))
    assert (waveform.dt_s, waveform.t0_s) == (None, None)
    assert waveform.warnings == (
        "the first column counts samples: the time axis is unknown",
        "a value column has no unit",
    )


@pytest.mark.parametrize("skip", [1, 2, 50, 97, 98])
@pytest.mark.parametrize(("step", "form", "unit"), [(1e-9, ".3e", "s"), (1.0, ".0f", "ns"), (0.1, ".1f", "ms")])
def test_a_missing_sample_is_found(tmp_path: Path, skip: int, step: float, form: str, unit: str) -> None:
    whole = place(tmp_path, "whole.csv", table(f"time_{unit},v_V\n", step=step, form=form))
    assert waveforms(ADAPTER, whole)[0].samples.count == 100
    text = table(f"time_{unit},v_V\n", step=step, skip=skip, form=form)
    if form == ".1f":  # the step is the last printed digit: a gap cannot be told from rounding, and that is said
        (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", text))
        assert waveform.warnings == ("the times have too few digits to prove that no sample is missing",)
        return
    with pytest.raises(CorruptField) as caught:
        ADAPTER.read(place(tmp_path, "a.csv", text))
    assert str(caught.value).startswith(
        f"a.csv: the times are not evenly spaced at line {skip + 2} (expected a step of"
    )


@pytest.mark.parametrize(
    "times",
    [
        [0.0, 0.0, 1.0, 1.0, 2.0, 2.0],
        [0.0, 1.0, 2.0, 3.5, 4.0, 5.0],
        [0.0, 1.0, 3.0, 2.0, 4.0, 5.0],
        [0.0, 1.0, 4.0, 9.0, 16.0, 25.0],
        [5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    ],
    ids=["pairs", "one off", "swapped", "squares", "backwards", "constant"],
)
def test_times_that_are_no_regular_axis_are_refused(tmp_path: Path, times: list[float]) -> None:
    text = "time_s,v_V\n" + "".join(f"{time:.6f},0\n" for time in times)
    with pytest.raises(CorruptField, match=r"the times (are not evenly spaced|do not increase)"):
        ADAPTER.read(place(tmp_path, "a.csv", text))


def test_rounding_of_printed_times_is_no_irregularity(tmp_path: Path) -> None:
    for form in (".3e", ".4g", ".12e"):
        text = "time_s,v_V\n" + "".join(f"{1e-3 + i / 3 * 1e-4:{form}},0\n" for i in range(200))
        (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", text))
        assert waveform.dt_s == pytest.approx(1e-4 / 3, rel=1e-2)
    singles = "time_s,v_V\n" + "".join(f"{np.float32(1e-3 + i * 1e-9):.9e},0\n" for i in range(1000))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "b.csv", singles))
    assert waveform.dt_s == pytest.approx(1e-9, rel=1e-3)


def test_the_interval_is_that_of_n_minus_one_steps(tmp_path: Path) -> None:
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", table("time_s,v_V\n", rows=11, form=".9e")))
    assert waveform.dt_s == pytest.approx(1e-9, rel=1e-12)


def test_what_is_no_number_is_said_or_refused(tmp_path: Path) -> None:
    text = "time_s,a_V,b_V\n0,1,\n1,nan,2\n2,-inf,3\n3,4,1_0\n"
    with pytest.raises(CorruptField) as caught:
        ADAPTER.read(place(tmp_path, "a.csv", text))
    assert str(caught.value) == "a.csv: a cell is no number at line 5 (expected a number, found 1_0)"
    first, second = waveforms(ADAPTER, place(tmp_path, "b.csv", text.replace("1_0", "10")))
    np.testing.assert_array_equal(first.values(), [1, np.nan, -np.inf, 4])
    np.testing.assert_array_equal(second.values(), [np.nan, 2, 3, 10])
    assert (first.minimum, first.maximum, second.minimum, second.maximum) == (1, 4, 2, 10)
    assert first.warnings == (
        "1 empty cells are not-a-number here",
        "1 values are not a number",
        "1 values are infinite (out of range)",
    )
    for bad in ("", "nan", "inf"):
        with pytest.raises(CorruptField, match="a time is no finite number"):
            ADAPTER.read(place(tmp_path, "c.csv", text.replace("1_0", "10").replace("\n2,", f"\n{bad},")))


def test_rows_of_another_length_are_refused_with_their_line(tmp_path: Path) -> None:
    for row, found in (("1,2,3\n", 3), ("1\n", 1)):
        with pytest.raises(CorruptField) as caught:
            ADAPTER.read(place(tmp_path, "a.csv", f"time_s,v\n0,1\n{row}2,3\n"))
        message = f"the row has another number of cells than the first at line 3 (expected 2, found {found})"
        assert str(caught.value) == f"a.csv: {message}"


def test_the_last_row_may_not_be_cut(tmp_path: Path) -> None:
    whole = table("time_s,v_V\n", rows=20, form=".3e").replace(",", ",0.0")
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", whole.rstrip("\n")))
    assert waveform.warnings == ("the last line has no line end; its last value may be cut",)
    for length in range(1, len("1.900e-08,0.05")):
        with pytest.raises(Truncated):
            ADAPTER.read(place(tmp_path, "b.csv", whole[: -1 - length]) if length < 14 else place(tmp_path, "b", ""))


@pytest.mark.parametrize(
    "text",
    [
        "cycle,a\n0,1\n1,0\n",
        "cycle,output\n0,a\n",
        "instance,net,x_um,y_um\ng1,n1,0.5,1\n",
        "frequency_Hz,v_V\n0,1\n1,2\n",
        "lot,value\n1,2\n3,4\n",
        "X,Y\n1,2\n2,3\n",
        "time_mm,v\n1,2\n2,3\n",
        "no numbers at all\n",
        "",
        "1,2\n\x00\x01",
    ],
)
def test_other_tables_are_left_alone(tmp_path: Path, text: str) -> None:
    source = place(tmp_path, "a.csv", text)
    assert ADAPTER.sniff(source).confidence is Confidence.NO
    with pytest.raises(NotThisFormat):
        ADAPTER.read(source)


def test_a_single_sample_has_no_interval(tmp_path: Path) -> None:
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", "time_s,v_V\n0.5,1\n"))
    assert (waveform.dt_s, waveform.t0_s, waveform.samples.count) == (None, 0.5, 1)
    assert waveform.warnings == ("a single sample has no sampling interval",)


@pytest.mark.parametrize(
    ("cells", "largest", "step"),
    [
        (["-5.9599999e-06", "1.0e-06"], 6e-6, 1e-13),
        (["-500.004", "-500"], 500.004, 1e-3),
        (["0.000001", "0.001000"], 1e-3, 1e-6),
        (["0", "12"], 12.0, 0.0),
        (["0,5", "1,25"], 1.25, 1e-2),
    ],
)
def test_the_last_printed_digit(cells: list[str], largest: float, step: float) -> None:
    assert printed_step(cells, largest, "," in cells[0]) == pytest.approx(step)


def test_titles_carry_units() -> None:
    assert name_and_unit("Time (ms)") == ("Time", "ms")
    assert name_and_unit("v[mV]") == ("v", "mV")
    assert name_and_unit("t/s") == ("t", "s")
    assert name_and_unit("C1 in V") == ("C1", "V")
    assert name_and_unit("time_ns") == ("time", "ns")
    assert name_and_unit("ch1_mV") == ("ch1", "mV")
    assert name_and_unit("data_a") == ("data", "a")
    assert name_and_unit("plain") == ("plain", "")


@hypothesis_settings(max_examples=60, deadline=None, derandomize=True)
@given(
    columns=st.tuples(st.integers(1, 4), st.integers(2, 40), st.integers(0, 2**32 - 1)),
    dialect=st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("  ", ".")]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    dt=st.floats(1e-12, 1e-3),
    t0=st.floats(-1e-3, 1e-3),
)
def test_what_is_printed_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    columns: tuple[int, int, int],
    dialect: tuple[str, str],
    end: str,
    dt: float,
    t0: float,
) -> None:
    width, rows, seed = columns
    values = np.random.default_rng(seed).normal(size=(rows, width)) * 10.0 ** np.arange(-6, -6 + width)
    delimiter, mark = dialect
    lines = [delimiter.join(["time_s", *(f"c{index}_V" for index in range(width))])]
    for index, row in enumerate(values):
        cells = [f"{t0 + index * dt:.17e}", *(repr(float(value)) for value in row)]
        lines.append(delimiter.join(cell.replace(".", mark) for cell in cells))
    source = place(tmp_path_factory.mktemp("printed"), "a.csv", end.join([*lines, ""]))
    records = waveforms(ADAPTER, source)
    np.testing.assert_array_equal(np.stack([record.values() for record in records], axis=1), values)
    assert {record.unit for record in records} == {"V"}
    assert records[0].dt_s == pytest.approx(dt, rel=1e-6, abs=1e-17)
    assert records[0].t0_s == pytest.approx(t0)


@pytest.mark.parametrize("text", ["1.5\n", "1.5", "0,1\n"])
def test_a_single_line_without_a_header_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(NotThisFormat) as caught:
        ADAPTER.read(place(tmp_path, "a.csv", text))
    message = "a single line without a header is no waveform (expected 2 lines or more, found 1)"
    assert str(caught.value) == f"a.csv: {message}"


def history(rows: int = 20, acquisitions: int = 3) -> list[str]:
    """The lines of a history without a header: time and value."""
    times = [-1e-6 + 1e-9 * row for row in range(rows)]
    return [f"{time:.12g},{number + row:.3f}" for number in range(acquisitions) for row, time in enumerate(times)]


def test_times_that_begin_again_are_acquisitions(tmp_path: Path) -> None:
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "h.Wfm.csv", "\n".join(history()) + "\n"))
    assert [(segment.count, segment.trigger_offset_s) for segment in waveform.segments] == [(20, None)] * 3
    assert [segment.t0_s for segment in waveform.segments] == pytest.approx([-1e-6] * 3)
    assert waveform.dt_s == pytest.approx(1e-9)
    assert waveform.samples.array()[20:23].tolist() == [1.0, 2.0, 3.0]
    assert waveform.warnings == (
        "the file has no header: the first column is taken for seconds, the unit is unknown",
        "the times begin again: each acquisition is a segment, and when it was triggered is not known",
    )


@pytest.mark.parametrize("missing", [7, 25, 59])
def test_a_history_with_a_missing_row_is_refused(tmp_path: Path, missing: int) -> None:
    lines = history()
    del lines[missing]
    with pytest.raises(CorruptField, match=r"the times are not evenly spaced; .* at line"):
        ADAPTER.read(place(tmp_path, "h.Wfm.csv", "\n".join(lines) + "\n"))


def test_a_history_of_two_rates_is_refused(tmp_path: Path) -> None:
    lines = [*history(acquisitions=2), *(f"{-1e-6 + 2e-9 * row:.12g},0" for row in range(20))]
    with pytest.raises(CorruptField, match=r"the times are not evenly spaced; .* at line"):
        ADAPTER.read(place(tmp_path, "h.Wfm.csv", "\n".join(lines) + "\n"))


def test_a_long_text_is_the_same_as_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(1).normal(size=500) * 10.0 ** np.arange(-250, 250)
    lines = [f"{row},{number!r}" for row, number in enumerate(numbers.tolist())]
    text = "time_s,v_V\n" + "\n".join([*lines, "500,nan", "501,-inf", "502,+1.5", "503, 2.5 "]) + "\n"
    source = place(tmp_path, "a.csv", text)
    (short,) = waveforms(ADAPTER, source)
    for longest in (1, 300):
        monkeypatch.setattr(delimited_text, "LONG_BYTES", longest)
        (long,) = waveforms(ADAPTER, source)
        np.testing.assert_array_equal(long.samples.array(), short.samples.array())
        assert long.warnings == short.warnings
    np.testing.assert_array_equal(short.samples.array()[:500], numbers)


@pytest.mark.parametrize("cell", ["0x1A", "1_000", "null", "NA", "1e", "--1", "1.5.2", "#N/A", "true"])
def test_what_is_no_number_is_none_in_a_long_text(tmp_path: Path, cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited_text, "LONG_BYTES", 1)
    with pytest.raises(CorruptField) as caught:
        ADAPTER.read(place(tmp_path, "a.csv", f"time_s,v_V\n0,1\n1,2\n2,{cell}\n3,4\n"))
    assert str(caught.value) == f"a.csv: a cell is no number at line 4 (expected a number, found {cell})"


@pytest.mark.parametrize("long", [False, True])
def test_a_carriage_return_inside_a_number_does_not_join_its_parts(
    tmp_path: Path, long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``2.5e-01`` whose sign became a carriage return is not 25."""
    monkeypatch.setattr(delimited_text, "LONG_BYTES", 1 if long else 1 << 18)
    for cell in ("2.5e\r01", "\r2.5", "2.5\r"):
        with pytest.raises(CorruptField, match="a carriage return stands inside the row at line 4"):
            ADAPTER.read(place(tmp_path, "a.csv", f"time_s,v_V\r\n0,1\r\n1,2\r\n2,{cell},\r\n3,4\r\n"))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "b.csv", "time_s,v_V\r\r\n0,1\r\r\n1,2\r\r\n2,3\r\r\n"))
    assert waveform.samples.array().tolist() == [1, 2, 3]


SIGLENT = (
    "Record Length,Analog:4,\nSample Interval,Analog:5.000000E-05,\nVertical Units,CH3:V,CH1:A,\nSource,CH3,CH1,\n"
    "Second,Value,Value\n+1.240000E+01,1,2\n+1.240005E+01,3,4\n+1.240010E+01,5,6\n+1.240015E+01,7,8\n"
)


def test_lines_above_the_titles_name_channels_and_count(tmp_path: Path) -> None:
    found = waveforms(ADAPTER, place(tmp_path, "a.csv", SIGLENT))
    assert [(waveform.name, waveform.unit) for waveform in found] == [("CH3", "V"), ("CH1", "A")]
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "b.csv", "Source,CH2\nSecond,Volt\n0,1\n1e-8,2\n2e-8,3\n"))
    assert (waveform.name, waveform.unit) == ("CH2", "V")
    with pytest.raises(Truncated) as caught:
        ADAPTER.read(place(tmp_path, "c.csv", SIGLENT.replace("Analog:4,", "Analog:4000,")))
    assert str(caught.value) == "c.csv: the header declares another number of rows (expected 4000, found 4)"
    with pytest.raises(CountMismatch, match="the header declares two different numbers of samples"):
        ADAPTER.read(place(tmp_path, "d.csv", '"Number of Data points =",3,\n' + SIGLENT))


def test_lines_without_a_cell_after_the_rows_are_none(tmp_path: Path) -> None:
    text = '"Number of Data points =",4,\n"Time (s)","Voltage (V)",\n' + "".join(f"{i}E-9,{i},\n" for i in range(4))
    for end in (",,\n", ",,", ",,\n\n,,\r\n \n"):
        (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", text + end))
        assert (waveform.samples.count, waveform.warnings) == (4, () if end.endswith("\n") else waveform.warnings)
    with pytest.raises(CorruptField, match="a time is no finite number"):
        ADAPTER.read(place(tmp_path, "b.csv", text.partition("\n")[2] + ",,\n4E-9,4,\n"))


def test_titles_in_a_comment_are_titles_and_other_units_in_one_are_a_doubt(tmp_path: Path) -> None:
    rows = "0,1\n1,2\n2,3\n"
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", "# made by hand\n# time_us,probe_mV\n" + rows))
    assert (waveform.name, waveform.unit, waveform.dt_s) == ("probe", "mV", 1e-6)
    with pytest.raises(UnsupportedVersion) as caught:
        ADAPTER.read(place(tmp_path, "b.csv", "#CHANNEL:CH1\n#CLOCK=0.05(uS)\n#UNITS:V\n" + rows))
    assert str(caught.value) == (
        "b.csv: a comment names a unit of time and nothing says whether it is the first column's; "
        "put a line of titles such as time_s,value above the rows at line 2 (found uS)"
    )


STAMPED = "CH1V,CH2(V),t0 =-2.0e-08, tInc = 1.0e-08,\n"


@pytest.mark.parametrize("title", ["", "Time(s),"])
def test_a_first_time_and_an_interval_beside_the_titles_are_the_axis(tmp_path: Path, title: str) -> None:
    rows = [f"{index},{-index},," for index in range(5)]
    if title:
        rows = [f"{(index - 2) * 1e-8:.2e},{row}" for index, row in enumerate(rows)]
    found = waveforms(ADAPTER, place(tmp_path, "a.csv", title + STAMPED + "\n".join(rows) + "\n"))
    assert [(item.name, item.unit, item.dt_s, item.t0_s) for item in found] == [
        ("CH1", "V", 1e-8, -2e-8),
        ("CH2", "V", 1e-8, -2e-8),
    ]
    assert found[1].values().tolist() == [0, -1, -2, -3, -4]
    assert found[0].vendor_metadata["writer"] == "rigol"


def test_printed_times_that_contradict_the_interval_beside_the_titles_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"{index * 2e-8:.2e},{index},{index},,\n" for index in range(5))
    with pytest.raises(CorruptField, match="the header's sampling interval is not that of the times"):
        ADAPTER.read(place(tmp_path, "a.csv", "Time(s)," + STAMPED + rows))


def test_a_column_beside_the_channels_that_is_no_time_in_seconds_is_refused(tmp_path: Path) -> None:
    for title in ("Sample", "Time(ms)"):
        text = f"{title},{STAMPED}" + "".join(f"{index},{index},{index},,\n" for index in range(5))
        with pytest.raises(CorruptField, match="the first column is neither a time in seconds nor a channel"):
            ADAPTER.read(place(tmp_path, "a.csv", text))


def test_empty_columns_at_the_end_are_none(tmp_path: Path) -> None:
    text = "time (s),V1 (V),,,\n" + "".join(f"{index}.0,{index},,,\n" for index in range(4))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "a.csv", text))
    assert (waveform.name, waveform.samples.count, waveform.warnings) == ("V1", 4, ())
    (_, named) = waveforms(ADAPTER, place(tmp_path, "b.csv", text.replace("V1 (V),,", "V1 (V),V2 (V),")))
    assert (named.name, named.minimum, named.warnings) == ("V2", None, ("4 empty cells are not-a-number here",))
    with pytest.raises(CorruptField, match="the header names another number of columns than the rows have"):
        ADAPTER.read(place(tmp_path, "c.csv", text.replace("2.0,2,,,", "2.0,2,7,,")))
    long = "time (s),V1 (V),,,\n" + "".join(f"{index}.0,{index},,,\n" for index in range(90))
    with pytest.raises(CorruptField, match="the row has another number of cells than the first at line 82"):
        ADAPTER.read(place(tmp_path, "d.csv", long.replace("80.0,80,,,", "80.0,80,,7,")))


def test_ultrascope_gives_its_first_column_no_unit_and_spreads_its_times(tmp_path: Path) -> None:
    """1024 samples at 10 us stand over 1023 intervals, as in DS1102D-A.csv of RigolWFM."""
    count, dt_s = 1024, 1e-5
    times = [-0.004688 + index * dt_s * count / (count - 1) for index in range(count)]
    rows = "".join(f"{time:.8f},{index % 7}.08,0.24\n" for index, time in enumerate(times))
    found = waveforms(ADAPTER, place(tmp_path, "a.csv", "X,CH 1 (V),CH 2 (V)\n" + rows))
    assert [(item.name, item.unit, item.t0_s) for item in found] == [("CH 1", "V", -0.004688), ("CH 2", "V", -0.004688)]
    assert found[0].warnings == (
        "the time column has no unit; seconds are assumed",
        "the times seem to be spread over 1023 instead of 1024 intervals: the true one may be 1e-05 s",
    )
    even = "".join(f"{index * 1e-5:.8f},1.0\n" for index in range(8))
    (waveform,) = waveforms(ADAPTER, place(tmp_path, "b.csv", "X,CH1 (V)\n" + even))
    assert (waveform.dt_s, len(waveform.warnings)) == (pytest.approx(1e-5), 1)
    with pytest.raises(NotThisFormat, match="the first column has no unit of time"):
        ADAPTER.read(place(tmp_path, "c.csv", "X,Y (mm)\n" + even))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_text_of_two_bytes_a_character(tmp_path: Path, encoding: str) -> None:
    text = "\ufeff" * (encoding == "utf-16-be") + "Zeit (µs);Kanal 1 (V)\r\n"
    text += "".join(f"{index}0,5;{index},25\r\n" for index in range(9))
    source = place(tmp_path, "a.txt", text.encode(encoding))
    assert ADAPTER.sniff(source).confidence is Confidence.LIKELY
    (waveform,) = waveforms(ADAPTER, source)
    assert (waveform.name, waveform.unit, waveform.dt_s) == ("Kanal 1", "V", pytest.approx(1e-5))
    assert waveform.values().tolist() == [index + 0.25 for index in range(9)]


def test_damaged_or_long_text_of_two_bytes_a_character_is_refused(tmp_path: Path, monkeypatch) -> None:
    data = ("time (s),v (V)\n" + "0,1\n1,2\n2,3\n").encode("utf-16")
    with pytest.raises(CorruptField, match="the text begins as UTF-16 and is none at byte"):
        ADAPTER.read(place(tmp_path, "a.csv", data[:-1]))
    monkeypatch.setattr(delimited, "KEPT_BYTES", 20)
    with pytest.raises(ReadingLimit, match="a table in UTF-16 is too large to be read; save it as UTF-8"):
        ADAPTER.read(place(tmp_path, "b.csv", data))

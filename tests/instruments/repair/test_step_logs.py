"""Laser and beam logs: one vocabulary from three syntaxes, units converted exactly, everything doubtful said."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.errors import CorruptField, CountMismatch, InstrumentError, NotThisFormat, UnsupportedVersion
from instruments.records import Table
from instruments.repair.fib_log import FibLogAdapter
from instruments.repair.laser_log import LaserLogAdapter
from tests.instruments.repair.logs import FIB_CSV, FIB_JSON, FIB_XML, LASER_CSV, LASER_JSON
from tests.instruments.repair.sources import read_all, written

LASER, FIB = LaserLogAdapter(), FibLogAdapter()


def read_one(tmp_path: Path, content: str | bytes, adapter: LaserLogAdapter | FibLogAdapter = FIB) -> Table:
    _, (table,) = read_all(adapter, written(tmp_path, "job.log", content))
    return table


def refusal(tmp_path: Path, content: str | bytes) -> tuple[type[InstrumentError], str]:
    source = written(tmp_path, "job.log", content)
    with pytest.raises(InstrumentError) as caught:
        read_all(FIB, source)
    return type(caught.value), str(caught.value)


def test_a_laser_log_as_csv(tmp_path):
    table = read_one(tmp_path, LASER_CSV, LASER)
    assert (table.kind, table.name) == ("repair_step", "job")
    assert table.columns["pulse_s"].tolist() == [3.5e-13, 3.5e-13]
    assert table.columns["energy_uj"][0] == 1.5
    assert np.isnan(table.columns["energy_uj"][1])
    assert table.columns["fluence_j_cm2"].tolist() == [0.35, 0.2]
    assert table.columns["depth_nm"][0] == 1250.0
    assert table.columns["step_type"].tolist() == ["coarse", "fine"]
    assert table.columns["Score"].tolist() == [7, 8.5]
    assert table.units["pulse_s"] == "s"
    assert table.vendor_metadata["log"] == {"tool": "LR-7", "steps": "2"}
    assert table.vendor_metadata["columns"]["depth_nm"] == "Depth [µm]"
    assert table.warnings == ()


def test_a_laser_log_as_json_lines_with_nested_names(tmp_path):
    table = read_one(tmp_path, LASER_JSON, LASER)
    assert table.columns["wavelength_nm"].tolist() == [515, 1030]
    assert table.columns["power_mw"][0] == 250
    assert table.columns["beam_shift_x_um"][0] == 2.5
    assert table.columns["x_um"][0] == 500
    assert table.columns["tilt_deg"][0] == 30
    assert table.columns["dwell_s"][0] == 1.5e-3
    assert table.columns["passes"][0] == 4
    assert table.columns["pitch_x_um"][0] == 0.5
    assert table.columns["scan_type"].tolist() == ["raster", ""]
    assert table.columns["depth_nm"][0] == 1250
    assert table.columns["note"].tolist() == ["", "[1, 2]"]
    assert table.warnings == ()


@pytest.mark.parametrize("content", [FIB_CSV, FIB_XML, FIB_JSON])
def test_a_beam_log_in_each_syntax(tmp_path, content):
    table = read_one(tmp_path, content)
    assert table.columns["step"].tolist() == [1, 2]
    assert table.columns["beam_kv"].tolist() == [30, 5]
    assert table.columns["beam_na"].tolist() == [65, 0.04]
    assert table.columns["gas"].tolist() == ["", "XeF2"]
    assert table.columns["time_s"][0] == 90
    assert table.warnings == ()


def test_an_xml_log_in_the_encoding_that_it_says(tmp_path):
    text = '<?xml version="1.0" encoding="iso-8859-1"?><log><step number="1" gas="Säure"/></log>'
    assert read_one(tmp_path, text.encode("latin-1")).columns["gas"].tolist() == ["Säure"]


def test_details_of_the_beam_logs(tmp_path):
    table = read_one(tmp_path, FIB_XML)
    assert table.columns["depth_nm"][0] == 512.5
    assert table.columns["dwell_s"][0] == 2.5e-6
    assert table.columns["passes"][0] == 3
    assert table.columns["defect_id"].tolist() == ["D17", "D17"]
    assert table.vendor_metadata["log"] == {"tool": "FX-2", "steps": "2", "operator": "nn"}
    assert read_one(tmp_path, FIB_JSON).columns["dwell_s"].tolist() == [2.5e-6, 1e-7]
    assert read_one(tmp_path, FIB_CSV).columns["end_point"].tolist() == ["current drop", "time"]


def test_a_quantity_without_a_unit_is_not_guessed(tmp_path):
    table = read_one(tmp_path, "step,beam_kv,Depth\n1,30,12\n")
    assert "depth_nm" not in table.columns
    assert table.columns["Depth"].tolist() == [12]
    assert table.warnings == ("the column Depth has no unit and is kept as it stands",)


def test_order_and_times_are_doubted(tmp_path):
    text = (
        "step,beam_kv,started,ended,time_s\n"
        "2,30,2024-01-01T10:00:00,2024-01-01T10:01:00,300\n"
        "1,30,2024-01-01T09:00:00,,5\n"
        "3,30,03-10-2024 16:14:29,,5\n"
    )
    assert read_one(tmp_path, text).warnings == (
        "1 steps have a lower number than the step before",
        "1 times in started are not ISO 8601 and were not checked",
        "times in started have no time zone",
        "times in ended have no time zone",
        "1 steps begin before the step above them",
        "1 steps took longer than from their begin to their end",
    )


def test_steps_of_several_jobs_may_have_the_same_numbers(tmp_path):
    table = read_one(tmp_path, "job;step;beam_kv\nA;1;30\nB;1;30\nA;2;30\n")
    assert table.columns["job"].tolist() == ["A", "B", "A"]
    assert table.warnings == ()


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            "step,beam_kv,depth [furlong]\n1,30,1\n",
            UnsupportedVersion,
            "the unit of the column depth [furlong] is not known (expected a known unit, found furlong)",
        ),
        (
            "step,beam_kv,depth [s]\n1,30,1\n",
            CorruptField,
            "the column depth [s] is not measured in s (expected nm, found s)",
        ),
        (
            "step,beam_kv\n1,30\n2,x\n",
            CorruptField,
            "beam_kv is no number at line 3 (found x)",
        ),
        ("step,beam_kv\n1,nan\n", CorruptField, "beam_kv is no number at line 2 (found nan)"),
        ("step,beam_kv\n1.5,1\n", CorruptField, "step is no whole number at line 2 (found 1.5)"),
        ("step,beam_na\n1,-1\n", CorruptField, "beam_na is negative at line 2 (found -1.0)"),
        (
            "# a: b\n\nstep,beam_kv\n1,1\n1,2\n",
            CorruptField,
            "two steps have the same number at line 5 (found 1)",
        ),
        ("beam_kv,gas\n1,x\n", CorruptField, "the log does not number its steps"),
        (
            "step,beam_kv,voltage [V]\n1,1,1000\n",
            CorruptField,
            "the columns beam_kv and voltage [V] both mean beam_kv",
        ),
        (
            "step,beam_kv\n1,1,1\n",
            CorruptField,
            "the row has another number of cells than the header at line 2 (expected 2, found 3)",
        ),
        ("step,beam_kv,step\n1,1,1\n", CorruptField, "the column 'step' appears twice at line 1"),
        ("step,,beam_kv\n1,1,1\n", CorruptField, "a column has no name at line 1"),
        ('step,gas\n1,"x\n', CorruptField, "the table is damaged: unexpected end of data at line 2"),
        (
            "# steps: 3\nstep,beam_kv\n1,1\n",
            CountMismatch,
            "the log does not hold as many steps as it says (expected 3, found 1)",
        ),
        (
            'step,gas,beam_kv\n1,"two\nlines",1\n',
            CountMismatch,
            "the rows are not as many as the lines that hold any (expected 2, found 1)",
        ),
        (
            "step,beam_kv,started,ended\n1,1,2024-01-01T10:00:00,2024-01-01T09:00:00\n",
            CorruptField,
            "the step ends before it begins at line 2 (found 2024-01-01T09:00:00)",
        ),
        (
            '{"step": 1, "beam_kv": 1}\n{"step": 2, "beam_kv": NaN}\n',
            CorruptField,
            "the line is no JSON: NaN is no number at line 2",
        ),
        ('{"step": 1, "beam_kv": 1e999}\n', CorruptField, "a number is not finite at line 1"),
        (
            '{"step": 1, "beam_kv": 1}\n[2]\n',
            CorruptField,
            "the line is no JSON object at line 2 (found [2])",
        ),
        ('{"step": 1, "a": {"b": 1}, "a_b": 2}\n', CorruptField, "a_b is given twice at line 1"),
        (
            '{"step": 1, "depth": {"value": 1, "unit": "um"}}\n{"step": 2, "depth": {"value": 1, "unit": "nm"}}\n',
            CorruptField,
            "depth is given in two units (expected um, found nm)",
        ),
        (
            '{"step": 1, "a": ' + '{"a": ' * 20 + "1" + "}" * 20 + "}\n",
            CorruptField,
            "the objects are nested too deeply at line 1",
        ),
        (
            '<!DOCTYPE log [<!ENTITY x SYSTEM "file:///etc/passwd">]><log><step number="1" gas="&x;"/></log>',
            CorruptField,
            "the XML has a document type or entities, which are not read",
        ),
        (
            '<log>\n<step number="1"></log>',
            CorruptField,
            "the XML is damaged: mismatched tag: line 2, column 19 at line 2",
        ),
        (
            '<log><step number="1" gas="a"><gas>b</gas></step></log>',
            CorruptField,
            "row 1 gives gas twice",
        ),
        (
            '<log steps="2"><step number="1" gas="a"/></log>',
            CountMismatch,
            "the log does not hold as many steps as it says (expected 2, found 1)",
        ),
        (
            '<log><step number="1" beam_kv="x"/></log>',
            CorruptField,
            "beam_kv is no number in step 1 of the file (found x)",
        ),
        (
            '<?xml version="1.0" encoding="u9f-8"?><log><step number="1"/></log>',
            CorruptField,
            "the XML is damaged: unknown encoding: u9f-8",
        ),
        (b"step,gas\n1,\x81\n", NotThisFormat, "the log is no text at byte 11"),
    ],
)
def test_refusals(tmp_path, text, kind, message):
    assert refusal(tmp_path, text) == (kind, f"job.log: {message}")


@pytest.mark.parametrize(
    ("content", "laser", "fib"),
    [
        (LASER_CSV, Confidence.CERTAIN, Confidence.NO),
        (LASER_JSON, Confidence.CERTAIN, Confidence.NO),
        (FIB_CSV, Confidence.NO, Confidence.CERTAIN),
        (FIB_XML, Confidence.NO, Confidence.CERTAIN),
        (FIB_JSON, Confidence.NO, Confidence.CERTAIN),
        ("step,wavelength_nm,beam_kv\n1,515,30\n", Confidence.CERTAIN, Confidence.NO),
        ("cycle,output\n", Confidence.NO, Confidence.NO),
        ("time_s,beam_kv\n", Confidence.NO, Confidence.NO),
        ("step,value\n", Confidence.NO, Confidence.NO),
        ("", Confidence.NO, Confidence.NO),
        (b"\x00\xff\x00", Confidence.NO, Confidence.NO),
    ],
)
def test_each_knows_its_own(tmp_path, content, laser, fib):
    source = written(tmp_path, "x", content)
    assert (LASER.sniff(source).confidence, FIB.sniff(source).confidence) == (laser, fib)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_logs_are_read_or_refused(tmp_path_factory, data):
    original = data.draw(st.sampled_from([LASER_CSV, LASER_JSON, FIB_CSV, FIB_XML, FIB_JSON])).encode()
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        if data.draw(st.booleans()):
            damaged[place] = data.draw(st.integers(0, 255))
        elif place:
            del damaged[place : place + data.draw(st.integers(1, 5))]
    folder = tmp_path_factory.mktemp("damaged")
    try:
        _, (table,) = read_all(FIB, written(folder, "x.log", bytes(damaged)))
    except InstrumentError as refused:
        message = str(refused)
    else:
        message = "x.log: read"
        assert all(len(values) == table.row_count for values in table.columns.values())
    assert message.startswith("x.log: ")


def test_decimal_commas_and_the_encoding_of_windows(tmp_path):
    text = "Step;Beam [kV];Pixel dwell;Depth [\xb5m];Gas\r\n1;30;2,5 \xb5s;0,5125;a,b\r\n2;5;100 ns;0,02;XeF2\r\n\r\n"
    table = read_one(tmp_path, text.encode("cp1252"))
    np.testing.assert_allclose(table.columns["dwell_s"], [2.5e-6, 1e-7])
    np.testing.assert_allclose(table.columns["depth_nm"], [512.5, 20.0])
    assert table.columns["gas"].tolist() == ["a,b", "XeF2"]
    assert FIB.sniff(written(tmp_path, "job.log", text.encode("cp1252"))).confidence is Confidence.CERTAIN


def test_xml_in_utf_16(tmp_path):
    table = read_one(tmp_path, FIB_XML.replace("utf-8", "utf-16").encode("utf-16"))
    assert table.columns["depth_nm"].tolist()[0] == read_one(tmp_path, FIB_XML).columns["depth_nm"].tolist()[0]


def test_lines_that_end_with_a_delimiter(tmp_path):
    text = "Step,Beam (kilovolts),Gas,\n1,30,,\n2,5,XeF2,\n3,5,\n"
    table = read_one(tmp_path, text)
    assert (table.columns["beam_kv"].tolist(), table.columns["gas"].tolist()) == ([30, 5, 5], ["", "XeF2", ""])
    assert refusal(tmp_path, text.replace("XeF2,", "XeF2,7"))[1] == (
        "job.log: the row has another number of cells than the header at line 3 (expected 3, found 4)"
    )

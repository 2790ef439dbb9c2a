"""ATDF: the same tables as STDF from the same log, and every word of a refusal."""

from pathlib import Path

import numpy as np
import pytest

from instruments.adapter import Confidence
from instruments.electrical.atdf import AtdfAdapter
from instruments.electrical.stdf import StdfAdapter
from instruments.errors import InstrumentError
from instruments.records import Table
from tests.adapter_contract.cases import place_file
from tests.instruments.electrical.atdf_files import SAMPLE
from tests.instruments.electrical.stdf_writer import sample

DIFFERENT = {
    "program_revision",  # not in the text sample
    "temperature",
    "parameter_flags",  # the text form names the comparison once only
    "result_scale",
    "low_scale",
    "high_scale",
}


def read(folder: Path, text: str, name: str = "a.atdf") -> dict[str, Table]:
    format_name, tables = AtdfAdapter().read(place_file(folder, name, text.encode()))
    assert format_name == "atdf"
    return {table.kind: table for table in tables if isinstance(table, Table)}


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(InstrumentError) as caught:
        AtdfAdapter().read(place_file(folder, "a.atdf", text.encode()))
    return f"{type(caught.value).__name__}: {caught.value}"


def test_the_same_log_gives_the_same_tables_as_stdf(tmp_path: Path) -> None:
    _, expected = StdfAdapter().read(place_file(tmp_path, "a.stdf", sample().data()))
    found = read(tmp_path, SAMPLE)
    assert [table.kind for table in expected if isinstance(table, Table)] == list(found)
    for table in expected:
        assert isinstance(table, Table)
        other = found[table.kind]
        assert set(other.columns) == set(table.columns)
        assert other.warnings == table.warnings == ()
        for name in table.columns.keys() - DIFFERENT:
            np.testing.assert_array_equal(other.columns[name], table.columns[name], err_msg=f"{table.kind} {name}")


def test_any_delimiter_and_line_end_and_continuation(tmp_path: Path) -> None:
    other = SAMPLE.replace("|", ";").replace("\n", "\r\n").replace("PRR:1;1;A;", "PRR:1;1;\r\n A;")
    expected, found = read(tmp_path, SAMPLE), read(tmp_path, other)
    for kind, table in expected.items():
        for name, values in table.columns.items():
            np.testing.assert_array_equal(found[kind].columns[name], values)
    records = found["test_run"].vendor_metadata["records"]
    assert records["DTR"] == [{"TEXT_DAT": "hello"}]
    assert records["GDR"] == [{"GEN_DATA": ["U7", "F0.5", "Tx"]}]


def test_flags_decide_whether_a_value_may_be_used(tmp_path: Path) -> None:
    changed = SAMPLE.replace("PTR:100|1|2|0.625|P", "PTR:100|1|2|0.625||TD").replace("DTR:", "QQR:x\nDTR:")
    changed = changed.replace("PTR:100|1|1|0.5|P\n", "PTR:100|1|1||A\n")
    tables = read(tmp_path, changed)
    results = tables["test_result"].columns
    assert results["test_flags"][[1, 8]].tolist() == [0x48, 0x02]
    assert results["parameter_flags"][[1, 8]].tolist() == [0x02, 0x20]
    assert results["valid"][[1, 8]].tolist() == [False, False]
    assert results["value_as_recorded"][1] == 0.625
    assert np.isnan(results["value"][[1, 8]]).all()
    assert (results["passed"][[1, 8]].tolist(), results["failed"][[1, 8]].tolist()) == ([False, True], [False, False])
    assert tables["test_run"].warnings == ("1 records of the unknown type QQR are not read",)


def test_an_empty_limit_is_none_beside_another_and_else_unknown(tmp_path: Path) -> None:
    def states(row: str) -> list[str]:
        items = read(tmp_path, SAMPLE.replace("|V|0.25|0.75|", row))["test_item"].columns
        return [str(items["low_limit_state"][0]), str(items["high_limit_state"][0])]

    assert states("|V||0.75|") == ["none", "given"]
    assert states("|V|0.25||") == ["given", "none"]
    assert states("|V|||") == ["unknown", "unknown"]


def test_totals_that_differ_are_said_with_both_numbers(tmp_path: Path) -> None:
    changed = SAMPLE.replace("PCR:|||||", "PCR:||4").replace("HBR:||1|1|", "HBR:||1|5|").replace("|3|W1|", "|9|W1|")
    assert read(tmp_path, changed)["test_run"].warnings == (
        "part count: all sites declares 4 parts, the file has 3",
        "hard bin: all sites declares 5 in bin 1, the file has 1",
        "wafer count: wafer W1 declares 9 parts, the file has 3",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "|0.625|P",
            "|0.6x5|P",
            "CorruptField: a.atdf: RESULT of the record PTR is not right at line 11 (expected a number, found 0.6x5)",
        ),
        (
            "FAR:A|4",
            "FAR:A|3",
            "UnsupportedVersion: a.atdf: this version of STDF is not read at line 1 (expected 4, found 3)",
        ),
        (
            "22:13:20 14-NOV-2023",
            "2023-11-14",
            "CorruptField: a.atdf: SETUP_T of the record MIR is not right at line 2 "
            "(expected hh:mm:ss dd-MMM-yyyy, found 2023-11-14)",
        ),
        ("PIR:1|2", "PIR:1|", "CorruptField: a.atdf: the record PIR lacks its SITE_NUM at line 9"),
        (
            "PIR:1|2",
            "PIR:1|2|3",
            "CorruptField: a.atdf: the record PIR has more fields than it may have at line 9 (expected 2, found 3)",
        ),
        (
            "|0.625|P",
            "|0.625|Z",
            "CorruptField: a.atdf: a flag of the record PTR is not known at line 11 (found Z)",
        ),
        (
            "|4|-7|C||",
            "|4|-7|K||",
            "CorruptField: a.atdf: a flag of the record PRR is not known at line 20 (found K)",
        ),
        (
            "DTR:hel",
            "hel",
            "CorruptField: a.atdf: the line is neither a record nor the continuation of one at line 28 (found hel)",
        ),
        (
            "MRR:22:28:20 14-NOV-2023||done\n",
            "DTR:cu",
            "Truncated: a.atdf: the file ends inside its last record at line 31 (found DTR:cu)",
        ),
        (
            "MIR:",
            "FAR:A|4\nMIR:",
            "CorruptField: a.atdf: the file has more than one FAR record; it is several files in one "
            "(expected 1, found 2)",
        ),
        (SAMPLE, "PIR:1|1\n", "NotThisFormat: a.atdf: the file does not begin with FAR:A at byte 0"),
    ],
)
def test_every_word_of_a_refusal(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SAMPLE
    assert refusal(tmp_path, SAMPLE.replace(old, new, 1)) == message


def test_it_takes_only_its_own(tmp_path: Path) -> None:
    adapter = AtdfAdapter()
    for data in (b"FAR:AB|4", b"FAR:A", b"", b"FAR;A|4", sample().data(), b"time_s,v\n"):
        assert adapter.sniff(place_file(tmp_path, "x", data)).confidence is Confidence.NO
    assert adapter.sniff(place_file(tmp_path, "x", SAMPLE.encode())).confidence is Confidence.CERTAIN


def test_states_without_commas_and_delimiters_in_a_text(tmp_path: Path) -> None:
    text = SAMPLE.replace("|1,4|0.25,0.5|", "|1F|0.25,0.5|").replace("DTR:hel\n lo", "DTR:a|b")
    tables = read(tmp_path, text)
    states = tables["test_result"].columns["pin_state"].tolist()
    assert [state for state in states if state >= 0] == [1, 15, 1, 4]
    assert tables["test_run"].vendor_metadata["records"]["DTR"] == [{"TEXT_DAT": "a|b"}]


def test_records_as_the_specification_samples_them(tmp_path: Path) -> None:
    """Channels typed by a letter, commas in lists, records that go on after any field, generic data, a program."""
    text = (
        "FAR:A|4|2|U\nMIR:L7|P2|hot|node|T9\n |8:15:00 2-MAR-1999|8:20:00 2-MAR-1999|op\n |P|1|S1|HOT|N\n"
        "PMR:2|A|1-7|GND|MAIN GROUND|2|1\nPMR:3|17|1-8|A0||2|1\nPMR:4||1-9|A1||2|1\nPGR:12|Data Out|3,4\n"
        "PLR:2,3|20,21|H,H|H,L/H,H|1,0/M,L\nBPS:DC\nPIR:2|1\n"
        "PTR:5|2|1|997.5|F|AOH|Second layer|||\n A|-1.5|45.0| %9.4f|%7.2f|%7.2f|-1.75|45.25|3|3|4\n"
        "MPR:6|2|1||1.5,9.5|F|D|||LH|mA|1.0\n |2.0|4.5|.5|V|3,4\n"
        "FTR:7|2|1|P||BOARD|A1|5|16|2|3|6|3|0|\n 10,2|0,1|4,5|0,0|8|DRV\n |Driver||||2|2,3\n"
        "PRR:2|1|13|3|F|0|17|-2|7|||644|\n at the edge|F1\nEPS:\nGDR:Ttext|L-4|U255|F6.5|XFE\n"
        "MRR:12:17:00 2-MAR-1999|H|trouble|alarm\n"
    )
    tables = read(tmp_path, text)
    pins = tables["test_pin"].columns
    assert pins["channel"].tolist() == ["1-7", "1-8", "1-9"]
    np.testing.assert_array_equal(pins["channel_type"], [np.nan, 17, np.nan])
    assert pins["channel_type_text"].tolist() == ["A", "", ""]
    items = tables["test_item"].columns
    assert (items["unit"].tolist(), items["low_limit"].tolist()[:2]) == (["A", "mA", ""], [-1.5, 1.0])
    part = tables["test_part"].columns
    assert (part["text"].tolist(), part["repair"].tolist()) == (["at the edge"], ["F1"])
    assert tables["test_result"].columns["value_as_recorded"].tolist()[:3] == [997.5, 1.5, 9.5]

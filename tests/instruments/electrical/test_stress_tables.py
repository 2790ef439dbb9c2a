"""Readouts and lifetimes: units, censoring, truncation and counts, as text and as Parquet, and what is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.electrical import stress_columns
from instruments.electrical.lifetimes import LifetimesAdapter
from instruments.electrical.readouts import ReadoutsAdapter
from instruments.errors import InstrumentError, ReaderCrashed, ReadingLimit
from instruments.registry import Registry, read_source
from tests.instruments.electrical.stress_tables import LIFETIMES, READOUTS
from tests.instruments.mask.sources import read_all, written

LIVES, READS = LifetimesAdapter(), ReadoutsAdapter()
ONLY = Registry([LIVES, READS])
LIFE_COLUMNS = {
    "status": ["exact", "interval", "left", "right"],
    "time_h": [12.5, None, None, 1000.0],
    "lower_h": [None, 48.0, None, None],
    "upper_h": [None, 168.0, 48.0, None],
    "count": [1, 2, 1, 76],
}


def read_one(folder, adapter, content, name="t.csv"):
    _, (table,) = read_all(adapter, written(folder, name, content))
    return table


def parquet(columns, **options):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue().to_pybytes()


def refusal(folder, adapter, content, name="t.csv"):
    with pytest.raises(InstrumentError) as caught:
        read_all(adapter, written(folder, name, content))
    return type(caught.value).__name__, str(caught.value)


def test_lifetimes(tmp_path):
    table = read_one(tmp_path, LIVES, LIFETIMES)
    assert (table.kind, table.name, table.warnings) == ("lifetime", "t", ())
    assert table.columns["status"].tolist() == ["exact", "interval", "left", "right", "exact"]
    assert table.columns["count"].tolist() == [1, 2, 1, 76, 1]
    assert table.columns["count"].dtype == np.int64
    np.testing.assert_array_equal(table.columns["time_h"], [12.5, np.nan, np.nan, 1000, 700])
    np.testing.assert_array_equal(table.columns["lower_h"], [np.nan, 48, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(table.columns["upper_h"], [np.nan, 168, 48, np.nan, np.nan])
    np.testing.assert_array_equal(table.columns["entry_h"], [np.nan, np.nan, np.nan, np.nan, 24])
    assert table.columns["Oven"].tolist() == ["A", "A", "B", "B", "B"]
    assert {table.units[name] for name in ("time_h", "lower_h", "upper_h", "entry_h")} == {"h"}
    assert table.vendor_metadata["comments"] == {"rows": "5", "devices": "81"}


def test_a_row_without_a_count_is_one_device(tmp_path):
    table = read_one(tmp_path, LIVES, "status,time_h\nExact,3\n RIGHT ,10\n")
    assert (table.columns["count"].tolist(), table.columns["status"].tolist()) == ([1, 1], ["exact", "right"])


@pytest.mark.parametrize(
    ("heading", "hours"),
    [
        ("time_h", 90),
        ("time [h]", 90),
        ("time_s", 0.025),
        ("Time (min)", 1.5),
        ("time [hours]", 90),
        ("time_ms", 2.5e-5),
    ],
)
def test_times_in_other_units_become_hours(tmp_path, heading, hours):
    table = read_one(tmp_path, LIVES, f"status,{heading}\nexact,90\n")
    assert table.columns["time_h"].tolist() == pytest.approx([hours], rel=1e-15)


def test_readouts(tmp_path):
    table = read_one(tmp_path, READS, READOUTS)
    assert (table.kind, table.row_count, table.warnings) == ("readout", 3, ())
    assert table.columns["time_h"].tolist() == [0, 48, 48]
    assert table.columns["value"].tolist() == [0.45, 0.47, 1.5e-6]
    assert table.columns["unit"].tolist() == ["V", "V", "A"]
    assert table.columns["result"].tolist() == ["pass", "pass", "fail"]
    np.testing.assert_array_equal(table.columns["low_limit"], [0.4, 0.4, np.nan])


def test_doubts_about_readouts(tmp_path):
    text = "device_id,time_h,parameter,value,unit,high_limit,result\n" + "D1,0,vth,0.6,V,0.5,PASS\n" * 2
    assert read_one(tmp_path, READS, text).warnings == (
        "2 results pass although the value is outside its limits",
        "1 readouts repeat a parameter of a device at the same time",
    )


def test_lifetimes_from_parquet_are_those_from_text(tmp_path):
    table = read_one(tmp_path, LIVES, parquet(LIFE_COLUMNS, row_group_size=3), "t.parquet")
    for name, values in LIFE_COLUMNS.items():
        expected = [np.nan if value is None else value for value in values]
        np.testing.assert_array_equal(np.asarray(table.columns[name].tolist()), np.asarray(expected))
    assert (table.columns["count"].dtype, table.warnings) == (np.int64, ())


def test_readouts_from_parquet(tmp_path):
    serial = (1 << 60) + 1
    columns = {
        "device_id": [serial, 7],
        "time [min]": pa.array([0, 60], pa.float32()),
        "parameter": pa.array(["vth", "vth"]).dictionary_encode(),
        "value": [0.45, 0.5],
        "unit": ["V", "V"],
        "socket": pa.array([1, None], pa.int32()),
    }
    table = read_one(tmp_path, READS, parquet(columns), "t.parquet")
    assert table.columns["device_id"].tolist() == [str(serial), "7"]
    assert table.columns["time_h"].tolist() == [0, 1]
    np.testing.assert_array_equal(table.columns["socket"], [1, np.nan])


def test_parquet_is_read_by_the_one_whose_columns_it_has(tmp_path):
    lives = read_source(written(tmp_path, "a.parquet", parquet(LIFE_COLUMNS)), ONLY)
    assert (lives.adapter, lives.records[0].row_count) == ("lifetimes", 4)
    with pytest.raises(InstrumentError) as caught:
        read_source(written(tmp_path, "b.parquet", parquet({"a": [1]})), ONLY)
    assert str(caught.value) == "b.parquet: no adapter recognises this file"


HEAD = "status,time_h,lower_h,upper_h,count,entry_h,exit_h\n"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (HEAD + "dead,1,,,1,,\n", "CorruptField", "the status is none of exact, right, left and interval at line 2"
         " (found dead)"),
        (HEAD + ",1,,,1,,\n", "CorruptField", "status is missing at line 2 (found nothing)"),
        (HEAD + "right,9,,10,1,,\n", "CorruptField", "a row of status right has no upper_h at line 2"
         " (found 10.0)"),
        (HEAD + "exact,9,1,,1,,\n", "CorruptField", "a row of status exact has no lower_h at line 2"
         " (found 1.0)"),
        (HEAD + "exact,,,,1,,\n", "CorruptField", "a row of status exact needs time_h at line 2"
         " (found nothing)"),
        (HEAD + "left,9,,,1,,\n", "CorruptField", "a row of status left has no time_h at line 2"
         " (found 9.0)"),
        (HEAD + "interval,,5,,1,,\n", "CorruptField", "a row of status interval needs upper_h at line 2"
         " (found nothing)"),
        (HEAD + "exact,1,,,1,,\ninterval,,9,5,1,,\n", "CorruptField", "lower_h is not below upper_h at line 3"
         " (found 9.0)"),
        (HEAD + "left,,,0,1,,\n", "CorruptField", "upper_h is not above 0 at line 2 (found 0.0)"),
        (HEAD + "exact,-1,,,1,,\n", "CorruptField", "time_h is negative at line 2 (found -1.0)"),
        (HEAD + "exact,1,,,0,,\n", "CorruptField", "count is no whole number above 0 at line 2"
         " (found 0.0)"),
        (HEAD + "exact,1,,,1.5,,\n", "CorruptField", "count is no whole number above 0 at line 2"
         " (found 1.5)"),
        (HEAD + "exact,1,,,,,\n", "CorruptField", "count is no whole number above 0 at line 2"
         " (found nothing)"),
        (HEAD + "exact,inf,,,1,,\n", "CorruptField", "time_h is no number at line 2 (found inf)"),
        (HEAD + "exact,1_0,,,1,,\n", "CorruptField", "time_h is no number at line 2 (found 1_0)"),
        (HEAD + "exact,1,,,1,2,\n", "CorruptField", "time_h is before entry_h at line 2 (found 1.0)"),
        (HEAD + "exact,9,,,1,,8\n", "CorruptField", "time_h is after exit_h at line 2 (found 9.0)"),
        (HEAD + "exact,9,,,1,8,8\n", "CorruptField", "entry_h is not below exit_h at line 2"
         " (found 8.0)"),
        (HEAD + "exact,9,,,1,-8,\n", "CorruptField", "entry_h is negative at line 2 (found -8.0)"),
        ("status,time\nexact,1\n", "UnsupportedVersion", "the unit of the column time is not known"
         " (expected time_h or another unit of time, found time)"),
        ("status,time_cycles\nexact,1\n", "UnsupportedVersion", "the unit of the column time_cycles is not known"
         " (expected time_h or another unit of time, found time_cycles)"),
        ("status,time [fortnight]\nexact,1\n", "UnsupportedVersion", "the unit of the column time [fortnight] is not"
         " known (expected a known unit, found fortnight)"),
        ("status,time [V]\nexact,1\n", "CorruptField", "the column time [V] is not measured in V"
         " (expected h, found V)"),
        ("status,time_h,time_s\nexact,1,2\n", "CorruptField", "two columns mean time_h, time_s is the second"),
        ("time_h\n1\n", "NotThisFormat", "the table has no status"),
        ("# rows: 2\nstatus,time_h\nexact,1\n", "CountMismatch", "the table does not hold as many rows as it says"
         " (expected 2, found 1)"),
        (LIFETIMES.replace("devices: 81", "devices: 80"), "CountMismatch", "the table does not hold as many devices as"
         " it says (expected 80, found 81)"),
        ("status,time_h,count,device_id\nright,1,2,D1\n", "CorruptField", "a row of one device counts several at"
         " line 2 (found 2.0)"),
        ("status,time_h,temperature_c\nright,1,-300\n", "CorruptField", "temperature_c is below absolute zero at"
         " line 2 (found -300.0)"),
        ("status,time_h,humidity_percent\nright,1,101\n", "CorruptField", "humidity_percent is not between 0 and 100"
         " at line 2 (found 101.0)"),
        (b"status,time_h\n\x81", "NotThisFormat", "the table is no text at byte 14"),
    ],
)  # fmt: skip
def test_refusals_of_lifetimes(tmp_path, text, kind, message):
    assert refusal(tmp_path, LIVES, text) == (kind, f"t.csv: {message}")


READ_HEAD = "device_id,time_h,parameter,value,unit,low_limit,high_limit,result\n"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (READ_HEAD + "D1,-1,vth,1,V,,,\n", "CorruptField", "time_h is negative at line 2 (found -1.0)"),
        (READ_HEAD + "D1,1,vth,,V,,,\n", "CorruptField", "value is missing at line 2 (found nothing)"),
        (READ_HEAD + "D1,1,vth,1,,,,\n", "CorruptField", "unit is missing at line 2 (found nothing)"),
        (READ_HEAD + "D1,1,vth,1,V,3,2,\n", "CorruptField", "low_limit is above high_limit at line 2"
         " (found 3.0)"),
        (READ_HEAD + "D1,1,vth,1,V,,,maybe\n", "CorruptField", "the result is neither pass nor fail at line 2"
         " (found maybe)"),
        (READ_HEAD + "D1,1,vth,1,V,,,\nD1,2,vth,1,mV,,,\n", "CorruptField", "the parameter vth has two units, V before"
         " at line 3 (found mV)"),
        (READ_HEAD.replace("unit", "Unity") + "D1,1,vth,1,V,,,\n", "NotThisFormat", "the table has no unit"),
        (READOUTS.replace("devices: 2", "devices: 3"), "CountMismatch", "the table does not hold as many devices as it"
         " says (expected 3, found 2)"),
        (READOUTS.replace(",vth,0.47", ",vth"), "CorruptField", "the row has another number of cells than the header"
         " at line 4 (expected 9, found 8)"),
    ],
)  # fmt: skip
def test_refusals_of_readouts(tmp_path, text, kind, message):
    assert refusal(tmp_path, READS, text) == (kind, f"t.csv: {message}")


@pytest.mark.parametrize(
    ("columns", "kind", "message"),
    [
        (LIFE_COLUMNS | {"count": [1, 2, 1, 0]}, "CorruptField", "count is no whole number above 0 in row 4"
         " (found 0.0)"),
        (LIFE_COLUMNS | {"time_h": [float("inf"), None, None, 1000.0]}, "CorruptField", "time_h is no number in row 1"
         " (found inf)"),
        (LIFE_COLUMNS | {"time_h": [True, None, None, True]}, "UnsupportedVersion", "the column time_h is neither"
         " number nor text (expected numbers or text, found bool)"),
        (LIFE_COLUMNS | {"serial": [(1 << 60) + 1, None, 1, 2]}, "UnsupportedVersion", "the column serial has numbers"
         " too large to be kept exactly (expected double, found int64)"),
        ({"status": pa.array([b"\x8e"]).view(pa.string()), "time_h": [1.0]}, "CorruptField", "the column status is not"
         " UTF-8 text"),
        ({"status": ["right"], "time": [3.0]}, "UnsupportedVersion", "the unit of the column time is not known"
         " (expected time_h or another unit of time, found time)"),
    ],
)  # fmt: skip
def test_refusals_of_parquet(tmp_path, columns, kind, message):
    assert refusal(tmp_path, LIVES, parquet(columns), "t.parquet") == (kind, f"t.parquet: {message}")


def test_a_cut_parquet_file(tmp_path):
    data = parquet(LIFE_COLUMNS)
    kind, message = refusal(tmp_path, LIVES, data[:-5], "t.parquet")
    assert (kind, message.startswith("t.parquet: the Parquet file is damaged: ")) == ("CorruptField", True)


def test_a_small_parquet_file_that_unpacks_to_many_cells(tmp_path, monkeypatch):
    monkeypatch.setattr(stress_columns, "MAX_CELLS", 10)
    with pytest.raises(ReadingLimit) as caught:
        read_all(LIVES, written(tmp_path, "t.parquet", parquet(LIFE_COLUMNS)))
    assert str(caught.value) == ("t.parquet: the table has too many cells to be read whole (expected 10, found 20)")


@pytest.mark.parametrize(
    ("adapter", "content", "confidence"),
    [
        (LIVES, LIFETIMES, Confidence.CERTAIN),
        (LIVES, "status,time\n", Confidence.LIKELY),
        (LIVES, "time,b\n", Confidence.NO),
        (LIVES, "step,time_s,status\n1,90,done\n", Confidence.POSSIBLE),
        (LIVES, "status,time_s\n", Confidence.POSSIBLE),
        (LIVES, READOUTS, Confidence.NO),
        (LIVES, b"PAR1", Confidence.POSSIBLE),
        (READS, READOUTS, Confidence.CERTAIN),
        (READS, "device_id,time,parameter,value\n", Confidence.LIKELY),
        (READS, LIFETIMES, Confidence.NO),
        (READS, b"PAR1", Confidence.POSSIBLE),
        (READS, "", Confidence.NO),
    ],
)
def test_they_know_their_own(tmp_path, adapter, content, confidence):
    assert adapter.sniff(written(tmp_path, "t", content)).confidence is confidence


MUTANTS = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4)
SEEDS = {
    "lifetimes": LIFETIMES.encode(),
    "readouts": READOUTS.encode(),
    "packed lifetimes": parquet(LIFE_COLUMNS, compression="none"),
}


@pytest.mark.parametrize("seed", SEEDS)
@MUTANTS
@given(changes=CHANGES, cut=st.integers(0, 20))
def test_damaged_tables(tmp_path_factory, seed, changes, cut):
    """A damaged table is refused, or every row of it is consistent."""
    data = bytearray(SEEDS[seed])
    for place, value in changes:
        data[place % len(data)] = value
    adapter = seed.split()[-1]
    source = written(tmp_path_factory.mktemp("t"), "t", bytes(data[: len(data) - cut]))
    try:
        (table,) = read_source(source, ONLY, adapter).records
    except InstrumentError as error:
        if isinstance(error, ReaderCrashed):
            raise
        return
    if adapter == "lifetimes":
        assert (table.columns["count"] > 0).all()
        assert set(table.columns["status"].tolist()) <= {"exact", "right", "left", "interval"}
    else:
        assert (table.columns["time_h"] >= 0).all()
        assert np.isfinite(table.columns["value"]).all()


def test_decimal_commas_of_a_spreadsheet(tmp_path):
    text = "status;time [h];count;note\nexact;12,5;1;a,b\nright;1000;3;\n"
    table = read_one(tmp_path, LIVES, text.encode("utf-16"))
    np.testing.assert_array_equal(table.columns["time_h"], [12.5, 1000.0])
    assert table.columns["note"].tolist() == ["a,b", ""]
    assert table.warnings == ("numbers were read with a decimal comma",)
    assert LIVES.sniff(written(tmp_path, "t.csv", text.encode("utf-16"))).confidence is Confidence.CERTAIN


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("exact;1,250;7\n", "the numbers of time_h have a comma, which may separate thousands"),
        ("exact;1,25;7.5\n", "the numbers of time_h have a comma, and those of voltage_v a decimal point"),
    ],
)
def test_commas_that_may_be_thousands_are_refused(tmp_path, row, message):
    kind, said = refusal(tmp_path, LIVES, "status;time_h;voltage_v\n" + row)
    assert (kind, said) == ("CorruptField", f"t.csv: {message}; write them with a decimal point")


def test_the_words_of_programs_for_life_data_are_a_status(tmp_path):
    text = "Time (h),F/S,Number\n100,F,3\n200,s,5\n300,Failed,1\n400,Suspended,2\n500,exact,1\n"
    table = read_one(tmp_path, LIVES, text)
    assert table.columns["status"].tolist() == ["exact", "right", "exact", "right", "exact"]
    assert table.columns["count"].tolist() == [3, 5, 1, 2, 1]
    assert table.warnings == (
        "words of the status were read: f as exact, failed as exact, s as right, suspended as right",
    )
    kind, said = refusal(tmp_path, LIVES, text.replace("F,3", "censored,3"))
    assert (kind, said.partition(":")[2].partition(" at")[0]) == (
        "CorruptField",
        " the status is none of exact, right, left and interval",
    )

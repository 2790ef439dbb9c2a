"""STDF: what the tables say, and every word of a refusal or a doubt."""

import gzip
import math
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruments.electrical.stdf import StdfAdapter
from instruments.errors import InstrumentError, ReaderCrashed
from instruments.registry import Registry, read_source
from tests.instruments.electrical.stdf_writer import StdfWriter, sample, text
from tests.instruments.mask.sources import written

ONLY = Registry([StdfAdapter()])
EVERY_DEFAULT = 0x3F


def tables(folder, file, name="lot.stdf"):
    data = file if isinstance(file, bytes) else file.data()
    return {record.kind: record for record in read_source(written(folder, name, data), ONLY).records}


def rows(table, *names):
    return list(zip(*(table.columns[name].tolist() for name in names), strict=True))


def warnings(folder, file):
    return tables(folder, file)["test_run"].warnings


def refusal(folder, data, name="lot.stdf"):
    with pytest.raises(InstrumentError) as caught:
        read_source(written(folder, name, data), ONLY, "stdf")
    assert not isinstance(caught.value, ReaderCrashed)
    return type(caught.value).__name__, str(caught.value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_table_of_a_log_in_both_byte_orders(tmp_path, order, packed):
    data = sample(order).data()
    found = tables(tmp_path, gzip.compress(data) if packed else data)
    assert found["test_run"].warnings == ()
    assert rows(found["test_run"], "lot_id", "program", "temperature", "started_at", "finished_at") == [
        ("L1", "prog", "25C", "2023-11-14T22:15:00", "2023-11-14T22:28:20")
    ]
    assert rows(found["test_run"], "parts", "results", "complete", "station") == [(3, 9, True, 3.0)]
    assert math.isnan(found["test_run"].columns["burn_in_min"][0])
    assert rows(found["test_part"], "part_id", "site", "x", "y", "hard_bin", "passed", "failed", "superseded") == [
        ("A", 1, 4.0, -7.0, 2.0, False, True, True),
        ("B", 2, 5.0, -7.0, 2.0, False, True, False),
        ("A2", 1, 4.0, -7.0, 1.0, True, False, False),
    ]
    assert rows(found["test_part"], "wafer_index", "test_time_s", "results") == [(0, 1.5, 3), (0, 1.5, 3), (0, 1.5, 1)]
    assert rows(found["test_item"], "test_number", "kind", "name", "unit", "low_limit", "high_limit", "results") == [
        (100, "parametric", "vout", "V", 0.25, 0.75, 3),
        (200, "multiple", "leak", "A", 0.0, 1.0, 4),
        (300, "functional", "func", "", pytest.approx(math.nan, nan_ok=True), pytest.approx(math.nan, nan_ok=True), 2),
    ]
    assert rows(found["test_item"], "executions_declared", "failures_declared") == [(3, 0), (2, 1), (2, 1)]
    result = found["test_result"]
    assert rows(result, "part_index", "test_index", "element", "pin_index", "passed", "failed", "valid") == [
        (0, 0, 0, -1, True, False, True),
        (1, 0, 0, -1, True, False, True),
        (0, 1, 0, 1, True, False, True),
        (0, 1, 1, 2, True, False, True),
        (1, 1, 0, 1, False, True, True),
        (1, 1, 1, 2, False, True, True),
        (0, 2, 0, -1, False, True, False),
        (1, 2, 0, -1, True, False, False),
        (2, 0, 0, -1, True, False, True),
    ]
    np.testing.assert_array_equal(result.columns["value"], [0.5, 0.625, 0.25, 0.5, 0.75, 2.0, math.nan, math.nan, 0.5])
    assert result.columns["pin_state"].tolist() == [-1, -1, 1, 4, 1, 4, -1, -1, -1]
    functional = found["functional_result"]
    assert rows(functional, "result_index", "vector_name", "failing_pin_list", "returned_states")[0] == (
        6,
        "v",
        "2",
        "2=3",
    )
    np.testing.assert_array_equal(functional.columns["cycle"], [77, math.nan])
    np.testing.assert_array_equal(functional.columns["failing_pins"], [1, math.nan])
    np.testing.assert_array_equal(functional.columns["repeat_count"], [math.nan, math.nan])
    assert rows(found["bin_summary"], "bin_type", "bin", "quality", "count_declared", "count")[:2] == [
        ("hard", "1", "pass", 1.0, 1),
        ("hard", "2", "fail", 2.0, 2),
    ]
    assert rows(found["test_pin"], "pin_index", "physical_name", "groups") == [(1, "VDD", "ALL"), (2, "OUT", "ALL")]
    assert rows(found["test_wafer"], "wafer_id", "parts", "parts_declared", "good_declared") == [("W1", 3, 3.0, 1.0)]
    records = found["test_run"].vendor_metadata["records"]
    assert records["DTR"] == [{"TEXT_DAT": "hello"}]
    assert records["GDR"] == [{"FLD_CNT": 3, "GEN_DATA": [7, 0.5, "x"]}]


def part(*results, flags=0):
    file = StdfWriter().mir().pir()
    for result in results:
        result(file)
    return file.prr(tests=len(results), flags=flags).mrr()


def test_what_a_record_leaves_off_or_flags_is_the_first_records(tmp_path):
    first = {"name": "t", "options": 0x02, "limits": (1.0, 2.0), "scales": (3, 3, 3), "specs": (0.5, 2.5)}
    found = tables(
        tmp_path,
        part(
            lambda file: file.ptr(1, 1.5, **first),
            lambda file: file.ptr(1, 1.5),
            lambda file: file.ptr(1, 1.5, name="", options=EVERY_DEFAULT, limits=(-9.0, 9.0)),
            lambda file: file.ptr(1, 1.25, name="t", options=0x2E, limits=(1.125, 9.0)),
            lambda file: file.ptr(1, 1.5, name="t", options=0xCE, limits=(-9.0, 9.0)),
            lambda file: file.ptr(2, 1.5, name="u", options=0x3E, limits=(-9.0, 9.0)),
        ),
    )
    item = found["test_item"]
    assert rows(item, "test_number", "low_limit_state", "high_limit_state", "is_default", "results") == [
        (1, "given", "given", True, 3),
        (1, "given", "given", False, 1),
        (1, "none", "none", False, 1),
        (2, "unknown", "unknown", True, 1),
    ]
    nan = math.nan
    np.testing.assert_array_equal(item.columns["low_limit"], [1.0, 1.125, nan, nan])
    np.testing.assert_array_equal(item.columns["high_limit"], [2.0, 2.0, nan, nan])
    assert item.columns["result_scale"][0] == 3
    assert rows(item, "low_spec", "high_spec")[0] == (0.5, 2.5)
    assert found["test_result"].columns["test_index"].tolist() == [0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("flags", "valid", "passed", "failed"),
    [
        ((0x00, 0x00), True, True, False),
        ((0x80, 0x00), True, False, True),
        ((0x01, 0x00), False, True, False),
        ((0x02, 0x00), False, True, False),
        ((0x84, 0x00), False, False, True),
        ((0x08, 0x00), False, True, False),
        ((0x10, 0x00), False, False, False),
        ((0x20, 0x00), False, False, False),
        ((0x40, 0x00), True, False, False),
        ((0xC0, 0x00), True, False, False),
        ((0x00, 0x01), False, True, False),
        ((0x00, 0x04), False, True, False),
        ((0x80, 0x08), True, False, True),
    ],
)
def test_flags_decide_whether_a_value_may_be_used_and_what_the_verdict_is(tmp_path, flags, valid, passed, failed):
    result = tables(tmp_path, part(lambda file: file.ptr(1, 1.5, flags=flags)))["test_result"]
    assert rows(result, "valid", "passed", "failed", "test_flags", "parameter_flags") == [
        (valid, passed, failed, *flags)
    ]
    assert result.columns["value_as_recorded"].tolist() == [1.5]
    np.testing.assert_array_equal(result.columns["value"], [1.5 if valid else math.nan])


def test_a_value_that_is_no_number_is_not_valid(tmp_path):
    result = tables(tmp_path, part(lambda file: file.ptr(1, math.inf)))["test_result"]
    assert result.columns["valid"].tolist() == [False]
    assert math.isnan(result.columns["value"][0])
    assert result.columns["value_as_recorded"].tolist() == [math.inf]


def test_sentinels_are_missing(tmp_path):
    file = StdfWriter().mir(burn=30).pir().prr(bins=(65535, 65535), flags=0x10).pcr(255, 9, 4294967295).mrr()
    found = tables(tmp_path, file)
    assert found["test_run"].warnings == ()
    assert found["test_run"].columns["burn_in_min"].tolist() == [30]
    one = {name: values[0] for name, values in found["test_part"].columns.items()}
    assert all(math.isnan(one[name]) for name in ("x", "y", "hard_bin", "soft_bin"))
    assert (one["passed"], one["failed"], one["wafer_index"], one["finished"]) == (False, False, -1, True)


def test_totals_that_differ_are_said_with_both_numbers(tmp_path):
    file = (
        StdfWriter().mir().wir("W1").pir().ptr(7, 1.0, flags=(0x80, 0)).prr(tests=2, bins=(3, 30), flags=8).wrr("W1", 5)
    )
    file.tsr(7, 4, 2).bin_record(40, 255, 255, 3, 9, "F", "x").bin_record(50, 1, 1, 31, 1, "F", "y").pcr(1, 1, 6, 2)
    assert warnings(tmp_path, file.mrr()) == (
        "part count: head 1 site 1 declares 6 parts, the file has 1",
        "part count: head 1 site 1 declares 2 good parts, the file has 0",
        "hard bin: all sites declares 9 in bin 3, the file has 1",
        "soft bin: head 1 site 1 declares 1 in bin 31, the file has 0",
        "soft bin: head 1 site 1 declares no bin 30, the file has 1",
        "wafer count: wafer W1 declares 5 parts, the file has 1",
        "executions: 1 of 1 tests have another number in the summary than in the file, "
        "test 7 first (4 declared, 1 in the file)",
        "failures: 1 of 1 tests have another number in the summary than in the file, "
        "test 7 first (2 declared, 1 in the file)",
        "tests of a part: 1 of 1 parts have another number of records than they say, "
        "part 0 first (2 declared, 1 in the file)",
    )


def test_a_log_without_an_end_is_read_and_says_so(tmp_path):
    found = tables(tmp_path, StdfWriter().mir().pir().ptr(1, 1.0))
    assert found["test_run"].columns["complete"].tolist() == [False]
    assert found["test_part"].columns["finished"].tolist() == [False]
    assert found["test_run"].warnings == (
        "1 parts begin (PIR) and never end (PRR): they have no bin",
        "the file has no MRR record: it may have been cut, or the run never ended",
    )


def test_unknown_and_longer_records_are_counted(tmp_path):
    file = StdfWriter().mir().raw(200, 1, b"abc").raw(200, 1, b"").raw(50, 30, text("x") + b"more").mrr()
    found = tables(tmp_path, file)["test_run"]
    assert found.vendor_metadata["record_counts"]["200-1"] == 2
    place = 6 + len(StdfWriter().mir().records[1])
    assert found.warnings == (
        f"unknown records: 2 of type 200-1, the first at byte {place}, are not read",
        "1 DTR records are longer than the specification's fields; the rest is left",
    )


def test_scan_tests_go_on_over_records(tmp_path):
    file = StdfWriter().mir().pir()
    file.scan(5, True, 3, [1, 2], [7, 8]).scan(5, False, 3, [3], [9]).prr(tests=1, flags=8).tsr(5, 1, 1, kind="S").mrr()
    record = read_source(written(tmp_path, "a.stdf", file.data()), ONLY)
    assert record.format == "stdf-v4-2007"
    found = {item.kind: item for item in record.records}
    assert found["test_run"].warnings == ()
    assert rows(found["scan_fail"], "result_index", "cycle", "pin_index") == [(0, 101, 7), (0, 102, 8), (0, 103, 9)]
    assert rows(found["test_result"], "failed", "passed", "valid") == [(True, False, False)]
    short = StdfWriter().mir().pir().scan(5, False, 3, [1], [7]).prr(tests=1).mrr()
    assert warnings(tmp_path, short) == (
        "scan fails: 1 of 1 scan tests log another number of fails than they declare, "
        "test 5 first (3 declared, 1 in the file)",
    )


HEAD = StdfWriter().mir()
MRR_BYTES = len(StdfWriter().mrr().records[-1])
AFTER_MIR = len(HEAD.data())


def after_mir(*records):
    file = StdfWriter().mir()
    for kind, sub, body in records:
        file.raw(kind, sub, body)
    return file.data()


REFUSALS = {
    "far.stdf": (
        StdfWriter().data(),
        "Truncated",
        "the file ends after its FAR record at byte 6 (expected records, found 0)",
    ),
    "head.stdf": (
        HEAD.data() + b"\x05\x00\x05",
        "Truncated",
        f"the file ends inside a record's header at byte {AFTER_MIR} (expected 4, found 3)",
    ),
    "cut.stdf": (
        HEAD.data() + HEAD.ptr(1, 1.0).records[-1][:-1],
        "Truncated",
        f"the file ends inside the record PTR at byte {AFTER_MIR} (expected 12, found 11)",
    ),
    "three.stdf": (
        StdfWriter(version=3).data(),
        "UnsupportedVersion",
        "this version of STDF is not read at byte 5 (expected 4, found 3)",
    ),
    "vax.stdf": (
        StdfWriter(cpu=0).data(),
        "UnsupportedVersion",
        "the numbers are in the format of a VAX, which is not read at byte 4 (expected 1 or 2, found 0)",
    ),
    "order.stdf": (
        StdfWriter(cpu=1).data(),
        "CorruptField",
        "CPU_TYPE contradicts the byte order of the record's length at byte 4 (expected 2, found 1)",
    ),
    "two.stdf": (
        StdfWriter().mir().data() * 2,
        "CorruptField",
        f"the file has more than one FAR record; it is several files in one at byte {AFTER_MIR} (expected 1, found 2)",
    ),
    "mir.stdf": (
        StdfWriter().mir().mir().data(),
        "CorruptField",
        f"the file has more than one MIR record at byte {AFTER_MIR} (expected 1, found 2)",
    ),
    "after.stdf": (
        StdfWriter().mir().mrr().dtr("x").data(),
        "CorruptField",
        f"a record stands after the MRR record, which ends the file at byte {AFTER_MIR + MRR_BYTES}",
    ),
    "field.stdf": (
        after_mir((50, 30, b"\x09abc")),
        "CorruptField",
        f"the record DTR ends inside TEXT_DAT at byte {AFTER_MIR + 5} (expected 9, found 3)",
    ),
    "short.stdf": (
        after_mir((5, 10, b"\x01")),
        "CorruptField",
        f"the record PIR ends before its SITE_NUM at byte {AFTER_MIR} (found 1)",
    ),
    "result.stdf": (
        after_mir((15, 10, bytes(11))),
        "CorruptField",
        f"the record PTR is too short or ends inside a field at byte {AFTER_MIR} (expected 12, found 11)",
    ),
    "array.stdf": (
        after_mir((15, 15, struct.pack("<IBBBBHHf", 1, 1, 1, 0, 0, 0, 2, 1.0))),
        "CorruptField",
        f"the record MPR ends inside its results at byte {AFTER_MIR} (expected 20, found 16)",
    ),
    "outside.stdf": (
        StdfWriter().mir().ptr(9, 1.0).mrr().data(),
        "CorruptField",
        "a result of test 9 on head 1 site 1 stands between no beginning (PIR) and end (PRR) of a part "
        f"at byte {AFTER_MIR}",
    ),
    "open.stdf": (
        StdfWriter().mir().pir(site=4).mrr().data(),
        "CorruptField",
        f"a part of head 1 site 4 begins (PIR) and never ends (PRR) at byte {AFTER_MIR}",
    ),
    "closed.stdf": (
        StdfWriter().mir().prr(site=4).data(),
        "CorruptField",
        f"a part of head 1 site 4 ends (PRR) and has not begun (PIR) at byte {AFTER_MIR}",
    ),
    "both.stdf": (
        StdfWriter().mir().pir(site=1).pir(site=1).prr(site=4).data(),
        "CorruptField",
        f"a part of head 1 site 4 ends (PRR) and has not begun (PIR) at byte {AFTER_MIR + 12}",
    ),
    "scan.stdf": (
        StdfWriter().mir().pir().scan(5, True, 1, [1], [7]).prr().mrr().data(),
        "CorruptField",
        f"a scan test is to be continued and is not at byte {AFTER_MIR + 6} (found test 5)",
    ),
    "other.stdf": (
        StdfWriter().mir().pir().scan(5, True, 1, [1], [7]).scan(6, False, 1, [1], [7]).data(),
        "CorruptField",
        "a scan test that is continued is followed by another at byte "
        f"{AFTER_MIR + 6 + len(StdfWriter().scan(5, True, 1, [1], [7]).records[-1])} "
        "(expected test 5, head 1, site 1, found test 6, head 1, site 1)",
    ),
    "uneven.stdf": (
        StdfWriter().mir().pir().scan(5, False, 1, [1, 2], [7]).data(),
        "UnsupportedVersion",
        "a scan test is not read: its fields do not fill the record in exactly one way "
        f"at byte {AFTER_MIR + 6} (expected 1, found 0)",
    ),
    "cut.gz": (
        gzip.compress(sample().data(), mtime=0)[:-9],
        "Truncated",
        "the gzip stream ends before its end mark at byte {} (found {})".format(
            *[len(gzip.compress(sample().data(), mtime=0)) - 9] * 2
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_every_word_of_a_refusal(tmp_path, name):
    data, kind, message = REFUSALS[name]
    assert refusal(tmp_path, data, name) == (kind, f"{name}: {message}")


def test_a_header_that_claims_much_reserves_nothing(tmp_path):
    body = struct.pack("<IBBBBHH", 1, 1, 1, 0, 0, 65535, 65535)
    assert refusal(tmp_path, after_mir((15, 15, body)))[1].startswith(
        "lot.stdf: the record MPR ends inside its results"
    )


CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=5)
SEEDS = (
    sample("<").data(),
    sample(">").data(),
    StdfWriter().mir().pir().scan(5, True, 3, [1, 2], [7, 8]).scan(5, False, 3, [3], [9]).prr(tests=1).mrr().data(),
)


def check(folder, seed, changes, cut):
    """A damaged file is refused, or its tables fit each other."""
    data = bytearray(seed)
    for place, value in changes:
        data[place % len(data)] = value
    data = data[: max(1, len(data) - cut)]
    try:
        found = tables(folder, bytes(data), "x.stdf")
    except ReaderCrashed:
        raise
    except InstrumentError:
        return
    counts = found["test_run"].vendor_metadata["record_counts"]
    parts = found["test_part"].row_count if "test_part" in found else 0
    assert parts == counts.get("PIR", 0)
    if "test_result" in found:
        columns = found["test_result"].columns
        assert set(columns["part_index"].tolist()) <= set(range(parts))
        assert set(columns["test_index"].tolist()) <= set(range(found["test_item"].row_count))
        assert not (columns["passed"] & columns["failed"]).any()
        assert np.isfinite(columns["value"][columns["valid"]]).all()
        firsts = np.count_nonzero(columns["element"] == 0) if "element" in columns else columns["value"].size
        tests = sum(counts.get(name, 0) for name in ("PTR", "MPR", "FTR"))
        left_out = found["test_run"].vendor_metadata.get("definition_only_records", 0)
        assert firsts + left_out == tests or "STR" in counts


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), CHANGES, st.integers(0, 30))
def test_damaged_logs(tmp_path_factory, seed, changes, cut):
    check(tmp_path_factory.getbasetemp(), seed, changes, cut)


@pytest.mark.fuzz
@settings(max_examples=100_000, deadline=None)
@given(st.sampled_from(SEEDS), CHANGES, st.integers(0, 30))
def test_damaged_logs_at_length(tmp_path_factory, seed, changes, cut):
    check(tmp_path_factory.getbasetemp(), seed, changes, cut)


@pytest.mark.parametrize("count", [1, 3, 4, 500])
def test_zeros_that_fill_up_the_last_block_are_left_out(tmp_path, count):
    found = tables(tmp_path, sample().data() + bytes(count))
    assert found["test_run"].warnings == (f"{count} zero bytes after the last record were left out",)
    assert found["test_run"].columns["results"].tolist() == [9]
    cut = sample().data()[: -len(sample().records[-1])]  # without MRR: the tester never closed the file
    assert refusal(tmp_path, cut + bytes(count))[0] == "Truncated"


def test_a_summary_of_a_head_is_not_added_to_those_of_its_sites(tmp_path):
    file = StdfWriter().mir()
    for site in (1, 2):
        file.pir(site=site).ptr(1, 0.5, site=site, name="t", options=0x0E, limits=(0.0, 1.0)).prr(site=site, tests=1)
    for head, site, count in ((1, 1, 1), (1, 2, 1), (1, 255, 2)):
        body = bytes([head, site]) + b"P" + file.pack("IIII", 1, count, 0, 4294967295) + text("t")
        file.raw(10, 30, body)
    found = tables(tmp_path, file.mrr())
    assert found["test_item"].columns["executions_declared"].tolist() == [2]
    assert found["test_run"].warnings == ()


def test_one_number_for_tests_of_two_names_keeps_their_limits_apart(tmp_path):
    found = tables(
        tmp_path,
        part(
            lambda file: file.ptr(1, 0.5, name="a", options=0x0E, limits=(0.0, 1.0)),
            lambda file: file.ptr(1, 5.0, name="b", options=0x0E, limits=(4.0, 6.0), unit="mA"),
            lambda file: file.ptr(1, 5.0, name="b"),
            lambda file: file.ptr(1, 0.5, name="a"),
            lambda file: file.ptr(1, 0.5),
        ),
    )
    assert rows(found["test_item"], "name", "unit", "low_limit") == [("a", "V", 0.0), ("b", "mA", 4.0)]
    assert found["test_result"].columns["test_index"].tolist() == [0, 1, 1, 0, 0]
    assert found["test_run"].warnings == ("1 test numbers have more than one name: 1",)


def test_wafers_that_end_in_another_group_or_not_at_all(tmp_path):
    file = StdfWriter().mir()
    for name, group in (("W1", 1), ("W2", None), ("W3", 255)):
        file.wir(name).pir().prr(place=(0, 0))
        if group is not None:
            file.wrr(name, 1, group=group)
    found = tables(tmp_path, file.mrr())
    assert rows(found["test_wafer"], "wafer_id", "parts", "parts_declared")[::2] == [("W1", 1, 1.0), ("W3", 1, 1.0)]
    assert found["test_run"].warnings == (
        "1 wafers end (WRR) with another site group than they began with (WIR)",
        "1 wafers begin (WIR) and never end (WRR)",
    )


def test_results_of_other_numbers_than_pins_have_no_pins(tmp_path):
    found = tables(
        tmp_path,
        part(
            lambda file: file.mpr(1, [0.5, 0.25], [1, 2], pins=[7, 8]),
            lambda file: file.mpr(1, [0.5]),
            lambda file: file.mpr(1, []),
        ),
    )
    assert found["test_result"].columns["pin_index"].tolist() == [7, 8, -1, -1]


def test_bins_that_were_only_tested_again_need_no_summary(tmp_path):
    file = StdfWriter().mir()
    file.pir().prr(flags=0x08, bins=(5, 5), name="A").pir().prr(flags=0x01, name="A")
    file.bin_record(40, 255, 255, 1, 1, "P", "good")
    assert warnings(tmp_path, file.mrr()) == ()

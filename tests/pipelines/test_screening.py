"""Screens from files: planted outliers of a simulated lot are found, and what cannot be screened is refused."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from instruments.electrical.atdf import AtdfAdapter
from instruments.electrical.e142_map import E142MapAdapter
from services.cli import app
from services.pipelines.reliability.screening import screen_parts
from services.pipelines.reliability.screening_quality import read_labels
from services.pipelines.reliability.screening_requests import ScreenRequest
from services.pipelines.reliability.tested_parts import collect_parts
from services.pipelines.table_source import SourceTable, TableRefused
from services.presentation.screening_reasons import describe_reason
from tests.adapter_contract.cases import place_file
from tests.instruments.electrical.wafer_map_writer import e142, e142_body
from tests.pipelines.simulated_wafers import RADIUS, simulate_wafer, write_atdf


def planted_parts(wafers):
    return {f"{wafer.name}-{place}" for wafer in wafers for place in wafer.planted}


def tables(tmp_path, text, name="lot.atdf", adapter=AtdfAdapter):
    """Read in this process: the sandbox is the command's business."""
    _, found = adapter().read(place_file(tmp_path, name, text.encode()))
    return [SourceTable(table, name, "0" * 64, "test/1") for table in found]


def parts_of(tmp_path, wafers, **header):
    return collect_parts(tables(tmp_path, write_atdf(wafers, **header)))


def screened(tmp_path, wafers, **asked):
    return screen_parts(parts_of(tmp_path, wafers), ScreenRequest(**asked))


def test_planted_outliers_are_found_where_and_why(tmp_path):
    wafers = [simulate_wafer(1, "W1"), simulate_wafer(2, "W2")]
    found = screened(tmp_path, wafers, screens=["part-average", "bad-neighbourhood"])
    by_reading = {each["part"] for each in found["outliers"] if each["reasons"][0]["screen"] == "part-average"}
    assert by_reading == planted_parts(wafers)
    reason = found["outliers"][0]["reasons"][0]
    assert reason["test"] == "100 leakage"
    assert reason["unit"] == "uA"
    assert reason["value"] > reason["high"]
    around = [each for each in found["outliers"] if each["reasons"][0]["screen"] == "bad-neighbourhood"]
    assert [(each["wafer"], each["x"], each["y"]) for each in around] == [("W1", 5, 5), ("W2", 5, 5)]
    assert found["provenance"]["simulated"]
    assert found["conventions"]["quartiles"] == "linear"
    static = [row for row in found["groups"] if row.get("limits") == "static"]
    assert all("1 lots are too few" in row["refused"] for row in static)
    json.dumps(found, allow_nan=False)


def test_a_real_log_is_not_called_simulated(tmp_path):
    assert not parts_of(tmp_path, [simulate_wafer(1)], remark="hello").simulated


def test_a_slope_hides_outliers_from_limits_and_not_from_neighbours(tmp_path):
    wafers = [simulate_wafer(3, slope=1.0)]
    assert not screened(tmp_path, wafers, screens=["part-average"])["outliers"]
    found = screened(tmp_path, wafers, screens=["neighbour-residual"])
    assert {each["part"] for each in found["outliers"]} == planted_parts(wafers)


def test_a_part_against_the_correlation_is_seen_in_both_tests_only(tmp_path):
    wafer = simulate_wafer(5, planted=0)
    wafer.leakage_ua[100], wafer.delay_ns[100] = 5.25, 1.875
    assert not screened(tmp_path, [wafer], screens=["part-average"])["outliers"]
    found = screened(tmp_path, [wafer], screens=["multivariate"], together="readings")
    assert [each["part"] for each in found["outliers"]] == ["W1-100"]
    alone = screened(tmp_path, [wafer], screens=["multivariate"], tests=["delay"])
    assert alone["verdict"] == "refused"
    assert "not 1" in alone["groups"][0]["refused"]


def test_a_pattern_hides_what_is_against_the_correlation_from_readings_and_not_from_residuals(tmp_path):
    wafer = simulate_wafer(5, planted=0, slope=1.0)
    rise = 1.0 * np.hypot(wafer.column[100], wafer.row[100]) / RADIUS
    wafer.leakage_ua[100], wafer.delay_ns[100] = 5.25 + rise, 1.875
    assert not screened(tmp_path, [wafer], screens=["multivariate"], together="readings")["outliers"]
    (found,) = screened(tmp_path, [wafer], screens=["multivariate"])["outliers"]
    assert (found["part"], [each["of"] for each in found["reasons"]]) == ("W1-100", ["residuals"])


def test_static_limits_come_with_lots_enough(tmp_path):
    sources = []
    for number in range(6):
        wafer = simulate_wafer(number, planted=0)
        if number == 5:
            wafer.leakage_ua += 3.0
        sources += tables(tmp_path, write_atdf([wafer], lot=f"L{number}"), f"l{number}.atdf")
    found = screen_parts(collect_parts(sources), ScreenRequest(screens=["part-average"], tests=["100"]))
    assert {(each["lot"], each["reasons"][0]["limits"]) for each in found["outliers"]} == {("L5", "static")}
    assert any("too many for outliers" in each for each in found["remarks"])


def test_a_stack_takes_out_the_good_die_of_a_bad_place(tmp_path):
    wafers = [simulate_wafer(n, f"W{n}", planted=0, cluster=None) for n in range(8)]
    for wafer in wafers[:7]:
        wafer.failed[50] = True
    found = screened(tmp_path, wafers, screens=["stack"])
    assert [(each["part"], each["reasons"][0]["fails"]) for each in found["outliers"]] == [("W7-50", 7)]


def test_a_wafer_map_has_neighbours_and_no_readings(tmp_path):
    parts = collect_parts(tables(tmp_path, e142(), "map.xml", E142MapAdapter))
    found = screen_parts(parts, ScreenRequest(fail_threshold=2.0))
    assert found["remarks"] == ["No part has a reading: only the screens by failing dies apply."]
    head, row = found["headline"], found["groups"][0]
    assert (head["passed"], head["failed"]) == (row["parts"], row["failed"]) == (10, 5)
    signature = next(row for row in found["groups"] if row["screen"] == "signatures")
    assert "5 of 15 dies fail" in signature["refused"]


def test_fails_in_a_cluster_are_told_of_the_wafer_and_take_no_part_out(tmp_path):
    found = screened(tmp_path, [simulate_wafer(1, planted=0)], screens=["signatures"])
    assert found["verdict"] == "structured"
    assert found["headline"]["out"] is None
    group = found["groups"][0]["signatures"][0]
    assert (group["kind"], len(group["parts"])) == ("group", 8)


def test_labels_give_overkill_and_escapes_by_lot_wafer_screen_and_test(tmp_path):
    wafers = [simulate_wafer(1, "W1"), simulate_wafer(2, "W2")]
    parts = parts_of(tmp_path, wafers)
    path = tmp_path / "labels.csv"
    rows = [("LOT1", w.name, f"{w.name}-{n}", n in w.planted) for w in wafers for n in range(0, w.column.size, 1)]
    rows[0] = (*rows[0][:3], True)
    path.write_text("lot,wafer,part,defective\n" + "".join(f"{a},{b},{c},{int(d)}\n" for a, b, c, d in rows))
    asked = ScreenRequest(screens=["part-average", "bad-neighbourhood"])
    quality = screen_parts(parts, asked, read_labels(path))["quality"]["rows"]
    whole = quality[0]
    assert (whole["defective"], whole["escaped"], whole["killed"]) == (7, 1, 2)
    assert whole["escapes"]["low"] < 1 / 7 < whole["escapes"]["high"]
    by_test = {row["test"]: row["escaped"] for row in quality if row["of"] == "test"}
    assert by_test == {"100 leakage": 1, "200 delay": 7}
    assert [row["wafer"] for row in quality if row["of"] == "wafer"] == ["W1", "W2"]
    path.write_text("lot,wafer,part,defective\nLOT1,W1,none,1\n")
    with pytest.raises(TableRefused, match="in no file"):
        screen_parts(parts, asked, read_labels(path))
    for text in ("part,defective\nA,1\n", "lot,wafer,part,defective\nL,W,A,maybe\n"):
        path.write_text(text)
        with pytest.raises(TableRefused):
            read_labels(path)


def test_planted_parts_of_any_readings_give_escapes(tmp_path):
    wafers = [simulate_wafer(1, planted=0)]
    asked = {"screens": ["part-average", "neighbour-residual"], "planted": 20}
    far = screened(tmp_path, wafers, planted_sigmas=12.0, **asked)["planted"]
    near = screened(tmp_path, wafers, planted_sigmas=3.0, **asked)["planted"]
    assert far["simulated"]
    assert [row["escaped"] for row in far["totals"]] == [0, 0]
    assert all(row["escaped"] > 30 for row in near["totals"])
    assert all(row["planted"] == 40 for row in near["totals"])


def test_a_constant_test_and_two_parts_are_refused_by_group(tmp_path):
    wafer = simulate_wafer(4)
    wafer.delay_ns[:] = 2.0
    found = screened(tmp_path, [wafer], screens=["part-average"], tests=["delay"])
    assert found["verdict"] == "refused"
    assert found["headline"]["out"] is None
    assert "no width" in found["groups"][0]["refused"]
    for name in ("column", "row", "failed", "leakage_ua", "delay_ns"):
        setattr(wafer, name, getattr(wafer, name)[:2])
    found = screened(tmp_path, [wafer])
    assert found["verdict"] == "none"
    refused = [row["refused"] for row in found["groups"] if row["screen"] == "part-average"]
    assert refused[0].startswith("2 parts are too few")


def test_two_parts_on_one_die_refuse_its_wafer(tmp_path):
    wafer = simulate_wafer(4)
    wafer.column[1], wafer.row[1] = wafer.column[0], wafer.row[0]
    found = screened(tmp_path, [wafer], screens=["bad-neighbourhood"])
    assert "2 parts of one wafer" in found["groups"][0]["refused"]


def test_two_units_of_one_test_are_refused(tmp_path):
    text = write_atdf([simulate_wafer(4)])
    sources = tables(tmp_path, text) + tables(tmp_path, text.replace("|uA|", "|mA|"), "other.atdf")
    with pytest.raises(TableRefused, match="100 leakage: mA, uA"):
        collect_parts(sources)


def test_logs_and_maps_are_not_mixed_and_unknown_lots_not_pooled(tmp_path):
    log = tables(tmp_path, write_atdf([simulate_wafer(4)], lot=""))
    with pytest.raises(TableRefused, match="different corners"):
        collect_parts([*log, *tables(tmp_path, e142(), "map.xml", E142MapAdapter)])
    other = tables(tmp_path, write_atdf([simulate_wafer(5)], lot=""), "b.atdf")
    parts = collect_parts([*log, *other])
    assert sorted(set(parts.lot)) == ["b.atdf", "lot.atdf"]
    assert parts.remarks[0] == "lot.atdf names no lot: its own name stands for one"


def test_maps_are_turned_to_one_orientation(tmp_path):
    upright = collect_parts(tables(tmp_path, e142(), "a.xml", E142MapAdapter))
    turned = collect_parts(tables(tmp_path, e142(e142_body(orientation="180")), "b.xml", E142MapAdapter))
    found, other = ({(c, r, f) for c, r, f in zip(p.column, p.row, p.failed, strict=True)} for p in (upright, turned))
    assert {(4 - c, 3 - r, f) for c, r, f in found} == other


def test_only_the_last_insertion_of_a_part_counts(tmp_path):
    wafer = simulate_wafer(4, planted=1)
    text = write_atdf([wafer])
    place = int(wafer.planted[0])
    where = f"{wafer.column[place]}|{wafer.row[place]}"
    again = f"PIR:1|1\nPTR:100|1|1|5.0|P\nPTR:200|1|1|2.0|P\nPRR:1|1|W1-{place}|2|P|1|1|{where}|C||100\nWRR:"
    parts = collect_parts(tables(tmp_path, text.replace("WRR:", again)))
    assert parts.count == wafer.column.size
    assert "left out 1 insertions" in parts.remarks[0]
    assert not screen_parts(parts, ScreenRequest(screens=["part-average"]))["outliers"]


def test_the_command_answers_in_json_and_refuses_what_is_not_there(tmp_path):
    path = tmp_path / "lot.atdf"
    path.write_text(write_atdf([simulate_wafer(1)]))
    asked = ["reliability", "screen", str(path), "--screen", "part-average"]
    answer = CliRunner().invoke(app, [*asked, "--json"])
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["headline"]["out"] == 3
    refused = CliRunner().invoke(app, [*asked, "--test", "none", "--json"])
    assert refused.exit_code == 2
    wrong = CliRunner().invoke(app, [*asked, "--quartiles", "none", "--json"])
    said = "quartiles: Input should be 'linear', 'hazen', 'weibull' or 'median_unbiased'"
    assert json.loads(wrong.stdout)["error"]["message"] == said
    assert "no part has a reading of a test 'none'" in json.loads(refused.stdout)["error"]["message"]


def test_the_presentation_tells_every_kind_of_finding(tmp_path, capsys):
    from services.presentation.screening import print_screening

    wafers = [simulate_wafer(n, f"W{n}") for n in range(5)]
    wafers[0].leakage_ua[10] = np.inf
    print_screening(screened(tmp_path, wafers, planted=2))
    said = capsys.readouterr().out
    for words in ("fall out of", "fail score 8", "not by chance", " escape (", "(simulated)"):
        assert words in said


def test_a_log_without_parts_is_refused(tmp_path):
    with pytest.raises(TableRefused, match="no tested part"):
        collect_parts(tables(tmp_path, write_atdf([])))


def test_a_residual_is_not_told_as_a_reading(tmp_path):
    found = screened(tmp_path, [simulate_wafer(1, "W1")], screens=["part-average", "neighbour-residual"])
    told = {reason["screen"]: describe_reason(reason) for each in found["outliers"] for reason in each["reasons"]}
    assert "100 leakage less the good neighbours' median" in told["neighbour-residual"]
    assert "neighbours" not in told["part-average"]

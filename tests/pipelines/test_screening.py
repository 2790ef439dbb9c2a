"""Screens from files: planted outliers of a simulated lot are found, and what cannot be screened is refused."""

import json

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.pipelines.screening import screen_paths
from services.pipelines.screening_requests import ScreenRequest
from tests.instruments.electrical.wafer_map_writer import e142
from tests.pipelines.simulated_wafers import simulate_wafer, write_atdf


def planted_parts(wafers):
    return {f"{wafer.name}-{place}" for wafer in wafers for place in wafer.planted}


def screened(tmp_path, wafers, **asked):
    path = tmp_path / "lot.atdf"
    path.write_text(write_atdf(wafers))
    return screen_paths([path], ScreenRequest(**asked))


def test_planted_outliers_are_found_where_and_why(tmp_path):
    wafers = [simulate_wafer(1, "W1"), simulate_wafer(2, "W2")]
    found = screened(tmp_path, wafers, screens=["part-average", "bad-neighbourhood"])
    by_reading = {each["part"] for each in found["outliers"] if each["reasons"][0]["screen"] == "part-average"}
    assert by_reading == planted_parts(wafers)
    reason = found["outliers"][0]["reasons"][0]
    assert reason["test"] == "100 leakage"
    assert reason["value"] > reason["high"]
    around = [each for each in found["outliers"] if each["reasons"][0]["screen"] == "bad-neighbourhood"]
    assert [(each["wafer"], each["x"], each["y"]) for each in around] == [("W1", 5, 5), ("W2", 5, 5)]
    assert found["provenance"]["simulated"]
    assert found["conventions"]["quartiles"] == "linear"
    static = [row for row in found["groups"] if row.get("limits") == "static"]
    assert all("1 lots are too few" in row["refused"] for row in static)


def test_a_slope_hides_outliers_from_limits_and_not_from_neighbours(tmp_path):
    wafers = [simulate_wafer(3, slope=1.0)]
    assert not screened(tmp_path, wafers, screens=["part-average"])["outliers"]
    found = screened(tmp_path, wafers, screens=["neighbour-residual"])
    assert {each["part"] for each in found["outliers"]} == planted_parts(wafers)


def test_a_wafer_map_has_neighbours_and_no_readings(tmp_path):
    path = tmp_path / "map.xml"
    path.write_text(e142())
    found = screen_paths([path], ScreenRequest(fail_threshold=2.0))
    assert found["remarks"][0].startswith("No part has a reading")
    assert found["headline"]["failed"] + found["headline"]["passed"] == found["groups"][0]["parts"] + 5


def test_a_constant_test_is_refused_by_group(tmp_path):
    wafer = simulate_wafer(4)
    wafer.delay_ns[:] = 2.0
    found = screened(tmp_path, [wafer], screens=["part-average"], tests=["delay"])
    assert found["verdict"] == "refused"
    assert found["headline"]["out"] is None
    assert "no width" in found["groups"][0]["refused"]


def test_the_command_answers_in_json_and_refuses_an_unknown_test(tmp_path):
    path = tmp_path / "lot.atdf"
    path.write_text(write_atdf([simulate_wafer(1)]))
    asked = ["reliability", "screen", str(path), "--screen", "part-average"]
    answer = CliRunner().invoke(app, [*asked, "--json"])
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["headline"]["out"] == 3
    assert "3 fall out of" in CliRunner().invoke(app, asked).stdout
    refused = CliRunner().invoke(app, [*asked, "--test", "none", "--json"])
    assert refused.exit_code == 2
    assert "no part has a reading of a test 'none'" in json.loads(refused.stdout)["error"]["message"]


def test_a_log_without_parts_is_refused(tmp_path):
    path = tmp_path / "empty.atdf"
    path.write_text(write_atdf([]))
    with pytest.raises(ValueError, match="no tested part"):
        screen_paths([path], ScreenRequest())

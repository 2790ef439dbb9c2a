"""From a laboratory's logs to its constants, and from those to a deeper hand-off."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli import app
from tests.pipelines import simulated_laboratory as laboratory
from tests.pipelines.test_handoff import QUESTION


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    outcome = CliRunner().invoke(app, ["repair", *arguments, "--json"])
    return outcome.exit_code, json.loads(outcome.stdout)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("logs")
    (folder / "laser.csv").write_text(laboratory.laser_log())
    (folder / "beam.csv").write_text(laboratory.beam_log())
    code, document = run(
        "learn", str(folder / "laser.csv"), str(folder / "beam.csv"), "--write", str(folder / "own.toml")
    )
    assert code == 0
    return folder, document


def test_what_was_simulated_is_found_beside_its_prior(learned: tuple[Path, dict[str, Any]]) -> None:
    _, document = learned
    assert document["verdict"] == "learned"
    assert document["provenance"]["simulated"]
    rows = {row["key"]: row for part in document["learned"] for row in part["quantities"]}
    expected = {
        "laser.silicon.ultrashort.threshold_j_cm2": 0.2 * laboratory.THRESHOLD_FACTOR,
        "fib.silicon.rate_um3_nc": laboratory.RATE,
        "taper.controlled_deg": 2.2,
    }
    for key, truth in expected.items():
        assert rows[key]["posterior"]["low"] <= truth <= rows[key]["posterior"]["high"], key
        assert rows[key]["spread_ratio"] < 0.5
        assert rows[key]["prior"]["source"]
    depth = rows["laser.silicon.ultrashort.penetration_nm"]
    truth = depth["prior"]["value"] * laboratory.PENETRATION_FACTOR
    assert depth["posterior"]["low"] <= truth <= depth["posterior"]["high"]


def test_the_run_that_went_wrong_and_the_steps_that_say_nothing_are_named(
    learned: tuple[Path, dict[str, Any]],
) -> None:
    _, document = learned
    laser = next(part for part in document["learned"] if part["what"] == "laser.silicon.ultrashort")
    assert [run["step"] for run in laser["outliers"]] == [10]
    reasons = {item["step"]: item["reason"] for item in document["not_used"]}
    assert reasons == {
        9: "a step of the type image removes nothing",
        10: "a step of the type deposition removes nothing",
    }


def test_learned_constants_let_the_laser_cut_deeper(learned: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = learned
    question = folder / "question.json"
    question.write_text(json.dumps(QUESTION))
    _, before = run("handoff", str(question))
    code, after = run("handoff", str(question), "--constants", str(folder / "own.toml"))
    assert code == 0
    assert after["handoff"]["depth_um"]["median"] > 2 * before["handoff"]["depth_um"]["median"]
    assert after["times"]["saved_ratio"] > before["times"]["saved_ratio"]
    assert any("deeper than any run" in flag for flag in after["flags"])
    harm = after["handoff"]
    ratio = next(row["value"] for row in after["constants"] if row["key"] == "outlying_run_ratio")
    assert 1 / 36 < ratio < 3 / 36
    mixed = (1 - ratio) * harm["p_damage_like_run"] + ratio * harm["p_damage_outlying_run"]
    assert harm["p_damage"] == pytest.approx(mixed)
    assert harm["p_damage"] <= harm["bound"]
    assert any("most of the harm is that of a run gone wrong" in flag for flag in after["flags"])
    assert after["provenance"]["simulated"]
    assert not before["provenance"]["simulated"]
    labels = {row["key"]: row["label"] for row in after["constants"]}
    assert labels["laser.silicon.ultrashort.threshold_j_cm2"] == "laboratory"


def test_logs_without_a_measured_run_are_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("Step,Operation,Wavelength [nm],Pulse width (fs),Fluence [J/cm²]\n1,laser,1030,350,2\n")
    code, answer = run("learn", str(log))
    assert code == 2
    assert "neither the log nor the question names the material" in answer["error"]["message"]
    code, answer = run("learn", str(log), "--material", "silicon")
    assert code == 2
    assert "no depth was measured" in answer["error"]["message"]


def test_a_log_of_something_else_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "waves.csv"
    log.write_text("time_s,reflectance\n0,1\n1e-9,2\n")
    code, answer = run("learn", str(log))
    assert code == 2
    assert "no repair_step" in answer["error"]["message"]


def test_odd_steps_are_named_not_guessed(tmp_path: Path) -> None:
    log = tmp_path / "beam.csv"
    log.write_text(
        laboratory.BEAM_HEADER.replace("Depth [nm]", "Depth [nm],Gas")
        + "1,mill,silicon,30,65,Ga,2,10,10,10000,\n2,mill,silicon,30,65,Ga,2,10,10,10000,XeF2\n"
        + "3,mill,silicon,30,,Ga,2,10,10,10000,\n4,mill,silicon,5,1,Xe,2,10,10,100,\n"
    )
    code, document = run("learn", str(log))
    assert code == 0
    assert {item["step"] for item in document["not_used"]} == {2, 3}
    assert document["verdict"] == "learned-in-part"
    assert document["failed"][0]["what"] == "fib.silicon.xe-5kv.rate_um3_nc"
    (part,) = document["learned"]
    assert part["warnings"] == ["1 runs hardly move the table's values"]
    assert math.isfinite(part["quantities"][0]["posterior"]["value"])

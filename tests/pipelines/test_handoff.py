"""Questions about a hand-off, as files and by the command."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli import app

QUESTION: dict[str, Any] = {
    "schema": "faultlight.handoff/1",
    "material": "silicon",
    "laser": {
        "wavelength_nm": 1030,
        "pulse_s": 3.5e-13,
        "fluence_j_cm2": 2.0,
        "spot_um": 20,
        "pitch_x_um": 6,
        "pitch_y_um": 6,
        "repetition_rate_hz": 1e5,
        "walls": "controlled",
    },
    "layer": {"depth_um": 50, "sigma_um": 1},
    "window": {"x_um": 100, "y_um": 100},
    "fib": {"beam_na": 65},
}


def ask(folder: Path, question: dict[str, Any], *arguments: str) -> tuple[int, dict[str, Any]]:
    path = folder / "question.json"
    path.write_text(json.dumps(question))
    outcome = CliRunner().invoke(app, ["repair", "handoff", str(path), "--json", *arguments])
    return outcome.exit_code, json.loads(outcome.stdout)


def changed(**parts: Any) -> dict[str, Any]:
    merged = {key: {**value} if isinstance(value, dict) else value for key, value in QUESTION.items()}
    for key, value in parts.items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) else value
    return merged


def test_a_plan_adds_up_and_shows_its_constants(tmp_path: Path) -> None:
    code, plan = ask(tmp_path, QUESTION)
    assert code == 0
    assert plan["verdict"] == "hand-off"
    times = plan["times"]
    assert times["fib_alone_s"] / 3600 == pytest.approx(14.245, abs=0.01)
    assert times["total_s"] == pytest.approx(times["laser_s"] + times["transfer_s"] + times["fib_s"])
    assert times["saved_ratio"] == pytest.approx(times["fib_alone_s"] / times["total_s"])
    assert plan["handoff"]["p_damage"] <= 1e-3 < plan["handoff"]["p_damage_next_pass"]
    margin = plan["margin_um"]
    parts = ("haz_um", "taper_um", "alignment_um", "recast_um")
    assert margin["total_um"] == pytest.approx(sum(margin[part] for part in parts))
    assert sum(plan["doubt"].values()) == pytest.approx(1.0)
    assert plan["monte_carlo"]["agrees"]
    keys = {row["key"]: row for row in plan["constants"]}
    assert keys["fib.silicon.rate_um3_nc"]["label"] == "quoted"
    assert keys["laser.silicon.ultrashort.penetration_nm"]["label"] == "derived"
    assert "laser.silicon.ultrashort.incubation" in plan["provenance"]["unverified_constants"]
    assert any("incubation is not learned" in flag for flag in plan["flags"])
    assert not any(key.startswith("laser.silicon.nanosecond") for key in keys)
    assert any("without a source" in flag for flag in plan["flags"])


def test_energy_and_fluence_are_the_same_question(tmp_path: Path) -> None:
    area_cm2 = 3.141592653589793 * 1e-3**2
    laser = {**QUESTION["laser"], "energy_uj": 2.0 * area_cm2 / 2 * 1e6}
    del laser["fluence_j_cm2"]
    _, plan = ask(tmp_path, {**QUESTION, "laser": laser})
    assert plan["pulse"]["fluence_j_cm2"] == pytest.approx(2.0)


def test_own_constants_stand_instead_of_the_defaults(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'schema = "faultlight.repair-constants/1"\n[[constants]]\nkey = "fib.silicon.rate_um3_nc"\nvalue = 0.3\n'
        'spread = 0.05\nkind = "lognormal"\nsource = "runs of May"\n'
    )
    _, plan = ask(tmp_path, QUESTION, "--constants", str(own))
    assert plan["times"]["fib_alone_s"] / 3600 == pytest.approx(14.245 / 2, abs=0.01)
    row = next(row for row in plan["constants"] if row["key"] == "fib.silicon.rate_um3_nc")
    assert (row["label"], row["source"], row["spread"]) == ("laboratory", "runs of May", 0.05)


def test_a_depth_measured_on_the_way_is_used(tmp_path: Path) -> None:
    _, before = ask(tmp_path, QUESTION)
    measured = {"passes": 20, "depth_um": 6.0, "sigma_um": 0.3}
    _, plan = ask(tmp_path, {**QUESTION, "measured": measured})
    assert plan["handoff"]["passes"] > 2 * before["handoff"]["passes"]
    assert plan["monte_carlo"]["agrees"]
    _, stop = ask(tmp_path, {**QUESTION, "measured": {"passes": 200, "depth_um": 49.5, "sigma_um": 0.3}})
    assert stop["verdict"] == "stop"
    assert any("200 passes were already made" in flag for flag in stop["flags"])


def test_a_section_needs_the_margin_polished_away(tmp_path: Path) -> None:
    _, plan = ask(tmp_path, changed(work="section"))
    assert plan["times"]["fib_volume_um3"] == pytest.approx(plan["margin_um"]["total_um"] * 100 * 50)


def test_without_a_repetition_rate_times_are_not_made_up(tmp_path: Path) -> None:
    _, plan = ask(tmp_path, changed(laser={"repetition_rate_hz": None}))
    assert plan["times"]["laser_s"] is None
    assert plan["times"]["total_s"] is None
    assert any("without a repetition rate" in flag for flag in plan["flags"])


def test_a_near_layer_is_left_to_the_beam(tmp_path: Path) -> None:
    _, plan = ask(tmp_path, changed(layer={"depth_um": 3.0}))
    assert plan["verdict"] == "fib-alone"
    assert plan["handoff"]["passes"] == 0
    assert plan["times"]["total_s"] == plan["times"]["fib_alone_s"]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"material": "unobtainium"}, "no ablation constants for 'unobtainium'"),
        ({"laser": {"wavelength_nm": 300}}, "hold at 300 nm"),
        ({"laser": {"fluence_j_cm2": 0.1}}, "exceeds the threshold"),
        ({"laser": {"energy_uj": 1}}, "either fluence_j_cm2 or energy_uj"),
        ({"laser": {"spot_um": -1}}, "laser.spot_um: Input should be greater than 0"),
        ({"fib": {"species": "Xe"}}, "not for Xe at 30 kV"),
        ({"layer": {"depth_um": 1e5}}, "stay above the layer"),
        ({"risk": 0.7}, "risk: Input should be less than 0.5"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_bad_questions_are_refused_in_one_sentence(tmp_path: Path, parts: dict[str, Any], words: str) -> None:
    code, answer = ask(tmp_path, changed(**parts))
    assert code == 2
    assert words in answer["error"]["message"]


def test_files_that_are_no_question_are_refused(tmp_path: Path) -> None:
    for name, text in (("a.json", "{"), ("b.toml", "x ="), ("c.json", "[]"), ("d.json", '{"risk": NaN}')):
        path = tmp_path / name
        path.write_text(text)
        outcome = CliRunner().invoke(app, ["repair", "handoff", str(path), "--json"])
        assert outcome.exit_code == 2, name
        assert name in json.loads(outcome.stdout)["error"]["message"]
    missing = CliRunner().invoke(app, ["repair", "handoff", str(tmp_path / "none.json"), "--json"])
    assert missing.exit_code == 2


def test_people_read_the_same_plan(tmp_path: Path) -> None:
    path = tmp_path / "question.json"
    path.write_text(json.dumps(QUESTION))
    outcome = CliRunner().invoke(app, ["repair", "handoff", str(path)])
    assert outcome.exit_code == 0
    assert "Verdict: hand-off" in outcome.stdout
    assert "ion beam alone" in outcome.stdout

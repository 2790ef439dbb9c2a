"""Scores of every part and unit: finite where they were judged, the same as what the answer says of outliers."""

from pathlib import Path

import numpy as np
import pytest

from instruments.electrical.atdf import AtdfAdapter
from instruments.electrical.readouts import ReadoutsAdapter
from instruments.table_codec import decode_table
from services.pipelines.latent_risk.drift_readings import name_features, read_unit_scores
from services.pipelines.latent_risk.evidence_records import DieFrame, PrintedMask
from services.pipelines.latent_risk.inspections import Inspection, Inspections
from services.pipelines.latent_risk.mask_readings import read_mask, read_overlay
from services.pipelines.latent_risk.part_readings import ELECTRICAL, read_parts_scores
from services.pipelines.latent_risk.probe_readings import read_comparison
from services.pipelines.latent_risk.repair_readings import read_outcomes
from services.pipelines.latent_risk.unit_identity import Claim
from services.pipelines.reliability.degradation import judge_degradation
from services.pipelines.reliability.degradation_requests import DegradationRequest
from services.pipelines.reliability.degradation_scores import UnitScores
from services.pipelines.reliability.part_scores import FARTHEST, encode_scores, make_score_table
from services.pipelines.reliability.screening import score_parts
from services.pipelines.reliability.screening_requests import ScreenRequest
from services.pipelines.reliability.tested_parts import collect_parts
from services.pipelines.table_source import SourceTable
from tests.analysis.degradation.drifts import simulate
from tests.instruments.mask.sources import read_all, written
from tests.pipelines.simulated_wafers import simulate_wafer, write_atdf

SAME = DieFrame()


def test_scores_are_those_of_the_reasons(tmp_path: Path) -> None:
    text = write_atdf([simulate_wafer(seed, f"W{seed}") for seed in range(5)])
    tables = [
        SourceTable(each, "lot.atdf", "", "") for each in read_all(AtdfAdapter(), written(tmp_path, "l", text))[1]
    ]
    parts = collect_parts(tables)
    document, scores = score_parts(parts, ScreenRequest())
    table = decode_table(encode_scores(make_score_table(parts, scores)))
    row = {
        (lot, wafer, part): place
        for place, (lot, wafer, part) in enumerate(zip(parts.lot, parts.wafer, parts.part_id, strict=True))
    }
    checked = 0
    for outlier in document["outliers"]:
        place = row[outlier["lot"], outlier["wafer"], outlier["part"]]
        far = [abs(each["sigmas"]) for each in outlier["reasons"] if each.get("limits") == "dynamic"]
        if far:
            checked += 1
            assert table.columns["average_sigmas"][place] == pytest.approx(max(far))
    assert checked >= 10
    good = parts.failed == 0
    assert np.isfinite(table.columns["average_rms_sigmas"][good]).all()
    for name in ("average_sigmas", "average_rms_sigmas", "residual_sigmas", "multivariate_ratio"):
        assert np.isnan(table.columns[name][~good]).all(), name
    assert np.nanmax(table.columns["residual_sigmas"]) < FARTHEST
    assert (table.columns["average_rms_sigmas"][good] <= table.columns["average_sigmas"][good] + 1e-12).all()
    # A good die where the other four wafers fail.
    assert np.nanmax(table.columns["stack_failed_part"]) == 0
    electrical, around = read_parts_scores(table, "log", {})
    assert len(electrical) == parts.count
    assert len(around) == int(good.sum())
    assert all(len(each.values) == len(ELECTRICAL) for each in electrical if each.passed_test)


def test_every_unit_under_stress_is_scored_as_the_answer_says(tmp_path: Path) -> None:
    paths = simulate(units=12, times=5)
    lots = ["A" if unit % 2 else "B" for unit in range(12)]
    rows = [
        f"{paths.names[unit]},{time:.3f},v th,{value:.5f},V,1.4,{lots[unit]}"
        for unit, time, value in zip(paths.unit, paths.time_h, paths.value, strict=True)
    ]
    text = "\n".join(["device_id,time_h,parameter,value,unit,high_limit,lot_id", *rows]) + "\n"
    _, (table,) = read_all(ReadoutsAdapter(), written(tmp_path, "r.csv", text))
    scores = UnitScores()
    request = DegradationRequest(methods=["last-value", "mixed-power-law"], horizon_h=1500.0)
    document = judge_degradation([SourceTable(table, "r.csv", "", "")], request, scores=scores)
    told = {each["unit"]: each["probability"] for each in document["parameters"][0]["crossings"]["units"]}
    kept = decode_table(encode_scores(scores.to_table()))
    found = {
        f"{lot}/{name}": value
        for lot, name, value in zip(
            *(kept.columns[each].tolist() for each in ("lot_id", "device_id", "crossing")), strict=True
        )
    }
    assert found == pytest.approx(told)
    assert name_features(["v th"]) == ("crossing_v_th", "drift_v_th")
    readings = read_unit_scores(kept, ["v th"])
    assert {reading.claim.lot for reading in readings} == {"A", "B"}
    with pytest.raises(ValueError, match="the same name"):
        name_features(["v th", "v_th"])


def test_what_could_not_be_judged_is_no_sign_of_sameness() -> None:
    unclear = {"nets": [{"verdict": "unclear", "largest_z": 9.0}], "maps": []}
    assert read_comparison(Claim(serial="S"), unclear).reason.startswith("nothing that was probed could be judged")
    mixed = {
        "nets": [{"verdict": "same", "largest_z": 1.5}, {"verdict": "unclear", "largest_z": 9.0}],
        "maps": [{"verdict": "different", "differences": [{"height_sigma": -7.0}]}],
    }
    assert read_comparison(Claim(serial="S"), mixed).values == (0.5, 7.0)


def test_a_defect_that_was_not_judged_leaves_its_die_unknown() -> None:
    inspection = Inspection("L", "W", {1: (0, 0), 2: (0, 0), 3: (1, 0), 4: None}, frozenset({(2, 0)}))
    defects = [
        {"sample": "W", "defect_id": 1, "criticality": 0.25},
        {"sample": "W", "defect_id": 3, "criticality": 0.5},
    ]
    found = read_overlay({"defects": defects}, Inspections({"W": inspection}), SAME)
    by_die = {(reading.claim.x, reading.claim.y): reading for reading in found}
    assert by_die[0, 0].reason == "of 2 defects on the die 1 could not be judged"
    assert by_die[1, 0].values == (0.5, 0.5)
    assert by_die[2, 0].values == (0.0, 0.0)


def test_a_mask_tells_of_the_dies_that_it_printed() -> None:
    inspection = Inspection("MASKS", "M1", {1: (0, 0), 2: (1, 0)}, None, "MASK")
    defects = [{"sample": "M1", "defect_id": number, "criticality": 0.25 * number} for number in (1, 2)]
    mask = PrintedMask(frozenset({"L"}), columns=2, x_first=-3)
    printed = [Claim("L", "W", x, 7) for x in (-3, -2, -1)] + [Claim("K", "W", -3, 7)]
    found = read_mask({"defects": defects}, inspection, mask, printed)
    assert [(each.claim.x, each.values[0]) for each in found] == [(-3, 0.25), (-2, 0.5), (-1, 0.25)]


def test_a_run_is_on_the_unit_that_log_and_defect_agree_on() -> None:
    inspection = Inspection("L", "W", {1: (0, 0)}, None)
    run = {"tool": "T", "recipe": "", "held": True, "defect_name": "W 1", "unit": {}}
    named = run | {"unit": {"lot_id": "L", "wafer_id": "W", "die_x": "0", "die_y": "0"}, "held": None}
    other = run | {"unit": {"lot_id": "L", "wafer_id": "W", "die_x": "5", "die_y": "0"}}
    nowhere = run | {"defect_name": None}
    document = {"runs": [run, named, other, nowhere], "by_recipe": [{"group": "T", "probability": 0.75}]}
    found = read_outcomes(document, Inspections({"W": inspection}), SAME)
    (good,) = [each for each in found if not each.claim.doubt]
    assert (good.claim, good.values) == (Claim("L", "W", 0, 0), (2.0, 0.0, 0.75))
    assert sorted(each.claim.doubt.split(",")[0] for each in found if each.claim.doubt) == [
        "the log names another unit than the die of the run's defect",
        "the log names no unit of the run",
    ]

"""SIMULATED repairs joined to their defects, judged, and turned into advice."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from services.cli import app
from services.pipelines.repair.repair_constants import DocumentRefused
from services.pipelines.repair.repair_outcomes import Frame, Question, judge_repairs, read_criteria
from services.pipelines.repair.repair_records import Criteria, find_repairs, judge_figures
from services.pipelines.table_source import SourceTable, TableRefused, read_tables
from tests.pipelines import simulated_repairs as simulated

FIGURES = (
    "Step,Operation,Tool,Job,Defect,Start time,Beam [kV],Current [nA],Ion,Result,delta_cd_after_pct,over_etch_nm\n"
    "1,mill,FX-2,A,1,2024-05-01T10:00:00Z,30,0.05,Ga,ok,12.5,\n"
    "1,mill,FX-2,B,2,2024-05-01T11:00:00Z,30,0.05,Ga,ok,,5\n"
    "1,mill,FX-2,C,3,2024-05-01T12:00:00Z,30,0.05,Ga,ok,2,1\n"
    "1,mill,FX-2,D,4,2024-05-01T13:00:00Z,30,0.05,Ga,perhaps,,\n"
)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("repairs")
    xy, classes, log, held = simulated.simulate()
    again = [index for index, outcome in enumerate(held) if not outcome]
    files = {
        "log.csv": log,
        "before.klarf": simulated.klarf(xy, classes),
        "after.klarf": simulated.klarf(xy[again], [classes[index] for index in again], 1000),
        "figures.csv": FIGURES,
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    logs = read_tables([folder / "log.csv", folder / "figures.csv"], "repair_step")
    lists = read_tables([folder / "before.klarf", folder / "after.klarf"], "mask_defect")
    return {"folder": folder, "held": held, "log": logs[0], "figures": logs[1], "before": lists[0], "after": lists[1]}


def test_every_run_finds_its_defect_by_id_or_by_place(laboratory: dict[str, Any]) -> None:
    document = judge_repairs(Question([laboratory["log"]], [laboratory["before"]], []))
    assert document["frame"]["used"] == "fitted"
    assert document["frame"]["rms_um"] < 1.5
    by = [run["join"]["by"] for run in document["runs"]]
    assert by.count("id") == 100
    assert by.count("place") >= 45
    for index, run in enumerate(document["runs"]):
        assert run["defect"] in (None, str(index + 1))
        assert run["held"] == laboratory["held"][index]


def test_rates_are_those_simulated_and_the_winner_is_named(laboratory: dict[str, Any]) -> None:
    document = judge_repairs(Question([laboratory["log"]], [laboratory["before"]], []))
    assert document["verdict"] == "judged"
    judged = document["judged"]
    assert set(judged["scores"]) == {"pooled", "raw-rate", "overall-rate"}
    best = min(judged["scores"], key=lambda name: judged["scores"][name]["log_score"])
    assert judged["ships"] == best
    for row in document["by_recipe"]:
        tool = row["group"].split(" / ")[0]
        assert row["low"] - 0.02 <= simulated.RATES[tool] <= row["high"]
        assert row["model"] == judged["ships"]
        assert row["raw"]["runs"] == row["runs"]
    assert {row["group"] for row in document["by_type"]} >= {"laser / bridge", "fib / pinhole"}


def test_places_alone_need_a_frame(laboratory: dict[str, Any]) -> None:
    source: SourceTable = laboratory["log"]
    columns = dict(source.table.columns)
    columns["defect_id"] = np.full(source.table.row_count, "", columns["defect_id"].dtype)
    nameless = replace(source, table=replace(source.table, columns=columns))
    document = judge_repairs(Question([nameless], [laboratory["before"]], []))
    assert document["joined"] == 0
    assert "0 runs with an id and a place" in document["frame"]["reason"]
    told = judge_repairs(Question([nameless], [laboratory["before"]], [], Frame(same=True)))
    assert told["joined"] == 0  # the frames are shifted: nothing is near, and nothing is made up
    assert all("no defect is near" in run["join"]["reason"] for run in told["runs"])


def test_a_second_inspection_counts_before_the_tools_word(laboratory: dict[str, Any]) -> None:
    source: SourceTable = laboratory["log"]
    columns = dict(source.table.columns)
    columns["result"] = np.full(source.table.row_count, "ok", columns["result"].dtype)
    boasting = replace(source, table=replace(source.table, columns=columns))
    document = judge_repairs(Question([boasting], [laboratory["before"]], [laboratory["after"]]))
    failed = [index for index, held in enumerate(laboratory["held"]) if not held]
    assert [index for index, run in enumerate(document["runs"]) if run["held"] is False] == failed
    assert all(document["runs"][index]["disagree"] == ["tool"] for index in failed)


def test_a_second_inspection_in_another_frame_is_not_a_success(laboratory: dict[str, Any]) -> None:
    before: SourceTable = laboratory["before"]

    def shifted(source: SourceTable, rows: slice, by_um: float) -> SourceTable:
        columns = {name: values[rows] for name, values in source.table.columns.items()}
        columns["x_um"] = columns["x_um"] + by_um
        return replace(source, table=replace(source.table, columns=columns))

    nowhere = judge_repairs(Question([laboratory["log"]], [before], [shifted(laboratory["after"], slice(None), 15.0)]))
    assert {run["by"] for run in nowhere["runs"]} == {"tool"}
    assert "none of its" in nowhere["flags"][0]
    columns = {name: values[:100] for name, values in laboratory["log"].table.columns.items()}
    log = replace(laboratory["log"], table=replace(laboratory["log"].table, columns=columns))
    for after, used in ((shifted(before, slice(100, None), 0.0), True), (shifted(before, slice(0, 3), 0.0), False)):
        document = judge_repairs(Question([log], [before], [after]))
        assert any(run["by"] == "inspection" for run in document["runs"]) == used
        assert any("no run was on" in flag for flag in document["flags"]) != used


def test_figures_count_before_all(laboratory: dict[str, Any]) -> None:
    document = judge_repairs(Question([laboratory["figures"]], [], []))
    runs = document["runs"]
    assert [run["held"] for run in runs] == [False, False, True, None]
    assert runs[0]["complaints"] == ["width changed by 12.5 %, more than 10"]
    assert "a pit of 5 nm is a phase of 5.25 deg, more than 5" in runs[1]["complaints"]
    assert runs[0]["disagree"] == ["tool"]
    assert document["unknown_words"] == ["perhaps"]
    assert document["without_outcome"] == 1
    assert document["verdict"] == "too-few-to-judge"
    assert document["judged"]["ships"] == "raw-rate"
    # Each job came once: its name is no recipe.
    assert {run["recipe"] for run in runs} == {"A", "B", "C", "D"} or {run["recipe"] for run in runs} == {""}


def test_probabilities_that_time_has_overtaken_are_flagged(laboratory: dict[str, Any]) -> None:
    source: SourceTable = laboratory["log"]
    columns = dict(source.table.columns)
    words = ["ok" if row < 90 else "failed" for row in range(source.table.row_count)]
    columns["result"] = np.array(words, columns["result"].dtype)
    worn = replace(source, table=replace(source.table, columns=columns))
    (flag,) = judge_repairs(Question([worn], [], []))["flags"]
    assert "do not keep what they say on later runs" in flag
    assert judge_repairs(Question([source], [], []))["flags"] == []


def test_criteria_are_the_callers() -> None:
    assert judge_figures({"delta_cd_after_pct": 12.5}, Criteria(delta_cd_pct=15.0)) == []
    assert judge_figures({"transmission_loss_pct": 6.0, "residual_nm": 30.0}, Criteria()) != []
    assert judge_figures({}, Criteria()) == []


def test_criteria_come_from_a_file_with_their_source(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text('delta_cd_pct = 15\nsource = "agreed in May"\n')
    assert read_criteria(path) == Criteria(delta_cd_pct=15.0, source="agreed in May")
    assert read_criteria(None).source == "defaults without a source"
    path.write_text("delta_cd_pct = -1\n")
    with pytest.raises(DocumentRefused, match=r"limits\.toml: delta_cd_pct: Input should be greater than 0"):
        read_criteria(path)


def test_runs_are_in_the_order_of_time(laboratory: dict[str, Any]) -> None:
    runs = find_repairs([laboratory["log"]], Criteria())
    moments = [run.started for run in runs if run.started is not None]
    assert moments == sorted(moments)
    assert len(runs) == 150


def test_the_command_and_the_advice_that_rests_on_it(laboratory: dict[str, Any], tmp_path: Path) -> None:
    folder = laboratory["folder"]
    arguments = ["repair", "outcome", str(folder / "log.csv"), "--defects", str(folder / "before.klarf")]
    outcome = CliRunner().invoke(app, [*arguments, "--json"])
    assert outcome.exit_code == 0
    record = tmp_path / "record.json"
    record.write_text(outcome.stdout)
    asked = ["repair", "advise", "--type", "bridge", "--size-nm", "1800", "--layer", "chromium"]
    answer = CliRunner().invoke(app, [*asked, "--record", str(record), "--json"])
    assert answer.exit_code == 0
    advice = json.loads(answer.stdout)
    assert advice["advised"][0] == "e-beam"
    assert advice["notes"][0] == "a bridge is opaque"
    assert all(reason["source"] for opinion in advice["opinions"] for reason in opinion["reasons"])
    shown = CliRunner().invoke(app, asked)
    assert "e-beam: suitable" in shown.stdout


def test_contradictions_and_files_that_are_none_are_refused(tmp_path: Path) -> None:
    for arguments, words in (
        (["--type", "bridge", "--tone", "clear"], "a bridge is opaque, the question says clear"),
        (["--tone", "grey"], "clear or opaque, not 'grey'"),
        (["--size-nm", "-1"], "above 0 nm"),
    ):
        answer = CliRunner().invoke(app, ["repair", "advise", *arguments, "--json"])
        assert answer.exit_code == 2
        assert words in json.loads(answer.stdout)["error"]["message"]
    rules = tmp_path / "rules.toml"
    rules.write_text('schema = "faultlight.repair-rules/1"\n[[rules]]\ntechnique = "fib"\n')
    answer = CliRunner().invoke(app, ["repair", "advise", "--rules", str(rules), "--json"])
    assert answer.exit_code == 2
    assert "rules.0.stance" in json.loads(answer.stdout)["error"]["message"]
    rules.write_text(
        'schema = "faultlight.repair-rules/1"\nreplace = true\n[[rules]]\ntechnique = "fib"\nstance = "suits"\n'
        'reason = "qualified"\nsource = "report 12"\ndefect_types = ["Haze"]\n'
    )
    answer = CliRunner().invoke(app, ["repair", "advise", "--type", "haze", "--rules", str(rules), "--json"])
    assert json.loads(answer.stdout)["advised"] == ["fib"]


def test_positions_need_a_standard_deviation() -> None:
    with pytest.raises(TableRefused, match="above 0 um"):
        Frame(run_sigma_um=0.0)

"""``faultlight anomaly population`` and the job ``population-outliers``: SIMULATED dies with planted outliers."""

import io
import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from analysis.anomaly.thresholds import CalibrationError
from db.repositories.probing import DieChoice, choose_sessions
from db.schema.data import probing_session
from db.schema.work import finding, result
from services.cli import app
from services.pipelines.context import JobRefused
from services.pipelines.probing.localization import SessionError
from services.pipelines.probing.population_job import run
from services.pipelines.probing.population_levels import read_levels
from services.pipelines.probing.population_outliers import find_outliers
from services.pipelines.probing.population_request import PopulationRequest
from services.presentation.population import print_population
from tests.pipelines.bench import Bench, reader
from tests.pipelines.simulated_population import CYCLE_S, DieScene, make_die, write_die
from tests.workers.scenery import add_ingest, add_job, store_original

PLANTED = {3: "flip", 11: "dead"}


def scenes(count: int, planted: dict[int, str] | None = None, **fields: Any) -> list[DieScene]:
    """Dies of which those named are faulty; every third is sampled otherwise."""
    faults = PLANTED if planted is None else planted
    made = [DieScene(f"D{seed}", seed, faults.get(seed, ""), samples=16 if seed % 3 else 10) for seed in range(count)]
    return [replace(scene, **fields) for scene in made]


def ask(dies: Sequence[DieScene], reference: Sequence[DieScene] = (), **asked: Any) -> dict[str, Any]:
    read = [read_levels(make_die(each)) for each in dies]
    known = [read_levels(make_die(each), reference=True) for each in reference]
    return find_outliers([*read, *known], PopulationRequest.model_validate(asked))


@pytest.fixture(scope="module")
def answered() -> dict[str, Any]:
    return ask(scenes(42))


def test_planted_outliers_are_the_alarms_and_say_where(answered: dict[str, Any]) -> None:
    outliers = {tuple(die["sessions"]): die for die in answered["dies"] if die["verdict"] == "outlier"}
    assert set(outliers) == {("D3",), ("D11",)}
    (n1,) = [net for net in outliers["D3",]["nets"] if net["net"] == "n1"]
    assert set(range(5, 10)) <= set(n1["cycles"])
    assert any(low <= 5 * CYCLE_S and high >= 10 * CYCLE_S - 1e-15 for low, high in n1["spans_s"])
    (n2,) = [net for net in outliers["D3",]["nets"] if net["net"] == "n2"]
    assert n2["cycles_found"] <= 1
    (dead,) = [net for net in outliers["D11",]["nets"] if net["net"] == "n1"]
    assert dead["follows"] < 0.5
    assert dead["usual_follows"] > 0.9
    assert answered["verdict"] == "outliers"
    assert (answered["simulated"], answered["simulated_dies"]) == (True, 42)
    assert all(die["baseline_p_value"] is not None for die in answered["dies"])
    assert "the most that can be outliers" in answered["warnings"][0]


def test_the_order_of_the_sessions_does_not_matter(answered: dict[str, Any]) -> None:
    turned = ask(scenes(42)[::-1])
    by_name = {die["name"]: die["score"] for die in turned["dies"]}
    assert by_name == pytest.approx({die["name"]: die["score"] for die in answered["dies"]}, rel=1e-6, abs=1e-9)


def test_false_alarms_beside_a_reference_are_as_promised() -> None:
    """Of 150 good dies in three populations 20 % may be alarms: about 30, and hardly more than 55."""
    alarms = judged = 0
    for population in range(3):
        dies = [DieScene(f"D{seed}", 1000 * population + seed) for seed in range(70)]
        found = ask(dies[20:], dies[:20], nets=["n2"], false_alarms=0.2)
        alarms += found["counts"].get("outlier", 0)
        judged += found["counts"].get("outlier", 0) + found["counts"]["usual"]
    assert judged == 150
    assert 8 <= alarms <= 55


def test_a_reference_finds_more_faulty_dies_than_the_rate() -> None:
    """A third of the dies are faulty: dies compared with each other could name two, a reference names them."""
    faulty = scenes(24, dict.fromkeys(range(8), "flip"))
    found = ask(faulty, [replace(each, name=f"R{each.seed}") for each in scenes(60, {})[30:]])
    names = {die["sessions"][0] for die in found["dies"] if die["verdict"] == "outlier"}
    assert {f"D{seed}" for seed in range(8)} <= names
    assert len(names) <= 11
    assert found["reference_dies"] == 30
    assert all(die["adjusted"] is not None for die in found["dies"] if die["verdict"] == "outlier")


def test_too_few_dies_for_the_rate_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"17 normal examples cannot promise 0\.05 false alarms; 19 are needed"):
        ask(scenes(18))
    halves = [replace(each, lot=f"L{each.seed % 2}") for each in scenes(30)]
    with pytest.raises(CalibrationError, match="14 normal examples"):
        ask(halves, class_by="lot")
    uneven = [replace(each, lot="L1" if each.seed < 22 else "L2") for each in scenes(30)]
    found = ask(uneven, class_by="lot")
    assert found["counts"]["unjudged"] == 8
    assert all(die["class"] == "L2" for die in found["dies"] if die["verdict"] == "unjudged")
    assert "class L2: 7 normal examples" in next(die for die in found["dies"] if die["class"] == "L2")["reason"]


def test_what_does_not_fit_is_left_out_with_its_reason(answered: dict[str, Any]) -> None:
    dies = scenes(42)
    dies[0] = replace(dies[0], unit="V")
    dies[1] = replace(dies[1], not_a_number=True)
    dies[2] = replace(dies[2], cycles=48)
    dies[4] = replace(dies[4], samples=2)
    found = ask(dies)
    reasons = {
        each["name"].split()[0] if each["name"].startswith("D") else each["name"]: each["reason"]
        for each in found["left_out"]
    }
    assert reasons["D0"] == "net n1 is in V, in most sessions in reflectance"
    assert "not finite" in reasons["P1 L1 W1 1 1"]
    assert "48 cycles" in reasons["D2"]
    assert "samples in a cycle are too few" in reasons["P1 L1 W1 4 1"]
    assert len(found["dies"]) == 38
    assert {die["sessions"][0] for die in found["dies"] if die["verdict"] == "outlier"} == {"D3"} or found["counts"][
        "outlier"
    ] == 1
    half = [replace(each, unit="V" if each.seed % 2 else "reflectance") for each in scenes(42)]
    with pytest.raises(SessionError, match="of several kinds, none of which most have"):
        ask(half)


def test_a_die_counts_once_however_often_it_was_probed() -> None:
    dies = scenes(30)
    again = replace(dies[5], name="again", seed=500, place=(5, 1))
    found = ask([*dies, again])
    (die,) = [die for die in found["dies"] if "again" in die["sessions"]]
    assert die["sessions"] == ["D5", "again"]
    assert len(found["dies"]) == 30
    copied = replace(dies[5], name="copy")
    assert len(ask([*dies, copied])["dies"]) == 30
    elsewhere = replace(dies[5], name="copy", place=(77, 1))
    with pytest.raises(SessionError, match="D5 and copy hold the same waveform"):
        ask([*dies, elsewhere])
    with pytest.raises(SessionError, match="is known to be good by"):
        ask(dies, [again])


def test_ties_are_no_alarms() -> None:
    """Dies whose nets are all flat tie with each other: none is stranger than the rest."""
    flat = [
        replace(each, averages_sigma=0.0, fault="", samples=10, seed=1, place=(each.seed, 1)) for each in scenes(25)
    ]
    sessions = [read_levels(make_die(each)) for each in flat]
    same = [
        replace(each, readings={net: tuple(replace(r, sha256="") for r in own) for net, own in each.readings.items()})
        for each in sessions
    ]
    found = find_outliers(same, PopulationRequest())
    assert found["counts"] == {"usual": 25}
    assert {die["p_value"] for die in found["dies"]} == {1.0}


def test_nets_that_not_all_dies_have() -> None:
    sessions = [read_levels(make_die(each, ("n1", "n2") if each.seed < 26 else ("n2",))) for each in scenes(30)]
    assert find_outliers(sessions, PopulationRequest())["nets"] == ["n2"]
    found = find_outliers(sessions, PopulationRequest(nets=["n1"]))
    assert len(found["dies"]) == 26
    assert {each["reason"] for each in found["left_out"]} == {"it was not probed on net n1"}
    with pytest.raises(SessionError, match=r"no die can be compared: .* was not probed on net n9"):
        find_outliers(sessions, PopulationRequest(nets=["n9"]))


def test_command_line(tmp_path: Path, answered: dict[str, Any]) -> None:
    for number in range(2):
        write_die(tmp_path / f"D{number}", DieScene(f"D{number}", number))
    few = [str(tmp_path / f"D{number}") for number in range(2)]
    refused = CliRunner().invoke(app, ["anomaly", "population", *few, "--json"])
    assert refused.exit_code == 2
    assert json.loads(refused.stdout)["error"]["type"] == "CalibrationError"
    twice = CliRunner().invoke(app, ["anomaly", "population", few[0], few[0], "--json"])
    assert "is named twice" in json.loads(twice.stdout)["error"]["message"]
    console = Console(width=200, file=io.StringIO(), record=True)
    print_population(answered, console)
    told = console.export_text()
    assert "42 dies (42 of them SIMULATED) on n1, n2, compared with each other" in told
    assert "P1 L1 W1 11 1" in told


def test_the_job_stores_what_the_command_says(bench: Bench, program_id: uuid.UUID) -> None:
    dies = scenes(24)
    for each in dies:
        session = make_die(each, ("n1",))
        file_id = store_original(bench.engine, bench.blobs, program_id, f"{each.name}.zip", each.name.encode())
        job_id = add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)})
        bench.ingest(job_id, reader(session, *(each for own in session.waveforms.values() for each in own)))
    stored = {row.name: row for row in bench.rows(probing_session)}
    with bench.engine.connect() as connection:
        lot = choose_sessions(connection, program_id, DieChoice(product="P1", lot="L1", net="n1"), 100)
        assert {identity for identity, _ in lot} == {row.id for row in stored.values()}
        assert not choose_sessions(connection, program_id, DieChoice(lot="L2"), 100)
    payload = {
        "session_ids": [str(row.id) for row in stored.values()],
        "reference_session_ids": [],
        "question": PopulationRequest().model_dump(mode="json"),
    }
    job_id = add_job(
        bench.engine, program_id, "population-outliers", job_key=uuid.uuid4().hex, queue="cpu", payload=payload
    )
    context = bench.claim(job_id)
    bench.finish(context, run(context))
    (row,) = [row for row in bench.rows(result) if row.kind == "population-outliers"]
    expected = find_outliers([read_levels(make_die(each, ("n1",))) for each in dies], PopulationRequest())
    assert row.simulated
    scores = {die["name"]: die["score"] for die in row.body["dies"]}
    assert scores == pytest.approx({die["name"]: die["score"] for die in expected["dies"]}, rel=1e-6, abs=1e-9)
    (told,) = [each for each in bench.rows(finding) if each.kind == "population_outlier"]
    assert told.evidence["sessions"] == expected["dies"][0]["sessions"]
    assert row.provenance["session_ids"] == payload["session_ids"]
    payload["session_ids"] = [str(uuid.uuid4())]
    lost = add_job(
        bench.engine, program_id, "population-outliers", job_key=uuid.uuid4().hex, queue="cpu", payload=payload
    )
    with pytest.raises(JobRefused, match="there is no probing session"):
        run(bench.claim(lost))

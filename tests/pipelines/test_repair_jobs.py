"""The jobs on stored logs and measurements: the same answers as offline, stored once with provenance and findings."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.repositories.results import NewResult, insert_result
from db.schema.data import data_table
from db.schema.files import raw_file
from db.schema.work import finding, result
from instruments.mask.klarf import KlarfAdapter
from instruments.mask.metrology import MetrologyAdapter
from instruments.repair.fib_log import FibLogAdapter
from instruments.repair.laser_log import LaserLogAdapter
from services.pipelines.context import JobRefused
from services.pipelines.kinds import HANDLERS, handler
from services.pipelines.repair import repair_jobs
from services.pipelines.repair.advice_request import AdviceRequest
from services.pipelines.repair.repair_requests import (
    HandoffQuestion,
    LearningRequest,
    MetrologyRequest,
    OutcomeRequest,
    PlanRequest,
)
from tests.instruments.mask.sources import read_all, written
from tests.pipelines import simulated_laboratory as laboratory
from tests.pipelines import simulated_repairs as repairs
from tests.pipelines.bench import Bench, reader
from tests.pipelines.test_handoff import QUESTION
from tests.pipelines.test_mask_metrology import mask
from tests.workers.scenery import add_ingest, add_job, make_program, store_original

ADAPTERS: dict[str, Any] = {
    "laser.csv": LaserLogAdapter,
    "beam.csv": FibLogAdapter,
    "mask.csv": MetrologyAdapter,
    "before.klarf": KlarfAdapter,
    "repairs.csv": LaserLogAdapter,
}


def store(bench: Bench, program: uuid.UUID, folder: Path, name: str, text: str) -> uuid.UUID:
    """Store a file and its table; return the table's id."""
    _, found = read_all(ADAPTERS[name](), written(folder, name, text))
    file_id = store_original(bench.engine, bench.blobs, program, name, text.encode())
    before = {row.id for row in bench.rows(data_table)}
    bench.ingest(add_ingest(bench.engine, program, {"raw_file_id": str(file_id)}), reader(*found))
    (table,) = {row.id for row in bench.rows(data_table)} - before
    return uuid.UUID(str(table))


def perform(bench: Bench, program: uuid.UUID, kind: str, table: uuid.UUID, question: Any) -> Any:
    payload = {"table_id": str(table), "question": question.model_dump(mode="json", by_alias=True)}
    context = bench.claim(add_job(bench.engine, program, kind, payload=payload))
    bench.finish(context, handler(kind)(context))
    return bench.rows(result)[-1]


def ask(bench: Bench, program: uuid.UUID, kind: str, question: Any) -> Any:
    """Perform a job on no stored table."""
    payload = {"question": question.model_dump(mode="json", by_alias=True)}
    context = bench.claim(add_job(bench.engine, program, kind, payload=payload))
    bench.finish(context, handler(kind)(context))
    return bench.rows(result)[-1]


def test_learning_and_a_plan_that_rests_on_it(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    laser = store(bench, program_id, tmp_path, "laser.csv", laboratory.laser_log())
    beam = store(bench, program_id, tmp_path, "beam.csv", laboratory.beam_log())
    learned = perform(bench, program_id, "repair-learning", laser, LearningRequest(other_table_ids=[beam]))
    assert (learned.kind, learned.verdict, learned.simulated) == ("repair-learning", "learned", True)
    assert learned.provenance["inputs"] == sorted(row.sha256 for row in bench.rows(raw_file))
    assert learned.provenance["code_version"]
    found = bench.rows(finding)
    assert {row.kind for row in found} == {"constant", "outlying_run"}
    rate = next(row for row in found if row.subject == "fib.silicon.rate_um3_nc")
    assert rate.interval_low < laboratory.RATE < rate.interval_high

    asked = PlanRequest.model_validate({"handoff": QUESTION, "other_table_ids": [str(beam)]})
    plan = perform(bench, program_id, "handoff", laser, asked)
    assert (plan.verdict, plan.simulated) == ("hand-off", True)
    labels = {row["key"]: row["label"] for row in plan.body["constants"]}
    assert labels["laser.silicon.ultrashort.threshold_j_cm2"] == "laboratory"
    assert set(learned.provenance["inputs"]) <= set(plan.provenance["inputs"])
    (handoff,) = [row for row in bench.rows(finding) if row.kind == "handoff"]
    assert handoff.probability <= 1e-3

    def planned(**named: str) -> Any:
        return ask(bench, program_id, "handoff", HandoffQuestion.model_validate(question | named))

    question = {"program": "alpha", "handoff": QUESTION}
    by_table = planned()
    assert "laboratory" not in {row["label"] for row in by_table.body["constants"]}
    by_result = planned(learning_result_id=str(learned.id))
    assert by_result.simulated
    assert str(learned.id) in by_result.provenance["inputs"]
    passes = [row.body["handoff"]["passes"] for row in (by_table, by_result)]
    assert passes[0] < passes[1] == plan.body["handoff"]["passes"]
    with pytest.raises(JobRefused, match="of the kind handoff, not repair-learning"):
        planned(learning_result_id=str(plan.id))


def test_outcomes_and_maps(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    xy, classes, log, _ = repairs.simulate(60)
    logs = store(bench, program_id, tmp_path, "repairs.csv", log)
    inspection = store(bench, program_id, tmp_path, "before.klarf", repairs.klarf(np.asarray(xy), classes))
    outcome = perform(bench, program_id, "repair-outcome", logs, OutcomeRequest(defect_table_id=inspection))
    assert outcome.verdict == "judged"
    assert outcome.body["joined"] > 50
    assert {row.kind for row in bench.rows(finding)} == {"repair_success"}
    table = store(bench, program_id, tmp_path, "mask.csv", mask())
    maps = perform(bench, program_id, "metrology", table, MetrologyRequest())
    assert maps.verdict == "measured"
    assert maps.body["maps"][0]["registration"]["levels"][-1]["level"] == "affine"


def test_what_cannot_be_done_is_refused_with_the_analysis_own_words(
    bench: Bench, program_id: uuid.UUID, tmp_path: Path
) -> None:
    table = store(bench, program_id, tmp_path, "mask.csv", mask("# correction: raw\n"))
    with pytest.raises(JobRefused, match="does not say whether its values are at mask or wafer scale"):
        perform(bench, program_id, "metrology", table, MetrologyRequest())
    with pytest.raises(JobRefused, match="rows of the kind metrology_site, not repair_step"):
        perform(bench, program_id, "repair-learning", table, LearningRequest())
    with pytest.raises(JobRefused, match="there is no table"):
        perform(bench, program_id, "metrology", uuid.uuid4(), MetrologyRequest())
    foreign = make_program(bench.engine, "foreign")
    with pytest.raises(JobRefused, match="there is no table"):
        perform(bench, foreign, "metrology", table, MetrologyRequest(scale="mask"))


def test_what_an_image_says_of_a_repair_counts_and_the_record_ranks_advice(
    bench: Bench, program_id: uuid.UUID, tmp_path: Path
) -> None:
    log = "Step,Operation,Tool,Job,Defect,Start time,Wavelength [nm],Pulse [fs],Result\n" + "".join(
        f"{number},ablate,L-1,R,{number},2024-05-01T1{number}:00:00Z,1030,350,ok\n" for number in (1, 2, 3)
    )
    logs = store(bench, program_id, tmp_path, "repairs.csv", log)
    answers = [
        {"name": str(number), "outcome": outcome, "fraction": 0.2, "sigma": 0.01}
        for number, outcome in enumerate(("cleared", "not-cleared", "unsure", "cleared"), 1)
    ]
    printed = add_result(bench, program_id, "printability", {"defects": answers, "simulated": True})
    row = perform(bench, program_id, "repair-outcome", logs, OutcomeRequest(printability_result_ids=[printed]))
    told = [(run["held"], run["by"], run["disagree"]) for run in row.body["runs"]]
    assert told == [(True, "printability", []), (False, "printability", ["tool"]), (True, "tool", [])]
    assert row.body["runs"][1]["printed"]["fraction"] == 0.2
    assert (row.body["printed_without_run"], row.simulated) == (["4"], True)
    with pytest.raises(JobRefused, match=f"{printed} and {printed} both judge a defect of the name 1"):
        perform(bench, program_id, "repair-outcome", logs, OutcomeRequest(printability_result_ids=[printed, printed]))
    bare = add_result(bench, program_id, "printability", {"defects": [{"name": "1", "verdict": "prints"}]})
    with pytest.raises(JobRefused, match="judges no repair"):
        perform(bench, program_id, "repair-outcome", logs, OutcomeRequest(printability_result_ids=[bare]))

    asked = AdviceRequest(program="alpha", size_nm=1500, tone="opaque", layer="chromium", outcome_result_id=row.id)
    advice = ask(bench, program_id, "repair-advice", asked)
    assert (advice.verdict, advice.body["advised"], advice.simulated) == ("advice", ["laser", "fib", "e-beam"], True)
    (first, *_rest) = [each for each in bench.rows(finding) if each.kind == "technique"]
    assert (first.subject, first.evidence["record"]["successes"], first.evidence["record"]["runs"]) == ("laser", 2, 3)
    elsewhere = make_program(bench.engine, "elsewhere")
    with pytest.raises(JobRefused, match="there is no result"):
        ask(bench, elsewhere, "repair-advice", asked)


def add_result(bench: Bench, program: uuid.UUID, kind: str, body: dict[str, Any]) -> uuid.UUID:
    job_id = add_job(bench.engine, program, kind)
    new = NewResult(uuid.uuid4().hex, job_id, program, kind, None, body, {"simulated": False}, False)
    with bench.engine.begin() as connection:
        return insert_result(connection, new, [])


def test_the_kinds_are_known() -> None:
    for kind in ("handoff", "repair-learning", "repair-outcome", "metrology"):
        assert HANDLERS[kind].startswith(repair_jobs.__name__)

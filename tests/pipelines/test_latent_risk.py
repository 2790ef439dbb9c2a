"""Latent risk from tables to answers: learned by a job, promoted by a person, rolled back in one call, watched."""

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, delete, update
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from analysis.latent_risk.evidence import Evidence, TooFewOutcomes
from analysis.latent_risk.model_file import DamagedModel, pack_model, unpack_model
from db.repositories import models
from db.repositories.access import ActionDenied, Caller, Conflict, RowNotFound
from db.repositories.models import Decision, PromotionRefused
from db.repositories.sweep import find_orphans
from db.schema.data import data_table
from db.schema.events import event
from db.schema.models import model_decision, model_version, model_watch
from db.schema.people import audit_event
from db.schema.work import finding, job, result
from db.unit_of_work import begin
from instruments.electrical.unit_evidence import UnitEvidenceAdapter
from services.cli import app
from services.pipelines.context import JobRefused
from services.pipelines.kinds import handler
from services.pipelines.latent_risk.risk_requests import ScoringRequest, TrainingRequest
from services.pipelines.latent_risk.risk_scoring import drift_tables, evaluate_tables, score_tables
from services.pipelines.latent_risk.risk_training import LearnedModel, train_tables
from services.pipelines.table_source import SourceTable
from services.scheduler.model_watch import watch_models
from tests.analysis.latent_risk.simulated_units import DAY_S, simulate
from tests.instruments.mask.sources import read_all, written
from tests.pipelines.bench import Bench, reader
from tests.pipelines.simulated_evidence import write_evidence
from tests.workers.scenery import add_ingest, add_job, store_original

REQUEST = TrainingRequest(trees=0)
LATER_S = 700 * DAY_S / 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("risk")


def later(count: int, seed: int = 2, shift: float = 0.0) -> Evidence:
    """Units judged after all others."""
    evidence = simulate(count, seed=seed)
    electrical = evidence.modalities[0]
    moved = replace(electrical, values=electrical.values + shift)
    time_s, known_s = evidence.time_s + LATER_S, evidence.known_at_s + LATER_S
    return replace(evidence, time_s=time_s, known_at_s=known_s, modalities=(moved, *evidence.modalities[1:]))


def table(folder: Path, evidence: Evidence, **written_as: Any) -> list[SourceTable]:
    """Return the evidence as it is read from a file."""
    text = write_evidence(evidence, **written_as)
    _, (found,) = read_all(UnitEvidenceAdapter(), written(folder, "units.csv", text))
    return [SourceTable(found, "units.csv", "0" * 64, "unit_evidence/1")]


@pytest.fixture(scope="module")
def learned(folder: Path) -> LearnedModel:
    return train_tables(table(folder, simulate(700)), REQUEST)


def test_what_is_learned_is_told_with_its_limits(learned: LearnedModel) -> None:
    document = learned.document
    assert document["trained_on"]["units"] + document["trained_on"]["outcome_not_yet_known"] == 490
    assert document["held_out"]["units"] == 210
    assert document["trained_on"]["to"] < document["held_out"]["from"]
    assert [each["name"] for each in document["evaluation"]["baselines"]] == ["constant rate", "logistic regression"]
    assert document["provenance"]["simulated"] is True
    assert len(document["fusions"]) == 7


def test_units_are_scored_with_what_says_so(learned: LearnedModel, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(learned.data)
    (folder / "asked.csv").write_text(write_evidence(later(40), told=False))
    arguments = [
        "reliability",
        "risk",
        "score",
        str(folder / "asked.csv"),
        "--model",
        str(folder / "model.safetensors"),
    ]
    answer = CliRunner().invoke(app, [*arguments, "--most-units", "10", "--json"])
    assert answer.exit_code == 0
    found = json.loads(answer.stdout)
    assert len(found["units"]) == 10
    assert found["counts"]["answered"] + found["counts"]["refused"] == 40
    probabilities = [unit["probability"] for unit in found["units"]]
    assert probabilities == sorted(probabilities, reverse=True)
    for unit in found["units"]:
        assert 1 / (1 + np.exp(-sum(unit["log_odds"].values()))) == pytest.approx(unit["probability"])
        missing = [name for name, status in unit["modalities"].items() if status == "missing"]
        assert all(unit["log_odds"][name] == 0 for name in missing)
    assert found["model"]["data_sha256"] == learned.document["data_sha256"]


def test_a_model_is_judged_by_later_units_only(learned: LearnedModel, folder: Path) -> None:
    early = simulate(700).select(np.arange(300))
    with pytest.raises(TooFewOutcomes, match="on older ones it would judge itself"):
        evaluate_tables(table(folder, early), learned.data)
    found = evaluate_tables([*table(folder, early, prefix="early "), *table(folder, later(400))], learned.data)
    assert found["evaluation"]["auc"] > 0.7
    assert found["remarks"] == ["300 units were judged before the model's own ended and do not count."]


def test_drift_and_a_calibration_that_no_longer_holds_are_seen(learned: LearnedModel, folder: Path) -> None:
    same, moved = (drift_tables(table(folder, later(400, shift=shift)), learned.data) for shift in (0.0, 1.0))
    assert same["features"] == "stable"
    assert moved["verdict"] == moved["features"] == "drifted"
    assert "electrical.f0" in [each["name"] for each in moved["stability"] if each["verdict"] == "drifted"]
    assert moved["calibration"]["verdict"] == "drifted"
    assert moved["calibration"]["overall"]["expected_failures"] > 1.3 * moved["calibration"]["overall"]["failures"]
    assert sum(each["units"] for each in moved["calibration"]["periods"]) <= 400


def test_an_answer_of_another_algorithm_is_refused(learned: LearnedModel, folder: Path) -> None:
    model, card = unpack_model(learned.data)
    old = pack_model(model, {**card, "algorithm": "latent-risk/0"})
    with pytest.raises(DamagedModel, match="train it anew"):
        score_tables(table(folder, later(5)), old, ScoringRequest())


class Registry:
    """A program with a table to learn from, and who may do what there."""

    def __init__(self, bench: Bench, program: uuid.UUID, folder: Path) -> None:
        self.bench, self.program, self.folder = bench, program, folder

    def store(self, text: str) -> uuid.UUID:
        """Return the stored table."""
        _, found = read_all(UnitEvidenceAdapter(), written(self.folder, "units.csv", text))
        file_id = store_original(self.bench.engine, self.bench.blobs, self.program, "units.csv", text.encode())
        before = {row.id for row in self.bench.rows(data_table)}
        self.bench.ingest(add_ingest(self.bench.engine, self.program, {"raw_file_id": str(file_id)}), reader(*found))
        (table,) = {row.id for row in self.bench.rows(data_table)} - before
        return uuid.UUID(str(table))

    def perform(self, kind: str, **payload: Any) -> Any:
        """Return the result of a job."""
        context = self.bench.claim(add_job(self.bench.engine, self.program, kind, payload=payload))
        self.bench.finish(context, handler(kind)(context))
        return self.bench.rows(result)[-1]

    def learn(self, table: uuid.UUID) -> Any:
        """Return the newest version after one more was learned."""
        question = REQUEST.model_dump() | {"model": "field"}
        self.perform("latent-risk-training", table_id=str(table), question=question)
        return self.bench.rows(model_version)[-1]

    def caller(self, role: str, program: uuid.UUID | None = None) -> Caller:
        scopes = frozenset({"read", "write"})
        return Caller(uuid.uuid4(), f"account:{role}", scopes, {program or self.program: role}, uuid.uuid4())

    def decide(self, what: Any, caller: Caller, *arguments: Any) -> Any:
        with begin(self.bench.engine) as unit:
            return what(unit.connection, caller, *arguments)

    def states(self) -> list[str]:
        return [row.state for row in self.bench.rows(model_version)]


@pytest.fixture
def registry(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> Registry:
    return Registry(bench, program_id, tmp_path)


def test_a_version_is_learned_promoted_by_a_person_and_rolled_back(registry: Registry, engine: Engine) -> None:
    bench = registry.bench
    table = registry.store(write_evidence(simulate(700), labelled=False))
    first, second = registry.learn(table), registry.learn(table)
    assert (first.number, second.number, first.sha256) == (1, 2, second.sha256)
    assert first.card["data_sha256"] == first.data_sha256
    assert first.calibration["bins"]
    assert bench.blobs.exists(first.blob_key)
    with engine.connect() as connection:
        assert find_orphans(connection, [first.blob_key]) == set()
    assert {row.kind for row in bench.rows(finding)} == {"held_out_auc"}
    assert registry.states() == ["candidate", "candidate"]
    boss = registry.caller("reliability")
    with pytest.raises(RowNotFound):
        registry.decide(models.promote, registry.caller("engineer"), first.id, Decision())
    with pytest.raises(RowNotFound):
        registry.decide(models.promote, registry.caller("admin", uuid.uuid4()), first.id, Decision())
    with pytest.raises(ActionDenied):
        registry.caller("engineer").require_in(models.Action.PROMOTE, registry.program)
    reason = "the plain model is not at hand"
    if not first.beats_baselines:
        with pytest.raises(PromotionRefused, match="does not beat"):
            registry.decide(models.promote, boss, first.id, Decision())
    registry.decide(models.promote, boss, first.id, Decision(reason, override=True))
    registry.decide(models.promote, boss, second.id, Decision(reason, override=True))
    assert registry.states() == ["retired", "promoted"]
    with pytest.raises(Conflict, match="counts already"):
        registry.decide(models.promote, boss, second.id, Decision())
    registry.decide(models.roll_back, boss, first.model_id, "false alarms")
    assert registry.states() == ["promoted", "retired"]
    with pytest.raises(Conflict, match="no version counted before"):
        registry.decide(models.roll_back, boss, first.model_id, "")
    registry.decide(models.retire, boss, first.id, "nobody needs it")
    assert registry.states() == ["retired", "retired"]
    kinds = [row.kind for row in bench.rows(model_decision)]
    assert kinds == ["promoted", "promoted", "rolled-back", "retired"]
    audited = [row.action for row in bench.rows(audit_event) if row.action.startswith("model-version.")]
    assert audited == [*["model-version.learned"] * 2, *(f"model-version.{kind}" for kind in kinds)]
    for change in (update(model_version).values(card={}), delete(model_version), delete(model_decision)):
        with pytest.raises(DBAPIError), engine.begin() as connection:
            connection.execute(change)


def test_a_version_that_does_not_win_or_is_simulated_is_promoted_only_on_purpose(registry: Registry) -> None:
    generator = np.random.default_rng(0)
    evidence = simulate(400)
    chance = replace(evidence, outcome=(generator.uniform(size=400) < 0.3).astype(np.int8))
    version = registry.learn(registry.store(write_evidence(chance)))
    assert not version.beats_baselines
    boss = registry.caller("reliability")
    for decision in (Decision(), Decision("because"), Decision("", override=True)):
        with pytest.raises(PromotionRefused, match=r"does not beat .* simulated data"):
            registry.decide(models.promote, boss, version.id, decision)
    registry.decide(models.promote, boss, version.id, Decision("a trial", override=True))
    (kept,) = registry.bench.rows(model_decision)
    assert (kept.reason, len(kept.overridden), kept.person) == ("a trial", 2, "account:reliability")


def test_the_version_that_counts_scores_and_is_watched(registry: Registry) -> None:
    bench = registry.bench
    version = registry.learn(registry.store(write_evidence(simulate(700), labelled=False)))
    registry.decide(models.promote, registry.caller("admin"), version.id, Decision("trial", override=True))
    moved = registry.store(write_evidence(later(300, shift=1.0), labelled=False))
    asked = {"table_id": str(moved), "version_id": str(version.id)}
    scored = registry.perform("latent-risk-scoring", **asked, question={"model": "field", "version": 1})
    assert scored.body["model"]["version"] == 1
    assert scored.body["model"]["sha256"] == version.sha256
    assert scored.body["counts"]["units"] == 300
    settings = bench.settings
    rung: list[Any] = []
    assert watch_models(bench.engine, settings, rung.append) == 1
    assert watch_models(bench.engine, settings, rung.append) == 0
    context = bench.claim(rung[0].job_id)
    bench.finish(context, handler("latent-risk-drift")(context))
    (watched,) = bench.rows(model_watch)
    assert (watched.verdict, watched.table_id, watched.units) == ("drifted", moved, 300)
    (told,) = [row for row in bench.rows(event) if row.kind == "model.drifted"]
    assert told.subject_id == version.id
    assert told.data["most_drifted"]
    assert watch_models(bench.engine, settings, rung.append) == 0
    assert len([row for row in bench.rows(job) if row.kind == "latent-risk-drift"]) == 1


def test_too_few_outcomes_and_an_unknown_version_are_refused(registry: Registry) -> None:
    table = registry.store(write_evidence(simulate(60), labelled=False))
    payload = {"table_id": str(table), "question": REQUEST.model_dump() | {"model": "field"}}
    with pytest.raises(JobRefused, match="units failed and"):
        registry.perform("latent-risk-training", **payload)
    with pytest.raises(JobRefused, match="there is no version"):
        registry.perform(
            "latent-risk-scoring", table_id=str(table), version_id=str(uuid.uuid4()), question={"model": "field"}
        )

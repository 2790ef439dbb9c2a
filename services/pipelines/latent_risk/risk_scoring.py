"""What a model says of units, and how it does on units whose outcome is known by now; for command line and worker."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from analysis.latent_risk.drift import follow_calibration, judge_stability
from analysis.latent_risk.evaluation import evaluate_model
from analysis.latent_risk.evidence import Evidence, TooFewOutcomes
from analysis.latent_risk.measures import judge_calibration
from analysis.latent_risk.model_file import DamagedModel, unpack_model
from analysis.latent_risk.patterns import outcomes_failed
from analysis.latent_risk.risk_model import RiskModel, RiskScores, score_units, unknown_features, watched_values
from services.pipelines.latent_risk.evidence_sources import EvidenceSources
from services.pipelines.latent_risk.evidence_tables import KIND, hash_evidence, make_evidence
from services.pipelines.latent_risk.risk_documents import (
    describe_calibration,
    describe_evaluation,
    describe_periods,
    describe_stability,
)
from services.pipelines.latent_risk.risk_requests import ScoringRequest
from services.pipelines.latent_risk.risk_training import ALGORITHM
from services.pipelines.reliability.life_data import provenance
from services.pipelines.table_source import SourceTable, read_tables

LEAST_FOR_CALIBRATION = 5.0
"""Failures that are expected, or seen, below which nothing is said of a calibration over time."""

_UNLIKELY = 0.01


def open_model(data: bytes) -> tuple[RiskModel, dict[str, Any]]:
    """Return the model in ``data`` and its card.

    Raises:
        DamagedModel: it is damaged, or another version of the algorithm made it.
    """
    model, card = unpack_model(data)
    if card.get("algorithm") != ALGORITHM:
        raise DamagedModel(f"the model was made by {card.get('algorithm')}, this is {ALGORITHM}: train it anew")
    return model, card


def score_paths(paths: Sequence[Path], model_path: Path, request: ScoringRequest) -> dict[str, Any]:
    """Score the units in the files ``paths``; raises what reading them and :func:`score_tables` raise."""
    return score_tables(read_tables(paths, KIND), read_model(model_path), request)


def evaluate_paths(paths: Sequence[Path], model_path: Path) -> dict[str, Any]:
    """Judge a model by the files ``paths``; raises what reading them and :func:`evaluate_tables` raise."""
    return evaluate_tables(read_tables(paths, KIND), read_model(model_path))


def drift_paths(paths: Sequence[Path], model_path: Path) -> dict[str, Any]:
    """Compare the files ``paths`` with what a model learned from; raises what :func:`drift_tables` raises."""
    return drift_tables(read_tables(paths, KIND), read_model(model_path))


def read_model(path: Path) -> bytes:
    """Return the bytes of the file ``path``; raises FileNotFoundError."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return path.read_bytes()


def score_tables(sources: Sequence[SourceTable], data: bytes, request: ScoringRequest) -> dict[str, Any]:
    """Return what the model in ``data`` says of the units of all tables, the most suspected first.

    Raises:
        analysis.latent_risk.evidence.EvidenceError: the model is damaged, or the evidence does not fit it.
        TableRefused: the tables do not fit together.
    """
    model, card = open_model(data)
    evidence = make_evidence(sources)
    scores = score_units(model, evidence)
    answered = np.isfinite(scores.probability)
    order = np.lexsort((np.arange(answered.size), -np.where(answered, scores.probability, -1.0)))
    listed = order[: request.most_units]
    refused = np.flatnonzero(~answered)
    told = EvidenceSources(sources)
    return {
        "verdict": _verdict(scores, answered),
        "units": [
            _describe_unit(model, evidence, scores, int(row)) | {"sources": told.of(int(row))}
            for row in listed
            if answered[row]
        ],
        "refused": [
            {"unit": evidence.units[row], "reason": scores.refusal[row]} for row in refused[: request.most_units]
        ],
        "counts": {
            "units": int(answered.size),
            "answered": int(answered.sum()),
            "refused": int(refused.size),
            "sets": _count_sets(scores, answered),
            "expected_failures": float(scores.probability[answered].sum()),
        },
        "model": describe_origin(card, data),
        "conventions": card["conventions"],
        "remarks": _scoring_remarks(model, evidence, answered, request),
        "provenance": _provenance(sources, evidence, request.model_dump(mode="json"))
        | {"evidence_results": told.results()},
    }


def _verdict(scores: RiskScores, answered: np.ndarray) -> str:
    if not answered.any():
        return "refused"
    return "suspects" if (scores.may_fail & ~scores.may_survive & answered).any() else "no-suspects"


def _count_sets(scores: RiskScores, answered: np.ndarray) -> dict[str, int]:
    fail, survive = scores.may_fail[answered], scores.may_survive[answered]
    return {
        "failed": int((fail & ~survive).sum()),
        "survived": int((survive & ~fail).sum()),
        "either": int((fail & survive).sum()),
        "unlike both": int((~fail & ~survive).sum()),
    }


def _describe_unit(model: RiskModel, evidence: Evidence, scores: RiskScores, row: int) -> dict[str, Any]:
    fusion = model.fusions[scores.fusion[row]]
    classes = ("failed", bool(scores.may_fail[row])), ("survived", bool(scores.may_survive[row]))
    return {
        "unit": evidence.units[row],
        "probability": float(scores.probability[row]),
        "low": float(scores.low[row]),
        "high": float(scores.high[row]),
        "set": [name for name, there in classes if there],
        "log_odds": {
            "all_such_units": float(scores.base[row]),
            **{name: float(scores.contributions[row, column]) for column, name in enumerate(model.modalities)},
            "calibration": float(scores.calibration[row]),
        },
        "modalities": {
            name: _status(model, scores, row, column, fusion.used) for column, name in enumerate(model.modalities)
        },
    }


def _status(model: RiskModel, scores: RiskScores, row: int, column: int, used: Sequence[int]) -> str:
    if column in used:
        return "used"
    if not scores.present[row, column]:
        return "missing"
    if scores.outside[row, column] >= 0:
        return f"not believed: {model.features[column][scores.outside[row, column]]} lies far outside what was seen"
    return "left out: it made held-out answers no better" if model.heads[column] else "not learned"


def describe_origin(card: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Return which model answered: its hashes, when its units were judged, and how well it did on those held out."""
    held_out = card["evaluation"]
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "data_sha256": card["data_sha256"],
        "algorithm": card["algorithm"],
        "trained_to": card["trained_on"]["to"],
        "held_out_auc": held_out["auc"],
        "held_out_calibration_error": held_out["calibration"]["error"],
        "beats_baselines": held_out["beats_baselines"],
    }


def _scoring_remarks(model: RiskModel, evidence: Evidence, answered: np.ndarray, request: ScoringRequest) -> list[str]:
    said = []
    unused = unknown_features(model, evidence)
    if unused:
        said.append(f"{len(unused)} columns are not of the model and were not used, such as {unused[0]}.")
    if answered.sum() > request.most_units:
        said.append(f"The {request.most_units} most suspected of {int(answered.sum())} units are listed.")
    if not answered.all():
        said.append("A unit that is refused is not a good unit: nothing is said of it.")
    return said


def _provenance(sources: Sequence[SourceTable], evidence: Evidence, parameters: dict[str, Any]) -> dict[str, Any]:
    told = {"algorithm": ALGORITHM, "evidence_sha256": hash_evidence(evidence)}
    return provenance(sources, parameters) | told


def evaluate_tables(sources: Sequence[SourceTable], data: bytes) -> dict[str, Any]:
    """Return how the model in ``data`` does on units of the tables that were judged after all it was learned from.

    Raises:
        TooFewOutcomes: there is no such unit with a known outcome.
        analysis.latent_risk.evidence.EvidenceError: the model is damaged, or the evidence does not fit it.
        TableRefused: the tables do not fit together.
    """
    model, card = open_model(data)
    evidence = make_evidence(sources)
    later, earlier = _later_units(evidence, card)
    evaluation = evaluate_model(model, later)
    if evaluation is None:
        raise TooFewOutcomes("the model answers none of these units")
    remarks = [f"{earlier} units were judged before the model's own ended and do not count."] if earlier else []
    return {
        "verdict": "evaluated",
        "evaluation": describe_evaluation(evaluation, model),
        "model": describe_origin(card, data),
        "conventions": card["conventions"],
        "remarks": remarks,
        "provenance": _provenance(sources, evidence, {}),
    }


def _later_units(evidence: Evidence, card: dict[str, Any]) -> tuple[Evidence, int]:
    """Units with an outcome that came after all that was learned from; and how many did not."""
    end = datetime.fromisoformat(card["trained_on"]["to"]).timestamp()
    known = evidence.known()
    later = known.time_s > end
    if not later.any():
        raise TooFewOutcomes(
            f"no unit with a known outcome was judged after {card['trained_on']['to']}, when those that the model was "
            "learned from end: on older ones it would judge itself"
        )
    return known.select(later), int((~later).sum())


def drift_tables(sources: Sequence[SourceTable], data: bytes) -> dict[str, Any]:
    """Return whether units still look like those the model in ``data`` was learned from, and its calibration over time.

    Raises:
        analysis.latent_risk.evidence.EvidenceError: the model is damaged, or the evidence does not fit it.
        TableRefused: the tables do not fit together.
    """
    model, card = open_model(data)
    evidence = make_evidence(sources)
    stability = judge_stability(model.references, watched_values(model, evidence))
    try:
        later, _ = _later_units(evidence, card)
        calibration = _calibration_over_time(model, later)
    except TooFewOutcomes as error:
        calibration = {"verdict": "unknown", "reason": str(error), "periods": [], "overall": None}
    features = "drifted" if any(each.verdict == "drifted" for each in stability) else "stable"
    if features == "stable" and any(each.verdict == "shifting" for each in stability):
        features = "shifting"
    if len(evidence.units) and all(each.verdict == "too few units" for each in stability):
        features = "unknown"
    verdict = "drifted" if "drifted" in (features, calibration["verdict"]) else features
    return {
        "verdict": verdict,
        "units": len(evidence.units),
        "features": features,
        "stability": describe_stability(stability),
        "calibration": calibration,
        "model": describe_origin(card, data),
        "conventions": card["conventions"],
        "remarks": _drift_remarks(model, evidence),
        "provenance": _provenance(sources, evidence, {}),
    }


def _drift_remarks(model: RiskModel, evidence: Evidence) -> list[str]:
    there = {each.name for each in evidence.modalities}
    gone = [name for name in model.modalities if name not in there]
    return [f"No unit has anything of {', '.join(gone)}."] if gone else []


def _calibration_over_time(model: RiskModel, later: Evidence) -> dict[str, Any]:
    """Failures said and seen; units that got no answer are left out."""
    probability = score_units(model, later, bounded=False).probability
    rows = np.isfinite(probability)
    if not rows.any():
        return {"verdict": "unknown", "reason": "the model answers none of the units", "periods": [], "overall": None}
    failed = outcomes_failed(later.outcome)[rows]
    probability, time_s = probability[rows], later.time_s[rows]
    overall = judge_calibration(probability, failed)
    few = max(overall.expected, float(overall.seen)) < LEAST_FOR_CALIBRATION
    whole = follow_calibration(time_s, probability, failed, 1)[0]
    count = 1 if few else int(np.clip(overall.expected // LEAST_FOR_CALIBRATION, 1, 12))
    verdict = "unknown" if few else "drifted" if whole.p_value < _UNLIKELY else "stable"
    reason = f"{overall.expected:.1f} failures were expected and {overall.seen} seen among {failed.size} units"
    return {
        "verdict": verdict,
        "reason": reason + ("; too few to tell" if few else ""),
        "periods": describe_periods(follow_calibration(time_s, probability, failed, count)),
        "overall": describe_calibration(overall),
    }

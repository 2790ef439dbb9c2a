"""Learning a model of latent risk: tables of unit evidence in, the model's bytes and the document about it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.latent_risk.baselines import fit_baselines
from analysis.latent_risk.drift import judge_stability
from analysis.latent_risk.evaluation import evaluate_model
from analysis.latent_risk.evidence import Evidence, TooFewOutcomes
from analysis.latent_risk.model_file import pack_model
from analysis.latent_risk.patterns import outcomes_failed
from analysis.latent_risk.risk_model import watched_values
from analysis.latent_risk.training import Progress, Trained, TrainingSettings, train_model
from services.pipelines.latent_risk.evidence_tables import KIND, hash_evidence, make_evidence
from services.pipelines.latent_risk.risk_documents import (
    describe_evaluation,
    describe_fusions,
    describe_heads,
    describe_stability,
    time_text,
)
from services.pipelines.latent_risk.risk_requests import TrainingRequest
from services.pipelines.reliability.life_data import provenance
from services.pipelines.table_source import SourceTable, read_tables
from services.pipelines.versions import LATENT_RISK_VERSION

ALGORITHM = f"latent-risk/{LATENT_RISK_VERSION}"
_FEW_FAILED = 30
_MOST_SHIFTED = 20
_WORSE_BY = 1.05


@dataclass(frozen=True)
class LearnedModel:
    """What training made: the model's file, and what is told of it (which is its card too)."""

    data: bytes
    document: dict[str, Any]


def train_paths(paths: Sequence[Path], request: TrainingRequest) -> LearnedModel:
    """Learn from the files ``paths``; raises what reading them and :func:`train_tables` raise."""
    return train_tables(read_tables(paths, KIND), request)


def train_tables(
    sources: Sequence[SourceTable], request: TrainingRequest, progress: Progress | None = None
) -> LearnedModel:
    """Return the model learned from tables of unit evidence, judged by their last units.

    Raises:
        analysis.latent_risk.evidence.EvidenceError: the evidence does not allow it; the message says why.
        TableRefused: the tables do not fit together.
    """
    evidence = make_evidence(sources)
    settings = TrainingSettings(**request.model_dump())
    tell = progress or (lambda _part, _message: None)
    trained = train_model(evidence, settings, lambda part, message: tell(0.8 * part, message))
    tell(0.85, "fitting the plain models")
    baselines = fit_baselines(trained.development, trained.blocks, request.trees, request.seed)
    tell(0.92, "judging by the last units")
    evaluation = evaluate_model(trained.model, trained.held_out, baselines)
    if evaluation is None:
        raise TooFewOutcomes("the model answers none of the units that were held out: they are unlike those before")
    held_out = describe_evaluation(evaluation, trained.model)
    card = {
        "algorithm": ALGORITHM,
        "data_sha256": hash_evidence(evidence),
        "trained_on": _describe_units(trained.development) | {"outcome_not_yet_known": trained.left_out},
        "held_out": _describe_units(trained.held_out),
        "heads": describe_heads(trained.choices),
        "fusions": describe_fusions(trained.model),
        "evaluation": held_out,
        "stability": _judge_stability(trained),
        "conventions": _conventions(request),
        "remarks": _remarks(trained, held_out),
        "provenance": provenance(sources, request.model_dump(mode="json")) | {"algorithm": ALGORITHM},
    }
    verdict = "beats-baselines" if evaluation.beats_baselines else "does-not-beat-baselines"
    return LearnedModel(pack_model(trained.model, card), {"verdict": verdict, **card})


def _judge_stability(trained: Trained) -> list[dict[str, Any]]:
    """Features of the last units against those learned from: whether the fab had changed meanwhile."""
    values = watched_values(trained.model, trained.held_out)
    features = {name: each for name, each in values.items() if not name.startswith("score")}
    return describe_stability(judge_stability(trained.model.references, features)[:_MOST_SHIFTED])


def _describe_units(evidence: Evidence) -> dict[str, Any]:
    failed = outcomes_failed(evidence.outcome)
    return {
        "units": int(failed.size),
        "failed": int(failed.sum()),
        "from": time_text(float(evidence.time_s.min())),
        "to": time_text(float(evidence.time_s.max())),
        "present": dict(zip(evidence.names, evidence.present.sum(axis=0).tolist(), strict=True)),
    }


def _conventions(request: TrainingRequest) -> dict[str, Any]:
    return {
        "split": "in the order of time; the last part is never learned from, and nothing is chosen by it",
        "folds": "forward: a block of time is scored by heads that know only what was known when it began",
        "probability": "of failing in the field, for units as they were in the data: no other prior is assumed",
        "interval": "Venn-Abers, on held-out units",
        "sets": f"class-conditional conformal, alpha {request.alpha:g}; exchangeable with the held-out units",
        "auc_interval": "Newcombe's method 5, 95 %",
        "baseline_interval": "bootstrap within classes, 95 %; beaten: the whole interval is below 0",
        "calibration_error": "10 bins of equally many units, against what exact probabilities would show by chance",
        "psi": "deciles of the reference, missing values a bin; 0.1 and 0.25, and beyond chance (adjusted p <= 0.01)",
        "log_loss": "nats",
    }


def _is_worse(pattern: dict[str, Any]) -> bool:
    single = pattern["best_single"]
    return single is not None and bool(pattern["log_loss"] > _WORSE_BY * single["log_loss"])


def _remarks(trained: Trained, held_out: dict[str, Any]) -> list[str]:
    said = []
    failed = int(held_out["failed"])
    if failed < _FEW_FAILED:
        said.append(
            f"Only {failed} of the units that judge the model failed: read its figures with their intervals "
            f"(AUC {held_out['auc_low']:.3f} to {held_out['auc_high']:.3f})."
        )
    if not held_out["beats_baselines"]:
        unbeaten = [each["name"] for each in held_out["baselines"] if not each["beaten"]]
        said.append(
            f"The model is not better than {' and '.join(unbeaten)} by more than chance: use the plain model, or wait "
            "for more outcomes."
        )
    worse = [each for each in held_out["patterns"] if _is_worse(each)]
    if worse:
        told = "; ".join(
            f"{' and '.join(each['modalities'])} {each['log_loss']:.4f}, {each['best_single']['log_loss']:.4f}"
            for each in worse[:3]
        )
        said.append(f"On later units these score worse than their best modality alone (log loss of both): {told}.")
    promised = 1 - held_out["sets"]["alpha"]
    for name in ("failed", "survived"):
        found = held_out["sets"][name]
        if found["units"] and found["covered"] < found["low_by_chance"]:
            said.append(
                f"The sets hold {100 * found['covered']:.1f} % of the units that {name} where {100 * promised:g} % are "
                f"promised, and at least {100 * found['low_by_chance']:.1f} % by chance: later units are unlike those "
                "that the sets were made from."
            )
    if held_out["refused"]["units"]:
        said.append(
            f"{held_out['refused']['units']} of the held-out units got no answer, {held_out['refused']['failed']} of "
            "them failed: an answer that is refused is a unit to look at."
        )
    if held_out["calibration"]["p_value"] < 0.01:
        calibration = held_out["calibration"]
        said.append(
            f"{calibration['failures']} held-out units failed where {calibration['expected_failures']:.1f} were "
            "expected: the rate of failures has changed since the units that were learned from."
        )
    absent = [each.modality for each in trained.choices if each.kind is None]
    if absent:
        said.append(f"Nothing could be learned of {', '.join(absent)}: too few outcomes were known with it.")
    if np.unique(trained.development.time_s).size < trained.development.time_s.size // 10:
        said.append("Many units share one time: the order of time is coarse.")
    return said

"""What is known of a model as a document: performance, calibration, sets, patterns, comparisons, stability."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from analysis.latent_risk.drift import CalibrationPeriod, Stability
from analysis.latent_risk.evaluation import Comparison, Evaluation, PatternPerformance, Performance, SetCoverage
from analysis.latent_risk.measures import Calibration
from analysis.latent_risk.risk_model import RiskModel
from analysis.latent_risk.training import HeadChoice, name_kind


def finite(value: float) -> float | None:
    """Return ``value``, ``None`` where it is no finite number."""
    return value if math.isfinite(value) else None


def time_text(seconds: float) -> str:
    """Return ``seconds`` since 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def describe_evaluation(evaluation: Evaluation, model: RiskModel) -> dict[str, Any]:
    """Return the document of ``evaluation``."""
    failed, survived = evaluation.coverage
    return {
        **describe_performance(evaluation.performance),
        "refused": {"units": evaluation.refused, "failed": evaluation.refused_failed},
        "calibration": describe_calibration(evaluation.calibration),
        "sets": {
            "alpha": model.alpha,
            "failed": _describe_coverage(failed),
            "survived": _describe_coverage(survived),
        },
        "patterns": [_describe_pattern(each, model) for each in evaluation.patterns],
        "baselines": [_describe_comparison(each) for each in evaluation.comparisons],
        "beats_baselines": evaluation.beats_baselines,
    }


def describe_performance(found: Performance) -> dict[str, Any]:
    """Return the document of ``found``; areas with their 95 % interval (Newcombe), scores in nats."""
    one_percent, five_percent = found.caught
    return {
        "units": found.units,
        "failed": found.failed,
        "auc": finite(found.area),
        "auc_low": found.area_interval[0],
        "auc_high": found.area_interval[1],
        "log_loss": found.log_loss,
        "log_loss_of_failed": finite(found.loss_of_failed),
        "log_loss_of_survived": finite(found.loss_of_survived),
        "brier": found.brier,
        "caught_of_failed": {"worst_1_percent": finite(one_percent), "worst_5_percent": finite(five_percent)},
    }


def describe_calibration(found: Calibration) -> dict[str, Any]:
    """Return the document of ``found``; bins in rising order of probability, with the part that failed and its 95 %."""
    return {
        "error": found.error,
        "error_by_chance": found.error_by_chance,
        "expected_failures": found.expected,
        "failures": found.seen,
        "p_value": found.p_value,
        "slope": finite(found.slope),
        "bins": [
            {"probability": each.probability, "units": each.count, "failed": each.failed,
             "failed_part": each.failed / each.count, "low": each.interval[0], "high": each.interval[1]}
            for each in found.bins
        ],
    }  # fmt: skip


def _describe_coverage(found: SetCoverage) -> dict[str, Any]:
    return {"units": found.units, "covered": finite(found.covered), "low": found.interval[0],
            "high": found.interval[1], "low_by_chance": found.by_chance[0], "high_by_chance": found.by_chance[1],
            "told_alone": found.alone}  # fmt: skip


def names_of(model: RiskModel, members: Sequence[int]) -> list[str]:
    """Return the names of the modalities ``members`` of ``model``."""
    return [model.modalities[each] for each in members]


def _describe_pattern(found: PatternPerformance, model: RiskModel) -> dict[str, Any]:
    single = found.best_single
    fusion = model.fusions[found.members]
    return {
        "modalities": names_of(model, found.members),
        "used": names_of(model, fusion.used),
        "reason": fusion.reason,
        **describe_performance(found.performance),
        "calibration_error": found.calibration.error,
        "best_single": None if single is None else {"auc": finite(single.area), "log_loss": single.log_loss},
    }


def _describe_comparison(found: Comparison) -> dict[str, Any]:
    return {"name": found.name, **describe_performance(found.performance), "log_loss_difference": found.loss_difference,
            "low": found.interval[0], "high": found.interval[1], "beaten": found.beaten}  # fmt: skip


def describe_heads(choices: Sequence[HeadChoice]) -> list[dict[str, Any]]:
    """Return which head each modality got, what was tried, and why."""
    return [
        {"modality": each.modality, "head": None if each.kind is None else name_kind(each.kind),
         "log_loss_by_head": each.scores, "reason": each.reason}
        for each in choices
    ]  # fmt: skip


def describe_fusions(model: RiskModel) -> list[dict[str, Any]]:
    """Return what is done with each subset of the modalities, and what it was chosen by."""
    return [
        {"modalities": names_of(model, members), "used": names_of(model, fusion.used), "reason": fusion.reason,
         "weights": dict(zip(names_of(model, fusion.used), fusion.stack.weights.tolist(), strict=True)),
         "calibration": fusion.calibrator.method, "calibration_reason": fusion.calibration_reason,
         "calibrated_on": {"population": fusion.population, "units": int(fusion.known_failed.size),
                           "failed": int(fusion.known_failed.sum())},
         "held_out_log_loss": finite(fusion.log_loss), "best_single_log_loss": finite(fusion.best_single_log_loss),
         "held_out_auc": finite(fusion.area), "best_single_auc": finite(fusion.best_single_area),
         "doubts": list(fusion.doubts)}
        for members, fusion in model.fusions.items()
    ]  # fmt: skip


def describe_stability(found: Sequence[Stability]) -> list[dict[str, Any]]:
    """Return the stability index of each feature and score, the most changed first."""
    return [{"name": each.name, "psi": each.index, "by_chance": each.by_chance, "verdict": each.verdict}
            for each in found]  # fmt: skip


def describe_periods(found: Sequence[CalibrationPeriod]) -> list[dict[str, Any]]:
    """Return failures said and seen, period by period."""
    return [
        {"from": time_text(each.from_s), "to": time_text(each.to_s), "units": each.units,
         "expected_failures": each.expected, "failures": each.seen, "p_value": each.p_value}
        for each in found
    ]  # fmt: skip

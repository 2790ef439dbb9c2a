"""Latent risk by late fusion, on real data that lie in the order of time, beside plain models of all features at once.

    python -m benchmarks.fusion [--json] [--trees N]

*UCR Wafer*, cut into three segments that stand for three modalities: learned from the official training part, asked
about the test part with nothing, one and two of the segments hidden. The files say no times; their order, training
part first, is taken for it. All choices (heads, stacks, calibrations) are made within the training part.

*SECOM*: the first 70 % of the units in the order of their timestamps are learned from, the last 30 % are asked about.
The columns are cut into three by their order, before anything is looked at. The file's columns were filled and scaled
over all units, without labels, by whoever made it; nothing else of the last 30 % is known when they are asked.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import numpy as np

from analysis.latent_risk.baselines import Baseline, fit_baselines
from analysis.latent_risk.evaluation import Evaluation, SetCoverage, cover_class, evaluate_model
from analysis.latent_risk.evidence import Evidence, Flags, Modality
from analysis.latent_risk.measures import area_under_roc, judge_calibration
from analysis.latent_risk.patterns import outcomes_failed
from analysis.latent_risk.risk_model import score_units
from analysis.latent_risk.training import Trained, TrainingSettings, train_model
from benchmarks.anomaly_trials.datasets import read_wafer, sample_folder
from benchmarks.report import Row, print_rows

SEGMENTS = 3
SECOM_PART = 0.3
TREES = 200


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--trees", type=int, default=TREES, help="of each forest")
    arguments = parser.parse_args()
    print_rows([*measure_wafer(arguments.trees), *measure_secom(arguments.trees)], as_json=arguments.json)


@dataclass(frozen=True)
class Learned:
    """A trained model with the plain models beside it."""

    trained: Trained
    baselines: tuple[Baseline, ...]


def learn(evidence: Evidence, part: float, trees: int) -> Learned:
    """Learn from all but the last ``part`` of the units."""
    trained = train_model(evidence, TrainingSettings(held_out_part=part, trees=trees))
    return Learned(trained, fit_baselines(trained.development, trained.blocks, trees, 0))


def cut_modalities(name: str, feature: str, values: np.ndarray) -> tuple[Modality, ...]:
    """Return the columns in :data:`SEGMENTS` runs of equal length, each a modality."""
    return tuple(
        Modality(f"{name}_{number}", tuple(f"{feature}_{column}" for column in columns), values[:, columns])
        for number, columns in enumerate(np.array_split(np.arange(values.shape[1]), SEGMENTS), 1)
    )


def wafer_evidence(folder: Path) -> tuple[Evidence, float]:
    """Return UCR Wafer as evidence of three modalities, training part first, and the part that is the test."""
    learned, asked = read_wafer(folder)
    values = np.concatenate([learned.rows, asked.rows])
    outcome = np.concatenate([learned.abnormal, asked.abnormal]).astype(np.int8)
    order = np.arange(outcome.size, dtype=np.float64)
    units = tuple(f"wafer {number}" for number in range(outcome.size))
    evidence = Evidence(units, order, outcome, order, cut_modalities("segment", "trace", values))
    return evidence, asked.abnormal.size / outcome.size


def measure_wafer(trees: int) -> Iterator[Row]:
    """Yield the area under the ROC curve and the calibration with nothing, one and two of three segments hidden."""
    evidence, part = wafer_evidence(sample_folder())
    learned = learn(evidence, part, trees)
    asked = learned.trained.held_out
    failed = outcomes_failed(asked.outcome)
    bounds = {0: "", 1: ">= 0.999", 2: ">= 0.995"}
    for count, bound in bounds.items():
        for missing in combinations(evidence.names, count):
            yield from _wafer_rows(learned, asked.without(missing), failed, missing, bound)
    for each in learned.baselines:
        area = area_under_roc(each.probability(asked), failed)
        yield Row(f"Wafer, all there: plain {each.name} of all features", area, "AUC")
        hidden = [
            area_under_roc(each.probability(asked.without([name])), failed) for name in evidence.names
        ]  # the plain way: fill in medians
        yield Row(f"Wafer, worst one missing: plain {each.name}, medians filled in", min(hidden), "AUC")


def _wafer_rows(
    learned: Learned, asked: Evidence, failed: Flags, missing: tuple[str, ...], bound: str
) -> Iterator[Row]:
    scores = score_units(learned.trained.model, asked)
    rows = np.isfinite(scores.probability)
    told = f"Wafer, without {' and '.join(missing)}" if missing else "Wafer, all there"
    # A unit that is refused counts against the ranking: a failed one as the least, a good one as the most suspected.
    worst = np.where(rows, scores.probability, np.where(failed, -1.0, 2.0))
    yield Row(f"{told}: answered units", area_under_roc(scores.probability[rows], failed[rows]), "AUC", bound)
    yield Row(f"{told}: all units, refused ones ranked wrong", area_under_roc(worst, failed), "AUC")
    yield Row(f"{told}: refused", float((~rows).sum()), f"of {failed.size} units")
    error = judge_calibration(scores.probability[rows], failed[rows]).error
    yield Row(f"{told}: calibration error", error, "probability", "<= 0.02")
    for name, there, fail in (("failed", failed, True), ("survived", ~failed, False)):
        found = cover_class(learned.trained.model, scores, rows & there, fail=fail)
        yield Row(f"{told}: sets hold units that {name}{_by_chance(found)}", found.covered, "part", ">= 0.87")


def _by_chance(found: SetCoverage) -> str:
    low, high = found.by_chance
    return f", {low:.3f} to {high:.3f} by chance"


def secom_evidence(folder: Path) -> Evidence:
    """Return SECOM as evidence of three modalities, with its timestamps."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "secom" / "secom_processed_X.parquet")
    values = np.stack([np.asarray(table.column(name), np.float64) for name in table.column_names], axis=1)
    with (folder / "secom" / "secom_labels.data").open(newline="") as file:
        lines = [line for line in csv.reader(file, delimiter=" ") if line]
    times = [datetime.strptime(line[1], "%d/%m/%Y %H:%M:%S").replace(tzinfo=UTC).timestamp() for line in lines]
    time_s, outcome = np.asarray(times), np.asarray([line[0] == "1" for line in lines], np.int8)
    units = tuple(f"unit {number}" for number in range(outcome.size))
    return Evidence(units, time_s, outcome, time_s, cut_modalities("sensors", "sensor", values))


def measure_secom(trees: int) -> Iterator[Row]:
    """Yield the area under the ROC curve on the last 30 % in time, beside logistic regression and forest."""
    learned = learn(secom_evidence(sample_folder()), SECOM_PART, trees)
    evaluation = evaluate_model(learned.trained.model, learned.trained.held_out, learned.baselines)
    assert evaluation is not None
    yield from _secom_rows(learned, evaluation)


def _secom_rows(learned: Learned, evaluation: Evaluation) -> Iterator[Row]:
    trained = learned.trained
    told = (
        f"SECOM, last {len(trained.held_out.units)} of {len(trained.held_out.units) + len(trained.development.units)}"
    )
    found = evaluation.performance
    for name, each in (("late fusion", found), *((c.name, c.performance) for c in evaluation.comparisons)):
        low, high = each.area_interval
        yield Row(f"{told}: {name}, 95 % {low:.3f} to {high:.3f}, {each.failed} failed", each.area, "AUC")
        yield Row(f"{told}: {name}, units that failed", each.loss_of_failed, "log loss, nats")
        yield Row(f"{told}: {name}, units that survived", each.loss_of_survived, "log loss, nats")
        yield Row(f"{told}: {name}, all units", each.log_loss, "log loss, nats")
    for comparison in evaluation.comparisons:
        low, high = comparison.interval
        claim = f"{told}: late fusion less {comparison.name}, 95 % {low:.4f} to {high:.4f}"
        yield Row(claim, comparison.loss_difference, "log loss, nats")
    yield Row(f"{told}: calibration error", evaluation.calibration.error, "probability")
    yield Row(f"{told}: calibration error by chance", evaluation.calibration.error_by_chance, "probability")
    for name, covered in zip(("failed", "survived"), evaluation.coverage, strict=True):
        yield Row(f"{told}: sets hold units that {name}{_by_chance(covered)}", covered.covered, "part")
    yield Row(f"{told}: refused", float(evaluation.refused), "units")


if __name__ == "__main__":
    main()

"""Anomaly without a simulation: real process traces, beside baselines and peers.

    python -m benchmarks.anomaly [--json] [--peers PYTHON]

UCR Wafer: learned from the official training part, asked for the test part. *One-class*: from its 903 good rows;
*unsupervised*: from all 1000, without labels. NAB machine temperature: learned from the first 15 % in time without
labels, asked for the rest, sample by sample. How the settings were chosen, without any test label, is in
``benchmarks.anomaly_trials.choice``. ``--peers`` names the interpreter that has pyod and aeon (extra
``anomaly-peers``; they ask for an older numpy than the one pinned here, so that it is an environment of its own);
default: this one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.population import (
    calibrate_population,
    learn_contaminated,
    learn_reference,
    neighbour_distances,
)
from analysis.anomaly.process_trace import learn_trace
from analysis.anomaly.thresholds import conformal_threshold, prediction_sets, rate_interval
from benchmarks.anomaly_trials import peers
from benchmarks.anomaly_trials.datasets import (
    ABNORMAL,
    NORMAL,
    LabelledRows,
    area_under_roc,
    average_precision,
    read_machine_temperature,
    read_wafer,
    sample_folder,
)
from benchmarks.report import Row, print_rows

SEEDS = 5
WINDOW = 96
NOMINAL = (0.02, 0.05, 0.1, 0.2)
FALSE_ALARMS = 0.05
FOREST, NEAREST, LABELLED = peers.PEERS
Score = Callable[[int], NDArray[np.float64]]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--peers", default=sys.executable, help="the Python interpreter that has pyod and aeon")
    arguments = parser.parse_args()
    rows = [*measure_wafer(arguments.peers), *measure_machine_temperature(arguments.peers)]
    print_rows(rows, as_json=arguments.json)


def measure_wafer(python: str) -> list[Row]:
    """Measure UCR Wafer: both ways of learning, and what false alarms are promised and kept."""
    learn, test = read_wafer(sample_folder())
    good = learn.rows[~learn.abnormal]
    one_class = _ours("Wafer one-class", test.abnormal, lambda seed: _reference(good, test.rows, seed))
    unsupervised = _ours("Wafer unsupervised", test.abnormal, lambda seed: _contaminated(learn.rows, test.rows, seed))
    return [
        *_with_targets(one_class, (">= 0.9977", ">= 0.972")),
        *_baselines("Wafer one-class", good, test),
        *_peers("Wafer one-class", python, good, test, (FOREST, NEAREST)),
        *_with_targets(unsupervised, (">= 0.958", ">= 0.75")),
        *_baselines("Wafer unsupervised", learn.rows, test),
        *_peers("Wafer unsupervised", python, learn.rows, test, (FOREST, NEAREST)),
        *_peers("Wafer supervised", python, learn.rows, test, (LABELLED,), learn.abnormal),
        *measure_coverage(learn, test),
    ]


def _reference(learn: NDArray[np.float64], asked: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return learn_reference(learn, np.random.default_rng(seed)).score(asked)


def _contaminated(learn: NDArray[np.float64], asked: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return learn_contaminated(learn, np.random.default_rng(seed)).score(asked)


def _ours(name: str, abnormal: NDArray[np.bool_], score: Score) -> list[Row]:
    """Return worst and mean over the seeds: the worst is what is held against the target."""
    found = [(area_under_roc(abnormal, each), average_precision(abnormal, each)) for each in map(score, range(SEEDS))]
    return [
        Row(f"{name}: {measure}, {how} of {SEEDS} seeds", float(value), measure)
        for place, measure in enumerate(("AUC", "AP"))
        for how, value in (("worst", min(pair[place] for pair in found)), ("mean", np.mean(found, axis=0)[place]))
    ]


def _with_targets(rows: list[Row], targets: tuple[str, str]) -> list[Row]:
    bounds = {"AUC": targets[0], "AP": targets[1]}
    return [Row(row.claim, row.value, row.unit, bounds[row.unit] if "worst" in row.claim else "") for row in rows]


def _baselines(name: str, learn: NDArray[np.float64], test: LabelledRows) -> list[Row]:
    """Return the simple ways: distance to the mean trace, and to the nearest learned one."""
    mean, spread = learn.mean(axis=0), learn.std(axis=0) + 1e-9
    ways = {
        "baseline, distance from the mean trace": np.sqrt((((test.rows - mean) / spread) ** 2).mean(axis=1)),
        "baseline, nearest learned trace": neighbour_distances(test.rows, learn, 1),
    }
    return [row for way, scores in ways.items() for row in _pair(f"{name}: {way}", test.abnormal, scores)]


def _pair(name: str, abnormal: NDArray[np.bool_], scores: NDArray[np.float64]) -> list[Row]:
    return [
        Row(f"{name}, AUC", area_under_roc(abnormal, scores), "AUC"),
        Row(f"{name}, AP", average_precision(abnormal, scores), "AP"),
    ]


def _peers(
    name: str,
    python: str,
    learn: NDArray[np.float64],
    test: LabelledRows,
    wanted: Sequence[str],
    labels: NDArray[np.bool_] | None = None,
) -> list[Row]:
    """Return the mean over seeds of each peer that the interpreter has; one that it lacks is told on stderr."""
    scores = run_peers(python, learn, test.rows, wanted, labels)
    rows = []
    for peer, seeds in scores.items():
        found = [(area_under_roc(test.abnormal, each), average_precision(test.abnormal, each)) for each in seeds]
        auc, ap = np.mean(found, axis=0)
        rows += [Row(f"{name}: {peer}, AUC", float(auc), "AUC"), Row(f"{name}: {peer}, AP", float(ap), "AP")]
    return rows


def run_peers(
    python: str,
    learn: NDArray[np.float64],
    asked: NDArray[np.float64],
    wanted: Sequence[str],
    labels: NDArray[np.bool_] | None = None,
) -> dict[str, list[NDArray[np.float64]]]:
    """Return by peer its scores of ``asked`` for each seed, computed by the interpreter ``python``."""
    with tempfile.TemporaryDirectory(prefix="faultlight-peers-") as folder:
        path = Path(folder) / "arrays.npz"
        known = {} if labels is None else {"labels": labels}
        np.savez(path, learn=learn, test=asked, peers=json.dumps(list(wanted)), **known)
        command = [python, peers.__file__, str(path)]
        outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {name: [np.asarray(each) for each in seeds] for name, seeds in json.loads(outcome.stdout).items()}


def measure_coverage(learn: LabelledRows, test: LabelledRows) -> list[Row]:
    """Measure in each class how often the prediction set holds the truth, and what an alarm at 5 % gives."""
    generator = np.random.default_rng(0)
    population = calibrate_population(learn.rows[~learn.abnormal], generator)
    asked, faults = population.score(test.rows), population.score(learn.rows[learn.abnormal])
    rows = []
    for alpha in NOMINAL:
        sets = prediction_sets(
            {NORMAL: asked, ABNORMAL: -asked}, {NORMAL: population.calibration, ABNORMAL: -faults}, alpha, generator
        )
        for name, truth in ((NORMAL, ~test.abnormal), (ABNORMAL, test.abnormal)):
            covered = float(sets[name][truth].mean())
            claim = f"Wafer, {name} rows: coverage {covered:.4f} against {1 - alpha:.2f} promised, off by"
            rows.append(Row(claim, 100 * abs(covered - (1 - alpha)), "points", "<= 3"))
    threshold = conformal_threshold(population.calibration, FALSE_ALARMS)
    alarms = asked > threshold.value
    low, high = rate_interval(int(alarms[~test.abnormal].sum()), int((~test.abnormal).sum()))
    promised = f"{threshold.rate_interval[0]:.3f} to {threshold.rate_interval[1]:.3f}"
    rows.append(
        Row(
            f"Wafer, alarms at 5 %: false alarms (expected {promised}; seen, 95 %: {low:.3f} to {high:.3f})",
            float(alarms[~test.abnormal].mean()),
            "part",
            "<= 0.08",
        )
    )
    rows.append(Row("Wafer, alarms at 5 %: abnormal rows found", float(alarms[test.abnormal].mean()), "part"))
    return rows


def measure_machine_temperature(python: str) -> list[Row]:
    """Measure NAB's machine temperature, in the order of time."""
    values, abnormal, learned = read_machine_temperature(sample_folder())
    learn, ask, truth = values[:learned], values[learned:], abnormal[learned:]
    centre = float(np.median(learn))
    name = "machine temperature"
    ours = learn_trace(learn, WINDOW).score(ask)
    windows = np.lib.stride_tricks.sliding_window_view(ask, WINDOW)
    known = np.lib.stride_tricks.sliding_window_view(learn, WINDOW)
    rows = [
        Row(f"{name}: AUC", area_under_roc(truth, ours), "AUC", ">= 0.925"),
        Row(f"{name}: AP", average_precision(truth, ours), "AP"),
        *_pair(f"{name}: baseline, distance of a single sample", truth, np.abs(ask - centre)),
    ]
    for peer, seeds in run_peers(python, known, windows, (FOREST,)).items():
        found = [
            (area_under_roc(truth, score), average_precision(truth, score))
            for score in (spread_over_samples(each, ask.size) for each in seeds)
        ]
        auc, ap = np.mean(found, axis=0)
        rows += [Row(f"{name}: {peer}, AUC", float(auc), "AUC"), Row(f"{name}: {peer}, AP", float(ap), "AP")]
    return rows


def spread_over_samples(scores: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """Return for each of ``samples`` samples the mean of the scores of the windows that cover it."""
    covered = np.convolve(np.ones(scores.size), np.ones(WINDOW))
    return np.asarray((np.convolve(scores, np.ones(WINDOW)) / covered)[:samples], np.float64)


if __name__ == "__main__":
    main()

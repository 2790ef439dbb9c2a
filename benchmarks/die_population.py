"""Which of many dies stand out: the robust subspace beside plain distances, and what the promised rate is.

``python -m benchmarks.die_population [--json]``. SIMULATED levels of cycles, made here without any of the localizer's
code: own net and neighbours under the spot as random bits, gains of either sign, neighbours' weights that differ from
die to die, drift and noise of 4 swings' signal to noise; a tenth of the dies are faulty, one by one (stuck, inverted
or weak in a tenth of the cycles, another net) or all alike (the same tenth of the cycles inverted).
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.die_population import NetLevels, fit_net, judge_dies
from analysis.anomaly.population import learn_contaminated
from benchmarks.anomaly_trials.datasets import area_under_roc
from benchmarks.report import Row, print_rows

POPULATIONS, GOOD, FAULTY, CYCLES, NEIGHBOURS, SIGMA = 12, 80, 8, 64, 4, 0.35
REFERENCE, RATE = 40, 0.05


@dataclass(frozen=True)
class Scene:
    """Levels (float64, ``(dies, cycles)``), their noise by die, and which dies are faulty."""

    levels: NetLevels
    faulty: NDArray[np.bool_]


def make_scene(generator: np.random.Generator, *, alike: bool) -> Scene:
    """Return a population whose faults are all ``alike``, or each its own."""
    own = generator.choice((-1.0, 1.0), CYCLES)
    beside = generator.choice((-1.0, 1.0), (NEIGHBOURS, CYCLES))
    amounts = generator.uniform(-0.5, 0.5, NEIGHBOURS)
    same = generator.random(CYCLES) < 0.1
    time = np.linspace(-1, 1, CYCLES)
    rows, sigmas = [], []
    for die in range(GOOD + FAULTY):
        does = own if die < GOOD else np.where(same, -own, own) if alike else _fault(own, generator)
        gain = generator.choice((-1.0, 1.0)) * generator.uniform(0.6, 1.4)
        mixed = gain * (does + (amounts * generator.uniform(0.3, 1.7, NEIGHBOURS)) @ beside)
        sigma = SIGMA * generator.uniform(0.7, 1.3)
        drift = 3 * generator.normal() + 0.3 * generator.normal() * time + 0.2 * generator.normal() * time**2
        rows.append(mixed + drift + generator.normal(0, sigma, CYCLES))
        sigmas.append(sigma)
    return Scene(NetLevels(np.stack(rows), np.asarray(sigmas)), np.arange(GOOD + FAULTY) >= GOOD)


def _fault(own: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    some = generator.random(CYCLES) < 0.1
    kinds = (
        np.ones(CYCLES),
        np.where(some, -own, own),
        np.where(some, 0.0, own),
        generator.choice((-1.0, 1.0), CYCLES),
    )
    return np.asarray(kinds[int(generator.integers(4))], np.float64)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    arguments = parser.parse_args()
    rows = [row for alike in (False, True) for row in measure_scores(alike=alike)]
    print_rows([*rows, *measure_rate()], as_json=arguments.json)


def measure_scores(*, alike: bool) -> list[Row]:
    """Measure the area under the curve of the score, the baseline and the population of rows; mean of populations."""
    generator = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    for _ in range(POPULATIONS):
        scene = make_scene(generator, alike=alike)
        fit = fit_net(scene.levels)
        aligned = scene.levels.values - scene.levels.values.mean(axis=1, keepdims=True)
        aligned *= np.sign(aligned @ fit.directions[0])[:, None] / np.linalg.norm(aligned, axis=1)[:, None]
        forest = learn_contaminated(aligned, np.random.default_rng(0))
        for way, scores in (
            ("robust subspace", fit.scores),
            ("baseline, distance from the median waveform", fit.baseline),
            ("forest and nearest rows", forest.score(aligned)),
        ):
            found.setdefault(way, []).append(area_under_roc(scene.faulty, scores))
    which = "faults alike" if alike else "single faults"
    return [Row(f"dies, {which}: {way}, AUC", float(np.mean(each)), "AUC") for way, each in found.items()]


def measure_rate() -> list[Row]:
    """Measure false alarms and faults found against good dies at the promised rate."""
    generator = np.random.default_rng(1)
    false, right = [], []
    for _ in range(4):
        scene = make_scene(generator, alike=False)
        known = np.arange(GOOD + FAULTY) < REFERENCE
        judged = judge_dies({"net": scene.levels}, [""] * (GOOD + FAULTY), known, RATE)
        alarms = np.asarray([bool(each.alarm) for each in judged])
        false += alarms[~known & ~scene.faulty].tolist()
        right += alarms[scene.faulty].tolist()
    claim = f"dies, against {REFERENCE} good ones at {RATE:g}"
    return [
        Row(f"{claim}: false alarms among {len(false)}", float(np.mean(false)), "part", "<= 0.1"),
        Row(f"{claim}: faulty dies found of {len(right)}", float(np.mean(right)), "part"),
    ]


if __name__ == "__main__":
    main()

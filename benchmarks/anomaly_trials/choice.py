"""How the settings of :mod:`analysis.anomaly` were chosen: by the training parts alone.

``python -m benchmarks.anomaly_trials.choice`` prints what the choice was made from. Of UCR Wafer, the official training
part is cut into five parts at random, twice; each part is scored by what was learned from the other four. Of NAB's
machine temperature, the first 60 % of the learning part is taken (what follows holds a labelled fault); its first half
is learned, and faults of five kinds are put into the second half: a step, a ramp, noise, a stuck sensor, an
oscillation, each of 1 to 5 standard deviations over 96 to 400 samples. No test label is seen.
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.population import PopulationOptions, learn_contaminated, learn_reference, neighbour_distances
from analysis.anomaly.process_trace import TraceModel, learn_trace
from benchmarks.anomaly_trials.datasets import (
    LabelledRows,
    area_under_roc,
    average_precision,
    read_machine_temperature,
    read_wafer,
    sample_folder,
)

FAULTS = 80
WINDOW = 96
ROUNDS = 2
Pair = tuple[float, float]


def _folds(count: int) -> Iterator[NDArray[np.bool_]]:
    for seed in range(ROUNDS):
        part = np.random.default_rng(seed).integers(0, 5, count)
        yield from (part == each for each in range(5))


def reference_quality(learn: LabelledRows, options: PopulationOptions) -> Pair:
    """Return mean AUC and AP of held-out rows when good rows alone are learned."""
    found = []
    for held in _folds(len(learn.rows)):
        asked = held | learn.abnormal
        model = learn_reference(learn.rows[~held & ~learn.abnormal], np.random.default_rng(0), options)
        found.append(_pair(learn.abnormal[asked], model.score(learn.rows[asked])))
    return _mean(found)


def contaminated_quality(learn: LabelledRows, options: PopulationOptions) -> Pair:
    """Return mean AUC and AP of held-out rows when all others are learned without labels."""
    found = []
    for held in _folds(len(learn.rows)):
        model = learn_contaminated(learn.rows[~held], np.random.default_rng(0), options)
        found.append(_pair(learn.abnormal[held], model.score(learn.rows[held])))
    return _mean(found)


def _pair(abnormal: NDArray[np.bool_], scores: NDArray[np.float64]) -> Pair:
    return area_under_roc(abnormal, scores), average_precision(abnormal, scores)


def _mean(pairs: list[Pair]) -> Pair:
    first, second = np.mean(pairs, axis=0)
    return float(first), float(second)


def put_fault(
    values: NDArray[np.float64], sigma: float, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return ``values`` with a fault of 1 to 5 ``sigma``, and where it is."""
    changed, kind, length = values.copy(), int(generator.integers(5)), int(generator.integers(96, 400))
    at = int(generator.integers(values.size - length))
    part = slice(at, at + length)
    size = float(generator.choice([-1, 1]) * generator.uniform(1, 5) * sigma)
    place = np.arange(length)
    if kind == 3:
        changed[part] = changed[at]
    else:
        changed[part] += (
            np.full(length, size),
            size * place / (length - 1),
            generator.normal(0, abs(size) / 2, length),
            None,
            size * np.sin(place / generator.uniform(3, 20)),
        )[kind]
    where = np.zeros(values.size, np.bool_)
    where[part] = True
    return changed, where


def trace_quality() -> dict[str, float]:
    """Return by way of scoring the mean AUC over the faults put into the learning part."""
    values, _, learned = read_machine_temperature(sample_folder())
    clean = values[: int(0.6 * learned)]
    learn, ask = clean[: clean.size // 2], clean[clean.size // 2 :]
    centre = float(np.median(learn))
    sigma = float(np.median(np.abs(learn - centre))) / 0.6745
    model = learn_trace(learn, WINDOW)
    ways: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
        "three views (shipped)": model.score,
        "distance of a single sample": lambda row: np.abs(row - centre) / sigma,
        "nearest window alone": lambda row: _nearest(model, row),
    }
    generator = np.random.default_rng(11)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(FAULTS):
        row, where = put_fault(ask, sigma, generator)
        for name, way in ways.items():
            found[name].append(area_under_roc(where, way(row)))
    return {name: float(np.mean(each)) for name, each in found.items()}


def _nearest(model: TraceModel, row: NDArray[np.float64]) -> NDArray[np.float64]:
    windows = np.lib.stride_tricks.sliding_window_view(row, model.window)
    score = neighbour_distances(windows, model.shapes, 3)
    return np.pad(score, (model.window // 2, row.size - score.size - model.window // 2), mode="edge")


def main() -> None:
    """Print the table that the settings were chosen from."""
    learn, _ = read_wafer(sample_folder())
    for neighbour in (1, 2, 3):
        auc, ap = reference_quality(learn, PopulationOptions(trees=200, neighbour=neighbour))
        sys.stdout.write(f"good rows learned, neighbour {neighbour}: AUC {auc:.4f} AP {ap:.4f}\n")
    for largest in (0.04, 0.05, 0.06):
        for trimmed in (0.1, 0.15, 0.2):
            for neighbour in (1, 3):
                options = PopulationOptions(200, neighbour, largest, trimmed)
                auc, ap = contaminated_quality(learn, options)
                what = f"largest fault {largest}, trimmed {trimmed}, neighbour {neighbour}"
                sys.stdout.write(f"learned without labels, {what}: AUC {auc:.4f} AP {ap:.4f}\n")
    for name, auc in trace_quality().items():
        sys.stdout.write(f"faults put into the trace, {name}: AUC {auc:.4f}\n")


if __name__ == "__main__":
    main()

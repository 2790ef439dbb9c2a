"""Outliers of a population of traces: what the dies, wafers or runs have in common, learned with or without labels.

Two views of a trace are scored and averaged, each on the scale of the rows that it was learned from:

* an isolation forest on the samples (:mod:`analysis.anomaly.isolation`);
* the distance to the nearest learned trace, between cumulated traces. Cumulating makes a small shift in time a small
  distance (for one-dimensional distributions it is the Cramér-von Mises distance), which it is not between samples.

Learning from a contaminated population: faults come in groups, so that a fault's nearest neighbours are faults too. As
long as no kind of fault makes up :attr:`PopulationOptions.largest_fault` of the rows, the distance to the neighbour of
that rank is large for faults; the strangest :attr:`PopulationOptions.trimmed` of the rows by it are left out before the
model is learned (trimming as in Rousseeuw, "Least median of squares regression", JASA 79, 1984).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.isolation import IsolationForest, grow_forest
from analysis.anomaly.scale import LogScale

LEAST_ROWS = 16
_BLOCK_BYTES = 64 << 20


class PopulationError(ValueError):
    """A population is too small, or its rows cannot be compared; the message says which."""


@dataclass(frozen=True)
class PopulationOptions:
    """How a population is learned.

    Attributes:
        trees: of the isolation forest, each grown from all rows.
        neighbour: rank of the neighbour whose distance is the score, from 1.
        largest_fault: part of a contaminated population that its most frequent kind of fault stays below.
        trimmed: part of a contaminated population that is left out; more than the faults in it.
    """

    trees: int = 500
    neighbour: int = 1
    largest_fault: float = 0.05
    trimmed: float = 0.15


FOR_REFERENCE = PopulationOptions()
FOR_CONTAMINATED = PopulationOptions(neighbour=3)
"""A few faults may survive trimming, so that one near neighbour is not enough."""


@dataclass(frozen=True)
class PopulationModel:
    """A learned population.

    Attributes:
        rows: float64 of shape ``(kept, samples)``: the traces that it was learned from.
        kept: bool of shape ``(n,)``: which of the given rows these are.
        forest: grown from them.
        neighbour: rank of the neighbour that counts.
    """

    rows: NDArray[np.float64]
    kept: NDArray[np.bool_]
    forest: IsolationForest
    neighbour: int
    _forest_scale: LogScale
    _distance_scale: LogScale

    def score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how strange each of ``rows`` is: float64 of shape ``(n,)`` for traces of shape ``(n, samples)``.

        0 is what is usual among the learned rows, 1 is one standard deviation stranger (for a log-normal score).

        Raises:
            PopulationError: the rows have another number of samples, or a number is not finite.
        """
        rows = _checked(rows, 0)
        if rows.shape[1] != self.rows.shape[1]:
            raise PopulationError(f"the model knows traces of {self.rows.shape[1]} samples, not of {rows.shape[1]}")
        distances = neighbour_distances(np.cumsum(rows, axis=1), np.cumsum(self.rows, axis=1), self.neighbour)
        by_forest = self._forest_scale.standardise(self.forest.score(rows))
        return np.asarray((by_forest + self._distance_scale.standardise(distances)) / 2, np.float64)


def learn_reference(
    rows: NDArray[np.float64], generator: np.random.Generator, options: PopulationOptions = FOR_REFERENCE
) -> PopulationModel:
    """Learn from ``rows`` (float64, shape ``(n, samples)``) that are known to be good.

    ``generator`` draws the forest's cuts; ``options`` say how many.

    Raises:
        PopulationError: fewer than 16 rows, no samples, or a number is not finite.
    """
    rows = _checked(rows, LEAST_ROWS)
    return _learn(rows, np.ones(len(rows), np.bool_), generator, options)


def learn_contaminated(
    rows: NDArray[np.float64], generator: np.random.Generator, options: PopulationOptions = FOR_CONTAMINATED
) -> PopulationModel:
    """Learn from ``rows`` (float64, shape ``(n, samples)``) of which some are faulty, nobody knows which.

    ``generator`` draws the forest's cuts; ``options`` say what is left out.

    Raises:
        PopulationError: fewer than 16 rows would be left, no samples, or a number is not finite.
    """
    rows = _checked(rows, LEAST_ROWS)
    keep = len(rows) - round(options.trimmed * len(rows))
    if keep < LEAST_ROWS:
        raise PopulationError(f"{keep} traces are left after trimming; {LEAST_ROWS} are needed")
    rank = max(1, min(len(rows) - 1, round(options.largest_fault * len(rows))))
    cumulated = np.cumsum(rows, axis=1)
    strangeness = neighbour_distances(cumulated, cumulated, rank, leave_out=True)
    kept = np.zeros(len(rows), np.bool_)
    kept[np.argsort(strangeness, kind="stable")[:keep]] = True
    return _learn(rows, kept, generator, options)


def _learn(
    rows: NDArray[np.float64], kept: NDArray[np.bool_], generator: np.random.Generator, options: PopulationOptions
) -> PopulationModel:
    good = rows[kept]
    forest = grow_forest(good, options.trees, len(good), generator)
    cumulated = np.cumsum(good, axis=1)
    own = neighbour_distances(cumulated, cumulated, options.neighbour, leave_out=True)
    return PopulationModel(good, kept, forest, options.neighbour, LogScale.of(forest.score(good)), LogScale.of(own))


@dataclass(frozen=True)
class CalibratedPopulation:
    """Models of the same population, each learned without one part of it, and what each says of its part.

    Attributes:
        models: one for each part.
        calibration: float64 of shape ``(n,)``: score of each given row by the model that did not see it; for
            :mod:`analysis.anomaly.thresholds` (cross-conformal: Vovk, Annals of Mathematics and AI 74, 2015).
    """

    models: tuple[PopulationModel, ...]
    calibration: NDArray[np.float64]

    def score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean score of the models for ``rows`` (float64, shape ``(n, samples)``): shape ``(n,)``."""
        return np.asarray(np.mean([model.score(rows) for model in self.models], axis=0), np.float64)


def calibrate_population(
    rows: NDArray[np.float64], generator: np.random.Generator, *, contaminated: bool = False, parts: int = 5
) -> CalibratedPopulation:
    """Learn from all but each of ``parts`` random parts of ``rows`` (float64, shape ``(n, samples)``), and score it.

    ``generator`` draws parts and cuts. Where the rows are ``contaminated``, faults among the calibration scores raise
    the threshold: false alarms stay below what is promised, and faults may be missed.

    Raises:
        PopulationError: too few rows for that, or a number is not finite.
    """
    rows = _checked(rows, LEAST_ROWS + 1)
    part = generator.permutation(len(rows)) % parts
    learn = learn_contaminated if contaminated else learn_reference
    models = tuple(learn(rows[part != each], generator) for each in range(parts))
    calibration = np.empty(len(rows))
    for each, model in enumerate(models):
        calibration[part == each] = model.score(rows[part == each])
    return CalibratedPopulation(models, calibration)


def neighbour_distances(
    rows: NDArray[np.float64], learned: NDArray[np.float64], rank: int, *, leave_out: bool = False
) -> NDArray[np.float64]:
    """Return the Euclidean distance from each of ``rows`` to its neighbour of ``rank`` (from 1) among ``learned``.

    Both are float64 of shape ``(n, samples)`` in one unit; the answer is in it, of shape ``(n,)``. With ``leave_out``
    both are the same rows and none is its own neighbour.
    """
    squares = np.einsum("ij,ij->i", learned, learned)
    found = np.empty(len(rows))
    step = max(1, _BLOCK_BYTES // (8 * len(learned)))
    for at in range(0, len(rows), step):
        block = rows[at : at + step]
        distance = np.einsum("ij,ij->i", block, block)[:, None] + squares - 2 * block @ learned.T
        if leave_out:
            distance[np.arange(len(block)), at + np.arange(len(block))] = np.inf
        found[at : at + step] = np.partition(distance, rank - 1, axis=1)[:, rank - 1]
    return np.sqrt(np.maximum(found, 0.0))


def _checked(rows: NDArray[np.float64], least: int) -> NDArray[np.float64]:
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or not rows.shape[1]:
        raise PopulationError(f"traces are rows of samples, these have the shape {rows.shape}")
    if len(rows) < least:
        raise PopulationError(f"{len(rows)} traces are too few to learn from; {least} are needed")
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise PopulationError(f"trace {bad} has samples that are not finite")
    return rows

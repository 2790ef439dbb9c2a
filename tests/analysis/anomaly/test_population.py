"""Learning a population, clean and contaminated; the forest and the neighbours against their obvious twins."""

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.anomaly.isolation import grow_forest, mean_path_length
from analysis.anomaly.population import (
    PopulationError,
    calibrate_population,
    learn_contaminated,
    learn_reference,
    neighbour_distances,
)
from tests.naive import anomaly as naive


def traces(count: int, seed: int, samples: int = 40) -> NDArray[np.float64]:
    """SIMULATED traces: a step whose time and height vary a little, and noise."""
    numbers = np.random.default_rng(seed)
    at = numbers.normal(15, 1, (count, 1))
    height = numbers.normal(1, 0.05, (count, 1))
    return height / (1 + np.exp(-(np.arange(samples) - at))) + numbers.normal(0, 0.03, (count, samples))


def faulty(count: int, seed: int) -> NDArray[np.float64]:
    """The same with the step late: all faults alike, so that each has faults as nearest neighbours."""
    return np.roll(traces(count, seed), 8, axis=1)


def test_forest_walks_like_its_twin() -> None:
    rows = traces(60, 0)
    rows[5:9] = rows[4]  # equal rows cannot be told apart
    rows[:, 7] = 3.0  # nor does this column tell anything
    forest = grow_forest(rows, 7, 48, np.random.default_rng(1))
    asked = np.concatenate([rows, faulty(5, 3)])
    lengths = [
        np.mean(
            [
                naive.path_length(forest.columns[tree].tolist(), forest.cuts[tree], forest.lengths[tree], row)
                for tree in range(7)
            ]
        )
        for row in asked
    ]
    expected = 2.0 ** (-np.asarray(lengths) / naive.mean_path_length(48))
    np.testing.assert_allclose(forest.score(asked), expected, rtol=1e-12)
    assert [mean_path_length(n) for n in (0, 1, 2, 3, 900)] == pytest.approx(
        [naive.mean_path_length(n) for n in (0, 1, 2, 3, 900)]
    )


def test_every_leaf_counts_the_rows_that_end_in_it() -> None:
    rows = traces(33, 4)
    forest = grow_forest(rows, 3, 33, np.random.default_rng(0))
    for tree in range(3):
        ends: dict[int, int] = {}
        for row in rows:
            node = 0
            while forest.columns[tree, node] >= 0:
                node = 2 * node + 1 + int(row[forest.columns[tree, node]] >= forest.cuts[tree, node])
            ends[node] = ends.get(node, 0) + 1
        assert sum(ends.values()) == 33
        for node, count in ends.items():
            level = int(np.log2(node + 1))
            assert forest.lengths[tree, node] == pytest.approx(level + naive.mean_path_length(count))


def test_forest_of_equal_rows_finds_none_strange() -> None:
    forest = grow_forest(np.full((20, 3), 2.5), 4, 20, np.random.default_rng(0))
    assert np.ptp(forest.score(np.asarray([[2.5, 2.5, 2.5], [9.0, 9.0, 9.0]]))) == 0


@pytest.mark.parametrize(
    "rows", [np.empty((0, 3)), np.ones((1, 3)), np.ones((5, 0)), np.asarray([[1.0, np.nan], [1.0, 2.0]])]
)
def test_forest_refuses_what_it_cannot_grow_from(rows: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="forest needs"):
        grow_forest(rows, 3, 4, np.random.default_rng(0))


@pytest.mark.parametrize("rank", [1, 3])
def test_neighbours_are_those_of_the_twin(rank: int) -> None:
    learned, asked = traces(30, 5), np.concatenate([traces(10, 6), faulty(3, 7)])
    expected = [naive.neighbour_distance(row, learned.tolist(), rank) for row in asked.tolist()]
    np.testing.assert_allclose(neighbour_distances(asked, learned, rank), expected, rtol=1e-7)
    own = [
        naive.neighbour_distance(row, np.delete(learned, place, axis=0).tolist(), rank)
        for place, row in enumerate(learned.tolist())
    ]
    np.testing.assert_allclose(neighbour_distances(learned, learned, rank, leave_out=True), own, rtol=1e-7)


def test_good_rows_alone_find_faults_of_a_kind_never_seen() -> None:
    model = learn_reference(traces(120, 8), np.random.default_rng(0))
    good, bad = model.score(traces(100, 9)), model.score(faulty(20, 10))
    assert np.median(np.abs(good)) < 1.5
    assert bad.min() > np.quantile(good, 0.95)


def test_contaminated_learning_leaves_out_a_group_of_equal_faults() -> None:
    rows = np.concatenate([traces(190, 11), faulty(8, 12)])
    model = learn_contaminated(rows, np.random.default_rng(0))
    assert not model.kept[190:].any()
    naive_model = learn_reference(rows, np.random.default_rng(0))
    good, bad = traces(100, 13), faulty(20, 14)
    ours = np.mean(model.score(bad)[:, None] > model.score(good))
    trusting = np.mean(naive_model.score(bad)[:, None] > naive_model.score(good))
    assert ours > 0.98
    assert ours > trusting


def test_the_same_seed_gives_the_same_scores() -> None:
    rows = traces(50, 15)
    one, two = (learn_reference(rows, np.random.default_rng(3)).score(rows) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_calibration_scores_are_of_models_that_did_not_see_the_row() -> None:
    rows = traces(60, 16)
    rows[0] += 5.0
    population = calibrate_population(rows, np.random.default_rng(0))
    assert sum(model.kept.sum() for model in population.models) == 4 * 60
    assert population.calibration.argmax() == 0
    alone = [model for model in population.models if not (model.rows == rows[0]).all(axis=1).any()]
    assert len(alone) == 1
    assert population.calibration[0] == alone[0].score(rows[:1])[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused_with_their_row(value: float) -> None:
    rows = traces(30, 17)
    rows[4, 2] = value
    with pytest.raises(PopulationError, match="trace 4 has samples that are not finite"):
        learn_reference(rows, np.random.default_rng(0))


def test_too_few_or_other_rows_are_refused() -> None:
    with pytest.raises(PopulationError, match="15 traces are too few to learn from; 16 are needed"):
        learn_reference(traces(15, 0), np.random.default_rng(0))
    with pytest.raises(PopulationError, match="14 traces are left after trimming"):
        learn_contaminated(traces(17, 0), np.random.default_rng(0))
    with pytest.raises(PopulationError, match="knows traces of 40 samples, not of 39"):
        learn_reference(traces(20, 0), np.random.default_rng(0)).score(np.ones((2, 39)))


def test_constant_and_huge_rows_give_finite_scores() -> None:
    model = learn_reference(np.full((20, 8), 1.0), np.random.default_rng(0))
    assert np.isfinite(model.score(np.full((2, 8), 1.0))).all()
    huge = learn_reference(traces(20, 1) * 1e120, np.random.default_rng(0))
    assert np.isfinite(huge.score(traces(5, 2) * 1e120)).all()

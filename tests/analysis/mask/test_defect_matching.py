"""The same defect in two inspections: against all assignments counted, calibration, and what is refused."""

import math

import numpy as np
import pytest

from analysis.coordinates.affine import Points
from analysis.mask.defect_matching import FOUND_AGAIN, match_defects
from tests.naive.matching import exact_marginals

AREA = 1e4


def weights(first: Points, second: Points, density: float) -> np.ndarray:
    table = np.zeros((len(first.xy), len(second.xy)))
    for i, j in np.ndindex(table.shape):
        covariance = first.covariance[i] + second.covariance[j]
        away = first.xy[i] - second.xy[j]
        value = math.exp(-0.5 * away @ np.linalg.inv(covariance) @ away) / (
            2 * math.pi * math.sqrt(np.linalg.det(covariance))
        )
        table[i, j] = FOUND_AGAIN / (1 - FOUND_AGAIN) * value / density
    return table


@pytest.mark.parametrize("seed", range(12))
def test_the_probabilities_are_nearly_those_of_all_assignments(seed: int) -> None:
    """A few defects that compete: the mean error of a probability is small, and the assignment is the best one."""
    numbers = np.random.default_rng(seed)
    true = numbers.uniform(0, 3, (4, 2))
    first = Points.isotropic(true + numbers.normal(0, 0.5, true.shape), 0.5)
    second = Points.isotropic(np.concatenate([true[:3] + numbers.normal(0, 0.3, (3, 2)), [[1.0, 2.0]]]), 0.3)
    exact, best = exact_marginals(weights(first, second, 0.05))
    found = match_defects(first, second, AREA, density=0.05)
    table = np.zeros(exact.shape)
    for each in found.matches:
        table[each.first, each.second] = each.probability
    assert np.abs(table - exact).mean() < 0.04
    assert np.abs(table - exact).max() < 0.25
    assert sorted((each.first, each.second) for each in found.matches if each.assigned) == best


def test_one_pair_alone_is_exact() -> None:
    first, second = Points.isotropic(np.array([[0.0, 0.0]]), 0.4), Points.isotropic(np.array([[0.3, 0.1]]), 0.2)
    (match,) = match_defects(first, second, AREA, density=0.01).matches
    weight = weights(first, second, 0.01)[0, 0]
    assert match.probability == pytest.approx(weight / (1 + weight), rel=1e-12)
    assert match.deviations == pytest.approx(math.hypot(0.3, 0.1) / math.hypot(0.4, 0.2))


def test_probabilities_are_calibrated_on_simulated_inspections() -> None:
    """Of the pairs that are told with 0.5 to 0.9, about as many are the same defect."""
    told, same = [], []
    for seed in range(30):
        numbers = np.random.default_rng(seed)
        true = numbers.uniform(0, 100, (150, 2))
        again = numbers.random(150) < FOUND_AGAIN
        others = numbers.uniform(0, 100, (300, 2))
        first = Points.isotropic(true + numbers.normal(0, 1.0, true.shape), 1.0)
        second = Points.isotropic(
            np.concatenate([true[again] + numbers.normal(0, 1.0, true[again].shape), others]), 1.0
        )
        owner = np.concatenate([np.flatnonzero(again), np.full(300, -1)])
        for each in match_defects(first, second, 1e4, density=0.03).matches:
            told.append(each.probability)
            same.append(owner[each.second] == each.first)
    told_array, same_array = np.array(told), np.array(same)
    for low, high in ((0.02, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        band = (told_array >= low) & (told_array < high)
        error = math.sqrt(told_array[band].mean() * (1 - told_array[band].mean()) / band.sum())
        assert abs(same_array[band].mean() - told_array[band].mean()) < 4 * error + 0.02, (low, high)


def test_nothing_is_lost_when_nothing_is_there() -> None:
    none, one = Points.isotropic(np.empty((0, 2))), Points.isotropic(np.array([[1.0, 1.0]]), 0.1)
    for first, second in ((none, none), (none, one), (one, none)):
        found = match_defects(first, second, AREA)
        assert found.matches == ()
        assert found.first_alone.tolist() == [1.0] * len(first.xy)
        assert found.second_alone.tolist() == [1.0] * len(second.xy)


def test_sixty_defects_on_one_spot_are_matched_one_to_one() -> None:
    heap = Points.isotropic(np.zeros((60, 2)), 0.1)
    found = match_defects(heap, heap, AREA, density=0.1)
    assigned = [(each.first, each.second) for each in found.matches if each.assigned]
    assert len({first for first, _ in assigned}) == len({second for _, second in assigned}) == 60
    assert max(each.probability for each in found.matches) < 0.05


def test_what_cannot_be_asked_is_refused() -> None:
    exact, one = Points.isotropic(np.array([[0.0, 0.0]])), Points.isotropic(np.array([[0.0, 0.0]]), 1.0)
    with pytest.raises(ValueError, match="nothing tells same from near"):
        match_defects(exact, exact, AREA)
    with pytest.raises(ValueError, match="between 0 and 1, not 1"):
        match_defects(one, one, AREA, found_again=1.0)
    with pytest.raises(ValueError, match="area is positive, not nan"):
        match_defects(one, one, math.nan)
    with pytest.raises(ValueError, match="density of other defects is positive, not 0"):
        match_defects(one, one, AREA, density=0.0)

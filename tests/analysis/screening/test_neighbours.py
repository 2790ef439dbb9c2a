"""Neighbours of dies against their twins, and wafers that must be refused."""

import numpy as np
import pytest

from analysis.screening.errors import SamePlaceTwice, ScreeningError
from analysis.screening.neighbours import (
    DieGrid,
    bad_neighbourhoods,
    neighbour_residuals,
    poisson_binomial_tail,
    stacked_fails,
)
from tests.naive import screening as naive


def wafer(numbers, size=9, missing=0.2):
    column, row = (each.ravel() for each in np.meshgrid(np.arange(size) - 3, np.arange(size) + 100))
    kept = np.flatnonzero(numbers.random(column.size) > missing)
    kept = numbers.permutation(kept)
    return DieGrid(column[kept], row[kept])


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_residuals_are_those_of_the_twin(reach):
    numbers = np.random.default_rng(reach)
    grid = wafer(numbers)
    values = np.where(numbers.random(grid.column.size) < 0.2, np.nan, numbers.normal(size=grid.column.size))
    values[:2] = np.inf, -np.inf
    found = neighbour_residuals(grid, values, reach, 4)
    assert found.values == pytest.approx(naive.residuals(grid.column, grid.row, values, reach, 4), nan_ok=True)


def test_a_lone_die_gets_no_residual():
    found = neighbour_residuals(DieGrid(np.array([3]), np.array([4])), [1.0], 2, 1)
    assert np.isnan(found.values).all()
    assert found.neighbours.tolist() == [0]


def test_a_residual_sees_what_the_slope_hides():
    grid = wafer(np.random.default_rng(5), 15, 0.0)
    values = 10.0 * grid.column
    middle = int(np.flatnonzero((grid.column == 4) & (grid.row == 107))[0])
    values[middle] += 3.0
    found = neighbour_residuals(grid, values).values
    assert np.nanargmax(np.where(np.abs(grid.column - 4) < 4, found, np.nan)) == middle


@pytest.mark.parametrize("weight", [1.0, 0.5])
@pytest.mark.parametrize("reach", [1, 2])
def test_scores_are_those_of_the_twin(reach, weight):
    numbers = np.random.default_rng(6)
    grid = wafer(numbers)
    failed = (numbers.random(grid.column.size) < 0.3).astype(float)
    failed[:5] = np.nan
    found = bad_neighbourhoods(grid, failed, 2.0, reach, weight)
    assert found.score == pytest.approx(naive.fail_scores(grid.column, grid.row, failed, reach, weight))
    assert (found.flagged == ((failed == 0) & (found.score >= 2.0))).all()


def test_four_of_eight_is_four_and_a_failing_die_is_not_flagged():
    column, row = (each.ravel() for each in np.meshgrid(np.arange(3), np.arange(3)))
    failed = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0], float)
    found = bad_neighbourhoods(DieGrid(column, row), failed, 4.0)
    assert found.score[4] == pytest.approx(4.0)
    assert found.flagged[4]
    assert not found.flagged[:4].any()
    assert not bad_neighbourhoods(DieGrid(column, row), failed, 4.5).flagged[4]


def test_a_lone_good_die_is_not_flagged():
    found = bad_neighbourhoods(DieGrid(np.array([0]), np.array([0])), [0.0])
    assert found.score.tolist() == [0.0]
    assert not found.flagged.any()


def test_wrong_wafers_are_refused():
    with pytest.raises(SamePlaceTwice, match="2 parts of one wafer are at column 5, row -2"):
        DieGrid(np.array([4, 5, 5]), np.array([-2, -2, -2]))
    with pytest.raises(ScreeningError, match="no wafer"):
        DieGrid(np.array([0, 10**6]), np.array([0, 10**6]))
    with pytest.raises(ScreeningError, match="places"):
        DieGrid(np.array([], np.int64), np.array([], np.int64))
    grid = DieGrid(np.array([0, 1]), np.array([0, 0]))
    with pytest.raises(ScreeningError, match="failed"):
        bad_neighbourhoods(grid, [0.0, 2.0])
    with pytest.raises(ScreeningError, match="threshold"):
        bad_neighbourhoods(grid, [0.0, 1.0], np.nan)
    with pytest.raises(ScreeningError, match="fit"):
        neighbour_residuals(grid, [1.0])


def test_a_tail_is_the_sum_of_all_outcomes():
    numbers = np.random.default_rng(7)
    chances = numbers.random(8)
    for least in range(-1, 10):
        assert poisson_binomial_tail(chances, least) == pytest.approx(naive.tail_of_independent(chances, least))


def test_a_stack_finds_the_place_and_nothing_in_chance():
    numbers = np.random.default_rng(8)
    grid = wafer(numbers, 15, 0.0)
    chance = [(grid, (numbers.random(225) < 0.05).astype(float)) for _ in range(10)]
    assert not stacked_fails(chance).suspect.any()
    for _, failed in chance[:7]:
        failed[40] = 1.0
    found = stacked_fails(chance)
    assert found.place[found.suspect].tolist() == [[grid.column[40], grid.row[40]]]
    assert found.fails[found.suspect][0] >= 7
    with pytest.raises(ScreeningError, match="4 wafers"):
        stacked_fails(chance[:4])


def test_a_stack_of_wafers_without_fails_or_verdicts_suspects_nothing():
    grid = wafer(np.random.default_rng(9))
    count = grid.column.size
    assert not stacked_fails([(grid, np.zeros(count))] * 5).suspect.any()
    assert not stacked_fails([(grid, np.ones(count))] * 5).suspect.any()
    assert stacked_fails([(grid, np.full(count, np.nan))] * 5).place.shape == (0, 2)

"""Signatures of simulated wafers against fails dealt out by chance."""

import numpy as np
import pytest

from analysis.screening.errors import ScreeningError
from analysis.screening.neighbours import DieGrid
from analysis.screening.wafer_signatures import DiesAsRegion, adjoining_groups, count_joins, wafer_signatures
from tests.naive import screening as naive


def round_wafer(radius=9):
    column, row = (each.ravel() for each in np.meshgrid(np.arange(2 * radius + 1), np.arange(2 * radius + 1)))
    inside = np.hypot(column - radius, row - radius) <= radius
    return DieGrid(column[inside], row[inside])


def test_joins_are_those_of_the_twin():
    numbers = np.random.default_rng(1)
    grid = round_wafer(5)
    for part in (0.0, 0.1, 0.5, 1.0):
        failed = (numbers.random(grid.column.size) < part).astype(float)
        failed[:3] = np.nan
        assert count_joins(grid, failed) == naive.joins(grid.column, grid.row, failed)
        largest = adjoining_groups(grid, failed)[0].size if (failed == 1).any() else 0
        assert largest == naive.largest_group(grid.column, grid.row, failed)


def test_a_cluster_is_found_and_named():
    numbers = np.random.default_rng(2)
    grid = round_wafer()
    failed = (numbers.random(grid.column.size) < 0.02).astype(float)
    inside = (np.abs(grid.column - 6) <= 1) & (np.abs(grid.row - 11) <= 1)
    failed[inside] = 1.0
    found = wafer_signatures(grid, failed, np.random.default_rng(0), simulations=99)
    assert found.structured
    assert found.tests[0].kind == "adjoining"
    assert found.tests[0].p_value == 0.01
    assert set(np.flatnonzero(inside)) <= set(found.groups[0])
    assert len(found.groups) == 1


def test_chance_is_seldom_called_structure():
    grid = round_wafer(7)
    numbers = np.random.default_rng(3)
    called = 0
    for _ in range(15):
        failed = np.zeros(grid.column.size)
        failed[numbers.choice(failed.size, 10, replace=False)] = 1.0
        called += wafer_signatures(grid, failed, numbers, simulations=79).structured
    assert called <= 4


def test_dies_are_drawn_once_before_any_is_drawn_twice():
    region = DiesAsRegion(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    drawn = region.draw(7, np.random.default_rng(0))
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert sorted(counts.tolist()) == [2, 2, 3]


@pytest.mark.parametrize("fails", [0, 5, 253])
def test_too_few_fails_or_no_good_die_are_refused(fails):
    grid = round_wafer()
    failed = np.zeros(grid.column.size)
    failed[: min(fails, failed.size)] = 1.0
    assert failed.size == 253
    with pytest.raises(ScreeningError, match=f"{fails} of 253 dies fail"):
        wafer_signatures(grid, failed, np.random.default_rng(0))
    with pytest.raises(ScreeningError, match="needs"):
        wafer_signatures(grid, np.r_[np.ones(20), np.zeros(233)], np.random.default_rng(0), simulations=10)

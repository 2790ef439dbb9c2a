"""Overkill and escapes by counting, and what has no truth refused."""

import numpy as np
import pytest
from scipy.stats import beta

from analysis.screening.errors import ScreeningError
from analysis.screening.screen_quality import plant_outliers, screen_quality


def test_counts_and_intervals():
    truth = [1] * 10 + [0] * 90 + [np.nan] * 5
    out = [True] * 8 + [False] * 2 + [True] * 3 + [False] * 87 + [True] * 5
    found = screen_quality(truth, out, 0.9)
    assert (found.defective, found.escaped, found.good, found.killed) == (10, 2, 90, 3)
    assert found.escapes.point == 0.2
    assert found.escapes.low == pytest.approx(beta.ppf(0.05, 2, 9))
    assert found.escapes.high == pytest.approx(beta.ppf(0.95, 3, 8))


def test_no_defective_part_gives_no_escapes_rather_than_none_escaped():
    found = screen_quality([0.0] * 5, [False] * 5)
    assert found.escapes is None
    assert found.overkill.high > 0
    with pytest.raises(ScreeningError, match="readings alone"):
        screen_quality([np.nan], [True])
    with pytest.raises(ScreeningError, match="each part"):
        screen_quality([2.0], [True])


def test_planted_parts_are_moved_and_missing_ones_are_not():
    values = np.r_[np.zeros(50), np.nan, np.inf]
    moved, chosen = plant_outliers(values, 5, 3.0, np.random.default_rng(0))
    assert np.abs(moved[chosen]).tolist() == [3.0] * 5
    assert (np.delete(moved, chosen)[:45] == 0).all()
    with pytest.raises(ScreeningError, match="6 of 50"):
        plant_outliers(values, 6, 3.0, np.random.default_rng(0))

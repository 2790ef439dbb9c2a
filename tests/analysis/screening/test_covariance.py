"""Robust distances: twins, breakdown, calibration on normal readings (simulated), and data that must be refused."""

import numpy as np
import pytest
from scipy.stats import chi2

from analysis.screening.covariance import (
    finite_sample_stretch,
    minimum_determinant,
    robust_distances,
    squared_distances,
)
from analysis.screening.errors import Collinear, ScreeningError, TooFewParts
from tests.naive import screening as naive


def correlated(numbers, parts, correlation=0.95):
    common = numbers.normal(size=parts)
    return np.column_stack(
        [
            5 + 0.1 * common,
            2e6 + 1e3 * (correlation * common + np.sqrt(1 - correlation**2) * numbers.normal(size=parts)),
        ]
    )


def test_distances_are_those_of_the_twin():
    numbers = np.random.default_rng(1)
    values = correlated(numbers, 80)
    centre, covariance = values.mean(axis=0), np.cov(values, rowvar=False)
    found = squared_distances(values, centre, covariance)
    assert found == pytest.approx(naive.mahalanobis(values, centre, covariance), rel=1e-9)


def test_a_part_against_the_correlation_falls_out_though_each_reading_is_usual():
    numbers = np.random.default_rng(2)
    values = correlated(numbers, 200)
    values[7] = 5 + 0.2, 2e6 - 2e3
    values[8, 0] = np.nan
    found = robust_distances(values, 0.05, 6.0)
    assert np.flatnonzero(found.outside).tolist() == [7]
    assert np.isnan(found.squared[8])
    assert found.parts == 199
    assert np.abs((values[7] - 5) / 0.1)[0] < 3


def test_many_outliers_do_not_hide_themselves():
    numbers = np.random.default_rng(3)
    values = numbers.normal(size=(100, 3))
    values[:20] += 15
    found = robust_distances(values)
    assert found.outside[:20].all()
    assert found.outside[20:].sum() <= 1
    plain = squared_distances(values, values.mean(axis=0), np.cov(values, rowvar=False))
    assert not (plain[:20] > chi2.isf(1e-3, 3)).any()


def test_the_estimate_moves_with_the_axes():
    numbers = np.random.default_rng(4)
    values = numbers.normal(size=(90, 3))
    turn = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 0.5], [0.3, 0.0, 2.0]])
    one, other = minimum_determinant(values[None]), minimum_determinant((values @ turn.T + 7)[None])
    before = squared_distances(values, one[0][0], one[1][0])
    after = squared_distances(values @ turn.T + 7, other[0][0], other[1][0])
    assert before == pytest.approx(after, rel=1e-3)


def test_the_false_alarm_is_what_it_says_and_chi_squared_alone_is_not():
    numbers = np.random.default_rng(5)
    found = [robust_distances(numbers.normal(size=(60, 2)), 0.05) for _ in range(100)]
    alarms = sum(each.outside.any() for each in found)
    plain = sum((each.squared > each.chi_squared_limit).any() for each in found)
    assert 1 <= alarms <= 11
    assert plain > 1.5 * alarms
    assert found[0].stretch == finite_sample_stretch(60, 2) > 1.1


def test_what_cannot_be_estimated_is_refused():
    numbers = np.random.default_rng(6)
    values = numbers.normal(size=(100, 3))
    with pytest.raises(TooFewParts, match="2 parts are too few"):
        robust_distances(values[:2])
    with pytest.raises(TooFewParts, match="at least 20"):
        robust_distances(np.full((100, 2), np.nan))
    with pytest.raises(Collinear, match="3 tests hold 2 independent"):
        robust_distances(np.column_stack([values[:, :2], values[:, 0] + values[:, 1]]))
    with pytest.raises(Collinear):
        robust_distances(np.column_stack([values[:, :2], np.full(100, 4.0)]))
    with pytest.raises(ScreeningError, match="not 1"):
        robust_distances(values[:, :1])
    with pytest.raises(ScreeningError, match="not 21"):
        robust_distances(np.zeros((500, 21)))
    with pytest.raises(ScreeningError, match="false alarm"):
        robust_distances(values, 0.001)

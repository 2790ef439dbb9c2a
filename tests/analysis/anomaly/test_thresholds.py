"""What a threshold promises is kept, in every class; discoveries against the textbook's procedure."""

import numpy as np
import pytest

from analysis.anomaly.thresholds import (
    CalibrationError,
    conformal_p_values,
    conformal_threshold,
    false_discovery_adjusted,
    prediction_sets,
    rate_interval,
)
from tests.naive import anomaly as naive


def test_p_values_count_like_the_twin() -> None:
    numbers = np.random.default_rng(0)
    calibration = np.round(numbers.normal(size=40), 1)
    scores = np.round(numbers.normal(size=60), 1)
    expected = [naive.p_value(score, calibration.tolist()) for score in scores.tolist()]
    np.testing.assert_allclose(conformal_p_values(scores, calibration), expected)


def test_p_values_with_random_ties_are_uniform_even_where_all_scores_are_equal() -> None:
    ties = np.random.default_rng(1).uniform(size=20000)
    values = conformal_p_values(np.ones(20000), np.ones(9), ties)
    assert np.quantile(values, [0.05, 0.5, 0.95]) == pytest.approx([0.05, 0.5, 0.95], abs=0.02)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_threshold_keeps_its_rate_over_calibration_sets(alpha: float) -> None:
    numbers = np.random.default_rng(2)
    found = [conformal_threshold(numbers.standard_gamma(2, 99), alpha) for _ in range(2000)]
    from scipy.stats import gamma

    rates = gamma.sf([each.value for each in found], 2)
    assert rates.mean() == pytest.approx(found[0].expected_rate, abs=0.004)
    assert found[0].expected_rate <= alpha
    low, high = np.asarray([each.rate_interval for each in found]).T
    inside = np.mean((low <= rates) & (rates <= high))
    assert inside == pytest.approx(0.95, abs=0.02)


def test_threshold_refuses_a_promise_that_the_count_cannot_keep() -> None:
    with pytest.raises(CalibrationError, match=r"18 normal examples cannot promise 0.05 false alarms; 19 are needed"):
        conformal_threshold(np.arange(18.0), 0.05)
    assert conformal_threshold(np.arange(19.0), 0.05).value == 18.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, np.nan])
def test_threshold_refuses_rates_that_are_none(alpha: float) -> None:
    with pytest.raises(CalibrationError, match="lies between 0 and 1"):
        conformal_threshold(np.arange(30.0), alpha)


@pytest.mark.parametrize("scores", [np.empty(0), np.asarray([1.0, np.nan]), np.asarray([np.inf])])
def test_calibration_must_be_there_and_finite(scores: np.ndarray) -> None:
    with pytest.raises(CalibrationError, match=r"no calibration example|not finite"):
        conformal_p_values(np.ones(1), scores)


def test_each_class_errs_as_promised_and_the_rare_one_would_not_by_a_common_threshold() -> None:
    numbers = np.random.default_rng(3)

    def draw(many: int, few: int) -> tuple[np.ndarray, np.ndarray]:
        return numbers.normal(0, 1, many), numbers.normal(1.5, 2, few)

    covered, common = [], []
    for _ in range(300):
        (normal, rare), (asked_normal, asked_rare) = draw(300, 40), draw(300, 40)
        sets = prediction_sets(
            {"normal": np.r_[asked_normal, asked_rare], "rare": -np.r_[asked_normal, asked_rare]},
            {"normal": normal, "rare": -rare},
            0.1,
            numbers,
        )
        covered.append((sets["normal"][:300].mean(), sets["rare"][300:].mean()))
        limit = np.quantile(np.abs(np.r_[normal, rare - 1.5]), 0.9)
        common.append(np.mean(np.abs(asked_rare - 1.5) <= limit))
    assert np.mean(covered, axis=0) == pytest.approx([0.9, 0.9], abs=0.01)
    assert np.mean(common) < 0.75


def test_sets_name_the_class_that_has_too_few() -> None:
    scores = {"normal": np.ones(3), "rare": np.ones(3)}
    with pytest.raises(CalibrationError, match=r"class rare: 5 examples cannot promise 0\.1 errors; 9 are needed"):
        prediction_sets(scores, {"normal": np.arange(50.0), "rare": np.arange(5.0)}, 0.1, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(20))
def test_discoveries_are_those_of_the_textbook(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    values = np.r_[numbers.uniform(size=30), numbers.uniform(size=seed) ** 6]
    values[:3] = values[4]
    for q in (0.05, 0.2):
        found = set(np.flatnonzero(false_discovery_adjusted(values) <= q).tolist())
        assert found == naive.benjamini_hochberg(values.tolist(), q)


def test_discoveries_handle_missing_tests_shapes_and_any_dependence() -> None:
    values = np.asarray([[0.001, np.nan], [0.2, 1.0]])
    adjusted = false_discovery_adjusted(values)
    assert adjusted[0, 0] == pytest.approx(0.003)
    assert np.isnan(adjusted[0, 1])
    stricter = false_discovery_adjusted(values, any_dependence=True)
    assert stricter[0, 0] == pytest.approx(0.003 * (1 + 1 / 2 + 1 / 3))
    assert false_discovery_adjusted(np.empty(0)).size == 0
    for bad in (-0.1, 1.5, np.inf):
        with pytest.raises(ValueError, match="p-value"):
            false_discovery_adjusted(np.asarray([bad]))


def test_rate_interval_covers_the_ends() -> None:
    assert rate_interval(0, 10) == (0.0, pytest.approx(0.3085, abs=1e-4))
    assert rate_interval(10, 10)[1] == 1.0

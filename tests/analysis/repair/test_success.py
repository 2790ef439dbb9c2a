"""Rates with partial pooling: a naive twin, coverage and calibration on SIMULATED runs, and what ships."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from analysis.repair.success import FEWEST_JUDGED, judge_models, pool_rates, raw_rate
from tests.naive.repair_success import pooled_means


def events(generator: np.random.Generator, rates: np.ndarray, count: int) -> tuple[list[int], list[bool]]:
    """SIMULATED runs of groups in random order."""
    groups = generator.integers(0, len(rates), count)
    return groups.tolist(), (generator.random(count) < rates[groups]).tolist()


def test_pooling_equals_the_slow_sum() -> None:
    for successes, runs in (([9, 1, 0, 30], [10, 4, 0, 60]), ([900, 905, 893], [1000, 1000, 1000]), ([0, 0], [5, 7])):
        found = [rate.probability for rate in pool_rates(np.array(successes), np.array(runs))]
        assert found == pytest.approx(pooled_means(successes, runs), abs=4e-3)


def test_intervals_cover_the_rates_of_simulated_groups() -> None:
    generator = np.random.default_rng(3)
    hits, total = 0, 0
    for _ in range(12):
        mean, root = generator.uniform(0.02, 0.98), generator.uniform(1000**-0.5, 0.3**-0.5)
        concentration = root**-2
        rates = generator.beta(mean * concentration, (1 - mean) * concentration, 6)
        runs = generator.integers(0, 25, 6)
        found = pool_rates(generator.binomial(runs, rates), runs)
        hits += sum(each.low <= rate <= each.high for each, rate in zip(found, rates, strict=True))
        total += 6
    assert hits >= binom.ppf(1e-4, total, 0.95)


def test_a_group_borrows_from_the_others_the_more_the_fewer_runs_it_has() -> None:
    found = pool_rates(np.array([90, 90, 90, 0, 0]), np.array([100, 100, 100, 1, 0]))
    assert 0.3 < found[3].probability < 0.9
    assert found[4].probability == pytest.approx(0.85, abs=0.1)
    assert found[4].high - found[4].low > found[0].high - found[0].low
    assert raw_rate(0, 1).probability == 0.25


def test_pooling_ships_where_groups_are_many_and_small() -> None:
    generator = np.random.default_rng(5)
    rates = generator.beta(8, 3, 25)
    found = judge_models(*events(generator, rates, 240))
    assert found.ships == "pooled"
    assert found.scores["pooled"].log_score < found.scores["raw-rate"].log_score
    assert found.difference is not None
    assert found.difference[0] > 0
    assert found.p_calibrated is not None
    assert found.p_calibrated > 1e-3
    assert sum(runs for *_, runs in found.calibration) == found.judged == 160


def test_a_simple_rate_ships_where_pooling_does_not_win() -> None:
    generator = np.random.default_rng(0)
    ships = []
    for _ in range(4):
        found = judge_models(*events(generator, np.array([0.97, 0.5]), 200))
        ships.append(found.ships)
        best = min(found.scores, key=lambda name: found.scores[name].log_score)
        assert (found.ships == "pooled") <= (best == "pooled")
    assert "raw-rate" in ships


def test_too_few_runs_ship_the_raw_rate_and_say_so() -> None:
    found = judge_models([0] * 12, [True] * 12)
    assert found.ships == "raw-rate"
    assert "too few" in found.reason
    assert found.judged < FEWEST_JUDGED
    assert judge_models([], []).ships == "raw-rate"


def test_runs_that_all_succeed_have_finite_scores() -> None:
    found = judge_models([0, 1] * 30, [True] * 60)
    assert all(math.isfinite(score.log_score) for score in found.scores.values())
    assert pool_rates(np.array([60]), np.array([60]))[0].probability < 1


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="no group"):
        pool_rates(np.array([], np.int64), np.array([], np.int64))
    with pytest.raises(ValueError, match="between none and all"):
        raw_rate(3, 2)
    with pytest.raises(ValueError, match="2 groups and 1 outcomes"):
        judge_models([0, 1], [True])

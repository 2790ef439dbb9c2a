"""Learning from runs: the grid beside weighed draws, coverage on SIMULATED laboratories, outliers, and refusals."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from analysis.repair.ablation import Shot, depth_curve, find_law
from analysis.repair.default_constants import default_table
from analysis.repair.learning import AblationRun, LearningFailed, learn_ablation, learn_mean
from tests.naive.repair_learning import weigh_draws

LAW = find_law(default_table(), "steel", Shot(775.0, 1.5e-13, 1.0))
SHAPE = (LAW.incubation.value, LAW.floor_ratio.value)


def shot(fluence: float, profile: str = "gaussian") -> Shot:
    return Shot(775.0, 1.5e-13, fluence, profile)


def depth(fluence: float, pulses: float, factors: tuple[float, float] = (1.0, 1.0)) -> float:
    return float(depth_curve(LAW, shot(fluence), pulses, SHAPE, factors[0]).at(pulses)) * factors[1]


def simulate(generator: np.random.Generator, runs: int) -> tuple[tuple[float, float, float], list[AblationRun]]:
    """SIMULATED: a laboratory from the prior, and its runs."""
    truth = (
        generator.normal(0, LAW.threshold_j_cm2.log_sigma),
        generator.normal(0, LAW.penetration_nm.log_sigma),
        math.log(LAW.run_scatter.value) + generator.normal(0, 0.7),
    )
    found = []
    for _ in range(runs):
        fluence, pulses = math.exp(generator.uniform(-1.2, 1.8)), float(generator.integers(10, 60))
        value = depth(fluence, pulses, (math.exp(truth[0]), math.exp(truth[1])))
        value *= math.exp(math.exp(truth[2]) * generator.normal())
        found.append(AblationRun(shot(fluence), pulses, value if value >= 10 else None, 10.0))
    return truth, found


def test_intervals_cover_simulated_laboratories() -> None:
    generator = np.random.default_rng(11)
    laboratories, hits = 8, np.zeros(3)
    for _ in range(laboratories):
        truth, runs = simulate(generator, 6)
        found = learn_ablation(LAW, runs)
        beliefs = [found.posterior[name] for name in found.names]
        hits += [belief.low <= value <= belief.high for belief, value in zip(beliefs, truth, strict=True)]
    # What 95 % intervals fall short of less than once in a thousand times.
    assert hits.min() >= binom.ppf(1e-3, laboratories, 0.95)


def test_means_are_covered() -> None:
    generator = np.random.default_rng(2)
    hits, flagged, trials = 0, 0, 100
    for _ in range(trials):
        mean, scatter = generator.normal(2.5, 0.5), 0.5 * math.exp(generator.normal(0, 0.7))
        found = learn_mean(generator.normal(mean, scatter, 7), (2.5, 0.5), (0.5, 0.7))
        belief = found.posterior["mean"]
        hits += belief.low <= mean <= belief.high
        flagged += any(run.outlying for run in found.runs)
    assert binom.ppf(1e-3, trials, 0.95) <= hits <= binom.ppf(0.9999, trials, 0.95)
    assert flagged <= binom.ppf(0.999, trials, 0.05)


def test_a_known_scatter_makes_the_textbook_mean() -> None:
    values = np.array([3.1, 2.9, 3.3, 3.0])
    found = learn_mean(values, (2.0, 0.5), (0.4, 1e-3))
    weight = 4 / 0.4**2
    expected = (weight * values.mean() + 2.0 / 0.25) / (weight + 4)
    # The wide part of the runs' distribution moves it a little.
    assert found.posterior["mean"].mean == pytest.approx(expected, abs=0.02)
    assert found.posterior["mean"].sigma == pytest.approx((weight + 4) ** -0.5, rel=0.06)


def test_the_grid_equals_weighed_draws() -> None:
    fluences, pulses = (0.4, 0.7, 1.5, 4.0), (4, 9, 3, 6)
    scatter = (1.08, 0.9, 1.03, 0.97)
    depths = [
        float(depth_curve(LAW, shot(each, "top-hat"), count, SHAPE, 1.1).at(count)) * 0.8 * factor
        for each, count, factor in zip(fluences, pulses, scatter, strict=True)
    ]
    runs = [
        AblationRun(shot(each, "top-hat"), count, value)
        for each, count, value in zip(fluences, pulses, depths, strict=True)
    ]
    found = learn_ablation(LAW, runs)
    spreads = (LAW.threshold_j_cm2.log_sigma, LAW.penetration_nm.log_sigma, LAW.run_scatter.value, 0.7)
    draws, weights = weigh_draws(
        list(zip(fluences, pulses, depths, strict=True)),
        (LAW.threshold_j_cm2.value, LAW.penetration_nm.value),
        SHAPE,
        spreads,
        15_000,
    )
    means = weights @ draws
    sigmas = np.sqrt(weights @ (draws - means) ** 2)
    error = sigmas * math.sqrt(float(weights @ weights))
    for index, name in enumerate(found.names):
        belief = found.posterior[name]
        assert belief.mean == pytest.approx(means[index], abs=4 * error[index])
        assert belief.sigma == pytest.approx(sigmas[index], rel=0.2)


def test_more_runs_know_more() -> None:
    generator = np.random.default_rng(4)
    fluences = np.geomspace(0.4, 7.0, 18)
    generator.shuffle(fluences)
    runs = [AblationRun(shot(each), 30.0, depth(each, 30.0) * math.exp(0.15 * generator.normal())) for each in fluences]
    few, many = learn_ablation(LAW, runs[:3]), learn_ablation(LAW, runs)
    assert many.posterior["penetration_factor"].sigma < few.posterior["penetration_factor"].sigma
    assert few.posterior["penetration_factor"].sigma < few.prior["penetration_factor"].sigma


def test_a_run_that_went_wrong_is_flagged_and_pulls_nothing() -> None:
    generator = np.random.default_rng(8)
    runs = [
        AblationRun(shot(fluence), 30.0, depth(fluence, 30.0) * math.exp(0.05 * generator.normal()))
        for fluence in (0.4, 0.6, 0.9, 1.3, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    ]
    clean = learn_ablation(LAW, runs)
    wrong = AblationRun(shot(2.0), 30.0, depth(2.0, 30.0) * 0.3)
    found = learn_ablation(LAW, [*runs, wrong])
    assert [run.outlying for run in found.runs] == [False] * 10 + [True]
    assert found.runs[-1].p_outlying > 0.9
    for name in ("threshold_factor", "penetration_factor"):
        moved = abs(found.posterior[name].mean - clean.posterior[name].mean)
        assert moved < clean.posterior[name].sigma


def test_nothing_found_where_a_depth_was_expected_is_flagged() -> None:
    runs = [AblationRun(shot(fluence), 30.0, depth(fluence, 30.0)) for fluence in (0.5, 1.0, 2.0, 4.0, 6.0)]
    found = learn_ablation(LAW, [*runs, AblationRun(shot(2.0), 30.0, None)])
    assert found.runs[-1].outlying
    assert found.runs[-1].residual is None


def test_nothing_found_raises_the_threshold() -> None:
    runs = [AblationRun(shot(fluence), 30.0, depth(fluence, 30.0)) for fluence in (2.0, 4.0)]
    found = learn_ablation(LAW, [*runs, *(AblationRun(shot(0.17), 30.0, None),) * 3])
    plain = learn_ablation(LAW, runs)
    assert found.posterior["threshold_factor"].mean > plain.posterior["threshold_factor"].mean + 0.05


def test_too_little_is_refused() -> None:
    with pytest.raises(LearningFailed, match="2 runs, none of them with a measured depth"):
        learn_ablation(LAW, [AblationRun(shot(0.1), 3.0, None)] * 2)
    with pytest.raises(LearningFailed, match="0 runs"):
        learn_ablation(LAW, [])
    with pytest.raises(LearningFailed, match="0 measured values are none"):
        learn_mean(np.array([]), (0.0, 1.0), (0.1, 0.7))
    with pytest.raises(ValueError, match="finite numbers"):
        learn_mean(np.array([1.0, math.nan]), (0.0, 1.0), (0.1, 0.7))
    with pytest.raises(ValueError, match="spreads of a prior"):
        learn_mean(np.array([1.0]), (0.0, 0.0), (0.1, 0.7))
    for bad in (0.0, -3.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="above 0"):
            AblationRun(shot(1.0), 3.0, bad)
    with pytest.raises(LearningFailed, match=r"makes these runs possible|edge"):
        learn_ablation(LAW, [AblationRun(shot(1e-4), 3.0, 500.0)])


def test_many_runs_fit_in_memory_and_too_many_are_refused() -> None:
    generator = np.random.default_rng(1)
    found = learn_mean(generator.normal(2.5, 0.5, 300), (2.5, 0.5), (0.5, 0.7))
    assert found.posterior["mean"].sigma == pytest.approx(0.5 / math.sqrt(300), rel=0.15)
    assert len(found.runs) == 300
    with pytest.raises(LearningFailed, match="1001 runs are more than the 1000"):
        learn_ablation(LAW, [AblationRun(shot(1.0), 3.0, 100.0)] * 1001)


def test_equal_values_and_huge_ones_have_a_posterior() -> None:
    same = learn_mean(np.full(6, 2.5), (2.5, 0.5), (0.5, 0.7))
    assert same.posterior["mean"].mean == pytest.approx(2.5, abs=1e-6)
    far = learn_mean(np.array([1e3, 1e3 + 1]), (2.5, 0.5), (0.5, 0.7))
    assert math.isfinite(far.posterior["mean"].mean)

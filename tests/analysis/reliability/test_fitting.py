"""Fits of life models: against slow twins, against published answers, and what is refused."""

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from analysis.reliability import jets
from analysis.reliability.acceleration import LAWS, Constants, fit_stress_model, fitted_factor
from analysis.reliability.comparison import compare_models
from analysis.reliability.competing_risks import cumulative_incidence, fit_competing_risks
from analysis.reliability.distributions import GeneralizedGamma, LocationScale, Mixture
from analysis.reliability.errors import (
    BadLifeData,
    LifeDataError,
    NoFailures,
    NotIdentified,
    OneDistinctTime,
    UnboundedLikelihood,
)
from analysis.reliability.fitting import MODELS, fit_model
from analysis.reliability.intervals import failure_probability, life_quantile, parameter_interval
from analysis.reliability.life_data import LifeData, Truncation, collapse, right_censored
from analysis.reliability.likelihood import log_likelihood
from analysis.reliability.posterior import NotMixed, effective_size, sample_posterior, split_r_hat
from analysis.reliability.rank_regression import fit_plot
from analysis.reliability.weibull_bounds import bound_groups
from analysis.reliability.weibull_profile import fit_weibull_groups
from tests.naive import life_data as naive

MIXED: list[naive.Row] = [
    (12.0, 12.0, 1), (30.0, 30.0, 2), (55.0, 55.0, 1), (0.0, 8.0, 1), (40.0, 70.0, 3), (90.0, math.inf, 20),
    (120.0, 120.0, 1), (150.0, math.inf, 15),
]  # fmt: skip
LOW = math.log(math.log(2))
EXTREME = [(t, True, 1) for t in (220, 179, 123, 146, 199, 181, 191, 216, 1, 73)] + [(float(220), False, 4072)]


def data_of(rows: list[naive.Row], limits: tuple[float, float] = (0.0, math.inf)) -> LifeData:
    lower, upper, count = (np.asarray(column) for column in zip(*rows, strict=True))
    return collapse(lower, upper, count, Truncation(*limits))


@pytest.mark.parametrize("limits", [(0.0, math.inf), (5.0, math.inf), (0.0, 400.0)])
@pytest.mark.parametrize(
    ("model", "theta", "law"),
    [
        (LocationScale("weibull"), (4.0, 0.2), lambda: naive.weibull(4.0 - math.exp(0.2) * LOW, math.exp(0.2))),
        (LocationScale("lognormal"), (4.0, -0.3), lambda: naive.lognormal(4.0, math.exp(-0.3))),
        (LocationScale("loglogistic"), (4.2, -0.3), lambda: naive.loglogistic(4.2, math.exp(-0.3))),
        (GeneralizedGamma(), (4.4, 0.1, 0.6), lambda: naive.generalized_gamma(4.4, math.exp(0.1), 0.6)),
        (GeneralizedGamma(), (4.4, 0.1, -0.7), lambda: naive.generalized_gamma(4.4, math.exp(0.1), -0.7)),
        (
            Mixture(LocationScale("lognormal")),
            (4.0, -0.3, 0.4),
            lambda: naive.defective(1 / (1 + math.exp(-0.4)), naive.lognormal(4.0, math.exp(-0.3))),
        ),
        (
            Mixture(LocationScale("lognormal"), LocationScale("lognormal")),
            (3.0, -0.3, 5.0, 0.1, -0.8),
            lambda: naive.mixture(
                1 / (1 + math.exp(0.8)), naive.lognormal(3.0, math.exp(-0.3)), naive.lognormal(5.0, math.exp(0.1))
            ),
        ),
    ],
)  # fmt: skip
def test_likelihood_and_its_derivatives(model: Any, theta: Any, law: Any, limits: tuple[float, float]) -> None:
    rows = [row for row in MIXED if row[0] >= limits[0] and (row[1] <= limits[1] or limits[1] == math.inf)]
    data = data_of(rows, limits)
    found = log_likelihood(model, np.asarray(theta), data)
    assert found.value[0] == pytest.approx(naive.log_likelihood(rows, law(), limits), rel=1e-9)
    step = 1e-5
    for place in range(len(theta)):
        ends = []
        for side in (1, -1):
            moved = np.asarray(theta, float)
            moved[place] += side * step
            ends.append(log_likelihood(model, moved, data))
        slope = (ends[0].value[0] - ends[1].value[0]) / (2 * step)
        assert found.slope[place, 0] == pytest.approx(slope, rel=1e-6, abs=1e-5)
        bend = (ends[0].slope[:, 0] - ends[1].slope[:, 0]) / (2 * step)
        np.testing.assert_allclose(found.curvature[place, :, 0], bend, rtol=1e-4, atol=1e-3)


def test_a_search_without_derivatives_finds_the_same_weibull() -> None:
    fit = fit_model(data_of(MIXED), "weibull")
    mu, sigma, height = naive.best_weibull(MIXED)
    named = fit.natural()
    assert named["mu"][0] == pytest.approx(mu, abs=1e-6)
    assert named["sigma"][0] == pytest.approx(sigma, rel=1e-6)
    assert fit.log_likelihood == pytest.approx(height, abs=1e-9)


def test_ten_failures_in_four_thousand() -> None:
    hours, failed, count = (np.asarray(column) for column in zip(*EXTREME, strict=True))
    fit = fit_model(right_censored(hours, failed, count), "weibull")
    by_newton = log_likelihood(fit.model, fit.maximum.theta, fit.data)
    assert np.abs(by_newton.slope).max() < 1e-8
    np.testing.assert_allclose(np.linalg.inv(-by_newton.curvature[:, :, 0]), fit.maximum.covariance, rtol=1e-8)
    asked = failure_probability(fit, 220.0)
    assert 1000e-6 < asked.low < asked.estimate < asked.high < 5000e-6


def test_profile_bounds_are_those_of_a_grid_and_of_lagrange() -> None:
    rows: list[naive.Row] = [(10.0, 10.0, 1), (40.0, 40.0, 1), (75.0, 75.0, 1), (90.0, 90.0, 1), (100.0, math.inf, 46)]
    data = data_of(rows)
    fit = fit_model(data, "weibull")
    fast = failure_probability(fit, 60.0)
    slow = naive.probability_bounds(rows, 60.0, 0.9)
    assert (fast.low, fast.high) == pytest.approx(slow, rel=1e-2)
    # The same through a general quantity: what makes F(60) is the log hazard there.
    life = life_quantile(fit, fast.low)
    assert life.high == pytest.approx(60.0, rel=1e-5)


def test_many_groups_are_each_fitted_as_alone() -> None:
    generator = np.random.default_rng(1)
    hours = generator.weibull(1.4, (40, 30)) * 100
    failed = hours < 60
    hours = np.minimum(hours, 60)
    names = np.repeat(np.arange(40), 30)
    together = fit_weibull_groups(hours.ravel(), failed.ravel(), names)
    bounds = bound_groups(hours.ravel(), failed.ravel(), 500.0, names)
    for place in range(0, 40, 7):
        alone = fit_model(right_censored(hours[place], failed[place]), "weibull")
        assert together.sigma[place] == pytest.approx(alone.natural()["sigma"][0], rel=1e-9)
        assert together.log_likelihood[place] == pytest.approx(alone.log_likelihood, rel=1e-9)
        assert bounds.high[place] == pytest.approx(failure_probability(alone, 500.0).high, rel=1e-6)


def test_groups_that_cannot_be_fitted_say_why() -> None:
    found = fit_weibull_groups([5, 5, 3, 4, 1, 2], [True, True, False, False, True, False], [0, 0, 1, 1, 2, 2])
    assert found.status.tolist() == ["one-distinct-time", "no-failures", "fitted"]
    assert np.isnan(found.mu[:2]).all()


def test_a_billion_devices_cost_what_their_times_cost() -> None:
    data = collapse([10.0, 20.0, 50.0, 100.0], [10.0, 20.0, 50.0, math.inf], [3, 2, 4, 1_000_000_000])
    ppb = failure_probability(fit_model(data, "weibull"), 100.0)
    assert ppb.estimate == pytest.approx(9e-9, rel=0.1)
    assert ppb.low < ppb.estimate < ppb.high


def test_equal_rows_collapse() -> None:
    data = collapse([1.0, 2.0, 1.0], [1.0, math.inf, 1.0], [2, 5, 3])
    assert (data.rows, data.devices, data.failures) == (2, 10.0, 5.0)


@pytest.mark.parametrize(
    ("lower", "upper", "count", "error"),
    [
        ([], [], None, BadLifeData),
        ([1.0, math.nan], [1.0, 2.0], None, BadLifeData),
        ([-1.0], [1.0], None, BadLifeData),
        ([2.0], [1.0], None, BadLifeData),
        ([0.0], [0.0], None, BadLifeData),
        ([math.inf], [math.inf], None, BadLifeData),
        ([1.0], [1.0], [-1.0], BadLifeData),
        ([1.0, 2.0], [math.inf, math.inf], None, NoFailures),
        ([5.0], [5.0], [7.0], OneDistinctTime),
        ([0.0, 48.0], [48.0, math.inf], [3.0, 997.0], OneDistinctTime),
        ([5.0, 3.0], [5.0, math.inf], [7.0, 2.0], (OneDistinctTime, UnboundedLikelihood)),
    ],
)
def test_impossible_data_are_refused(lower: Any, upper: Any, count: Any, error: Any) -> None:
    with pytest.raises(error):
        fit_model(collapse(lower, upper, count), "weibull")


def test_every_model_answers_or_says_why() -> None:
    generator = np.random.default_rng(2)
    hours = generator.weibull(1.5, 60) * 100
    data = right_censored(np.minimum(hours, 90), hours < 90)
    answered = set()
    for name in MODELS:
        # A mixture where there is one population: refused, or accepted at a true maximum.
        with suppress(LifeDataError):
            fit = fit_model(data, name)
            assert fit.maximum.score_norm < 1e-6
            assert (np.linalg.eigvalsh(fit.maximum.covariance) > 0).all()
            answered.add(name)
    assert {"exponential", "weibull", "lognormal", "loglogistic", "gamma", "generalized-gamma"} <= answered


def test_huge_and_tiny_times() -> None:
    failed = [True, True, True, False, False]
    found = [
        fit_model(right_censored(scale * np.asarray([1.0, 2, 3, 4, 5]), failed), "weibull").natural()["beta"][0]
        for scale in (1e-9, 1.0, 1e12)
    ]
    assert found == pytest.approx([found[1]] * 3, rel=1e-9)


def test_latent_defects_are_told_from_a_low_shape() -> None:
    generator = np.random.default_rng(3)
    hours = 30 * generator.weibull(0.5, 40)
    hours = hours[hours < 1000]
    data = collapse(
        np.append(hours, 1000.0), np.append(hours, math.inf), np.append(np.ones(hours.size), 5000 - hours.size)
    )
    comparison = compare_models(data)
    assert comparison.best.model.name.startswith("defective")
    test = next(each for each in comparison.tests if each.larger == "defective-weibull")
    assert test.p_value < 1e-4
    named = comparison.best.natural()
    low, high = (getattr(parameter_interval(comparison.best, "p"), side) for side in ("low", "high"))
    assert low < 40 / 5000 < high
    assert named["p"][0] < 0.02


def test_causes_masked_and_known() -> None:
    generator = np.random.default_rng(4)
    early, late = 400 * generator.weibull(0.7, 3000), 300 * generator.weibull(4.0, 3000)
    hours = np.minimum(np.minimum(early, late), 250.0)
    cause = np.where(hours == 250, "", np.where(early < late, "early", "late"))
    masked = np.where(generator.random(3000) < 0.3, "", cause).tolist()
    data = collapse(hours, np.where(hours < 250, hours, math.inf), cause=masked)
    fit = fit_competing_risks(data)
    named = fit.natural()
    for name, truth in (("beta[early]", 0.7), ("beta[late]", 4.0), ("eta_h[late]", 300.0)):
        value, error = named[name]
        assert abs(value - truth) < 4 * error
    shares = cumulative_incidence(fit, np.asarray([200.0]))[:, 0]
    assert shares.sum() == pytest.approx(fit.failure_probability([200.0])[0], rel=1e-6)


def test_causes_found_at_readouts_are_integrated() -> None:
    generator = np.random.default_rng(5)
    early, late = 400 * generator.weibull(0.7, 4000), 300 * generator.weibull(4.0, 4000)
    hours, edges = np.minimum(early, late), np.asarray([0.0, 24, 48, 96, 168, 250])
    cause = np.where(early < late, "early", "late").tolist()
    place = np.searchsorted(edges, hours) - 1
    lower = edges[place]
    upper = np.append(edges, math.inf)[place + 1]
    coarse = fit_competing_risks(collapse(lower, upper, cause=cause)).natural()
    value, error = coarse["beta[early]"]
    assert abs(value - 0.7) < 4 * error
    assert coarse["eta_h[late]"][0] == pytest.approx(300, rel=0.05)


def test_life_under_stress_and_its_factor() -> None:
    generator = np.random.default_rng(6)
    constants, kelvin = Constants(), np.repeat([398.15, 423.15, 448.15], 100)
    hours = np.exp(-15 + 0.8 / (constants.boltzmann_ev_per_k * kelvin) + 0.6 * generator.standard_normal(300))
    data = collapse(np.minimum(hours, 5000), np.where(hours < 5000, hours, math.inf), stress=kelvin)
    fit = fit_stress_model(data, "lognormal", LAWS["arrhenius"])
    value, error = fit.natural()["ea_ev"]
    assert abs(value - 0.8) < 4 * error
    factor = fitted_factor(fit, np.asarray([328.15]), np.asarray([423.15]))
    truth = math.exp(0.8 / constants.boltzmann_ev_per_k * (1 / 328.15 - 1 / 423.15))
    assert factor.low < truth < factor.high
    with pytest.raises(NotIdentified, match="cannot tell"):
        fit_stress_model(data.chosen(data.stress[:, 0] == 423.15), "lognormal", LAWS["arrhenius"])


def test_the_posterior_agrees_with_the_likelihood_where_there_is_much_of_it() -> None:
    generator = np.random.default_rng(7)
    hours = 100 * generator.weibull(1.5, 80)
    fit = fit_model(right_censored(np.minimum(hours, 120), hours < 120), "weibull")
    posterior = sample_posterior(fit, generator, chains=2, round_draws=400)
    low, high = posterior.probability_quantiles(50.0, (0.05, 0.95))
    interval = failure_probability(fit, 50.0)
    assert (low, high) == pytest.approx((interval.low, interval.high), rel=0.12)
    with pytest.raises(NotMixed, match="R-hat"):
        sample_posterior(fit, generator, chains=2, round_draws=20, rounds=1)


def test_diagnostics_of_chains() -> None:
    generator = np.random.default_rng(8)
    independent = generator.standard_normal((4, 2000))
    assert split_r_hat(independent) < 1.01
    assert effective_size(independent) > 6000
    assert split_r_hat(independent + np.arange(4)[:, None]) > 1.5
    walk = np.cumsum(independent, axis=1)
    assert effective_size(walk) < 100


def test_rank_conventions_differ() -> None:
    data = right_censored([30, 49, 82, 90, 96, 10, 45, 100], [True] * 5 + [False] * 3)
    found = {
        (ranks, way): 1 / fit_plot(data, "weibull", ranks, way).sigma
        for ranks in ("benard", "exact")
        for way in ("x-on-y", "y-on-x")
    }
    assert found["benard", "x-on-y"] == pytest.approx(2.0243, abs=1e-4)
    assert found["exact", "x-on-y"] == pytest.approx(2.0327, abs=1e-4)
    assert len({round(value, 6) for value in found.values()}) == 4


def test_jets_of_products_and_quotients() -> None:
    x, y = jets.variables([1.3, 0.7])
    made = jets.exp(x * y) / jets.log1p(y) - 2.0 / x

    def plain(a: float, b: float) -> float:
        return math.exp(a * b) / math.log1p(b) - 2 / a

    step = 1e-4
    assert made.value[0] == pytest.approx(plain(1.3, 0.7))
    cross = (plain(1.3 + step, 0.7 + step) - plain(1.3 + step, 0.7 - step) - plain(1.3 - step, 0.7 + step)
             + plain(1.3 - step, 0.7 - step)) / (4 * step**2)  # fmt: skip
    assert made.curvature[0, 1, 0] == pytest.approx(cross, rel=1e-5)

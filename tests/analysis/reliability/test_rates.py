"""Rates, plans, mechanisms, burn-in and growth against first principles and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.reliability.acceleration import Constants
from analysis.reliability.burn_in import (
    BurnInPlan,
    Costs,
    Defects,
    WearOut,
    cheapest,
    hours_for_escapes,
    hours_for_remaining,
)
from analysis.reliability.errors import LifeDataError
from analysis.reliability.failure_rate import (
    EarlyLifeTest,
    Exposure,
    early_life_rate,
    failure_rate,
    fraction_bounds,
    poisson_bounds,
)
from analysis.reliability.growth import fit_grouped_growth, fit_growth, mean_cumulative_function
from analysis.reliability.mechanism_laws import MECHANISMS
from analysis.reliability.mechanisms import (
    Measured,
    accelerate,
    breakdowns,
    is_blech_immune,
    scale_by_area,
    worst_stress_migration_c,
)
from analysis.reliability.test_planning import (
    bayes_test_hours,
    below_one_ppm,
    gamma_prior,
    length_factor,
    sample_size,
    zero_failure_devices,
    zero_failure_hours,
)


@pytest.mark.parametrize("failures", [0, 1, 7])
def test_bounds_are_those_of_poisson_and_binomial(failures: int) -> None:
    upper = poisson_bounds(failures, 0.9).high
    assert stats.poisson.cdf(failures, upper) == pytest.approx(0.1, rel=1e-9)
    both = poisson_bounds(failures, 0.9, "two")
    assert stats.poisson.cdf(failures, both.high) == pytest.approx(0.05, rel=1e-9)
    if failures:
        assert stats.poisson.sf(failures - 1, both.low) == pytest.approx(0.05, rel=1e-9)
    part = fraction_bounds(failures, 500, 0.9).high
    assert stats.binom.cdf(failures, 500, part) == pytest.approx(0.1, rel=1e-9)


def test_rates_of_mechanisms_are_added_and_not_pooled() -> None:
    exposures = [Exposure("oxide", 0, 2e5, 80.0), Exposure("metal", 1, 2e5, 30.0)]
    rate = failure_rate(exposures, 0.6)
    assert rate.total.fit.high == pytest.approx(sum(each.fit.high for each in rate.mechanisms))
    assert rate.mechanisms[0].fit.high == pytest.approx(0.916290731874155 * 1e9 / 1.6e7)
    assert rate.mission_ppm.high == pytest.approx(1e6 * (1 - math.exp(-rate.total.fit.high * 87600e-9)))
    with pytest.raises(LifeDataError, match="must be above 0"):
        failure_rate([Exposure("x", 0, 0.0)], 0.6)


def test_tests_of_one_mechanism_are_one_test() -> None:
    lots = [Exposure("oxide", 0, 77e3, 80.0), Exposure("oxide", 1, 77e3, 80.0), Exposure("oxide", 0, 45e3, 30.0)]
    rate = failure_rate(lots, 0.6, "two")
    hours = 2 * 77e3 * 80 + 45e3 * 30
    assert [each.exposure.failures for each in rate.mechanisms if each.exposure] == [1]
    assert rate.total.fit.point == pytest.approx(1e9 / hours)
    assert stats.poisson.cdf(1, rate.total.fit.high * hours / 1e9) == pytest.approx(0.2)
    early = [EarlyLifeTest(1, 800, 48.0, 77.7), EarlyLifeTest(0, 1600, 24.0, 77.7)]
    found = early_life_rate(early, 4380.0, 0.6, 0.4)
    # As many failures as the part that is claimed would make.
    for part, failures in ((found.ppm.point, 1.0), (found.ppm.high, poisson_bounds(1, 0.6).high)):
        made = sum(each.devices * part / 1e6 * (77.7 * each.test_h / 4380) ** 0.4 for each in early)
        assert made == pytest.approx(failures)
    assert early_life_rate([EarlyLifeTest(0, 3, 1.0, 1.0)]).ppm.high == 1e6


def test_early_life_scales_with_the_shape() -> None:
    tests = [EarlyLifeTest(0, 2400, 48.0, 77.7)]
    constant, falling = early_life_rate(tests), early_life_rate(tests, beta=0.4)
    assert constant.ppm.high == pytest.approx(0.916290731874155e6 / 2400 * 4380 / (48 * 77.7))
    ratio = (4380 / (48 * 77.7)) ** 0.4
    assert falling.ppm.high == pytest.approx(0.916290731874155e6 / 2400 * ratio)
    with pytest.raises(LifeDataError, match="decreasing"):
        early_life_rate(tests, beta=1.2)


def test_the_fewest_devices_are_the_fewest() -> None:
    for failures in (0, 2):
        devices = sample_size(0.01, 0.9, failures)
        assert stats.binom.cdf(failures, devices, 0.01) <= 0.1 < stats.binom.cdf(failures, devices - 1, 0.01)
    assert sample_size(0.01, 0.9) == 230
    assert "2,302,584 devices" in below_one_ppm(0.9)
    plan = zero_failure_devices(1000, 0.9, 1000, 87600, 80.0, 2.0)
    back = zero_failure_hours(1000, 0.9, plan.devices, 87600, 80.0, 2.0)
    assert back.test_h == pytest.approx(1000, rel=0.01)
    assert plan.shown_ppm <= 1000
    with pytest.raises(LifeDataError, match="would be needed"):
        zero_failure_devices(1e-6, 0.9, 1, 87600)


def test_a_prior_and_the_test_it_leaves() -> None:
    prior = gamma_prior(600, 250)
    assert stats.gamma.cdf(1 / 600, prior.a, scale=1 / prior.b) == pytest.approx(0.5, rel=1e-9)
    assert stats.gamma.sf(1 / 250, prior.a, scale=1 / prior.b) == pytest.approx(0.05, rel=1e-9)
    hours = bayes_test_hours(prior, 500, 0.8, 2)
    assert stats.gamma.cdf(1 / 500, prior.a + 2, scale=1 / (prior.b + hours)) == pytest.approx(0.8, rel=1e-9)
    assert length_factor(0, 0.9) == pytest.approx(-math.log(0.1))


def conditions_of(name: str, worse: bool) -> dict[str, float]:
    values = {
        "temperature_c": (55.0, 125.0), "humidity_percent": (40.0, 85.0), "temperature_swing_k": (60.0, 165.0),
        "cycles_per_day": (2.0, 24.0), "temperature_max_c": (60.0, 125.0), "current_density_a_per_cm2": (2e5, 2e6),
        "field_mv_per_cm": (4.0, 8.0), "voltage_v": (1.0, 1.6), "substrate_current_ua_per_um": (1.0, 8.0),
        "stress": (1.0, 3.0),
    }  # fmt: skip
    return {condition: values[condition][worse] for condition in MECHANISMS[name].conditions}


@pytest.mark.parametrize("name", sorted(set(MECHANISMS) - {"stress-migration", "hot-carrier", "norris-landzberg"}))
def test_stress_ages_faster_and_the_way_back_is_the_inverse(name: str) -> None:
    given = {key: Measured(3.0) for key, each in MECHANISMS[name].coefficients.items() if each.default is None}
    there = accelerate(name, conditions_of(name, False), conditions_of(name, True), given).factor.value
    back = accelerate(name, conditions_of(name, True), conditions_of(name, False), given).factor.value
    assert there > 1
    assert there * back == pytest.approx(1)


def test_errors_of_coefficients_widen_the_factor() -> None:
    use, stress = {"temperature_c": 55.0}, {"temperature_c": 125.0}
    found = accelerate("arrhenius", use, stress, {"ea_ev": Measured(0.7, 0.05)}, level=0.9).factor
    constants = Constants()
    lever = (1 / 328.15 - 1 / 398.15) / constants.boltzmann_ev_per_k
    assert found.log_sigma == pytest.approx(0.05 * lever)
    assert found.high / found.value == pytest.approx(math.exp(1.6448536 * 0.05 * lever), rel=1e-6)
    plain = accelerate("arrhenius", use, stress)
    assert "no interval" in plain.remark
    assert plain.sources == {"ea_ev": "JEP122 [recalled]"}


def test_conventions_change_the_factor_a_little() -> None:
    use, stress = {"temperature_c": 55.0}, {"temperature_c": 150.0}
    ours = accelerate("arrhenius", use, stress).factor
    theirs = accelerate("arrhenius", use, stress, constants=Constants(8.617164e-5, 273.16)).factor
    assert 1e-5 < abs(theirs.value / ours.value - 1) < 5e-3
    assert theirs.constants.zero_celsius_k == 273.16


def test_what_a_mechanism_is_not_told_is_refused() -> None:
    with pytest.raises(LifeDataError, match="no mechanism"):
        accelerate("magic", {}, {})
    with pytest.raises(LifeDataError, match="missing"):
        accelerate("peck", {"temperature_c": 55.0}, {"temperature_c": 130.0})
    with pytest.raises(LifeDataError, match="no default"):
        accelerate("coffin-manson", {"temperature_swing_k": 60.0}, {"temperature_swing_k": 165.0})
    with pytest.raises(LifeDataError, match="does not exist"):
        accelerate("arrhenius", {"temperature_c": -300.0}, {"temperature_c": 130.0})


def test_stress_migration_is_worst_at_an_inner_temperature() -> None:
    values = {"ea_ev": 0.75, "n": 3.0, "stress_free_c": 270.0}
    worst = worst_stress_migration_c(values)
    assert 100 < worst < 260
    for other in (worst - 30, worst + 30):
        assert accelerate("stress-migration", {"temperature_c": other}, {"temperature_c": worst}).factor.value > 1
    with pytest.raises(LifeDataError, match="free of stress"):
        accelerate("stress-migration", {"temperature_c": 55.0}, {"temperature_c": 300.0})


def test_oxides_by_area_and_by_kind_of_breakdown() -> None:
    beta, life = 1.5, 1e6
    scaled = scale_by_area(life, 100.0, beta)
    one, many = 1 - math.exp(-1.0), 1 - math.exp(-100 * (scaled / life) ** beta)
    assert many == pytest.approx(one)
    generator = np.random.default_rng(0)
    soft = 100 * generator.weibull(1.5, 200_000)
    hard = soft + 40 / math.log(2) * generator.exponential(size=soft.size)
    found = breakdowns(120.0, 100.0, 1.5, 40.0)
    assert found.soft == pytest.approx((soft < 120).mean(), abs=0.005)
    assert found.hard == pytest.approx((hard < 120).mean(), abs=0.005)
    assert is_blech_immune(1e5, 100.0)
    assert not is_blech_immune(1e6, 100.0)


def test_burn_in_of_simulated_units() -> None:
    generator = np.random.default_rng(1)
    defects = Defects(0.02, 200.0, 0.6)
    defective = generator.random(2_000_000) < 0.02
    life = np.where(defective, 200 * generator.weibull(0.6, defective.size), np.inf)
    shipped = life > 500
    found = BurnInPlan(defects, 20_000.0, 50.0).judge(10.0)
    assert found.fallout == pytest.approx((~shipped).mean(), rel=0.03)
    assert found.escapes_ppm == pytest.approx(1e6 * ((life > 500) & (life < 20_500)).sum() / shipped.sum(), rel=0.05)
    assert found.consumed is None


def test_burn_in_to_a_target_within_wear_out_and_the_cheapest() -> None:
    defects = Defects(0.006744, 28.367, 0.4960)
    plan = BurnInPlan(defects, 87600.0, 1.0, Costs(0.01, 0.001, 50.0))
    assert hours_for_remaining(plan, 1000.0, of_all=True).hours == pytest.approx(104.4, abs=0.1)
    assert hours_for_escapes(plan, 500.0).escapes_ppm == pytest.approx(500.0, rel=1e-6)
    best = cheapest(plan)
    assert best.cost is not None
    for hours in (0.0, best.hours / 2, best.hours * 2):
        other = plan.judge(hours).cost
        assert other is not None
        assert best.cost <= other + 1e-12
    worn = BurnInPlan(defects, 87600.0, 1.0, None, WearOut(1e5, 3.0, 10.0))
    with pytest.raises(LifeDataError, match="intrinsic life"):
        hours_for_escapes(worn, 10.0)
    with pytest.raises(LifeDataError, match="needs costs"):
        cheapest(worn)


def test_growth_is_covered() -> None:
    generator = np.random.default_rng(2)
    held = fitted = 0
    for _ in range(200):
        count = generator.poisson(25)
        times = 1000 * generator.random(count) ** (1 / 0.6)
        if count < 3:
            continue
        growth = fit_growth(times, 1000.0, 0.9, generator)
        held += growth.beta_low <= 0.6 <= growth.beta_high
        fitted += 1
    assert 0.84 < held / fitted < 0.96


def test_groups_tell_what_times_tell() -> None:
    generator = np.random.default_rng(3)
    times = np.sort(1000 * generator.random(400) ** (1 / 0.7))
    ends = np.linspace(20, 1000, 50)
    counts = np.histogram(times, np.concatenate([[0], ends]))[0]
    assert fit_grouped_growth(ends, counts).beta == pytest.approx(fit_growth(times, 1000.0).beta, rel=0.02)
    with pytest.raises(LifeDataError, match="three failures"):
        fit_growth([5.0, 7.0], 10.0)
    with pytest.raises(LifeDataError, match="above 0"):
        fit_growth([5.0, math.nan, 7.0], 10.0)
    with pytest.raises(LifeDataError, match="whose ends increase"):
        fit_grouped_growth([5.0, 5.0], [1, 2])


def test_mean_cumulative_function_by_hand() -> None:
    found = mean_cumulative_function(["a", "a", "a", "b", "b"], [10, 30, 50, 20, 40], [True, True, False, True, False])
    assert found.ages_h.tolist() == [10, 20, 30]
    assert found.mean.tolist() == [0.5, 1.0, 1.5]
    later = mean_cumulative_function(["a", "a", "b"], [30, 50, 20], [True, False, False])
    assert later.mean.tolist() == [1.0]
    with pytest.raises(LifeDataError, match="how long"):
        mean_cumulative_function(["a"], [10], [True])

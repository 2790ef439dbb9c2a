"""Limits of part average testing against their twin, the truth case, and data that must be refused."""

import numpy as np
import pytest

from analysis.screening.errors import NoSpread, ScreeningError, TooFewParts
from analysis.screening.limits import QUARTILE_RULES, LimitRule, robust_limits, static_limits
from tests.naive import screening as naive

# The values of the worked example in AEC-Q001's formula; the rule for quartiles decides whether 11.92 falls out.
ELEVEN = (9.62, 9.71, 9.83, 9.88, 9.95, 10.02, 10.07, 10.16, 10.31, 10.44, 11.92)
REJECTED = {"linear": 1, "hazen": 0, "weibull": 0, "median_unbiased": 0}


@pytest.mark.parametrize("rule", QUARTILE_RULES)
@pytest.mark.parametrize("shape", ["symmetric", "asymmetric"])
def test_limits_are_those_of_the_twin(rule, shape):
    numbers = np.random.default_rng(1)
    for count in (4, 5, 6, 7, 11, 30, 101):
        values = numbers.gamma(2.0, size=count)
        found = robust_limits([*values, np.nan, np.inf], LimitRule(quartiles=rule, shape=shape, least_parts=4))
        assert (found.low, found.high) == pytest.approx(naive.limits(values, rule, asymmetric=shape != "symmetric"))
        assert (found.parts, found.unread) == (count, 2)


@pytest.mark.parametrize("rule", QUARTILE_RULES)
def test_the_quartile_rule_decides_and_is_kept(rule):
    found = robust_limits(ELEVEN, LimitRule(quartiles=rule, least_parts=11))
    assert found.outside(ELEVEN).sum() == REJECTED[rule]
    assert found.rule.quartiles == rule
    assert found.other_rules == {name: n for name, n in REJECTED.items() if n != REJECTED[rule]}


def test_too_few_parts_are_refused_with_the_number():
    with pytest.raises(TooFewParts, match="2 parts are too few: a robust limit needs at least 30") as refused:
        robust_limits([1.0, 2.0])
    assert (refused.value.parts, refused.value.least) == (2, 30)
    with pytest.raises(TooFewParts, match="0 parts"):
        robust_limits([])
    with pytest.raises(TooFewParts, match="29 parts"):
        robust_limits([*range(29), np.nan])


@pytest.mark.parametrize("others", [[], [9.0], [9.0] * 20])
def test_a_constant_test_is_no_limit_of_no_width(others):
    with pytest.raises(NoSpread, match="no width"):
        robust_limits([5.0] * 100 + others)


def test_an_asymmetric_limit_needs_spread_on_both_sides():
    values = [1.0] * 40 + list(np.linspace(1, 3, 60))
    assert robust_limits(values).sigma_low > 0
    with pytest.raises(NoSpread, match="median and a quartile"):
        robust_limits([1.0] * 60 + list(np.linspace(1, 3, 60)), LimitRule(shape="asymmetric"))


def test_huge_readings_are_refused_rather_than_overflow():
    with pytest.raises(ScreeningError), np.errstate(over="ignore"):
        robust_limits([-1.7e308] * 20 + [0.0] * 20 + [1.7e308] * 20)
    # Differences of neighbours below the resolution of doubles, but for one step.
    with pytest.raises(ScreeningError):
        robust_limits([1e308] * 50)
    found = robust_limits(1e300 * np.linspace(1, 2, 50))
    assert np.isfinite(found.high)


def test_an_infinite_reading_falls_out_and_a_missing_one_does_not():
    found = robust_limits(np.linspace(0, 1, 50))
    assert found.outside([np.inf, -np.inf, np.nan, 0.5, found.high]).tolist() == [True, True, False, False, False]


def test_skewness_is_told_from_chance():
    numbers = np.random.default_rng(2)
    normal = [robust_limits(numbers.normal(size=200), LimitRule(shape="by-skewness")) for _ in range(400)]
    errors = np.array([each.skewness_errors for each in normal])
    assert 0.9 < errors.std() < 1.1
    assert sum(each.shape == "asymmetric" for each in normal) <= 6
    skewed = robust_limits(numbers.lognormal(sigma=1.0, size=400), LimitRule(shape="by-skewness"))
    assert skewed.shape == "asymmetric"
    assert skewed.sigma_high > skewed.sigma_low


def test_a_coarse_test_says_so():
    assert robust_limits([1.0, 2.0, 3.0] * 20).coarse
    assert not robust_limits(np.linspace(0, 1, 60)).coarse


def test_static_limits_need_lots_and_parts():
    numbers = np.random.default_rng(3)
    lots = [numbers.normal(size=40) for _ in range(6)]
    found = static_limits(lots)
    assert found.limits.low == robust_limits(np.concatenate(lots)).low
    assert found.lots == (40,) * 6
    assert found.centres_apart < 1
    with pytest.raises(ScreeningError, match="5 lots are too few: static limits need at least 6"):
        static_limits(lots[:5])
    with pytest.raises(TooFewParts, match="29 parts"):
        static_limits([*lots[:5], lots[5][:29]])
    shifted = static_limits([*lots[:5], lots[5] + 5])
    assert shifted.centres_apart > 3


@pytest.mark.parametrize(
    "wrong",
    [{"sigmas": 0}, {"sigmas": np.nan}, {"divisor": -1}, {"quartiles": "no"}, {"shape": "no"}, {"least_parts": 3}],
)
def test_a_rule_that_cannot_be_is_refused(wrong):
    with pytest.raises(ScreeningError):
        LimitRule(**wrong)


def test_other_rules_are_counted_as_they_would_judge() -> None:
    """On readings with ties each count is that of the rule itself; a rule without spread has none."""
    random = np.random.default_rng(11)
    judged = 0
    for size in (5, 11, 41, 48) * 40:
        values = np.round(random.standard_t(1.5, size), 1)
        for rule in QUARTILE_RULES:
            try:
                found = robust_limits(values, LimitRule(sigmas=3.0, quartiles=rule, least_parts=4))
            except NoSpread:
                continue
            own = int(found.outside(values).sum())
            for other in set(QUARTILE_RULES) - {rule}:
                try:
                    under = robust_limits(values, LimitRule(sigmas=3.0, quartiles=other, least_parts=4))
                except NoSpread:
                    assert other not in found.other_rules
                    continue
                judged += 1
                assert found.other_rules.get(other, own) == int(under.outside(values).sum())
    assert judged > 1000

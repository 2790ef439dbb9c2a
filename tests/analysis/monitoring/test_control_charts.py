"""Control charts against a naive twin, published constants and examples, and published average run lengths."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.monitoring.baseline import (
    Baseline,
    NoBaseline,
    estimate_baseline,
    estimate_subgroup_baseline,
    unbiasing_factor,
)
from analysis.monitoring.control_charts import cusum_charts, ewma_chart, individuals_chart, subgroup_chart
from analysis.monitoring.nelson_rules import RULES, find_patterns
from tests.naive import control_charts as naive

UNIT = Baseline(0.0, 1.0, 100, "known")
OTHER = Baseline(7.0, 0.25, 100, "known")

# Values on the lines themselves, ties and missing ones are common here on purpose.
points = st.lists(
    st.one_of(
        st.sampled_from([-3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]),
        st.floats(-4, 4, allow_nan=False),
        st.just(math.nan),
    ),
    max_size=60,
)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=150, deadline=None)
@given(values=points)
def test_rules_are_their_sentences(rule, values):
    places = [index for index, value in enumerate(values) if not math.isnan(value)]
    expected = [places[at] for at in naive.nelson([values[place] for place in places], rule)]
    chart = individuals_chart(np.array(values), UNIT, [rule])
    assert [signal.index for signal in chart.signals] == expected


PATTERNS = {
    1: [0, 3.1],
    2: [0.1] * 9,
    3: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    4: [0.1, -0.1] * 7,
    5: [2.1, 0, 2.1],
    6: [1.1, 1.1, 0, 1.1, 1.1],
    7: [0.5, -0.5, 0.1] * 5,
    8: [1.5, -1.5, 1.2, -1.2, 1.1, 1.1, -1.1, -1.1],
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_each_pattern_fires_at_its_last_point_and_not_before(rule, sign):
    z = sign * np.array(PATTERNS[rule], float)
    assert find_patterns(z, rule).tolist() == [False] * (z.size - 1) + [True]
    chart = individuals_chart(7.0 + 0.25 * z, OTHER, [rule])
    (signal,) = chart.signals
    assert (signal.index, signal.rule, signal.meaning) == (z.size - 1, f"nelson-{rule}", RULES[rule])
    assert signal.start == (1 if rule == 1 else 0)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_needs_its_last_point(rule):
    assert not find_patterns(np.array(PATTERNS[rule][:-1], float), rule).any()


def test_there_are_eight_rules():
    with pytest.raises(ValueError, match="no rule 9"):
        individuals_chart(np.zeros(3), UNIT, [9])


@settings(max_examples=100, deadline=None)
@given(values=points, weight=st.floats(0.01, 1.0))
def test_ewma_is_its_recursion(values, weight):
    chart = ewma_chart(np.array(values), UNIT, weight=weight, width=2.5)
    expected = naive.ewma(values, 0.0, 1.0, weight, 2.5)
    assert chart.statistic == pytest.approx([each[0] for each in expected], abs=1e-9, nan_ok=True)
    assert chart.upper == pytest.approx([each[1] for each in expected], rel=1e-9, nan_ok=True)
    assert chart.lower == pytest.approx([-each[1] for each in expected], rel=1e-9, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(values=points, reference=st.floats(0.0, 1.5))
def test_cusum_is_its_recursion(values, reference):
    high, low = cusum_charts(0.25 * np.array(values) + 7.0, OTHER, reference=reference, decision=1.0)
    expected = naive.cusum(values, 0.0, 1.0, reference)
    assert high.statistic / 0.25 == pytest.approx([each[0] for each in expected], abs=1e-9, nan_ok=True)
    assert low.statistic / 0.25 == pytest.approx([each[1] for each in expected], abs=1e-9, nan_ok=True)


def test_cusum_tells_when_the_change_began():
    values = np.array([0.0, -1.0, 0.4, math.nan, 2.0, 2.0, 2.0, 2.0])
    high, low = cusum_charts(values, UNIT)
    assert [(each.index, each.start, each.rule) for each in high.signals] == [(7, 4, "cusum-high")]
    assert high.signals[0].statistic == pytest.approx(6.0)
    assert low.signals == ()


# Montgomery, Introduction to Statistical Quality Control: table 9.1, the first twenty have mean 10, the last ten 11.
MONTGOMERY = [
    *(9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34),
    *(9.03, 11.47, 10.51, 9.40, 10.08, 9.37, 10.62, 10.31, 8.52, 10.84),
    *(10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52),
]


def test_montgomerys_cusum_example():
    high, low = cusum_charts(np.array(MONTGOMERY), Baseline(10.0, 1.0, 100, "known"))
    assert high.statistic[:5] == pytest.approx([0, 0, 0, 1.16, 2.82])
    assert high.statistic[-2:] == pytest.approx([5.28, 5.30])
    assert [each.index + 1 for each in high.signals] == [29, 30]
    assert high.signals[0].start + 1 == 23
    assert low.statistic[:3] == pytest.approx([0.05, 1.56, 1.77])
    assert low.signals == ()


def test_montgomerys_ewma_example():
    chart = ewma_chart(np.array(MONTGOMERY), Baseline(10.0, 1.0, 100, "known"), weight=0.10, width=2.7)
    assert chart.statistic[:2] == pytest.approx([9.945, 9.7495])
    assert chart.upper[:2] == pytest.approx([10.27, 10.36], abs=0.005)
    assert chart.upper[-1] == pytest.approx(10.62, abs=0.005)
    assert [each.index + 1 for each in chart.signals] == [29, 30]


@pytest.mark.parametrize(("count", "c4"), [(2, 0.7979), (3, 0.8862), (5, 0.9400), (10, 0.9727), (25, 0.9896)])
def test_unbiasing_factors_are_those_of_the_table(count, c4):
    assert unbiasing_factor(count) == pytest.approx(c4, abs=5e-5)


def test_baseline_of_single_values():
    values = [*MONTGOMERY[:20], math.nan]
    found = estimate_baseline(np.array(values))
    assert found.centre == pytest.approx(sum(MONTGOMERY[:20]) / 20)
    assert found.sigma == pytest.approx(naive.mean_moving_range_sigma(values), rel=5e-4)
    assert (found.count, found.warnings) == (20, ())
    assert estimate_baseline(np.array(values[:10])).warnings


@pytest.mark.parametrize("robust", [False, True])
def test_baselines_are_unbiased(robust):
    generator = np.random.default_rng(5)
    single = [estimate_baseline(generator.normal(3.0, 2.0, 200), robust=robust) for _ in range(400)]
    groups = [estimate_subgroup_baseline(generator.normal(3.0, 2.0, (50, 4)), robust=robust) for _ in range(400)]
    for found in (single, groups):
        assert np.mean([each.sigma for each in found]) == pytest.approx(2.0, rel=0.02)
        assert np.mean([each.centre for each in found]) == pytest.approx(3.0, abs=0.03)


def test_a_robust_baseline_stands_wild_values():
    values = np.random.default_rng(6).normal(0.0, 1.0, 100)
    values[::20] = 50.0
    assert estimate_baseline(values, robust=True).sigma == pytest.approx(1.0, rel=0.3)
    assert estimate_baseline(values).sigma > 3.0
    groups = np.random.default_rng(7).normal(0.0, 1.0, (100, 4))
    groups[::20, 0] = 50.0
    assert estimate_subgroup_baseline(groups, robust=True).sigma == pytest.approx(1.0, rel=0.2)
    assert estimate_subgroup_baseline(groups).sigma > 3.0


def test_drift_does_not_widen_the_limits():
    values = np.random.default_rng(8).normal(0.0, 1.0, 500) + np.linspace(0.0, 20.0, 500)
    assert estimate_baseline(values).sigma == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [3.0] * 50, [math.nan] * 50])
@pytest.mark.parametrize("robust", [False, True])
def test_no_baseline_from_too_few_or_constant_values(values, robust):
    with pytest.raises(NoBaseline):
        estimate_baseline(np.array(values, float), robust=robust)


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((9, 3)), np.full((9, 3), np.nan)])
def test_no_baseline_from_too_few_or_constant_subgroups(values):
    with pytest.raises(NoBaseline):
        estimate_subgroup_baseline(values)


@pytest.mark.parametrize(
    "make", [individuals_chart, ewma_chart, cusum_charts, lambda values, _: estimate_baseline(values)]
)
@pytest.mark.parametrize("values", [np.array([1.0, math.inf, 2.0, 3.0]), np.ones((3, 3))])
def test_infinite_values_and_wrong_shapes_are_refused(make, values):
    with pytest.raises(ValueError, match=r"infinite|dimensions"):
        make(values, UNIT)


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan] * 40, [1e300], [1e-300]])
def test_nothing_and_next_to_nothing(values):
    array = np.array(values, float)
    charts = [individuals_chart(array, UNIT), ewma_chart(array, UNIT), *cusum_charts(array, UNIT)]
    assert all(chart.statistic.shape == array.shape for chart in charts)
    if not values or math.isnan(values[0]):
        assert not any(chart.signals for chart in charts)


def test_means_of_subgroups_have_narrower_limits():
    values = np.full((12, 4), 0.0)
    values[5] = 1.6
    values[7, 2] = math.nan
    chart = subgroup_chart(values, UNIT, [1])
    assert (chart.lower[0], chart.upper[0]) == (-1.5, 1.5)
    assert [(each.index, each.statistic) for each in chart.signals] == [(5, 1.6)]
    assert math.isnan(chart.statistic[7])
    with pytest.raises(ValueError, match="two or more"):
        subgroup_chart(np.ones((5, 1)), UNIT)
    with pytest.raises(ValueError, match="two or more"):
        estimate_subgroup_baseline(np.ones((5, 1)))


def run_lengths(first_signal, shift: float, runs: int, length: int) -> tuple[float, float]:
    """Mean run length and its standard error, from independent runs that all end within ``length``."""
    generator = np.random.default_rng(1234)
    lengths = []
    for _ in range(runs):
        values = generator.normal(shift, 1.0, length)
        prefixes = (values[: length // 16], values[: length // 4], values)
        index = next((found for each in prefixes if (found := first_signal(each)) is not None), None)
        assert index is not None, "a run did not end; the mean would be too low"
        lengths.append(index + 1)
    return float(np.mean(lengths)), float(np.std(lengths) / math.sqrt(runs))


def shewhart(values):
    return next(iter(np.flatnonzero(find_patterns(values, 1))), None)


def nine_in_a_row(values):
    return next(iter(np.flatnonzero(find_patterns(values, 2))), None)


def cusum(values):
    high, low = cusum_charts(values, UNIT)
    return min((each.index for each in (*high.signals[:1], *low.signals[:1])), default=None)


def ewma(values):
    """The tables hold for constant limits; the exact ones are narrower over the first points."""
    average = ewma_chart(values, UNIT).statistic
    return next(iter(np.flatnonzero(np.abs(average) > 2.962 * math.sqrt(0.2 / 1.8))), None)


def ewma_with_exact_limits(values):
    signals = ewma_chart(values, UNIT).signals
    return signals[0].index if signals else None


@pytest.mark.parametrize(
    ("chart", "shift", "published", "runs", "length"),
    [
        (shewhart, 0.0, 370.4, 2000, 8000),
        (shewhart, 1.0, 43.89, 2000, 2000),
        (shewhart, 3.0, 2.0, 2000, 200),
        # The wait for nine of a kind in fair tosses is 2^9 - 1.
        (nine_in_a_row, 0.0, 511.0, 2000, 9000),
        (cusum, 0.0, 465.0, 300, 8000),
        (cusum, 0.5, 38.0, 800, 1000),
        (cusum, 1.0, 10.4, 1500, 200),
        (cusum, 2.0, 4.01, 1500, 60),
        (ewma, 0.0, 500.0, 300, 10000),
        (ewma, 0.5, 41.8, 800, 1500),
        (ewma, 1.0, 10.5, 1500, 300),
        (ewma, 2.0, 3.7, 1500, 60),
    ],
)
def test_average_run_lengths_are_those_of_the_tables(chart, shift, published, runs, length):
    """Montgomery, tables 9.3 and 9.11."""
    mean, error = run_lengths(chart, shift, runs, length)
    assert abs(mean - published) < 4.0 * error + 0.01 * published


def test_exact_limits_see_a_change_from_the_first_point_on_sooner():
    assert run_lengths(ewma_with_exact_limits, 2.0, 500, 60)[0] < run_lengths(ewma, 2.0, 500, 60)[0]
    mean, error = run_lengths(ewma_with_exact_limits, 0.0, 300, 10000)
    assert abs(mean - 500.0) < 4.0 * error + 25.0


def all_rules(values):
    signals = individuals_chart(values, UNIT).signals
    return signals[0].index if signals else None


def test_all_rules_together_give_a_false_alarm_in_73_points():
    mean, error = run_lengths(all_rules, 0.0, 500, 1600)
    assert abs(mean - 73.4) < 4.0 * error

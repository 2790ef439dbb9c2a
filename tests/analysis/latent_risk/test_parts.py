"""The parts of latent risk, each against an independent calculation."""

from itertools import product

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.ensemble import ExtraTreesClassifier

from analysis.anomaly.thresholds import conformal_p_values
from analysis.latent_risk.calibration import METHODS, choose_calibrator, fit_calibrator, venn_abers
from analysis.latent_risk.drift import (
    count_bins,
    failures_p_value,
    follow_calibration,
    judge_stability,
    make_reference,
)
from analysis.latent_risk.evidence import BadEvidence, Evidence, Modality, is_trace
from analysis.latent_risk.forest import DamagedForest, Forest, grow_forest
from analysis.latent_risk.heads import HeadKind, fit_head, prepare
from analysis.latent_risk.measures import (
    area_interval,
    area_under_roc,
    calibration_slope,
    caught_part,
    coverage_by_chance,
    difference_interval,
    judge_calibration,
)
from analysis.latent_risk.stacking import RIDGE, fit_stack
from analysis.latent_risk.trace_features import describe_traces

GENERATOR = np.random.default_rng(5)


def outcomes(odds: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=odds.size) < 1 / (1 + np.exp(-odds))


def test_a_forest_as_arrays_answers_as_the_one_it_was_made_of() -> None:
    values = GENERATOR.normal(size=(300, 5))
    failed = outcomes(values @ np.array([2.0, -1, 0, 0, 1]))
    ours = grow_forest(values, failed, 25, 3)
    theirs = ExtraTreesClassifier(25, min_samples_leaf=2, random_state=3).fit(values, failed)
    asked = GENERATOR.normal(size=(500, 5)) * 2
    assert ours.mean_value(asked) == pytest.approx(theirs.predict_proba(asked)[:, 1], abs=1e-12)


@pytest.mark.parametrize(
    ("name", "value"), [("left", 0), ("right", 10_000), ("feature", 9), ("value", 2), ("threshold", np.nan)]
)
def test_arrays_that_are_no_forest_are_refused(name: str, value: float) -> None:
    values = GENERATOR.normal(size=(60, 3))
    whole = grow_forest(values, values[:, 0] > 0, 2, 0)
    whole.check(3)
    arrays = {each: getattr(whole, each).copy() for each in vars(whole)}
    arrays[name][int(np.flatnonzero(whole.feature >= 0)[-1])] = value
    with pytest.raises(DamagedForest):
        Forest(**arrays).check(3)


def test_the_area_counts_pairs_and_its_interval_holds_what_it_does_not_contradict() -> None:
    scores = np.round(GENERATOR.normal(size=60), 1)
    failed = GENERATOR.uniform(size=60) < 0.3
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(scores[failed], scores[~failed])]
    area = area_under_roc(scores, failed)
    assert area == pytest.approx(np.mean(pairs))
    low, high = area_interval(area, 20, 40)
    z, half = stats.norm.ppf(0.975), 29.0
    for end in (low, high):
        variance = end * (1 - end) / 800 * (1 + half * ((1 - end) / (2 - end) + end / (1 + end)))
        assert (area - end) ** 2 == pytest.approx(z * z * variance)
    assert low < area < high
    perfect, top = area_interval(1.0, 26, 444)
    assert 0.8 < perfect < 0.99
    assert top == 1.0


def test_the_interval_of_the_area_covers_as_it_says() -> None:
    true = stats.norm.cdf(1 / np.sqrt(2))
    failed = np.arange(120) < 26
    covered = 0
    for _ in range(400):
        low, high = area_interval(area_under_roc(GENERATOR.normal(size=120) + failed, failed), 26, 94)
        covered += low <= true <= high
    assert 0.92 <= covered / 400 <= 0.985


def test_stacked_weights_are_where_the_penalized_likelihood_is_flat_and_none_is_negative() -> None:
    scores = GENERATOR.normal(size=(400, 3))
    failed = outcomes(0.5 + scores @ np.array([1.2, 0.4, -0.8]))
    stack = fit_stack(scores, failed)
    assert stack.weights[2] == 0.0
    apart = 1 / (1 + np.exp(-stack.fuse(scores))) - failed
    slope = scores.T @ apart + RIDGE * (stack.weights - 1 / 3)
    assert slope[:2] == pytest.approx(0, abs=1e-3)
    assert slope[2] > 0
    assert apart.sum() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_calibration_rises_and_stays_within_what_its_units_can_show(method: str) -> None:
    odds = GENERATOR.normal(size=500) * 2
    failed = outcomes(0.5 * odds - 1)
    calibrator = fit_calibrator(method, odds, failed)
    found = calibrator.apply(np.linspace(-50, 50, 400))
    assert (np.diff(found) >= 0).all()
    assert found[0] >= 1 / 502
    assert found[-1] <= 1 - 1 / 502


def test_the_calibration_that_is_needed_is_found() -> None:
    odds = GENERATOR.normal(size=4000) * 2
    right = choose_calibrator(odds, outcomes(odds))
    assert right.calibrator.method == "identity"
    wrong = choose_calibrator(odds, outcomes(0.4 * odds - 1.5))
    assert wrong.calibrator.method == "platt"
    assert wrong.calibrator.parameters == pytest.approx([0.4, -1.5], abs=0.12)
    few = choose_calibrator(odds[:30], odds[:30] > 2.5)
    assert few.calibrator.method == "platt"
    assert "too few" in few.reason


def test_venn_abers_are_isotonic_regressions_with_the_unit_in_both_classes() -> None:
    known = np.round(GENERATOR.normal(size=40), 1)
    failed = outcomes(known)
    asked = np.round(GENERATOR.normal(size=25), 1)
    low, high = venn_abers(asked, known, failed)
    for value, found in zip(asked, zip(low, high, strict=True), strict=True):
        for answer, level in enumerate(found):
            scores, labels = np.append(known, value), np.append(failed, bool(answer))
            distinct = np.unique(scores)
            means = np.array([labels[scores == each].mean() for each in distinct])
            weights = np.array([(scores == each).sum() for each in distinct], float)
            fitted = optimize.isotonic_regression(means, weights=weights).x
            assert level == pytest.approx(fitted[distinct == value][0])
    assert (low <= high).all()


def test_calibration_is_judged_against_chance() -> None:
    odds = GENERATOR.normal(size=3000) - 2
    right = 1 / (1 + np.exp(-odds))
    failed = outcomes(odds, 4)
    good = judge_calibration(right, failed)
    assert good.error < 2.5 * good.error_by_chance
    assert good.p_value > 0.001
    assert good.slope == pytest.approx(1, abs=0.15)
    assert sum(each.count for each in good.bins) == 3000
    assert sum(each.failed for each in good.bins) == good.seen == failed.sum()
    bad = judge_calibration(np.minimum(2 * right, 0.99), failed)
    assert bad.error > 5 * bad.error_by_chance
    assert bad.p_value < 1e-6
    assert np.isnan(calibration_slope(np.array([0.1, 0.9]), np.array([False, True])))


def test_what_is_caught_and_what_differs() -> None:
    probability = np.linspace(0, 1, 100)
    failed = probability > 0.97
    assert caught_part(probability, failed, 0.01) == pytest.approx(1 / 3)
    assert caught_part(probability, failed, 0.05) == 1.0
    losses = GENERATOR.normal(size=200) ** 2
    low, high = difference_interval(losses, losses + 0.3, np.arange(200) < 20)
    assert low == pytest.approx(-0.3)
    assert high == pytest.approx(-0.3)


def test_stability_is_measured_by_deciles_and_against_chance() -> None:
    before, same, moved = (GENERATOR.normal(size=count) for count in (2000, 400, 400))
    reference = make_reference(before)
    assert reference.counts[:-1] == pytest.approx(200, abs=1)
    gone = np.where(np.arange(400) < 100, np.nan, same)
    found = {
        each.name: each
        for each in judge_stability(
            {"a": reference, "b": reference, "c": reference}, {"a": same, "b": moved + 1, "c": gone}
        )
    }
    assert [found[name].verdict for name in "abc"] == ["stable", "drifted", "drifted"]
    now = (count_bins(moved + 1, reference.edges) + 0.5)[:10]
    then = (reference.counts + 0.5)[:10]
    now, then = now / now.sum(), then / then.sum()
    assert found["b"].index == pytest.approx(float(np.sum((now - then) * np.log(now / then))))
    few = judge_stability({"a": reference}, {"a": moved[:10] + 1})
    assert few[0].verdict == "too few units"


@pytest.mark.parametrize("moved", [-1.0, 1.0])
def test_what_was_one_value_has_moved_whichever_way(moved: float) -> None:
    constant = make_reference(np.full(500, 25.0))
    mostly = make_reference(np.where(np.arange(500) < 300, 0.0, np.linspace(5, 9, 500)))
    asked = np.where(np.arange(100) < 60, 0.0, np.linspace(5, 9, 100))
    now = {"constant": np.full(100, 25.0), "mostly": asked}
    references = {"constant": constant, "mostly": mostly}
    assert {each.verdict for each in judge_stability(references, now)} == {"stable"}
    later = {"constant": now["constant"] + moved, "mostly": np.where(asked == 0, moved, asked)}
    assert {each.verdict for each in judge_stability(references, later)} == {"drifted"}


def test_stable_features_are_not_called_drifted() -> None:
    references = {str(column): make_reference(GENERATOR.normal(size=800)) for column in range(60)}
    found = judge_stability(references, {name: GENERATOR.normal(size=60) for name in references})
    assert {each.verdict for each in found} == {"stable"}


def test_the_number_of_failures_is_judged_exactly() -> None:
    probability = np.array([0.1, 0.5, 0.7])
    mass = np.zeros(4)
    for pattern in product((0, 1), repeat=3):
        mass[sum(pattern)] += np.prod(np.where(pattern, probability, 1 - probability))
    assert failures_p_value(probability, 3) == pytest.approx(2 * mass[3])
    assert failures_p_value(probability, 1) == pytest.approx(min(1, 2 * min(mass[:2].sum(), mass[1:].sum())))
    assert failures_p_value(np.full(2500, 0.01), 25) > 0.5 > failures_p_value(np.full(2500, 0.01), 45)
    periods = follow_calibration(np.arange(6.0)[::-1], np.full(6, 0.5), np.arange(6) < 2, 3)
    assert [each.units for each in periods] == [2, 2, 2]
    assert [each.seen for each in periods] == [0, 0, 2]


def test_traces_are_described_without_regard_to_when() -> None:
    trace = np.array([[0.0, 0, 5, 0, 0]])
    early = np.roll(trace, -1, axis=1)
    late, other = describe_traces(trace)[0], describe_traces(early)[0]
    assert late.size == 4 * 5 - 2
    assert (late[5:10] == other[5:10]).all()
    assert (late[14:] == other[14:]).all()
    assert (late[:5] != other[:5]).any()
    assert is_trace(("trace_1", "trace_2", "trace_5"))
    assert not is_trace(("trace_1", "trace_3", "trace_2"))
    assert not is_trace(("trace_1", "iddq", "trace_2"))


def test_a_head_fills_in_clips_and_says_what_is_outside() -> None:
    values = GENERATOR.normal(size=(200, 3))
    values[:, 2] = 7.0
    failed = outcomes(3 * values[:, 0])
    head = fit_head(HeadKind("logistic", 1.0), ("a", "b", "c"), values, failed)
    assert head.preparation.kept.tolist() == [0, 1]
    middle = np.median(values, axis=0)
    unknown = head.score(np.array([[np.nan, 0.3, 7.0]]))
    assert unknown == pytest.approx(head.score(np.array([[middle[0], 0.3, 7.0]])))
    top, bottom = values.max(axis=0)[0], values.min(axis=0)[0]
    assert head.score(np.array([[top, 0, 7.0]])) == pytest.approx(head.score(np.array([[1e9, 0, 7.0]])))
    asked = np.array([[0, 0, 7.0], [top + 1.1 * (top - bottom), 0, 7], [np.nan, -1e9, 7], [0, 0, 1e9]])
    assert head.preparation.outside(asked).tolist() == [-1, 0, 1, -1]


def test_an_event_at_another_time_is_not_outside() -> None:
    early = np.zeros((50, 8)) + 1e-3 * GENERATOR.normal(size=(50, 8))
    early[:, 2] += 5
    prepared = prepare(tuple(f"trace_{number}" for number in range(8)), early)
    late = np.roll(early[:1], 4, axis=1)
    assert prepared.outside(np.concatenate([late, late * 3])).tolist() == [-1, 6]


def test_impossible_evidence_is_refused() -> None:
    time = np.zeros(2)
    outcome = np.zeros(2, np.int8)
    with pytest.raises(BadEvidence, match="before the unit was judged"):
        Evidence(("a", "b"), time, outcome, time - 1, ())
    with pytest.raises(BadEvidence, match="infinite"):
        Evidence(("a", "b"), time, outcome, time, (Modality("m", ("x",), np.array([[1.0], [np.inf]])),))
    with pytest.raises(BadEvidence, match="no time"):
        Evidence(("a", "b"), time * np.nan, outcome, time, ())


@pytest.mark.parametrize(("known", "asked"), [(19, 200), (58, 665), (400, 50)])
def test_the_part_that_sets_hold_lies_where_chance_puts_it(known: int, asked: int) -> None:
    generator = np.random.default_rng(known)
    parts = np.empty(2000)
    for number in range(parts.size):
        examples, units = generator.normal(size=known), generator.normal(size=asked)
        parts[number] = (conformal_p_values(units, examples) > 0.1).mean()
    low, high = coverage_by_chance([(known, asked)], 0.1)
    assert 0.92 <= ((parts >= low) & (parts <= high)).mean() <= 0.98
    assert coverage_by_chance([(5, asked)], 0.1) == (1.0, 1.0)
    assert coverage_by_chance([], 0.1) == (0.0, 1.0)

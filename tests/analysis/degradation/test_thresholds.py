"""Times to thresholds: crossings of drawn paths, what is known already, refusals; pseudo-lifetimes as published."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.degradation.errors import BadReadouts, DegradationError, ExtrapolationUnsupported
from analysis.degradation.law_mixture import LawForecaster, judge_laws
from analysis.degradation.pseudo_lifetimes import find_pseudo_lifetimes
from analysis.degradation.readout_paths import ReadoutPaths, collect_paths
from analysis.degradation.thresholds import FALLING, RISING, Threshold, choose_side, cross, first_crossings
from analysis.degradation.unit_scores import score_crossings
from tests.analysis.degradation.drifts import simulate


def straight(paths: ReadoutPaths) -> LawForecaster:
    return LawForecaster("linear", judge_laws(paths, ("linear",)))


def test_first_crossings_of_drawn_paths() -> None:
    grid = np.asarray([0.0, 1.0, 3.0])
    draws = np.asarray([[0.0, 2.0, 0.0], [0.0, 0.5, 2.5], [0.0, 0.1, 0.2], [5.0, 6.0, 7.0]])
    assert first_crossings(draws, grid, Threshold(1.0, RISING)).tolist() == [0.5, 1.5, np.inf, 0.0]
    assert first_crossings(-draws, grid, Threshold(-1.0, FALLING)).tolist() == [0.5, 1.5, np.inf, 0.0]


def test_times_to_a_threshold_of_straight_drift() -> None:
    paths = simulate(1.0, noise=0.01)
    fitted = straight(paths)
    truth = [np.polyfit(paths.time_h[paths.unit == u], paths.value[paths.unit == u], 1) for u in range(paths.units)]
    exact = np.asarray([(1.5 - line[1]) / line[0] for line in truth])
    found = cross([fitted], paths, Threshold(1.5, RISING), 1500.0)
    for each, hours in zip(found, exact, strict=True):
        low, high = each.quantiles_h[0.05], each.quantiles_h[0.95]
        if each.state == "crossed":
            continue
        assert each.low <= each.probability <= each.high
        if hours < 1350:
            assert each.probability > 0.9
            assert low is not None
            assert low * 0.97 < hours < (high or 1500.0) * 1.03
        if hours > 1700:
            assert each.probability < 0.3
            assert each.quantiles_h[0.5] is None
    sooner = score_crossings([fitted], paths, Threshold(1.5, RISING), 1200.0)
    assert (sooner.probability <= np.asarray([each.probability for each in found])).all()


def test_a_unit_whose_readouts_have_passed_is_known() -> None:
    paths = simulate(1.0, noise=0.001)
    own = paths.value[paths.unit == 2]
    limit = float((own[4] + own[5]) / 2)
    found = cross([straight(paths)], paths, Threshold(limit, RISING), 1500.0)[2]
    time = paths.time_h[paths.unit == 2]
    assert (found.state, found.probability, found.after_h, found.before_h) == ("crossed", 1.0, time[4], time[5])


def test_a_horizon_before_a_seen_crossing_is_not_passed() -> None:
    paths = simulate(1.0, noise=0.001)
    own, time = paths.value[paths.unit == 2], paths.time_h[paths.unit == 2]
    threshold = Threshold(float((own[4] + own[5]) / 2), RISING)
    fitted = straight(paths)
    early, between, late = (
        cross([fitted], paths, threshold, float(hours))[2]
        for hours in (time[4], 0.75 * time[4] + 0.25 * time[5], time[5])
    )
    assert (early.probability, early.low, early.high, early.quantiles_h[0.05]) == (0.0, 0.0, 0.0, time[4])
    assert between.probability == pytest.approx(0.25)
    assert (between.low, between.high, between.quantiles_h[0.5]) == (0.0, 1.0, None)
    assert (late.probability, late.low, late.high) == (1.0, 1.0, 1.0)


def test_sides_and_horizons_that_cannot_be_are_refused() -> None:
    paths = simulate(level=1.0)
    with pytest.raises(DegradationError, match="start above"):
        choose_side(paths, 0.0)
    at_the_threshold = replace(paths, value=np.where(paths.unit == 0, 1.0, 0.5))
    with pytest.raises(DegradationError, match="0 of 9 units start above 1, 8 below"):
        choose_side(at_the_threshold, 1.0)
    assert choose_side(paths, 50.0).direction == RISING
    assert choose_side(paths, -50.0).direction == FALLING
    with pytest.raises(ExtrapolationUnsupported, match="ask for at most 10000 h"):
        cross([], paths, Threshold(5.0, RISING), 20_000.0)


@pytest.mark.shared_data
def test_published_pseudo_lifetimes_of_lasers(shared_data: Path) -> None:
    with (shared_data / "reliability/degradation/gaaslaser.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = (np.asarray([float(row[name]) for row in rows]) for name in ("hours", "increase"))
    paths = collect_paths([row["unit"] for row in rows], *columns, np.full(len(rows), np.nan))
    cases = json.loads((shared_data / "reliability/truth/cases.json").read_text())
    cases = cases if isinstance(cases, list) else cases["cases"]
    truth = next(case for case in cases if case["id"] == "me_1310_gaas_laser")["metrics"]["pseudo_ttf"]
    found = [each.hours for each in find_pseudo_lifetimes(paths, Threshold(10.0, RISING))]
    assert found == pytest.approx(truth["recomputed"], rel=1e-9)


@pytest.mark.parametrize(
    ("curve", "shape"),
    [
        ("exponential", lambda t: 2 * np.exp(t / 700)),
        ("power", lambda t: 2 * (t / 700) ** 0.4),
        ("logarithmic", lambda t: 2 + 3 * np.log(t)),
        ("lloyd-lipow", lambda t: 30 - 900 / t),
    ],
)
def test_each_curve_meets_the_threshold_where_it_does(curve: str, shape: object) -> None:
    paths = simulate(noise=0.0)
    assert callable(shape)
    goal = float(shape(np.asarray(1400.0)))
    exact = replace(paths, value=np.asarray(shape(paths.time_h)))
    found = find_pseudo_lifetimes(exact, Threshold(goal, RISING), curve)
    assert [each.hours for each in found] == pytest.approx([1400.0] * 9)
    turned = find_pseudo_lifetimes(replace(exact, value=np.ones(exact.rows)), Threshold(goal, RISING), "linear")
    assert {each.hours for each in turned} == {None}
    with pytest.raises(BadReadouts, match="no curve"):
        find_pseudo_lifetimes(exact, Threshold(goal, RISING), "gompertz")


@pytest.mark.parametrize(("direction", "sign"), [(RISING, 1.0), (FALLING, -1.0)])
def test_a_curve_beyond_the_threshold_from_the_beginning_is_neither_failure_nor_survivor(
    direction: int, sign: float
) -> None:
    lines = {"away": (1.0, -0.001), "dead": (12.0, 0.01), "heals": (12.0, -0.02), "lasts": (1.0, 0.02)}
    time = np.asarray([0.0, 100.0, 200.0])
    values = np.concatenate([sign * (start + slope * time) for start, slope in lines.values()])
    paths = collect_paths(list(np.repeat(list(lines), 3)), np.tile(time, 4), values, np.full(12, np.nan))
    found = {each.unit: each for each in find_pseudo_lifetimes(paths, Threshold(sign * 10.0, direction))}
    assert {name: each.dead for name, each in found.items()} == {
        "away": False, "dead": True, "heals": True, "lasts": False,
    }  # fmt: skip
    assert [found[name].hours for name in ("away", "dead", "heals")] == [None] * 3
    assert found["lasts"].hours == pytest.approx(450.0)

"""Signatures: slow counts, false alarms on maps by chance, power on planted ones, and what cannot be asked."""

import math

import numpy as np
import pytest

from analysis.anomaly.thresholds import rate_interval
from analysis.mask.inspected_regions import Boxes, Disc
from analysis.mask.signature_statistics import CLUSTER_RADII, ReticleField, Statistics, surprise_of
from analysis.mask.signatures import SignatureFinder
from tests.naive import signatures as naive

RADIUS = 150_000.0
WAFER = Disc(RADIUS)
FIELD = ReticleField(26_000.0, 33_000.0, 1_000.0, -2_000.0, tolerance_um=20.0)
COUNT = 120


@pytest.fixture(scope="module")
def finder() -> SignatureFinder:
    return SignatureFinder(WAFER, FIELD, rate=0.05, simulations=99, numbers=np.random.default_rng(1))


def test_the_counts_are_those_of_a_slow_search() -> None:
    numbers = np.random.default_rng(2)
    statistics = Statistics(WAFER, FIELD)
    for _ in range(5):
        xy = np.concatenate(
            [
                WAFER.draw(30, numbers),
                numbers.normal(0, 1500, (5, 2)),
                numbers.normal(0, 5, (3, 2)) + np.array((26_000, 33_000)),
            ]
        )
        expected = naive.cluster(xy, RADIUS, WAFER.area_um2, CLUSTER_RADII)
        assert statistics.cluster(xy).surprise == pytest.approx(expected, rel=1e-9)
        fields = naive.repeater(xy, (26_000, 33_000), (1_000, -2_000), 20.0)
        assert statistics.repeater(xy).about.get("fields", 1.0) == fields


def test_surprise_is_the_poisson_tail_also_far_out() -> None:
    for count, expected in ((1, 0.3), (5, 4.0), (40, 2.0), (3, 1e-9)):
        assert surprise_of(count, expected) == pytest.approx(naive.surprise(count, expected), rel=1e-9)
    assert surprise_of(400, 0.01) == pytest.approx(
        -(400 * math.log10(0.01) - 0.01 / math.log(10) - math.lgamma(401) / math.log(10)), rel=1e-6
    )
    assert surprise_of(0, 1.0) == surprise_of(3, 0.0) == 0.0


@pytest.mark.parametrize("region", [WAFER, Boxes(np.array([[-10.0, -10, 0, 0], [5, 5, 35, 15]]))])
def test_places_by_chance_fill_the_region_evenly(region: Disc | Boxes) -> None:
    xy = region.draw(20_000, np.random.default_rng(3))
    assert np.hypot(*xy.T).max() <= region.radius_um
    inner = np.abs(xy[:, 0] + 5) < 5 if isinstance(region, Boxes) else np.hypot(*xy.T) < RADIUS / 2
    assert inner.mean() == pytest.approx(0.25, abs=0.015)


def test_maps_by_chance_raise_no_more_alarms_than_the_rate(finder: SignatureFinder) -> None:
    numbers = np.random.default_rng(4)
    p_values, alarms, maps = [], 0, 150
    for _ in range(maps):
        tests, _ = finder._test(WAFER.draw(COUNT, numbers))
        p_values.append([each.p_value for each in tests])
        alarms += min(each.adjusted for each in tests) <= finder.rate
    assert rate_interval(alarms, maps)[0] <= finder.rate
    for kind in np.array(p_values).T:
        assert rate_interval(int((kind <= 0.1).sum()), maps)[0] <= 0.1


def planted(kind: str, numbers: np.random.Generator) -> np.ndarray:
    if kind == "cluster":
        return numbers.normal(0, 1500, (14, 2)) + np.array((40_000, 30_000))
    if kind == "ring":
        angle, radius = numbers.uniform(0, 2 * math.pi, 40), numbers.normal(110_000, 1_000, 40)
        return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    if kind == "scratch":
        angle, along = numbers.uniform(0, math.pi), numbers.uniform(-40_000, 40_000, 16)
        line = np.column_stack([along * math.cos(angle), along * math.sin(angle)])
        return line + numbers.normal(0, 200, (16, 2)) + np.array((20_000, -40_000))
    fields = numbers.choice(36, 6, replace=False)
    corners = np.column_stack([fields % 6 - 3, fields // 6 - 3]) * [26_000, 33_000]
    return corners + np.array((6_000, 5_000)) + numbers.normal(0, 4, (6, 2))


@pytest.mark.parametrize("kind", ["cluster", "ring", "scratch", "repeater"])
def test_a_planted_signature_is_found_with_its_members(finder: SignatureFinder, kind: str) -> None:
    for seed in range(2):
        numbers = np.random.default_rng(seed)
        there = planted(kind, numbers)
        xy = np.concatenate([WAFER.draw(COUNT - len(there), numbers), there])
        report = finder.find(xy)
        assert report.signatures[0].kind == kind
        members = set(report.signatures[0].members.tolist())
        mine = set(range(COUNT - len(there), COUNT))
        assert len(members & mine) >= 0.8 * len(mine)
        assert len(members - mine) <= 0.4 * len(members)
        assert len(report.left) + sum(len(each.members) for each in report.signatures) == COUNT


def test_two_repeaters_and_a_cluster_are_told_apart(finder: SignatureFinder) -> None:
    numbers = np.random.default_rng(7)
    first, second = planted("repeater", numbers), planted("repeater", numbers) + np.array((9_000, 12_000))
    cluster = planted("cluster", numbers)
    xy = np.concatenate([WAFER.draw(COUNT - 26, numbers), first, second, cluster])
    kinds = sorted(each.kind for each in finder.find(xy).signatures)
    assert kinds == ["cluster", "repeater", "repeater"]


def test_a_place_at_the_field_s_edge_repeats_across_it() -> None:
    xy = np.array([[1_000.0 + 26_000 * k + (-1) ** k * 3, -2_000 + 33_000 * k + 4] for k in range(5)])
    window = Statistics(WAFER, FIELD).repeater(xy)
    assert sorted(window.members.tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("xy", "words"),
    [
        (np.zeros((3, 2)), "3 defects: a signature needs at least 6"),
        (np.full((9, 2), np.nan), "places are finite"),
        (np.zeros(9), "places are finite"),
    ],
)
def test_maps_that_cannot_be_asked_are_refused(finder: SignatureFinder, xy: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        finder.find(xy)


def test_settings_that_promise_nothing_are_refused() -> None:
    numbers = np.random.default_rng(0)
    with pytest.raises(ValueError, match="needs 60 simulations, not 20"):
        SignatureFinder(WAFER, simulations=20, rate=0.05, numbers=numbers)
    with pytest.raises(ValueError, match="radius is positive"):
        Disc(math.inf)
    with pytest.raises(ValueError, match="has no area"):
        Boxes(np.array([[0.0, 0.0, 0.0, 1.0]]))
    with pytest.raises(ValueError, match="too large for the field"):
        ReticleField(10.0, 10.0, tolerance_um=5.0)


def test_all_defects_on_one_spot_are_a_cluster(finder: SignatureFinder) -> None:
    assert finder.find(np.full((20, 2), 5.0)).signatures[0].kind in ("cluster", "ring", "scratch")

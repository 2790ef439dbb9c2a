"""Registration and width maps on SIMULATED masks: terms, errors, outliers, spreads, and refusals."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from analysis.metrology.least_squares import NotDetermined, find_inliers, fit_weighted, spread_interval
from analysis.metrology.registration_map import LEVELS, TERMS, Sites, map_registration
from analysis.metrology.trend import find_trend
from analysis.metrology.width_map import map_widths
from tests.naive import registration_map as naive

TRUTH = {
    "translation_x_nm": 3.0,
    "translation_y_nm": -2.0,
    "magnification_ppm": 0.25,
    "rotation_urad": -0.4,
    "anisotropy_ppm": 0.05,
    "orthogonality_urad": 0.1,
}


def grid(count: int = 9) -> tuple[np.ndarray, np.ndarray]:
    ticks = np.linspace(-60_000.0, 60_000.0, count)
    x, y = np.meshgrid(ticks, ticks)
    return x.ravel(), y.ravel()


def simulate(generator: np.random.Generator, sigma: float = 1.0, count: int = 9, *, stated: bool = False) -> Sites:
    """SIMULATED: the terms of TRUTH and normal errors."""
    x, y = grid(count)
    m, a, r, g = (
        TRUTH[name] for name in ("magnification_ppm", "anisotropy_ppm", "rotation_urad", "orthogonality_urad")
    )
    dx = TRUTH["translation_x_nm"] + ((m + a) * x - (r + g / 2) * y) * 1e-3
    dy = TRUTH["translation_y_nm"] + ((m - a) * y + (r - g / 2) * x) * 1e-3
    noise = generator.normal(0, sigma, (2, x.size))
    errors = (np.full(x.size, sigma),) * 2 if stated else (None, None)
    return Sites(x, y, dx + noise[0], dy + noise[1], *errors)


def test_terms_without_noise_come_back_exactly() -> None:
    found = map_registration(simulate(np.random.default_rng(0), 0.0), "affine")
    for name, value in TRUTH.items():
        assert found.terms[name][0] == pytest.approx(value, abs=1e-9), name
    assert found.inlier.all()
    assert found.x.three_sigma_nm < 1e-9


@pytest.mark.parametrize("level", ["translation", "similarity", "affine"])
def test_the_fit_equals_exact_fractions(level: str) -> None:
    generator = np.random.default_rng(3)
    sites = simulate(generator, 1.0, 4)
    sigma = generator.uniform(2.0, 4.0, (2, sites.x_um.size))
    sites = Sites(sites.x_um, sites.y_um, sites.dx_nm, sites.dy_nm, sigma[0], sigma[1])
    found = map_registration(sites, level, 1e-12)
    rows = zip(sites.x_um, sites.y_um, sites.dx_nm, sites.dy_nm, *sigma, strict=True)
    values, errors = naive.fit_terms([tuple(map(float, row)) for row in rows], LEVELS[level])
    assert found.inlier.all()
    widened = max(1.0, float(found.scale))
    for name, value, error in zip(TERMS, values, errors, strict=False):
        assert found.terms[name][0] == pytest.approx(value, rel=1e-9)
        assert found.terms[name][1] == pytest.approx(error * widened, rel=1e-9)


@pytest.mark.parametrize("stated", [True, False])
def test_standard_errors_are_those_of_chance(stated: bool) -> None:
    generator = np.random.default_rng(5)
    pulls = []
    for _ in range(60):
        found = map_registration(simulate(generator, 1.5, 6, stated=stated), "affine")
        pulls.append([(found.terms[name][0] - TRUTH[name]) / found.terms[name][1] for name in TERMS])
    assert np.std(pulls, axis=0) == pytest.approx(np.ones(6), abs=0.25)
    assert abs(np.mean(pulls)) < 0.15


def test_each_level_takes_more_away() -> None:
    sites = simulate(np.random.default_rng(7))
    spreads = [map_registration(sites, level).x.three_sigma_nm for level in LEVELS]
    assert spreads[1] == pytest.approx(spreads[0])  # a translation moves the mean, not the spread
    assert spreads[0] > spreads[2] > spreads[3]
    raw = map_registration(sites, "raw")
    assert raw.terms == {}
    assert raw.x.mean_nm == pytest.approx(3.0, abs=0.5)
    low, high = map_registration(sites, "affine").x.interval_nm
    assert low < 3.0 < high


def test_wrong_sites_are_left_out_and_clean_maps_keep_theirs() -> None:
    generator = np.random.default_rng(9)
    sites = simulate(generator)
    for site in (0, 8, 40):
        sites.dx_nm[site] += 40.0
    found = map_registration(sites, "affine")
    assert np.flatnonzero(~found.inlier).tolist() == [0, 8, 40]
    assert found.x.largest_nm > 35
    assert found.x.three_sigma_nm < 4
    lost = sum(not map_registration(simulate(generator, count=7), "affine").inlier.all() for _ in range(60))
    assert lost <= binom.ppf(0.999, 60, 0.03)


@pytest.mark.parametrize(("sites", "fewest"), [(7, 25), (12, 36)])  # of seven, one far out may hold the plane alone
def test_few_sites_are_lost_no_more_often_than_told_and_a_wrong_one_is_found(sites: int, fewest: int) -> None:
    generator = np.random.default_rng(sites)
    lost, found = 0, 0
    for _ in range(40):
        x, y, dx, dy = generator.normal(0, 1, (4, sites))
        lost += not map_registration(Sites(x * 3e4, y * 3e4, dx, dy), "affine").inlier.all()
        lost += map_widths(x * 3e4, y * 3e4, dx).outliers > 0
        wrong = dx.copy()
        wrong[3] += 500.0
        found += map_registration(Sites(x * 3e4, y * 3e4, wrong, dy), "raw").inlier.tolist() == [
            site != 3 for site in range(sites)
        ]
    assert lost <= binom.ppf(0.999, 80, 0.015)
    assert found >= fewest


def test_widths_have_a_mean_a_plane_and_a_spread() -> None:
    generator = np.random.default_rng(2)
    x, y = grid()
    error = 1.5 + 0.05 * x * 1e-3 - 0.02 * y * 1e-3 + generator.normal(0, 0.5, x.size)
    error[4] += 20
    found = map_widths(x, y, error)
    assert found.outliers == 1
    assert not found.inlier[4]
    assert found.mean_to_target_nm[0] == pytest.approx(1.5, abs=4 * found.mean_to_target_nm[1])
    assert found.tilt_nm_per_mm is not None
    assert found.flat_three_sigma_nm is not None
    assert found.three_sigma_nm is not None
    (along_x, error_x), (along_y, error_y) = found.tilt_nm_per_mm
    assert along_x == pytest.approx(0.05, abs=4 * error_x)
    assert along_y == pytest.approx(-0.02, abs=4 * error_y)
    assert found.flat_three_sigma_nm[1] < 1.5 < found.flat_three_sigma_nm[2]
    assert found.three_sigma_nm[0] > found.flat_three_sigma_nm[0]


def test_stated_errors_weigh_and_are_widened_where_they_are_too_small() -> None:
    x, y = grid(5)
    error = np.where(np.arange(25) % 2, 1.0, 3.0) + np.random.default_rng(0).normal(0, 0.1, 25)
    sigma = np.where(np.arange(25) % 2, 0.1, 10.0)
    assert map_widths(x, y, error, sigma).mean_to_target_nm[0] == pytest.approx(1.0, abs=0.1)
    narrow = map_widths(x, y, error, np.full(25, 1e-3))
    assert narrow.scale is not None
    assert narrow.scale > 100
    assert narrow.mean_to_target_nm[1] == pytest.approx(1.0 / 5, rel=0.15)


def test_few_sites_and_sites_on_a_line() -> None:
    three = map_widths(np.array([0.0, 1.0, 2.0]), np.zeros(3), np.array([1.0, 2.0, 3.0]))
    assert three.tilt_nm_per_mm is None
    line = map_widths(np.arange(8.0), np.zeros(8), np.arange(8.0) % 3)
    assert line.tilt_nm_per_mm is None
    assert line.three_sigma_nm is not None
    with pytest.raises(NotDetermined, match="1 values do not determine"):
        map_widths(np.zeros(1), np.zeros(1), np.zeros(1))
    flat = Sites(np.arange(8.0), np.zeros(8), np.zeros(8), np.zeros(8))
    with pytest.raises(NotDetermined, match="on a line"):
        map_registration(flat, "affine")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    x, y = grid(4)
    error = np.zeros(16)
    error[3] = value
    with pytest.raises(ValueError, match="not finite"):
        map_widths(x, y, error)
    with pytest.raises(ValueError, match="not finite"):
        map_registration(Sites(x, y, error, np.zeros(16)), "affine")
    with pytest.raises(ValueError, match="above 0"):
        map_widths(x, y, np.zeros(16), np.full(16, value))
    with pytest.raises(ValueError, match="the level is one of raw"):
        map_registration(Sites(x, y, np.zeros(16), np.zeros(16)), "cubic")


def test_constant_and_huge_values() -> None:
    x, y = grid(4)
    still = map_registration(Sites(x, y, np.full(16, 2.0), np.full(16, 2.0)), "affine")
    assert still.inlier.all()
    assert still.terms["translation_x_nm"][0] == pytest.approx(2.0)
    huge = map_widths(x, y, 1e12 + np.arange(16.0))
    assert huge.mean_to_target_nm[0] == pytest.approx(1e12)


def test_a_spread_has_the_interval_of_chi_squared() -> None:
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        low, high = spread_interval(float(np.std(generator.normal(0, 2, 9), ddof=1)), 8)
        hits += low <= 2 <= high
    assert binom.ppf(1e-3, 400, 0.95) <= hits <= binom.ppf(0.999, 400, 0.95)


def test_trends_are_told_when_they_are_there() -> None:
    generator = np.random.default_rng(6)
    days = np.arange(20.0)
    rising = find_trend(days, 0.3 * days + generator.normal(0, 0.5, 20))
    assert rising.moves
    assert rising.slope_per_day[1] < 0.3 < rising.slope_per_day[2]
    assert rising.robust_slope_per_day[1] < 0.3 < rising.robust_slope_per_day[2]
    told = sum(find_trend(days, generator.normal(0, 0.5, 20)).moves for _ in range(150))
    assert told <= binom.ppf(0.999, 150, 0.05)
    one = 0.0 * days
    one[-1] = 100.0
    assert not find_trend(days, one).moves
    assert find_trend(days, np.full(20, 3.0)).p_value == 1.0
    with pytest.raises(NotDetermined, match="three different times; there are 2"):
        find_trend(np.array([0.0, 1.0, 1.0]), np.zeros(3))


def test_a_site_far_off_is_told_however_few_there_are() -> None:
    """It pulls the robust start of seven sites about; without one, no more sites are lost than told."""
    generator = np.random.default_rng(11)
    lost = 0
    for _ in range(40):
        x, y = generator.uniform(-60_000, 60_000, (2, 7))
        errors = generator.normal(0, 1, (2, 7))
        lost += not map_registration(Sites(x, y, *errors), "raw").inlier.all()
        errors[:, 0] += np.array([80.0, -60.0])
        assert map_registration(Sites(x, y, *errors), "raw").inlier.tolist() == [False, *[True] * 6]
    assert lost <= binom.ppf(0.999, 40, 0.02)


def test_least_squares_refuses_what_cannot_be_told_apart() -> None:
    with pytest.raises(NotDetermined, match="do not tell the parameters apart"):
        fit_weighted(np.ones((5, 2)), np.zeros(5), None)
    with pytest.raises(NotDetermined, match="do not determine"):
        find_inliers(np.ones((1, 1)), np.zeros(1), 1)

"""Outliers among delays, and the extrapolation to no laser power."""

import numpy as np
import pytest

from analysis.waveforms.delay_outliers import weigh_outliers
from analysis.waveforms.laser_power import extrapolate_to_zero_power
from tests.naive.skew import weighted_line


def test_the_far_one_is_an_outlier() -> None:
    delays = np.asarray([1.0, 0.5, -0.4, 0.2, -0.9, 60.0])
    fit = weigh_outliers(delays, np.ones(6), 100.0)
    assert fit.probabilities[-1] > 0.99
    assert fit.probabilities[:-1].max() < 0.05
    assert abs(fit.centre_s) < 1.0


def test_probabilities_are_calibrated() -> None:
    generator = np.random.default_rng(1)
    stated, true = [], []
    for _ in range(150):
        wrong = generator.random(12) < 0.05
        delays = generator.normal(0, 1, 12) + np.where(wrong, generator.normal(0, 10, 12), 0)
        stated += weigh_outliers(delays, np.ones(12), 10.0).probabilities.tolist()
        true += wrong.tolist()
    likely = np.asarray(stated) > 0.5
    assert np.mean(np.asarray(true)[likely]) > 0.85
    assert np.mean(stated) == pytest.approx(np.mean(true), abs=0.02)


def test_scatter_beyond_the_errors_is_a_spread_not_outliers() -> None:
    fit = weigh_outliers(np.random.default_rng(2).normal(0, 5, 40), np.ones(40), 100.0)
    assert fit.spread_s == pytest.approx(5, rel=0.4)
    assert (fit.probabilities > 0.5).sum() <= 1


def test_one_delay_is_hardly_an_outlier() -> None:
    fit = weigh_outliers(np.asarray([3.0]), np.asarray([1.0]), 100.0)
    assert fit.centre_s == 3.0
    assert fit.probabilities[0] < 0.05


@pytest.mark.parametrize(
    ("delays", "sigmas"), [([], []), ([np.nan], [1.0]), ([1.0], [0.0]), ([np.inf, 1.0], [1.0, 1.0])]
)
def test_outliers_of_nothing_finite_raise(delays: list[float], sigmas: list[float]) -> None:
    with pytest.raises(ValueError, match="finite delays"):
        weigh_outliers(np.asarray(delays), np.asarray(sigmas), 1.0)


def test_extrapolation_is_the_textbook_line() -> None:
    powers, delays, sigmas = [1.0, 2.0, 5.0], [13.0, 16.2, 24.9], [0.5, 0.4, 0.8]
    zero = extrapolate_to_zero_power(np.asarray(powers), np.asarray(delays), np.asarray(sigmas))
    assert (zero.delay_s, zero.sigma_s, zero.slope_s_per_mw) == pytest.approx(weighted_line(powers, delays, sigmas))
    assert zero.p_linear is not None
    assert zero.p_linear > 0.05


def test_two_powers_say_nothing_of_linearity_and_scatter_widens() -> None:
    two = extrapolate_to_zero_power(np.asarray([1.0, 2.0]), np.asarray([3.0, 5.0]), np.asarray([1.0, 1.0]))
    assert (two.delay_s, two.p_linear) == (pytest.approx(1.0), None)
    powers, sigmas = np.asarray([1.0, 2.0, 3.0, 4.0]), np.full(4, 0.1)
    wild = extrapolate_to_zero_power(powers, np.asarray([0.0, 5.0, -4.0, 3.0]), sigmas)
    assert wild.p_linear is not None
    assert wild.p_linear < 1e-6
    assert wild.sigma_s > 1.0


@pytest.mark.parametrize(
    ("powers", "delays", "sigmas", "message"),
    [
        ([1.0, 1.0], [1.0, 2.0], [1.0, 1.0], "two powers"),
        ([], [], [], "two powers"),
        ([-1.0, 1.0], [1.0, 2.0], [1.0, 1.0], "below 0"),
        ([1.0, 2.0], [1.0, 2.0], [0.0, 1.0], "above 0"),
        ([1.0, 2.0], [np.nan, 2.0], [1.0, 1.0], "finite"),
    ],
)
def test_what_cannot_be_extrapolated_raises(
    powers: list[float], delays: list[float], sigmas: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        extrapolate_to_zero_power(np.asarray(powers), np.asarray(delays), np.asarray(sigmas))

"""Noise: its autoregression against the recursion, its whitening against the covariance."""

import numpy as np
import pytest

from analysis.waveforms.noise import NoiseModel, TimingNoise, averaged, estimate_noise, estimate_noise_of_repeats
from tests.naive.skew import autoregression


def test_white_noise_is_white() -> None:
    model = estimate_noise(np.random.default_rng(1).normal(0, 2.0, 4000))
    assert model.coefficients.size == 0
    assert model.sigma() == pytest.approx(2.0, rel=0.05)


def test_an_autoregression_is_found() -> None:
    shocks = np.random.default_rng(2).normal(0, 0.5, 8000)
    model = estimate_noise(np.asarray(autoregression([0.9, -0.4], shocks.tolist())))
    assert model.coefficients[:2] == pytest.approx([0.9, -0.4], abs=0.06)
    assert model.innovation == pytest.approx(0.5, rel=0.04)


def test_repeats_say_the_same_whatever_their_signal() -> None:
    shocks = np.random.default_rng(3).normal(0, 0.5, (6, 3000))
    noise = np.asarray([autoregression([0.7], row.tolist()) for row in shocks])
    model = estimate_noise_of_repeats(100 * np.sin(np.arange(3000)) + noise)
    assert model.coefficients[0] == pytest.approx(0.7, abs=0.05)
    assert model.innovation == pytest.approx(0.5, rel=0.04)
    assert averaged(model, 4).sigma() == pytest.approx(model.sigma() / 2)


def test_whitening_makes_the_covariance_one() -> None:
    model = NoiseModel(0.3, np.asarray([0.8, -0.3]))
    lags = np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    whitening = model.whitening(40).toarray()
    assert whitening @ model.autocovariance(40)[lags] @ whitening.T == pytest.approx(np.eye(40), abs=1e-9)


def test_degenerate_series() -> None:
    assert estimate_noise(np.zeros(100)).innovation == 0.0
    assert estimate_noise(np.ones(1)).coefficients.size == 0
    for bad in (np.zeros((1, 9)), np.full((2, 9), np.nan), np.zeros(9)):
        with pytest.raises(ValueError, match="two or more finite repeats"):
            estimate_noise_of_repeats(bad)


def test_jitter_averages() -> None:
    assert TimingNoise(jitter_s=2e-11, averages=100).edge_variance() == pytest.approx(4e-24)

"""Skew: against a dense grid of delays, its error bar, and its efficiency against the Cramér-Rao bound."""

import numpy as np
import pytest

from analysis.waveforms.alignment import edge_template, estimate_skew
from tests.analysis.waveforms.signals import CYCLE_S, DT_S, random_bits, waveform
from tests.naive.waveforms import best_delay

EDGE_S = 8.5e-11
"""Of the forward model's defaults: transistor, detector, jitter."""


@pytest.mark.parametrize("delay_s", [-1.7e-9, -2e-10, 0.0, 9e-10, 2.2e-9])
def test_agrees_with_a_dense_grid(delay_s: float) -> None:
    bits = random_bits(16, 1)
    values = waveform(bits, 20.0, 2, delay_s=delay_s)
    skew = estimate_skew(values, 0.0, DT_S, CYCLE_S, bits)
    grid_s = best_delay(values.tolist(), 0.0, DT_S, CYCLE_S, bits.tolist(), 2e-10)
    assert skew.skew_s is not None
    assert skew.sigma_s is not None
    assert skew.skew_s == pytest.approx(delay_s, abs=5 * skew.sigma_s)
    assert skew.skew_s == pytest.approx(grid_s, abs=5 * skew.sigma_s + CYCLE_S / 800)


@pytest.mark.parametrize("amplitude", [1.0, -1e-5])
def test_error_bars_hold(amplitude: float) -> None:
    """Errors in units of the stated standard error have mean 0 and standard deviation 1."""
    scores = []
    for seed in range(120):
        bits, delay_s = random_bits(64, seed), float(np.random.default_rng(seed).normal(0, 2e-10))
        values = waveform(bits, 8.0, 1000 + seed, delay_s=delay_s, amplitude=amplitude)
        skew = estimate_skew(values, 0.0, DT_S, CYCLE_S, bits)
        assert skew.skew_s is not None
        assert skew.sigma_s is not None
        scores.append((skew.skew_s - delay_s) / skew.sigma_s)
    assert abs(np.mean(scores)) < 0.3
    assert 0.75 < np.std(scores) < 1.3


def test_is_efficient() -> None:
    """The spread of the estimate is near the Cramér-Rao bound ``sigma / sqrt(sum s'^2)`` of the true template."""
    bits, ratio = random_bits(64, 5), 16.0
    samples = round(64 * CYCLE_S / DT_S)
    errors, bounds = [], []
    for seed in range(100):
        delay_s = float(np.random.default_rng(seed).uniform(0, DT_S))
        skew = estimate_skew(waveform(bits, ratio, 500 + seed, delay_s=delay_s), 0.0, DT_S, CYCLE_S, bits)
        assert skew.skew_s is not None
        errors.append(skew.skew_s - delay_s)
        times = DT_S * np.arange(samples) - delay_s
        step_s = 1e-13
        ahead, behind = (edge_template(times + sign * step_s, bits, CYCLE_S, EDGE_S) for sign in (1, -1))
        slope = (ahead - behind) / (2 * step_s)
        sigma = 1 / ratio * np.sqrt(CYCLE_S / DT_S)
        bounds.append(sigma / np.sqrt(float(slope @ slope)))
    outliers = np.abs(errors) > 10 * np.mean(bounds)
    assert outliers.mean() <= 0.02
    kept = np.asarray(errors)[~outliers]
    assert abs(kept.mean()) < 0.5 * np.mean(bounds)
    assert np.sqrt(np.mean(np.square(bounds))) / kept.std() > 0.7


def test_a_net_without_edges_has_no_skew() -> None:
    skew = estimate_skew(np.random.default_rng(1).normal(size=1000), 0.0, DT_S, CYCLE_S, np.ones(31))
    assert (skew.skew_s, skew.sigma_s) == (None, None)


def test_pure_noise_states_no_skew_that_looks_sure() -> None:
    sure = 0
    for seed in range(40):
        values = np.random.default_rng(seed).normal(size=2048)
        skew = estimate_skew(values, 0.0, DT_S, CYCLE_S, random_bits(64, seed))
        sure += skew.sigma_s is not None and skew.sigma_s < 0.01 * CYCLE_S
    assert sure <= 4

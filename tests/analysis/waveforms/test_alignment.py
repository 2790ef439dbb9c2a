"""Skew of coarsely sampled loops: against a dense grid of delays, its error bar, what a session knows."""

import numpy as np
import pytest

from analysis.waveforms.alignment import Acquisition, estimate_skew, weigh_skews
from analysis.waveforms.cycles import WaveformError
from tests.analysis.waveforms.signals import CYCLE_S, DT_S, random_bits, waveform
from tests.naive.waveforms import best_delay


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
    for seed in range(60):
        bits, delay_s = random_bits(64, seed), float(np.random.default_rng(seed).normal(0, 2e-10))
        values = waveform(bits, 8.0, 1000 + seed, delay_s=delay_s, amplitude=amplitude)
        skew = estimate_skew(values, 0.0, DT_S, CYCLE_S, bits)
        if skew.skew_s is not None and skew.sigma_s is not None:
            scores.append((skew.skew_s - delay_s) / skew.sigma_s)
    assert len(scores) >= 55
    assert abs(np.mean(scores)) < 0.4
    assert 0.6 < np.std(scores) < 1.3


def test_knowing_the_edges_width_narrows_a_coarsely_sampled_skew() -> None:
    """With three samples to a nanosecond only delay over width is seen."""
    bits = random_bits(64, 5)
    values = waveform(bits, 16.0, 7, delay_s=7e-11)
    free = estimate_skew(values, 0.0, DT_S, CYCLE_S, bits)
    known = estimate_skew(values, 0.0, DT_S, CYCLE_S, bits, acquisition=Acquisition(edge_sigma_s=7.4e-11))
    assert free.sigma_s is not None
    assert known.sigma_s is not None
    assert known.skew_s is not None
    assert known.sigma_s < 0.8 * free.sigma_s
    assert known.skew_s == pytest.approx(7e-11, abs=4 * known.sigma_s)


def test_a_skew_unlike_the_sessions_is_an_outlier() -> None:
    skews = []
    for seed, delay_s in enumerate([0.0, 2e-11, -3e-11, 1e-11, 1.5e-9]):
        bits = random_bits(64, seed)
        skews.append(estimate_skew(waveform(bits, 20.0, seed, delay_s=delay_s), 0.0, DT_S, CYCLE_S, bits))
    skews.append(estimate_skew(waveform(bits, 20.0, 9), 0.0, DT_S, CYCLE_S, np.ones(64)))
    doubts = weigh_skews(skews, CYCLE_S)
    assert doubts[5] is None
    assert doubts[4] is not None
    assert doubts[4] > 0.9
    assert all(doubt is not None and doubt < 0.2 for doubt in doubts[:4])
    assert weigh_skews([], CYCLE_S) == []


def test_a_waveform_outside_the_loop_raises() -> None:
    with pytest.raises(WaveformError, match="no sample in the pattern loop"):
        estimate_skew(np.zeros(100), 1.0, DT_S, CYCLE_S, random_bits(8, 1))


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

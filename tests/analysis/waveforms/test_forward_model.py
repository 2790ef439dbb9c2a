"""The forward model against the numbers of the textbook."""

import numpy as np
import pytest

from analysis.waveforms.forward_model import (
    Drain,
    Optics,
    Timing,
    add_noise,
    edge_sigma_s,
    modulation_waveform,
    noise_for_cycle_ratio,
    probe_waveform,
    relative_noise,
    shot_noise,
    spot_intensity,
)


@pytest.mark.parametrize(("bandwidth_hz", "ppm"), [(250e6, 965), (1e9, 1930), (5e9, 4316)])
def test_shot_noise_of_86_microamperes(bandwidth_hz: float, ppm: float) -> None:
    assert shot_noise(86e-6, bandwidth_hz) * 1e6 == pytest.approx(ppm, rel=0.01)


def test_noise_falls_with_the_root_of_the_averages() -> None:
    optics = Optics()
    assert relative_noise(optics, 400) == pytest.approx(relative_noise(optics, 100) / 2)
    assert relative_noise(optics, 1) > shot_noise(optics.photocurrent_a, optics.bandwidth_hz)


def test_the_spot_is_half_as_bright_at_half_its_width() -> None:
    assert spot_intensity(0.0, 279.0) == 1.0
    assert spot_intensity(139.5, 279.0) == pytest.approx(0.5)


def test_edges_add_in_squares() -> None:
    timing = Timing(rise_s=60e-12, jitter_s=15e-12)
    slow = Optics(bandwidth_hz=1e9)
    detector = 0.35e-9 / 2.5631
    assert edge_sigma_s(slow, timing) ** 2 == pytest.approx((60e-12 / 2.5631) ** 2 + detector**2 + (15e-12) ** 2)


def test_levels_and_ten_to_ninety_rise_time() -> None:
    timing = Timing(cycle_s=1e-8, dt_s=1e-12)
    sigma_s = 60e-12 / 2.5631
    step = modulation_waveform(Drain(np.array([0.0, 1.0])), timing, sigma_s)
    assert step[5000] == pytest.approx(0.0)
    assert step[15000] == pytest.approx(1.0)
    edge = step[5000:15000]
    rise = np.flatnonzero(edge > 0.9)[0] - np.flatnonzero(edge > 0.1)[0]
    assert rise == pytest.approx(60, abs=1.5)


def test_a_probe_is_the_sum_of_its_drains() -> None:
    optics, timing = Optics(reflectance=2.0, modulation=1e-4), Timing()
    one, other = Drain(np.array([0.0, 1.0, 1.0, 0.0]), 1.0), Drain(np.array([1.0, 1.0, 0.0, 0.0]), -0.5)
    both = probe_waveform([one, other], optics, timing)
    assert both + 2.0 == pytest.approx(probe_waveform([one], optics, timing) + probe_waveform([other], optics, timing))
    assert np.ptp(probe_waveform([one], optics, timing)) == pytest.approx(2e-4)


def test_noise_has_the_ratio_asked_for() -> None:
    sigma = noise_for_cycle_ratio(1.0, 2.0, 32)
    noise = add_noise(np.zeros(32 * 5000), sigma, 0.0, np.random.default_rng(1))
    assert noise.reshape(5000, 32).mean(axis=1).std() == pytest.approx(0.5, rel=0.03)

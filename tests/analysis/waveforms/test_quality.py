"""Quality flags: what is said about clean, clipped, drifting, constant and broken waveforms."""

import numpy as np
import pytest

from analysis.waveforms.quality import assess_quality
from tests.analysis.waveforms.signals import random_bits, waveform


def test_levels_noise_and_ratio_of_a_clean_waveform() -> None:
    values = 3.0 + waveform(random_bits(256, 1), 40.0, 2, amplitude=2.0)
    quality = assess_quality(values)
    noise = 2.0 / 40.0 * np.sqrt(32)
    assert quality.low_level == pytest.approx(3.0, abs=0.15)
    assert quality.high_level == pytest.approx(5.0, abs=0.15)
    assert quality.noise == pytest.approx(noise, rel=0.05)
    assert quality.sample_snr == pytest.approx(2.0 / noise, rel=0.15)
    assert quality.problems == ()


@pytest.mark.parametrize("sample_ratio", [0.5, 1.0, 2.0, 5.0, 20.0])
def test_the_ratio_is_right_from_half_to_twenty(sample_ratio: float) -> None:
    found = []
    for seed in range(6):
        values = 5.0 - 3.0 * waveform(random_bits(256, seed), sample_ratio * np.sqrt(32), seed, drift=0.3)
        found.append(assess_quality(values).sample_snr / sample_ratio)
    assert np.mean(found) == pytest.approx(0.97, abs=0.03 + 0.1 * (sample_ratio < 1))


def test_levels_of_a_net_that_is_seldom_high() -> None:
    bits = (np.random.default_rng(1).random(256) < 0.15).astype(float)
    quality = assess_quality(2.0 + waveform(bits, 3.0 * np.sqrt(32), 1))
    assert (quality.low_level, quality.high_level) == pytest.approx((2.0, 3.0), abs=0.1)


def test_ones_that_are_not_even_over_the_loop_are_no_drift() -> None:
    for seed in range(10):
        bits = random_bits(64, seed)
        bits[:16] = 1.0
        assert not [item for item in assess_quality(waveform(bits, 60.0, seed)).problems if "drifts" in item]


def test_levels_without_noise_may_be_clipped_or_not() -> None:
    values = np.clip(5 * np.sin(np.linspace(0, 60, 4000)), -1, 1)
    (problem,) = [item for item in assess_quality(values).problems if item.startswith("clipped")]
    assert problem.endswith("or the levels have no noise")


@pytest.mark.parametrize("seed", range(5))
def test_a_usual_probe_raises_no_alarm(seed: int) -> None:
    assert assess_quality(1.0 + 1e-4 * waveform(random_bits(256, seed), 2.0, seed, drift=0.1)).problems == ()


def test_clipping_is_seen() -> None:
    values = waveform(random_bits(256, 1), 10.0, 2)
    clipped = np.clip(values, None, np.percentile(values, 90))
    problems = assess_quality(clipped).problems
    assert any(problem.startswith("clipped: ") for problem in problems)
    assert assess_quality(clipped).clipped_part > 0.02


def test_drift_is_seen() -> None:
    quality = assess_quality(waveform(random_bits(256, 1), 20.0, 2, drift=3.0))
    assert any(problem.startswith("the baseline drifts by ") for problem in quality.problems)


def test_a_dropout_is_seen() -> None:
    values = waveform(random_bits(256, 1), 10.0, 2)
    values[1000:1200] = values[1000]
    assert "200 samples in a row have one value: a dropout" in assess_quality(values).problems


@pytest.mark.parametrize("value", [0.0, 7.0, 1e300])
def test_a_constant_waveform_has_no_levels(value: float) -> None:
    quality = assess_quality(np.full(500, value))
    assert "no two levels can be told apart" in quality.problems
    assert quality.sample_snr == 0.0


@pytest.mark.parametrize(
    "values", [np.empty(0), np.zeros(15), np.r_[np.zeros(50), np.nan], np.r_[np.zeros(50), -np.inf]]
)
def test_too_few_or_not_finite_samples_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a waveform needs at least 16 finite samples"):
        assess_quality(values)


def test_huge_values_do_not_overflow() -> None:
    quality = assess_quality(1e300 * waveform(random_bits(64, 1), 10.0, 2))
    assert np.isfinite([quality.noise, quality.sample_snr, quality.drift]).all()

"""Delay of waveforms and edges: against brute force, its error bars, what it withstands, what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from analysis.waveforms.alignment import estimate_skew
from analysis.waveforms.cycles import WaveformError
from analysis.waveforms.delay_estimation import WaveformDelay, estimate_delay
from analysis.waveforms.delay_fit import DelaySetting
from analysis.waveforms.delay_posterior import Search, WidthPrior
from analysis.waveforms.edges import EdgeTrain, Record, cycle_edges, step_response
from analysis.waveforms.noise import NoiseModel, TimingNoise
from tests.analysis.waveforms.signals import random_bits
from tests.naive.skew import delay_posterior

CYCLE_S = 2e-9
DT_S = 2e-11
SIGMA_S = 3e-11
SETTING = DelaySetting(Search(0.2 * CYCLE_S, WidthPrior(1.5e-11, 6e-11, SIGMA_S)))


def looped(bits: np.ndarray, delay_s: float, noise: float, seed: int, *, spike: float = 0.0) -> Record:
    """A loop of ``bits`` with white noise and spikes at the edges."""
    times = DT_S * np.arange(round(bits.size * CYCLE_S / DT_S))
    values = np.full(times.size, bits[-2])
    for cycle in range(-1, bits.size + 2):
        step = bits[cycle % bits.size] - bits[(cycle - 1) % bits.size]
        values = values + step * ndtr((times - cycle * CYCLE_S - delay_s) / SIGMA_S)
    for cycle in np.flatnonzero(bits != np.roll(bits, 1)):
        offset = (times - cycle * CYCLE_S - delay_s + bits.size * CYCLE_S / 2) % (bits.size * CYCLE_S)
        values += spike * np.exp(-0.5 * ((offset - bits.size * CYCLE_S / 2) / SIGMA_S) ** 2)
    return Record(values + np.random.default_rng(seed).normal(0, noise, times.size), 0.0, DT_S)


def estimate(record: Record, bits: np.ndarray, setting: DelaySetting = SETTING) -> WaveformDelay:
    return estimate_delay(record, cycle_edges(bits, CYCLE_S), setting)


@pytest.mark.parametrize("noise", [0.1, 0.6])
def test_agrees_with_brute_force(noise: float) -> None:
    bits = np.asarray([0.0, 1, 1, 0, 1, 0])
    record = looped(bits, 4e-11, noise, 1)
    known = WidthPrior(SIGMA_S * 0.999, SIGMA_S * 1.001, SIGMA_S)
    setting = DelaySetting(Search(0.2 * CYCLE_S, known), noise=NoiseModel(noise, np.empty(0)))
    found = estimate(record, bits, setting)
    mean, sigma = delay_posterior(
        record.times_s.tolist(), record.values.tolist(), bits.tolist(), CYCLE_S, SIGMA_S, noise
    )
    assert found.delay_s == pytest.approx(mean, abs=0.2 * sigma)
    assert found.sigma_s == pytest.approx(sigma, rel=0.1)


def test_error_bars_and_efficiency() -> None:
    """Errors of waveforms and of edges have the stated size, and that of the bound."""
    z, edge_z, errors, bounds = [], [], [], []
    for seed in range(40):
        bits, delay_s = random_bits(16, seed), float(np.random.default_rng(seed).uniform(-5e-11, 5e-11))
        found = estimate(looped(bits, delay_s, 0.15, 100 + seed), bits)
        assert found.delay_s is not None
        assert found.sigma_s is not None
        assert found.bound_s is not None
        z.append((found.delay_s - delay_s) / found.sigma_s)
        errors.append(found.delay_s - delay_s)
        bounds.append(found.bound_s)
        edge_z += [(edge.delay_s - delay_s) / edge.sigma_s for edge in found.edges if edge.delay_s and edge.sigma_s]
    assert len(edge_z) > 250
    assert 0.65 < np.mean(np.square(z)) < 1.45
    assert 0.85 < np.mean(np.square(edge_z)) < 1.15
    assert np.sqrt(np.mean(np.square(bounds))) / np.std(errors) > 0.8


@pytest.mark.parametrize("wrong", [0.7, 1.3])
@pytest.mark.parametrize("spike", [0.0, 0.3])
def test_wrong_rise_times_and_spikes_do_not_shift_it(wrong: float, spike: float) -> None:
    bits = random_bits(24, 3)
    usual = SIGMA_S * wrong
    setting = replace(SETTING, search=Search(0.2 * CYCLE_S, WidthPrior(usual / 2, usual * 2, usual)))
    found = estimate(looped(bits, 3e-11, 0.02, 5, spike=spike), bits, setting)
    assert found.delay_s is not None
    assert found.sigma_s is not None
    assert abs(found.delay_s - 3e-11) < 4 * found.sigma_s
    assert found.sigma_s < 1e-12
    assert found.width_s == pytest.approx(SIGMA_S, rel=0.05)


def test_correlated_noise_is_seen_and_its_error_stated() -> None:
    z = []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        bits = random_bits(16, seed)
        clean = looped(bits, 2e-11, 0.0, 0)
        shocks = generator.normal(0, 0.1, clean.values.size)
        noise = np.zeros(shocks.size)
        for index in range(1, shocks.size):
            noise[index] = 0.8 * noise[index - 1] + shocks[index]
        found = estimate(replace(clean, values=clean.values + noise), bits)
        assert found.noise is not None
        assert found.noise.coefficients.size >= 1
        assert found.delay_s is not None
        assert found.sigma_s is not None
        z.append((found.delay_s - 2e-11) / found.sigma_s)
    assert 0.6 < np.mean(np.square(z)) < 1.5


def test_a_late_edge_is_an_outlier_and_does_not_pull() -> None:
    bits = np.asarray([0, 1] * 8, np.float64)
    record = looped(bits, 0.0, 0.05, 7)
    times = record.times_s
    late = step_response(times - 5 * CYCLE_S - 1.5e-10, SIGMA_S) - step_response(times - 5 * CYCLE_S, SIGMA_S)
    found = estimate(replace(record, values=record.values + late), bits)
    odd = [edge for edge in found.edges if (edge.outlier_probability or 0) > 0.5]
    assert [round(edge.time_s / CYCLE_S) for edge in odd] == [5]
    assert odd[0].delay_s == pytest.approx(1.5e-10, abs=1e-11)
    assert found.delay_s is not None
    assert found.sigma_s is not None
    assert abs(found.delay_s) < 4 * found.sigma_s


def test_trigger_and_jitter_widen_the_error() -> None:
    bits = random_bits(16, 2)
    record = looped(bits, 0.0, 0.05, 3)
    plain = estimate(record, bits)
    noisy = estimate(record, bits, replace(SETTING, timing=TimingNoise(3e-11, 1e-11, 4)))
    assert plain.sigma_s is not None
    assert noisy.sigma_s is not None
    edges = (bits != np.roll(bits, 1)).sum()
    expected = np.sqrt(plain.sigma_s**2 + (3e-11) ** 2 / 4 / edges + (1e-11) ** 2)
    assert noisy.sigma_s == pytest.approx(expected, rel=0.05)


def test_one_edge_alone_is_timed_whatever_its_sign() -> None:
    times = DT_S * np.arange(100)
    values = 7.0 - 3.0 * ndtr((times - 1.04e-9) / SIGMA_S) + np.random.default_rng(1).normal(0, 0.1, 100)
    train = EdgeTrain(np.asarray([1e-9]), np.asarray([1.0]), 0.0)
    found = estimate_delay(Record(values, 0.0, DT_S), train, SETTING)
    assert found.amplitude == pytest.approx(-3.0, abs=0.1)
    assert found.delay_s == pytest.approx(4e-11, abs=4e-12)


def test_noise_alone_is_refused() -> None:
    stated = 0
    for seed in range(40):
        bits = random_bits(32, seed)
        values = np.random.default_rng(1000 + seed).normal(size=32 * 32)
        stated += estimate_skew(values, 0.0, 1e-8 / 32, 1e-8, bits).skew_s is not None
    assert stated <= 2


@pytest.mark.parametrize("later", [0.21, 0.24, 0.3])
def test_a_delay_that_may_be_beyond_the_search_is_refused(later: float) -> None:
    """At most 0.2 of a cycle are searched: what comes later is not stated as the end of that, with a small error."""
    bits = random_bits(64, 4)
    found = estimate(looped(bits, later * CYCLE_S, 0.3, 4), bits)
    assert (found.delay_s, found.sigma_s) == (None, None)
    assert found.refused
    within = estimate(looped(bits, 0.17 * CYCLE_S, 0.3, 4), bits)
    assert within.delay_s == pytest.approx(0.17 * CYCLE_S, abs=4 * (within.sigma_s or 0.0))


def test_neighbours_in_the_spot_do_not_shift_it() -> None:
    z = []
    for seed in range(20):
        bits, other = random_bits(48, seed), random_bits(48, 500 + seed)
        values = looped(bits, 0.0, 0.1, seed).values + 0.8 * looped(other, 1.5e-10, 0.0, 0).values
        found = estimate_skew(values, 0.0, DT_S, CYCLE_S, bits, [(other, 0.8)]).detail
        assert found.delay_s is not None
        assert found.sigma_s is not None
        z.append(found.delay_s / found.sigma_s)
    assert 0.4 < np.mean(np.square(z)) < 2.0


def test_the_size_of_the_values_does_not_matter() -> None:
    bits = random_bits(16, 2)
    record = looped(bits, 2e-11, 0.05, 3)
    plain = estimate(record, bits)
    for factor in (1e-200, -1e-5, 1e200):
        scaled = estimate(replace(record, values=record.values * factor), bits)
        assert scaled.delay_s == pytest.approx(plain.delay_s, rel=1e-6)
        assert scaled.sigma_s == pytest.approx(plain.sigma_s, rel=1e-6)
        assert scaled.amplitude == pytest.approx(plain.amplitude * factor, rel=1e-6)


def test_without_noise_the_delay_is_exact() -> None:
    bits = random_bits(16, 2)
    found = estimate(looped(bits, 2e-11, 0.0, 0), bits)
    assert found.delay_s == pytest.approx(2e-11, abs=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_raise(bad: float) -> None:
    values = np.zeros(100)
    values[3] = bad
    with pytest.raises(WaveformError, match="not finite"):
        estimate(Record(values, 0.0, DT_S), random_bits(8, 1))


@pytest.mark.parametrize("values", [np.empty(0), np.ones(3)])
def test_too_few_samples_raise(values: np.ndarray) -> None:
    with pytest.raises(WaveformError, match="8 samples or more"):
        estimate(Record(values, 0.0, DT_S), random_bits(8, 1))


@pytest.mark.parametrize("dt_s", [0.0, -1e-12, np.nan])
def test_a_time_axis_that_is_none_raises(dt_s: float) -> None:
    with pytest.raises(WaveformError, match="no time axis"):
        estimate(Record(np.random.default_rng(1).normal(size=100), 0.0, dt_s), random_bits(8, 1))


def test_constant_waveforms_and_nets_without_edges_are_refused() -> None:
    constant = estimate(Record(np.full(800, 1e9), 0.0, DT_S), random_bits(8, 1))
    assert (constant.delay_s, constant.sigma_s) == (None, None)
    assert "constant" in constant.refused
    still = estimate(looped(random_bits(8, 1), 0.0, 0.1, 1), np.ones(8))
    assert still.delay_s is None
    assert "no edge" in still.refused

"""Weights of the nets under a spot: against brute force, against the truth, and what they are not sure of."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from analysis.waveforms import unmixing
from analysis.waveforms.comparison import Observation, observe
from analysis.waveforms.cycles import CycleLevels
from analysis.waveforms.detector_response import respond
from analysis.waveforms.residual_tests import examine_residual, variance_within
from analysis.waveforms.unmixing import (
    RATIOS,
    SpotModel,
    parts_of,
    remove_baseline,
    spot_evidence,
    unmix,
    usual_size_gain,
)

CYCLES = 128


def observation_of(levels: np.ndarray) -> Observation:
    return observe(CycleLevels(levels, np.ones(levels.size, np.bool_), (0.3, 0.75)))


def spot(seed: int, nets: int = 4, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels, bits and weights of a made spot."""
    numbers = np.random.default_rng(seed)
    bits = numbers.integers(0, 2, (nets, CYCLES)).astype(np.float64)
    weights = numbers.normal(0, 1, nets) * np.linspace(1.0, 0.3, nets)
    return bits.T @ weights + numbers.normal(0, noise, CYCLES), bits, weights


def test_the_evidence_is_that_of_the_whole_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Student t of the levels with covariance I + ratio^2 X G^2 X', the baseline projected out, by plain algebra."""
    monkeypatch.setattr(unmixing, "USUAL_PART", 0.0)
    levels, bits, _ = spot(1)
    seen = observation_of(levels)
    intensities = np.array([1.0, 0.7, 0.4, 0.0])
    columns = remove_baseline(seen, bits).T * intensities
    terms = []
    for ratio in RATIOS:
        covariance = np.eye(CYCLES) + ratio**2 * columns @ columns.T
        inside = seen.residual @ np.linalg.solve(covariance, seen.residual) / (seen.residual @ seen.residual)
        terms.append(-0.5 * np.linalg.slogdet(covariance)[1] - seen.freedom / 2 * math.log(inside))
    expected = np.logaddexp.reduce(terms) - math.log(len(terms))
    assert spot_evidence(seen, bits[None], intensities[None])[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("mean", "variance"), [(0.3, 0.2), (1.1, 0.05), (-2.0, 0.4), (0.0, 0.9)])
def test_usual_sizes_are_weighed_as_by_integration(mean: float, variance: float) -> None:
    def integrand(size: float) -> float:
        near = norm.pdf(size, unmixing.USUAL_SIZE, unmixing.USUAL_SPREAD)
        far = norm.pdf(size, -unmixing.USUAL_SIZE, unmixing.USUAL_SPREAD)
        return float(norm.pdf(size, mean, math.sqrt(variance)) * (near + far) / 2 / norm.pdf(size))

    expected = quad(integrand, -9, 9, points=[-1, mean, 1])[0]
    assert usual_size_gain(np.asarray(mean), np.asarray(variance)) == pytest.approx(math.log(expected), abs=1e-7)


def test_weights_come_back_within_their_intervals() -> None:
    inside, scores = [], []
    for seed in range(40):
        levels, bits, weights = spot(seed)
        model = SpotModel(bits[None], np.zeros(1), np.linspace(1.0, 0.3, 4)[None], np.zeros(1))
        parts = parts_of(unmix(observation_of(levels), model).draws)
        truth = weights / np.abs(weights).sum()
        inside += [part.low <= value <= part.high for part, value in zip(parts, truth, strict=True)]
        scores += [(part.weight - value) / part.sigma for part, value in zip(parts, truth, strict=True)]
    assert 0.9 < np.mean(inside) < 0.99
    assert 0.8 < np.std(scores) < 1.2


def test_the_place_and_the_hypothesis_are_found_where_the_waveform_tells_them() -> None:
    levels, bits, _ = spot(3, noise=0.1)
    wrong = bits.copy()
    wrong[0] = np.roll(wrong[0], 5)
    places = np.array([[1.0, 0.8, 0.5, 0.3], [0.01, 0.01, 0.01, 1.0]])
    model = SpotModel(np.stack([wrong, bits]), np.log([0.9, 0.1]), places, np.log([0.5, 0.5]))
    found = unmix(observation_of(levels), model)
    assert found.joint[0, 1] > 0.99
    assert found.joint.sum() == pytest.approx(1.0)


def test_a_net_that_never_changes_shows_nothing() -> None:
    levels, bits, _ = spot(4)
    bits[2] = 1.0
    model = SpotModel(bits[None], np.zeros(1), np.ones((1, 4)), np.zeros(1))
    part = parts_of(unmix(observation_of(levels), model).contributions(np.ptp(bits, axis=1)[None] > 0))[2]
    assert (part.weight, part.sigma) == (0.0, 0.0)


def test_noise_alone_names_no_net() -> None:
    numbers = np.random.default_rng(5)
    _, bits, _ = spot(5)
    model = SpotModel(bits[None], np.zeros(1), np.ones((1, 4)), np.zeros(1))
    found = unmix(observation_of(numbers.normal(size=CYCLES)), model)
    assert found.log_evidence < 1.0
    assert all(part.low < 0.0 < part.high for part in parts_of(found.draws))


@pytest.mark.parametrize(("tail", "window"), [(0.0, (0.3, 0.75)), (0.2, (0.3, 0.75)), (0.6, (0.5, 1.1))])
def test_a_slow_detector_is_a_recursion_in_time(tail: float, window: tuple[float, float]) -> None:
    steps, late = 200, max(0.0, window[1] - 1.0)
    bits = np.random.default_rng(6).integers(0, 2, 24).astype(np.float64)
    state, shown = 0.0, []
    for value in np.repeat(np.tile(bits, 2), steps):
        state = value + (state - value) * (math.exp(-1 / (tail * steps)) if tail else 0.0)
        shown.append(state)
    cycles = np.asarray(shown).reshape(-1, steps)[bits.size :]
    first, last = (round((edge - late) * steps) for edge in window)
    assert respond(bits, tail, window) == pytest.approx(cycles[:, first:last].mean(axis=1), abs=5e-3)


def test_what_is_left_out_is_found_in_the_residual() -> None:
    alarms, found = [], []
    for seed in range(40):
        levels, bits, weights = spot(seed, nets=30, noise=1.0)
        levels = levels - bits[4:].T @ weights[4:] + bits[20]
        seen = observation_of(levels)
        clean = examine_residual(seen, bits[[0, 1, 2, 3, 20]], bits[4:20], 1.0)
        missing = examine_residual(seen, bits[:4], bits[4:], 1.0)
        assert clean.p_stranger is not None
        assert clean.p_excess is not None
        alarms.append((clean.p_stranger < 0.05) + (clean.p_excess < 0.05))
        found.append(missing.stranger == 16 and (missing.p_stranger or 0.0) < 0.01)
    assert np.mean(alarms) < 0.25
    assert np.mean(found) > 0.8


def test_noise_within_the_cycles_is_measured_without_the_levels() -> None:
    numbers = np.random.default_rng(7)
    values = np.repeat(numbers.integers(0, 2, 400).astype(np.float64), 20) + numbers.normal(0, 0.5, 8000)
    found = variance_within(values, (0.0, 0.05), 1.0, 400, (0.2, 0.9))
    assert found == pytest.approx(0.25 / 14, rel=0.2)
    assert variance_within(values[::10], (0.0, 0.5), 1.0, 400, (0.2, 0.9)) is None

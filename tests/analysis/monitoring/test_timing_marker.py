"""Timing markers: the fast search against the slow one, the standard errors by experiment, and what is no marker."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.monitoring.timing_marker import NoMarker, Swing, find_first_edge, measure_swing
from tests.naive.timing_marker import first_edge

LEVELS = st.lists(st.floats(-0.2, 1.2, allow_nan=False), min_size=2, max_size=40)


@given(LEVELS)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_the_edge_is_where_the_slow_search_finds_it(values: list[float]) -> None:
    slow = first_edge(values, 0.0, 1.0)
    array = np.asarray(values)
    if slow is None:
        with pytest.raises(NoMarker, match="stays at one level"):
            find_first_edge(array, 0.0, 1.0, Swing(0.0, 1.0, 0.0), 0.01)
        return
    found = find_first_edge(array, 3.0, 2.0, Swing(0.0, 1.0, 0.0), 0.01)
    assert found.time_s == pytest.approx(3.0 + 2.0 * slow)


def make_step(generator: np.random.Generator, noise: float) -> np.ndarray:
    """A ramp over four samples, whose middle is at 50.3 samples, between 2 and 5."""
    times = np.arange(100.0)
    return 2.0 + 3.0 * np.clip((times - 48.3) / 4.0, 0.0, 1.0) + generator.normal(0.0, noise, times.size)


def test_the_standard_errors_are_those_of_the_experiment() -> None:
    generator = np.random.default_rng(3)
    times, amplitudes, stated = [], [], []
    for _ in range(2000):
        values = make_step(generator, 0.05)
        swing = measure_swing(values, (2.0, 5.0), 0.05)
        edge = find_first_edge(values, 0.0, 1.0, swing, 0.05)
        times.append(edge.time_s)
        amplitudes.append(swing.amplitude)
        stated.append((edge.sigma_s, swing.sigma))
    assert np.mean(times) == pytest.approx(50.3, abs=0.01)
    assert np.mean(amplitudes) == pytest.approx(3.0, abs=0.01)
    sigma_s, sigma = np.mean(stated, axis=0)
    assert np.std(times) == pytest.approx(sigma_s, rel=0.1)
    assert np.std(amplitudes) == pytest.approx(sigma, rel=0.1)


def test_falling_edges_count_and_noise_around_the_middle_does_not() -> None:
    values = np.asarray([1.0, 1.0, 0.45, 0.55, 0.45, 0.6, 1.0, 0.4, 0.6, 0.0, 0.0])
    found = find_first_edge(values, 0.0, 1.0, Swing(0.0, 1.0, 0.0), 0.0)
    assert not found.rising
    assert found.time_s == pytest.approx(8.0 + 0.1 / 0.6)
    assert found.sigma_s == 0.0


@pytest.mark.parametrize(
    ("values", "levels", "noise", "reason"),
    [
        (np.ones(20), (1.0, 1.0), 0.0, "the swing is 0 times"),
        (np.random.default_rng(1).normal(0, 1, 50), (-1.0, 1.0), 1.0, "the swing is 2 times the noise"),
        (np.ones(20), (0.9, 3.0), 0.1, "stays at one level"),
    ],
    ids=["constant", "noise", "one-level"],
)
def test_what_is_no_swing(values: np.ndarray, levels: tuple[float, float], noise: float, reason: str) -> None:
    with pytest.raises(NoMarker, match=reason):
        measure_swing(values, levels, noise)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    values = np.asarray([0.0, 1.0, bad])
    with pytest.raises(ValueError, match="finite"):
        measure_swing(values, (0.0, 1.0), 0.0)
    with pytest.raises(ValueError, match="finite"):
        find_first_edge(values, 0.0, 1.0, Swing(0.0, 1.0, 0.0), 0.0)
    with pytest.raises(ValueError, match="positive"):
        find_first_edge(values[:2], 0.0, 0.0, Swing(0.0, 1.0, 0.0), 0.0)


def test_huge_waveforms_are_fine() -> None:
    values = np.repeat(np.asarray([0.0, 1.0]), 2_000_000)
    swing = measure_swing(values, (0.0, 1.0), 0.0)
    assert (swing.low, swing.high) == (0.0, 1.0)
    assert find_first_edge(values, 0.0, 1.0, swing, 0.0).time_s == 1_999_999.5

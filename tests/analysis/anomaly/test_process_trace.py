"""Strange stretches of a long trace."""

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.anomaly.process_trace import TraceError, block_maxima, learn_trace, window_features
from analysis.anomaly.thresholds import conformal_threshold


def trace(count: int, seed: int) -> NDArray[np.float64]:
    """SIMULATED: a daily cycle and correlated noise."""
    numbers = np.random.default_rng(seed)
    noise = np.convolve(numbers.normal(0, 1, count + 9), np.full(10, 0.1), "valid")
    return 80 + 3 * np.sin(2 * np.pi * np.arange(count) / 72) + noise


@pytest.mark.parametrize("kind", ["step", "stuck", "noise"])
def test_a_fault_is_stranger_than_what_is_around_it(kind: str) -> None:
    values = trace(3000, 1)
    part = slice(1500, 1620)
    numbers = np.random.default_rng(2)
    values[part] = {
        "step": values[part] + 6,
        "stuck": np.full(120, values[1500]),
        "noise": values[part] + numbers.normal(0, 3, 120),
    }[kind]
    scores = learn_trace(trace(3000, 0), 24).score(values)
    assert scores.shape == values.shape
    assert 1500 <= scores.argmax() < 1620
    assert np.median(scores[part]) > np.quantile(np.r_[scores[:1470], scores[1650:]], 0.99)


def test_an_offset_and_a_gain_of_the_unit_change_nothing() -> None:
    learn, ask = trace(1000, 3), trace(500, 4)
    kelvin = learn_trace(1.8 * learn + 32, 12).score(1.8 * ask + 32)
    np.testing.assert_allclose(kelvin, learn_trace(learn, 12).score(ask), atol=1e-5)


def test_features_are_what_they_say() -> None:
    values = np.asarray([0.0, 1.0, 2.0, 3.0, 9.0])
    features = window_features(values, 4)
    np.testing.assert_allclose(features[0], [1.5, np.std([0, 1, 2, 3]), 1.5, 0, 3, 1])
    np.testing.assert_allclose(features[1], [3.75, np.std([1, 2, 3, 9]), *features[1, 2:3], 1, 9, 8 / 3])
    assert features.shape == (2, 6)


def test_a_threshold_on_blocks_keeps_its_false_alarms() -> None:
    model = learn_trace(trace(2000, 5), 24)
    calibration = block_maxima(model.score(trace(24000, 6)), 240)
    fresh = block_maxima(model.score(trace(48000, 7)), 240)
    threshold = conformal_threshold(calibration, 0.1)
    low, high = threshold.rate_interval
    assert low - 0.04 <= np.mean(fresh > threshold.value) <= high + 0.04


def test_constant_traces_are_usual_and_anything_else_is_not() -> None:
    model = learn_trace(np.full(400, 7.0), 8)
    values = np.full(100, 7.0)
    assert np.ptp(model.score(values)) == 0
    values[50:60] = 8.0
    assert model.score(values).argmax() in range(42, 68)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_with_its_place(value: float) -> None:
    values = trace(500, 8)
    values[77] = value
    with pytest.raises(TraceError, match="sample 77 of the trace is not finite"):
        learn_trace(values, 12)


def test_too_short_traces_are_refused() -> None:
    with pytest.raises(TraceError, match="a trace of 144 samples is needed"):
        learn_trace(trace(143, 9), 12)
    with pytest.raises(TraceError, match="4 are needed"):
        learn_trace(trace(500, 9), 3)
    with pytest.raises(TraceError, match="a trace of 36 samples is needed"):
        learn_trace(trace(500, 9), 12).score(np.ones(35))

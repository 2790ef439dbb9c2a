"""Levels of cycles: against a loop over the samples, the settled window under delays, and broken waveforms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.waveforms.cycles import WaveformError, read_cycle_levels
from tests.analysis.waveforms.signals import CYCLE_S, DT_S, random_bits, waveform
from tests.naive.waveforms import mean_in_window


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cycles=st.integers(9, 40),
    per_cycle=st.sampled_from([3.1, 7.3, 32.0]),
    start=st.floats(-1.0, 0.1),
)
def test_equals_a_loop_over_the_samples(seed: int, cycles: int, per_cycle: float, start: float) -> None:
    dt_s = CYCLE_S / per_cycle
    t0_s = (start + 0.00123457) * CYCLE_S
    values = np.random.default_rng(seed).normal(size=int((cycles - start + 0.3) * per_cycle) + 2)
    levels = read_cycle_levels(values, t0_s, dt_s, CYCLE_S, cycles)
    expected = mean_in_window(values.tolist(), t0_s, dt_s, CYCLE_S, cycles, levels.window)
    assert levels.covered.sum() >= 0.9 * cycles
    for place in np.flatnonzero(levels.covered):
        assert expected[place] is not None
        assert levels.levels[place] == pytest.approx(expected[place], abs=1e-9)


@pytest.mark.parametrize("delay", [-0.2, -0.1, 0.0, 0.1, 0.2])
def test_a_clean_waveform_gives_its_bits_whatever_the_delay(delay: float) -> None:
    bits = random_bits(64, 1)
    levels = read_cycle_levels(waveform(bits, 1e4, 2, delay_s=delay * CYCLE_S), 0.0, DT_S, CYCLE_S, 64)
    inner = slice(1, -1)
    assert levels.levels[inner] == pytest.approx(bits[inner], abs=0.02)


def test_more_of_the_cycle_is_used_where_it_is_settled() -> None:
    """At a signal-to-noise ratio of 2 the levels keep most of what the whole cycle would give."""
    spreads = []
    for seed in range(40):
        bits = random_bits(256, seed)
        levels = read_cycle_levels(waveform(bits, 2.0, 100 + seed), 0.0, DT_S, CYCLE_S, 256).levels
        spreads.append(float(np.std(levels - bits - np.mean(levels - bits))))
    assert 0.5 / np.mean(spreads) > 0.85


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_an_offset_far_larger_than_the_signal_does_no_harm(offset: float) -> None:
    bits = random_bits(64, 3)
    levels = read_cycle_levels(offset + waveform(bits, 50.0, 4), 0.0, DT_S, CYCLE_S, 64).levels
    assert np.corrcoef(levels, bits)[0, 1] > 0.999


@pytest.mark.parametrize(
    ("values", "dt_s", "cycle_s", "cycles", "message"),
    [
        (np.empty(0), 1e-9, 1e-8, 8, "the waveform has no samples"),
        (np.r_[np.zeros(99), np.nan], 1e-9, 1e-8, 8, "the waveform has samples that are not finite"),
        (np.r_[np.zeros(99), np.inf], 1e-9, 1e-8, 8, "the waveform has samples that are not finite"),
        (np.r_[np.zeros(99), 1e200], 1e-9, 1e-8, 8, "are too large or too alike"),
        (np.r_[np.zeros(99), 1e-200], 1e-9, 1e-8, 8, "are too large or too alike"),
        (np.zeros(100), float("nan"), 1e-8, 8, "cannot be compared"),
        (np.zeros(100), 0.0, 1e-8, 8, "cannot be compared"),
        (np.zeros(100), -1e-9, 1e-8, 8, "cannot be compared"),
        (np.zeros(100), 1e-9, 0.0, 8, "cannot be compared"),
        (np.zeros(100), 1e-9, float("inf"), 8, "cannot be compared"),
        (np.zeros(100), 1e-9, 1e-8, 0, "cannot be compared"),
        (np.zeros(100), 5e-9, 1e-8, 8, "2 samples in a cycle are too few; 3 are needed"),
        (np.zeros(100), 1e-9, 1e-8, 12, "the waveform covers 10 of the 12 cycles of the pattern loop"),
    ],
)
def test_broken_waveforms_are_refused(
    values: np.ndarray, dt_s: float, cycle_s: float, cycles: int, message: str
) -> None:
    with pytest.raises(WaveformError, match=message):
        read_cycle_levels(values, 0.0, dt_s, cycle_s, cycles)

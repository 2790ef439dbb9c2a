"""What is read between the settled parts of the cycles, and when it is not."""

import numpy as np
import pytest

from analysis.localization.edge_timing import between, halfway, in_time, observe_edges
from analysis.waveforms.comparison import observe
from analysis.waveforms.cycles import CycleLevels
from analysis.waveforms.edges import Record
from tests.analysis.waveforms.signals import random_bits

CYCLES, SAMPLES = 40, 20


def recorded(window: tuple[float, float], *, early: float | None = None) -> tuple[Record, CycleLevels]:
    """A net whose edges come at 0.2 of the cycle, or whose level before 0.3 of every cycle is ``early``."""
    bits = random_bits(CYCLES, 1)
    place = (np.arange(CYCLES * SAMPLES) + 0.5) / SAMPLES
    cycle = place.astype(int)
    values = np.where(place - cycle < 0.2, bits[cycle - 1], bits[cycle])
    if early is not None:
        values = np.where(place - cycle < 0.3, early, values)
    return Record(values, 0.5 / SAMPLES, 1 / SAMPLES), CycleLevels(bits, np.ones(CYCLES, np.bool_), window)


def test_the_level_between_is_that_of_the_net_before_and_after_its_edge() -> None:
    record, levels = recorded((0.3, 1.0))
    found = observe_edges(record, 1.0, levels)
    assert found is not None
    bits = levels.levels
    expected = found.lay_out(bits, (2 * np.roll(bits, 1) + bits) / 3)[found.covered]
    expected = expected - found.basis @ (found.basis.T @ expected)
    assert found.residual == pytest.approx(expected, abs=1e-9)


def test_what_tells_nothing_is_not_read() -> None:
    assert between((0.3, 0.95)) == pytest.approx((-0.05, 0.3))
    record, levels = recorded((0.1, 0.95))
    assert observe_edges(record, 1.0, levels) is None
    record, levels = recorded((0.3, 1.0), early=0.5)
    assert observe_edges(record, 1.0, levels) is None


def test_without_a_timing_values_stay_as_they_are() -> None:
    _, levels = recorded((0.3, 1.0))
    one = observe(levels)
    bits = levels.levels[None]
    assert in_time(one, bits, bits, None) is bits
    assert halfway(one, bits) is bits

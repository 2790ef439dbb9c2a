"""Simulated samples against the loop convolved with its edge, summed step by step."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from services.api.simulated_samples import NoSimulation, SimulatedTrace, Simulation, fit_levels

CYCLE_S = 1e-8
VALUES = np.asarray([0.0, 1.0, 1.0, -2.0, 0.5])


def convolved(trace: SimulatedTrace, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of all steps within 60 cycles, each smoothed by the normal distribution."""
    found = []
    for time in times - trace.shift_s:
        middle = math.floor(time / trace.cycle_s)
        total = trace.values[(middle - 61) % trace.values.size]
        for cycle in range(middle - 60, middle + 61):
            change = trace.values[cycle % trace.values.size] - trace.values[(cycle - 1) % trace.values.size]
            total += change * 0.5 * math.erfc((cycle * trace.cycle_s - time) / trace.edge_s / math.sqrt(2))
        found.append(total)
    return np.asarray(found)


@pytest.mark.parametrize("edge", [0.02, 0.25, 1.0])
def test_samples_are_those_of_the_smoothed_loop_at_any_window_and_shift(edge: float) -> None:
    for shift_s, start, step, first in (
        (0.0, 0.0, 2.5e-10, 0),
        (1.3e-7, -3.3e-9, 7.1e-10, 11),
        (-4.04e-8, 5e-9, 1.7e-9, 1003),
        (3e-10, 0.0, 3.1e-8, 7),
    ):
        trace = SimulatedTrace(VALUES, CYCLE_S, edge * CYCLE_S, shift_s)
        expected = convolved(trace, start + step * np.arange(first, first + 60))
        np.testing.assert_allclose(trace.at(first, 60, (start, step)), expected, atol=3e-6)
        # A block that begins elsewhere says the same of the same samples.
        np.testing.assert_allclose(trace.at(first + 23, 5, (start, step)), expected[23:28], atol=3e-6)


def test_an_edge_of_no_width_is_a_step_at_the_beginning_of_its_cycle() -> None:
    found = SimulatedTrace(VALUES, 8.0, 0.0, 0.0).at(0, 48, (0.0, 1.0))
    np.testing.assert_array_equal(found, np.repeat([*VALUES, VALUES[0]], 8))


def test_edges_wider_than_a_cycle_are_refused() -> None:
    document = {"cycle_s": CYCLE_S, "cycles": 8, "edge_sigma_s": 1.1e-8, "nets": [], "waveforms": [], "suspects": []}
    with pytest.raises(NoSimulation, match="blur cycles"):
        Simulation(document)


def test_a_combination_that_never_changes_leaves_the_levels_own_spread_and_two_cycles_leave_nothing_to_tell() -> None:
    levels = np.asarray([1.0, 2.0, 4.0, np.nan])
    flat = fit_levels(levels, np.ones(4))
    assert (flat.swing, flat.swing_sigma, flat.residual) == (0.0, None, pytest.approx(np.std(levels[:3], ddof=1)))
    two = fit_levels(levels[:2], np.asarray([0.0, 1.0]))
    assert (two.swing, two.swing_sigma, two.residual) == (1.0, None, None)

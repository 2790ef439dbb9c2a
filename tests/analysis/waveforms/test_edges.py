"""Edges: superposition of steps against the slow twin, pairs of samples and edges, the detector's pole."""

import numpy as np
import pytest

from analysis.waveforms.edges import EdgeTrain, Record, cycle_edges, pair_samples, step_response
from tests.analysis.waveforms.signals import random_bits
from tests.naive.skew import trace


def test_edges_add_up_to_the_trace() -> None:
    bits = random_bits(12, 3)
    times = np.arange(-2e-9, 40e-9, 1.3e-10)
    train = cycle_edges(bits, 2e-9).covering(-10e-9, 50e-9)
    values = np.full(times.size, train.start)
    for time, step in zip(train.times_s, train.steps, strict=True):
        values += step * step_response(times - time - 1e-10, 5e-11)
    slow = [trace(time, bits.tolist(), 2e-9, 1e-10, 5e-11) for time in times]
    assert values == pytest.approx(np.asarray(slow), abs=1e-9)


def test_levels_between_edges_are_the_bits() -> None:
    bits = random_bits(12, 5)
    train = cycle_edges(bits, 1.0).covering(-1.0, 30.0)
    assert train.level_at(np.arange(24) + 0.5).tolist() == [*bits.tolist(), *bits.tolist()]
    assert train.after_steps().steps.min(initial=1.0) > 0


def test_a_net_that_never_changes_has_no_edges() -> None:
    train = cycle_edges(np.ones(5), 1.0)
    assert train.times_s.size == 0
    assert train.covering(0.0, 9.0).level_at(np.asarray([3.0])) == 1.0
    assert cycle_edges(np.empty(0), 1.0).times_s.size == 0


def test_pairs_are_all_that_are_near() -> None:
    record = Record(np.zeros(100), -3.0, 0.25)
    edges = np.asarray([-4.0, 0.1, 0.6, 30.0])
    pairs = pair_samples(record, edges, 1.0)
    found = set(zip(pairs.sample.tolist(), pairs.edge.tolist(), strict=True))
    slow = {(i, e) for i, t in enumerate(record.times_s) for e, x in enumerate(edges) if -1.0 <= t - x < 1.0}
    assert found == slow
    assert pairs.offset_s == pytest.approx(record.times_s[pairs.sample] - edges[pairs.edge])


def test_a_pole_delays_and_stays_finite() -> None:
    offsets = np.linspace(-100.0, 100.0, 20001)
    step = step_response(offsets, 1.0, 3.0)
    assert np.isfinite(step).all()
    assert (np.diff(step) >= -1e-12).all()
    assert (offsets[1:] * np.diff(step)).sum() == pytest.approx(3.0, abs=0.02)
    assert step_response(offsets, 1.0, 1e-4) == pytest.approx(step_response(offsets, 1.0), abs=1e-3)


def test_a_trace_that_does_not_repeat_ends() -> None:
    train = EdgeTrain(np.asarray([1.0, 2.0]), np.asarray([1.0, -1.0]), 0.0)
    assert train.covering(1.5, 9.0).start == 1.0
    assert train.covering(3.0, 9.0).times_s.size == 0

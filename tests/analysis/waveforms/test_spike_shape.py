"""The spike that edges have in common: found, left alone where there is none, and worth something to single edges."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.waveforms import delay_estimation
from analysis.waveforms.spike_shape import SpikeShape, learn_spike
from benchmarks.skew import estimate
from benchmarks.skew_trials.bounds import edge_bound_ps
from benchmarks.skew_trials.waveforms import Case, make

PLAIN = Case("", 10.0)


def test_hermite_functions_are_orthonormal_and_move() -> None:
    offsets = np.linspace(-12, 12, 2401)
    shapes = [SpikeShape(0.5, 1.0, np.eye(6)[term]).at(offsets) for term in range(6)]
    products = np.asarray([[float(a @ b) for b in shapes] for a in shapes]) * (offsets[1] - offsets[0])
    assert products == pytest.approx(np.eye(6), abs=1e-9)


def errors_of(case: Case, monkeypatch: pytest.MonkeyPatch, *, used: bool) -> np.ndarray:
    with monkeypatch.context() as patch:
        if not used:
            patch.setattr(delay_estimation, "learn_spike", lambda _fit, _terms: None)
        found = []
        for number in range(5):
            made = make(case, np.random.default_rng((3, number)))
            own = made.nets[0]
            by_cycle = {round(edge.time_s * 1e12 / case.cycle_ps): edge for edge in estimate(case, made).edges}
            found += [by_cycle[int(c)].delay_s * 1e12 - d for c, d in zip(own.edges, own.delays_ps, strict=True)]
    return np.asarray(found)


def test_strong_spikes_time_single_edges_better(monkeypatch: pytest.MonkeyPatch) -> None:
    case = replace(PLAIN, spikes=(0.4, 0.4))
    without, using = (errors_of(case, monkeypatch, used=used) for used in (False, True))
    assert np.std(using) < 0.95 * np.std(without)
    assert np.std(using) < 1.2 * edge_bound_ps(case)


def test_where_there_is_no_spike_none_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    without, using = (errors_of(PLAIN, monkeypatch, used=used) for used in (False, True))
    assert using == pytest.approx(without, abs=1e-9)


def test_correlated_noise_is_no_spike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 40 waveforms these were taken for such with spikes while knots counted as independent."""
    found = []
    monkeypatch.setattr(delay_estimation, "learn_spike", lambda *given: found.append(learn_spike(*given)))
    for number in (10, 13, 20, 29):
        case = replace(PLAIN, correlation=0.8)
        estimate(case, make(case, np.random.default_rng((77, number))))
    assert found == [None] * 4
    spiked = replace(PLAIN, correlation=0.8, spikes=(0.3, 0.3))
    estimate(spiked, make(spiked, np.random.default_rng((77, 10))))
    assert found[-1] is not None

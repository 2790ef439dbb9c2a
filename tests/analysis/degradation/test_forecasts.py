"""Forecasts: order of time, calibration, selection; the exact process and the flow against independent computations."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from analysis.degradation.forecasting import (
    Method,
    cut_time,
    judge,
    split_later,
    split_units,
    stretch_of,
    try_methods,
)
from analysis.degradation.gaussian_process import fit_gaussian_process
from analysis.degradation.latent_ode import (
    arrange_readings,
    fit_latent_ode,
    follow,
    infer_effects,
    start_weights,
)
from analysis.degradation.random_walk import fit_random_walk
from analysis.degradation.readout_paths import Floats, ReadoutPaths, Targets
from analysis.degradation.spline_network import fit_spline_network, spline_basis
from tests.analysis.degradation.drifts import simulate

CPU = torch.device("cpu")
NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def test_nothing_later_is_given_than_what_is_forecast() -> None:
    paths = simulate()
    cut = cut_time(paths)
    later = split_later(paths, cut)
    assert later.fitted.time_h.max() <= cut < later.targets.time_h.min()
    assert later.fitted.rows + len(later.truth) == paths.rows
    new = split_units(paths, cut)
    assert set(new.history.names).isdisjoint(new.fitted.names)
    assert new.history.time_h.max() <= cut < new.targets.time_h.min()
    place = {(n, t): v for n, t, v in zip(np.take(paths.names, paths.unit), paths.time_h, paths.value, strict=True)}
    for unit, time, value in zip(new.targets.unit, new.targets.time_h, new.truth, strict=True):
        assert place[new.history.names[unit], time] == value


def test_every_unit_counts_the_same_in_the_calibration() -> None:
    ratio = np.concatenate([np.full(90, 0.6), np.arange(1.0, 10.0)])
    unit = np.concatenate([np.zeros(90, np.int64), np.arange(1, 10)])
    # Eleven elevenths with the unknown unit: nine tenths are reached at the ninth single readout.
    assert stretch_of(ratio, unit, 0.9) == 9.0
    assert stretch_of(ratio, unit, 0.5) == 5.0
    assert stretch_of(np.asarray([3.0, 4.0]), np.asarray([0, 1]), 0.9) == 4.0


@dataclass(frozen=True)
class Fixed:
    """Forecasts the truth of :func:`simulate` without noise, off by ``off``."""

    name: str
    off: float
    noise: float = 0.01

    def draw(self, history: ReadoutPaths, targets: Targets, count: int, seed: int = 0) -> Floats:
        slope = [np.polyfit(history.time_h[history.unit == u], history.value[history.unit == u], 1) for u in range(9)]
        value = np.asarray([np.polyval(slope[u], t) for u, t in zip(targets.unit, targets.time_h, strict=True)])
        return np.broadcast_to(value + self.off, (count, len(value))) + 0.0


def method(name: str, off: float) -> Method:
    return lambda _paths: Fixed(name, off)


def test_a_challenger_is_selected_only_where_it_beats_the_baselines() -> None:
    paths = simulate(noise=0.001)
    close = try_methods(paths, {"plain": method("plain", 0.1), "new": method("new", 0.098)}, ("new",))
    assert close.selected == "plain"
    clear = try_methods(paths, {"plain": method("plain", 0.1), "new": method("new", 0.05)}, ("new",))
    assert clear.selected == "new"
    errors = [each.error for each in clear.judgements.values()]
    assert errors == [pytest.approx(0.1, abs=0.005), pytest.approx(0.05, abs=0.005)]


def test_the_process_is_the_textbook_s() -> None:
    paths = simulate(level=0.2, units=4, times=5)
    fitted = fit_gaussian_process(paths)
    scale = fitted.scale
    level, slope, wander, length, shared, shared_length = np.exp(fitted.hyperparameters[:6])
    power, noise = np.exp(fitted.hyperparameters[6:8])
    targets = Targets(np.zeros(2, np.int64), np.asarray([1100.0, 1300.0]))

    def kernel(a: Floats, b: Floats, same: np.ndarray) -> Floats:
        apart = np.abs(a[:, None] - b[None]) * np.sqrt(3)
        bend = (1 + apart / length) * np.exp(-apart / length)
        own = np.minimum(a[:, None], b[None]) if fitted.wiener else bend
        everyone = (1 + apart / shared_length) * np.exp(-apart / shared_length)
        drift = np.outer(a**power, b**power)
        return same * (level**2 + slope**2 * drift + wander**2 * own) + shared**2 * everyone

    s, t = paths.time_h / scale.time_h, targets.time_h / scale.time_h
    y = (paths.value - scale.origin) / scale.value
    inverse = np.linalg.inv(kernel(s, s, paths.unit[:, None] == paths.unit) + (noise**2 + 1e-9) * np.eye(len(s)))
    cross = kernel(s, t, (paths.unit == 0)[:, None])
    trend, ahead = (np.column_stack([np.ones(len(x)), x**power]) for x in (s, t))
    gram = np.linalg.inv(trend.T @ inverse @ trend)
    beta = gram @ trend.T @ inverse @ y
    left = ahead - cross.T @ inverse @ trend
    mean = cross.T @ inverse @ (y - trend @ beta) + ahead @ beta
    covariance = kernel(t, t, np.asarray(True)) - cross.T @ inverse @ cross + left @ gram @ left.T
    draws = (fitted.draw(paths, targets, 40_000) - scale.origin) / scale.value
    assert draws.mean(axis=0) == pytest.approx(mean, abs=4 * np.sqrt(covariance.max() / 40_000))
    assert np.cov(draws.T) == pytest.approx(covariance, rel=0.03)


def test_the_flow_is_integrated_to_the_exact_solution() -> None:
    """With inner weights so small that tanh is straight, dz/ds = A z + b, whose solution is a matrix exponential."""
    weights = start_weights(1, level=False, seed=2, device=CPU)
    with torch.no_grad():
        weights["inner"] *= 1e-4
        weights["inner_bias"].zero_()
        weights["outer"] *= 1e4
        z0 = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        s = torch.tensor([0.0, 0.13, 0.5, 1.7], dtype=torch.float64).expand(3, 4, 4)
        found = follow(weights, z0, s, 1.7)
        for member in range(3):
            a = (weights["inner"][member] @ weights["outer"][member]).T
            whole = torch.zeros(4, 4, dtype=torch.float64)
            whole[:3, :3], whole[:3, 3] = a, weights["outer_bias"][member, 0]
            for place in range(4):
                moved = torch.linalg.matrix_exp(whole * s[0, 0, place])
                ends = torch.cat([z0[member], torch.ones(4, 1, dtype=torch.float64)], 1) @ moved.T
                exact = (ends[:, :3] - z0[member]) @ weights["read"][member, :, 0]
                assert torch.allclose(found[member, :, place], exact, atol=1e-5)


def test_a_flow_is_repeatable_and_does_not_depend_on_the_company() -> None:
    paths = simulate(0.6)
    first, again = (fit_latent_ode(paths, rounds=2) for _ in range(2))
    assert all((first.weights[name] == again.weights[name]).all() for name in first.weights)
    with torch.no_grad():
        mode, _ = infer_effects(first.weights, arrange_readings(paths, first.scale, CPU), level=True)
        alone = paths.take(paths.unit == 3)
        own, _ = infer_effects(first.weights, arrange_readings(alone, first.scale, CPU), level=True)
    assert torch.allclose(own[:, 0], mode[:, 3], rtol=1e-6, atol=1e-7)


@pytest.mark.gpu
@NO_CARD
def test_a_flow_learned_on_a_card_is_that_of_the_processor() -> None:
    paths = simulate(0.6)
    targets = Targets(np.arange(9), np.full(9, 1300.0))
    ours, cards = (
        fit_latent_ode(paths, rounds=30, device=device).draw(paths, targets, 30) for device in ("cpu", "cuda")
    )
    assert cards == pytest.approx(ours, rel=1e-6)


def test_splines_go_on_straight_and_a_network_learns_a_power_law() -> None:
    x = np.asarray([-0.5, 0.0, 0.4, 1.0, 1.5])
    value, slope = spline_basis(x, 6)
    assert value[[2, 3]].sum(axis=1) == pytest.approx(1.0)
    assert value[4] == pytest.approx(value[3] + 0.5 * slope[3])
    paths = simulate(0.25, noise=0.002, times=12)
    network = fit_spline_network(paths).network
    # A level of the unit may take any constant: the exponent shows in differences.
    first, middle, last = network.shape(np.asarray([0.2, 0.4, 0.8]), np.zeros(3))[0]
    assert np.log2((last - middle) / (middle - first)) == pytest.approx(0.25, abs=0.02)


def test_bands_widen_until_they_hold() -> None:
    paths = simulate(noise=0.05, units=20)
    split = split_later(paths, cut_time(paths))
    walk = fit_random_walk(split.fitted)
    narrow, wide = (judge(walk, split, stretch=each) for each in (0.5, 3.0))
    assert (narrow.coverage or 0.0) < (wide.coverage or 0.0)
    assert wide.width == pytest.approx(6 * (narrow.width or 0))

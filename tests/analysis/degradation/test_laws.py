"""Laws of drift: the likelihood against its closed form, published estimates, known exponents, refusals."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2, multivariate_normal

from analysis.degradation.errors import BadReadouts, NotFitted
from analysis.degradation.law_draws import draw_parameters
from analysis.degradation.law_fit import Form, LawFit, fit_law, natural_parameters
from analysis.degradation.law_mixture import drift_test, fit_power_law, judge_laws
from analysis.degradation.laws import LAWS
from analysis.degradation.mixed_effects import arrange, evaluate
from analysis.degradation.readout_paths import ReadoutPaths, collect_paths, measure_scale
from analysis.degradation.unit_scores import score_drift
from tests.analysis.degradation.drifts import simulate


def test_linear_effects_have_the_closed_form_of_the_likelihood() -> None:
    paths = simulate(level=0.3)
    fit = fit_law(paths, Form(LAWS["linear"], 0, level=True, random_shape=False, several_temperatures=False))
    mean, root, sigma = fit.structure.unpack(fit.phi)
    total = 0.0
    for unit in range(paths.units):
        own = paths.unit == unit
        design = np.column_stack([np.ones(own.sum()), paths.time_h[own] / fit.scale.time_h])
        covariance = design @ root @ root.T @ design.T + sigma**2 * np.eye(own.sum())
        middle = fit.scale.origin + fit.scale.value * design @ mean
        total += multivariate_normal(middle, fit.scale.value**2 * covariance).logpdf(paths.value[own])
    assert fit.log_likelihood == pytest.approx(total, rel=1e-10)
    assert fit.score_norm < 1e-4


def test_the_score_is_the_slope_of_the_likelihood_where_effects_bend_the_path() -> None:
    paths = simulate(0.5)
    form = Form(LAWS["power"], 1, level=False, random_shape=True, several_temperatures=False)
    fit = fit_law(paths, form)
    block, structure = arrange(paths, fit.scale), fit.structure
    phi = fit.phi + 0.05
    here = evaluate(structure, phi, block)
    for place in range(len(phi)):
        step = np.eye(len(phi))[place] * 1e-5
        ends = [evaluate(structure, phi + sign * step, block).value for sign in (1, -1)]
        assert here.score[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=2e-2, abs=5e-2)


@pytest.mark.shared_data
def test_published_estimates_of_device_b(shared_data: Path) -> None:
    """Meeker & Escobar 1998, ex. 13.6: log R(195 C) -7.572, log asymptote 0.3510, Ea 0.6670, spreads 0.388, 0.134."""
    with (shared_data / "reliability/degradation/deviceb.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = (np.asarray([float(row[name]) for row in rows]) for name in ("hours", "powerdrop", "celsius"))
    paths = collect_paths([row["device"] for row in rows], *columns)
    form = Form(LAWS["saturation"], -1, level=False, random_shape=True, several_temperatures=True)
    found = {row["name"]: float(row["value"]) for row in natural_parameters(fit_law(paths, form))}
    assert -np.log(found["tau_h"]) == pytest.approx(-7.572, abs=0.01)
    assert np.log(-found["amplitude"]) == pytest.approx(0.3510, abs=0.01)
    assert found["ea_ev"] == pytest.approx(0.6670, abs=0.002)
    assert found["spread_tau_h"] == pytest.approx(np.sqrt(0.15021), abs=0.005)
    assert found["spread_amplitude"] == pytest.approx(np.sqrt(0.01809), abs=0.005)
    # The book counts the rows at 0 h, which are 0 by definition, among the readouts.
    assert found["noise"] * np.sqrt(536 / 570) == pytest.approx(0.0233, abs=0.0003)


def test_an_exponent_is_found_within_two_hundredths() -> None:
    exponent = 0.25
    fit = fit_power_law(simulate(exponent, noise=0.005)).members[0][0]
    row = next(row for row in natural_parameters(fit) if row["name"] == "exponent")
    assert row["value"] == pytest.approx(exponent, abs=0.02)
    assert float(row["low"]) < exponent < float(row["high"])


def test_laws_are_weighed() -> None:
    laws = judge_laws(simulate(1.0, noise=0.01), ("linear", "power"))
    assert sum(each.weight for each in laws) == pytest.approx(1.0)
    named = {each.name: each for each in laws}
    assert named["linear"].weight > named["power"].weight


def test_no_drift_is_no_drift() -> None:
    still = simulate(level=0.5)
    noise = np.random.default_rng(3).standard_normal(still.rows)
    assert drift_test(replace(still, value=noise))[1] > 0.05
    assert drift_test(simulate(level=0.5))[1] < 1e-6


@pytest.mark.parametrize(("level", "freedom"), [(0.5, 2), (0.0, 1)])
def test_drift_is_tested_with_as_many_degrees_of_freedom_as_it_adds(level: float, freedom: int) -> None:
    """Mean amplitude and spread; with levels of the units their covariance too."""
    paths = simulate(level=level)
    noise = np.random.default_rng(8).standard_normal(paths.rows)
    still = replace(paths, value=noise)
    if not level:
        starts = np.searchsorted(paths.unit, np.arange(paths.units))
        noise[starts], time = 0.0, paths.time_h.copy()
        time[starts] = 0.0
        still = replace(paths, value=noise, time_h=time)
    statistic, p_value = drift_test(still)
    assert statistic > 0.1
    assert p_value == pytest.approx(0.5 * chi2.sf(statistic, freedom) + 0.5 * chi2.sf(statistic, freedom + 1))


def test_a_fast_unit_is_known_by_its_score() -> None:
    paths = simulate(noise=0.01)
    fast = replace(paths, value=np.where(paths.unit == 4, 2.5 * paths.value, paths.value))
    form = Form(LAWS["linear"], 1, level=True, random_shape=False, several_temperatures=False)
    scores = score_drift(fit_law(fast, form), fast)
    assert int(np.argmax(scores.faster)) == 4
    assert (scores.error < 0.3).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": np.full(4, np.nan)}, "no readouts with a value"),
        ({"time_h": np.asarray([0.0, -1.0, 0.0, 1.0])}, "negative"),
        ({"temperature_c": np.asarray([25.0, 125.0, 25.0, 25.0])}, "under 2 temperatures"),
        ({"temperature_c": np.asarray([25.0, 25.0, np.nan, np.nan])}, "give all or none"),
    ],
)
def test_readouts_that_contradict_themselves_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    given = {"time_h": np.asarray([0.0, 1.0, 0.0, 1.0]), "value": np.arange(4.0), "temperature_c": np.full(4, 25.0)}
    given |= change
    with pytest.raises(BadReadouts, match=message):
        collect_paths(["a", "a", "b", "b"], given["time_h"], given["value"], given["temperature_c"])


def test_too_few_readouts_are_refused() -> None:
    few = ReadoutPaths(("a", "b"), np.asarray([0, 1]), np.ones(2), np.asarray([1.0, 2.0]), np.full(2, np.nan))
    with pytest.raises(NotFitted, match="too few"):
        fit_power_law(few)


@pytest.mark.parametrize(("units", "level"), [(4, False), (6, True), (40, True)])
def test_few_units_tell_little_of_the_next_one(units: int, level: bool) -> None:
    """Maximum likelihood divides by the units and not by one less: bands of a new one would hold too little."""
    generator = np.random.default_rng(units)
    form = Form(LAWS["linear"], 0, level, random_shape=False, several_temperatures=False)
    size, draws, sets = 1 + level, 400, 400
    scale = measure_scale(simulate(level=0.3))
    held = np.zeros(2)
    for _ in range(sets):
        known = generator.normal(size=(units, size))
        covariance = np.cov(known.T, bias=True).reshape(size, size)
        root = np.linalg.cholesky(covariance)
        errors = [root[0, 0] ** 2 / 2, root[-1, -1] ** 2, root[-1, -1] ** 2 / 2] if level else [root[0, 0] ** 2 / 2]
        whole = np.zeros((size + len(errors) + 1,) * 2)
        whole[:size, :size] = covariance / units
        whole[range(size, size + len(errors)), range(size, size + len(errors))] = np.asarray(errors) / units
        whole[-1, -1] = 1e-8
        phi = np.asarray([*known.mean(axis=0), *root[form.structure().lower], np.log(1e-3)])
        fit = LawFit(form, scale, phi, whole, 0.0, 10 * units, units, 0.0)
        drawn = draw_parameters(fit, draws, generator)
        new = drawn[:, size - 1] + (drawn[:, -1 - size : -1] * generator.normal(size=(draws, size))).sum(axis=1)
        low, high = np.quantile(new, (0.05, 0.95))
        held[0] += low <= generator.normal() <= high
        mean = natural_parameters(fit)[size - 1]
        held[1] += float(mean["low"]) <= 0.0 <= float(mean["high"])
    assert 0.86 <= held[0] / sets <= 0.96
    assert 0.86 <= held[1] / sets <= 0.94

"""What lies under a spot, and the weights that a waveform shows of it."""

import numpy as np
import pytest

from analysis.localization.mixture import LEAST_WEIGHT, MOST_NEIGHBOURS, Layout, Spot, estimate_mixture, spot_weight
from services.demo.circuit import build_accumulator
from tests.analysis.localization.scenes import circuit_of, make_die, probe, problem_of


def test_a_sure_spot_is_half_as_bright_at_half_its_width() -> None:
    spot = Spot(1.0, 2.0, 280.0)
    assert spot_weight(spot, 1.0, 2.0) == 1.0
    assert spot_weight(spot, 1.14, 2.0) == pytest.approx(0.5)


def test_an_unsure_spot_is_the_mean_over_its_places() -> None:
    spot = Spot(0.0, 0.0, 280.0, 60.0)
    off = np.random.default_rng(1).normal(0, 0.06, (200_000, 2))
    for x_um in (0.0, 0.1, 0.25):
        squared = (x_um - off[:, 0]) ** 2 + off[:, 1] ** 2
        intensity = np.exp(-4 * np.log(2) * squared / 0.28**2)
        assert spot_weight(spot, x_um, 0.0) == pytest.approx(np.sqrt((intensity**2).mean()), rel=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_equal_a_search_through_all(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    places = {f"n{index}": (float(x), float(y)) for index, (x, y) in enumerate(numbers.uniform(0, 2, (200, 2)))}
    spot = Spot(*places["n7"], 279.0, 30.0)
    weights = sorted(((spot_weight(spot, *place), net) for net, place in places.items() if net != "n7"), reverse=True)
    expected = [net for weight, net in weights if weight >= LEAST_WEIGHT][:MOST_NEIGHBOURS]
    assert [net for net, _ in Layout(places).neighbours("n7", spot)] == expected


def test_without_a_spot_or_places_there_are_no_neighbours() -> None:
    assert Layout({"a": (0.0, 0.0)}).neighbours("b", None) == []
    assert Layout({}).neighbours("b", Spot(0.0, 0.0, 279.0)) == []


def test_weights_recover_the_truth() -> None:
    """Errors in units of the stated standard error stay within what a normal distribution allows."""
    demo = build_accumulator()
    circuit = circuit_of(demo)
    scores = []
    for seed in range(30):
        die = make_die(demo, None, seed, snr=6.0)
        net = sorted(die.places_um)[7 * seed % len(die.places_um)]
        waveform = probe(die, net)
        problem = problem_of(die, circuit, [waveform])
        good = np.array([die.does(name) for name in circuit.nets])
        parts = {part.net: part for part in estimate_mixture(problem, waveform, good)}
        total = sum(abs(weight) for _, weight in die.last_weights)
        for name, weight in die.last_weights:
            if name in parts and np.ptp(die.does(name)) > 0:
                found = parts[name]
                scores.append((found.weight - weight / total) / (found.sigma + 0.02))
    assert len(scores) > 60
    assert np.mean(np.abs(scores) < 3) > 0.93

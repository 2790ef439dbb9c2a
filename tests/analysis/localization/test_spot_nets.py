"""Which net a spot was on, and the suspects on the die."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.localization.mixture import Layout, Spot
from analysis.localization.overlay import heat_map
from analysis.localization.spot_nets import Behaviours, Die, Scene, beam_grid, locate_spot
from analysis.results import SiteMass
from analysis.waveforms.comparison import observe
from analysis.waveforms.cycles import CycleLevels

CYCLES = 128
SIDE = 6
PITCH_UM = 0.25


def scene_on(beam_um: tuple[float, float], spot: Spot | None, named: int, seed: int = 1) -> tuple[Scene, np.ndarray]:
    """A waveform of a beam at ``beam_um`` over a square of drains, said to be of the net ``named``."""
    numbers = np.random.default_rng(seed)
    bits = numbers.integers(0, 2, (SIDE**2, CYCLES)).astype(np.float64)
    places = {f"n{k}": (k % SIDE * PITCH_UM, k // SIDE * PITCH_UM) for k in range(SIDE**2)}
    squared = ((np.asarray(list(places.values())) - beam_um) ** 2).sum(axis=1)
    weights = np.exp(-4 * np.log(2) * squared / 0.279**2) * numbers.choice((-1.0, 1.0), SIDE**2)
    levels = bits.T @ weights + numbers.normal(0, 0.25, CYCLES)
    seen = observe(CycleLevels(levels, np.ones(CYCLES, np.bool_), (0.3, 0.75)))
    layout, number = Layout(places), {name: k for k, name in enumerate(places)}
    near = [named, *(number[name] for name, _ in layout.neighbours(f"n{named}", spot))]
    return Scene(Die(list(places), number, layout), seen, (0.3, 0.75), near, spot), bits


def located(scene: Scene, bits: np.ndarray) -> tuple[np.ndarray, float]:
    found = locate_spot(scene, Behaviours(bits, bits[None, scene.near], np.zeros(1)))
    assert found.on_nets.sum() == pytest.approx(1.0)
    return found.on_nets, found.elsewhere


def at(net: int) -> tuple[float, float]:
    return net % SIDE * PITCH_UM, net // SIDE * PITCH_UM


def test_a_spot_on_its_net_is_said_to_be() -> None:
    on_nets, elsewhere = located(*scene_on(at(14), Spot(*at(14), 279.0, 30.0), 14))
    assert on_nets[14] > 0.98
    assert elsewhere < 0.02


def test_the_waveform_tells_the_net_within_a_wide_ellipse() -> None:
    """The beam is one drain to the right of where it should be, within a wide ellipse along x."""
    stated = Spot(*at(14), 279.0, covariance_nm2=((62_500.0, 0.0), (0.0, 400.0)))
    on_nets, _ = located(*scene_on(at(15), stated, 14))
    assert on_nets.argmax() == 15
    assert on_nets[15] > 0.9


def test_a_spot_far_from_its_place_is_found_where_it_was() -> None:
    on_nets, elsewhere = located(*scene_on(at(33), Spot(*at(1), 279.0, 30.0), 1))
    assert elsewhere > 0.9
    assert on_nets.argmax() == 33


def test_a_name_that_does_not_belong_to_the_place_is_doubted() -> None:
    """The beam was where the session says, but the session names another net than the one that lies there."""
    on_nets, elsewhere = located(*scene_on(at(14), Spot(*at(14), 279.0, 30.0), 16))
    assert on_nets[16] < 0.05
    assert on_nets[14] > 0.9
    assert elsewhere < 0.1


def test_without_a_place_the_waveform_alone_speaks() -> None:
    on_nets, _ = located(*scene_on(at(14), None, 14))
    assert on_nets[14] > 0.5


def test_a_net_without_a_drain_in_the_placement_is_believed() -> None:
    """The neighbours still count by their distance."""
    scene, bits = scene_on(at(14), Spot(*at(14), 279.0, 30.0), 14)
    places = {name: scene.die.drains_um[net] for name, net in scene.die.number.items() if net != 14}
    unplaced = replace(scene, die=Die(scene.die.names, scene.die.number, Layout(places)))
    on_nets, _ = located(unplaced, bits)
    assert on_nets[14] > 0.9


def test_the_beams_grid_has_the_ellipses_moments() -> None:
    covariance = ((3600.0, 1500.0), (1500.0, 1600.0))
    beams, logs = beam_grid(Spot(1.0, 2.0, 279.0, covariance_nm2=covariance))
    weights = np.exp(logs)
    assert weights.sum() == pytest.approx(1.0)
    off = (beams - (1.0, 2.0)) * 1e3
    assert (off * weights[:, None]).sum(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert (off.T * weights) @ off == pytest.approx(np.asarray(covariance), rel=0.12)
    assert beam_grid(Spot(1.0, 2.0, 279.0))[0].tolist() == [[1.0, 2.0]]


def test_the_map_holds_the_posterior_once() -> None:
    numbers = np.random.default_rng(3)
    places = {f"n{k}": (float(x), float(y)) for k, (x, y) in enumerate(numbers.uniform(0, 50, (300, 2)))}
    shares = numbers.dirichlet(np.full(402, 0.3))
    sites = [SiteMass(f"n{k}", float(shares[k]), float(shares[k + 1])) for k in range(0, 400, 2)]
    found = heat_map(sites, {name: place for name, place in places.items() if name != "n4"}, 0.1)
    assert found is not None
    placed = [site for site in sites if site.net in places and site.net != "n4"]
    assert found.dense().sum() == pytest.approx(sum(s.probability + s.resembling for s in placed), abs=1e-4)
    assert found.unplaced == pytest.approx(sum(s.probability + s.resembling for s in sites if s not in placed))
    assert max(found.columns, found.rows) <= 64
    assert [cell.credible for cell in found.cells] == sorted(cell.credible for cell in found.cells)
    for cell in found.cells[:20]:
        x_um, y_um = places[cell.nets[0]]
        assert cell.column == int((x_um - found.x_um) // found.cell_um)
        assert cell.row == int((y_um - found.y_um) // found.cell_um)


def test_a_die_of_one_place_has_a_map_and_none_has_none() -> None:
    found = heat_map([SiteMass("a", 0.9, 0.0)], {"a": (3.0, 4.0)}, 0.1)
    assert found is not None
    assert (found.columns, found.rows, found.cells[0].credible) == (1, 1, 1.0)
    assert heat_map([SiteMass("a", 0.9, 0.0)], {}, 0.1) is None

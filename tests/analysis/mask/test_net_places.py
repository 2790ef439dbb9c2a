"""Nets under places with an error ellipse: against slow twins, closed forms, and what cannot be asked."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.coordinates.affine import Points
from analysis.mask.nets import NetIndex, NetShapes
from analysis.mask.shape_grid import ShapeGrid
from analysis.mask.spot_mass import trapezoid_mass
from tests.naive import net_places

ROUND = np.array([[0.04, 0.0], [0.0, 0.04]])
OBLIQUE = np.array([[0.05, 0.03], [0.03, 0.04]])


def boxes_of(numbers: np.random.Generator, count: int) -> np.ndarray:
    corners = numbers.uniform(-10, 10, (count, 2)).round(1)
    return np.concatenate([corners, corners + numbers.exponential(1.0, (count, 2)).round(1)], axis=1)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (1, 1), (7, 2), (300, 3)])
def test_the_grid_finds_what_a_search_through_all_finds(count: int, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    boxes, windows = boxes_of(numbers, count), boxes_of(numbers, 40) * 1.2
    found = ShapeGrid(boxes).overlapping(windows)
    assert set(zip(*(each.tolist() for each in found), strict=True)) == net_places.boxes_that_meet(windows, boxes)
    assert len(found[0]) == len(net_places.boxes_that_meet(windows, boxes))


def test_the_grid_bears_long_boxes_points_and_a_far_window() -> None:
    """A thousand straps over the whole width, shapes without area, all in one place, and nothing there."""
    straps = np.array([[0.0, row, 1e5, row + 0.1] for row in range(1000)])
    grid = ShapeGrid(np.concatenate([straps, np.full((3, 4), 7.0)]))
    window, box = grid.overlapping(np.array([[5.0, 6.9, 8.0, 7.05], [1e9, 1e9, 2e9, 2e9]]))
    assert (window.tolist(), sorted(box.tolist())) == ([0, 0, 0, 0], [7, 1000, 1001, 1002])
    with pytest.raises(ValueError, match="not finite"):
        ShapeGrid(np.array([[0.0, 0.0, np.inf, 1.0]]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, -0.9]))
def test_the_mass_is_that_of_the_integral(seed: int, correlation: float) -> None:
    numbers = np.random.default_rng(seed)
    sigma = numbers.uniform(0.1, 0.5, 2)
    product = sigma.prod() * correlation
    covariance = np.array([[sigma[0] ** 2, product], [product, sigma[1] ** 2]])
    low, high = np.sort(numbers.uniform(-1, 1, 2))
    ends = np.sort(numbers.uniform(-1, 1, (2, 2)), axis=1)
    trapezoid = np.array([low, high + 0.01, *ends[0], *ends[1]])
    found = trapezoid_mass(trapezoid[None], covariance[None])[0]
    assert found == pytest.approx(net_places.mass(trapezoid, covariance), abs=1e-6)


@pytest.mark.parametrize(
    ("sigma", "correlation"), [((1.0, 1.0), 0.99), ((1.0, 1.0), -0.999), ((0.01, 1.0), 0.0), ((1.0, 0.3), 0.999999)]
)
def test_the_mass_of_a_needle_is_that_of_a_fine_sum(sigma: tuple[float, float], correlation: float) -> None:
    """An ellipse so narrow that it crosses the sides of a shape within a small part of its own length."""
    numbers = np.random.default_rng(7)
    product = sigma[0] * sigma[1] * correlation
    covariance = np.array([[sigma[0] ** 2, product], [product, sigma[1] ** 2]])
    for slanting in (0.0, 1.0) * 6:
        low, left, lean = numbers.uniform(-2, 0.5, 3)
        trapezoid = np.array([low, low + 2.5, left, left + 1.2, 0, 0])
        trapezoid[4:] = trapezoid[2:4] + slanting * lean
        found = trapezoid_mass(trapezoid[None], covariance[None])[0]
        assert found == pytest.approx(net_places.needle_mass(trapezoid, covariance), abs=1e-6)


@pytest.mark.parametrize("covariance", [ROUND, OBLIQUE, np.zeros((2, 2)), np.diag([0.04, 0.0])])
def test_the_plane_holds_everything_and_a_half_plane_half(covariance: np.ndarray) -> None:
    far = 1e3
    planes = np.array(
        [[-far, far, -far, far, -far, far], [0.0, far, -far, far, -far, far], [-far, far, 0, far, 0, far]]
    )
    mass = trapezoid_mass(planes, np.broadcast_to(covariance, (3, 2, 2)))
    np.testing.assert_allclose(mass, [1.0, 0.5, 0.5], atol=1e-8)


def index_of(*rows: tuple[tuple[int, ...], int, int], boxes: tuple[tuple[int, ...], ...] = ()) -> NetIndex:
    """Shapes given as (left, bottom, right, top), layer, net; in nanometres."""
    edges = np.array([[b, t, left, right, left, right] for (left, b, right, t), _, _ in rows], np.int32).reshape(-1, 6)
    layers, nets = (np.array([row[place] for row in rows]) for place in (1, 2))
    outlines = np.array(boxes, np.int32).reshape(-1, 4)
    return NetIndex(NetShapes(1e-3, edges, layers.astype(np.int16), nets.astype(np.int32), 2, outlines))


STRIPES = (
    ((0, 0, 1000, 1000), 0, 0),
    ((1000, 0, 2000, 1000), 0, 0),
    ((2000, 0, 3000, 1000), 0, 1),
    ((0, 0, 9000, 500), 1, 2),
)


def test_pieces_of_a_net_add_up_and_layers_do_not() -> None:
    index = index_of(*STRIPES, boxes=((0, 0, 2000, 1000),))
    (place,) = index.under(Points.isotropic(np.array([[2.0, 0.5]]), 0.1))
    assert [(each.layer, each.net) for each in place.nets] == [(0, 0), (0, 1), (1, 2)]
    assert [each.probability for each in place.nets] == pytest.approx([0.5, 0.5, 0.5], abs=1e-6)
    np.testing.assert_allclose(place.none_on, [1 - math.erf(5 / math.sqrt(2)), 0.5], atol=1e-6)
    assert [(each.instance, round(each.probability, 6)) for each in place.instances] == [(0, 0.5)]
    assert place.inside


def test_a_place_without_an_error_is_on_a_net_or_not() -> None:
    index = index_of(*STRIPES)
    on, off, outside = index.under(Points.isotropic(np.array([[0.5, 0.7], [5.0, 0.7], [50.0, 0.7]])))
    assert [(each.net, each.probability, each.at_centre) for each in on.nets] == [(0, 1.0, True)]
    assert (off.nets, off.inside, off.none_on.tolist()) == ((), True, [1.0, 1.0])
    assert (outside.nets, outside.inside) == ((), False)


def test_the_probabilities_are_those_of_drawn_places() -> None:
    """A hundred thousand draws of an oblique ellipse over two nets and a gap."""
    index = index_of(((0, 0, 300, 900), 0, 0), ((450, 100, 2000, 420), 0, 1))
    centre = np.array([0.4, 0.3])
    draws = np.random.default_rng(5).multivariate_normal(centre, OBLIQUE, 100_000)
    (place,) = index.under(Points(centre[None], OBLIQUE[None]))
    first = ((draws >= 0) & (draws <= [0.3, 0.9])).all(axis=1).mean()
    second = ((draws >= [0.45, 0.1]) & (draws <= [2.0, 0.42])).all(axis=1).mean()
    found = {each.net: each.probability for each in place.nets}
    assert (found[0], found[1]) == (pytest.approx(first, abs=0.005), pytest.approx(second, abs=0.005))
    assert place.none_on[0] == pytest.approx(1 - found[0] - found[1])


def test_nothing_at_all_is_an_answer() -> None:
    empty = index_of()
    (place,) = empty.under(Points.isotropic(np.array([[0.0, 0.0]]), 1.0))
    assert (place.nets, place.instances, place.inside) == ((), (), False)
    assert empty.under(Points.isotropic(np.empty((0, 2)))) == []

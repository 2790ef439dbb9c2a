"""Bridges, cuts and distances: against closed forms, pixels, and defects of which nothing can be said."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from analysis.coordinates.affine import Points
from analysis.mask.defect_frame import judge_placement
from analysis.mask.defect_overlay import NODES, Defects, normal_nodes, overlay_defects
from analysis.mask.nets import NetIndex, NetShapes
from analysis.mask.trapezoid_geometry import distances, edge_distance, exposed_edges, severs
from tests.naive.defect_discs import touches_and_severs


def stripes(*rows: tuple[float, float, int], layer: int = 0) -> NetIndex:
    """Level stripes 40 um long: (bottom, top, net), micrometres."""
    edges = np.array([[bottom, top, -20, 20, -20, 20] for bottom, top, _ in rows]) * 1000
    count = len(rows)
    outline = np.array([[-20_000, -20_000, 20_000, 20_000]], np.int32)
    return NetIndex(
        NetShapes(
            1e-3,
            np.round(edges).astype(np.int32),
            np.full(count, layer, np.int16),
            np.array([net for *_, net in rows], np.int32),
            layer + 1,
            outline,
        )
    )


def one(x: float, y: float, sigma: float, diameter: float, tone: str = "unknown") -> Defects:
    return Defects(Points.isotropic(np.array([[x, y]]), sigma), np.array([diameter]), (tone,))  # type: ignore[arg-type]


@pytest.mark.parametrize("offset", [0.0, 0.1, 0.35])
@pytest.mark.parametrize("sigma", [0.02, 0.2])
def test_the_bridge_of_two_stripes_is_the_normal_integral(offset: float, sigma: float) -> None:
    """Gap 0.3, disc 0.8: bridged while the middle is within 0.25 of the gap's middle."""
    index = stripes((-1.0, -0.15, 3), (0.15, 1.0, 5))
    (impact,) = overlay_defects(index, one(0.0, offset, sigma, 0.8, "extra"), (0,))
    expected = norm.cdf((0.25 - offset) / sigma) - norm.cdf((-0.25 - offset) / sigma)
    assert impact.criticality == pytest.approx(expected, abs=0.01)
    (layer,) = impact.layers
    assert layer.bridged == (3, 5) or expected < 1e-3
    assert layer.edge_um == pytest.approx(0.15 - offset if offset < 0.15 else -(offset - 0.15))


@pytest.mark.parametrize("offset", [0.0, 0.1, 0.3])
def test_the_cut_of_a_stripe_is_the_normal_integral(offset: float) -> None:
    """Width 0.4 in two pieces, disc 0.7: cut while the middle is within 0.15 of the stripe's."""
    index = stripes((-0.2, 0.05, 1), (0.05, 0.2, 1))
    (impact,) = overlay_defects(index, one(0.0, offset, 0.1, 0.7, "missing"), (0,))
    expected = norm.cdf((0.15 - offset) / 0.1) - norm.cdf((-0.15 - offset) / 0.1)
    assert impact.criticality == pytest.approx(expected, abs=0.01)
    assert impact.mode == "cut"
    (net,) = impact.layers[0].nets
    assert net.severed == impact.criticality


def test_the_tone_decides_which_fault_counts() -> None:
    index = stripes((-1.0, -0.15, 3), (0.15, 1.0, 5))
    modes = {
        tone: overlay_defects(index, one(0.0, 0.0, 0.01, 0.8, tone), (0,))[0]
        for tone in ("extra", "missing", "unknown")
    }
    assert {tone: each.mode for tone, each in modes.items()} == {
        "extra": "bridge",
        "missing": "none",
        "unknown": "bridge",
    }
    assert modes["missing"].nuisance
    assert not modes["extra"].nuisance


def test_of_a_defect_without_size_or_outside_nothing_is_said() -> None:
    index = stripes((-0.2, 0.2, 1))
    sizeless, outside = (
        overlay_defects(index, each, (0,))[0] for each in (one(0, 0, 0.1, math.nan), one(90, 0, 0.1, 1.0))
    )
    assert (sizeless.criticality, sizeless.nuisance, sizeless.layers[0].nets[0].touched) == (None, False, None)
    assert sizeless.layers[0].nets[0].on == pytest.approx(0.9545, abs=1e-3)
    assert (outside.criticality, outside.nuisance, outside.layers) == (None, False, ())
    with pytest.raises(ValueError, match="negative or infinite"):
        one(0, 0, 0.1, -1.0)
    with pytest.raises(ValueError, match="1 places"):
        Defects(Points.isotropic(np.zeros((1, 2))), np.array([1.0, 2.0]), ("extra",))


def test_a_defect_on_another_layer_does_nothing() -> None:
    index = stripes((-0.2, 0.2, 1), layer=1)
    (impact,) = overlay_defects(index, one(0, 0, 0.1, 1.0), (0,))
    assert (impact.criticality, impact.mode, impact.layer, impact.nuisance) == (0.0, "none", None, True)


def test_the_nodes_stand_for_the_normal_distribution() -> None:
    nodes = normal_nodes(NODES)
    np.testing.assert_allclose(nodes.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(np.cov(nodes.T), np.eye(2), atol=0.03)
    for direction in np.deg2rad(np.arange(0, 180, 15)):
        along = np.sort(nodes @ [math.cos(direction), math.sin(direction)])
        gap = np.abs(norm.cdf(along) - (np.arange(NODES) + 0.5) / NODES).max()
        assert gap < 0.02


L_SHAPE = np.array([[0.0, 1.0, 0.0, 4.0, 0.0, 4.0], [1.0, 5.0, 0.0, 1.0, 0.0, 1.0]])


@settings(max_examples=40, deadline=None)
@given(st.floats(-2, 6), st.floats(-2, 7), st.floats(0.3, 3.0))
def test_a_disc_on_a_bent_wire_does_what_its_pixels_do(x: float, y: float, radius: float) -> None:
    boxes = [(0.0, 0.0, 4.0, 1.0), (0.0, 1.0, 1.0, 5.0)]
    pixel = 0.03
    outcomes = {touches_and_severs((x, y), radius + change, boxes, pixel) for change in (-2 * pixel, 0.0, 2 * pixel)}
    place = np.array([[x, y]])
    touched = bool(distances(place, L_SHAPE).min() <= radius)
    severed = bool(severs(place, radius, L_SHAPE)[0])
    assert touched in {each[0] for each in outcomes}
    assert severed in {each[1] for each in outcomes} or min(abs(x % 1), abs(y % 1), 1 - y % 1, 1 - x % 1) < 3 * pixel


def test_edges_are_those_of_the_shape_and_not_of_its_pieces() -> None:
    edges = exposed_edges(L_SHAPE)
    length = np.hypot(edges[:, 2] - edges[:, 0], edges[:, 3] - edges[:, 1]).sum()
    assert length == pytest.approx(2 * (4 + 5))
    assert edge_distance(np.array([0.5, 1.0]), L_SHAPE) == pytest.approx(-0.5)
    assert edge_distance(np.array([2.0, 3.0]), L_SHAPE) == pytest.approx(1.0)
    assert edge_distance(np.array([2.0, 0.9]), L_SHAPE) == pytest.approx(-0.1)


def test_slanted_shapes_have_their_true_distance() -> None:
    slanted = np.array([[0.0, 2.0, 0.0, 1.0, 2.0, 3.0]])
    np.testing.assert_allclose(
        distances(np.array([[0.0, 1.0], [1.5, 1.0], [1.0, -3.0]]), slanted)[:, 0], [math.sqrt(0.5), 0, 3]
    )
    assert severs(np.array([[1.5, 1.0]]), 0.51, slanted)[0]
    assert not severs(np.array([[1.5, 1.0]]), 0.49, slanted)[0]


BOX = np.array([0.0, 0.0, 160.0, 110.0])


@pytest.mark.parametrize("factor", [1e-3, 1e3, 4.0, 0.25])
def test_a_wrong_unit_is_told_by_where_the_defects_lie(factor: float) -> None:
    true = np.random.default_rng(1).uniform((40, 40), (160, 110), (50, 2))
    found = judge_placement(true / factor, np.zeros(2), BOX)
    assert found.count == 50
    if factor < 1:
        assert (found.inside, found.factor, found.inside_then) == (0, factor, 50)
    else:
        assert (found.inside, found.extent < 0.02) == (50, factor == 1e3)


def test_a_right_unit_and_too_few_defects_are_left_alone() -> None:
    numbers = np.random.default_rng(2)
    assert judge_placement(numbers.uniform(0, 110, (50, 2)), np.zeros(2), BOX).factor is None
    assert judge_placement(np.array([[500.0, 500.0]] * 2), np.zeros(2), BOX).factor is None
    assert judge_placement(numbers.uniform(1e5, 2e5, (50, 2)) * [1, -1], np.zeros(2), BOX).factor is None
    assert judge_placement(np.empty((0, 2)), np.zeros(2), BOX).count == 0

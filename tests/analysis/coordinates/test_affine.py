"""Affine maps: their algebra and how uncertainty goes through them, against random sampling."""

import math

import numpy as np
import pytest

from analysis.coordinates.affine import Affine, NotInvertible, Points


def _uncertain(numbers: np.random.Generator) -> Affine:
    root = numbers.normal(size=(6, 6)) * 1e-3
    return Affine(numbers.normal(size=(2, 2)) + 2 * np.eye(2), numbers.normal(size=2), root @ root.T)


def _sample(transform: Affine, numbers: np.random.Generator, count: int) -> list[Affine]:
    mean = np.column_stack((transform.matrix, transform.shift)).ravel()
    drawn = numbers.multivariate_normal(mean, transform.covariance, count)
    return [Affine.exact(p.reshape(2, 3)[:, :2], p.reshape(2, 3)[:, 2]) for p in drawn]


def _spread(values: list[np.ndarray]) -> np.ndarray:
    return np.cov(np.array(values).T)


def test_a_point_carries_the_maps_uncertainty() -> None:
    """First-order propagation equals the spread of sampled maps and points."""
    numbers = np.random.default_rng(1)
    transform = _uncertain(numbers)
    own = np.array([[4e-6, 1e-6], [1e-6, 9e-6]])
    mapped = transform.apply(Points(np.array([[3.0, -2.0]]), own[None]))
    drawn = []
    for each in _sample(transform, numbers, 20000):
        point = numbers.multivariate_normal([3.0, -2.0], own)
        drawn.append(each.matrix @ point + each.shift)
    np.testing.assert_allclose(mapped.covariance[0], _spread(drawn), rtol=0.05, atol=2e-7)
    np.testing.assert_allclose(mapped.xy[0], transform.matrix @ [3.0, -2.0] + transform.shift)


def test_the_way_back_has_the_right_uncertainty() -> None:
    """The inverse's covariance equals the spread of sampled inverses."""
    numbers = np.random.default_rng(2)
    transform = _uncertain(numbers)
    back = transform.inverse()
    drawn = []
    for each in _sample(transform, numbers, 20000):
        inverse = np.linalg.inv(each.matrix)
        drawn.append(np.column_stack((inverse, -inverse @ each.shift)).ravel())
    np.testing.assert_allclose(back.covariance, _spread(drawn), rtol=0.1, atol=2e-8)
    there = transform.then(back)
    np.testing.assert_allclose(there.matrix, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(there.shift, 0, atol=1e-12)


def test_two_maps_in_a_row() -> None:
    """The composition's covariance equals the spread of sampled compositions."""
    numbers = np.random.default_rng(3)
    first, second = _uncertain(numbers), _uncertain(numbers)
    both = first.then(second)
    drawn = []
    for one, two in zip(_sample(first, numbers, 20000), _sample(second, numbers, 20000), strict=True):
        drawn.append(np.column_stack((two.matrix @ one.matrix, two.matrix @ one.shift + two.shift)).ravel())
    np.testing.assert_allclose(both.covariance, _spread(drawn), rtol=0.1, atol=5e-7)


@pytest.mark.parametrize("mirrored", [False, True])
def test_decomposition_gives_back_what_was_put_together(mirrored: bool) -> None:
    """Rotation, scales, shear and mirror are told apart."""
    turn, scale_x, scale_y, shear = 2.5, 1.7, 0.6, 0.1
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    sheared = np.array([[scale_x, scale_y * math.sin(shear)], [0.0, scale_y * math.cos(shear)]])
    matrix = rotation @ sheared @ np.diag([1.0, -1.0 if mirrored else 1.0])
    found = Affine.exact(matrix).decompose()
    assert found.mirrored is mirrored
    assert found.rotation_rad == pytest.approx(turn)
    assert (found.scale_x, found.scale_y, found.shear_rad) == pytest.approx((scale_x, scale_y, shear))


def test_what_makes_no_sense_is_refused() -> None:
    """Singular maps, wrong shapes, values that are not finite, impossible covariances."""
    with pytest.raises(NotInvertible):
        Affine.exact(np.array([[1.0, 2.0], [2.0, 4.0]])).inverse()
    with pytest.raises(NotInvertible):
        Affine.exact(np.zeros((2, 2))).decompose()
    with pytest.raises(ValueError, match=r"\(n, 2\)"):
        Points(np.zeros((2, 3)), np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="not finite"):
        Points.isotropic(np.array([[np.nan, 0.0]]))
    with pytest.raises(ValueError, match="negative eigenvalue"):
        Points(np.zeros((1, 2)), np.diag([1.0, -1.0])[None])

"""Fitting maps to points: coverage of the stated errors, outliers, and what is refused."""

import numpy as np
import pytest

from analysis.coordinates.affine import Affine, Points
from analysis.coordinates.registration import RegistrationRefused, fit_registration

TRUTH = Affine.exact(np.array([[0.998, -0.021], [0.0195, 1.003]]), (120.0, -75.0))


def _scene(count: int, sigma: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed)
    source = numbers.uniform(-1000, 1000, (count, 2))
    return source, source @ TRUTH.matrix.T + TRUTH.shift + numbers.normal(0, sigma, (count, 2))


def _parameters(transform: Affine) -> np.ndarray:
    return np.column_stack((transform.matrix, transform.shift)).ravel()


def test_exact_points_give_the_map_exactly() -> None:
    """Also far from the origin, where the normal equations alone would lose digits."""
    source, target = _scene(5, 0.0, 1)
    found = fit_registration(Points.isotropic(source + 1e6), Points.isotropic(target))
    mapped = found.transform.apply(Points.isotropic(source + 1e6))
    np.testing.assert_allclose(mapped.xy, target, atol=1e-6)
    assert not found.outlier.any()


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("count", [5, 12])
def test_the_stated_uncertainty_covers_the_truth(count: int, stated: bool) -> None:
    """z-scores of the six parameters and of a far point: the ratio of their squares to the expected one is near 1."""
    far = Points.isotropic(np.array([[3000.0, -2500.0]]))
    truth = TRUTH.apply(far).xy[0]
    squares = []
    for seed in range(400):
        source, target = _scene(count, 2.0, seed)
        sigma = 2.0 if stated else 0.0
        found = fit_registration(Points.isotropic(source), Points.isotropic(target, sigma), false_outlier_rate=1e-9)
        mapped = found.transform.apply(far)
        off = mapped.xy[0] - truth
        squares.append(off @ np.linalg.inv(mapped.covariance[0]) @ off / 2)
    if stated:
        assert 0.7 < np.mean(squares) < 1.15  # never narrowed, sometimes widened
    else:
        # Student's: the mean of an F(2, f) variable is f / (f - 2)
        freedom = 2 * count - 6
        assert np.median(squares) == pytest.approx(_median_of_f(freedom), rel=0.2)


def _median_of_f(freedom: int) -> float:
    from scipy import stats

    return float(stats.f.ppf(0.5, 2, freedom))


def test_errors_of_both_sides_count() -> None:
    """Errors of the source, turned and scaled by the map, give the same uncertainty as on the target's side."""
    source, target = _scene(20, 0.0, 3)
    numbers = np.random.default_rng(4)
    noisy = source + numbers.normal(0, 3.0, source.shape)
    ours = fit_registration(Points.isotropic(noisy, 3.0), Points.isotropic(target))
    theirs = fit_registration(Points.isotropic(noisy), Points.isotropic(target, 3.0))
    for row, column in ((0, 0), (2, 2), (0, 2), (4, 4), (5, 5)):
        assert ours.transform.covariance[row, column] == pytest.approx(
            theirs.transform.covariance[row, column], rel=0.1
        )
    off = _parameters(ours.transform) - _parameters(TRUTH)
    assert np.all(np.abs(off) < 5 * np.sqrt(np.diag(ours.transform.covariance)))


@pytest.mark.parametrize("stated", [True, False])
def test_several_outliers_cannot_hide_each_other(stated: bool) -> None:
    """Three of twelve points moved together are found, and only they; the map is that of the others."""
    wrong_sets = 0
    for seed in range(30):
        source, target = _scene(12, 1.0, seed)
        target[[1, 4, 7]] += (40.0, -30.0)
        found = fit_registration(Points.isotropic(source), Points.isotropic(target, 1.0 if stated else 0.0))
        wrong_sets += sorted(np.flatnonzero(found.outlier)) != [1, 4, 7]
    assert wrong_sets <= 1


@pytest.mark.parametrize("stated", [True, False])
def test_few_good_points_are_called_outliers(stated: bool) -> None:
    """The rate of sets that lose a point is near what was asked for."""
    lost = 0
    for seed in range(300):
        source, target = _scene(9, 1.0, seed)
        found = fit_registration(
            Points.isotropic(source), Points.isotropic(target, 1.0 if stated else 0.0), false_outlier_rate=0.05
        )
        lost += bool(found.outlier.any())
    assert lost / 300 < 0.09


def test_residuals_beyond_the_stated_errors_widen_the_answer_and_are_told() -> None:
    """Five times the stated error: p_fit says so, the scale is about five, the covariance 25 times."""
    source, target = _scene(40, 5.0, 8)
    found = fit_registration(Points.isotropic(source), Points.isotropic(target, 1.0), false_outlier_rate=1e-300)
    honest = fit_registration(Points.isotropic(source), Points.isotropic(target, 5.0))
    assert found.p_fit is not None
    assert found.p_fit < 1e-6
    assert found.scale == pytest.approx(5.0, rel=0.2)
    assert np.trace(found.transform.covariance) == pytest.approx(np.trace(honest.transform.covariance), rel=0.4)


@pytest.mark.parametrize(("form", "mirror"), [("similarity", 1.0), ("mirrored-similarity", -1.0)])
def test_forms_keep_what_they_promise(form: str, mirror: float) -> None:
    """A similarity has one scale and no shear; the mirrored one turns over."""
    numbers = np.random.default_rng(9)
    source = numbers.uniform(-10, 10, (8, 2))
    turned = source @ np.array([[0.6, 0.8], [-0.8, 0.6]]) * 2.0 * np.array([mirror, 1.0]) + (5.0, 6.0)
    target = turned + numbers.normal(0, 0.01, (8, 2))
    found = fit_registration(Points.isotropic(source), Points.isotropic(target), form)  # type: ignore[arg-type]
    parts = found.transform.decompose()
    assert parts.mirrored is (mirror < 0)
    assert parts.scale_x == pytest.approx(parts.scale_y)
    assert parts.scale_x == pytest.approx(2.0, rel=0.01)
    assert parts.shear_rad == pytest.approx(0.0, abs=1e-9)
    moved = fit_registration(Points.isotropic(source), Points.isotropic(source + np.array([3.0, 4.0])), "translation")
    np.testing.assert_allclose(moved.transform.matrix, np.eye(2))
    np.testing.assert_allclose(moved.transform.shift, (3.0, 4.0))


def test_what_does_not_determine_a_map_is_refused() -> None:
    """Too few points, points on a line, no errors to tell how good it is."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(RegistrationRefused, match="needs 4 points, one of them to tell how good"):
        fit_registration(Points.isotropic(corners), Points.isotropic(corners))
    assert fit_registration(Points.isotropic(corners), Points.isotropic(corners, 0.1)).degrees_of_freedom == 0
    line = np.column_stack((np.arange(6.0), 2 * np.arange(6.0)))
    with pytest.raises(RegistrationRefused, match="on a line"):
        fit_registration(Points.isotropic(line), Points.isotropic(line, 0.1))
    with pytest.raises(RegistrationRefused, match="on a line or on each other"):
        fit_registration(Points.isotropic(np.ones((6, 2))), Points.isotropic(line, 0.1), "similarity")
    with pytest.raises(ValueError, match="3 source points and 6 target points"):
        fit_registration(Points.isotropic(corners), Points.isotropic(line))


def test_many_points_take_a_fixed_sample_of_subsets() -> None:
    """The same points give the same map; 400 points with 40 % wrong are still sorted out."""
    source, target = _scene(400, 1.0, 11)
    wrong = np.arange(400) % 5 < 2
    target[wrong] += np.random.default_rng(12).uniform(50, 500, (int(wrong.sum()), 2))
    found = fit_registration(Points.isotropic(source), Points.isotropic(target))
    again = fit_registration(Points.isotropic(source), Points.isotropic(target))
    np.testing.assert_array_equal(found.transform.matrix, again.transform.matrix)
    assert found.outlier[wrong].all()
    assert found.outlier[~wrong].sum() <= 1

"""Fields of a reticle: round trips, the mirror, errors, and places in no field."""

import numpy as np
import pytest

from analysis.coordinates.affine import Points
from analysis.coordinates.reticle import FieldGrid, OutsideFields

GRID = FieldGrid(26_000.0, 33_000.0, 500.0, -700.0, columns=(-3, 2), rows=(-2, 2), step_sigma_um=0.01)


def test_a_place_of_the_mask_goes_to_every_field_and_comes_back() -> None:
    places = Points.isotropic(np.array([[10_000.0, -20_000.0], [0.0, 0.0], [-51_000.0, 65_000.0]]), 0.08)
    printed = GRID.repeats(places)
    assert len(printed) == 6 * 5
    for field, there in printed:
        np.testing.assert_allclose(there.sigma_along_axes, np.hypot(0.02, 0.01))
        number, back, sure = GRID.to_mask(there)
        assert number.tolist() == [list(field)] * 3
        np.testing.assert_allclose(back.xy, places.xy, atol=1e-6)
        np.testing.assert_allclose(back.sigma_along_axes, 4 * np.hypot(np.hypot(0.02, 0.01), 0.01))
        np.testing.assert_allclose(sure, 1.0)


def test_the_mask_is_turned_over_in_x() -> None:
    (there,) = [GRID.to_wafer((1, -1)).apply(Points.isotropic(np.array([[400.0, 400.0]]))).xy]
    np.testing.assert_allclose(there, [[500 + 26_000 - 100, -700 - 33_000 + 100]])
    upright = FieldGrid(10.0, 10.0, magnification=1.0, mirrored=False)
    np.testing.assert_allclose(upright.to_wafer((0, 0)).matrix, np.eye(2))


def test_on_the_line_between_two_fields_neither_is_sure() -> None:
    edge = np.array(
        [[500.0 + 13_000.0 - 1e-9, -700.0], [500.0 + 13_000.0 - 0.05, -700.0], [500.0 - 13_000 + 1e-9, 15_800 - 1e-9]]
    )
    _, _, sure = GRID.to_mask(Points.isotropic(edge, 0.049))
    assert sure[0] == pytest.approx(0.5, abs=1e-6)
    assert sure[1] == pytest.approx(0.8413, abs=1e-3)
    assert sure[2] == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize("place", [(1e6, 0.0), (0.0, -2.6 * 33_000.0)])
def test_places_in_no_field_are_refused(place: tuple[float, float]) -> None:
    with pytest.raises(OutsideFields, match="is in none of the fields"):
        GRID.to_mask(Points.isotropic(np.array([place])))
    with pytest.raises(OutsideFields, match=r"there is no field \(9, 0\)"):
        GRID.to_wafer((9, 0))


def test_no_place_is_no_answer_and_grids_must_be_possible() -> None:
    number, back, sure = GRID.to_mask(Points.isotropic(np.empty((0, 2))))
    assert (number.shape, back.xy.shape, sure.shape) == ((0, 2), (0, 2), (0,))
    for wrong in ({"width_um": 0.0}, {"step_sigma_um": -1.0}, {"columns": (1, 0)}):
        with pytest.raises(ValueError, match=r"field|stepping"):
            FieldGrid(**({"width_um": 1.0, "height_um": 1.0} | wrong))

"""Runs to defects by id and by place: a naive twin, how often it is right on SIMULATED lists, and doubts."""

import numpy as np
import pytest

from analysis.coordinates.affine import Points
from analysis.repair.joining import check_id, have_near, join_by_id, join_by_place
from tests.naive.repair_success import place_shares


def test_shares_equal_the_slow_ones() -> None:
    defects = np.array([[0.0, 0.0], [2.0, 0.5], [30.0, 30.0]])
    found = join_by_place(Points.isotropic(np.array([[0.4, 0.1]]), 0.3), Points.isotropic(defects, 0.4))
    area = 30.0 * 30.0
    expected = place_shares((0.4, 0.1), 0.5, [tuple(each) for each in defects.tolist()], 0.1 * 3 / area)
    assert found[0].probability == pytest.approx(max(expected), rel=1e-9)
    assert found[0].defect == 0


def test_sure_joins_are_right_and_unsure_ones_are_not_made() -> None:
    generator = np.random.default_rng(1)
    wrong = joined = 0
    for _ in range(40):
        defects = generator.uniform(0, 60, (40, 2))
        truth = generator.integers(0, 40, 15)
        places = defects[truth] + generator.normal(0, 1.0, (15, 2))
        for found, target in zip(
            join_by_place(Points.isotropic(places, 0.8), Points.isotropic(defects, 0.6)), truth, strict=True
        ):
            if found.defect is not None:
                joined += 1
                wrong += found.defect != target
    assert joined > 200
    assert wrong <= 0.05 * joined


def test_two_near_defects_and_none_near() -> None:
    defects = Points.isotropic(np.array([[0.0, 0.0], [0.5, 0.0], [50.0, 0.0]]), 0.5)
    found = join_by_place(Points.isotropic(np.array([[0.25, 0.0], [20.0, 0.0]]), 0.5), defects)
    assert [each.defect for each in found] == [None, None]
    assert "2 defects may be meant" in found[0].reason
    assert "the nearest is 19.5 um away" in found[1].reason
    (lone,) = join_by_place(Points.isotropic(np.array([[0.0, 0.0]]), 1.0), Points.isotropic(np.empty((0, 2))))
    assert lone.reason == "there are no defects"


def test_an_elongated_uncertainty_reaches_along_its_axis_only() -> None:
    long = Points(np.array([[0.0, 0.0]]), np.array([[[25.0, 0.0], [0.0, 0.01]]]))
    along = join_by_place(long, Points.isotropic(np.array([[6.0, 0.0], [0.0, 6.0]]), 0.1))[0]
    assert along.defect == 0


def test_ids_that_are_unknown_empty_or_twice_join_nothing() -> None:
    assert join_by_id(["7", "", "8", "9"], ["7", "9", "9"]) == [0, None, None, None]


def test_an_id_that_the_place_contradicts_is_no_join() -> None:
    run = Points.isotropic(np.array([[0.0, 0.0], [9.0, 0.0]]), 0.5)
    defects = Points.isotropic(np.array([[0.3, 0.0]]), 0.5)
    assert check_id(run, defects, 0, 0).defect == 0
    far = check_id(run, defects, 1, 0)
    assert far.defect is None
    assert "8.7 um apart" in far.reason


def test_positions_without_any_uncertainty_and_odd_ratios_are_refused() -> None:
    exact = Points.isotropic(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="without any uncertainty"):
        join_by_place(exact, exact)
    with pytest.raises(ValueError, match="above 0"):
        join_by_place(exact, exact, 0.0)
    with pytest.raises(ValueError, match="not finite"):
        Points.isotropic(np.array([[np.nan, 0.0]]), 1.0)


def test_what_has_something_near_is_what_a_join_would_weigh() -> None:
    generator = np.random.default_rng(6)
    xy, others = generator.uniform(0, 60, (2, 12, 2))
    joined = join_by_place(Points.isotropic(xy, 1.0), Points.isotropic(others, 1.0))
    near = have_near(xy, others, 1.0)
    assert near.tolist() == [item.probability > 0 for item in joined]
    assert 0 < near.sum() < 12
    assert have_near(xy, np.empty((0, 2)), 1.0).sum() == 0

"""Exact areas: against points, against known unions, at the window's edges, and what is refused."""

import math

import numpy as np
import pytest
import torch

from analysis.mask.corners import (
    PolygonError,
    boxes_of,
    corners_of_disjoint,
    is_manhattan,
    merge_manhattan,
)
from analysis.mask.harmonics import Reach
from analysis.mask.optics import Tile
from analysis.mask.raster import PixelGrid, rasterize, splat_corners, widen_by_a_pixel
from analysis.mask.spectrum import clip_to_box, harmonics_of_corners, harmonics_of_polygons
from tests.analysis.mask.shapes import Polygon, box
from tests.naive.lithography import box_coefficient, cover_by_points

GRID = PixelGrid(0, 0, 1, 9, 7)
ELL = np.asarray([[1, 1], [6, 1], [6, 3], [3, 3], [3, 5.5], [1, 5.5]], float)


def boxes(rng: np.random.Generator, count: int) -> list[Polygon]:
    """Boxes on a grid of quarters, overlapping, some beyond the window; either way round."""
    found = []
    for _ in range(count):
        left, bottom = rng.integers(-8, 32, 2) / 4
        width, height = rng.integers(1, 20, 2) / 4
        each = box(left, bottom, left + width, bottom + height)
        found.append(each[::-1] if rng.random() < 0.5 else each)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_union_of_boxes_is_exact(seed: int) -> None:
    """On a grid of quarters, four points a side are exact; overlaps count once."""
    polygons = boxes(np.random.default_rng(seed), 6)
    expected = cover_by_points(polygons, 9, 7, 4)
    assert np.abs(rasterize(polygons, GRID).numpy() - expected).max() < 1e-12


def test_shapes_that_turn_cross_and_nest() -> None:
    """An L, a ring drawn with a cut line, a shape over itself, a repeated corner: winding around counts."""
    ring = np.asarray([[0, 0], [4, 0], [4, 4], [0, 4], [0, 1], [1, 1], [1, 3], [3, 3], [3, 1], [0, 1]], float)
    twice = np.asarray([[0, 0], [6, 0], [6, 4], [2, 4], [2, 2], [8, 2], [8, 6], [0, 6]], float)
    for shape in (ELL, ring, twice, np.repeat(ELL, 2, axis=0)):
        expected = cover_by_points([shape], 9, 7, 4)
        assert np.abs(rasterize([shape], GRID).numpy() - expected).max() < 1e-12
    assert merge_manhattan([ring]).area_nm2() == pytest.approx(12)
    eight = np.asarray([[5, 0], [8, 0], [8, 2], [6, 2], [6, 3], [9, 3], [9, 1], [7, 1], [7, 4], [5, 4]], float)
    with pytest.raises(PolygonError, match="polygon 1 crosses itself"):
        merge_manhattan([ELL, eight])


def test_slanting_edges_are_exact() -> None:
    """Areas of triangles known by heart, a polygon against many points, and what lies beyond every side."""
    triangle = np.asarray([[0, 0], [3, 0], [0, 3]], float)
    cover = rasterize([triangle], GRID).numpy()
    assert cover.sum() == pytest.approx(4.5, abs=1e-12)
    assert cover[0, 2] == pytest.approx(0.5, abs=1e-12)
    kite = np.asarray([[-2, 3], [4, -1.5], [11, 4], [5, 9.5]], float)
    assert np.abs(rasterize([kite], GRID).numpy() - cover_by_points([kite], 9, 7, 12)).max() < 0.04
    assert float((rasterize([kite[::-1]], GRID) - rasterize([kite], GRID)).abs().max()) < 1e-12
    both = rasterize([box(0, 5, 2, 7), triangle], GRID)
    assert float(both.sum()) == pytest.approx(8.5, abs=1e-12)
    with pytest.raises(PolygonError, match="covered 2"):
        rasterize([triangle, box(0, 0, 1, 1)], GRID)
    assert not is_manhattan(triangle)


def test_grids_elsewhere_and_finer() -> None:
    """The same area whatever the pixel and the corner; float32 when asked."""
    for pixel in (1.0, 0.25, 0.3):
        grid = PixelGrid(-1, -2, pixel, math.ceil(12 / pixel), math.ceil(12 / pixel))
        assert float(rasterize([ELL], grid).sum()) * pixel**2 == pytest.approx(15, abs=1e-9)
    assert rasterize([ELL], GRID, dtype=torch.float32).dtype == torch.float32


def test_nothing_and_everything() -> None:
    """No polygon, one without area, one beyond the window, one over all of it."""
    assert float(rasterize([], GRID).sum()) == 0
    assert float(rasterize([box(2, 2, 2, 5)], GRID).sum()) == 0
    assert float(rasterize([box(20, 20, 25, 25)], GRID).sum()) == 0
    assert float(rasterize([box(-1e9, -1e9, 1e9, 1e9)], GRID).sum()) == 63
    assert boxes_of([]).shape == (0, 4)


def test_disjoint_polygons_need_no_merging() -> None:
    """Merged or not, corners of polygons that do not overlap give the same raster and boxes of the same area."""
    shapes = [ELL, box(7, 4, 8.25, 6)]
    assert torch.equal(splat_corners(corners_of_disjoint(shapes), GRID), splat_corners(merge_manhattan(shapes), GRID))
    found = boxes_of([*shapes, box(1, 1, 2, 2)])
    assert ((found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])).sum() == pytest.approx(17.5)


def test_large_unions_go_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """The strips of a large union join without a seam."""
    polygons = boxes(np.random.default_rng(9), 40)
    whole, parts = rasterize(polygons, GRID), boxes_of(polygons)
    monkeypatch.setattr("analysis.mask.corners._CELLS_AT_ONCE", 50)
    assert torch.equal(rasterize(polygons, GRID), whole)
    again = boxes_of(polygons)
    assert np.prod(again[:, 2:] - again[:, :2], axis=1).sum() == np.prod(parts[:, 2:] - parts[:, :2], axis=1).sum()
    monkeypatch.setattr("analysis.mask.corners._MOST_CELLS", 50)
    with pytest.raises(PolygonError, match="too many"):
        rasterize(polygons, GRID)


def test_boundary_pixels_inclusive() -> None:
    """A box of 3 x 2 pixels becomes 4 x 3, at its right and top."""
    wide = widen_by_a_pixel(rasterize([box(2, 2, 5, 4)], GRID))
    assert torch.equal(wide, rasterize([box(2, 2, 6, 5)], GRID))


@pytest.mark.parametrize(
    ("polygon", "reason"),
    [
        (np.zeros((2, 2)), "shape"),
        (np.zeros((4, 3)), "shape"),
        (np.asarray([[0, 0], [1, 0], [math.nan, 1]]), "finite"),
        (np.asarray([[0, 0], [math.inf, 0], [1, 1]]), "finite"),
    ],
)
def test_no_polygons(polygon: Polygon, reason: str) -> None:
    """What is no polygon is refused by its number."""
    with pytest.raises(PolygonError, match=f"polygon 1 .*{reason}"):
        rasterize([ELL, polygon], GRID)


def test_slanting_polygons_cannot_be_merged() -> None:
    """Merging says which polygon slants."""
    with pytest.raises(PolygonError, match="polygon 1 has a slanting edge"):
        merge_manhattan([ELL, np.asarray([[0, 0], [1, 0], [0, 1]], float)])


@pytest.mark.parametrize("bad", [(0, 0, 0, 5, 5), (0, 0, math.nan, 5, 5), (math.inf, 0, 1, 5, 5), (0, 0, 1, 0, 5)])
def test_no_grids(bad: tuple[float, float, float, int, int]) -> None:
    """A grid without pixels is none."""
    with pytest.raises(PolygonError, match="no grid"):
        PixelGrid(*bad)


def test_spectra_are_closed_forms() -> None:
    """Boxes by the product of their integrals; corners and edges agree; union counts once; off the tile is cut off."""
    tile, reach = Tile(100.0, 80.0), Reach(3, 4)
    shape = box(12.5, 20, 60, 44)
    expected = np.asarray(
        [[box_coefficient((12.5, 20, 60, 44), k, m, 100, 80) for k in range(-4, 5)] for m in range(-3, 4)]
    )
    by_corners = harmonics_of_corners(merge_manhattan([shape, shape]), tile, reach)
    by_edges = harmonics_of_polygons([shape[::-1]], tile, reach)
    assert np.abs(by_corners - expected).max() < 1e-15
    assert np.abs(by_edges - expected).max() < 1e-15
    cut = harmonics_of_corners(merge_manhattan([box(-50, -50, 60, 44)]), tile, reach)
    assert np.abs(cut - harmonics_of_corners(merge_manhattan([box(0, 0, 60, 44)]), tile, reach)).max() < 1e-15


def test_spectrum_of_a_disc() -> None:
    """A fine polygon has the coefficients of a disc: J1 over its argument, along x."""
    from scipy.special import j1

    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    disc = 50 + 20 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = harmonics_of_polygons([disc], Tile(100, 100), Reach(0, 3))[0]
    for k in (1, 2, 3):
        argument = 2 * np.pi * k / 100 * 20
        expected = 2 * np.pi * 400 * j1(argument) / argument / 1e4 * (-1) ** k
        assert found[3 + k] == pytest.approx(expected, abs=2e-6)


def test_clipping_keeps_the_area() -> None:
    """The parts of a polygon in the quarters of its box make up the whole."""
    star = np.asarray([[0, 0], [10, 3], [6, 6], [9, 11], [4, 8], [-2, 12], [1, 6], [-5, 4]], float)
    total = 0.0
    for left, right in ((-9, 2.5), (2.5, 19)):
        for bottom, top in ((-9, 5.1), (5.1, 19)):
            part = clip_to_box(star, (left, bottom, right, top))
            x, y = part.T
            total += 0.5 * abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)))
    x, y = star.T
    assert total == pytest.approx(0.5 * abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))), abs=1e-12)
    assert clip_to_box(star, (50, 50, 60, 60)).shape == (0, 2)

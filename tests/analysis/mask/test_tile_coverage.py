"""Tiles: exact areas, where they lie, and what is no tile."""

import numpy as np
import pytest

from analysis.mask.tile_coverage import TILE_PIXELS, TilePyramid, tile_coverage

PYRAMID = TilePyramid.over((0.0, 0.0, 160.0, 110.0))


def area(cover: np.ndarray, window: tuple[float, ...]) -> float:
    return float(cover.sum()) * ((window[2] - window[0]) / TILE_PIXELS) ** 2


def test_four_tiles_hold_what_one_holds() -> None:
    numbers = np.random.default_rng(1)
    low = np.arange(40) * 2.5 + numbers.uniform(0, 1, 40)
    left = numbers.uniform(0, 80, 40)
    shapes = np.column_stack([low, low + 1.3, left, left + 30, left, left + 30])
    whole = area(tile_coverage(shapes, PYRAMID.window_um(0, 0, 0)), PYRAMID.window_um(0, 0, 0))
    parts = [PYRAMID.window_um(1, x, y) for x in (0, 1) for y in (0, 1)]
    assert whole == pytest.approx(40 * 1.3 * 30, rel=1e-9)
    assert sum(area(tile_coverage(shapes, part), part) for part in parts) == pytest.approx(whole, rel=1e-9)


def test_the_first_row_is_the_top_and_slanted_sides_are_exact() -> None:
    window = (0.0, 0.0, 1.0, 1.0)
    upper = tile_coverage(np.array([[0.75, 1.0, 0.0, 0.5, 0.0, 0.5]]), window)
    assert upper[:64, :128].min() == 1.0
    assert upper[64:].max() == upper[:, 128:].max() == 0.0
    triangle = tile_coverage(np.array([[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]]), window)
    assert area(triangle, window) == pytest.approx(0.5, rel=1e-9)
    assert np.diagonal(triangle) == pytest.approx(0.5)


def test_the_pyramid_is_centred_and_halved() -> None:
    assert PYRAMID.window_um(0, 0, 0) == (0.0, -25.0, 160.0, 135.0)
    assert PYRAMID.window_um(2, 3, 0) == (120.0, 95.0, 160.0, 135.0)
    assert PYRAMID.pitch_nm(1) == pytest.approx(160_000 / 512)


@pytest.mark.parametrize("place", [(0, 1, 0), (1, 0, 2), (-1, 0, 0), (21, 0, 0)])
def test_what_is_no_tile_is_refused(place: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="there is no tile"):
        PYRAMID.window_um(*place)
    with pytest.raises(ValueError, match="a box without extent"):
        TilePyramid.over((1.0, 1.0, 1.0, 1.0))
    assert tile_coverage(np.empty((0, 6)), (0.0, 0.0, 1.0, 1.0)).max() == 0.0

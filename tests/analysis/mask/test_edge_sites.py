"""Sites along edges, and prints that keep or violate them."""

import numpy as np
import pytest
import torch

from analysis.mask.corners import PolygonError
from analysis.mask.edge_sites import SiteRule, count_violations, list_sites
from analysis.mask.raster import PixelGrid, rasterize
from tests.analysis.mask.shapes import box

GRID = PixelGrid(0, 0, 1, 400, 300)
TARGET = box(100, 100, 300, 160)


def pixels(*polygons: np.ndarray) -> torch.Tensor:
    return rasterize(polygons, GRID) >= 0.5


def test_sites_lie_every_40_nm_of_long_edges() -> None:
    """An edge of 200 nm has four, one of 60 nm none; normals point outward whichever way round."""
    for polygon in (TARGET, TARGET[::-1]):
        sites = list_sites([polygon], SiteRule())
        assert sorted(sites.places[:, 0].tolist()) == [140, 140, 180, 180, 220, 220, 260, 260]
        assert np.array_equal(sites.normals[:, 1], np.where(sites.places[:, 1] == 100, -1.0, 1.0))
    assert len(list_sites([box(0, 0, 80, 10)], SiteRule()).places) == 2
    assert len(list_sites([], SiteRule()).places) == 0


@pytest.mark.parametrize(("top", "violated"), [(160, 0), (174, 0), (176, 4), (146, 0), (144, 4)])
def test_fifteen_nanometres(top: float, violated: int) -> None:
    """Further out or in than that, each site of the upper edge is violated."""
    printed = pixels(box(100, 100, 300, top))
    assert count_violations(printed, pixels(TARGET), list_sites([TARGET], SiteRule()), GRID, SiteRule()) == (
        violated,
        8,
    )


def test_edges_within_the_union_have_no_sites() -> None:
    """Two boxes that abut are one shape; nothing printed violates all that are left."""
    pair = [TARGET, box(100, 160, 300, 220)]
    nothing = torch.zeros(300, 400, dtype=torch.bool)
    assert count_violations(nothing, pixels(*pair), list_sites(pair, SiteRule()), GRID, SiteRule()) == (8, 8)
    beyond = box(-500, -500, -200, -300)
    assert count_violations(nothing, nothing, list_sites([beyond], SiteRule()), GRID, SiteRule()) == (0, 0)


def test_no_polygons() -> None:
    """What is no polygon is refused."""
    with pytest.raises(PolygonError, match="finite"):
        list_sites([np.asarray([[0, 0], [np.nan, 0], [1, 1]])], SiteRule())

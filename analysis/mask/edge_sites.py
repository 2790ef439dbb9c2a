"""Edge placement of a print against its target, counted at sites along the target's edges.

The rule is that of the ICCAD-2013 contest as OpenILT has it: sites every 40 nm along every edge of at least 80 nm, from
40 nm after its beginning to 40 nm before its end; a site is violated where the printed contour is more than 15 nm from
it along the edge's normal. Whether it is, is asked of two places: 15 nm inside must print, 15 nm outside must not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.mask.corners import Polygon, check_polygons
from analysis.mask.raster import PixelGrid


@dataclass(frozen=True)
class SiteRule:
    """Where sites are and how far the contour may be from them, in nanometres."""

    tolerance_nm: float = 15.0
    spacing_nm: float = 40.0
    least_edge_nm: float = 80.0


@dataclass(frozen=True)
class EdgeSites:
    """Sites, float64 of shape ``(sites, 2)``: places in nanometres, and normals that point outward."""

    places: NDArray[np.float64]
    normals: NDArray[np.float64]


def list_sites(polygons: Sequence[Polygon], rule: SiteRule) -> EdgeSites:
    """Return the sites along the edges of ``polygons``.

    Args:
        polygons: vertices in nm, each of shape ``(vertices, 2)``, either way round.
        rule: where sites are.
    """
    places, normals = [np.empty((0, 2))], [np.empty((0, 2))]
    for polygon in check_polygons(polygons):
        edges = np.roll(polygon, -1, axis=0) - polygon
        here = polygon - polygon[0]
        turn = np.sign(np.sum(here[:, 0] * edges[:, 1] - edges[:, 0] * here[:, 1]))
        for start, edge in zip(polygon, edges, strict=True):
            length = float(np.hypot(*edge))
            if length < rule.least_edge_nm:
                continue
            along = np.arange(rule.spacing_nm, length - rule.spacing_nm + 1e-9, rule.spacing_nm)
            places.append(start + along[:, None] * edge / length)
            normals.append(np.tile(turn * np.asarray((edge[1], -edge[0])) / length, (along.size, 1)))
    return EdgeSites(np.concatenate(places), np.concatenate(normals))


def count_violations(
    printed: torch.Tensor, target: torch.Tensor, sites: EdgeSites, grid: PixelGrid, rule: SiteRule
) -> tuple[int, int]:
    """Return how many sites are violated, and how many there are.

    Args:
        printed: pixels that print, bool, shape ``(rows, columns)``.
        target: pixels that are to print, bool, the same shape; sites within the union of polygons are left out.
        sites: along the target's edges.
        grid: of the pixels.
        rule: how far the contour may be.
    """
    half = grid.pixel_nm / 2
    real = _at(target, sites.places - half * sites.normals, grid) & ~_at(
        target, sites.places + half * sites.normals, grid
    )
    places, normals = sites.places[real], sites.normals[real]
    inside = _at(printed, places - rule.tolerance_nm * normals, grid)
    outside = _at(printed, places + rule.tolerance_nm * normals, grid)
    return int((~inside | outside).sum()), len(places)


def _at(pixels: torch.Tensor, places: NDArray[np.float64], grid: PixelGrid) -> NDArray[np.bool_]:
    """Return the pixels that places lie in; beyond the grid there is nothing."""
    columns = np.floor((places[:, 0] - grid.left_nm) / grid.pixel_nm).astype(np.int64)
    rows = np.floor((places[:, 1] - grid.bottom_nm) / grid.pixel_nm).astype(np.int64)
    within = (columns >= 0) & (columns < grid.columns) & (rows >= 0) & (rows < grid.rows)
    values = pixels.cpu().numpy()[np.where(within, rows, 0), np.where(within, columns, 0)]
    return np.asarray(values & within)

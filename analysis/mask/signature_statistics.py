"""How much the places of defects look like a cluster, a ring, a scratch or a repeater: one number each.

Each statistic looks through many windows (discs about defects, rings, strips, places of the reticle field), counts the
defects in each, and gives the largest surprise: ``-log10`` of the Poisson probability of as many or more in a window
of its area. The largest of many is large by chance, too: only a comparison with simulated maps tells (``signatures``),
as in J. Kulldorff's scan statistic (Commun. Stat. 26, 1997).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import gammainc, gammaln

from analysis.mask.inspected_regions import Region

Array = NDArray[np.float64]
Members = NDArray[np.int64]

CLUSTER_RADII = (0.01, 0.02, 0.05, 0.1)
RING_WIDTHS = (0.02, 0.05, 0.1, 0.2)
"""Of a ring's part of the area."""
SCRATCH_WIDTH, SCRATCH_LENGTH = 0.02, 0.5
_SCRATCH_ANGLES = 80
_REFERENCE_DRAWS = 40_000
_LEAST_MEMBERS = 3


@dataclass(frozen=True)
class ReticleField:
    """The fields that a reticle prints side by side.

    Attributes:
        width_um, height_um: pitch of the fields.
        x_um, y_um: where a corner of one of them lies.
        tolerance_um: how far the same place may be off from field to field.
    """

    width_um: float
    height_um: float
    x_um: float = 0.0
    y_um: float = 0.0
    tolerance_um: float = 2.0

    def __post_init__(self) -> None:
        if not (self.width_um > 0 and self.height_um > 0 and self.tolerance_um > 0):
            raise ValueError("the pitch of fields and the tolerance are positive")
        if self.tolerance_um * 4 > min(self.width_um, self.height_um):
            raise ValueError(f"a tolerance of {self.tolerance_um} um is too large for the field")

    def fold(self, xy_um: Array) -> tuple[Array, Members]:
        """Return the places ``xy_um``, ``(n, 2)``, within their field, and a number of each one's field."""
        pitch = np.array([self.width_um, self.height_um])
        steps = (xy_um - [self.x_um, self.y_um]) / pitch
        column, row = np.floor(steps).astype(np.int64).T
        return (steps - np.floor(steps)) * pitch, column * 100_003 + row


@dataclass(frozen=True)
class Window:
    """The most surprising window of a statistic.

    Attributes:
        surprise: ``-log10`` of the probability of as many defects in it.
        members: the defects in it.
        about: what it is, in micrometres and radians.
    """

    surprise: float
    members: Members
    about: dict[str, float]


NOTHING = Window(0.0, np.empty(0, np.int64), {})


class Statistics:
    """The statistics of maps of one region.

    Args:
        region: what was inspected.
        field: the reticle field; without it nothing repeats.
    """

    def __init__(self, region: Region, field: ReticleField | None = None) -> None:
        self.region, self.field = region, field
        self.kinds: dict[str, Callable[[Array], Window]] = {
            "cluster": self.cluster,
            "ring": self.ring,
            "scratch": self.scratch,
        }
        if field is not None:
            self.kinds["repeater"] = self.repeater

    @cached_property
    def _reference(self) -> Array:
        """Places by chance that stand for the region's shape; always the same ones."""
        return self.region.draw(_REFERENCE_DRAWS, np.random.default_rng(0))

    @cached_property
    def _radial(self) -> Array:
        return np.sort(np.hypot(*self._reference.T))

    def cluster(self, xy_um: Array) -> Window:
        """Return the disc about a defect of ``xy_um``, ``(n, 2)``, that holds most beyond expectation."""
        count = len(xy_um)
        if count < _LEAST_MEMBERS:
            return NOTHING
        tree = cKDTree(xy_um)
        best, where, reach = 0.0, -1, 0.0
        for part in CLUSTER_RADII:
            radius = part * self.region.radius_um
            expected = (count - 1) * min(1.0, math.pi * radius**2 / self.region.area_um2)
            inside = tree.query_ball_point(xy_um, radius, return_length=True) - 1
            most = int(np.argmax(inside))
            surprise = surprise_of(float(inside[most]), expected)
            if inside[most] + 1 >= _LEAST_MEMBERS and surprise > best:
                best, where, reach = surprise, most, radius
        if where < 0:
            return NOTHING
        members = np.sort(np.asarray(tree.query_ball_point(xy_um[where], reach), np.int64))
        x_um, y_um = xy_um[members].mean(axis=0).tolist()
        return Window(best, members, {"x_um": x_um, "y_um": y_um, "radius_um": reach})

    def ring(self, xy_um: Array) -> Window:
        """Return the ring about the sample's centre that holds most of ``xy_um``, ``(n, 2)``, beyond expectation."""
        count = len(xy_um)
        if count < _LEAST_MEMBERS:
            return NOTHING
        radius = np.hypot(*xy_um.T)
        order = np.argsort(radius, kind="stable")
        part = np.searchsorted(self._radial, radius[order]) / len(self._radial)
        best = NOTHING
        for width in RING_WIDTHS:
            ends = np.searchsorted(part, part + width, side="right")
            inside = ends - np.arange(count)
            most = int(np.argmax(inside))
            surprise = surprise_of(float(inside[most]), count * width)
            if surprise > best.surprise:
                members = np.sort(order[most : int(ends[most])])
                edges = {"inner_um": float(radius[members].min()), "outer_um": float(radius[members].max())}
                best = Window(surprise, members, edges)
        return best

    @cached_property
    def _axes(self) -> Array:
        """Directions along and across the strips, ``(angles, 2, 2)``."""
        angles = np.pi * np.arange(_SCRATCH_ANGLES) / _SCRATCH_ANGLES
        along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.stack([along, np.stack([-along[:, 1], along[:, 0]], axis=1)], axis=1)

    def scratch(self, xy_um: Array) -> Window:
        """Return the straight narrow piece of a strip that holds most of ``xy_um``, ``(n, 2)``, beyond expectation."""
        count = len(xy_um)
        if count < _LEAST_MEMBERS:
            return NOTHING
        size = np.array([SCRATCH_LENGTH, SCRATCH_WIDTH]) * self.region.radius_um
        expected = count * float(size.prod()) / self.region.area_um2
        steps = (np.einsum("aij,nj->ain", self._axes, xy_um) + self.region.radius_um) / size[:, None]
        limits = [math.ceil(2 / part) + 2 for part in (SCRATCH_LENGTH, SCRATCH_WIDTH)]
        base = np.arange(len(steps))[:, None] * (limits[0] * limits[1])
        most, where = 0, np.empty((0, 2), np.int64)
        for along in (0, 0.5):
            column = np.clip(steps[:, 0] + along, 0, limits[0] - 1).astype(np.int64) * limits[1] + base
            for across in (0, 0.5):
                cells = column + np.clip(steps[:, 1] + across, 0, limits[1] - 1).astype(np.int64)
                inside = np.bincount(cells.ravel())
                fullest = int(np.argmax(inside))
                if inside[fullest] > most:
                    most, where = int(inside[fullest]), np.argwhere(cells == fullest)
        if most < _LEAST_MEMBERS:
            return NOTHING
        axis = self._axes[where[0, 0]]
        return Window(surprise_of(float(most), expected), *self._extend(xy_um, axis, where[:, 1]))

    def _extend(self, xy_um: Array, axis: Array, members: Members) -> tuple[Members, dict[str, float]]:
        """Return all defects on the line through ``members``, and where it runs."""
        centre = xy_um[members].mean(axis=0)
        _, _, directions = np.linalg.svd(xy_um[members] - centre)
        direction = directions[0] * (1.0 if directions[0] @ axis[0] >= 0 else -1.0)
        offset = xy_um - centre
        across = np.abs(offset @ [-direction[1], direction[0]])
        along = offset @ direction
        width, length = SCRATCH_WIDTH * self.region.radius_um, SCRATCH_LENGTH * self.region.radius_um
        line = np.flatnonzero((across <= width / 2) & (np.abs(along) <= length))
        start, end = float(along[line].min()), float(along[line].max())
        (x0, y0), (x1, y1) = (centre + direction * start).tolist(), (centre + direction * end).tolist()
        return line, {"x0_um": x0, "y0_um": y0, "x1_um": x1, "y1_um": y1, "width_um": width}

    def repeater(self, xy_um: Array) -> Window:
        """Return the place of the field where defects of ``xy_um``, ``(n, 2)``, of most different fields lie."""
        return max(self.repeaters(xy_um), key=lambda each: each.surprise, default=NOTHING)

    def repeaters(self, xy_um: Array) -> list[Window]:
        """Return every place of the field where defects of ``xy_um``, ``(n, 2)``, of two or more fields lie."""
        if self.field is None or len(xy_um) < 2:
            return []
        folded, number = self.field.fold(xy_um)
        pitch = [self.field.width_um, self.field.height_um]
        tree = cKDTree(np.minimum(folded, np.nextafter(pitch, 0)), boxsize=pitch)
        area = math.pi * self.field.tolerance_um**2 / (pitch[0] * pitch[1])
        near = tree.query_ball_point(tree.data, self.field.tolerance_um)
        fields = np.array([len(set(number[each].tolist())) for each in near])
        taken = np.zeros(len(xy_um), np.bool_)
        found = []
        for centre in np.argsort(-fields, kind="stable"):
            if fields[centre] < 2:
                break
            members = np.asarray(sorted(near[centre]), np.int64)
            if taken[members].any():
                continue
            taken[members] = True
            surprise = surprise_of(float(fields[centre] - 1), (len(xy_um) - 1) * area)
            x_um, y_um = folded[centre].tolist()
            about = {"field_x_um": x_um, "field_y_um": y_um, "fields": float(fields[centre])}
            found.append(Window(surprise, members, about))
        return found


def surprise_of(count: float, expected: float) -> float:
    """Return ``-log10`` of the Poisson probability of ``count`` or more where ``expected`` are expected."""
    if count <= 0 or expected <= 0:
        return 0.0
    tail = float(gammainc(count, expected))
    if tail > 1e-280:
        return -math.log10(tail)
    # The first term of the tail, with the geometric series that bounds the rest.
    first = count * math.log(expected) - expected - float(gammaln(count + 1))
    return -(first - math.log1p(-min(expected / (count + 1), 1 - 1e-12))) / math.log(10)

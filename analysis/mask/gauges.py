"""Printed widths and edges near a place, and how a defect changes them.

A gauge is a piece of a scan line between two neighbouring edges: a line or a space, wherever both edges stand square
enough to the line and the piece is wide enough to be a feature. The same piece is looked for in the image with the
defect: its edges by direction and nearness. What widths cannot say, regions do: features that join, part, vanish or
appear, of exposed and of unexposed resist.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analysis.mask.contours import Crossings

EXPOSED, UNEXPOSED = "exposed", "unexposed"
AXES = ("x", "y")


@dataclass(frozen=True)
class Gauge:
    """A width along a scan line, in nanometres in the window's frame.

    Attributes:
        axis: 0 along x, 1 along y.
        at_nm: of the line, on the other axis.
        low_nm, high_nm: both edges.
        phase: :data:`EXPOSED` or :data:`UNEXPOSED` resist between them.
    """

    axis: int
    at_nm: float
    low_nm: float
    high_nm: float
    phase: str

    @property
    def width_nm(self) -> float:
        """Distance of the edges."""
        return self.high_nm - self.low_nm


@dataclass(frozen=True)
class GaugeChange:
    """A gauge without the defect, and what the defect does to it.

    Attributes:
        gauge: without the defect.
        low_shift_nm, high_shift_nm: how far the edges move outward (edge placement).
    """

    gauge: Gauge
    low_shift_nm: float
    high_shift_nm: float

    @property
    def width_change_nm(self) -> float:
        """Change of the width (delta CD)."""
        return self.low_shift_nm + self.high_shift_nm

    @property
    def fraction(self) -> float:
        """Change over the width."""
        return self.width_change_nm / self.gauge.width_nm


@dataclass(frozen=True)
class GaugeRule:
    """What counts as a gauge: at least ``least_nm`` wide, both edges at most ``arccos(least_cosine)`` from square."""

    least_nm: float
    least_cosine: float = 0.7


@dataclass(frozen=True)
class TopologyChange:
    """What joined, parted, vanished or appeared (``kind``) of which ``phase``, about where, in the window's frame."""

    kind: str
    phase: str
    x_nm: float
    y_nm: float


def list_gauges(crossings: Crossings, axis: int, at_nm: NDArray[np.float64], rule: GaugeRule) -> list[Gauge]:
    """Return the gauges between neighbouring ``crossings``.

    Args:
        crossings: along lines of ``axis``.
        axis: 0 along x, 1 along y.
        at_nm: of the lines, shape ``(lines,)``.
        rule: what counts.
    """
    found = []
    for first in range(crossings.line.size - 1):
        if _bound_gauge(crossings, first, rule):
            low, high = float(crossings.place_nm[first]), float(crossings.place_nm[first + 1])
            phase = EXPOSED if crossings.rises[first] else UNEXPOSED
            found.append(Gauge(axis, float(at_nm[crossings.line[first]]), low, high, phase))
    return found


def _bound_gauge(crossings: Crossings, first: int, rule: GaugeRule) -> bool:
    """Say whether the crossing ``first`` and the next one are the edges of a gauge."""
    second = first + 1
    if first < 0 or second >= crossings.line.size or crossings.line[first] != crossings.line[second]:
        return False
    square = min(crossings.cosine[first], crossings.cosine[second]) >= rule.least_cosine
    return bool(square and crossings.place_nm[second] - crossings.place_nm[first] >= rule.least_nm)


def largest_open_part(
    before: Crossings, after: Crossings, ends_nm: tuple[float, float], rule: GaugeRule
) -> float | None:
    """Return the largest shift of an edge that no gauge has, over what is known of the widths beside it.

    The widths reach at least to the next edge or to the end of the line: the change of a width is this part of it at
    most. An edge that is gone counts as 1.

    Args:
        before: crossings without the defect.
        after: with it, along the same lines.
        ends_nm: where the lines start and stop.
        rule: what counts as a gauge.

    Returns:
        ``None`` where every edge that stands square to its line belongs to a gauge.
    """
    largest = None
    for number in range(before.line.size):
        gauged = _bound_gauge(before, number - 1, rule) or _bound_gauge(before, number, rule)
        if gauged or before.cosine[number] < rule.least_cosine:
            continue
        place, line = float(before.place_nm[number]), before.line[number]
        others = np.delete(before.place_nm[before.line == line], np.sum(before.line[:number] == line))
        known = max(float(np.abs(np.append(others, ends_nm) - place).min()), rule.least_nm)
        same = after.place_nm[(after.line == line) & (after.rises == before.rises[number])]
        part = min(1.0, float(np.abs(same - place).min(initial=np.inf)) / known)
        largest = part if largest is None else max(largest, part)
    return largest


def measure_change(gauge: Gauge, crossings: Crossings, at_nm: NDArray[np.float64]) -> GaugeChange | None:
    """Return how ``gauge`` looks in another image, or ``None`` where an edge of it is gone.

    An edge is the nearest crossing on the line in the same direction, not farther than half the gauge's width.

    Args:
        gauge: without the defect.
        crossings: of the other image along the same lines.
        at_nm: of the lines, shape ``(lines,)``.
    """
    here = at_nm[crossings.line] == gauge.at_nm
    ends = []
    for place, rises in ((gauge.low_nm, gauge.phase == EXPOSED), (gauge.high_nm, gauge.phase != EXPOSED)):
        same = crossings.place_nm[here & (crossings.rises == rises)]
        if not same.size:
            return None
        nearest = float(same[np.argmin(np.abs(same - place))])
        if abs(nearest - place) > gauge.width_nm / 2:
            return None
        ends.append(nearest - place)
    return GaugeChange(gauge, -ends[0], ends[1])


def compare_topology(
    clean: NDArray[np.bool_], other: NDArray[np.bool_], pixel_nm: tuple[float, float]
) -> list[TopologyChange]:
    """Return what joins, parts, vanishes or appears from one print to the other.

    Args:
        clean: exposed pixels without the defect, shape ``(rows, columns)``.
        other: with it, the same shape.
        pixel_nm: width and height of a pixel; places are from pixel (0, 0).
    """
    found = []
    for phase, first, second in ((EXPOSED, clean, other), (UNEXPOSED, ~clean, ~other)):
        before, _ = ndimage.label(first)
        after, _ = ndimage.label(second)
        joined = _overlaps(after, before, ("joined", "appeared"), phase, pixel_nm)
        parted = _overlaps(before, after, ("parted", "vanished"), phase, pixel_nm)
        found += [*joined, *parted]
    return found


def _overlaps(
    regions: NDArray[np.int32],
    others: NDArray[np.int32],
    kinds: tuple[str, str],
    phase: str,
    pixel_nm: tuple[float, float],
) -> list[TopologyChange]:
    """Return every region that lies over two or more of the others (first kind), or over none (second)."""
    count = int(regions.max(initial=0))
    over: list[set[int]] = [set() for _ in range(count + 1)]
    width = int(others.max(initial=0)) + 1
    for pair in np.unique(regions.astype(np.int64) * width + others):
        region, other = divmod(int(pair), width)
        if region and other:
            over[region].add(other)
    found = []
    for region in range(1, count + 1):
        if len(over[region]) == 1:
            continue
        whole = regions == region
        new = whole & (others == 0)
        rows, columns = np.nonzero(new if new.any() else whole)
        x, y = float(columns.mean() * pixel_nm[0]), float(rows.mean() * pixel_nm[1])
        found.append(TopologyChange(kinds[0] if over[region] else kinds[1], phase, x, y))
    return found

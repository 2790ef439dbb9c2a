"""Which nets and cells lie under places that are known with an error ellipse.

On one layer nets do not overlap, so that the probabilities of a layer's nets exclude each other; the rest is no
conductor. Different layers lie over each other: their probabilities are not to be added.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.coordinates.affine import Points
from analysis.mask.shape_grid import ShapeGrid
from analysis.mask.spot_mass import LEAST_SIGMA_UM, trapezoid_mass

Array = NDArray[np.float64]

REACH_SIGMAS = 6.0
"""How far from the place shapes are looked for: what lies beyond holds less than 4e-9."""
LEAST_PROBABILITY = 1e-6
_LEAST_REACH_UM = 1e-6


@dataclass(frozen=True)
class NetUnder:
    """A net that a place may be on.

    Attributes:
        layer: place in the list of layers.
        net: number of the net.
        probability: that the place is on the net's shapes of the layer.
        at_centre: whether the middle of the ellipse is.
    """

    layer: int
    net: int
    probability: float
    at_centre: bool


@dataclass(frozen=True)
class InstanceUnder:
    """An instance whose outline a place may be in, and how probable that is."""

    instance: int
    probability: float


@dataclass(frozen=True)
class PlaceNets:
    """What lies under a place.

    Attributes:
        nets: by layer in their order, the likeliest of a layer first.
        none_on: probability of each layer that none of its nets is there, ``(layers,)``.
        instances: the likeliest first, those of equal probability from the top down.
        inside: whether the middle of the ellipse lies within the box around everything.
    """

    nets: tuple[NetUnder, ...]
    none_on: Array
    instances: tuple[InstanceUnder, ...]
    inside: bool


@dataclass(frozen=True)
class NetShapes:
    """The traced nets of a layout.

    Attributes:
        unit_um: micrometres of the unit in which the rest is.
        trapezoids: ``(n, 6)``: y of the lower and upper side, x of the ends of the lower side, of the upper side;
            those of a layer do not overlap.
        layer: ``(n,)`` of each.
        net: ``(n,)`` of each.
        layer_count: number of layers.
        instance_boxes: ``(m, 4)``: left, bottom, right, top of the outlines of instances, parents before children.
    """

    unit_um: float
    trapezoids: NDArray[np.int32]
    layer: NDArray[np.int16]
    net: NDArray[np.int32]
    layer_count: int
    instance_boxes: NDArray[np.int32]


class NetIndex:
    """Answers questions about places in a layout.

    Args:
        shapes: the nets of the layout.
    """

    def __init__(self, shapes: NetShapes) -> None:
        self.shapes = shapes
        self.trapezoids_um = shapes.trapezoids.astype(np.float64) * shapes.unit_um
        ends = self.trapezoids_um[:, 2:]
        boxes = np.column_stack(
            (
                ends.min(axis=1, initial=np.inf),
                self.trapezoids_um[:, 0],
                ends.max(axis=1, initial=-np.inf),
                self.trapezoids_um[:, 1],
            )
        )
        self.grid = ShapeGrid(boxes)
        self.instance_grid = ShapeGrid(shapes.instance_boxes.astype(np.float64) * shapes.unit_um)
        everything = np.concatenate([self.grid.boxes, self.instance_grid.boxes])
        self.box_um: Array | None = (
            np.concatenate([everything[:, :2].min(axis=0), everything[:, 2:].max(axis=0)]) if len(everything) else None
        )

    def under(self, places_um: Points) -> list[PlaceNets]:
        """Return what lies under each of ``places_um``, micrometres in the layout's frame."""
        count, shapes = len(places_um.xy), self.shapes
        windows = _windows(places_um)
        place, trapezoid = self.grid.overlapping(windows)
        relative = _moved(self.trapezoids_um[trapezoid], places_um.xy[place])
        mass = trapezoid_mass(relative, places_um.covariance[place])
        covered = _covers(relative)
        layers, nets = shapes.layer[trapezoid].astype(np.int64), shapes.net[trapezoid].astype(np.int64)
        order = np.lexsort((nets, layers, place))
        keys = np.column_stack([place, layers, nets])[order]
        found: list[list[NetUnder]] = [[] for _ in range(count)]
        none_on = np.ones((count, shapes.layer_count))
        if len(keys):
            starts = np.flatnonzero(np.r_[True, (np.diff(keys, axis=0) != 0).any(axis=1)])
            sums = np.minimum(np.add.reduceat(mass[order], starts), 1.0)
            hits = np.logical_or.reduceat(covered[order], starts)
            heads = keys[starts]
            np.add.at(none_on, (heads[:, 0], heads[:, 1]), -sums)
            ranked = np.lexsort((heads[:, 2], -sums, heads[:, 1], heads[:, 0]))
            ranked = ranked[(sums[ranked] >= LEAST_PROBABILITY) | hits[ranked]]
            columns = (heads[ranked, 0], heads[ranked, 1], heads[ranked, 2], sums[ranked], hits[ranked])
            for which, layer, net, part, hit in zip(*(column.tolist() for column in columns), strict=True):
                found[which].append(NetUnder(layer, net, part, hit))
        none_on = np.clip(none_on, 0.0, 1.0)
        instances, inside = self._instances(places_um, windows), self._inside(places_um.xy).tolist()
        return [
            PlaceNets(tuple(found[number]), none_on[number], tuple(instances[number]), inside[number])
            for number in range(count)
        ]

    def _instances(self, places_um: Points, windows: Array) -> list[list[InstanceUnder]]:
        place, instance = self.instance_grid.overlapping(windows)
        boxes = self.instance_grid.boxes[instance]
        relative = _moved(boxes[:, [1, 3, 0, 2, 0, 2]], places_um.xy[place])
        mass = np.minimum(trapezoid_mass(relative, places_um.covariance[place]), 1.0)
        found: list[list[InstanceUnder]] = [[] for _ in range(len(places_um.xy))]
        ranked = np.lexsort((instance, -mass, place))
        ranked = ranked[mass[ranked] >= LEAST_PROBABILITY]
        columns = (place[ranked], instance[ranked], mass[ranked])
        for which, number, part in zip(*(column.tolist() for column in columns), strict=True):
            found[which].append(InstanceUnder(number, part))
        return found

    def _inside(self, xy: Array) -> NDArray[np.bool_]:
        if self.box_um is None:
            return np.zeros(len(xy), np.bool_)
        return np.asarray(((xy >= self.box_um[:2]) & (xy <= self.box_um[2:])).all(axis=1))


def _windows(places_um: Points) -> Array:
    reach = np.maximum(places_um.sigma_along_axes, LEAST_SIGMA_UM) * REACH_SIGMAS + _LEAST_REACH_UM
    return np.concatenate([places_um.xy - reach, places_um.xy + reach], axis=1)


def _moved(trapezoids: Array, xy: Array) -> Array:
    """Return ``trapezoids``, ``(n, 6)``, relative to ``xy``, ``(n, 2)``."""
    moved: Array = trapezoids - xy[:, [1, 1, 0, 0, 0, 0]]
    return moved


def _covers(relative: Array) -> NDArray[np.bool_]:
    """Return whether each trapezoid, relative to a place, holds it or touches it."""
    low, high = relative[:, 0], relative[:, 1]
    part = np.clip(-low / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    left = relative[:, 2] + part * (relative[:, 4] - relative[:, 2])
    right = relative[:, 3] + part * (relative[:, 5] - relative[:, 3])
    return np.asarray((low <= 0) & (high >= 0) & (left <= 0) & (right >= 0))

"""What defects do to a layout: which nets they lie on, touch, join and sever, how probably, and which are nuisance.

A defect is a disc of its size about a place that is known with an error ellipse. Its **criticality** is the
probability that it makes a fault, over the ellipse::

    extra material:    P(the disc touches two or more nets of the layer)                    a bridge
    missing material:  P(the disc covers a shape of the layer from edge to edge)            a cut
    unknown:           the larger of the two

This is the local form of the critical area of a defect size (C. H. Stapper, IBM J. Res. Dev. 27, 1983), with the
place's distribution instead of a uniform one. Probabilities are means over a fixed set of low-discrepancy places
(the plastic-number sequence of M. Roberts, mapped to the normal distribution); their standard error is bounded by that
of as many random places.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.coordinates.affine import Points
from analysis.mask.nets import REACH_SIGMAS, NetIndex, NetUnder, PlaceNets
from analysis.mask.trapezoid_geometry import distances, edge_distance, severs

Array = NDArray[np.float64]
Tone = Literal["extra", "missing", "unknown"]
TONES: tuple[Tone, ...] = ("extra", "missing", "unknown")

NODES = 512
NUISANCE_BELOW = 0.01
"""Criticality under which a defect is nuisance, its standard error allowed for three times."""
LOOK_UM = 2.0
"""How far edges are looked for beyond the defect itself."""
_PLASTIC = 1.32471795724474602596


@dataclass(frozen=True)
class Defects:
    """Defects in a layout.

    Attributes:
        places_um: ``n`` places with their covariance, micrometres in the layout's frame.
        diameters_um: float64 ``(n,)``, size of each; NaN where it is not known.
        tones: ``(n,)`` of :data:`TONES`.
    """

    places_um: Points
    diameters_um: Array
    tones: tuple[Tone, ...]

    def __post_init__(self) -> None:
        count = len(self.places_um.xy)
        if self.diameters_um.shape != (count,) or len(self.tones) != count:
            raise ValueError(f"{count} places, sizes of shape {self.diameters_um.shape} and {len(self.tones)} tones")
        known = self.diameters_um[~np.isnan(self.diameters_um)]
        if (known < 0).any() or np.isinf(known).any():
            raise ValueError("a size is negative or infinite")


@dataclass(frozen=True)
class TouchedNet:
    """A net that a defect may reach.

    Attributes:
        net: its number.
        on: probability that the defect's middle is on it.
        touched: probability that the disc reaches it; ``None`` where the size is not known.
        severed: probability that the disc covers it from edge to edge; ``None`` likewise.
    """

    net: int
    on: float
    touched: float | None
    severed: float | None


@dataclass(frozen=True)
class LayerImpact:
    """What a defect does on one layer.

    Attributes:
        layer: place in the index's list of layers.
        nets: the likeliest touched first.
        bridge, cut: probabilities of two nets touched, of a shape covered; ``None`` where the size is not known.
        bridged: the two nets that are joined most often; ``None`` where none are.
        edge_um: from the middle to the nearest edge, negative inside a shape; ``None`` if farther than looked for.
        next_um: from the middle to the nearest shape of a second net; ``None`` likewise.
    """

    layer: int
    nets: tuple[TouchedNet, ...]
    bridge: float | None
    cut: float | None
    bridged: tuple[int, int] | None
    edge_um: float | None
    next_um: float | None


@dataclass(frozen=True)
class DefectImpact:
    """What a defect does.

    Attributes:
        layers: those on which something is near, in their order.
        criticality: see the module; the largest of its layers; ``None`` where the size is not known, or the middle
            lies outside the layout.
        sigma: standard error of the criticality by the finite number of places.
        mode: ``"bridge"``, ``"cut"`` or ``"none"``.
        layer: on which layer; ``None`` where on none.
        nuisance: whether the criticality is below the bound, its error allowed for.
        under: nets and cells under the middle's ellipse.
    """

    layers: tuple[LayerImpact, ...]
    criticality: float | None
    sigma: float | None
    mode: str
    layer: int | None
    nuisance: bool
    under: PlaceNets


def overlay_defects(
    index: NetIndex, defects: Defects, layers: tuple[int, ...], nuisance_below: float = NUISANCE_BELOW
) -> list[DefectImpact]:
    """Return what each of ``defects`` does.

    Args:
        index: the nets of the layout.
        defects: in the layout's frame.
        layers: places in the index's list of the layers that a defect may be on.
        nuisance_below: criticality under which a defect is nuisance.
    """
    under = index.under(defects.places_um)
    radii = np.where(np.isnan(defects.diameters_um), 0.0, defects.diameters_um) / 2
    reach = (defects.places_um.sigma_along_axes * REACH_SIGMAS + radii[:, None]) + LOOK_UM
    windows = np.concatenate([defects.places_um.xy - reach, defects.places_um.xy + reach], axis=1)
    defect, trapezoid = index.grid.overlapping(windows)
    starts = np.searchsorted(defect, np.arange(len(defects.tones) + 1))
    nodes = normal_nodes(NODES)
    impacts = []
    for number, tone in enumerate(defects.tones):
        near = trapezoid[starts[number] : starts[number + 1]]
        places = defects.places_um.xy[number] + nodes @ _root(defects.places_um.covariance[number]).T
        diameter = float(defects.diameters_um[number])
        disc = _Disc(defects.places_um.xy[number], places, None if math.isnan(diameter) else diameter / 2)
        found = []
        for layer in layers:
            mine = near[index.shapes.layer[near] == layer]
            if len(mine):
                on = tuple(each for each in under[number].nets if each.layer == layer)
                found.append(_impact_on(layer, index.trapezoids_um[mine], index.shapes.net[mine], disc, on))
        impacts.append(_judge(tuple(found), tone, under[number], nuisance_below, known=disc.radius is not None))
    return impacts


def normal_nodes(count: int) -> Array:
    """Return ``count`` places that stand for the plane's standard normal distribution, ``(count, 2)``."""
    steps = np.array([1 / _PLASTIC, 1 / _PLASTIC**2])
    uniform = (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0
    nodes: Array = ndtri(np.clip(uniform, 0.5 / count, 1 - 0.5 / count))
    return nodes


def _root(covariance: Array) -> Array:
    """Return a square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root: Array = vectors * np.sqrt(np.clip(values, 0.0, None))
    return root


@dataclass(frozen=True)
class _Disc:
    middle: Array
    places: Array
    radius: float | None


def _impact_on(
    layer: int, trapezoids: Array, owners: NDArray[np.int32], disc: _Disc, on: tuple[NetUnder, ...]
) -> LayerImpact:
    nets = np.unique(owners)
    from_middle = distances(disc.middle[None], trapezoids)[0]
    by_net = np.array([from_middle[owners == net].min() for net in nets])
    nearest = np.argsort(by_net, kind="stable")
    edge_um = edge_distance(disc.middle, trapezoids[owners == nets[nearest[0]]])
    next_um = float(by_net[nearest[1]]) if len(nets) > 1 else None
    centre = {each.net: each.probability for each in on}
    if disc.radius is None:
        listed = tuple(TouchedNet(each.net, each.probability, None, None) for each in on)
        return LayerImpact(layer, listed, None, None, None, edge_um, next_um)
    # Farther than the disc gets from any of its places nothing is touched, and no run of a shape is cut short.
    farthest = float(np.hypot(*(disc.places - disc.middle).T).max()) + disc.radius
    close = from_middle <= farthest
    trapezoids, owners = trapezoids[close], owners[close]
    nets = np.unique(np.concatenate([owners, np.asarray(list(centre), owners.dtype)]))
    touched, severed = _touched_and_severed(disc, disc.radius, trapezoids, (owners, nets))
    listed = tuple(
        TouchedNet(int(net), centre.get(int(net), 0.0), float(part), float(through))
        for net, part, through in zip(nets, touched.mean(axis=0), severed.mean(axis=0), strict=True)
        if part > 0 or int(net) in centre
    )
    ranked = tuple(sorted(listed, key=lambda each: (-(each.touched or 0.0), -each.on, each.net)))
    joined = touched.sum(axis=1) >= 2
    bridged = _likeliest_pair(touched[joined], nets) if joined.any() else None
    return LayerImpact(
        layer, ranked, float(joined.mean()), float(severed.any(axis=1).mean()), bridged, edge_um, next_um
    )


def _touched_and_severed(
    disc: _Disc, radius: float, trapezoids: Array, shapes: tuple[NDArray[np.int32], NDArray[np.int32]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which nets the disc touches and covers from edge to edge at each of its places, ``(places, nets)``."""
    owners, nets = shapes
    touched = np.zeros((len(disc.places), len(nets)), np.bool_)
    severed = np.zeros_like(touched)
    away = distances(disc.places, trapezoids)
    for place, net in enumerate(nets):
        own = owners == net
        if own.any():
            touched[:, place] = (away[:, own] <= radius).any(axis=1)
            if touched[:, place].any():
                severed[:, place] = touched[:, place] & severs(disc.places, radius, trapezoids[own])
    return touched, severed


def _likeliest_pair(touched: NDArray[np.bool_], nets: NDArray[np.int32]) -> tuple[int, int]:
    together = touched.T.astype(np.float64) @ touched.astype(np.float64)
    first, second = np.unravel_index(np.argmax(np.triu(together, 1)), together.shape)
    return int(nets[first]), int(nets[second])


def _judge(
    layers: tuple[LayerImpact, ...], tone: Tone, under: PlaceNets, nuisance_below: float, *, known: bool
) -> DefectImpact:
    if not (known and under.inside):
        return DefectImpact(layers, None, None, "none", None, False, under)
    best, mode, where = 0.0, "none", None
    for impact in layers:
        for name, part in (("bridge", impact.bridge), ("cut", impact.cut)):
            allowed = tone == "unknown" or (tone == "extra") == (name == "bridge")
            if allowed and part is not None and part > best:
                best, mode, where = part, name, impact.layer
    # Wilson's centre keeps the error of 0 of n and n of n from being 0.
    shrunk = (best * NODES + 0.5) / (NODES + 1)
    sigma = math.sqrt(shrunk * (1 - shrunk) / NODES)
    return DefectImpact(layers, best, sigma, mode, where, best + 3 * sigma < nuisance_below, under)

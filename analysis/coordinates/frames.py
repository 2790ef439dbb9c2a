"""Named coordinate frames (mask, wafer, die, package, stage, image, layout) and the maps between them.

The frames form a tree: there is exactly one way from one to another, so that no two answers can disagree unnoticed.
A map that would close a loop is refused; whoever has two measurements of the same map fits them together.
"""

from dataclasses import dataclass, field

import numpy as np

from analysis.coordinates.affine import Affine, Points


class FramesRefused(ValueError):  # noqa: N818
    """A frame is not known, not connected, or connected twice."""


@dataclass(frozen=True)
class Link:
    """A map between two frames and where it comes from.

    Attributes:
        source, target: names of the frames.
        transform: source to target, in the units of the two.
        provenance: who says so: a calibration, a fit, a definition.
    """

    source: str
    target: str
    transform: Affine
    provenance: str


@dataclass
class Frames:
    """A tree of frames.

    Attributes:
        units: the unit of each frame's coordinates by its name.
    """

    units: dict[str, str]
    _links: list[Link] = field(default_factory=list)

    def connect(self, link: Link) -> None:
        """Add ``link``; raises :class:`FramesRefused` when a frame has no unit or the two are connected already."""
        for name in (link.source, link.target):
            self._require(name)
        if link.source == link.target or self._path(link.source, link.target) is not None:
            raise FramesRefused(f"the frames {link.source!r} and {link.target!r} are connected already")
        link.transform.inverse()  # raises where the map has no way back
        self._links.append(link)

    def between(self, source: str, target: str) -> Affine:
        """Return the map from the frame ``source`` to ``target`` along the only way; raises :class:`FramesRefused`."""
        path = self._walk(source, target)
        transform = Affine.identity()
        for link, forward in path:
            transform = transform.then(link.transform if forward else link.transform.inverse())
        return transform

    def provenance(self, source: str, target: str) -> tuple[str, ...]:
        """Return where each map on the way from ``source`` to ``target`` comes from."""
        return tuple(link.provenance for link, _ in self._walk(source, target))

    def convert(self, points: Points, source: str, target: str) -> Points:
        """Return ``points`` of the frame ``source`` in the frame ``target``; raises :class:`FramesRefused`."""
        return self.between(source, target).apply(points)

    def _walk(self, source: str, target: str) -> list[tuple[Link, bool]]:
        for name in (source, target):
            self._require(name)
        path = self._path(source, target)
        if path is None:
            raise FramesRefused(f"no map leads from {source!r} to {target!r}")
        return path

    def _require(self, name: str) -> None:
        if name not in self.units:
            raise FramesRefused(f"there is no frame {name!r}; known: {', '.join(sorted(self.units))}")

    def _path(self, source: str, target: str) -> list[tuple[Link, bool]] | None:
        ways: dict[str, list[tuple[Link, bool]]] = {source: []}
        waiting = [source]
        while waiting:
            here = waiting.pop()
            if here == target:
                return ways[here]
            for link in self._links:
                for start, end, forward in ((link.source, link.target, True), (link.target, link.source, False)):
                    if start == here and end not in ways:
                        ways[end] = [*ways[here], (link, forward)]
                        waiting.append(end)
        return None


def mask_to_wafer(magnification: float = 4.0, *, mirrored: bool = True) -> Affine:
    """Return the map of a mask's coordinates to the wafer's: reduced ``magnification`` times, ``mirrored`` in x.

    A mask is written as seen from its chrome side and printed through the glass, which turns it over.
    """
    if not magnification > 0.0:
        raise ValueError(f"a magnification is positive, not {magnification}")
    scale = 1.0 / magnification
    return Affine.exact(np.array([[-scale if mirrored else scale, 0.0], [0.0, scale]]))


def backside_mirror(width: float) -> Affine:
    """Return the map of a die's coordinates to those seen through its backside: x counted from the other edge.

    Args:
        width: of the die, in the frame's unit.
    """
    return Affine.exact(np.array([[-1.0, 0.0], [0.0, 1.0]]), (width, 0.0))

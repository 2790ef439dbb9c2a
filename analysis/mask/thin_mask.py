"""The mask as a thin screen: what each place transmits, with defects and repairs over it.

A binary mask transmits all or nothing. The absorber of an attenuated phase-shift mask transmits a part of the light,
turned by half a wave. A patch (a defect, what a repair left) replaces or changes what lies under it; its field is added
exactly, by the overlap of its polygon with the drawn pattern. All lengths are on the wafer.
"""

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.mask.corners import Polygon, PolygonError, boxes_of, check_polygons, is_manhattan, merge_manhattan
from analysis.mask.harmonics import Reach
from analysis.mask.optics import Tile
from analysis.mask.spectrum import clip_to_box, harmonics_of_corners, harmonics_of_polygons

CLEAR, ABSORBER = "clear", "absorber"
_NO_AREA = 1e-9
_INSIDE = 1e-9


class MaskError(ValueError):
    """A mask, defect or repair that cannot be modelled; the message says why."""


@dataclass(frozen=True)
class MaskKind:
    """What is drawn, and what the absorber does.

    Attributes:
        drawn: ``"clear"`` when polygons are openings, ``"absorber"`` when they are absorber.
        absorber_transmission: part of the intensity that the absorber lets through: 0 for a binary mask, 0.06 for a
            usual attenuated phase-shift mask.
        absorber_phase_deg: phase of that light against clear quartz.
    """

    drawn: str = CLEAR
    absorber_transmission: float = 0.0
    absorber_phase_deg: float = 180.0

    def __post_init__(self) -> None:
        if self.drawn not in (CLEAR, ABSORBER):
            raise MaskError(f"polygons are drawn {CLEAR!r} or {ABSORBER!r}, not {self.drawn!r}")
        if not (0 <= self.absorber_transmission < 1 and math.isfinite(self.absorber_phase_deg)):
            raise MaskError(
                f"an absorber transmits from 0 to below 1 with a finite phase, not {self.absorber_transmission} at"
                f" {self.absorber_phase_deg} degrees"
            )

    @property
    def absorber(self) -> complex:
        """Amplitude behind the absorber."""
        return cmath.rect(math.sqrt(self.absorber_transmission), math.radians(self.absorber_phase_deg))

    @property
    def inside(self) -> complex:
        """Amplitude within drawn polygons."""
        return 1.0 + 0j if self.drawn == CLEAR else self.absorber

    @property
    def outside(self) -> complex:
        """Amplitude outside of drawn polygons."""
        return self.absorber if self.drawn == CLEAR else 1.0 + 0j


@dataclass(frozen=True)
class Patch:
    """A place of the mask that transmits something else.

    Attributes:
        polygon: vertices on the wafer in nm, shape ``(vertices, 2)``, not crossing itself.
        on_clear: amplitude where the mask would be clear.
        on_absorber: amplitude where it would be absorber.
    """

    polygon: Polygon
    on_clear: complex
    on_absorber: complex


def opaque_patch(polygon: Polygon) -> Patch:
    """Return a patch of ``polygon`` (nm) that lets nothing through, whatever lies under it."""
    return Patch(polygon, 0j, 0j)


def clear_patch(polygon: Polygon) -> Patch:
    """Return a patch of ``polygon`` (nm) where the absorber is missing."""
    return Patch(polygon, 1 + 0j, 1 + 0j)


def absorber_patch(polygon: Polygon, kind: MaskKind) -> Patch:
    """Return a patch of ``polygon`` (nm) where there is absorber of ``kind`` that should not be."""
    return Patch(polygon, kind.absorber, kind.absorber)


def transmitting_patch(polygon: Polygon, kind: MaskKind, transmission: float, phase_deg: float = 0.0) -> Patch:
    """Return a patch that changes whatever light passes there: a stain, a particle, haze.

    Args:
        polygon: vertices in nm, shape ``(vertices, 2)``.
        kind: of the mask.
        transmission: part of the intensity that is left, 0 to 1.
        phase_deg: phase that is added.

    Raises:
        MaskError: the transmission is not from 0 to 1, or the phase is not finite.
    """
    if not (0 <= transmission <= 1 and math.isfinite(phase_deg)):
        raise MaskError(
            f"a patch leaves 0 to 1 of the light at a finite phase, not {transmission} at {phase_deg} degrees"
        )
    factor = cmath.rect(math.sqrt(transmission), math.radians(phase_deg))
    return Patch(polygon, factor, factor * kind.absorber)


def quartz_patch(polygon: Polygon, kind: MaskKind, phase_deg: float, transmission: float = 1.0) -> Patch:
    """Return a patch of ``polygon`` (nm) where quartz of a mask of ``kind`` is too deep or too high.

    Under absorber nothing changes. ``phase_deg`` is added to the light, of which ``transmission`` is left.
    """
    changed = transmitting_patch(polygon, kind, transmission, phase_deg)
    return Patch(polygon, changed.on_clear, kind.absorber)


def etch_phase_deg(depth_nm: float, wavelength_nm: float, index: float) -> float:
    """Return the phase error of quartz etched too deep, ``2 pi (n - 1) d / lambda``, in degrees.

    Args:
        depth_nm: too deep; negative for a bump.
        wavelength_nm: of the exposure.
        index: refractive index of the quartz there (fused silica at 193 nm: 1.563).

    Raises:
        MaskError: one of them is not sensible.
    """
    if not (math.isfinite(depth_nm) and wavelength_nm > 0 and math.isfinite(wavelength_nm) and 1 <= index < 5):
        raise MaskError(f"depth {depth_nm} nm, wavelength {wavelength_nm} nm, index {index}: not all are sensible")
    return 360 * (index - 1) * depth_nm / wavelength_nm


@dataclass(frozen=True)
class MaskWindow:
    """The drawn pattern in a window of the mask that is imaged as a periodic tile.

    Attributes:
        polygons: drawn pattern on the wafer in nm; Manhattan ones may overlap, others nothing.
        kind: of the mask.
        left_nm, bottom_nm: the window's corner on the wafer.
        tile: its size.
    """

    polygons: tuple[Polygon, ...]
    kind: MaskKind
    left_nm: float
    bottom_nm: float
    tile: Tile

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top in nm."""
        return self.left_nm, self.bottom_nm, self.left_nm + self.tile.width_nm, self.bottom_nm + self.tile.height_nm

    def moved(self, polygon: Polygon) -> Polygon:
        """Return ``polygon`` (nm on the wafer) seen from the window's corner."""
        corner = np.asarray((self.left_nm, self.bottom_nm), np.float64)
        return np.asarray(polygon - corner, np.float64)


def mask_harmonics(window: MaskWindow, reach: Reach, patches: Sequence[Patch] = ()) -> NDArray[np.complex128]:
    """Return the Fourier coefficients of the transmission of ``window`` with ``patches`` over it.

    Args:
        window: the drawn pattern.
        reach: harmonics wanted.
        patches: defects and repairs; they must not overlap each other, and must lie within the window.

    Returns:
        complex128 of shape ``reach.shape``.

    Raises:
        MaskError: patches overlap or leave the window, or one lies over a pattern with slanting edges.
        analysis.mask.corners.PolygonError: a polygon is none.
    """
    kind = window.kind
    straight, slanting = _by_angle(window)
    drawn = harmonics_of_corners(merge_manhattan(straight), window.tile, reach)
    drawn += harmonics_of_polygons(slanting, window.tile, reach)
    total = (kind.inside - kind.outside) * drawn
    total[reach.rows, reach.columns] += kind.outside
    placed = [window.moved(each) for each in check_polygons([patch.polygon for patch in patches])]
    _check_patches(placed, slanting, window)
    boxes = boxes_of(straight) if patches else np.empty((0, 4))
    for patch, polygon in zip(patches, placed, strict=True):
        whole = harmonics_of_polygons([polygon], window.tile, reach)
        near = _touching(boxes, polygon)
        pieces = [piece for box in near if len(piece := clip_to_box(polygon, box)) > 2]
        within = harmonics_of_polygons(pieces, window.tile, reach)
        on = (patch.on_clear, patch.on_absorber) if kind.drawn == CLEAR else (patch.on_absorber, patch.on_clear)
        total += (on[0] - kind.inside) * within + (on[1] - kind.outside) * (whole - within)
    return total


def _by_angle(window: MaskWindow) -> tuple[list[Polygon], list[Polygon]]:
    size = (0.0, 0.0, window.tile.width_nm, window.tile.height_nm)
    polygons = [window.moved(each) for each in check_polygons(window.polygons)]
    straight = [each for each in polygons if is_manhattan(each)]
    slanting = [clip_to_box(each, size) for each in polygons if not is_manhattan(each)]
    return straight, [each for each in slanting if len(each) > 2]


def _touching(boxes: NDArray[np.float64], polygon: Polygon) -> NDArray[np.float64]:
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    near: NDArray[np.float64] = boxes[(boxes[:, :2] < high).all(axis=1) & (boxes[:, 2:] > low).all(axis=1)]
    return near


def _check_patches(placed: list[Polygon], slanting: list[Polygon], window: MaskWindow) -> None:
    sizes = np.asarray((window.tile.width_nm, window.tile.height_nm))
    spans = [(each.min(axis=0), each.max(axis=0)) for each in placed]
    for number, polygon in enumerate(placed):
        _check_outline(number, polygon)
    for number, (low, high) in enumerate(spans):
        if (low < 0).any() or (high > sizes).any():
            raise MaskError(f"patch {number} leaves the window")
        for other in range(number):
            if (low < spans[other][1]).all() and (high > spans[other][0]).all():
                raise MaskError(f"patches {other} and {number} overlap: what they transmit together is not known")
        for polygon in slanting:
            if (low < polygon.max(axis=0)).all() and (high > polygon.min(axis=0)).all():
                raise MaskError(f"patch {number} lies over a pattern with slanting edges, which is not modelled")


def _check_outline(number: int, polygon: Polygon) -> None:
    """Refuse an outline without area, and one that crosses itself: its parts would be taken away from each other."""
    start, edges = polygon, np.roll(polygon, -1, axis=0) - polygon
    here = polygon - polygon[0]
    area = abs(float(np.sum(here[:, 0] * edges[:, 1] - edges[:, 0] * here[:, 1]))) / 2
    if area <= _NO_AREA * float(np.ptp(polygon, axis=0).max()) ** 2:
        raise MaskError(f"the outline of patch {number} encloses no area")
    # Edges p + s e and q + t f cross where both s and t are within 0 to 1; neighbours share an end.
    between = start[None, :, :] - start[:, None, :]
    turn = edges[:, None, 0] * edges[None, :, 1] - edges[:, None, 1] * edges[None, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (between[..., 0] * edges[None, :, 1] - between[..., 1] * edges[None, :, 0]) / turn
        t = (between[..., 0] * edges[:, None, 1] - between[..., 1] * edges[:, None, 0]) / turn
    crossing = (s > _INSIDE) & (s < 1 - _INSIDE) & (t > _INSIDE) & (t < 1 - _INSIDE)
    if crossing.any():
        raise MaskError(f"the outline of patch {number} crosses itself")


def grown(polygon: Polygon, margin_nm: float) -> Polygon:
    """Return ``polygon`` scaled about its middle so that the root of its area grows by twice the margin.

    Args:
        polygon: vertices in nm, shape ``(vertices, 2)``.
        margin_nm: growth on each side; negative shrinks.

    Raises:
        PolygonError: it has no area, or would vanish.
    """
    after = np.roll(polygon, -1, axis=0)
    cross = polygon[:, 0] * after[:, 1] - after[:, 0] * polygon[:, 1]
    root = math.sqrt(abs(float(cross.sum())) / 2)
    if root <= 0 or root + 2 * margin_nm <= 0:
        raise PolygonError(f"a polygon of {root:g} nm cannot grow by {margin_nm:g} nm on each side")
    middle = (polygon.min(axis=0) + polygon.max(axis=0)) / 2
    return np.asarray(middle + (polygon - middle) * ((root + 2 * margin_nm) / root), np.float64)

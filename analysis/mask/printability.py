"""Whether a mask defect prints: images with and without it through dose and focus.

The severity is that of the changes of printed widths in the neighbourhood, as in the design of US patent 7,835,565
(score from the changes of neighbouring features, and their common process window): not the defect's own size or
contrast counts, but what happens to the features. Every change is against the image without the defect at the same dose
and focus. A feature that joins, parts, vanishes or appears is a printing defect whatever the widths say.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.mask.contours import Crossings, Harmonics, ScanLines, find_crossings, intensity_map
from analysis.mask.gauges import (
    Gauge,
    GaugeChange,
    GaugeRule,
    TopologyChange,
    compare_topology,
    largest_open_part,
    list_gauges,
    measure_change,
)
from analysis.mask.harmonics import values_at
from analysis.mask.optics import Optics, passed_reach, sample_source
from analysis.mask.point_sources import PointSystems, abbe_intensity, point_systems, points_for
from analysis.mask.raster import PixelGrid, rasterize
from analysis.mask.thin_mask import MaskError, MaskWindow, Patch, mask_harmonics

PRINTS, MARGINAL, DOES_NOT_PRINT = "prints", "marginal", "does-not-print"
_FRACTION_OF_AREA = 0.5
_LOST = 0.5
_NO_CHANGE = 1e-13


@dataclass(frozen=True)
class Exposure:
    """How the resist is exposed, and what must hold through the process window.

    Attributes:
        threshold: intensity, relative to clear field, that exposes the resist at dose 1.
        doses: relative doses; 1 is among them.
        defocus_nm: of the wafer; 0 is among them.
        width_tolerance: part of a nominal width that is allowed through the window (for the common window only).
    """

    threshold: float
    doses: tuple[float, ...] = (0.95, 1.0, 1.05)
    defocus_nm: tuple[float, ...] = (-40.0, 0.0, 40.0)
    width_tolerance: float = 0.10

    def __post_init__(self) -> None:
        if not (0 < self.threshold < 10 and all(0 < dose < 10 for dose in self.doses) and 1.0 in self.doses):
            raise MaskError("the threshold and all doses are positive, and 1 is one of the doses")
        if 0.0 not in self.defocus_nm or not all(math.isfinite(each) for each in self.defocus_nm):
            raise MaskError("every defocus is finite, and 0 is one of them")
        if not 0 < self.width_tolerance < 1:
            raise MaskError(f"the tolerance of widths is between 0 and 1, not {self.width_tolerance}")


@dataclass(frozen=True)
class Limits:
    """From which change of a width a defect prints, and up to which it does not; with where the figures come from.

    Attributes:
        prints: part of the width from which it prints.
        marginal: part of the width up to which it does not.
        source: provenance of both.
        misses: normal quantile of the one-sided error allowed at either limit (1.645: five in a hundred).
    """

    prints: float = 0.10
    marginal: float = 0.05
    source: str = "default; customary in the trade, no source verified: set it for the layer"
    misses: float = 1.645

    def __post_init__(self) -> None:
        if not (0 < self.marginal <= self.prints < 1 and 0 <= self.misses < 10):
            raise MaskError(f"limits are 0 < marginal <= prints < 1, not {self.marginal} and {self.prints}")


@dataclass(frozen=True)
class Spread:
    """Standard deviations of what went in; ``None`` where it is not known, and then not in the answer's uncertainty.

    Attributes:
        size_nm: of the defect's side on the wafer.
        position_nm: of its place on the wafer, each axis.
        threshold: of the threshold, as a part of it.
    """

    size_nm: float | None = None
    position_nm: float | None = None
    threshold: float | None = 0.02

    def __post_init__(self) -> None:
        known = [each for each in (self.size_nm, self.position_nm, self.threshold) if each is not None]
        if not all(math.isfinite(each) and each >= 0 for each in known):
            raise MaskError("standard deviations are finite and not negative")


@dataclass(frozen=True)
class Scene:
    """What is asked: a window of the mask, defects in it, the scanner, and the rules.

    Attributes:
        window: the drawn pattern, complete within the window.
        patches: the defect, or what a repair left; judged together.
        optics, exposure, limits, spread: scanner, resist, rules, and what is uncertain.
        ambit_nm: how far the pattern matters; ``None`` for four times wavelength over aperture.
    """

    window: MaskWindow
    patches: tuple[Patch, ...]
    optics: Optics
    exposure: Exposure
    limits: Limits = field(default_factory=Limits)
    spread: Spread = field(default_factory=Spread)
    ambit_nm: float | None = None

    @property
    def reach_nm(self) -> float:
        """The ambit in nanometres."""
        return 4 * self.optics.resolution_nm if self.ambit_nm is None else self.ambit_nm

    def defect_box(self) -> NDArray[np.float64]:
        """Return left, bottom, right, top of all patches in the window's frame."""
        points = np.concatenate([self.window.moved(patch.polygon) for patch in self.patches])
        return np.concatenate([points.min(axis=0), points.max(axis=0)])


@dataclass(frozen=True)
class ConditionChange:
    """The defect's effect at one dose and focus.

    Attributes:
        dose, defocus_nm: the condition.
        worst: the gauge that changes most, ``None`` without one.
        lost: gauges of which an edge is gone, or has moved by more than half the width.
        topology: features that join, part, vanish or appear.
        counted: whether the condition counts; not where the pattern itself fails without the defect.
        open_part: bound of the change of widths of which only one edge is near, see
            :func:`analysis.mask.gauges.largest_open_part`.
        low_intensity, high_intensity: extremes within the defect's box, with it, relative to clear field, times dose.
    """

    dose: float
    defocus_nm: float
    worst: GaugeChange | None
    lost: int
    topology: tuple[TopologyChange, ...]
    counted: bool
    open_part: float | None
    low_intensity: float
    high_intensity: float

    @property
    def fraction(self) -> float:
        """Largest change over its width, not negative; a lost gauge has changed by one half at least."""
        return largest_fraction(self.worst, self.lost)


def largest_fraction(worst: GaugeChange | None, lost: int) -> float:
    """Return the largest change over its width of gauges of which ``worst`` changes most and ``lost`` are gone."""
    found = 0.0 if worst is None else abs(worst.fraction)
    return max(found, _LOST) if lost else found


class SceneImages:
    """Images of a scene on one device; systems of a focus are made once."""

    def __init__(self, scene: Scene, device: torch.device, across: int | None = None) -> None:
        self.scene, self.device = scene, device
        tile = scene.window.tile
        self.across = points_for(scene.optics, tile) if across is None else across
        self._points = sample_source(scene.optics.source, self.across)
        self._systems: dict[float, PointSystems] = {}

    def systems(self, defocus_nm: float) -> PointSystems:
        """Return the source's systems at ``defocus_nm``."""
        if defocus_nm not in self._systems:
            made = point_systems(self.scene.optics, self.scene.window.tile, self._points, defocus_nm)
            self._systems[defocus_nm] = made.to(self.device)
        return self._systems[defocus_nm]

    def image(self, window: MaskWindow, patches: Sequence[Patch], defocus_nm: float) -> Harmonics:
        """Return the harmonics of the intensity of ``window`` with ``patches`` at ``defocus_nm``."""
        systems = self.systems(defocus_nm)
        mask = torch.from_numpy(mask_harmonics(window, systems.mask_reach, patches)).to(self.device)
        found: Harmonics = abbe_intensity(mask, systems).cpu().numpy()
        return found


def check_scene(scene: Scene) -> None:
    """Refuse a scene that cannot be answered.

    Args:
        scene: what is asked.

    Raises:
        MaskError: there is no defect, or it is outside the window or nearer to its border than the optical ambit, or
            it changes nothing.
    """
    if not scene.patches:
        raise MaskError("there is no defect to judge")
    left, bottom, right, top = scene.defect_box().tolist()
    tile = scene.window.tile
    room = min(left, bottom, tile.width_nm - right, tile.height_nm - top)
    if room < 0:
        raise MaskError("the defect is not within the window")
    if room < scene.reach_nm:
        raise MaskError(
            f"the defect is {room:.0f} nm from the window's border on the wafer, the optical ambit is"
            f" {scene.reach_nm:.0f} nm: what lies beyond the border would matter; take a larger window"
        )
    if not changes_mask(scene):
        raise MaskError(
            "the defect changes nothing of what the mask transmits there: look at its kind and place, and at what is"
            " drawn, clear or absorber"
        )


def changes_mask(scene: Scene) -> bool:
    """Say whether the patches of ``scene`` change what its mask transmits, within what the optics pass."""
    reach = passed_reach(scene.optics, scene.window.tile)
    change = mask_harmonics(scene.window, reach, scene.patches) - mask_harmonics(scene.window, reach)
    return bool(np.abs(change).max() > _NO_CHANGE)


def scan_lines(scene: Scene) -> tuple[ScanLines, ScanLines]:
    """Return the scan lines along x and along y around the defect of ``scene``: one through its middle, and others."""
    left, bottom, right, top = scene.defect_box().tolist()
    around, spacing = scene.reach_nm / 2, scene.optics.resolution_nm / 8
    step = scene.optics.resolution_nm / 60

    def places(low: float, high: float) -> NDArray[np.float64]:
        middle = (low + high) / 2
        count = math.ceil((high - low + around) / 2 / spacing)
        return np.asarray(middle + spacing * np.arange(-count, count + 1), np.float64)

    return (
        ScanLines(0, places(bottom, top), left - around, right + around, step),
        ScanLines(1, places(left, right), bottom - around, top + around, step),
    )


def cross(image: Harmonics, scene: Scene, dose: float) -> list[Crossings]:
    """Return the crossings of ``image`` at ``dose`` along both sets of scan lines of ``scene``."""
    threshold = scene.exposure.threshold / dose
    return [find_crossings(image, scene.window.tile, threshold, lines) for lines in scan_lines(scene)]


def gauges_of(crossings: Sequence[Crossings], scene: Scene) -> list[Gauge]:
    """Return the gauges of ``scene`` in the image that has ``crossings`` along x and along y."""
    rule, lines = _gauge_rule(scene), scan_lines(scene)
    return [gauge for axis in (0, 1) for gauge in list_gauges(crossings[axis], axis, lines[axis].at_nm, rule)]


def open_part(before: Sequence[Crossings], after: Sequence[Crossings], scene: Scene) -> float | None:
    """Return the bound of the change of widths of ``scene`` of which one edge is near; ``None`` where there are none.

    Args:
        before: crossings without the defect, along x and along y.
        after: with it.
        scene: what is asked.
    """
    found = [
        largest_open_part(first, second, (lines.start_nm, lines.stop_nm), _gauge_rule(scene))
        for first, second, lines in zip(before, after, scan_lines(scene), strict=True)
    ]
    return max((each for each in found if each is not None), default=None)


def _gauge_rule(scene: Scene) -> GaugeRule:
    return GaugeRule(scene.optics.resolution_nm / 4)


def changes(gauges: Sequence[Gauge], crossings: Sequence[Crossings], scene: Scene) -> list[GaugeChange]:
    """Return how ``gauges`` of ``scene`` look in the image that has ``crossings``; without those that are gone."""
    lines = scan_lines(scene)
    found = (measure_change(gauge, crossings[gauge.axis], lines[gauge.axis].at_nm) for gauge in gauges)
    return [each for each in found if each is not None]


def worst_change(found: Sequence[GaugeChange]) -> GaugeChange | None:
    """Return the change of ``found`` that is largest against its width."""
    return max(found, key=lambda each: abs(each.fraction), default=None)


def compare_prints(clean: Harmonics, other: Harmonics, scene: Scene, dose: float) -> tuple[TopologyChange, ...]:
    """Return what joins, parts, vanishes or appears near the defect from one image to the other at ``dose``.

    Args:
        clean: harmonics of the intensity without the defect.
        other: with it.
        scene: what is asked.
        dose: relative dose.
    """
    tile, pixel = scene.window.tile, scene.optics.resolution_nm / 40
    maps = [intensity_map(each, tile, pixel) * dose >= scene.exposure.threshold for each in (clean, other)]
    if np.array_equal(maps[0], maps[1]):
        return ()
    sides = tile.width_nm / maps[0].shape[1], tile.height_nm / maps[0].shape[0]
    low, high = scene.defect_box()[:2] - scene.reach_nm / 2, scene.defect_box()[2:] + scene.reach_nm / 2
    return tuple(
        each
        for each in compare_topology(maps[0], maps[1], sides)
        if low[0] <= each.x_nm <= high[0] and low[1] <= each.y_nm <= high[1]
    )


def check_pattern(clean: Harmonics, scene: Scene) -> None:
    """Refuse a pattern that does not print as drawn even without the defect.

    Args:
        clean: harmonics of the nominal intensity without the defect.
        scene: what is asked.

    Raises:
        MaskError: less than half of the drawn area around the defect prints.
    """
    tile, pixel = scene.window.tile, scene.optics.resolution_nm / 40
    image = intensity_map(clean, tile, pixel)
    rows, columns = image.shape
    step = tile.width_nm / columns
    grid = PixelGrid(-step / 2, -step / 2, step, columns, math.ceil(tile.height_nm / step) + 1)
    drawn = rasterize([scene.window.moved(each) for each in scene.window.polygons], grid).numpy()
    heights = np.minimum((np.arange(rows) * tile.height_nm / rows / step + 0.5).astype(int), grid.rows - 1)
    wanted = drawn[heights] >= _FRACTION_OF_AREA
    left, bottom, right, top = scene.defect_box().tolist()
    x, y = np.arange(columns) * tile.width_nm / columns, np.arange(rows) * tile.height_nm / rows
    around = scene.reach_nm / 2
    near = ((x >= left - around) & (x <= right + around))[None, :] & ((y >= bottom - around) & (y <= top + around))[
        :, None
    ]
    exposed = image >= scene.exposure.threshold
    right_way = exposed if scene.window.kind.drawn == "clear" else ~exposed
    area = int((wanted & near).sum())
    if area and (right_way & wanted & near).sum() < _FRACTION_OF_AREA * area:
        part = (right_way & wanted & near).sum() / area
        raise MaskError(
            f"only {part:.0%} of the drawn area around the defect prints without the defect at threshold"
            f" {scene.exposure.threshold:g}: the pattern itself does not print, so the defect cannot be judged"
        )


def judge_condition(
    clean: Harmonics, other: Harmonics, scene: Scene, condition: tuple[float, float], *, counted: bool
) -> ConditionChange:
    """Return the defect's effect at one condition.

    Args:
        clean: harmonics of the intensity without the defect.
        other: with it.
        scene: what is asked.
        condition: dose and defocus in nanometres.
        counted: whether the pattern itself holds at this condition.
    """
    dose, defocus = condition
    before, after = cross(clean, scene, dose), cross(other, scene, dose)
    gauges = gauges_of(before, scene)
    found = changes(gauges, after, scene)
    low, high = _extremes(other, scene)
    topology = compare_prints(clean, other, scene, dose)
    lost, part = len(gauges) - len(found), open_part(before, after, scene)
    return ConditionChange(dose, defocus, worst_change(found), lost, topology, counted, part, low * dose, high * dose)


def _extremes(image: Harmonics, scene: Scene) -> tuple[float, float]:
    left, bottom, right, top = scene.defect_box().tolist()
    x, y = np.meshgrid(np.linspace(left, right, 15), np.linspace(bottom, top, 15))
    tile = scene.window.tile
    values, _, _ = values_at(image, x.ravel() / tile.width_nm, y.ravel() / tile.height_nm)
    return float(values.min()), float(values.max())

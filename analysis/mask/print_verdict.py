"""The verdict on a mask defect, with how sure it is.

The verdict stands on the worst change of a width through the process window, and on what is uncertain about it: the
defect's size and place, the threshold, what lies beyond the window, and the sampling of the source, each by imaging
again with it changed. Only when the whole interval is beyond a limit is the limit passed; what lies between is
*marginal*. An edge whose feature reaches beyond the neighbourhood has no width: its shift over what is known of the
width bounds the change, and a defect does not print only where that bound is below the limit, too. Features that join,
part, vanish or appear print, unless the threshold's own uncertainty could prevent it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from analysis.mask.contours import Harmonics
from analysis.mask.gauges import Gauge, GaugeChange
from analysis.mask.optics import Tile
from analysis.mask.printability import (
    DOES_NOT_PRINT,
    MARGINAL,
    PRINTS,
    ConditionChange,
    Scene,
    SceneImages,
    changes,
    check_pattern,
    check_scene,
    compare_prints,
    cross,
    gauges_of,
    judge_condition,
    largest_fraction,
    open_part,
    worst_change,
)
from analysis.mask.thin_mask import MaskError, Patch, grown

Progress = Callable[[float, str], None]
Measure = Callable[[Harmonics, Harmonics, Scene, float], float]
"""What is measured of an image without and one with the defect, of a scene, at a dose."""
_MOST_GAUGES = 12
_TRIM = 0.37
_COARSER = 0.75


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class CommonWindow:
    """How many conditions hold the widest-hit gauge within the tolerance of its nominal width.

    Attributes:
        gauge: the gauge, without the defect; ``None`` where there is none.
        without, with_defect: conditions that hold, without and with the defect.
        conditions: all of them.
    """

    gauge: Gauge | None
    without: int
    with_defect: int
    conditions: int


@dataclass(frozen=True)
class Printability:
    """The answer.

    Attributes:
        verdict: prints, marginal or does-not-print.
        reason: why, in one sentence.
        fraction: worst change of a width over that width, not negative, through all conditions that count.
        sigma: its standard error from what is known to be uncertain.
        components: part of ``sigma`` by its cause; ``None`` for causes that nothing is known of, which are left out.
        severity: ``fraction`` over the limit from which a defect prints; at least 1 where features change or edges go.
        worst: condition of the worst change.
        conditions: every condition.
        gauges: worst gauges at the worst condition, by place on different features.
        common_window: what is left of the process window.
        source_points: that stood for the source.
    """

    verdict: str
    reason: str
    fraction: float
    sigma: float
    components: dict[str, float | None]
    severity: float
    worst: ConditionChange
    conditions: tuple[ConditionChange, ...]
    gauges: tuple[GaugeChange, ...]
    common_window: CommonWindow
    source_points: int


def judge_printability(scene: Scene, device: torch.device, progress: Progress = _silent) -> Printability:
    """Return whether the patches of ``scene`` print.

    Args:
        scene: what is asked.
        device: where images are computed.
        progress: told how far it is, 0 to 1.

    Raises:
        MaskError: the defect lies too near the window's border, or the pattern does not print without it.
        analysis.mask.coherent_kernels.ImagingError: the optics cannot be imaged.
    """
    check_scene(scene)
    images = SceneImages(scene, device)
    nominal = images.image(scene.window, (), 0.0)
    check_pattern(nominal, scene)
    pairs = {}
    focuses = scene.exposure.defocus_nm
    for place, defocus in enumerate(focuses):
        progress(0.7 * place / len(focuses), f"imaging at {defocus:g} nm defocus")
        clean = images.image(scene.window, (), defocus)
        pairs[defocus] = clean, images.image(scene.window, scene.patches, defocus)
    conditions = tuple(
        judge_condition(
            *pairs[defocus], scene, (dose, defocus), counted=_holds(nominal, pairs[defocus][0], scene, dose)
        )
        for defocus in focuses
        for dose in scene.exposure.doses
    )
    counted = [each for each in conditions if each.counted]
    if not counted:
        raise MaskError("the pattern fails at every condition without the defect: the process window is too wide")
    worst = max(counted, key=lambda each: each.fraction)
    progress(0.75, "asking how sure it is")
    components = _components(scene, images, worst, (_fraction, worst.fraction))
    sigma = math.sqrt(sum(each**2 for each in components.values() if each is not None))
    verdict, reason = _by_topology(scene, counted, pairs) or _decide(scene, images, counted, (worst, sigma))
    changed = any(each.topology or each.lost for each in counted)
    severity = worst.fraction / scene.limits.prints
    before = cross(pairs[worst.defocus_nm][0], scene, worst.dose)
    after = cross(pairs[worst.defocus_nm][1], scene, worst.dose)
    listed = _by_feature(changes(gauges_of(before, scene), after, scene))
    progress(1.0, "done")
    return Printability(
        verdict,
        reason,
        worst.fraction,
        sigma,
        components,
        max(1.0, severity) if changed else severity,
        worst,
        conditions,
        tuple(listed[:_MOST_GAUGES]),
        _common_window(scene, pairs),
        images.across,
    )


def _holds(nominal: Harmonics, clean: Harmonics, scene: Scene, dose: float) -> bool:
    """Say whether the pattern keeps its features at a condition without the defect."""
    # Both are taken at this dose; dividing first leaves the nominal image at dose 1.
    return not compare_prints(nominal * (1 / dose), clean, scene, dose)


def _by_topology(
    scene: Scene, counted: Sequence[ConditionChange], pairs: dict[float, tuple[Harmonics, Harmonics]]
) -> tuple[str, str] | None:
    """Judge by features that change; only marginal where a threshold within its uncertainty would not change them."""
    doubtful = None
    for each in counted:
        if not each.topology and not each.lost:
            continue
        where = f"at dose {each.dose:g} and {each.defocus_nm:g} nm defocus"
        text = f"an edge is gone, or moves by more than half the width of its feature, {where}"
        if each.topology:
            text = f"{each.topology[0].phase} resist {each.topology[0].kind} {where}"
        margin = scene.limits.misses * (scene.spread.threshold or 0.0)
        clean, other = pairs[each.defocus_nm]
        if all(_changes_features(clean, other, scene, each.dose * (1 + side * margin)) for side in (-1, 1)):
            return PRINTS, text
        doubtful = doubtful or (MARGINAL, f"{text}, but not with the threshold {margin:.1%} away")
    return doubtful


def _changes_features(clean: Harmonics, other: Harmonics, scene: Scene, dose: float) -> bool:
    gauges = gauges_of(cross(clean, scene, dose), scene)
    lost = len(gauges) - len(changes(gauges, cross(other, scene, dose), scene))
    return lost > 0 or bool(compare_prints(clean, other, scene, dose))


def _decide(
    scene: Scene, images: SceneImages, counted: Sequence[ConditionChange], known: tuple[ConditionChange, float]
) -> tuple[str, str]:
    """Judge by the worst change of a width with its standard error, ``known``, and by edges that have no width."""
    limits, (worst, sigma) = scene.limits, known
    if not any(each.worst for each in counted):
        by_edges = _by_open_edges(scene, images, counted, 0.0)
        if by_edges is not None:
            return by_edges
        reason = "no printed edge is near, and the defect makes none at any condition"
        return _by_margin(scene, counted, reason)
    low, high = worst.fraction - limits.misses * sigma, worst.fraction + limits.misses * sigma
    size = f"the worst change of a width is {worst.fraction:.1%} (one standard error {sigma:.1%})"
    if low > limits.prints:
        return PRINTS, f"{size}, beyond the limit of {limits.prints:.0%}"
    if high < limits.marginal:
        below = DOES_NOT_PRINT, f"{size}, below {limits.marginal:.0%}"
        return _by_open_edges(scene, images, counted, worst.fraction) or below
    return MARGINAL, f"{size}: neither surely below {limits.marginal:.0%} nor surely beyond {limits.prints:.0%}"


def _by_open_edges(
    scene: Scene, images: SceneImages, counted: Sequence[ConditionChange], fraction: float
) -> tuple[str, str] | None:
    """Judge by edges whose other side is too far to have a width; nothing where widths change by ``fraction``, more."""
    known = [(each.open_part, each) for each in counted if each.open_part is not None and each.open_part >= fraction]
    if not known:
        return None
    part, hit = max(known, key=lambda each: each[0])
    components = _components(scene, images, hit, (_open_fraction, part))
    sigma = math.sqrt(sum(each**2 for each in components.values() if each is not None))
    size = f"by at most {part:.1%} of its width (one standard error {sigma:.1%})"
    text = f"the edge of a feature that reaches beyond the neighbourhood moves {size}"
    if part + scene.limits.misses * sigma < scene.limits.marginal:
        return DOES_NOT_PRINT, f"{text}, below {scene.limits.marginal:.0%}"
    return MARGINAL, f"{text}: not surely below {scene.limits.marginal:.0%}, and the width itself is not known"


def _by_margin(scene: Scene, counted: Sequence[ConditionChange], reason: str) -> tuple[str, str]:
    """Judge a defect on plain ground by how far its intensity stays from the threshold."""
    threshold = scene.exposure.threshold
    if any(each.low_intensity < threshold <= each.high_intensity for each in counted):
        return MARGINAL, "an edge runs through the defect, but no width of a feature can be measured there"
    margin = min(
        min(abs(each.low_intensity - threshold), abs(each.high_intensity - threshold)) / threshold for each in counted
    )
    text = f"{reason}; its intensity stays {margin:.0%} of the threshold away from it"
    return (DOES_NOT_PRINT if margin > scene.limits.prints else MARGINAL), text


def _components(
    scene: Scene, images: SceneImages, worst: ConditionChange, measured: tuple[Measure, float]
) -> dict[str, float | None]:
    """Return the standard errors by cause of what is ``measured`` (how, and its value), each by imaging again."""
    measure, value = measured
    focus, dose = worst.defocus_nm, worst.dose
    clean = images.image(scene.window, (), focus)

    def fraction(patches: Sequence[Patch]) -> float:
        return measure(clean, images.image(scene.window, patches, focus), scene, dose)

    spread = scene.spread
    components: dict[str, float | None] = {"size": None, "position": None, "threshold": None}
    if spread.size_nm is not None:
        sizes = [_resized(scene.patches, side * spread.size_nm / 2) for side in (-1, 1)]
        values = [fraction(each) if each else 0.0 for each in sizes]
        components["size"] = abs(values[1] - values[0]) / 2
    if spread.position_nm is not None:
        steps = [
            (spread.position_nm, 0.0),
            (-spread.position_nm, 0.0),
            (0.0, spread.position_nm),
            (0.0, -spread.position_nm),
        ]
        values = [fraction(_shifted(scene.patches, step)) - value for step in steps]
        # A defect in the middle of a space has no slope there: the mean square of all four steps says more.
        components["position"] = math.sqrt(sum(each**2 for each in values) / 2)
    if spread.threshold is not None:
        other = images.image(scene.window, scene.patches, focus)
        values = [measure(clean, other, scene, dose * (1 + side * spread.threshold)) for side in (-1, 1)]
        components["threshold"] = abs(values[1] - values[0]) / 2
    components["beyond the window"] = abs(_trimmed_fraction(scene, images, worst, measure) - value)
    coarse = SceneImages(scene, images.device, max(9, int(images.across * _COARSER) | 1))
    pair = [coarse.image(scene.window, patches, focus) for patches in ((), scene.patches)]
    components["sampling of the source"] = abs(measure(pair[0], pair[1], scene, dose) - value)
    return components


def _fraction(clean: Harmonics, other: Harmonics, scene: Scene, dose: float) -> float:
    gauges = gauges_of(cross(clean, scene, dose), scene)
    found = changes(gauges, cross(other, scene, dose), scene)
    return largest_fraction(worst_change(found), len(gauges) - len(found))


def _open_fraction(clean: Harmonics, other: Harmonics, scene: Scene, dose: float) -> float:
    return open_part(cross(clean, scene, dose), cross(other, scene, dose), scene) or 0.0


def _resized(patches: Sequence[Patch], margin_nm: float) -> list[Patch]:
    """Return the patches grown on each side; none when they would vanish."""
    try:
        return [replace(each, polygon=grown(each.polygon, margin_nm)) for each in patches]
    except ValueError:
        return []


def _shifted(patches: Sequence[Patch], step: tuple[float, float]) -> list[Patch]:
    return [replace(each, polygon=each.polygon + np.asarray(step)) for each in patches]


def _trimmed_fraction(scene: Scene, images: SceneImages, worst: ConditionChange, measure: Measure) -> float:
    """Return the worst fraction in a window a little smaller: around it then lies something else, its own far side."""
    trim = scene.optics.resolution_nm * _TRIM
    window, tile = scene.window, scene.window.tile
    smaller = replace(
        window,
        left_nm=window.left_nm + trim,
        bottom_nm=window.bottom_nm + trim,
        tile=Tile(tile.width_nm - 2 * trim, tile.height_nm - 2 * trim),
    )
    inner = replace(scene, window=smaller)
    own = SceneImages(inner, images.device, images.across)
    pair = [own.image(smaller, patches, worst.defocus_nm) for patches in ((), scene.patches)]
    return measure(pair[0], pair[1], inner, worst.dose)


def _by_feature(found: Sequence[GaugeChange]) -> list[GaugeChange]:
    """Return the worst gauge of each feature and direction, worst first: neighbouring scan lines tell the same."""
    kept: list[GaugeChange] = []
    for each in sorted(found, key=lambda change: -abs(change.fraction)):
        own = each.gauge
        same = any(
            other.gauge.axis == own.axis
            and other.gauge.phase == own.phase
            and min(other.gauge.high_nm, own.high_nm) > max(other.gauge.low_nm, own.low_nm)
            for other in kept
        )
        if not same:
            kept.append(each)
    return kept


def _common_window(scene: Scene, pairs: dict[float, tuple[Harmonics, Harmonics]]) -> CommonWindow:
    """Count the conditions that hold the gauge which the defect changes most at nominal dose and focus."""
    clean, other = pairs[0.0]
    nominal = gauges_of(cross(clean, scene, 1.0), scene)
    hit = worst_change(changes(nominal, cross(other, scene, 1.0), scene))
    total = len(scene.exposure.doses) * len(scene.exposure.defocus_nm)
    if hit is None:
        return CommonWindow(None, 0, 0, total)
    holds = [0, 0]
    for defocus in scene.exposure.defocus_nm:
        for dose in scene.exposure.doses:
            for which, image in enumerate(pairs[defocus]):
                (found,) = changes([hit.gauge], cross(image, scene, dose), scene) or (None,)
                holds[which] += found is not None and abs(found.fraction) <= scene.exposure.width_tolerance
    return CommonWindow(hit.gauge, holds[0], holds[1], total)

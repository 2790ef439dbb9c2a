"""Whether a mask repair held: the images of the design, of the defect, and of what the repair left.

A repair may leave a residual, take away too much (absorber gone beyond the defect, quartz etched too deep: a phase
error ``2 pi (n - 1) d / lambda``) or stain the quartz (implanted gallium takes transmission). All of these are patches
of the mask; the same judgement as for a defect then says whether what was left prints.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from analysis.mask.contours import Harmonics
from analysis.mask.harmonics import values_at
from analysis.mask.print_verdict import Printability, judge_printability
from analysis.mask.printability import DOES_NOT_PRINT, PRINTS, Scene, SceneImages, changes_mask
from analysis.mask.thin_mask import Patch

CLEARED, UNSURE, NOT_CLEARED = "cleared", "unsure", "not-cleared"
_POINTS = 21


@dataclass(frozen=True)
class RepairVerification:
    """The answer.

    Attributes:
        outcome: cleared, unsure or not-cleared: what was left does not print, is marginal, or prints.
        reason: why, in one sentence.
        before: judgement of the defect.
        after: judgement of what was left; ``None`` where nothing was, or nothing that changes the light.
        improvement: part of the defect's worst change of a width that the repair took away; negative when it is worse,
            ``None`` where the defect changed none.
        improvement_sigma: its standard error, from those of both changes; ``None`` likewise.
        intensity_change: mean intensity over the repaired place against the design's there, as a part of the design's;
            ``None`` where the design is dark. Negative is a loss of transmission.
        largest_intensity_change: largest difference to the design within the repaired place, in parts of clear field.
    """

    outcome: str
    reason: str
    before: Printability
    after: Printability | None
    improvement: float | None
    improvement_sigma: float | None
    intensity_change: float | None
    largest_intensity_change: float


def verify_repair(before: Scene, left: Sequence[Patch], device: torch.device) -> RepairVerification:
    """Return whether a repair of the defects of ``before`` held.

    Args:
        before: the defect, as it was.
        left: what the repair left: residual, over-etch, stain.
        device: where images are computed.

    Raises:
        analysis.mask.thin_mask.MaskError: a scene cannot be judged, see
            :func:`analysis.mask.print_verdict.judge_printability`.
    """
    first = judge_printability(before, device)
    images = SceneImages(before, device)
    design = images.image(before.window, (), 0.0)
    scene = replace(before, patches=tuple(left))
    if not left or not changes_mask(scene):
        reason = "nothing was left of the defect" if not left else "what was left changes nothing the mask transmits"
        improved = 1.0 if first.fraction else None
        return RepairVerification(CLEARED, f"{reason}, as far as was measured", first, None, improved, None, 0.0, 0.0)
    second = judge_printability(scene, device)
    outcome = {DOES_NOT_PRINT: CLEARED, PRINTS: NOT_CLEARED}.get(second.verdict, UNSURE)
    improvement, sigma = _improvement(first, second)
    change, largest = _intensity_change(design, images.image(before.window, scene.patches, 0.0), scene)
    return RepairVerification(
        outcome, f"after the repair: {second.reason}", first, second, improvement, sigma, change, largest
    )


def _improvement(before: Printability, after: Printability) -> tuple[float | None, float | None]:
    if before.fraction <= 0:
        return None, None
    ratio = after.fraction / before.fraction
    sigma = math.hypot(after.sigma, ratio * before.sigma) / before.fraction
    return 1 - ratio, sigma


def _intensity_change(design: Harmonics, repaired: Harmonics, scene: Scene) -> tuple[float | None, float]:
    """Compare intensities over the box of the patches."""
    left, bottom, right, top = scene.defect_box().tolist()
    tile = scene.window.tile
    x, y = np.meshgrid(np.linspace(left, right, _POINTS), np.linspace(bottom, top, _POINTS))
    places = x.ravel() / tile.width_nm, y.ravel() / tile.height_nm
    first, second = (values_at(image, *places)[0] for image in (design, repaired))
    mean = float(first.mean())
    bright = mean > scene.exposure.threshold / 10
    change = float(second.mean()) / mean - 1 if bright else None
    return change, float(np.abs(second - first).max())

"""Whether mask defects print: the same function for ``faultlight mask print`` and for the worker."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.device import DeviceError, choose_device
from analysis.mask.optics import Optics, Source, Tile
from analysis.mask.print_verdict import judge_printability
from analysis.mask.printability import Exposure, Limits, Scene, Spread
from analysis.mask.repair_verification import verify_repair
from analysis.mask.thin_mask import (
    MaskKind,
    MaskWindow,
    Patch,
    absorber_patch,
    clear_patch,
    etch_phase_deg,
    opaque_patch,
    quartz_patch,
    transmitting_patch,
)
from analysis.mask.transforms import TransformError
from services.pipelines.mask.mask_patterns import Box, PatternFile, PatternSource, Polygon, open_patterns
from services.pipelines.mask.printability_documents import describe_printability, describe_repair, verdict_of
from services.pipelines.mask.printability_request import DefectPart, PatchPart, PrintabilityRequest, read_request
from services.pipelines.versions import PRINTABILITY_VERSION

Progress = Callable[[float, str], None]
_DISC_SIDES = 64
_ROOM = 1.05


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def print_path(
    layout: Path, question: Path, inspection: "Inspection | None" = None, device: str = "auto"
) -> dict[str, Any]:
    """Return the answer of ``faultlight mask print --json``; raises what reading and judging raise."""
    request = read_request(question)
    if inspection is not None:
        request = inspection(request)
    try:
        found = judge_file(PatternFile(layout, layout.name), request, device)
    except (DeviceError, TransformError) as error:
        raise ValueError(str(error)) from error
    refused = [each["refused"] for each in found["defects"] if each["verdict"] == "refused"]
    if len(refused) == len(found["defects"]):
        raise ValueError(refused[0] if len(refused) == 1 else f"no defect can be judged; of the first: {refused[0]}")
    return found


Inspection = Callable[[PrintabilityRequest], PrintabilityRequest]
"""Adds the defects of an inspection file to a question."""


def judge_file(
    file: PatternFile, request: PrintabilityRequest, device: str = "auto", progress: Progress = _silent
) -> dict[str, Any]:
    """Judge every defect of ``request`` on a layout or clip.

    A defect that cannot be judged is answered with the reason; the others are judged all the same.

    Raises:
        ValueError: there is no defect, or the optics or the mask are impossible.
        instruments.errors.InstrumentError: the layout cannot be read.
        analysis.device.DeviceError: there is no such device.
    """
    if not request.defects:
        raise ValueError("the question names no defect")
    chosen = choose_device(device)
    setting = _Setting(request)
    documents = []
    with open_patterns(file, request.layout.layer, request.layout.cell) as source:
        box = source.box_nm()
        for number, defect in enumerate(request.defects):
            progress(number / len(request.defects), f"defect {number + 1} of {len(request.defects)}")
            documents.append(_judge(setting, source, defect, chosen, box))
        form, warnings = source.format, list(source.warnings)
    progress(1.0, "done")
    return {
        "verdict": verdict_of(documents),
        "layout": file.name,
        "format": form,
        "defects": documents,
        "warnings": warnings,
        "simulated": request.simulated,
        "provenance": _provenance(request, chosen, setting),
    }


class _Setting:
    """The question in the terms of :mod:`analysis.mask`."""

    def __init__(self, request: PrintabilityRequest) -> None:
        part = request.optics
        source = part.source
        self.request = request
        shape = Source(source.shape, source.outer, source.inner, source.opening_deg, source.rotation_deg)
        self.optics = Optics(
            part.wavelength_nm,
            part.numerical_aperture,
            shape,
            part.medium_index,
            part.magnification,
            {int(number): waves for number, waves in part.zernikes.items()},
        )
        mask = request.mask
        self.kind = MaskKind(mask.drawn, mask.absorber_transmission, mask.absorber_phase_deg)
        asked = request.exposure
        self.exposure = Exposure(asked.threshold, tuple(asked.doses), tuple(asked.defocus_nm), asked.width_tolerance)
        self.limits = Limits(request.limits.prints, request.limits.marginal, request.limits.source)
        self.spread = Spread(request.spread.size_nm, request.spread.position_nm, request.spread.threshold)

    def to_wafer(self, frame: str) -> float:
        """Return wafer lengths over lengths in ``frame``: the only place where the magnification is used."""
        if frame == "layout":
            frame = self.request.layout.scale
        return float(self.optics.to_wafer(np.asarray(1.0))) if frame == "mask" else 1.0

    def patch(self, part: PatchPart) -> Patch:
        """Return ``part`` on the wafer."""
        polygon = _outline(part) * self.to_wafer(part.frame)
        if part.kind == "opaque":
            return opaque_patch(polygon)
        if part.kind == "absorber":
            return absorber_patch(polygon, self.kind)
        if part.kind == "clear":
            return clear_patch(polygon)
        phase = part.phase_deg or 0.0
        if part.kind == "transmission":
            return transmitting_patch(polygon, self.kind, part.transmission or 0.0, phase)
        if part.depth_nm is not None:
            phase = etch_phase_deg(part.depth_nm, self.optics.wavelength_nm, self.request.mask.quartz_index)
        return quartz_patch(polygon, self.kind, phase, 1.0 if part.transmission is None else part.transmission)


def _outline(part: PatchPart) -> Polygon:
    """Return the outline in nanometres of its own frame; a disc is a polygon of the same area."""
    if part.points_um is not None:
        return np.asarray(part.points_um, np.float64) * 1000
    assert part.x_um is not None
    assert part.y_um is not None
    assert part.width_nm is not None
    middle = np.asarray((part.x_um, part.y_um), np.float64) * 1000
    half = np.asarray((part.width_nm, part.height_nm or part.width_nm), np.float64) / 2
    if part.shape == "box":
        return np.asarray(middle + half * np.asarray(((-1, -1), (1, -1), (1, 1), (-1, 1)), np.float64), np.float64)
    angle = 2 * math.pi / _DISC_SIDES * np.arange(_DISC_SIDES)
    equal = math.sqrt(2 * math.pi / (_DISC_SIDES * math.sin(2 * math.pi / _DISC_SIDES)))
    return np.asarray(middle + half * equal * np.stack([np.cos(angle), np.sin(angle)], axis=1), np.float64)


def _judge(
    setting: _Setting, source: PatternSource, defect: DefectPart, device: torch.device, drawn: Box | None
) -> dict[str, Any]:
    head = {"name": defect.name, "kind": defect.kind}
    try:
        scene, beyond = _scene(setting, source, defect, drawn)
        warnings = ["the window reaches beyond all that is drawn, which is taken as empty there"] if beyond else []
        if defect.repair is None:
            answer = describe_printability(judge_printability(scene, device), scene)
        else:
            left = [setting.patch(each) for each in defect.repair.left]
            answer = describe_repair(verify_repair(scene, left, device), scene)
    except ValueError as error:
        return head | {"verdict": "refused", "refused": str(error)}
    return head | answer | {"warnings": warnings}


def _scene(setting: _Setting, source: PatternSource, defect: DefectPart, drawn: Box | None) -> tuple[Scene, bool]:
    """Return the defect in a window of its own, and whether that reaches beyond what is drawn."""
    patches = [setting.patch(defect)]
    left = [] if defect.repair is None else [setting.patch(each) for each in defect.repair.left]
    points = np.concatenate([patch.polygon for patch in (*patches, *left)])
    scene = Scene(
        MaskWindow((), setting.kind, 0.0, 0.0, Tile(1.0, 1.0)),
        tuple(patches),
        setting.optics,
        setting.exposure,
        setting.limits,
        setting.spread,
        setting.request.optics.ambit_nm,
    )
    room = scene.reach_nm * _ROOM
    # Whole database units of the layout: a window that is cut between them would be rounded.
    scale = setting.to_wafer("layout")
    _check_place(points / scale, drawn)
    step = scale * source.unit_nm
    low, high = np.floor((points.min(axis=0) - room) / step) * step, np.ceil((points.max(axis=0) + room) / step) * step
    box = (float(low[0] / scale), float(low[1] / scale), float(high[0] / scale), float(high[1] / scale))
    polygons = tuple(each * scale for each in source.polygons(box))
    if not polygons and drawn is None:
        raise ValueError("nothing is drawn around the defect in that cell: is the defect of this layout?")
    tile = Tile(float(high[0] - low[0]), float(high[1] - low[1]))
    window = MaskWindow(polygons, setting.kind, float(low[0]), float(low[1]), tile)
    beyond = drawn is not None and (box[0] < drawn[0] or box[1] < drawn[1] or box[2] > drawn[2] or box[3] > drawn[3])
    return replace(scene, window=window), beyond


def scenes(file: PatternFile, request: PrintabilityRequest, defect: DefectPart) -> tuple[Scene, Scene | None]:
    """Return a defect of ``request`` in its window, and what its repair left there, where it was repaired.

    Raises:
        ValueError: the defect is not of this layout, or the optics or the mask are impossible.
        instruments.errors.InstrumentError: the layout cannot be read.
    """
    setting = _Setting(request)
    with open_patterns(file, request.layout.layer, request.layout.cell) as source:
        scene, _ = _scene(setting, source, defect, source.box_nm())
    if defect.repair is None:
        return scene, None
    return scene, replace(scene, patches=tuple(setting.patch(each) for each in defect.repair.left))


def provenance_of(request: PrintabilityRequest, device: str) -> dict[str, Any]:
    """Return what an answer to ``request`` rests on when it was computed on ``device``."""
    return _provenance(request, torch.device(device), _Setting(request))


def _check_place(points: Polygon, drawn: Box | None) -> None:
    """Refuse a defect that lies outside of all that is drawn: it is on another layout, or in another unit."""
    if drawn is None:
        return
    low, high = points.min(axis=0), points.max(axis=0)
    if low[0] > drawn[2] or low[1] > drawn[3] or high[0] < drawn[0] or high[1] < drawn[1]:
        where = ", ".join(f"{each / 1000:.3f}" for each in (low + high) / 2)
        box = ", ".join(f"{each / 1000:.3f}" for each in drawn)
        raise ValueError(f"the defect at {where} um is outside of all that is drawn ({box} um): is it of this layout?")


def _provenance(request: PrintabilityRequest, device: torch.device, setting: _Setting) -> dict[str, Any]:
    return {
        "algorithm": "Abbe imaging of a thin mask by closed-form spectra; exact threshold crossings",
        "algorithm_version": PRINTABILITY_VERSION,
        "inputs": [hashlib.sha256(request.model_dump_json().encode()).hexdigest()],
        "parameters": request.model_dump(mode="json", by_alias=True, exclude={"defects"}),
        "conventions": {
            "lengths": "of answers: nanometres on the wafer; the magnification is used once, from mask to wafer",
            "threshold": "intensity relative to clear field; exposed where intensity times dose reaches it",
            "fraction": "change of a width over the width without the defect at the same dose and focus",
            "edges": "outward shift of a feature's edge: positive makes it wider",
            "null": "no width near could be measured: judged by edges of wider features, else by the intensity",
            "at_least": "an edge is gone at the worst condition: the fraction is a lower bound, without a sigma",
            "sigma": "one standard error, root of the sum of squares of the components that are known",
            "defocus": "of the wafer, exact for plane waves in the medium",
            "disc": f"a polygon of {_DISC_SIDES} sides and the same area",
        },
        "not_modelled": [
            "polarisation (vector imaging)",
            "thickness of the mask",
            "flare",
            "resist beyond a threshold",
        ],
        "ambit_nm": request.optics.ambit_nm or 4 * setting.optics.resolution_nm,
        "device": str(device),
        "precision": "float64",
    }

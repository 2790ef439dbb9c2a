"""How a mask defect prints, in pictures: intensity without and with it, their difference, and what is printed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.device import choose_device
from analysis.mask.contours import intensity_map
from analysis.mask.printability import Scene, SceneImages, check_scene
from services.pictures import encode_png
from services.pipelines.mask.mask_patterns import PatternFile
from services.pipelines.mask.printability import provenance_of, scenes
from services.pipelines.mask.printability_request import PrintabilityRequest
from services.pipelines.versions import PICTURES_VERSION

Progress = Callable[[float, str], None]
MOST_PIXELS = 480
"""Of a side of a picture."""
_PIXELS_OF_RESOLUTION = 40
_ROOM = 0.6
"""Part of the optical ambit that is shown around the defect."""
_PRINTED = {"neither": 0, "lost": 85, "gained": 170, "both": 255}


@dataclass(frozen=True)
class Picture:
    """Which defect of a question is drawn, at which relative dose and at which defocus in nanometres."""

    defect: str
    dose: float = 1.0
    defocus_nm: float = 0.0


def draw_printing(
    file: PatternFile, request: PrintabilityRequest, picture: Picture, progress: Progress
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the document of the pictures of a defect, and each as PNG by its name.

    Raises:
        ValueError: the question has no such defect, or it cannot be imaged.
        instruments.errors.InstrumentError: the layout cannot be read.
    """
    chosen = [each for each in request.defects if each.name == picture.defect]
    if len(chosen) != 1:
        raise ValueError(f"the question has {len(chosen)} defects that are called {picture.defect!r}, not one")
    progress(0.1, "reading the pattern")
    defect, after = scenes(file, request, chosen[0])
    check_scene(defect)
    device = choose_device("auto")
    images = SceneImages(defect, device)
    progress(0.4, "imaging")
    found = {"reference": images.image(defect.window, (), picture.defocus_nm)}
    found["defect"] = images.image(defect.window, defect.patches, picture.defocus_nm)
    if after is not None:
        found["repaired"] = images.image(after.window, after.patches, picture.defocus_nm)
    progress(0.8, "drawing")
    whole = {name: _map(each, defect) * picture.dose for name, each in found.items()}
    shown = _shown(whole["reference"].shape, defect)
    maps = {name: each[shown.rows, shown.columns] for name, each in whole.items()}
    pictures, scales = _draw(maps, request.exposure.threshold)
    document = {
        "verdict": "drawn",
        "defect": picture.defect,
        "dose": picture.dose,
        "defocus_nm": picture.defocus_nm,
        "threshold": request.exposure.threshold,
        "window_nm": list(shown.box_nm),
        "pixel_nm": list(shown.pixel_nm),
        "pictures": scales,
        "changes": _changes(maps, request.exposure.threshold, shown.pixel_nm),
        "simulated": request.simulated,
        "provenance": provenance_of(request, str(device)) | {"algorithm_version": PICTURES_VERSION},
    }
    return document, pictures


@dataclass(frozen=True)
class _Shown:
    """What is shown of a window: rows and columns of its map, on the wafer in nanometres, and the sides of a pixel."""

    rows: slice
    columns: slice
    box_nm: tuple[float, float, float, float]
    pixel_nm: tuple[float, float]


def _shown(shape: tuple[int, ...], scene: Scene) -> _Shown:
    tile, window = scene.window.tile, scene.window
    wide, high = tile.width_nm / shape[1], tile.height_nm / shape[0]
    (left, right), (bottom, top) = _extent(scene)
    first, last = max(0, int(left / wide)), min(shape[1], math.ceil(right / wide))
    low, up = max(0, int(bottom / high)), min(shape[0], math.ceil(top / high))
    box = (
        window.left_nm + first * wide,
        window.bottom_nm + low * high,
        window.left_nm + last * wide,
        window.bottom_nm + up * high,
    )
    return _Shown(slice(low, up), slice(first, last), box, (wide, high))


def _extent(scene: Scene) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return from where to where is shown along x and y: a square around the defect, in the window's frame."""
    left, bottom, right, top = scene.defect_box().tolist()
    half = max(right - left, top - bottom) / 2 + _ROOM * scene.reach_nm
    middle_x, middle_y = (left + right) / 2, (bottom + top) / 2
    return (middle_x - half, middle_x + half), (middle_y - half, middle_y + half)


def _map(image: NDArray[np.complex128], scene: Scene) -> NDArray[np.float64]:
    (left, right), _ = _extent(scene)
    pixel = max(scene.optics.resolution_nm / _PIXELS_OF_RESOLUTION, (right - left) / MOST_PIXELS)
    return intensity_map(image, scene.window.tile, pixel)


def _draw(
    maps: Mapping[str, NDArray[np.float64]], threshold: float
) -> tuple[dict[str, bytes], dict[str, dict[str, Any]]]:
    """Return the pictures, and of each what black and white are; y goes up on the wafer, so rows are turned over."""
    brightest = max(float(each.max()) for each in maps.values())
    pictures: dict[str, bytes] = {}
    scales: dict[str, dict[str, Any]] = {}
    for name, values in maps.items():
        pictures[name] = _grey(values / brightest * 255)
        scales[name] = {"black": 0.0, "white": brightest, "quantity": "intensity times dose, relative to clear field"}
        if name == "reference":
            continue
        change = values - maps["reference"]
        most = float(np.abs(change).max()) or 1.0
        key = "difference" if name == "defect" else "difference_repaired"
        pictures[key] = _grey(127.5 + change / most * 127.5)
        scales[key] = {"black": -most, "white": most, "quantity": "change of intensity times dose"}
        printed = "printed" if name == "defect" else "printed_repaired"
        pictures[printed] = _grey(_printed(maps["reference"] >= threshold, values >= threshold))
        scales[printed] = {"greys": _PRINTED, "quantity": "exposed without the defect, with it, both"}
    return pictures, scales


def _grey(values: NDArray[np.float64]) -> bytes:
    return encode_png(np.clip(np.round(values[::-1]), 0, 255).astype(np.uint8))


def _printed(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> NDArray[np.float64]:
    levels = np.array([[_PRINTED["neither"], _PRINTED["gained"]], [_PRINTED["lost"], _PRINTED["both"]]], np.float64)
    return np.asarray(levels[before.astype(int), after.astype(int)], np.float64)


def _changes(
    maps: Mapping[str, NDArray[np.float64]], threshold: float, pixel_nm: tuple[float, float]
) -> dict[str, dict[str, float]]:
    """Return of each picture the exposed area that is gained and lost within what is shown, square nanometres."""
    before, area = maps["reference"] >= threshold, pixel_nm[0] * pixel_nm[1]
    return {
        name: {
            "gained_nm2": float((~before & (values >= threshold)).sum()) * area,
            "lost_nm2": float((before & (values < threshold)).sum()) * area,
            "largest_change": float(np.abs(values - maps["reference"]).max()),
        }
        for name, values in maps.items()
        if name != "reference"
    }

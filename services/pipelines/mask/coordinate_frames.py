"""Frames of a sample and the maps between them, ``faultlight.frames/1``: ``faultlight mask convert`` and the job.

A link says how the coordinates of one frame become those of another: by a matrix and a shift, by a definition
(``mask``, ``backside``), or by places that are known in both, to which a map is fitted; then its residuals and outliers
are told.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.coordinates.affine import Affine, Points
from analysis.coordinates.frames import Frames, Link, backside_mirror, mask_to_wafer
from analysis.coordinates.registration import Registration, fit_registration
from instruments.errors import CorruptField
from services.pipelines.mask.conversion_request import FramePlace
from services.pipelines.versions import FRAMES_VERSION

SCHEMA = "faultlight.frames/1"
_KINDS = ("matrix", "mask", "backside", "matches")


def load_frames(path: Path) -> tuple[Frames, list[dict[str, Any]]]:
    """Return the frames of a file and what is known of each link.

    Raises:
        CorruptField: a key is missing, unknown, or not right.
        analysis.coordinates.registration.RegistrationRefused: matches do not determine their map.
        analysis.coordinates.frames.FramesRefused: a link joins frames that are joined already, or not declared.
        FileNotFoundError: there is no such file.
    """
    return read_frames(read_json(path), path.name)


def read_json(path: Path) -> Any:
    """Return the JSON document in the file ``path``; raises ``CorruptField`` where it is none."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptField(f"the frames are no JSON: {error}", file=path.name) from None


def read_frames(document: Any, file: str = "") -> tuple[Frames, list[dict[str, Any]]]:
    """Return the frames of a JSON ``document``; ``file`` names it in errors. Raises as :func:`load_frames`."""
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise CorruptField("this is no description of frames", file=file, expected=SCHEMA)
    units, links = document.get("units"), document.get("links")
    if not isinstance(units, Mapping) or not all(isinstance(unit, str) for unit in units.values()):
        raise CorruptField("units is no object of frame names and their units", file=file)
    if not isinstance(links, list):
        raise CorruptField("links is no list", file=file)
    frames, told = Frames(dict(units)), []
    for place, item in enumerate(links):
        where = f"links[{place}]"
        if not isinstance(item, Mapping) or sum(kind in item for kind in _KINDS) != 1:
            raise CorruptField(f"{where} has not one of these", file=file, expected=", ".join(_KINDS))
        source, target = (str(item.get(key, "")) for key in ("source", "target"))
        transform, fitted = _map(item, where, file)
        frames.connect(Link(source, target, transform, str(item.get("provenance") or "not stated")))
        told.append({"source": source, "target": target, **_describe(transform, fitted)})
    return frames, told


def _map(item: Mapping[str, Any], where: str, file: str) -> tuple[Affine, Registration | None]:
    def bad(expected: str) -> CorruptField:
        return CorruptField(f"{where} is not right", file=file, expected=expected, found=str(dict(item))[:200])

    if "matches" in item:
        rows = item["matches"]
        if not (isinstance(rows, list) and rows and all(_numbers(row, 6) for row in rows)):
            raise bad("matches: [[source x, source y, target x, target y, source sigma, target sigma], …]")
        table = np.asarray(rows, np.float64)
        if (table[:, 4:] < 0).any():
            raise bad("deviations of at least 0")
        source, target = (Points.isotropic(table[:, k : k + 2], table[:, 4 + k // 2]) for k in (0, 2))
        fitted = fit_registration(source, target, item.get("form", "affine"))
        return fitted.transform, fitted
    if "mask" in item:
        definition = item["mask"]
        if not isinstance(definition, Mapping) or set(definition) - {"magnification", "mirrored"}:
            raise bad('mask: {"magnification": 4, "mirrored": true}')
        return _checked(
            lambda: mask_to_wafer(
                float(definition.get("magnification", 4.0)), mirrored=bool(definition.get("mirrored", True))
            ),
            bad,
        ), None
    if "backside" in item:
        definition = item["backside"]
        if not isinstance(definition, Mapping) or set(definition) != {"width"} or not _number(definition["width"]):
            raise bad('backside: {"width": of the die}')
        return backside_mirror(float(definition["width"])), None
    rows = item["matrix"]
    shift = item.get("shift", [0.0, 0.0])
    sigma = item.get("shift_sigma", 0.0)
    right = isinstance(rows, list) and len(rows) == 2 and all(_numbers(row, 2) for row in rows) and _numbers(shift, 2)
    if not right or not _number(sigma) or sigma < 0:
        raise bad("matrix: [[a, b], [c, d]], shift: [x, y], shift_sigma: at least 0")
    covariance = np.zeros((6, 6))
    covariance[2, 2] = covariance[5, 5] = float(sigma) ** 2
    return Affine(np.asarray(rows, np.float64), np.asarray(shift, np.float64), covariance), None


def _checked(make: Callable[[], Affine], bad: Callable[[str], CorruptField]) -> Affine:
    try:
        return make()
    except (TypeError, ValueError) as error:
        raise bad(str(error)) from None


def _describe(transform: Affine, fitted: Registration | None) -> dict[str, Any]:
    parts = transform.decompose()
    document: dict[str, Any] = {
        "rotation_deg": math.degrees(parts.rotation_rad),
        "scale": [parts.scale_x, parts.scale_y],
        "shear_mrad": parts.shear_rad * 1000.0,
        "mirrored": parts.mirrored,
        "shift": transform.shift.tolist(),
        "fitted": fitted is not None,
    }
    if fitted is not None:
        document |= {
            "residuals": fitted.residuals.tolist(),
            "outliers": np.flatnonzero(fitted.outlier).tolist(),
            "rms": fitted.rms,
            "p_fit": fitted.p_fit,
            "degrees_of_freedom": fitted.degrees_of_freedom,
        }
    return document


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(_number(each) for each in value)


def convert_path(path: Path, way: tuple[str, str], place: tuple[float, float], sigma: float) -> dict[str, Any]:
    """Return the answer of ``faultlight mask convert --json``: a place of one frame in another, with its covariance.

    Args:
        path: the frames' file.
        way: names of the source and the target frame.
        place: in the source frame's unit.
        sigma: its standard deviation in each axis, in the same unit.

    Raises:
        ValueError: as :func:`load_frames`, or no map leads there.
    """
    if not all(math.isfinite(value) for value in (*place, sigma)) or sigma < 0:
        raise CorruptField("a place is two numbers and a deviation of at least 0", found=f"{place}, {sigma}")
    start = FramePlace(x=place[0], y=place[1], sigma_x=sigma, sigma_y=sigma)
    return convert_places(read_json(path), path.name, way, [start])


def convert_places(document: Any, file: str, way: tuple[str, str], places: Sequence[FramePlace]) -> dict[str, Any]:
    """Return ``places`` of the first frame of ``way`` in the second, each with its covariance, and what the maps are.

    Args:
        document: the frames, ``faultlight.frames/1``.
        file: names the frames in errors.
        way: names of the source and the target frame.
        places: in the source frame's unit.

    Raises:
        ValueError: as :func:`load_frames`, or no map leads there.
    """
    frames, links = read_frames(document, file)
    source, target = way
    start = _points(places)
    end = frames.convert(start, source, target)
    back = frames.between(target, source).apply(Points(end.xy, np.zeros((len(end.xy), 2, 2))))
    rows = zip(places, end.xy.tolist(), end.covariance.tolist(), end.sigma_along_axes.tolist(), strict=True)
    return {
        "verdict": "converted",
        "source": {"frame": source, "unit": frames.units[source]},
        "target": {"frame": target, "unit": frames.units[target]},
        "places": [
            {
                "name": place.name or None,
                "source": {"xy": [place.x, place.y], "sigma": [place.sigma_x, place.sigma_y]},
                "target": {"xy": xy, "covariance": covariance, "sigma": sigma},
            }
            for place, xy, covariance, sigma in rows
        ],
        "round_trip_error": float(np.abs(back.xy - start.xy).max()),
        "way": list(frames.provenance(source, target)),
        "links": links,
        "provenance": {
            "algorithm": "affine maps, composed with their covariances; fitted ones by weighted least squares",
            "algorithm_version": FRAMES_VERSION,
            "inputs": [hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()],
            "parameters": {"source": source, "target": target},
            "conventions": {
                "covariance": "of the place in the target frame: its own through the map, and the map's",
                "sigma": "one standard deviation along the axes of the frame",
                "round_trip_error": "largest difference of a place from itself, there and back, in the source's unit",
            },
            "device": "cpu",
            "precision": "float64",
            "simulated": False,
        },
    }


def _points(places: Sequence[FramePlace]) -> Points:
    rows = [(each.x, each.y, each.sigma_x, each.sigma_y, each.correlation) for each in places]
    table = np.asarray(rows, np.float64).reshape(-1, 5)
    covariance = np.zeros((len(table), 2, 2))
    covariance[:, 0, 0], covariance[:, 1, 1] = table[:, 2] ** 2, table[:, 3] ** 2
    covariance[:, 0, 1] = covariance[:, 1, 0] = table[:, 2] * table[:, 3] * table[:, 4]
    return Points(table[:, :2], covariance)

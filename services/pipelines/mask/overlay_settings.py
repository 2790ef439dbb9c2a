"""How defects of a file come to lie on a layout: ``faultlight.defect-overlay/1``, a JSON file."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from analysis.coordinates.affine import Affine, Points
from analysis.coordinates.registration import Form, Registration, fit_registration
from analysis.mask.defect_overlay import NUISANCE_BELOW, TONES, Tone
from instruments.errors import CorruptField

SCHEMA = "faultlight.defect-overlay/1"
Coordinates = Literal["die", "sample", "layout"]


@dataclass(frozen=True)
class OverlaySettings:
    """What is known about the defects that their file does not say.

    Attributes:
        coordinates: which of the file's coordinates are used: from the die's origin, from the sample's centre, or those
            in the layout as the tool gives them.
        scale: layout micrometres per defect micrometre: 0.25 from a 4x mask to the wafer.
        mirrored: whether x is turned about before all else, as for a mask seen from its chrome side.
        rotation_deg: counter-clockwise, after the mirror.
        offset_um: where the origin of the defects' coordinates lies in the layout.
        sigma_nm: standard deviation of a defect's place in each axis, in the defects' own scale.
        matches: places known in both, ``(defect x, y, layout x, y, sigma_nm)``; the map is fitted to them instead.
        form: of the map that is fitted.
        layers: names of the process's levels that a defect may be on; none for all conductors.
        tone: of a defect whose class has none.
        tones: by class name or class number.
        nuisance_below: criticality under which a defect is nuisance.
    """

    coordinates: Coordinates = "die"
    scale: float = 1.0
    mirrored: bool = False
    rotation_deg: float = 0.0
    offset_um: tuple[float, float] = (0.0, 0.0)
    sigma_nm: float = 0.0
    matches: tuple[tuple[float, float, float, float, float], ...] = ()
    form: Form = "affine"
    layers: tuple[str, ...] = ()
    tone: Tone = "unknown"
    tones: Mapping[str, Tone] = field(default_factory=dict)
    nuisance_below: float = NUISANCE_BELOW

    def map(self) -> tuple[Affine, Registration | None]:
        """Return the map from the defects' coordinates to the layout, and how it was fitted where it was.

        Raises:
            CorruptField: the scale is not positive.
            analysis.coordinates.registration.RegistrationRefused: the matches do not determine it.
        """
        if self.matches:
            table = np.asarray(self.matches, np.float64)
            fitted = fit_registration(
                Points.isotropic(table[:, :2]), Points.isotropic(table[:, 2:4], table[:, 4] / 1000.0), self.form
            )
            return fitted.transform, fitted
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise CorruptField("the scale is not positive", found=self.scale)
        angle = math.radians(self.rotation_deg)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        matrix = self.scale * turn @ np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        return Affine.exact(matrix, self.offset_um), None

    def to_document(self) -> dict[str, Any]:
        """Return them as JSON."""
        return {
            "schema": SCHEMA,
            "coordinates": self.coordinates,
            "scale": self.scale,
            "mirrored": self.mirrored,
            "rotation_deg": self.rotation_deg,
            "offset_um": list(self.offset_um),
            "sigma_nm": self.sigma_nm,
            "matches": [list(match) for match in self.matches],
            "form": self.form,
            "layers": list(self.layers),
            "tone": self.tone,
            "tones": dict(self.tones),
            "nuisance_below": self.nuisance_below,
        }


def load_settings(path: Path) -> OverlaySettings:
    """Return the settings of a file.

    Raises:
        CorruptField: it is not right; the key is named.
        FileNotFoundError: there is no such file.
    """
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptField(f"the settings are no JSON: {error}", file=path.name) from None
    return read_settings(document, path.name)


def read_settings(document: Any, file: str = "") -> OverlaySettings:
    """Return the settings of a JSON ``document``; ``file`` names it in errors.

    Raises:
        CorruptField: a key is unknown, or a value not right.
    """
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise CorruptField("this is no description of an overlay", file=file, expected=SCHEMA)
    known = OverlaySettings().to_document()
    strangers = sorted(set(document) - set(known))
    if strangers:
        expected = ", ".join(sorted(known))
        raise CorruptField("the settings have an unknown key", file=file, expected=expected, found=strangers[0])
    checks: dict[str, tuple[Any, str]] = {
        "coordinates": (lambda value: value in get_args(Coordinates), "die, sample or layout"),
        "scale": (lambda value: _number(value) and value > 0, "a positive number"),
        "mirrored": (lambda value: isinstance(value, bool), "true or false"),
        "rotation_deg": (_number, "a number"),
        "offset_um": (lambda value: _numbers(value, 2), "[x, y]"),
        "sigma_nm": (lambda value: _number(value) and value >= 0, "a number of at least 0"),
        "matches": (
            lambda value: isinstance(value, list) and all(_numbers(each, 5) and each[4] >= 0 for each in value),
            "[[defect x, defect y, layout x, layout y, sigma_nm], …]",
        ),
        "form": (lambda value: value in get_args(Form), ", ".join(get_args(Form))),
        "layers": (lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value), "names"),
        "tone": (lambda value: value in TONES, ", ".join(TONES)),
        "tones": (
            lambda value: isinstance(value, dict) and all(each in TONES for each in value.values()),
            f"class name or number to one of {', '.join(TONES)}",
        ),
        "nuisance_below": (lambda value: _number(value) and 0 <= value <= 1, "a probability"),
    }
    values = {}
    for name, (holds, expected) in checks.items():
        if name in document:
            if not holds(document[name]):
                message = f"the setting {name} is not right"
                raise CorruptField(message, file=file, expected=expected, found=str(document[name])[:120])
            values[name] = document[name]
    for name in ("offset_um", "layers"):
        if name in values:
            values[name] = tuple(values[name])
    if "matches" in values:
        values["matches"] = tuple(tuple(each) for each in values["matches"])
    return OverlaySettings(**values)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(_number(each) for each in value)


def choose_settings(path: Path | None, layers: str | None = None, **changes: Any) -> OverlaySettings:
    """Return the settings of a file, or the usual ones, with what a command's options change.

    Args:
        path: the file, if there is one.
        layers: names with commas between them.
        changes: other settings; ``None`` changes nothing.

    Raises:
        CorruptField: see :func:`read_settings`.
    """
    document = (load_settings(path) if path is not None else OverlaySettings()).to_document()
    document |= {name: value for name, value in changes.items() if value is not None}
    if layers is not None:
        document["layers"] = [name.strip() for name in layers.split(",")]
    return read_settings(document, "the options")

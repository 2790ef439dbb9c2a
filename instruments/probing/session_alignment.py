"""Where a session's probes were: on the layout, or on the stage with what leads from there to the layout.

``alignment`` has the points that an engineer found on both: ``{"form", "points": [{"name", "stage_x_um",
"stage_y_um", "layout_x_um", "layout_y_um", "sigma_nm"}]}``. A probe has ``x_um`` and ``y_um`` on the layout, or
``stage_x_um`` and ``stage_y_um``, which need an alignment or an ``affine`` (rows of the 2x3 matrix, stage to layout).
"""

import math
from collections.abc import Mapping
from typing import Any

from instruments.errors import CorruptField, quote_value

FORMS = ("affine", "similarity", "mirrored-similarity", "translation")
MAX_POINTS = 10_000
MAX_UM = 10**9
"""A kilometre: no stage goes farther, and squares of distances stay numbers."""
_PLACES = ("stage_x_um", "stage_y_um", "layout_x_um", "layout_y_um")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_alignment(value: Any) -> bool:
    """Return whether ``value`` is an object with a list of points and, if it has one, a known form."""
    if not isinstance(value, dict) or value.get("form", FORMS[0]) not in FORMS:
        return False
    points = value.get("points")
    return isinstance(points, list) and 0 < len(points) <= MAX_POINTS and all(isinstance(each, dict) for each in points)


def check_places(document: Mapping[str, Any], name: str) -> None:
    """Check the alignment's points and that each probe's place can be understood; ``name`` is the session's.

    Raises:
        CorruptField: with the key's path.
    """
    alignment = document.get("alignment")
    for index, point in enumerate((alignment or {}).get("points", ())):
        _check_point(point, f"alignment.points[{index}]", name)
    for index, probe in enumerate(document["waveforms"]):
        _check_probe(probe, f"waveforms[{index}]", name, mapped=bool(alignment or document.get("affine")))


def _check_point(point: Mapping[str, Any], path: str, name: str) -> None:
    for key in _PLACES:
        if not (_is_number(point.get(key)) and abs(point[key]) <= MAX_UM):
            raise _refuse(name, f"{path}.{key}", "a number of at most 9 digits before the point", point.get(key))
    sigma = point.get("sigma_nm")
    if sigma is not None and not (_is_number(sigma) and sigma > 0):
        raise _refuse(name, f"{path}.sigma_nm", "a positive number", sigma)
    label = point.get("name")
    if label is not None and not (isinstance(label, str) and 0 < len(label) <= 200):
        raise _refuse(name, f"{path}.name", "a text of at most 200 characters", label)


def _check_probe(probe: Mapping[str, Any], path: str, name: str, *, mapped: bool) -> None:
    on_stage = [key for key in ("stage_x_um", "stage_y_um") if probe.get(key) is not None]
    if not on_stage:
        return
    if len(on_stage) == 1:
        raise _refuse(name, path, "both of stage_x_um and stage_y_um", on_stage[0])
    if probe.get("x_um") is not None or probe.get("y_um") is not None:
        raise _refuse(name, path, "a place on the layout (x_um) or on the stage (stage_x_um), not both", "both")
    if not mapped:
        raise _refuse(name, path, "an alignment or an affine, because the place is on the stage", None)


def _refuse(name: str, key: str, expected: str, found: Any) -> CorruptField:
    return CorruptField(f"session.json: {key} is not right", file=name, expected=expected, found=quote_value(found))

"""Places in a session: its alignment of stage and layout, where each probe was, and how that is written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.coordinates.affine import Affine, NotInvertible, Points
from analysis.coordinates.registration import Registration, RegistrationRefused, fit_registration
from analysis.localization.beam_places import BeamPlace, place_on_layout
from analysis.localization.mixture import Spot
from instruments.records import ProbingSession

_NM = 1e3
DOUBTFUL_FIT = 0.001
"""Probability of the alignment's residuals below which its stated errors are called too small."""


class PlacesRefused(ValueError):  # noqa: N818
    """A session's placement contradicts itself."""


@dataclass(frozen=True)
class StageMap:
    """From stage to layout, micrometres both: the map, and the fit behind it where there were points to fit."""

    to_layout: Affine
    registration: Registration | None
    form: str
    names: tuple[str, ...]


def stage_map(document: Mapping[str, Any]) -> StageMap | None:
    """Return the map from stage to layout that ``document`` (``session.json``) gives; ``None`` when it gives none.

    Points count more than an ``affine``, which says nothing of its errors and is taken as exact.

    Raises:
        RegistrationRefused: the points do not determine the map, or nothing tells how good it is.
        NotInvertible: the map has no way back.
    """
    alignment = document.get("alignment")
    if alignment:
        points = alignment["points"]
        form = alignment.get("form", "affine")
        stated = [point.get("sigma_nm") for point in points]
        if any(sigma is None for sigma in stated) != all(sigma is None for sigma in stated):
            raise RegistrationRefused("some alignment points state their sigma_nm and some do not; state all or none")
        sigma_um = np.asarray([float(sigma or 0.0) / _NM for sigma in stated])
        stage = np.asarray([[point["stage_x_um"], point["stage_y_um"]] for point in points], np.float64)
        layout = np.asarray([[point["layout_x_um"], point["layout_y_um"]] for point in points], np.float64)
        fitted = fit_registration(Points.isotropic(stage), Points.isotropic(layout, sigma_um), form)
        fitted.transform.inverse()
        names = tuple(str(point.get("name") or index) for index, point in enumerate(points, 1))
        return StageMap(fitted.transform, fitted, form, names)
    if document.get("affine"):
        (a, b, c), (d, e, f) = document["affine"]
        return StageMap(Affine.exact(np.array([[a, b], [d, e]], np.float64), (c, f)), None, "affine", ())
    return None


def places_of(session: ProbingSession) -> dict[str, tuple[float, float]]:
    """Return the drain of each net that ``session`` places, micrometres on the layout.

    Raises:
        PlacesRefused: a net is at two places, as earlier versions of the reader took it.
    """
    places = session.placement
    if places is None:
        return {}
    found: dict[str, tuple[float, float]] = {}
    for net, x, y in zip(places.nets, places.x_um, places.y_um, strict=True):
        here = (float(x), float(y))
        there = found.setdefault(net, here)
        if there != here:
            raise PlacesRefused(f"the placement has the net {net} at {there} um and at {here} um: keep one of them")
    return found


def probe_place(probe: Mapping[str, Any], stage: StageMap | None) -> BeamPlace | None:
    """Return where the beam of ``probe`` was on the layout; ``None`` when it does not say, or ``stage`` is missing."""
    sigma_nm = float(probe.get("placement_sigma_nm") or 0.0)
    if probe.get("x_um") is not None and probe.get("y_um") is not None:
        return place_on_layout(float(probe["x_um"]), float(probe["y_um"]), sigma_nm)
    if probe.get("stage_x_um") is None or stage is None:
        return None
    return place_on_layout(float(probe["stage_x_um"]), float(probe["stage_y_um"]), sigma_nm, stage.to_layout)


def stage_place(x_um: float | None, y_um: float | None, stage: StageMap | None) -> dict[str, Any]:
    """Return where the stage must go for a place on the layout, micrometres, with the error that the map brings."""
    if stage is None or x_um is None or y_um is None:
        return {}
    try:
        there = place_on_layout(x_um, y_um, 0.0, stage.to_layout.inverse())
    except NotInvertible:
        return {}
    return {"stage_x_um": there.x_um, "stage_y_um": there.y_um, "stage_sigma_nm": there.ellipse.major_nm}


def place_of_spot(spot: Spot) -> BeamPlace:
    """Return the place of ``spot`` with its ellipse."""
    (xx, xy), (_, yy) = spot.place_covariance_nm2.tolist()
    return BeamPlace(spot.x_um, spot.y_um, ((xx, xy), (xy, yy)))


def ellipse_document(place: BeamPlace) -> dict[str, float]:
    """Return the standard ellipse of ``place``."""
    ellipse = place.ellipse
    return {"major_nm": ellipse.major_nm, "minor_nm": ellipse.minor_nm, "angle_deg": ellipse.angle_deg}


def alignment_document(stage: StageMap | None) -> dict[str, Any] | None:
    """Return what is to be known of the map ``stage``: matrix, errors, residuals by point, outliers, warnings."""
    if stage is None:
        return None
    transform, fitted = stage.to_layout, stage.registration
    shape = transform.decompose()
    document: dict[str, Any] = {
        "form": stage.form,
        "affine_um": np.column_stack([transform.matrix, transform.shift]).tolist(),
        "rotation_mrad": shape.rotation_rad * 1e3,
        "scale_x": shape.scale_x,
        "scale_y": shape.scale_y,
        "shear_mrad": shape.shear_rad * 1e3,
        "mirrored": shape.mirrored,
        "fitted": fitted is not None,
        "points": [],
        "warnings": [] if fitted is not None else ["the affine states no errors and was taken as exact"],
    }
    if fitted is None:
        return document
    return document | {
        "rms_nm": fitted.rms * _NM,
        "scale_of_errors": fitted.scale if fitted.p_fit is not None else None,
        "p_fit": fitted.p_fit,
        "degrees_of_freedom": fitted.degrees_of_freedom,
        "points": [
            {
                "name": name,
                "residual_x_nm": float(residual[0]) * _NM,
                "residual_y_nm": float(residual[1]) * _NM,
                "outlier": bool(outlier),
                "p_value": float(p_value),
            }
            for name, residual, outlier, p_value in zip(
                stage.names, fitted.residuals, fitted.outlier, fitted.p_values, strict=True
            )
        ],
        "warnings": _warnings(stage, fitted),
    }


def _warnings(stage: StageMap, fitted: Registration) -> list[str]:
    found = []
    left_out = [name for name, outlier in zip(stage.names, fitted.outlier, strict=True) if outlier]
    if left_out:
        found.append(f"points that do not agree with the others and were left out: {', '.join(left_out)}")
    if fitted.degrees_of_freedom == 0:
        found.append("no point is left over to check the alignment: a wrong one cannot be noticed")
    if fitted.p_fit is not None and fitted.p_fit < DOUBTFUL_FIT:
        found.append(f"residuals are {fitted.scale:.1f} times the stated errors, which were widened by that")
    return found

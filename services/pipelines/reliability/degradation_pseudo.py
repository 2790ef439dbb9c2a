"""Pseudo-lifetimes handed to life data: the textbook's two steps, with what they leave out said."""

from typing import Any

import numpy as np

from analysis.degradation.pseudo_lifetimes import CURVES, find_pseudo_lifetimes
from analysis.degradation.readout_paths import ReadoutPaths
from analysis.degradation.thresholds import Threshold
from analysis.reliability.errors import LifeDataError
from analysis.reliability.fitting import LifeFit, fit_model
from analysis.reliability.intervals import failure_probability
from analysis.reliability.life_data import collapse
from services.pipelines.reliability.degradation_requests import DegradationRequest

MOST_UNITS = 2000
"""Pseudo-lifetimes that an answer lists; the distribution is of all."""


def describe_pseudo_lifetimes(paths: ReadoutPaths, threshold: Threshold, request: DegradationRequest) -> dict[str, Any]:
    """Return the pseudo-lifetimes of ``paths`` at ``threshold`` and the Weibull distribution of them.

    Raises:
        BadReadouts: the curve that was asked for cannot be fitted.
    """
    assert request.pseudo is not None
    found = find_pseudo_lifetimes(paths, threshold, request.pseudo)
    dead = [each.unit for each in found if each.dead]
    known = np.asarray([each.hours is not None for each in found])
    hours = np.asarray([each.last_h if each.hours is None else each.hours for each in found])
    remarks = [
        "Pseudo-lifetimes are taken as exact: the interval leaves out how far and how surely each was extrapolated; "
        "the times to the threshold of the forecast do not."
    ]
    if len(paths.temperatures) > 1:
        remarks.append("The units were under several temperatures: their pseudo-lifetimes are no one distribution.")
    return {
        "curve": request.pseudo,
        "formula": CURVES[request.pseudo][0],
        "units": [
            {"unit": each.unit, "hours": each.hours, "last_h": each.last_h, "r_squared": each.r_squared,
             "reason": each.reason or None}
            for each in found[:MOST_UNITS]
        ],
        "weibull": _refuse_dead(dead) if dead else _weibull(hours, known, paths, request),
        "remarks": remarks,
    }  # fmt: skip


def _refuse_dead(units: list[str]) -> dict[str, Any]:
    """Neither failures at a time nor survivors: a distribution with them would be wrong, one without them too good."""
    named = ", ".join(units[:3]) + (" …" if len(units) > 3 else "")
    return {
        "refused": f"{len(units)} units are beyond the threshold from the beginning ({named}) and have no lifetime: "
        "judge them apart and give the readouts of the others"
    }


def _weibull(hours: np.ndarray, known: np.ndarray, paths: ReadoutPaths, request: DegradationRequest) -> dict[str, Any]:
    if len(paths.temperatures) > 1:
        return {
            "refused": "devices of several temperatures are not pooled: fit life under stress with accelerate --fit"
        }
    upper = np.where(known, hours, np.inf)
    try:
        fit: LifeFit = fit_model(collapse(hours, upper, np.ones(len(hours))), "weibull")
        by = request.horizon_h or 1.5 * float(paths.time_h.max())
        failed = failure_probability(fit, by, request.level, "likelihood-ratio")
    except LifeDataError as error:
        return {"refused": str(error)}
    values = {name: {"value": value, "standard_error": error} for name, (value, error) in fit.natural().items()}
    return {
        "parameters": values,
        "hours": by,
        "ppm": 1e6 * failed.estimate,
        "low_ppm": 1e6 * failed.low,
        "high_ppm": 1e6 * failed.high,
        "level": failed.level,
        "method": failed.method,
        "log_likelihood": fit.log_likelihood,
    }

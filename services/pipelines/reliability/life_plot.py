"""What is drawn and tabled of a life fit: points without a model, the model's band, and rates in FIT."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.reliability.comparison import Comparison
from analysis.reliability.errors import LifeDataError
from analysis.reliability.failure_rate import HOURS_PER_BILLION, poisson_bounds
from analysis.reliability.fitting import LifeFit
from analysis.reliability.intervals import Interval, failure_probability
from analysis.reliability.life_data import Floats, LifeData
from analysis.reliability.readouts import part_failed
from services.pipelines.reliability.life_requests import LifeRequest

BAND_POINTS = 13
LINE_POINTS = 61
MOST_POINTS = 2000
"""Failure times or readouts that are drawn one by one."""
CONFIDENCES = (0.6, 0.9)
"""Of one-sided upper bounds of rates: those in use in qualification reports."""
_SPREAD = 2.0
"""The band reaches so much further than the points, both ways."""


def plot_document(fit: LifeFit, request: LifeRequest, comparison: Comparison | None = None) -> dict[str, Any]:
    """Return points and the band of ``fit``; of the other models of ``comparison`` their lines.

    ``points`` are parts failed by each failure time or readout with two-sided intervals; ``band`` the fit's failure
    probability with pointwise intervals by ``request``, and ``fraction`` its line at ``hours``.
    """
    first, last = _ends(fit.data, request)
    hours = np.geomspace(first, last, LINE_POINTS)
    others = [each for each in comparison.models if each.fit is not None and each.fit is not fit] if comparison else []
    return {
        **_points(fit.data, request.level),
        "model": fit.model.name,
        "level": request.level,
        "method": request.method,
        "band": _band(fit, np.geomspace(first, last, BAND_POINTS), request),
        "hours": hours.tolist(),
        "fraction": fit.failure_probability(hours).tolist(),
        "others": [
            {"name": each.name, "fraction": each.fit.failure_probability(hours).tolist()}
            for each in others
            if each.fit is not None
        ],
    }


def _points(data: LifeData, level: float) -> dict[str, Any]:
    failed = ~data.right
    distinct = int(failed.sum())
    if distinct > MOST_POINTS:
        reason = f"{distinct} times of failure are more than the {MOST_POINTS} that are drawn one by one"
        return {"points": [], "points_refused": reason}
    try:
        return {"points": [vars(step) for step in part_failed(data, level)], "points_refused": None}
    except LifeDataError as error:
        return {"points": [], "points_refused": str(error)}


def _ends(data: LifeData, request: LifeRequest) -> tuple[float, float]:
    failed = data.upper[np.isfinite(data.upper)]
    first = float(failed[failed > 0].min()) / _SPREAD
    last = max(float(failed.max()), float(data.lower.max()), request.hours or 0.0) * _SPREAD
    return first, last


def _band(fit: LifeFit, hours: Floats, request: LifeRequest) -> list[dict[str, Any]]:
    band = []
    for each in hours.tolist():
        try:
            found = failure_probability(fit, each, request.level, request.method)
        except LifeDataError:
            continue
        band.append({"hours": each, "fraction": found.estimate, "low": found.low, "high": found.high})
    return band


def rate_document(data: LifeData, level: float, by_model: Sequence[tuple[float, Interval]] = ()) -> dict[str, Any]:
    """Return rates in FIT: the constant one that the counts bound, and the model's average until each of some hours.

    ``by_model`` are hours and the failure probability by then; the average rate until t is ``-ln(1 - F(t)) / t``.
    Device hours count a device that failed within an interval until its last sign of life, so that bounds are not too
    low.
    """
    device_hours = float(((data.lower - data.entry) * data.count).sum())
    failures = round(data.failures)
    return {
        "failures": failures,
        "device_hours": device_hours,
        "constant": _constant_rate(failures, device_hours, level) if device_hours > 0 else None,
        "by_model": [_average_rate(hours, found) for hours, found in by_model],
    }


def _constant_rate(failures: int, device_hours: float, level: float) -> dict[str, Any]:
    scale = HOURS_PER_BILLION / device_hours
    two = poisson_bounds(failures, level, "two")
    uppers = [poisson_bounds(failures, confidence) for confidence in CONFIDENCES]
    return {
        "fit": scale * two.point if failures else None,
        "low": scale * two.low,
        "high": scale * two.high,
        "level": level,
        "upper": [{"confidence": each.confidence, "fit": scale * each.high, "method": each.method} for each in uppers],
        "assumes": "a constant rate",
    }


def _average_rate(hours: float, found: Interval) -> dict[str, Any]:
    ends = [_rate(part, hours) for part in (found.estimate, found.low, found.high)]
    return {
        "hours": hours, "ppm": 1e6 * found.estimate, "low_ppm": 1e6 * found.low, "high_ppm": 1e6 * found.high,
        "fit": ends[0], "low": ends[1], "high": ends[2], "level": found.level, "method": found.method,
    }  # fmt: skip


def _rate(part: float, hours: float) -> float | None:
    return None if part >= 1 else float(-np.log1p(-part)) * HOURS_PER_BILLION / hours

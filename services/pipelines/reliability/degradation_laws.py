"""The laws of drift in words and numbers, and what they say of a population in use."""

from typing import Any

from analysis.degradation.errors import DegradationError
from analysis.degradation.law_fit import natural_parameters
from analysis.degradation.law_mixture import LawForecaster, fit_laws
from analysis.degradation.laws import LAWS
from analysis.degradation.methods import Choice
from analysis.degradation.populations import foresee_population
from analysis.degradation.readout_paths import ReadoutPaths
from analysis.degradation.thresholds import Threshold
from services.pipelines.reliability.degradation_requests import DegradationRequest


def law_forecaster(choice: Choice, paths: ReadoutPaths, request: DegradationRequest) -> LawForecaster | None:
    """Return the laws that ``choice`` has fitted to ``paths``; all are fitted where ``request`` needs them.

    ``None`` where none fits, or none was asked for.
    """
    laws = {each.name: each for each in choice.fitted if isinstance(each, LawForecaster)}
    if "physics-laws" in laws:
        return laws["physics-laws"]
    if "physics-laws" not in request.methods and request.use_temperature_c is None:
        return laws.get("mixed-power-law")
    try:
        return fit_laws(paths)
    except DegradationError:
        return None


def describe_laws(laws: LawForecaster, level: float) -> list[dict[str, Any]]:
    """Return each law of ``laws`` with its weight and its parameters, two-sided intervals of ``level``."""
    rows: list[dict[str, Any]] = []
    for each in laws.laws:
        row: dict[str, Any] = {"name": each.name, "formula": LAWS[each.name].formula, "weight": each.weight}
        if each.fit is None:
            rows.append(row | {"difference": None, "refused": each.reason})
            continue
        form = each.fit.form
        random = [form.names[place] for place in each.fit.structure.random]
        rows.append(
            row
            | {
                "difference": each.difference,
                "aicc": each.fit.aicc,
                "log_likelihood": each.fit.log_likelihood,
                "score_norm": each.fit.score_norm,
                "differs_by_unit": random,
                "time": "s = t exp(-Ea (1/T - 1/T0)/k)" if form.several_temperatures else "s = t",
                "time_unit_h": each.fit.scale.time_h,
                "reference_temperature_c": None
                if each.fit.scale.reference_k is None
                else each.fit.scale.reference_k - each.fit.scale.conditions.zero_celsius_k,
                "parameters": natural_parameters(each.fit, level),
            }
        )
    return rows


def describe_population(
    laws: LawForecaster | None, paths: ReadoutPaths, threshold: Threshold, request: DegradationRequest
) -> dict[str, Any]:
    """Return which part of new units in use passes ``threshold``, by the laws fitted to ``paths``.

    A refusal is told in its place.
    """
    try:
        if laws is None:
            raise DegradationError("no law was fitted: nothing tells how temperature changes the drift")
        assert request.use_temperature_c is not None
        found = foresee_population(
            laws, paths, threshold, (request.use_temperature_c, request.use_hours), request.level, request.seed
        )
    except DegradationError as error:
        return {"refused": {"type": type(error).__name__, "message": str(error)}}
    return {
        "temperature_c": request.use_temperature_c,
        "hours": request.use_hours,
        "ppm": 1e6 * found.probability,
        "low_ppm": 1e6 * found.low,
        "high_ppm": 1e6 * found.high,
        "level": request.level,
        "resolution_ppm": 1e6 * found.resolution,
        "equivalent_hours": found.equivalent_h,
        "by_law": {name: 1e6 * value for name, value in found.by_law.items()},
        "method": "parameters drawn about their estimates, units drawn from each; laws weighed by AICc",
    }

"""Burn-in of a report: what falls out by when, and how many of the units shipped would still fail in the field."""

from collections.abc import Sequence
from typing import Any

from analysis.reliability.burn_in import failing_between
from analysis.reliability.comparison import compare_models
from analysis.reliability.errors import LifeDataError
from analysis.reliability.failure_rate import fraction_bounds
from analysis.reliability.intervals import LEAST_FAILURES
from services.pipelines.reliability.report_rates import factor_of, only_mechanism
from services.pipelines.reliability.report_requests import ReportContent
from services.pipelines.reliability.report_tests import StressTest

ASSUMED = (
    "Hours of use are hours of burn-in times the factor; the life distribution is that of the best model and is "
    "extrapolated to the field, which these data cannot check. Wear-out of good units is not judged here."
)


def report_burn_in(tests: Sequence[StressTest], content: ReportContent) -> dict[str, Any]:
    """Return fallout by hour and escapes of each test of burn-in."""
    chosen = [test for test in tests if test.purpose == "burn_in"]
    if not chosen:
        names = ", ".join(content.stresses.burn_in)
        return {"empty": f"No lifetimes are of a burn-in ({names})."}
    return {"tests": [_describe(test, content) for test in chosen], "assumed": ASSUMED}


def _describe(test: StressTest, content: ReportContent) -> dict[str, Any]:
    document: dict[str, Any] = {
        "condition": test.condition.label,
        "devices": test.devices,
        "failures": test.failures,
        "hours": test.last_h,
        "level": content.level,
    }
    if test.no_part:
        return document | {"refused": test.no_part}
    bounds = fraction_bounds(test.failures, test.devices, content.level, "two")
    document |= {
        "fallout_ppm": 1e6 * bounds.point,
        "fallout_low_ppm": 1e6 * bounds.low,
        "fallout_high_ppm": 1e6 * bounds.high,
        "method": bounds.method,
    }
    try:
        return document | _escapes(test, content)
    except LifeDataError as error:
        return document | {"refused": str(error)}


def _escapes(test: StressTest, content: ReportContent) -> dict[str, Any]:
    factor, origin = content.burn_in.acceleration, "given"
    if factor is None:
        mechanism = only_mechanism(test, content)
        factor = factor_of(mechanism, test.condition, content).factor.value
        origin = f"of the mechanism {mechanism.name}"
    fit = compare_models(test.data, content.models).best
    field_h = content.burn_in.field_h / factor
    rows = []
    for hours in (0.0, *sorted(content.burn_in.hours)):
        found = failing_between(fit, hours, hours + field_h, content.level)
        rows.append(
            {"hours": hours, "ppm": 1e6 * found.estimate, "low_ppm": 1e6 * found.low, "high_ppm": 1e6 * found.high}
        )
    few = test.failures < LEAST_FAILURES["likelihood-ratio"]
    return {
        "model": fit.model.name,
        "factor": factor,
        "factor_origin": origin,
        "field_h": content.burn_in.field_h,
        "escapes": rows,
        "remarks": [f"Only {test.failures} failures: the intervals may be too narrow."] if few else [],
    }

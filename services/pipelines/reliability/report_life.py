"""Life distributions of a report: for each test with failures the best model, with bands for its probability plot."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from analysis.reliability.burn_in import failing_between
from analysis.reliability.comparison import Comparison, compare_models
from analysis.reliability.competing_risks import cumulative_incidence, fit_competing_risks
from analysis.reliability.errors import LifeDataError
from analysis.reliability.fitting import LifeFit
from analysis.reliability.intervals import LEAST_FAILURES, LIMITS, failure_probability, parameter_interval
from services.pipelines.reliability.life_plot import plot_document
from services.pipelines.reliability.life_requests import LifeRequest
from services.pipelines.reliability.report_rates import factor_of, only_mechanism
from services.pipelines.reliability.report_requests import ReportContent
from services.pipelines.reliability.report_tests import StressTest

METHOD: Final = "likelihood-ratio"
LEAST_TO_FIT = 2


def report_life(tests: Sequence[StressTest], content: ReportContent) -> dict[str, Any]:
    """Return the life distributions of the tests in which units failed."""
    chosen = [test for test in tests if test.failures >= LEAST_TO_FIT]
    if not chosen:
        if not tests:
            return {"empty": "There are no lifetimes."}
        return {
            "empty": f"No test has {LEAST_TO_FIT} failures: there is no life distribution to draw. Rates with their "
            "bounds are above."
        }
    return {"tests": [_describe(test, content) for test in chosen]}


def _describe(test: StressTest, content: ReportContent) -> dict[str, Any]:
    document: dict[str, Any] = {
        "condition": test.condition.label,
        "devices": test.devices,
        "failures": test.failures,
    }
    try:
        comparison = compare_models(test.data, content.models)
        fit = comparison.best
        document |= {
            "model": fit.model.name,
            "models": _models(comparison),
            "remarks": [*comparison.remarks, *_few(test)],
            "at_end": _probability(fit, test.last_h, content),
            "at_mission": _at_mission(fit, test, content),
            "defective": _defective(fit, content),
            "limits": LIMITS[METHOD],
            **plot_document(fit, LifeRequest(level=content.level, method=METHOD)),
        }
    except LifeDataError as error:
        document |= {"refused": str(error), "points": []}
    document["causes"] = _causes(test)
    return document


def _few(test: StressTest) -> list[str]:
    least = LEAST_FAILURES[METHOD]
    if test.failures >= least:
        return []
    return [f"The {METHOD} interval was found to keep its level from {least} failures; here are {test.failures}."]


def _models(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "aic_difference": each.aic_difference}
        if each.fit is not None
        else {"name": each.name, "refused": each.reason}
        for each in comparison.models
    ]


def _probability(fit: LifeFit, hours: float, content: ReportContent) -> dict[str, Any]:
    found = failure_probability(fit, hours, content.level, METHOD)
    return {
        "hours": hours, "ppm": 1e6 * found.estimate, "low_ppm": 1e6 * found.low, "high_ppm": 1e6 * found.high,
        "level": found.level, "method": found.method,
    }  # fmt: skip


def _at_mission(fit: LifeFit, test: StressTest, content: ReportContent) -> dict[str, Any]:
    """Failed by the mission's hours of use, as hours of this stress by the factor of the failures' mechanism."""
    try:
        mechanism = only_mechanism(test, content)
        factor = factor_of(mechanism, test.condition, content).factor.value
        hours = content.mission_h / factor
        found = failing_between(fit, 0.0, hours, content.level)
    except LifeDataError as error:
        return {"refused": str(error)}
    beyond = hours > test.last_h
    return {
        "mission_h": content.mission_h, "factor": factor, "mechanism": mechanism.name, "hours": hours,
        "ppm": 1e6 * found.estimate, "low_ppm": 1e6 * found.low, "high_ppm": 1e6 * found.high, "level": found.level,
        "beyond": beyond,
    }  # fmt: skip


def _defective(fit: LifeFit, content: ReportContent) -> dict[str, Any] | None:
    """The part of the units with a latent defect, where the best model has one."""
    if "p" not in fit.natural():
        return None
    try:
        found = parameter_interval(fit, "p", content.level, METHOD)
    except LifeDataError as error:
        return {"refused": str(error)}
    return {"ppm": 1e6 * found.estimate, "low_ppm": 1e6 * found.low, "high_ppm": 1e6 * found.high, "level": found.level}


def _causes(test: StressTest) -> dict[str, Any] | None:
    if len(test.caused.causes) < 2:
        return None
    try:
        fit = fit_competing_risks(test.caused, "weibull")
        shares = cumulative_incidence(fit, np.asarray([test.last_h]))[:, 0]
    except LifeDataError as error:
        return {"refused": str(error), "modes": test.modes}
    return {
        "hours": test.last_h,
        "rows": [
            {"cause": cause, "failures": test.modes.get(cause, 0), "ppm": 1e6 * float(share)}
            for cause, share in zip(fit.data.causes, shares, strict=True)
        ],
    }

"""Answers to questions of rates, acceleration, plans, burn-in and growth: documents with conventions and sources."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from analysis.reliability.acceleration import LAWS, Constants, fit_stress_model, fitted_factor
from analysis.reliability.burn_in import BurnIn, BurnInPlan, Defects, cheapest, defects_of, hours_for_escapes
from analysis.reliability.errors import LifeDataError
from analysis.reliability.failure_rate import EarlyLifeTest, Exposure, early_life_rate, failure_rate
from analysis.reliability.fitting import fit_model
from analysis.reliability.growth import fit_grouped_growth, fit_growth
from analysis.reliability.intervals import failure_probability, parameter_interval
from analysis.reliability.life_data import LifeData, Truncation, collapse
from analysis.reliability.mechanisms import Measured, accelerate
from analysis.reliability.test_planning import (
    below_one_ppm,
    device_hours_for_rate,
    sample_size,
    zero_failure_devices,
    zero_failure_hours,
)
from services.pipelines.reliability.life_data import (
    build_life_data,
    lifetime_columns,
    provenance,
    refuse_several_stresses,
)
from services.pipelines.stored_answer import code_version
from services.pipelines.table_source import SourceTable, read_tables
from services.pipelines.versions import RELIABILITY_ANSWERS_VERSION


def answer_rate(exposures: Sequence[Exposure], confidence: float, sides: str, mission_h: float) -> dict[str, Any]:
    """Return the failure rate of ``exposures`` in FIT with its convention; raises what computing it raises."""
    rate = failure_rate(exposures, confidence, sides, mission_h)
    return {
        "verdict": "estimated",
        "headline": {
            "quantity": "FIT, upper bound",
            "value": rate.total.fit.high,
            "confidence": confidence,
        },
        "fit": asdict(rate.total.fit),
        "mean_life_h": rate.total.mean_life_h,
        "mission": {"hours": mission_h, "ppm": asdict(rate.mission_ppm)},
        "mechanisms": [
            {**asdict(each.exposure), "equivalent_hours": each.exposure.equivalent_hours, "fit": asdict(each.fit)}
            for each in rate.mechanisms
            if each.exposure is not None
        ],
        "conventions": {"method": rate.total.fit.method, "sides": sides, "confidence": confidence},
        "remarks": [f"{sum(each.failures for each in exposures)} failures in all; a mean life is stated at the bound."],
        "provenance": _own_provenance("rate", {"exposures": [asdict(each) for each in exposures]}),
    }


def answer_early_life(tests: Sequence[EarlyLifeTest], early_h: float, confidence: float, beta: float) -> dict[str, Any]:
    """Return the early-life rate of ``tests`` in ppm with its convention; raises what computing it raises."""
    rate = early_life_rate(tests, early_h, confidence, beta)
    return {
        "verdict": "estimated",
        "headline": {"quantity": "early-life ppm, upper bound", "value": rate.ppm.high, "confidence": confidence},
        "ppm": asdict(rate.ppm),
        "early_h": early_h,
        "beta": beta,
        "parts": [{"mechanism": name, "ppm": asdict(bounds)} for name, bounds in rate.parts],
        "conventions": {"method": rate.ppm.method, "sides": "one", "confidence": confidence},
        "remarks": ["beta below 1 is a statement about the product, not a result of this test."] if beta < 1 else [],
        "provenance": _own_provenance("early-life", {"tests": [asdict(each) for each in tests]}),
    }


def answer_acceleration(
    mechanism: str,
    conditions: tuple[Mapping[str, float], Mapping[str, float]],
    given: Mapping[str, Measured],
    constants: Constants,
    level: float,
) -> dict[str, Any]:
    """Return the factor of ``mechanism`` between ``conditions`` of use and stress; raises what computing it raises."""
    use, stress = conditions
    found = accelerate(mechanism, use, stress, given, constants, level)
    return {
        "verdict": "computed",
        "headline": _factor(found.factor),
        "mechanism": mechanism,
        "formula": found.mechanism.formula,
        "source": found.mechanism.source,
        "coefficients": [
            {
                "name": name,
                "value": each.value,
                "standard_error": each.standard_error,
                "unit": found.mechanism.coefficients[name].unit,
                "source": found.sources[name],
            }
            for name, each in found.coefficients.items()
        ],
        "use": dict(use),
        "stress": dict(stress),
        "conventions": asdict(constants),
        "remarks": [found.remark] if found.remark else [],
        "provenance": _own_provenance("acceleration", {"level": level}),
    }


def answer_law(
    paths: Sequence[Path],
    law: str,
    family: str,
    use: Mapping[str, float],
    hours: float | None,
    constants: Constants,
    level: float,
) -> dict[str, Any]:
    """Return the fit of ``law`` to lifetimes under several stresses, and the life under ``use``.

    Raises:
        LifeDataError: the lifetimes or the law do not allow it.
        InstrumentError, TableRefused, FileNotFoundError: of the files.
    """
    if law not in LAWS:
        raise LifeDataError(f"there is no law {law!r}; there are {', '.join(LAWS)}")
    sources = read_tables(paths, "lifetime")
    data = _stressed(sources, LAWS[law].stresses, constants)
    fit = fit_stress_model(data, family, LAWS[law], constants)
    parameters = []
    for name, (value, error) in fit.natural().items():
        found = parameter_interval(fit, name, level, "wald")
        parameters.append({"name": name, "value": value, "standard_error": error, "low": found.low, "high": found.high})
    document: dict[str, Any] = {
        "verdict": "fitted",
        "model": fit.model.name,
        "formula": LAWS[law].formula,
        "parameters": parameters,
        "devices": data.devices,
        "failures": data.failures,
        "conventions": {**asdict(constants), "interval": "wald", "level": level},
        "fit": {"log_likelihood": fit.log_likelihood, "aic": fit.aic, "score_norm": fit.maximum.score_norm},
        "remarks": ["One sigma under all stresses is assumed; extrapolation to use holds if the law does."],
        "provenance": provenance(sources, {"law": law, "family": family, "use": dict(use)}),
    }
    if use:
        at_use = _row(LAWS[law].stresses, use, constants)
        worst = data.stress[np.argmax([fit.failure_probability([1e3], each[None])[0] for each in data.stress])]
        document["factor"] = _factor(fitted_factor(fit, at_use, worst, level))
        document["headline"] = document["factor"]
        if hours is not None:
            found = failure_probability(fit, hours, level, "likelihood-ratio", at_use)
            document["headline"] = {
                "quantity": "failed by", "hours": hours, "ppm": 1e6 * found.estimate, "low_ppm": 1e6 * found.low,
                "high_ppm": 1e6 * found.high, "level": level, "method": found.method,
            }  # fmt: skip
    return document


def _stressed(sources: Sequence[SourceTable], names: Sequence[str], constants: Constants) -> LifeData:
    whole, _ = lifetime_columns(sources)
    limits = Truncation(whole["entry"], whole["exit"])
    columns = {_COLUMNS.get(name, name) for name in names}
    # A law's stress without a unit is the voltage where no table has a column of stress.
    voltage = "stress" in columns and not any(np.isfinite(source.numbers("stress")).any() for source in sources)
    taken = {name: "voltage_v" if voltage and name == "stress" else name for name in sorted(columns)}
    refuse_several_stresses(sources, taken.values())
    stresses = {name: np.concatenate([source.numbers(own) for source in sources]) for name, own in taken.items()}
    conditions = [
        _row(names, dict(zip(stresses, values, strict=True)), constants)
        for values in zip(*(column.tolist() for column in stresses.values()), strict=True)
    ]
    return collapse(whole["lower"], whole["upper"], whole["count"], limits, np.stack(conditions))


_COLUMNS = {"temperature_k": "temperature_c"}


def _row(
    names: Sequence[str], values: Mapping[str, float], constants: Constants
) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = []
    for name in names:
        column = _COLUMNS.get(name, name)
        value = values.get(column, values.get("voltage_v", float("nan")) if column == "stress" else float("nan"))
        if not np.isfinite(value):
            raise LifeDataError(f"the law needs {column} of every device, and of use")
        found.append(constants.kelvin(value) if name == "temperature_k" else value)
    return np.asarray(found)


def answer_plan(
    question: Mapping[str, float | int | None], confidence: float, acceleration: float, beta: float, mission_h: float
) -> dict[str, Any]:
    """Return what a test needs: by ``rate_fit``, ``fraction``, or ``ppm`` with ``test_h`` or ``devices``.

    Raises:
        LifeDataError: nothing is asked, or it is impossible.
    """
    failures = int(question.get("failures") or 0)
    plans: dict[str, Any] = {}
    rate, fraction, ppm = question.get("rate_fit"), question.get("fraction"), question.get("ppm")
    if rate is not None:
        plans["device_hours"] = device_hours_for_rate(float(rate), failures, confidence, acceleration)
    if fraction is not None:
        plans["devices_for_fraction"] = sample_size(float(fraction), confidence, failures)
    if ppm is not None:
        test_h, devices = question.get("test_h"), question.get("devices")
        if failures:
            raise LifeDataError("a plan by ppm allows no failure; ask by fraction for one that does")
        if test_h is not None:
            plan = zero_failure_devices(float(ppm), confidence, float(test_h), mission_h, acceleration, beta)
        elif devices is not None:
            plan = zero_failure_hours(float(ppm), confidence, int(devices), mission_h, acceleration, beta)
        else:
            raise LifeDataError("a plan by ppm needs the hours of the test or the number of devices")
        plans["zero_failure"] = asdict(plan)
    if not plans:
        raise LifeDataError("ask for a rate in FIT, a fraction defective, or ppm within the mission")
    name, value = next(iter(plans.items()))
    return {
        "verdict": "planned",
        "headline": {"quantity": name, "value": value["devices"] if isinstance(value, dict) else value},
        "plans": plans,
        "failures_allowed": failures,
        "conventions": {"confidence": confidence, "sides": "one", "beta": beta, "acceleration": acceleration,
                        "mission_h": mission_h},
        "remarks": [below_one_ppm(confidence)],
        "provenance": _own_provenance("plan", dict(question)),
    }  # fmt: skip


def answer_burn_in(
    plan: BurnInPlan, hours: float | None, escapes_ppm: float | None, lifetimes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a burn-in does after ``hours``, how long one for ``escapes_ppm`` is, and which is cheapest.

    ``lifetimes`` is where the defects come from, by :func:`defects_from`; ``None`` where they were given.

    Raises:
        LifeDataError: nothing is asked, or it is impossible or takes too much of the good units' life.
    """
    answers: dict[str, BurnIn] = {"none": plan.judge(0.0)}
    if hours is not None:
        answers["asked"] = plan.judge(hours)
        if hours > plan.longest_h():
            raise LifeDataError(f"at most {plan.longest_h():.4g} h are allowed by the wear-out of good units")
    if escapes_ppm is not None:
        answers["for_escapes"] = hours_for_escapes(plan, escapes_ppm)
    if plan.costs is not None:
        answers["cheapest"] = cheapest(plan)
    if len(answers) == 1:
        raise LifeDataError("ask for hours of burn-in, for escapes in ppm, or give costs")
    name = list(answers)[-1]
    remarks = (
        [] if plan.wear_out else ["Wear-out is not given: whether the burn-in takes life of good units is not known."]
    )
    if lifetimes is not None:
        remarks.append(
            "The hours of the lifetimes are taken as hours of use: those of a stress test are to be multiplied by its "
            "factor first."
        )
    return {
        "verdict": "planned",
        "headline": {"quantity": name, "hours": answers[name].hours, "escapes_ppm": answers[name].escapes_ppm},
        "burn_in": {key: asdict(each) for key, each in answers.items()},
        "defects": asdict(plan.defects),
        "longest_h": plan.longest_h() if plan.wear_out else None,
        "conventions": {"field_h": plan.field_h, "acceleration": plan.acceleration,
                        "escapes": "per million units shipped, from their defect, within the field hours"},
        "remarks": remarks,
        "provenance": _own_provenance("burn-in", {"plan": asdict(plan)})
        | {key: lifetimes[key] for key in ("inputs", "files", "simulated") if lifetimes},
    }  # fmt: skip


def defects_from(paths: Sequence[Path]) -> tuple[Defects, dict[str, Any]]:
    """Return the defective units that the lifetimes in ``paths`` show, and where they come from.

    Raises:
        LifeDataError: the lifetimes do not show them.
        InstrumentError, TableRefused, FileNotFoundError: of the files; devices of several stresses are not pooled.
    """
    sources = read_tables(paths, "lifetime")
    refuse_several_stresses(sources)
    fit = fit_model(build_life_data(sources), "defective-weibull")
    return defects_of(fit), provenance(sources, {"model": "defective-weibull"})


def answer_growth(
    times_h: Sequence[float], end_h: float | None, groups: tuple[Sequence[float], Sequence[int]] | None, level: float
) -> dict[str, Any]:
    """Return the growth of a repairable system from failure times, or from counts in ``groups`` (ends, counts).

    Raises:
        LifeDataError: the times or counts do not allow it.
    """
    growth = fit_grouped_growth(groups[0], groups[1], level) if groups else fit_growth(times_h, end_h, level)
    document = asdict(growth)
    for name, value in document.items():
        if isinstance(value, float) and not np.isfinite(value):
            document[name] = None
    poor = growth.p_value is not None and growth.p_value < 0.05
    return {
        "verdict": "growing" if growth.beta_high < 1 else "worsening" if growth.beta_low > 1 else "not-shown",
        "headline": {"quantity": "hours between failures at the end", "value": growth.mean_time_h,
                     "low": document["mean_time_low_h"], "high": document["mean_time_high_h"], "level": level},
        "growth": document | {"intensity_per_h": growth.intensity_per_h, "scale_unbiased": growth.scale_unbiased},
        "conventions": {"ended_by": growth.ended_by,
                        "beta": "maximum likelihood; beta_unbiased: (m-1)/sum log(T/t), m times t before T",
                        "goodness_of_fit": "Cramer-von Mises, p-value simulated"},
        "remarks": ["The power law does not fit: p below 0.05."] if poor else [],
        "provenance": _own_provenance("growth", {"end_h": end_h, "level": level}),
    }  # fmt: skip


def _factor(factor: Any) -> dict[str, Any]:
    return {"quantity": "acceleration factor", "value": factor.value, "low": factor.low, "high": factor.high,
            "level": factor.level, "log_sigma": factor.log_sigma}  # fmt: skip


def finite_document(value: Any) -> Any:
    """Return ``value`` with numbers that JSON cannot hold (infinite bounds, none) as ``None``."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite_document(item) for key, item in value.items()}
    return [finite_document(item) for item in value] if isinstance(value, list | tuple) else value


def _own_provenance(question: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "inputs": [], "algorithm": f"reliability-{question}/{RELIABILITY_ANSWERS_VERSION}",
        "parameters": dict(parameters),
        "code_version": code_version(), "device": "cpu", "precision": "float64", "simulated": False,
    }  # fmt: skip

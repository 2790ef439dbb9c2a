"""Degradation: readouts in, forecasts, laws and times to thresholds out; for command line and worker."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.degradation.errors import DegradationError
from analysis.degradation.forecasting import PART_GIVEN, Judgement, cut_time, forecast
from analysis.degradation.law_mixture import drift_test
from analysis.degradation.methods import CHALLENGERS, Choice, choose_method
from analysis.degradation.readout_paths import ReadoutPaths, Targets
from analysis.degradation.thresholds import FALLING, FARTHEST, RISING, Threshold, choose_side, cross
from services.pipelines.reliability.degradation_laws import describe_laws, describe_population, law_forecaster
from services.pipelines.reliability.degradation_pseudo import describe_pseudo_lifetimes
from services.pipelines.reliability.degradation_requests import DegradationRequest
from services.pipelines.reliability.degradation_scores import UnitScores, score_parameter
from services.pipelines.reliability.degradation_tables import ParameterPaths, collect_parameters, read_plain_csv
from services.pipelines.reliability.life_data import provenance
from services.pipelines.table_source import SourceTable, read_tables
from services.pipelines.versions import DEGRADATION_VERSION

MOST_UNITS_TOLD = 500
_TIMES = 6
_P_DRIFT = 0.01

Progress = Callable[[float, str], None]


def degradation_of_paths(
    files: Sequence[Path],
    request: DegradationRequest,
    columns: Mapping[str, str] | None = None,
    units: tuple[str, str] = ("1", "h"),
) -> dict[str, Any]:
    """Return the answer for the readouts in ``files``.

    ``columns`` names the columns of plain CSV files, ``units`` are then those of value and time. Raises what reading
    them and :func:`judge_degradation` raise.
    """
    if columns:
        for file in files:
            if not file.exists():
                raise FileNotFoundError(f"there is no file {file}")
        return judge_degradation([read_plain_csv(file, columns, *units) for file in files], request)
    return judge_degradation(read_tables(files, "readout"), request)


def judge_degradation(
    sources: Sequence[SourceTable],
    request: DegradationRequest,
    progress: Progress = lambda _part, _said: None,
    scores: UnitScores | None = None,
) -> dict[str, Any]:
    """Return the answer of ``faultlight reliability degradation --json`` for tables of readouts.

    ``progress`` is told how far it is. A parameter that cannot be judged is told with the reason. ``scores`` take those
    of every unit, where they are asked for.

    Raises:
        DegradationError, TableRefused: no parameter can be judged; why is in the message.
    """
    parameters = collect_parameters(sources, request.parameters)
    documents: list[dict[str, Any]] = []
    errors: list[DegradationError] = []
    for place, each in enumerate(parameters):
        progress(place / len(parameters), f"fitting {each.parameter}")
        try:
            documents.append(_one(each, request, scores))
        except DegradationError as error:
            errors.append(error)
            documents.append({"parameter": each.parameter, "verdict": "refused", "reason": str(error)})
    if len(errors) == len(parameters):
        raise errors[0]
    verdicts = [document["verdict"] for document in documents]
    return {
        "verdict": "forecast" if "forecast" in verdicts else verdicts[0],
        "parameters": documents,
        "conventions": _conventions(request),
        "provenance": provenance(sources, request.model_dump(mode="json"))
        | {"algorithm": f"degradation/{DEGRADATION_VERSION}"},
        "remarks": [],
    }


def _conventions(request: DegradationRequest) -> dict[str, Any]:
    return {
        "level": request.level,
        "bands": "of a later readout, noise included; widened or narrowed by hierarchical conformal calibration",
        "time_to_threshold": "of the path, without a readout's noise; units not past it live at their last readout",
        "held_out": f"the last {1 - PART_GIVEN:.0%} of the readouts by time under stress, forecast from those before",
        "aicc_sample_size": "readouts",
        "farthest_horizon": f"{FARTHEST:g} times the longest time seen",
        "boltzmann_ev_per_k": 8.617333262e-5,
        "zero_celsius_k": 273.15,
    }


def _one(each: ParameterPaths, request: DegradationRequest, scores: UnitScores | None) -> dict[str, Any]:
    paths = each.paths
    seen = float(paths.time_h.max())
    statistic, p_value = drift_test(paths)
    choice = choose_method(paths, request.methods, request.level)
    laws = law_forecaster(choice, paths, request)
    remarks: list[str] = []
    threshold = _threshold(each, request, remarks)
    told = _likeliest(paths, threshold)
    document: dict[str, Any] = {
        "parameter": each.parameter,
        "unit": each.unit,
        "verdict": "forecast" if p_value < _P_DRIFT else "no-drift",
        "units": paths.units,
        "readouts": paths.rows,
        "seen_h": seen,
        "temperatures_c": [float(value) for value in paths.temperatures],
        "drift": {"likelihood_ratio": statistic, "p_value": p_value},
        "methods": [_method(judged, choice) for judged in choice.trial.judgements.values()],
        "selected": choice.fitted[0].name,
        "why": choice.trial.why,
        "laws": describe_laws(laws, request.level) if laws else [],
        "forecast": _forecast(choice, told, request),
        "calibration": _calibration(choice, request),
        **dict.fromkeys(("crossings", "population", "pseudo_lifetimes")),
        "remarks": remarks,
    }
    if p_value >= _P_DRIFT:
        remarks.append(
            f"No drift is seen beyond the noise (p {p_value:.2g}): no time to a threshold is extrapolated. Bands of "
            "later readouts are given."
        )
    elif threshold is not None:
        document["threshold"] = {
            "value": threshold.value,
            "direction": "rising" if threshold.direction == RISING else "falling",
        }
        document["crossings"] = _crossings(choice, told, threshold, request, remarks)
        if request.use_temperature_c is not None:
            document["population"] = describe_population(laws, paths, threshold, request)
    if scores is not None:
        drifts = threshold if p_value < _P_DRIFT else None
        score_parameter(scores, each, choice, laws, (drifts, request.horizon_h or 1.5 * seen, request.seed))
    if request.pseudo is not None:
        if threshold is None:
            raise DegradationError("pseudo-lifetimes need a threshold: give one, or limits in the readouts")
        document["pseudo_lifetimes"] = describe_pseudo_lifetimes(paths, threshold, request)
    remarks += _doubts(choice, paths, document)
    return document


def _likeliest(paths: ReadoutPaths, threshold: Threshold | None) -> ReadoutPaths:
    """The units that an answer tells of: all, or of too many those whose last readout went farthest."""
    if paths.units <= MOST_UNITS_TOLD:
        return paths
    last = paths.value[paths.last_row]
    far = np.abs(last - np.median(last)) if threshold is None else (last - threshold.value) * threshold.direction
    chosen = np.zeros(paths.units, np.bool_)
    chosen[np.argsort(-far, kind="stable")[:MOST_UNITS_TOLD]] = True
    return paths.take(chosen[paths.unit])


def _method(judged: Judgement, choice: Choice) -> dict[str, Any]:
    return {
        "name": judged.method,
        "kind": "challenger" if judged.method in CHALLENGERS else "baseline",
        "selected": judged.method == choice.fitted[0].name,
        "rmse": judged.error,
        "coverage_uncalibrated": judged.coverage,
        "interval_score": judged.interval_score,
        "stretch": judged.stretch if judged.error is not None else None,
        "readouts": judged.rows,
        "units": judged.units,
        "refused": judged.reason or None,
    }


def _calibration(choice: Choice, request: DegradationRequest) -> dict[str, Any]:
    judged = choice.judgement
    return {
        "stretch": choice.stretches[0],
        "units": judged.units,
        "readouts": judged.rows,
        "level": request.level,
        "reachable": judged.units / (judged.units + 1) >= request.level,
    }


def _forecast(choice: Choice, paths: ReadoutPaths, request: DegradationRequest) -> list[dict[str, Any]]:
    """Bands of each unit's readouts from its last one to the horizon, or as far as that is supported."""
    horizon = min(request.horizon_h or 1.5 * float(paths.time_h.max()), FARTHEST * float(paths.time_h.max()))
    last = paths.last_h
    told = paths.units
    parts = np.linspace(0.0, 1.0, _TIMES)
    times = last[:told, None] + np.maximum(horizon - last[:told, None], 0.0) * parts
    targets = Targets(np.repeat(np.arange(told, dtype=np.int64), _TIMES), times.ravel())
    bands = forecast(choice.fitted[0], paths, targets, request.level, choice.stretches[0], request.seed)
    return [
        {
            "unit": paths.names[unit],
            "time_h": float(time),
            "value": float(value),
            "low": float(low),
            "high": float(high),
        }
        for unit, time, value, low, high in zip(
            targets.unit, targets.time_h, bands.middle, bands.low, bands.high, strict=True
        )
    ]


def _threshold(each: ParameterPaths, request: DegradationRequest, remarks: list[str]) -> Threshold | None:
    """What was asked for, or the limit of the rows that the readouts drift towards."""
    if request.threshold is not None:
        if request.direction is not None:
            return Threshold(request.threshold, RISING if request.direction == "rising" else FALLING)
        return choose_side(each.paths, request.threshold)
    limits = [(each.high_limit, RISING), (each.low_limit, FALLING)]
    given = [Threshold(value, side) for value, side in limits if value is not None]
    if not given:
        remarks.append("There is no threshold: give one, or one limit for all readouts, for times to it.")
        return None
    if len(given) == 1:
        return given[0]
    paths = each.paths
    rising = float(np.median(paths.value[paths.last_row] - paths.value[paths.first_row])) >= 0
    side = "high" if rising else "low"
    remarks.append(f"Of the two limits the {side} one is the threshold, since the median unit drifts that way.")
    return given[0] if rising else given[1]


def _crossings(
    choice: Choice, paths: ReadoutPaths, threshold: Threshold, request: DegradationRequest, remarks: list[str]
) -> dict[str, Any]:
    seen = float(paths.time_h.max())
    horizon = request.horizon_h or 1.5 * seen
    try:
        found = cross(choice.fitted, paths, threshold, horizon, choice.stretches, request.seed)
    except DegradationError as error:
        return {"refused": {"type": type(error).__name__, "message": str(error)}}
    calibrated = seen**2 / max(cut_time(paths), 1e-9 * seen)
    if horizon > calibrated:
        remarks.append(
            f"Forecasts were calibrated to {calibrated / seen:.3g} times the time seen; beyond {calibrated:.4g} h they "
            f"rest on the {choice.fitted[0].name} alone."
        )
    rows = [
        {
            "unit": each.unit,
            "state": each.state,
            "probability": each.probability,
            "low": each.low,
            "high": each.high,
            "never": 1.0 - each.probability,
            "after_h": each.after_h,
            "before_h": each.before_h,
            "hours": {f"{100 * part:g} %": value for part, value in each.quantiles_h.items()},
        }
        for each in found
    ]
    rows.sort(key=_likelihood, reverse=True)
    return {
        "horizon_h": horizon,
        "crossed": sum(each.state == "crossed" for each in found),
        "expected": float(sum(each.probability for each in found)),
        "methods": [each.name for each in choice.fitted],
        "units": rows,
    }


def _likelihood(row: Mapping[str, Any]) -> float:
    return float(row["probability"])


def _doubts(choice: Choice, paths: ReadoutPaths, document: Mapping[str, Any]) -> list[str]:
    """What a reader must know beside the numbers."""
    said = []
    judged = choice.judgement
    level = document["calibration"]["level"]
    if not document["calibration"]["reachable"]:
        said.append(
            f"{judged.units} units are too few to calibrate bands of that level, {int(np.ceil(level / (1 - level)))} "
            "are needed: the widest miss was taken."
        )
    if judged.stretch >= 2:
        said.append(
            f"The {choice.fitted[0].name} was surer than right, {judged.stretch:.3g} times: its bands are widened by "
            "as much. Its shape may not be that of these units."
        )
    laws = document["laws"]
    near = [row["name"] for row in laws if row.get("difference") is not None and row["difference"] < 2]
    if len(near) > 1:
        said.append(
            f"The readouts do not tell the laws {', '.join(near)} apart (AICc within 2); they part beyond the readouts."
        )
    if paths.units > MOST_UNITS_TOLD:
        said.append(
            f"The answer tells of {MOST_UNITS_TOLD} of {paths.units} units, those nearest the threshold or, without "
            "one, farthest from the median."
        )
    return said

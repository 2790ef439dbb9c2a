"""Life data: tables of lifetimes in, failure probabilities of the life models out; for command line and worker."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.reliability.comparison import Comparison, compare_models
from analysis.reliability.competing_risks import cumulative_incidence, fit_competing_risks
from analysis.reliability.errors import LifeDataError
from analysis.reliability.failure_rate import HOURS_PER_BILLION, fraction_bounds, poisson_bounds
from analysis.reliability.fitting import LifeFit
from analysis.reliability.intervals import (
    LEAST_FAILURES,
    LIMITS,
    Interval,
    failure_probability,
    life_quantile,
    parameter_interval,
)
from analysis.reliability.life_data import Floats, LifeData, Truncation, collapse
from analysis.reliability.posterior import NotMixed, sample_posterior
from analysis.reliability.rank_regression import fit_plot
from services.pipelines.reliability.life_plot import plot_document, rate_document
from services.pipelines.reliability.life_requests import LifeRequest
from services.pipelines.stored_answer import code_version
from services.pipelines.table_source import SourceTable, TableRefused, read_tables
from services.pipelines.versions import LIFE_DATA_VERSION

STRESSES = ("temperature_c", "voltage_v", "humidity_percent", "stress")


def fit_paths(paths: Sequence[Path], request: LifeRequest) -> dict[str, Any]:
    """Fit the lifetimes in the files ``paths``; raises what reading them and :func:`fit_tables` raise."""
    return fit_tables(read_tables(paths, "lifetime"), request)


def fit_tables(sources: Sequence[SourceTable], request: LifeRequest) -> dict[str, Any]:
    """Return the answer of ``faultlight reliability fit --json`` for tables of lifetimes.

    Raises:
        LifeDataError: the lifetimes do not allow it; the type and the message say why.
        TableRefused: devices of several stresses would be pooled.
    """
    refuse_several_stresses(sources)
    data = build_life_data(sources, by_cause=request.by_cause)
    common = {
        "devices": data.devices,
        "failures": data.failures,
        "distinct_rows": data.rows,
        "conventions": _conventions(request),
        "provenance": provenance(sources, request.model_dump(mode="json")),
    }
    if data.failures == 0:
        return {"verdict": "no-failures", **_without_failures(data, request), "plot": None, **common}
    if request.by_cause:
        return {"verdict": "fitted", **_by_cause(data, request), **common}
    comparison = compare_models(data, request.models)
    fit = comparison.best
    return {
        "verdict": "fitted",
        "model": fit.model.name,
        "headline": _probability_document(fit, request.hours or _last_hour(data), request),
        "parameters": _parameters(fit, request),
        "lives": _lives(fit, request),
        "models": _models(comparison, request.hours or _last_hour(data)),
        "tests": [vars(test) for test in comparison.tests],
        "remarks": [*comparison.remarks, *_beyond(fit, request)],
        "fit": {
            "log_likelihood": fit.log_likelihood,
            "score_norm": fit.maximum.score_norm,
            "condition": fit.maximum.condition,
        },
        "rank_regression": _rank_regression(data),
        "posterior": _posterior(fit, request),
        "plot": plot_document(fit, request, comparison) if request.plot else None,
        "rates": _rates(fit, request),
        **common,
    }


def build_life_data(sources: Sequence[SourceTable], *, by_cause: bool = False) -> LifeData:
    """Return the collapsed lifetimes of all tables; the mode of failure as cause where ``by_cause``.

    Raises:
        analysis.reliability.errors.BadLifeData: a row is impossible.
    """
    columns, modes = lifetime_columns(sources)
    limits = Truncation(columns["entry"], columns["exit"])
    return collapse(columns["lower"], columns["upper"], columns["count"], limits, cause=modes if by_cause else None)


def lifetime_columns(sources: Sequence[SourceTable]) -> tuple[dict[str, Floats], list[str | None]]:
    """Return ``lower``, ``upper``, ``count``, ``entry`` and ``exit`` of all rows, float64 ``(rows,)``, and their modes.

    Hours, in the sense of :func:`analysis.reliability.life_data.collapse`; what a table leaves out is filled in.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("lower", "upper", "count", "entry", "exit")}
    modes: list[str | None] = []
    for source in sources:
        status = np.asarray(source.texts("status"))
        time, low, high = (source.numbers(name) for name in ("time_h", "lower_h", "upper_h"))
        columns["lower"].append(np.select([status == "interval", status == "left"], [low, 0.0], time))
        columns["upper"].append(np.select([status == "right", status == "exact"], [np.inf, time], high))
        columns["count"].append(source.numbers("count"))
        columns["entry"].append(np.nan_to_num(source.numbers("entry_h"), nan=0.0))
        columns["exit"].append(np.nan_to_num(source.numbers("exit_h"), nan=np.inf, posinf=np.inf))
        modes += [text or None for text in source.texts("mode")]
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    return whole | {"count": np.nan_to_num(whole["count"], nan=1.0)}, modes


def refuse_several_stresses(sources: Sequence[SourceTable], but: Collection[str] = ()) -> None:
    """Refuse devices that were not all under the same stresses, those of the columns ``but`` apart.

    Raises:
        TableRefused: they were not.
    """
    for name in [each for each in STRESSES if each not in but]:
        values = np.concatenate([source.numbers(name) for source in sources])
        distinct = np.unique(values[np.isfinite(values)])
        if distinct.size > 1:
            raise TableRefused(
                f"the devices were under {distinct.size} values of {name}: pooled they are no one distribution; "
                "fit life under stress with accelerate --fit and a law of it, or give one condition's devices"
            )


def _conventions(request: LifeRequest) -> dict[str, Any]:
    return {
        "level": request.level,
        "interval": request.method,
        "interval_limits": LIMITS[request.method],
        "interval_sides": "two",
        "scale_of_wald": "log cumulative hazard (probabilities), log (positive parameters), log odds (parts)",
        "parameters": "Weibull eta = exp(mu) hours, beta = 1/sigma; part p of defective units",
        "bic_sample_size": "failures",
    }


def provenance(sources: Sequence[SourceTable], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return where an answer from ``sources`` under ``parameters`` comes from."""
    return {
        "inputs": sorted({source.sha256 for source in sources}),
        "files": [source.file for source in sources],
        "adapters": sorted({source.adapter for source in sources}),
        "parameters": dict(parameters),
        "algorithm": f"life-data/{LIFE_DATA_VERSION}",
        "code_version": code_version(),
        "device": "cpu",
        "precision": "float64",
        "simulated": any(_simulated(source) for source in sources),
    }


def _simulated(source: SourceTable) -> bool:
    comments = source.table.vendor_metadata.get("comments")
    return str(comments.get("simulated", "")).lower() in ("true", "yes", "1") if isinstance(comments, dict) else False


def _last_hour(data: LifeData) -> float:
    """The end of what was seen, where no hours are asked for."""
    ends = np.concatenate([data.lower, data.upper[np.isfinite(data.upper)]])
    return float(ends.max())


def _probability_document(fit: LifeFit, hours: float, request: LifeRequest) -> dict[str, Any]:
    found = failure_probability(fit, hours, request.level, request.method)
    return {"quantity": "failed by", "hours": hours, **_in_ppm(found)}


def _rates(fit: LifeFit, request: LifeRequest) -> dict[str, Any]:
    """Return rates until the end of the data and until the hours that are asked for."""
    asked = sorted({_last_hour(fit.data), request.hours or _last_hour(fit.data)})
    found = [(hours, failure_probability(fit, hours, request.level, request.method)) for hours in asked]
    return rate_document(fit.data, request.level, found)


def _in_ppm(found: Interval) -> dict[str, Any]:
    return {
        "ppm": 1e6 * found.estimate,
        "low_ppm": 1e6 * found.low,
        "high_ppm": 1e6 * found.high,
        "level": found.level,
        "method": found.method,
        "bounded": list(found.bounded),
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _parameters(fit: LifeFit, request: LifeRequest) -> list[dict[str, Any]]:
    rows = []
    for name, (value, error) in fit.natural().items():
        low, high = None, None
        try:
            found = parameter_interval(fit, name, request.level, "wald")
            low, high = _finite(found.low), _finite(found.high)
        except LifeDataError:
            pass
        rows.append(
            {"name": name, "value": _finite(value), "standard_error": _finite(error), "low": low, "high": high,
             "method": "wald"}
        )  # fmt: skip
    return rows


def _lives(fit: LifeFit, request: LifeRequest) -> list[dict[str, Any]]:
    rows = []
    for part in request.parts:
        try:
            found = life_quantile(fit, part, request.level, request.method)
        except LifeDataError as error:
            rows.append({"failed_part": part, "hours": None, "reason": str(error)})
            continue
        rows.append(
            {"failed_part": part, "hours": _finite(found.estimate), "low_h": _finite(found.low),
             "high_h": _finite(found.high), "level": found.level, "method": found.method}
        )  # fmt: skip
    return rows


def _models(comparison: Comparison, hours: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for each in comparison.models:
        if each.fit is None:
            rows.append({"name": each.name, "refused": each.reason})
            continue
        ppm = float(1e6 * each.fit.failure_probability([hours])[0])
        rows.append(
            {"name": each.name, "log_likelihood": each.fit.log_likelihood, "aic": each.fit.aic, "bic": each.fit.bic,
             "aic_difference": each.aic_difference, "ppm": ppm, "parameters": each.fit.model.parameters}
        )  # fmt: skip
    return rows


def _beyond(fit: LifeFit, request: LifeRequest) -> list[str]:
    """Say so where the answer lies past what was seen."""
    last = _last_hour(fit.data)
    least = LEAST_FAILURES[request.method]
    few = (
        []
        if fit.data.failures >= least
        else [
            f"The {request.method} interval was found to keep its level from {least} failures; here are "
            f"{fit.data.failures:g} ({LIMITS[request.method]})."
        ]
    )
    if request.hours is None or request.hours <= last:
        return few
    return [
        *few,
        f"{request.hours:g} h lie beyond the {last:g} h that were seen: the interval holds if the {fit.model.name} "
        "model does, which the data cannot show there. Compare the models' ppm.",
    ]


def _rank_regression(data: LifeData) -> dict[str, Any] | None:
    try:
        plot = fit_plot(data, "weibull", "benard", "x-on-y")
    except LifeDataError:
        return None
    return {
        "eta_h": _finite(float(np.exp(min(plot.mu, 700.0)))), "beta": 1 / plot.sigma, "r_squared": plot.r_squared,
        "ranks": plot.ranks, "direction": plot.direction,
        "remark": "for comparison with a plot; it has no interval",
    }  # fmt: skip


def _posterior(fit: LifeFit, request: LifeRequest) -> dict[str, Any] | None:
    if not request.bayes:
        return None
    hours = request.hours or _last_hour(fit.data)
    try:
        found = sample_posterior(fit, np.random.default_rng(request.seed))
    except NotMixed as error:
        return {"refused": str(error)}
    parts = ((1 - request.level) / 2, 0.5, (1 + request.level) / 2)
    low, middle, high = (1e6 * float(each) for each in found.probability_quantiles(hours, parts))
    return {
        "hours": hours, "ppm": middle, "low_ppm": low, "high_ppm": high, "level": request.level,
        "prior": found.prior, "sampler": found.sampler, "r_hat": found.r_hat,
        "effective_samples": found.effective_samples,
        "acceptance": found.acceptance, "limits": LIMITS["posterior"], "seed": request.seed,
    }  # fmt: skip


def _without_failures(data: LifeData, request: LifeRequest) -> dict[str, Any]:
    """Nothing failed: bounds of the fraction and the rate, and no distribution."""
    if np.isfinite(data.exit).any():
        raise LifeDataError("a device that was to be seen only if it failed (exit_h) did not fail: leave exit_h empty")
    # Who came later tells nothing of the hours before; those who did not come then are not counted.
    watched = data.entry == 0
    if not watched.any():
        raise LifeDataError("no device failed and none was watched from 0 hours: there is no bound of the part failing")
    survived = float(((data.lower - data.entry) * data.count).sum())
    least = float(data.lower[watched].min())
    ppm = 1e6 * fraction_bounds(0, int(data.count[watched].sum()), request.level).high
    fit = poisson_bounds(0, request.level).high * HOURS_PER_BILLION / survived if survived > 0 else None
    return {
        "model": None,
        "headline": {
            "quantity": "failed by", "hours": least, "ppm": None, "low_ppm": 0.0, "high_ppm": ppm,
            "level": request.level,
            "method": "Clopper-Pearson, one-sided, no failures",
        },
        "rate_fit_upper": fit,
        "rates": rate_document(data, request.level),
        "remarks": [
            "No device failed: no life distribution is estimated. The bound is one-sided, holds up to the hours that "
            "every device watched from the start lived, and the rate's bound assumes a constant rate."
        ],
    }  # fmt: skip


def _by_cause(data: LifeData, request: LifeRequest) -> dict[str, Any]:
    hours = request.hours or _last_hour(data)
    fit = fit_competing_risks(data, "weibull")
    shares = cumulative_incidence(fit, np.asarray([hours]))[:, 0]
    causes = [{"cause": cause, "ppm": 1e6 * float(share)} for cause, share in zip(data.causes, shares, strict=True)]
    masked = float(data.count[~data.right & (data.cause < 0)].sum())
    return {
        "model": fit.model.name,
        "headline": _probability_document(fit, hours, request),
        "causes": causes,
        "masked_failures": masked,
        "plot": plot_document(fit, request) if request.plot else None,
        "rates": _rates(fit, request),
        "parameters": _parameters(fit, request),
        "fit": {
            "log_likelihood": fit.log_likelihood,
            "score_norm": fit.maximum.score_norm,
            "condition": fit.maximum.condition,
        },
        "remarks": [
            "Causes are taken as independent, which such data cannot test; the parts of the causes are those that fail "
            "of them first.",
            *(["A failure of unknown cause is taken as no likelier for one cause than for another."] if masked else []),
            *_beyond(fit, request),
        ],
    }

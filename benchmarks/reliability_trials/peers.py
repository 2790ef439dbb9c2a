"""What lifelines and surpyval say to the same lifetimes, where they are installed and know the question."""

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.reliability_trials.case import Case


def peer_answers(case: Case) -> dict[str, dict[str, float]]:
    """Return by peer its shape and scale for the cases of plain distributions."""
    if case.family not in ("weibull_right", "weibull_complete", "lognormal", "interval") or not case.columns:
        return {}
    found = {}
    for name, fit in (("lifelines", _lifelines), ("surpyval", _surpyval)):
        if importlib.util.find_spec(name) is None:
            continue
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            found[name] = _answers(case, fit)
    return found


def _answers(case: Case, fit: Callable[[Case, str], tuple[float, float]]) -> dict[str, float]:
    values: dict[str, float] = {}
    for family, names in (("weibull", ("beta", "eta")), ("lognormal", ("mu", "sigma"))):
        prefix = "ln_" if family == "lognormal" and case.family != "lognormal" else ""
        if not any(metric.name == prefix + name for metric in case.metrics for name in names):
            continue
        try:
            first, second = fit(case, family)
        except Exception:
            first = second = float("nan")
        values |= {prefix + names[0]: first, prefix + names[1]: second}
        if family == "weibull":
            values |= {"ln_eta": float(np.log(second)), "mu": float(np.log(second)), "sigma": 1 / first}
    return values


def _lifelines(case: Case, family: str) -> tuple[float, float]:
    from lifelines import LogNormalFitter, WeibullFitter

    low, high, count = case.numbers("lo"), case.numbers("hi"), case.numbers("n")
    fitter = WeibullFitter() if family == "weibull" else LogNormalFitter()
    if np.isfinite(high[low != high]).any():
        fitter.fit_interval_censoring(low, high, weights=count)
    else:
        fitter.fit(low, low == high, weights=count)
    if family == "weibull":
        return float(fitter.rho_), float(fitter.lambda_)
    return float(fitter.mu_), float(fitter.sigma_)


def _surpyval(case: Case, family: str) -> tuple[float, float]:
    import surpyval

    low, high, count = case.numbers("lo"), case.numbers("hi"), case.numbers("n").astype(int)
    censored = np.where(np.isinf(high), 1, np.where(low == high, 0, 2))
    model = surpyval.Weibull if family == "weibull" else surpyval.LogNormal
    if (censored == 2).any():
        times = [[a, b] if kind == 2 else [a, a] for a, b, kind in zip(low, high, censored, strict=True)]
        fit = model.fit(x=times, c=censored, n=count)
    else:
        fit = model.fit(x=low, c=censored, n=count)
    first, second = (float(each) for each in fit.params[:2])
    return (second, first) if family == "weibull" else (first, second)

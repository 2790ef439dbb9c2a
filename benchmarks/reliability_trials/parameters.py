"""Numbers of a fit by the names that publications give them: parameters, intervals, quantiles, probabilities."""

import re
from collections.abc import Callable, Mapping

import numpy as np
from scipy.optimize import brentq
from scipy.special import gamma as gamma_function
from scipy.special import ndtri

from analysis.reliability import jets
from analysis.reliability.fitting import LifeFit, standard_error
from analysis.reliability.intervals import parameter_interval
from analysis.reliability.jets import Jet
from benchmarks.reliability_trials.case import Unsolved

ALIASES = {
    "eta_h": ("eta", "alpha", "scale", "char_life", "characteristic_life", "a", "theta"),
    "beta": ("beta", "shape", "rho", "b", "k", "m"),
    "mu": ("mu", "location", "logmean", "mean_log"),
    "sigma": ("sigma", "s", "logstd", "sd_log"),
    "p": ("p", "ds", "fraction", "fraction_defective", "pi", "part"),
    "threshold_h": ("gamma", "threshold", "t0", "loc", "offset"),
    "mean_h": ("theta", "mean", "mttf", "mtbf", "eta", "scale", "m"),
    "rate_fit": ("fit",),
    "lambda": ("lambda", "lambda_", "q", "shape", "lam"),
    "shape": ("shape", "k", "beta", "a"),
    "scale_h": ("scale", "theta", "eta", "b", "alpha"),
    "median_h": ("median", "t50", "T50", "exp_mu", "alpha", "eta", "scale"),
}
_POSITIVE = ("eta_h", "beta", "sigma", "mean_h", "scale_h", "shape", "median_h")


def named_jets(fit: LifeFit) -> dict[str, Jet]:
    """Return the fit's parameters with their derivatives."""
    with np.errstate(all="ignore"):
        return fit.model.natural(jets.variables(fit.maximum.theta))


def find_parameter(fit: LifeFit, name: str, given: Mapping[str, Jet] | None = None) -> tuple[str, Jet]:
    """Return the parameter that a publication calls ``name``: its own name first, then what others call it so."""
    known = dict(given) if given is not None else named_jets(fit)
    if "mean_h" in known and name.lower() in ("lambda", "rate", "lam", "lambda_"):
        return "rate", 1.0 / known["mean_h"]
    for key, jet in known.items():
        if name in (key, key.removesuffix("_h"), key.removesuffix("_ev")):
            return key, jet
    for key, jet in known.items():
        if name.lower() in (each.lower() for each in ALIASES.get(key, ())):
            return key, jet
    if name.lower().startswith(("ln_", "log_")) or re.match(r"ln[A-Z]", name):
        inner = re.sub(r"^(ln_|log_|ln)", "", name)
        key, jet = find_parameter(fit, inner, known)
        return f"ln_{key}", jets.log(jet)
    raise Unsolved(f"a {fit.model.name} fit has no {name}; it has {', '.join(known)}")


def fit_value(fit: LifeFit, name: str, given: Mapping[str, Jet] | None = None) -> float | list[float]:
    """Return what ``name`` asks of ``fit``; ``given`` are parameters beside or instead of its own."""
    exact = given if given is not None else named_jets(fit)
    if name in exact:
        return float(exact[name].value[0])
    for pattern, compute in _PATTERNS:
        found = re.fullmatch(pattern, name)
        if found:
            try:
                return compute(fit, found, given)
            except Unsolved:
                continue
    _, jet = find_parameter(fit, name, given)
    return float(jet.value[0])


def interval(fit: LifeFit, key: str, jet: Jet, level: float) -> list[float]:
    """Return Wald's interval, in the logarithm for what cannot be below 0, in the log odds for a part."""
    value, error = float(jet.value[0]), standard_error(jet, fit.maximum.covariance)
    z = float(ndtri(0.5 + level / 2))
    if key == "p":
        reach = np.exp(z * error / (value * (1 - value)))
        return [value / (value + (1 - value) * reach), value / (value + (1 - value) / reach)]
    if key in _POSITIVE:
        reach = float(np.exp(z * error / value))
        return [value / reach, value * reach]
    return [value - z * error, value + z * error]


Given = Mapping[str, Jet] | None


def _likelihood(fit: LifeFit, *_: object) -> float:
    return fit.log_likelihood


def _aicc(fit: LifeFit, *_: object) -> float:
    k, n = fit.model.parameters, fit.data.devices
    return fit.aic + 2 * k * (k + 1) / (n - k - 1)


def _bic(fit: LifeFit, *_: object) -> float:
    return float(fit.model.parameters * np.log(fit.data.devices) - 2 * fit.log_likelihood)


def _error(fit: LifeFit, found: re.Match[str], given: Given) -> float:
    return standard_error(find_parameter(fit, found.group(1), given)[1], fit.maximum.covariance)


def _variance(fit: LifeFit, found: re.Match[str], given: Given) -> float:
    return _error(fit, found, given) ** 2


def _covariance(fit: LifeFit, found: re.Match[str], given: Given) -> float:
    known = dict(given) if given is not None else named_jets(fit)
    first, second = (known["mu"], known["sigma"])
    if "eta_h" in known and "eta" in found.string:
        first, second = known["eta_h"], known["beta"]
    return float(first.slope[:, 0] @ fit.maximum.covariance @ second.slope[:, 0])


def _interval(fit: LifeFit, found: re.Match[str], given: Given) -> list[float]:
    key, jet = find_parameter(fit, found.group(1), given)
    return interval(fit, key, jet, float(found.group(2)) / 100)


def _one_end(fit: LifeFit, found: re.Match[str], given: Given) -> float:
    name, end = found.group(1), found.group(2).lower()
    key, jet = find_parameter(fit, name, given)
    both = interval(fit, key, jet, float(found.group(3) or 95) / 100)
    return both[0] if end.startswith("l") else both[1]


def _ratio_interval(fit: LifeFit, found: re.Match[str], given: Given) -> list[float]:
    key, _ = find_parameter(fit, found.group(1), given)
    both = parameter_interval(fit, key, float(found.group(2)) / 100)
    return [both.low, both.high]


def _ratio_end(fit: LifeFit, found: re.Match[str], given: Given) -> float:
    key, _ = find_parameter(fit, found.group(1), given)
    both = parameter_interval(fit, key, float(found.group(3) or 90) / 100)
    return both.low if found.group(2).lower().startswith("l") else both.high


def quantile(fit: LifeFit, part: float) -> float:
    """Return the hours at which ``part`` of the devices have failed."""

    def gap(log_hours: float) -> float:
        total = float(fit.cumulative_hazard([float(np.exp(log_hours))]).value[0])
        return float(np.log(max(total, 1e-300)) - np.log(-np.log1p(-part)))

    return float(np.exp(brentq(gap, -30.0, 100.0, xtol=1e-13)))


def _quantile(fit: LifeFit, found: re.Match[str], *_: object) -> float:
    return quantile(fit, float(found.group(1)) / 100)


def _failed(fit: LifeFit, found: re.Match[str], *_: object) -> float:
    return float(fit.failure_probability([float(found.group(1))])[0])


def _alive(fit: LifeFit, found: re.Match[str], *_: object) -> float:
    return float(np.exp(-fit.cumulative_hazard([float(found.group(1))]).value[0]))


def _ppm(fit: LifeFit, found: re.Match[str], *_: object) -> float:
    return 1e6 * _failed(fit, found)


def _mean(fit: LifeFit, *_: object) -> float:
    return _moments(fit)[0]


def _deviation(fit: LifeFit, *_: object) -> float:
    return _moments(fit)[1]


def _moments(fit: LifeFit) -> tuple[float, float]:
    named = {key: float(jet.value[0]) for key, jet in named_jets(fit).items()}
    if fit.model.name in ("weibull", "weibull-3"):
        first, second = (gamma_function(1 + power / named["beta"]) for power in (1, 2))
        deviation = named["eta_h"] * np.sqrt(second - first**2)
        return float(named.get("threshold_h", 0.0) + named["eta_h"] * first), float(deviation)
    if fit.model.name == "lognormal":
        mean = np.exp(named["mu"] + named["sigma"] ** 2 / 2)
        return float(mean), float(mean * np.sqrt(np.expm1(named["sigma"] ** 2)))
    if fit.model.name == "exponential":
        return named["mean_h"], named["mean_h"]
    if fit.model.name == "gamma":
        return named["shape"] * named["scale_h"], float(np.sqrt(named["shape"]) * named["scale_h"])
    raise Unsolved(f"no mean of {fit.model.name}")


def _median(fit: LifeFit, *_: object) -> float:
    return quantile(fit, 0.5)


Compute = Callable[[LifeFit, re.Match[str], Given], float | list[float]]
_PATTERNS: tuple[tuple[str, Compute], ...] = (
    (r"(?i)log_?lik(?:elihood)?|ll|LL", _likelihood),
    (r"(?i)neg_?log_?lik(?:elihood)?|nll", lambda fit, *_: -fit.log_likelihood),
    (r"(?i)(?:minus2ll|m2ll|-2ll|deviance)", lambda fit, *_: -2 * fit.log_likelihood),
    (r"(?i)aic", lambda fit, *_: fit.aic),
    (r"(?i)aicc", _aicc),
    (r"(?i)bic", _bic),
    (r"(?i)(?:se|stderr|std_err)_(\w+)", _error),
    (r"(?i)(\w+)_(?:se|stderr)", _error),
    (r"(?i)var_(\w+)", _variance),
    (r"(?i)cov(?:_\w+)?", _covariance),
    (r"(?i)(\w+?)_LR(?:_?CI)?_?(\d+)", _ratio_interval),
    (r"(?i)(\w+?)_LR_(lo|low|lower|hi|high|upper)_?(\d+)?", _ratio_end),
    (r"(?i)(\w+?)_?CI_?(\d+)", _interval),
    (r"(?i)(\w+?)_(lo|low|lower|hi|high|upper|L|U)_?(\d+)?", _one_end),
    (r"(?i)(?:b|q|t_?p|q_?)(\d+\.?\d*)(?:_?life)?", _quantile),
    (r"F_?\(?(\d+\.?\d*)h?\)?", _failed),
    (r"(?i)(?:F|ppm)_?(\d+\.?\d*)h?_?(?:ppm)?", _ppm),
    (r"[RS]_?\(?(\d+\.?\d*)h?\)?", _alive),
    (r"(?i)mean|mttf", _mean),
    (r"(?i)sd|std|stdev", _deviation),
    (r"(?i)median|t50", _median),
)

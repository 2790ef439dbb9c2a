"""Cases with lifetimes: plain fits, rank regression, mixtures, competing causes, and life under stress."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.reliability import jets
from analysis.reliability.acceleration import CODATA, Law, StressModel, Term, fit_stress_model
from analysis.reliability.burn_in import BurnInPlan, defects_of, hours_for_remaining
from analysis.reliability.competing_risks import fit_competing_risks
from analysis.reliability.fitting import LifeFit, fit_model, standard_error
from analysis.reliability.jets import Jet
from analysis.reliability.life_data import LifeData
from analysis.reliability.rank_regression import PlotFit, fit_plot
from benchmarks.reliability_trials.case import Case, Unsolved
from benchmarks.reliability_trials.formula import LinearForm, find_formula, linearize
from benchmarks.reliability_trials.parameters import fit_value, named_jets

Answer = Callable[[str], Any]
_PREFIXES = {
    "ln": "lognormal", "lognormal": "lognormal", "logn": "lognormal", "w": "weibull", "wb": "weibull",
    "weibull": "weibull", "exp": "exponential", "exponential": "exponential", "ll": "loglogistic",
    "loglogistic": "loglogistic", "gg": "generalized-gamma", "gamma": "gamma", "w3": "weibull-3", "w3p": "weibull-3",
    "lfp": "defective-weibull", "ds": "defective-weibull",
}  # fmt: skip
_NAMED_MODELS = (
    (r"3\s*-?p|three[- ]param", "weibull-3"),
    (r"generali[sz]ed gamma", "generalized-gamma"),
    (r"defective|limited failure|lfp|cure|zero[- ]inflated|sub-?population", "defective-weibull"),
    (r"log-?normal.*mixture|mixture.*log-?normal", "mixture-lognormal"),
    (r"mixture", "mixture-weibull"),
    (r"log-?logistic", "loglogistic"),
    (r"log-?normal", "lognormal"),
    (r"weibull", "weibull"),
    (r"exponential", "exponential"),
    (r"gamma", "gamma"),
)


def model_in(words: str) -> str:
    """Return the model that comes first in ``words``, the more special one where several begin together."""
    for pattern, name in _NAMED_MODELS[:5]:
        if re.search(pattern, words):
            return "defective-lognormal" if name == "defective-weibull" and "lognormal" in words else name
    places = [(found.start(), name) for pattern, name in _NAMED_MODELS[5:] if (found := re.search(pattern, words))]
    if not places:
        raise Unsolved(f"no life model is named in {words!r}")
    return min(places)[1]


@dataclass
class Fits:
    """Fits of a case's data, each made when it is first asked for."""

    case: Case
    made: dict[str, LifeFit] = field(default_factory=dict)

    def of(self, name: str) -> LifeFit:
        """Return the fit of the model ``name``."""
        if name not in self.made:
            self.made[name] = fit_model(self.case.life_data(), name)
        return self.made[name]


def answer_plain(case: Case) -> Answer:
    """Fit the model that the case names; a metric's prefix or suffix may name another one."""
    fits, plain = Fits(case), model_in(case.model or case.words.lower())

    def answer(name: str) -> Any:
        model, inner = _model_of(name, plain)
        fit = fits.of(model)
        found = re.fullmatch(r"burnin_h_for_([\dp.]+)pct_remaining", inner)
        if found:
            part = float(found.group(1).replace("p", ".")) * 1e4
            return hours_for_remaining(BurnInPlan(defects_of(fit), 1.0, 1.0), part, of_all=True).hours
        if re.fullmatch(r"(?i)(lfp_)?(ll_|loglik_)?gain", inner):
            base = fits.of("weibull" if model.endswith("weibull") else "lognormal")
            return fit.log_likelihood - base.log_likelihood
        if model.startswith("mixture"):
            return _of_mixture(case, fit, inner)
        return fit_value(fit, inner)

    return answer


def _model_of(name: str, plain: str) -> tuple[str, str]:
    head, _, rest = name.partition("_")
    if (
        rest
        and head.lower() in _PREFIXES
        and not (head.lower() == "ln" and rest in ("eta", "alpha", "scale", "K", "C"))
    ):
        return _PREFIXES[head.lower()], rest
    front, _, tail = name.rpartition("_")
    if front and tail.lower() in _PREFIXES and len(tail) > 1:
        return _PREFIXES[tail.lower()], front
    return plain, name


def _of_mixture(case: Case, fit: LifeFit, name: str) -> Any:
    """Sub-populations have no order: take that in which the printed part, or else the first scale, is nearer."""
    named = named_jets(fit)
    straight = {key: float(jet.value[0]) for key, jet in named.items()}
    swapped = {"p": 1 - straight["p"]}
    for key, value in straight.items():
        if key != "p":
            swapped[f"{key[:-1]}{'2' if key.endswith('1') else '1'}"] = value
    names = {"a": "eta_h", "alpha": "eta_h", "eta": "eta_h", "b": "beta", "beta": "beta", "mu": "mu", "sigma": "sigma"}
    printed = {metric.name: metric.published for metric in case.metrics}

    def look(values: Mapping[str, float], wanted: str) -> float:
        if wanted in ("p", "p1", "proportion_1", "pi1"):
            return values["p"]
        if wanted in ("p2", "proportion_2"):
            return 1 - values["p"]
        found = re.fullmatch(r"([A-Za-z]+)_?([12])", wanted)
        if found and found.group(1).lower() in names:
            return values[f"{names[found.group(1).lower()]}_{found.group(2)}"]
        raise Unsolved(f"a mixture has no {wanted}")

    def distance(values: Mapping[str, float]) -> float:
        total = 0.0
        for metric, value in printed.items():
            try:
                total += abs(look(values, metric) / float(value) - 1)
            except (Unsolved, TypeError, ValueError):
                continue
        return total

    try:
        return look(min((straight, swapped), key=distance), name)
    except Unsolved:
        return fit_value(fit, name)


def answer_rank_regression(case: Case) -> Answer:
    """Fit a probability plot by the convention that the words name."""
    words = case.words.lower()
    model = case.model
    ranks = "exact" if re.search(r"exact|beta\)? median", model) and "benard" not in model else "benard"
    direction = "y-on-x" if re.search(r"rry|y on x", model) else "x-on-y"
    family = "lognormal" if "lognormal" in words else "weibull"
    fit: PlotFit = fit_plot(case.life_data(), family, ranks, direction)
    values = {
        "eta": np.exp(fit.mu), "alpha": np.exp(fit.mu), "beta": 1 / fit.sigma, "mu": fit.mu, "sigma": fit.sigma,
        "r2": fit.r_squared, "r": np.sqrt(fit.r_squared), "r_squared": fit.r_squared,
    }  # fmt: skip
    return lambda name: float(_look_up(values, name))


def _look_up(values: Mapping[str, float], name: str) -> float:
    if name.lower() not in values:
        raise Unsolved(f"there is no {name}")
    return values[name.lower()]


def answer_competing_risks(case: Case) -> Answer:
    """Fit one distribution per cause; a metric's suffix is a cause or its first letter."""
    data = case.life_data()
    family = "lognormal" if "lognormal" in case.model else "weibull"
    joint = fit_competing_risks(data, family)
    named = named_jets(joint)
    single = {cause: _one_cause(data, place, family) for place, cause in enumerate(data.causes)}

    def answer(name: str) -> Any:
        if name.lower() in ("loglik_total", "loglik", "ll"):
            return joint.log_likelihood
        front, _, tail = name.rpartition("_")
        matching = [cause for cause in data.causes if front and cause.lower().startswith(tail.lower())]
        if not matching and tail.isdigit() and 1 <= int(tail) <= len(data.causes):
            matching = [data.causes[int(tail) - 1]]
        if len(matching) == 1:
            if front.lower() in ("loglik", "ll", "aic"):
                return fit_value(single[matching[0]], front)
            suffix = f"[{matching[0]}]"
            own = {key.removesuffix(suffix): jet for key, jet in named.items() if key.endswith(suffix)}
            return fit_value(joint, front, own)
        plain = re.fullmatch(r"(?:single|pooled|ignoring_cause)_(\w+)", name)
        return fit_value(fit_model(data, family), plain.group(1)) if plain else fit_value(joint, name)

    return answer


def _one_cause(data: LifeData, cause: int, family: str) -> LifeFit:
    from analysis.reliability.competing_risks import only_cause

    return fit_model(only_cause(data, cause), family)


def answer_stress(case: Case) -> Answer:
    """Fit life under stress, by the printed formula if there is one, otherwise straight in the columns given."""
    family = re.search(r"weibull|lognormal|loglogistic|exponential", case.model)
    if family is None:
        raise Unsolved("no distribution is named")
    form = _linear_form(case)
    law = Law(
        "published",
        case.model,
        (*form.parameters, "fixed"),
        tuple(Term(name, place, "x") for place, name in enumerate(form.parameters) if form.varies(place)),
        offset=(len(form.parameters), "x", 1.0),
        intercept="__level",
    )
    data = case.life_data(np.c_[form.columns, form.fixed])
    fit = fit_stress_model(data, family.group(0), law, CODATA)
    named = _named(form, fit)

    def answer(name: str) -> Any:
        one = _of_condition(case, name, family.group(0))
        if one is not None:
            return one
        extrapolated = re.fullmatch(r"(se_)?q(\d+)(?:_(\d+))?", name)
        if extrapolated:
            # An error without its temperature belongs to the quantile that has one.
            others = [re.fullmatch(rf"q{extrapolated.group(2)}_(\d+)", metric.name) for metric in case.metrics]
            celsius = extrapolated.group(3) or next((other.group(1) for other in others if other), None)
            if celsius is not None:
                hours, error = _quantile_at(case, fit, int(extrapolated.group(2)) / 100, float(celsius))
                return error if extrapolated.group(1) else hours
        return fit_value(fit, name, _with_other_names(case, named))

    return answer


def _linear_form(case: Case) -> LinearForm:
    stresses = case.stresses
    formula = find_formula(str(case.document.get("model", "")))
    symbols = {each: name for name in stresses for each in (name,)}
    # A formula in x is that of the column x, below.
    if formula is not None and "x" not in formula.names:
        unknown = [name for name in formula.names if name not in symbols]
        asked = {re.sub(r"^(se_|ln_?|log_)|_?CI\d+$", "", metric.name) for metric in case.metrics}
        parameters = [name for name in unknown if name in asked]
        others = [name for name in unknown if name not in asked]
        columns = [name for name in stresses if name != "x"]
        free = _sources(case, columns)
        if len(others) > len(free) and len(unknown) - len(free) >= 1:
            stress_names = [n for n in others if n in ("V", "S", "T", "U", "H", "S1", "S2", "RH", "TK")] or others
            parameters += [name for name in others if name not in stress_names]
            others = stress_names
        if len(others) == len(free) and parameters:
            values = dict(zip(_ordered(others, [name for name, _ in free]), [value for _, value in free], strict=True))
            return linearize(formula, parameters, values)
    if "x" in stresses:
        return LinearForm(
            np.zeros(stresses["x"].size),
            np.stack([np.ones(stresses["x"].size), stresses["x"]], axis=1),
            ("b0", "b1"),
            (False, False),
        )
    if not stresses:
        raise Unsolved("the case has no column of stress")
    names = list(stresses)
    if len(names) == 1 and "arrhenius" in case.model:
        kelvin = _kelvin(case, names[0])
        columns = np.stack([np.ones(kelvin.size), 1 / (case.constants.boltzmann_ev_per_k * kelvin)], axis=1)
        return LinearForm(np.zeros(kelvin.size), columns, ("b0", "Ea"), (False, False))
    table = np.stack([np.ones(len(stresses[names[0]])), *(stresses[name] for name in names)], axis=1)
    return LinearForm(
        np.zeros(len(table)), table, ("b0", *(f"b_{name}" for name in names)), (False,) * (1 + len(names))
    )


def _kelvin(case: Case, name: str) -> NDArray[np.float64]:
    values = case.stresses[name]
    return values + case.constants.zero_celsius_k if re.search(r"(?i)cels|temp_?c$|_c$|^c$|tempc", name) else values


def _sources(case: Case, columns: list[str]) -> list[tuple[str, NDArray[np.float64]]]:
    return [(name, _kelvin(case, name)) for name in columns]


def _ordered(symbols: list[str], columns: list[str]) -> list[str]:
    """Match symbols to columns: ``V`` or ``T`` is a temperature where there is one, the rest in order."""
    if len(columns) < 2:
        return symbols
    hot = [place for place, name in enumerate(columns) if re.match(r"(?i)temp|k$|cels", name)]
    thermal = [symbol for symbol in symbols if symbol in ("T", "V", "TK")]
    if len(hot) == 1 and len(thermal) == 1 and len(symbols) == 2:
        other = next(symbol for symbol in symbols if symbol != thermal[0])
        return [thermal[0] if place == hot[0] else other for place in range(2)]
    return sorted(symbols)


def _named(form: LinearForm, fit: LifeFit) -> dict[str, Jet]:
    """The parameters of the formula with their derivatives; what is constant over the data shares the level."""
    natural = named_jets(fit)
    varying = {name for place, name in enumerate(form.parameters) if form.varies(place)}
    level = natural["__level"]
    still = [place for place, name in enumerate(form.parameters) if name not in varying]
    if len(still) != 1:
        raise Unsolved("the formula has no single level")
    named: dict[str, Jet] = {}
    for place, (name, in_logs) in enumerate(zip(form.parameters, form.logarithmic, strict=True)):
        jet = natural[name] if name in varying else level / float(form.columns[0, place])
        named[name] = jets.exp(jet) if in_logs else jet
    return named | {key: natural[key] for key in ("sigma", "beta") if key in natural}


def _with_other_names(case: Case, named: Mapping[str, Jet]) -> dict[str, Jet]:
    known = dict(named)
    if "b1" in known:
        slope = known["b1"]
        # A power law's exponent is minus the slope in the logarithm of stress.
        known |= {"n": -slope} if re.search(r"power", case.model) else {"B": slope, "Ea": slope}
    if "Ea" in known and "b1" not in known:
        known["b1"] = known["Ea"]
    if "b0" in known:
        known |= {"intercept": known["b0"], "A": jets.exp(known["b0"]), "C": jets.exp(known["b0"])}
        known["lnK"] = -known["b0"]
    for metric in case.metrics:
        prefix = re.fullmatch(r"(?:se_)?b_(\w+?)(?:_?CI\d+)?", metric.name)
        if prefix:
            for key, jet in named.items():
                if key.startswith(f"b_{prefix.group(1)}"):
                    known[f"b_{prefix.group(1)}"] = jet
    return known


def _of_condition(case: Case, name: str, family: str) -> float | None:
    """The number of one condition fitted alone, as in ``mu250``."""
    found = re.fullmatch(r"(mu|s|sigma|eta|alpha|beta|se_mu|se_sigma)_?(\d+\.?\d*)", name)
    if not found:
        return None
    for column in case.stresses.values():
        rows = np.isclose(column, float(found.group(2)))
        if rows.any() and not rows.all():
            return float(fit_value(fit_model(case.life_data(rows=rows), family), found.group(1)))  # type: ignore[arg-type]
    return None


def _quantile_at(case: Case, fit: LifeFit, part: float, celsius: float) -> tuple[float, float]:
    """A quantile at a temperature whose ``x`` follows from how the table's own ``x`` was made, and its error."""
    model = fit.model
    if not isinstance(model, StressModel):
        raise Unsolved("no law")
    place = case.stresses.get("x")
    if place is None:
        raise Unsolved("no column x")
    scale, zero = _making_of_x(case, place)
    row = np.asarray([[1.0, scale / (celsius + zero), 0.0]])
    theta = jets.variables(fit.maximum.theta)
    mu, sigma = model.location_scale(theta, row)
    from analysis.reliability.distributions import standard_quantile

    log_hours = mu + sigma * standard_quantile(model.family, part)
    hours = float(np.exp(log_hours.value[0]))
    return hours, hours * standard_error(log_hours, fit.maximum.covariance)


def _making_of_x(case: Case, x: NDArray[np.float64]) -> tuple[float, float]:
    """Scale and zero of ``x = scale/(C + zero)``: from a column of Celsius, or what makes Celsius whole numbers."""
    for name, column in case.stresses.items():
        if name != "x" and re.search(r"(?i)cels|temp", name) and np.unique(column).size > 1:
            low, high = int(np.argmin(column)), int(np.argmax(column))
            scale = (column[high] - column[low]) / (1 / x[high] - 1 / x[low])
            return float(scale), float(scale / x[low] - column[low])
    candidates = [
        (scale, zero)
        for scale in (1000.0, 1.0, 11605.0, 1 / 8.617333262e-5, 1 / 8.617e-5, 1e4)
        for zero in (273.15, 273.16, 273.2, 273.0)
    ]

    def roughness(pair: tuple[float, float]) -> float:
        celsius = pair[0] / np.unique(x) - pair[1]
        off = float(np.abs(celsius - np.round(celsius)).max())
        return off if (np.abs(celsius) < 600).all() else np.inf

    best = min(candidates, key=roughness)
    if roughness(best) > 1e-3:
        raise Unsolved("how the column x was made from temperatures is not known")
    return best

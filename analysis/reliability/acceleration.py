"""How life depends on stress: acceleration factors with their uncertainty, and regressions of life on stress.

Every law here says that the logarithm of life is a sum of coefficients times known functions of the stresses (the
"scale-accelerated failure time" model of Meeker, Escobar & Pascual 2022, ch. 18-19). Temperatures are of the junction,
in kelvin; which Boltzmann constant and which zero of Celsius were used is part of every result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from analysis.reliability import jets
from analysis.reliability.distributions import Moments, standard_hazards, standard_quantile
from analysis.reliability.errors import LifeDataError, NoFailures, NotIdentified
from analysis.reliability.fitting import LifeFit, anchor_of, climb
from analysis.reliability.jets import Floats, Jet
from analysis.reliability.life_data import LifeData


@dataclass(frozen=True)
class Constants:
    """Conventions that published factors differ in.

    Attributes:
        boltzmann_ev_per_k: CODATA 2018 by default; 8.617164e-5 and 8.62e-5 are found in vendors' reports.
        zero_celsius_k: 273.15; 273.16 is found in some reports.
    """

    boltzmann_ev_per_k: float = 8.617333262e-5
    zero_celsius_k: float = 273.15

    def kelvin(self, temperature_c: float) -> float:
        """Return ``temperature_c`` in kelvin.

        Raises:
            LifeDataError: it is not above the absolute zero, or not a number.
        """
        kelvin = temperature_c + self.zero_celsius_k
        if not kelvin > 0 or not np.isfinite(kelvin):
            raise LifeDataError(f"a temperature of {temperature_c:g} C does not exist")
        return kelvin


CODATA = Constants()


@dataclass(frozen=True)
class Term:
    """One coefficient of a law: log life changes by ``sign * coefficient * function(stress)``.

    Attributes:
        coefficient: its name, with its unit.
        column: which stress, from 0.
        function: name in :data:`FUNCTIONS`.
        sign: 1 or -1.
    """

    coefficient: str
    column: int
    function: str
    sign: float = 1.0


@dataclass(frozen=True)
class Law:
    """A law of life under stress.

    Attributes:
        name: how it is called.
        formula: in words and units.
        stresses: names of the stresses, with units, in order of their columns.
        terms: what log life is a sum of.
        offset: a fixed term: ``(column, function, factor)``; ``None`` for none.
        intercept: name of the constant term.
    """

    name: str
    formula: str
    stresses: tuple[str, ...]
    terms: tuple[Term, ...]
    offset: tuple[int, str, float] | None = None
    intercept: str = "b0"


def functions_of_stress(constants: Constants) -> Mapping[str, Callable[[Floats], Floats]]:
    """Return the functions of stress by name, under ``constants``."""
    return {
        "1/kT": lambda stress: 1.0 / (constants.boltzmann_ev_per_k * stress),
        "1/x": lambda stress: 1.0 / stress,
        "log": np.log,
        "x": lambda stress: stress,
    }


_EA = Term("ea_ev", 0, "1/kT")
LAWS = {
    law.name: law
    for law in (
        Law("arrhenius", "t = exp(b0 + Ea/kT)", ("temperature_k",), (_EA,)),
        Law("arrhenius-k", "t = exp(b0 + B/T)", ("temperature_k",), (Term("b_k", 0, "1/x"),)),
        Law("eyring", "t = exp(b0 + B/T) / T", ("temperature_k",), (Term("b_k", 0, "1/x"),), offset=(0, "log", -1.0)),
        Law("inverse-power", "t = exp(b0) V^-n", ("stress",), (Term("n", 0, "log", -1.0),)),
        Law("exponential", "t = exp(b0 - g V)", ("stress",), (Term("gamma_per_unit", 0, "x", -1.0),)),
        Law(
            "temperature-voltage",
            "t = exp(b0 + Ea/kT) V^-n",
            ("temperature_k", "stress"),
            (_EA, Term("n", 1, "log", -1.0)),
        ),
        Law(
            "temperature-exponential",
            "t = exp(b0 + Ea/kT - g V)",
            ("temperature_k", "stress"),
            (_EA, Term("gamma_per_unit", 1, "x", -1.0)),
        ),
        Law(
            "temperature-humidity",
            "t = exp(b0 + Ea/kT + b/RH)",
            ("temperature_k", "humidity_percent"),
            (_EA, Term("b_percent", 1, "1/x")),
        ),
        Law(
            "peck",
            "t = exp(b0 + Ea/kT) RH^-n",
            ("temperature_k", "humidity_percent"),
            (_EA, Term("n", 1, "log", -1.0)),
        ),
        Law(
            "dual-power",
            "t = exp(b0) U^-n V^-m",
            ("stress", "stress_2"),
            (Term("n", 0, "log", -1.0), Term("m", 1, "log", -1.0)),
        ),
        Law("coffin-manson", "N = exp(b0) dT^-q", ("temperature_swing_k",), (Term("q", 0, "log", -1.0),)),
        Law("linear", "t = exp(b0 + b1 x)", ("x",), (Term("b1", 0, "x"),)),
        Law(
            "linear-2",
            "t = exp(b0 + b1 x1 + b2 x2)",
            ("x1", "x2"),
            (Term("b1", 0, "x"), Term("b2", 1, "x")),
        ),
    )
}
"""The laws by name. Forms: NIST/SEMATECH e-Handbook 8.1.5; JEP122 [recalled] for Peck and Coffin-Manson."""


def design(law: Law, stress: Floats, constants: Constants) -> tuple[Floats, Floats]:
    """Return the columns ``(n, terms)`` and the fixed part ``(n,)`` of log life.

    ``law`` under ``stress``, float64 of shape ``(n, stresses)`` in the units of the law's names, and ``constants``.

    Raises:
        LifeDataError: the stresses are not those of the law, or not above 0 where they must be.
    """
    if stress.ndim != 2 or stress.shape[1] != len(law.stresses):
        raise LifeDataError(f"{law.name} needs the stresses {', '.join(law.stresses)}")
    functions = functions_of_stress(constants)
    needed = [(term.column, term.function) for term in law.terms] + ([law.offset[:2]] if law.offset else [])
    for column, function in needed:
        if function != "x" and not (stress[:, column] > 0).all():
            raise LifeDataError(f"{law.stresses[column]} must be above 0 for {law.name}")
    columns = [term.sign * functions[term.function](stress[:, term.column]) for term in law.terms]
    fixed = np.zeros(len(stress))
    if law.offset:
        column, function, factor = law.offset
        fixed = factor * functions[function](stress[:, column])
    return np.stack(columns, axis=1), fixed


@dataclass(frozen=True)
class StressModel:
    """A life distribution whose log location follows a law; ``sigma`` is the same under all stresses.

    Working parameters: the log hours at the anchor's fraction under mean stress, one coefficient per term, and ``log
    sigma`` (fixed at 0 for exponential life).

    Attributes:
        family: ``weibull``, ``lognormal``, ``loglogistic`` or ``exponential``.
        law: of life under stress.
        constants: conventions.
        centre, spread: mean and spread of each term's function over the failures; working coefficients are per spread.
        anchor: fraction failed to which the first parameter belongs.
    """

    family: str
    law: Law
    constants: Constants
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    anchor: float

    @property
    def name(self) -> str:
        """Such as ``lognormal-arrhenius``."""
        return f"{self.family}-{self.law.name}"

    @property
    def parameters(self) -> int:
        """One per term, the intercept, and the scale if it is free."""
        return 1 + len(self.law.terms) + (self.family != "exponential")

    def location_scale(self, theta: Sequence[Jet], stress: Floats) -> tuple[Jet, Jet]:
        """Return ``mu``, ``n`` observations, and ``sigma`` of ``theta`` under ``stress``, ``(n, stresses)``."""
        columns, fixed = design(self.law, stress, self.constants)
        sigma = self._sigma(theta)
        mu = theta[0] - sigma * standard_quantile(self._standard, self.anchor) + fixed
        for place, column in enumerate(columns.T):
            mu = mu + theta[1 + place] * ((column - self.centre[place]) / self.spread[place])
        return mu, sigma

    def hazards(self, theta: Sequence[Jet], moments: Moments) -> tuple[Jet, Jet]:
        """Return log hazard and cumulative hazard of ``theta`` at ``moments``."""
        mu, sigma = self.location_scale(theta, moments.stress)
        log_hours = np.log(moments.hours)
        log_hazard, cumulative = standard_hazards(self._standard, (log_hours - mu) / sigma)
        return log_hazard - jets.log(sigma) - log_hours, cumulative

    def natural(self, theta: Sequence[Jet]) -> dict[str, Jet]:
        """Return the intercept, the coefficients and ``sigma`` (``beta`` for Weibull) of ``theta``."""
        sigma = self._sigma(theta)
        intercept = theta[0] - sigma * standard_quantile(self._standard, self.anchor)
        named: dict[str, Jet] = {}
        for place, term in enumerate(self.law.terms):
            named[term.coefficient] = theta[1 + place] / self.spread[place]
            intercept = intercept - named[term.coefficient] * self.centre[place]
        named = {self.law.intercept: intercept} | named
        if self.family != "exponential":
            named["sigma"] = sigma
        if self.family == "weibull":
            named["beta"] = 1.0 / sigma
        return named

    @property
    def _standard(self) -> str:
        return "weibull" if self.family == "exponential" else self.family

    def _sigma(self, theta: Sequence[Jet]) -> Jet:
        return jets.exp(theta[-1]) if self.family != "exponential" else jets.exp(theta[0] * 0.0)


def fit_stress_model(data: LifeData, family: str, law: Law, constants: Constants = CODATA) -> LifeFit:
    """Return the fit of ``family`` life under ``law`` to ``data``, whose stresses are the law's, under ``constants``.

    Raises:
        LifeDataError: the data do not allow it; the type and the message say why.
    """
    if data.failures <= 0:
        raise NoFailures(data.devices)
    columns, fixed = design(law, data.stress, constants)
    failed = ~data.right
    seen = np.unique(columns[failed], axis=0)
    if len(seen) <= len(law.terms) and np.linalg.matrix_rank(np.c_[np.ones(len(seen)), seen]) <= len(law.terms):
        raise NotIdentified(
            f"{family}-{law.name}",
            f"failures under {len(seen)} condition(s) cannot tell {len(law.terms)} coefficient(s) and a level",
        )
    centre = np.average(columns[failed], axis=0, weights=data.count[failed])
    low, high = data.lower[failed], data.upper[failed]
    logs = np.log(np.where(low > 0, np.sqrt(np.maximum(low, 1e-300) * high), high / 2)) - fixed[failed]
    scale = np.maximum(columns[failed].std(axis=0), 1e-300)
    matrix = np.c_[np.ones(logs.size), (columns[failed] - centre) / scale]
    weights = np.sqrt(data.count[failed])
    start = np.linalg.lstsq(matrix * weights[:, None], logs * weights, rcond=None)[0]
    spread = float(np.sqrt(np.average((logs - matrix @ start) ** 2, weights=data.count[failed])))
    model = StressModel(family, law, constants, tuple(centre.tolist()), tuple(scale.tolist()), anchor_of(data))
    last = [] if family == "exponential" else [np.log(max(spread, 0.1))]
    return climb(data, model, [np.asarray([*start, *last])])


@dataclass(frozen=True)
class Factor:
    """An acceleration factor.

    Attributes:
        value: life under use over life under stress.
        low, high: its interval.
        level: of the interval, two-sided; from the standard errors of the coefficients, normal in the logarithm.
        log_sigma: standard error of its logarithm; 0 where no uncertainty was given.
        constants: conventions used.
    """

    value: float
    low: float
    high: float
    level: float
    log_sigma: float
    constants: Constants


def factor_from_logs(log_factor: float, log_sigma: float, level: float, constants: Constants) -> Factor:
    """Return the factor whose logarithm is ``log_factor`` with standard error ``log_sigma``, interval at ``level``.

    ``constants`` are recorded.

    Raises:
        LifeDataError: the factor is beyond what a number holds, or ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise LifeDataError(f"a confidence level lies between 0 and 1, not {level:g}")
    if not abs(log_factor) < 700 or not np.isfinite(log_sigma):
        raise LifeDataError("the acceleration factor is beyond what can be computed; check the stresses")
    reach = float(ndtri(0.5 + level / 2)) * log_sigma
    with np.errstate(over="ignore"):
        low, high = float(np.exp(log_factor - reach)), float(np.exp(log_factor + reach))
    return Factor(float(np.exp(log_factor)), low, high, level, log_sigma, constants)


def fitted_factor(fit: LifeFit, use: Floats, stress: Floats, level: float = 0.9) -> Factor:
    """Return the factor between two conditions from a fitted law, with the covariance of its coefficients.

    ``fit`` is of a :class:`StressModel`; ``use`` and ``stress`` are float64 of shape ``(stresses,)``; ``level`` of the
    interval.

    Raises:
        LifeDataError: the fit has no law, or a stress is impossible.
    """
    model = fit.model
    if not isinstance(model, StressModel):
        raise LifeDataError(f"a {model.name} fit has no law of stress")
    both, fixed = design(model.law, np.stack([use, stress]).astype(np.float64), model.constants)
    change = np.zeros(model.parameters)
    change[1 : 1 + len(model.law.terms)] = (both[0] - both[1]) / np.asarray(model.spread)
    log_factor = float(change @ fit.maximum.theta + fixed[0] - fixed[1])
    log_sigma = float(np.sqrt(change @ fit.maximum.covariance @ change))
    return factor_from_logs(log_factor, log_sigma, level, model.constants)

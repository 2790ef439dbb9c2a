"""Acceleration of wear-out and defect mechanisms, with the uncertainty of their coefficients.

A factor is the ratio of lives under two conditions (``mechanism_laws``). Given coefficients with standard errors go
into its interval; defaults have none, and a factor from defaults alone says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.reliability.acceleration import CODATA, Constants, Factor, factor_from_logs
from analysis.reliability.errors import LifeDataError
from analysis.reliability.mechanism_laws import MECHANISMS, Mechanism, Values


@dataclass(frozen=True)
class Measured:
    """A coefficient with its standard error, 0 when it is taken as known."""

    value: float
    standard_error: float = 0.0


@dataclass(frozen=True)
class MechanismFactor:
    """The acceleration of a mechanism.

    Attributes:
        mechanism: which.
        factor: with its interval.
        coefficients: values used, with standard errors.
        sources: of each coefficient: ``given``, or where the default is from.
        remark: what to mind.
    """

    mechanism: Mechanism
    factor: Factor
    coefficients: Mapping[str, Measured]
    sources: Mapping[str, str]
    remark: str


def accelerate(
    name: str,
    use: Values,
    stress: Values,
    given: Mapping[str, Measured] | None = None,
    constants: Constants = CODATA,
    level: float = 0.9,
) -> MechanismFactor:
    """Return the acceleration of the mechanism called ``name`` from ``use`` to ``stress``.

    Both hold the mechanism's conditions by name, in its units; ``given`` coefficients replace defaults; their standard
    errors, taken as independent, make the interval at ``level``, under the conventions ``constants``.

    Raises:
        LifeDataError: an unknown or missing coefficient or condition, or an impossible one.
    """
    mechanism = find_mechanism(name)
    for label, conditions in (("use", use), ("stress", stress)):
        _check_names(f"{label} condition", conditions, mechanism.conditions)
    values, sources = _coefficients(mechanism, given or {})

    def log_factor(changed: Values) -> float:
        lives = [mechanism.log_life(changed, conditions, constants) for conditions in (use, stress)]
        return float(lives[0] - lives[1])

    plain = {key: each.value for key, each in values.items()}
    centre, variance = log_factor(plain), 0.0
    for key, each in values.items():
        if each.standard_error:
            up, down = (log_factor(plain | {key: each.value + sign * each.standard_error}) for sign in (1, -1))
            variance += (0.5 * (up - down)) ** 2
    factor = factor_from_logs(centre, float(np.sqrt(variance)), level, constants)
    remark = mechanism.remark
    if not variance:
        remark = (remark + " No standard errors were given: the factor has no interval.").strip()
    return MechanismFactor(mechanism, factor, values, sources, remark)


def find_mechanism(name: str) -> Mechanism:
    """Return the mechanism called ``name``.

    Raises:
        LifeDataError: there is none.
    """
    if name not in MECHANISMS:
        raise LifeDataError(f"there is no mechanism {name!r}; there are {', '.join(sorted(MECHANISMS))}")
    return MECHANISMS[name]


def _check_names(what: str, given: Values, wanted: Mapping[str, object]) -> None:
    missing, strange = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing or strange:
        needed = ", ".join(f"{name} [{unit}]" for name, unit in wanted.items())
        lacking, unknown = (", ".join(names) or "none" for names in (missing, strange))
        raise LifeDataError(f"{what}s are {needed}; missing: {lacking}; unknown: {unknown}")
    if not all(np.isfinite(value) for value in given.values()):
        raise LifeDataError(f"a {what} is not a number")


def _coefficients(mechanism: Mechanism, given: Mapping[str, Measured]) -> tuple[dict[str, Measured], dict[str, str]]:
    strange = sorted(set(given) - set(mechanism.coefficients))
    if strange:
        names = ", ".join(mechanism.coefficients)
        raise LifeDataError(f"{mechanism.name} has the coefficients {names}, not {', '.join(strange)}")
    values, sources = {}, {}
    for name, coefficient in mechanism.coefficients.items():
        if name in given:
            values[name], sources[name] = given[name], "given"
        elif coefficient.default is not None:
            values[name], sources[name] = Measured(coefficient.default), coefficient.source
        else:
            why = f" ({coefficient.source})" if coefficient.source else ""
            raise LifeDataError(f"{mechanism.name} needs {name} [{coefficient.unit or '1'}]: there is no default{why}")
        if not np.isfinite(values[name].value) or not 0 <= values[name].standard_error < np.inf:
            raise LifeDataError(f"{name} or its standard error is not a number that can be")
    return values, sources


def scale_by_area(life_h: float, area_ratio: float, beta: float) -> float:
    """Return the life in hours of an area ``area_ratio`` times the tested one, at the same fraction failed.

    Weakest link: ``F = 1 - (1 - F0)^ratio``, so that Weibull life ``life_h`` scales by ``ratio^(-1/beta)``.

    Raises:
        LifeDataError: an argument is not above 0.
    """
    if not min(life_h, area_ratio, beta) > 0:
        raise LifeDataError("life, area and shape must be above 0")
    return float(life_h * area_ratio ** (-1 / beta))


@dataclass(frozen=True)
class HardBreakdown:
    """Hard after soft breakdown: what of the soft ones are hard by a time.

    Attributes:
        soft: probability that the first soft breakdown came.
        hard: probability that one has grown to a hard one.
    """

    soft: float
    hard: float


def breakdowns(hours: float, soft_eta_h: float, soft_beta: float, growth_median_h: float) -> HardBreakdown:
    """Return how probable a soft and a hard breakdown are by ``hours``.

    The first soft breakdown is Weibull (``soft_eta_h`` hours, ``soft_beta``); each then grows to a hard one after an
    exponential time of median ``growth_median_h`` (progressive breakdown: Linder et al., IRPS 2002 [recalled]). A
    specification uses the soft, a circuit may survive until the hard.

    Raises:
        LifeDataError: an argument is not above 0.
    """
    if not min(hours, soft_eta_h, soft_beta, growth_median_h) > 0:
        raise LifeDataError("hours, scale, shape and growth must be above 0")
    soft = -np.expm1(-((hours / soft_eta_h) ** soft_beta))
    nodes, weights = np.polynomial.legendre.leggauss(80)
    parts = soft * 0.5 * (nodes + 1)
    times = soft_eta_h * (-np.log1p(-parts)) ** (1 / soft_beta)
    grown = -np.expm1(-np.log(2) * (hours - times) / growth_median_h)
    return HardBreakdown(float(soft), float(0.5 * soft * (weights @ grown)))


def is_blech_immune(current_density_a_per_cm2: float, length_um: float, critical_a_per_cm: float = 3000.0) -> bool:
    """Return whether a line of ``length_um`` at ``current_density_a_per_cm2`` is too short to migrate.

    Blech (J. Appl. Phys. 47, 1976): back stress stops migration below ``critical_a_per_cm``, 2-4 kA/cm [recalled].

    Raises:
        LifeDataError: an argument is not above 0.
    """
    if not min(current_density_a_per_cm2, length_um, critical_a_per_cm) > 0:
        raise LifeDataError("current density, length and the critical product must be above 0")
    return current_density_a_per_cm2 * length_um * 1e-4 < critical_a_per_cm


def worst_stress_migration_c(coefficients: Values, constants: Constants = CODATA) -> float:
    """Return the temperature in C at which stress migration is fastest: where n/(T0 - T) equals Ea/(k T^2).

    ``coefficients`` are ``ea_ev``, ``n`` and ``stress_free_c``; ``constants`` the conventions.

    Raises:
        LifeDataError: a coefficient is not above 0.
    """
    energy, exponent = coefficients["ea_ev"], coefficients["n"]
    free_k = constants.kelvin(coefficients["stress_free_c"])
    if not (energy > 0 and exponent > 0):
        raise LifeDataError("the activation energy and the exponent must be above 0")
    ratio = energy / constants.boltzmann_ev_per_k
    # exponent T^2 + ratio T - ratio T0 = 0.
    kelvin = (-ratio + np.sqrt(ratio**2 + 4 * exponent * ratio * free_k)) / (2 * exponent)
    return float(kelvin - constants.zero_celsius_k)

"""Life distributions as hazards: one formula each, in jets, from which densities, probabilities and scores follow.

A model gives the logarithm of its hazard rate and its cumulative hazard ``H`` at the times asked for. ``1 - exp(-H)``
is the probability of failing, exact where it is one in a million as well as near one. Parametrizations are those of
Meeker, Escobar & Pascual 2022: log-location ``mu`` and scale ``sigma``; Weibull ``eta = exp(mu)`` hours and ``beta =
1/sigma``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincc, gammaln, log_ndtr, ndtri

from analysis.reliability import jets
from analysis.reliability.jets import Floats, Jet


@dataclass(frozen=True)
class Moments:
    """When, and under what, a hazard is asked for.

    Attributes:
        hours: float64 of shape ``(n,)``, above 0 and finite.
        stress: float64 of shape ``(n, stresses)``.
        cause: int64 of shape ``(n,)``, the cause whose hazard is asked for; -1 for any.
    """

    hours: Floats
    stress: Floats
    cause: NDArray[np.int64]

    @classmethod
    def at(cls, hours: Sequence[float] | Floats) -> "Moments":
        """Return moments at ``hours`` without stress, of any cause."""
        times = np.asarray(hours, np.float64)
        return cls(times, np.empty((times.size, 0)), np.full(times.size, -1, np.int64))


class LifeModel(Protocol):
    """A life distribution with ``k`` working parameters, all real."""

    @property
    def name(self) -> str:
        """How the model is called."""

    @property
    def parameters(self) -> int:
        """How many working parameters there are."""

    def hazards(self, theta: Sequence[Jet], moments: Moments) -> tuple[Jet, Jet]:
        """Return the log hazard rate (per hour) and the cumulative hazard of ``theta`` at ``moments``."""

    def natural(self, theta: Sequence[Jet]) -> dict[str, Jet]:
        """Return the parameters as people know them, by name, given ``theta``."""


def standard_hazards(family: str, z: Jet) -> tuple[Jet, Jet]:
    """Return the log hazard in ``z`` and the cumulative hazard of a standard distribution.

    ``family`` is one of ``weibull`` (smallest extreme value), ``lognormal`` (normal) and ``loglogistic`` (logistic).
    """
    if family == "weibull":
        return z, jets.exp(z)
    if family == "lognormal":
        cumulative = jets.normal_cumulative_hazard(z)
        return jets.log_normal_density(z) + cumulative, cumulative
    return -jets.softplus(-z), jets.softplus(z)


def standard_quantile(family: str, fraction: float) -> float:
    """Return ``z`` at which a standard distribution of ``family`` reaches ``fraction``."""

    if family == "weibull":
        return float(np.log(-np.log1p(-fraction)))
    if family == "lognormal":
        return float(ndtri(fraction))
    return float(np.log(fraction) - np.log1p(-fraction))


@dataclass(frozen=True)
class Exponential:
    """Constant hazard; working parameter: log of the mean in hours."""

    name: str = "exponential"
    parameters: int = 1

    def hazards(self, theta: Sequence[Jet], moments: Moments) -> tuple[Jet, Jet]:
        """Return log hazard and cumulative hazard of ``theta`` at ``moments``."""
        return -theta[0] + np.zeros(moments.hours.size), jets.exp(-theta[0]) * moments.hours

    def natural(self, theta: Sequence[Jet]) -> dict[str, Jet]:
        """Return the mean in hours and the rate in failures per 1e9 device hours, of ``theta``."""
        return {"mean_h": jets.exp(theta[0]), "rate_fit": jets.exp(-theta[0]) * 1e9}


@dataclass(frozen=True)
class LocationScale:
    """Weibull, lognormal or loglogistic.

    Working parameters: the log of the hours at which the fraction of ``anchor`` has failed, and ``log sigma``. With the
    anchor where the data are, the two are nearly independent even if one device in a thousand failed.

    Attributes:
        family: ``weibull``, ``lognormal`` or ``loglogistic``.
        anchor: fraction failed to which the first parameter belongs.
    """

    family: str
    anchor: float = 0.5

    @property
    def name(self) -> str:
        """The family."""
        return self.family

    @property
    def parameters(self) -> int:
        """Two."""
        return 2

    def location_scale(self, theta: Sequence[Jet]) -> tuple[Jet, Jet]:
        """Return ``mu`` and ``sigma`` of ``theta``."""
        sigma = jets.exp(theta[1])
        return theta[0] - sigma * standard_quantile(self.family, self.anchor), sigma

    def hazards(self, theta: Sequence[Jet], moments: Moments) -> tuple[Jet, Jet]:
        """Return log hazard and cumulative hazard of ``theta`` at ``moments``."""
        mu, sigma = self.location_scale(theta)
        log_hours = np.log(moments.hours)
        log_hazard, cumulative = standard_hazards(self.family, (log_hours - mu) / sigma)
        return log_hazard - theta[1] - log_hours, cumulative

    def natural(self, theta: Sequence[Jet]) -> dict[str, Jet]:
        """Return ``mu``, ``sigma`` and, by family, ``eta_h`` or ``median_h`` and ``beta`` of ``theta``."""
        mu, sigma = self.location_scale(theta)
        named = {"mu": mu, "sigma": sigma}
        if self.family == "weibull":
            named |= {"eta_h": jets.exp(mu), "beta": 1.0 / sigma}
        else:
            named |= {"median_h": jets.exp(mu)}
        if self.family == "loglogistic":
            named |= {"beta": 1.0 / sigma}
        return named


@dataclass(frozen=True)
class ThresholdWeibull:
    """Weibull after a failure-free time.

    Working parameters: those of Weibull, and the log of ``first_h`` less the threshold. ``first_h`` is the first
    time in the data, below which the threshold must lie; it may be negative.
    """

    first_h: float
    anchor: float = 0.5
    name: str = "weibull-3"
    parameters: int = 3

    def hazards(self, theta: Sequence[Jet], moments: Moments) -> tuple[Jet, Jet]:
        """Return log hazard and cumulative hazard of ``theta`` at ``moments``; none before the threshold."""
        mu, sigma = LocationScale("weibull", self.anchor).location_scale(theta)
        past = jets.exp(theta[2]) + (moments.hours - self.first_h)
        begun = past.value > 0
        log_past = jets.log(Jet(np.where(begun, past.value, 1.0), past.slope, past.curvature))
        log_hazard, cumulative = standard_hazards("weibull", (log_past - mu) / sigma)
        return (log_hazard - theta[1] - log_past).where(begun, -np.inf), cumulative.where(begun, 0.0)

    def natural(self, theta: Sequence[Jet]) -> dict[str, Jet]:
        """Return ``threshold_h``, ``eta_h``, ``beta``, ``mu`` and ``sigma`` of ``theta``."""
        named = LocationScale("weibull", self.anchor).natural(theta)
        return {"threshold_h": self.first_h - jets.exp(theta[2])} | named


@dataclass(frozen=True)
class GeneralizedGamma:
    """Generalized gamma; working parameters: location ``mu``, ``log sigma`` and shape ``lambda``.

    ``lambda`` 1 is Weibull, 0 lognormal, ``sigma`` gamma (Prentice, "A log gamma model", Biometrika 61, 1974; Meeker,
    Escobar & Pascual 2022, sec. 4.8).
    """

    name: str = "generalized-gamma"
    parameters: int = 3

    def hazards(self, theta: Sequence[Jet], moments: Moments) -> tuple[Jet, Jet]:
        """Return log hazard and cumulative hazard of ``theta`` at ``moments``."""
        log_hours = np.log(moments.hours)
        w = (log_hours - theta[0]) / jets.exp(theta[1])
        log_density, cumulative = log_gamma_hazards(w, theta[2])
        return log_density + cumulative - theta[1] - log_hours, cumulative

    def natural(self, theta: Sequence[Jet]) -> dict[str, Jet]:
        """Return ``mu``, ``sigma`` and ``lambda`` of ``theta``."""
        return {"mu": theta[0], "sigma": jets.exp(theta[1]), "lambda": theta[2]}


@dataclass(frozen=True)
class Gamma:
    """Gamma; working parameters: log of shape, and log of scale in hours."""

    name: str = "gamma"
    parameters: int = 2

    def hazards(self, theta: Sequence[Jet], moments: Moments) -> tuple[Jet, Jet]:
        """Return log hazard and cumulative hazard of ``theta`` at ``moments``."""
        # It is the generalized gamma of lambda = sigma.
        log_hours = np.log(moments.hours)
        sigma = jets.exp(theta[0] * -0.5)
        w = (log_hours - theta[1] - theta[0]) / sigma
        log_density, cumulative = log_gamma_hazards(w, sigma)
        return log_density + cumulative + theta[0] * 0.5 - log_hours, cumulative

    def natural(self, theta: Sequence[Jet]) -> dict[str, Jet]:
        """Return ``shape`` and ``scale_h`` of ``theta``."""
        return {"shape": jets.exp(theta[0]), "scale_h": jets.exp(theta[1])}


_LAMBDA_STEP = 2e-3
_NEARLY_NORMAL = 0.02
_PLACES = (-3, -2, -1, 0, 1, 2, 3)


def log_gamma_hazards(w: Jet, shape: Jet) -> tuple[Jet, Jet]:
    """Return the log density and cumulative hazard of the standard log-gamma distribution of ``shape`` at ``w``.

    Derivatives by ``shape`` are differences of fourth order (no closed form exists), those by ``w`` are exact.
    """
    lam = float(shape.value.item())
    steps = [_log_gamma(w.value, lam + i * _LAMBDA_STEP) for i in (-2, -1, 0, 1, 2)]
    log_density = _by_two(w, shape, [(each[0], each[1], each[2]) for each in steps])
    hazards = [(each[3], np.exp(each[0] + each[3])) for each in steps]
    cumulative = _by_two(
        w, shape, [(total, rate, rate * (each[1] + rate)) for each, (total, rate) in zip(steps, hazards, strict=True)]
    )
    return log_density, cumulative


def _by_two(w: Jet, shape: Jet, steps: list[tuple[Floats, Floats, Floats]]) -> Jet:
    """The jet of a function of ``w`` and ``shape`` from its value, slope and curvature by ``w`` at five shapes."""
    first = np.asarray([1, -8, 0, 8, -1]) / (12 * _LAMBDA_STEP)
    second = np.asarray([-1, 16, -30, 16, -1]) / (12 * _LAMBDA_STEP**2)
    values, slopes = np.stack([step[0] for step in steps]), np.stack([step[1] for step in steps])
    value, by_w, by_ww = steps[2]
    by_s, by_ss, by_ws = first @ values, second @ values, first @ slopes
    cross = w.slope[:, None] * shape.slope[None]
    curvature = (
        by_w * w.curvature
        + by_s * shape.curvature
        + by_ww * (w.slope[:, None] * w.slope[None])
        + by_ss * (shape.slope[:, None] * shape.slope[None])
        + by_ws * (cross + cross.swapaxes(0, 1))
    )
    return Jet(value, by_w * w.slope + by_s * shape.slope, curvature)


def _log_gamma(w: Floats, lam: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Log density, its two derivatives by ``w``, and the cumulative hazard; across 0 by a polynomial."""
    if abs(lam) < _NEARLY_NORMAL:
        nodes = [_log_normal(w) if place == 0 else _log_gamma(w, place * _NEARLY_NORMAL) for place in _PLACES]
        mixed = np.tensordot(_lagrange(lam / _NEARLY_NORMAL), np.asarray(nodes), 1)
        return mixed[0], mixed[1], mixed[2], mixed[3]
    shape, u = lam**-2, lam * w
    grown = np.exp(np.minimum(u, 700.0))
    # exp(u) - 1 - u without cancellation.
    beyond = np.where(np.abs(u) < 1e-2, u**2 * (0.5 + u * (1 / 6 + u * (1 / 24 + u / 120))), np.expm1(u) - u)
    log_density = np.log(abs(lam)) + _log_power_over_gamma(shape) - shape * beyond
    slope, curvature = -np.expm1(u) / lam, -grown
    tail = (gammaincc if lam > 0 else gammainc)(shape, shape * grown)
    head = (gammainc if lam > 0 else gammaincc)(shape, shape * grown)
    with np.errstate(divide="ignore"):
        cumulative = np.where(head < 0.5, -np.log1p(-head), -np.log(tail))
    return log_density, slope, curvature, np.asarray(cumulative)


def _lagrange(at: float) -> Floats:
    """Weights of the values at :data:`_PLACES` in their polynomial at ``at``."""
    places = np.asarray(_PLACES, np.float64)
    others = [np.delete(places, i) for i in range(places.size)]
    return np.asarray([np.prod((at - rest) / (place - rest)) for place, rest in zip(places, others, strict=True)])


def _log_normal(w: Floats) -> tuple[Floats, Floats, Floats, Floats]:

    return -0.5 * w**2 - 0.5 * np.log(2 * np.pi), -w, np.full_like(w, -1.0), -np.asarray(log_ndtr(-w))


def _log_power_over_gamma(shape: float) -> float:
    """``shape log(shape) - shape - log gamma(shape)``, by Stirling's series where the difference would cancel."""
    if shape > 1e3:
        return float(0.5 * np.log(shape / (2 * np.pi)) - 1 / (12 * shape) + 1 / (360 * shape**3))
    return float(shape * np.log(shape) - shape - gammaln(shape))


@dataclass(frozen=True)
class Mixture:
    """Two sub-populations; working parameters: those of both, and the log odds of the first's part.

    With one sub-population that never fails (``second`` absent) this is the defective sub-population (limited failure
    population) of Meeker, "Limited failure population life tests", Technometrics 29, 1987: the units with a latent
    defect are a part ``p`` of all, and only they fail.
    """

    first: LocationScale
    second: LocationScale | None = None
    label: str = field(default="")

    @property
    def name(self) -> str:
        """Such as ``defective-weibull`` or ``mixture-weibull``."""
        return self.label or f"{'defective' if self.second is None else 'mixture'}-{self.first.family}"

    @property
    def parameters(self) -> int:
        """Three, or five."""
        return 3 if self.second is None else 5

    def hazards(self, theta: Sequence[Jet], moments: Moments) -> tuple[Jet, Jet]:
        """Return log hazard and cumulative hazard of ``theta`` at ``moments``."""
        log_part, log_rest = -jets.softplus(-theta[-1]), -jets.softplus(theta[-1])
        part, rest = jets.exp(log_part), jets.exp(log_rest)
        rate, early = self.first.hazards(theta[:2], moments)
        log_density, lost = log_part + rate - early, part * jets.expm1(-early)
        if self.second is None:
            log_alive = jets.log_add_exp(log_part - early, log_rest + np.zeros(moments.hours.size))
        else:
            other, late = self.second.hazards(theta[2:4], moments)
            log_density = jets.log_add_exp(log_density, log_rest + other - late)
            lost = lost + rest * jets.expm1(-late)
            log_alive = jets.log_add_exp(log_part - early, log_rest - late)
        few = lost.value > -0.5
        exact = jets.log1p(Jet(np.where(few, lost.value, 0.0), lost.slope, lost.curvature))
        cumulative = -_either(few, exact, log_alive)
        return log_density + cumulative, cumulative

    def natural(self, theta: Sequence[Jet]) -> dict[str, Jet]:
        """Return the part ``p`` and each sub-population's parameters (suffix ``_1``, ``_2`` if two) of ``theta``."""
        part = jets.exp(-jets.softplus(-theta[-1]))
        if self.second is None:
            return {"p": part} | self.first.natural(theta[:2])
        named = {f"{name}_1": value for name, value in self.first.natural(theta[:2]).items()}
        named |= {f"{name}_2": value for name, value in self.second.natural(theta[2:4]).items()}
        return {"p": part} | named


def _either(chosen: NDArray[np.bool_], first: Jet, second: Jet) -> Jet:
    return Jet(
        np.where(chosen, first.value, second.value),
        np.where(chosen, first.slope, second.slope),
        np.where(chosen, first.curvature, second.curvature),
    )

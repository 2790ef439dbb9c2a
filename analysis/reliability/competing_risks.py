"""Several causes of failure, of which the first to come is seen: independent competing risks, some causes unknown.

The hazard of a device is the sum of those of its causes. A failure of known cause ``j`` at ``t`` adds ``log h_j(t) -
H(t)``, one of unknown (masked) cause ``log h(t) - H(t)``, a survivor ``-H(t)`` (Meeker, Escobar & Pascual 2022, ch. 16;
Usher & Hodgson, IEEE Trans. Reliab. 37, 1988). A cause found at a readout is integrated over the interval. Independence
cannot be tested with such data; it is an assumption on record.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.reliability import jets
from analysis.reliability.distributions import LifeModel, LocationScale, Moments
from analysis.reliability.errors import LifeDataError, NoFailures
from analysis.reliability.fitting import LifeFit, climb, fit_model
from analysis.reliability.jets import Floats, Jet
from analysis.reliability.life_data import LifeData


@dataclass(frozen=True)
class CompetingRisks:
    """Causes of failure by name, each with its life model; working parameters: theirs, one after the other."""

    causes: tuple[str, ...]
    risks: tuple[LifeModel, ...]

    @property
    def name(self) -> str:
        """Such as ``competing-risks(weibull, weibull)``."""
        return f"competing-risks({', '.join(risk.name for risk in self.risks)})"

    @property
    def parameters(self) -> int:
        """Those of all causes."""
        return sum(risk.parameters for risk in self.risks)

    def hazards(self, theta: Sequence[Jet], moments: Moments) -> tuple[Jet, Jet]:
        """Return the log hazard of the cause at ``moments``, all where unknown, and the total one, of ``theta``."""
        parts = [risk.hazards(own, moments) for risk, own in zip(self.risks, self.split(theta), strict=True)]
        rate, total = parts[0]
        for other, more in parts[1:]:
            rate, total = jets.log_add_exp(rate, other), total + more
        for cause, (own, _) in enumerate(parts):
            chosen = moments.cause == cause
            if chosen.any():
                rate = Jet(
                    np.where(chosen, own.value, rate.value),
                    np.where(chosen, own.slope, rate.slope),
                    np.where(chosen, own.curvature, rate.curvature),
                )
        return rate, total

    def natural(self, theta: Sequence[Jet]) -> dict[str, Jet]:
        """Return each cause's parameters of ``theta``, as ``name[cause]``."""
        named: dict[str, Jet] = {}
        for cause, risk, own in zip(self.causes, self.risks, self.split(theta), strict=True):
            named |= {f"{name}[{cause}]": value for name, value in risk.natural(own).items()}
        return named

    def split(self, theta: Sequence[Jet]) -> list[Sequence[Jet]]:
        """Return the part of ``theta`` that belongs to each cause."""
        ends = np.cumsum([risk.parameters for risk in self.risks]).tolist()
        return [theta[end - risk.parameters : end] for end, risk in zip(ends, self.risks, strict=True)]


def fit_competing_risks(data: LifeData, families: Sequence[str] | str = "weibull") -> LifeFit:
    """Return the fit of one life model per cause of ``data`` (``families``: one for all, or one for each cause).

    Raises:
        NoFailures: a cause has none of its own.
        LifeDataError: the data do not allow it; the type and the message say why.
    """
    if len(data.causes) < 2:
        raise LifeDataError("competing risks need failures of two causes or more; name them in the column of modes")
    wanted = [families] * len(data.causes) if isinstance(families, str) else list(families)
    if len(wanted) != len(data.causes):
        raise LifeDataError(f"there are {len(data.causes)} causes and {len(wanted)} distributions")
    fits = [fit_model(only_cause(data, cause), family) for cause, family in enumerate(wanted)]
    model = CompetingRisks(data.causes, tuple(fit.model for fit in fits))
    start = np.concatenate([fit.maximum.theta for fit in fits])
    return climb(data, model, [start])


def only_cause(data: LifeData, cause: int) -> LifeData:
    """Return ``data`` as cause number ``cause`` sees it: failures of others are devices taken away at that time.

    Devices whose other or unknown cause is known to a readout only are taken away at its beginning: a starting point,
    not an estimate.

    Raises:
        NoFailures: no failure is known to be of that cause.
    """
    others = ~data.right & (data.cause != cause)
    if not (~data.right & ~others).any():
        raise NoFailures(data.devices)
    gone = replace(
        data, upper=np.where(others, np.inf, data.upper), cause=np.where(data.cause == cause, 0, -1), causes=()
    )
    return gone.chosen((gone.lower > 0) | ~np.isinf(gone.upper))


def cumulative_incidence(fit: LifeFit, hours: Floats, steps: int = 400) -> Floats:
    """Return the probability of having failed of each cause by ``hours``, ``(n,)``; float64, shape ``(causes, n)``.

    ``fit`` is of :class:`CompetingRisks`; the integral of ``h_j S`` is taken in ``steps`` steps of the cause's own
    cumulative hazard, which makes it exact for hazards that are infinite at 0.
    """
    model = fit.model
    if not isinstance(model, CompetingRisks):
        raise LifeDataError(f"a {model.name} fit has no causes")
    theta = jets.variables(fit.maximum.theta)
    found = np.zeros((len(model.causes), len(hours)))
    nodes, weights = np.polynomial.legendre.leggauss(min(steps, 100))
    places = 0.5 * (nodes + 1)
    for column, hour in enumerate(np.asarray(hours, np.float64)):
        for cause, (risk, own) in enumerate(zip(model.risks, model.split(theta), strict=True)):
            if not isinstance(risk, LocationScale):
                raise LifeDataError("incidence is known for location-scale causes only")
            whole = float(risk.hazards(own, Moments.at([hour]))[1].value[0])
            times = _when(risk, own, whole * places, hour)
            alive = np.exp(-model.hazards(theta, Moments.at(times))[1].value)
            found[cause, column] = 0.5 * whole * float(weights @ alive)
    return found


def _when(risk: LocationScale, theta: Sequence[Jet], hazards: Floats, latest: float) -> Floats:
    """Hours at which the cumulative hazard of ``risk`` reaches each of ``hazards``, by bisection in the logarithm."""
    low, high = np.full(hazards.size, np.log(latest) - 200.0), np.full(hazards.size, np.log(latest))
    for _ in range(100):
        middle = 0.5 * (low + high)
        reached = risk.hazards(theta, Moments.at(np.exp(middle)))[1].value >= hazards
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.asarray(np.exp(high))

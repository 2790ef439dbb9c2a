"""How sure a fitted quantity is: likelihood-ratio and Wald intervals of failure probabilities, lives and parameters.

The likelihood-ratio interval holds the values that a test at the level does not reject: those for which the likelihood,
maximized with the quantity held there, falls by less than half a chi-squared quantile (Venzon & Moolgavkar, Appl. Stat.
37, 1988; Meeker, Escobar & Pascual 2022, ch. 8). Wald's is the estimate plus and minus a normal quantile of standard
errors, on a scale without edges: the logarithm of the cumulative hazard for probabilities. Measured coverage, and where
it ends, stands in :data:`LIMITS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from analysis.reliability import jets
from analysis.reliability.distributions import LocationScale, Moments
from analysis.reliability.errors import LifeDataError
from analysis.reliability.fitting import LifeFit, standard_error
from analysis.reliability.jets import Floats, Jet
from analysis.reliability.likelihood import log_likelihood
from analysis.reliability.weibull_bounds import bound_groups

METHODS = ("likelihood-ratio", "wald")
Quantity = Callable[[Sequence[Jet]], Jet]

_MOST_STEPS = 50
_FARTHEST_Z = 30.0
_NEAR, _SETTLED = 1e-6, 1e-3
"""In standard errors: the likelihood is off by half the square of it."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes:
        estimate, low, high: of the quantity; an end is infinite (or 0 or 1 for a probability) where the likelihood does
            not fall enough on that side however far one goes.
        level: two-sided.
        method: ``likelihood-ratio`` or ``wald``.
        bounded: whether each end was reached.
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str
    bounded: tuple[bool, bool] = (True, True)

    def through(self, change: Callable[[float], float]) -> "Interval":
        """Return the interval of the rising function ``change`` of the quantity."""
        ends = (change(self.estimate), change(self.low), change(self.high))
        return Interval(*ends, self.level, self.method, self.bounded)


def interval_of(fit: LifeFit, quantity: Quantity, level: float = 0.9, method: str = "likelihood-ratio") -> Interval:
    """Return the interval of ``quantity``, a function of the working parameters without edges, under ``fit``.

    ``level`` is two-sided; ``method`` of :data:`METHODS`.

    Raises:
        LifeDataError: the level or the method is none, or the quantity does not depend on the parameters.
    """
    at = _evaluate(quantity, fit.maximum.theta)
    place = (float(at.value[0]), standard_error(at, fit.maximum.covariance))
    return _around(fit, place, lambda target: (quantity, target), level, method)


Hold = Callable[[float], tuple[Quantity, float]]
"""What is held at which target when the quantity of interest has a value."""


def _around(fit: LifeFit, place: tuple[float, float], hold: Hold, level: float, method: str) -> Interval:
    """The interval around ``place``, which is an estimate and its standard error."""
    if not 0 < level < 1 or method not in METHODS:
        known = " or ".join(METHODS)
        raise LifeDataError(f"a level lies between 0 and 1 and a method is {known}, not {level:g}, {method}")
    centre, error = place
    if not (np.isfinite(centre) and np.isfinite(error) and error > 0):
        raise LifeDataError("the quantity asked for has no standard error under this fit")
    z = float(ndtri(0.5 + level / 2))
    if method == "wald":
        return Interval(centre, centre - z * error, centre + z * error, level, method)
    low, high = (_profile_end(fit, hold, centre, side * error, z) for side in (-1.0, 1.0))
    return Interval(centre, low[0], high[0], level, method, (low[1], high[1]))


def failure_probability(
    fit: LifeFit,
    hours: float,
    level: float = 0.9,
    method: str = "likelihood-ratio",
    stress: Floats | None = None,
) -> Interval:
    """Return the probability of having failed by ``hours`` under ``stress``, ``(stresses,)``, with its interval.

    ``fit``, ``level`` and ``method`` as in :func:`interval_of`; the scale is the log cumulative hazard.

    Raises:
        LifeDataError: as there, or ``hours`` is not above 0, or nothing can have failed by then.
    """
    if not hours > 0 or not np.isfinite(hours):
        raise LifeDataError(f"a failure probability needs hours above 0, not {hours:g}")
    if method == "likelihood-ratio" and stress is None and _is_plain_weibull(fit):
        data = fit.data
        ends = bound_groups(data.lower, data.exact, hours, None, data.count, level)
        return Interval(float(ends.estimate[0]), float(ends.low[0]), float(ends.high[0]), level, method)
    plain = Moments.at([hours])
    moments = plain if stress is None else Moments(plain.hours, stress[None], plain.cause)

    def log_hazard(theta: Sequence[Jet]) -> Jet:
        return jets.log(fit.model.hazards(theta, moments)[1])

    return interval_of(fit, log_hazard, level, method).through(_probability)


def life_quantile(
    fit: LifeFit,
    part: float,
    level: float = 0.9,
    method: str = "likelihood-ratio",
    stress: Floats | None = None,
) -> Interval:
    """Return the hours by which ``part`` of the devices have failed, with its interval; the scale is log hours.

    ``fit``, ``level``, ``method`` and ``stress`` as in :func:`failure_probability`.

    Raises:
        LifeDataError: as there, or ``part`` is not reached (a defective sub-population smaller than it).
    """
    if not 0 < part < 1:
        raise LifeDataError(f"a fraction failed lies between 0 and 1, not {part:g}")
    target = float(np.log(-np.log1p(-part)))

    def log_hazard(log_hours: float) -> Quantity:
        moments = Moments.at([float(np.exp(log_hours))])
        if stress is not None:
            moments = Moments(moments.hours, stress[None], moments.cause)
        return lambda theta: jets.log(fit.model.hazards(theta, moments)[1])

    centre = _log_time(fit, log_hazard, target)
    step = 1e-5
    rates = [float(_evaluate(log_hazard(centre + side * step), fit.maximum.theta).value[0]) for side in (1, -1)]
    here = _evaluate(log_hazard(centre), fit.maximum.theta)
    error = standard_error(here, fit.maximum.covariance) * 2 * step / (rates[0] - rates[1])
    found = _around(fit, (centre, error), lambda at: (log_hazard(at), target), level, method)
    return found.through(lambda value: float(np.exp(min(value, 709.0))))


def parameter_interval(fit: LifeFit, name: str, level: float = 0.9, method: str = "likelihood-ratio") -> Interval:
    """Return the interval of the parameter called ``name`` of ``fit``.

    Wald's is in the logarithm for what is positive, in the log odds for a part ``p``, plain otherwise. ``level`` and
    ``method`` as in :func:`interval_of`.

    Raises:
        LifeDataError: as there, or the model has no such parameter.
    """
    named = fit.natural()
    if name not in named:
        raise LifeDataError(f"a {fit.model.name} fit has no {name}; it has {', '.join(named)}")
    kind = name.partition("[")[0].removesuffix("_1").removesuffix("_2")
    if kind == "p":
        return interval_of(fit, lambda theta: _log_odds(fit.model.natural(theta)[name]), level, method).through(
            lambda value: float(1 / (1 + np.exp(-value)))
        )
    if kind in ("sigma", "beta", "eta_h", "mean_h", "median_h", "rate_fit", "shape", "scale_h"):
        return interval_of(fit, lambda theta: jets.log(fit.model.natural(theta)[name]), level, method).through(
            lambda value: float(np.exp(min(value, 709.0)))
        )
    return interval_of(fit, lambda theta: fit.model.natural(theta)[name], level, method)


LIMITS = {
    "likelihood-ratio": "from 10 failures: at a nominal 90 % it covered 88.8 to 90.9 % (Weibull F(t), 99 % censored or "
    "more, 2,000 simulated sets each); at 5 failures 93.5 %",
    "wald": "from 25 failures: at a nominal 90 % it covered 89.8 to 91.3 % (Weibull F(t), 99 % censored or more, 2,000 "
    "simulated sets each); at 10 failures 92.8 % with uneven sides, at 5 failures 93.4 %",
    "posterior": "from 10 failures: at a nominal 90 % it covered 88.8 to 90.8 % (Weibull F(t), 99 % censored or more, "
    "2,000 simulated sets each); at 5 failures 85.0 %",
}
"""Where each method keeps its promise, by ``python -m benchmarks.life_data``."""

LEAST_FAILURES = {"likelihood-ratio": 10, "wald": 25, "posterior": 10}
"""Failures from which it does."""


def _is_plain_weibull(fit: LifeFit) -> bool:
    """Whether the closed form of the Weibull likelihood holds: exact and right-censored times, nothing truncated."""
    plain = not fit.data.interval.any() and not fit.data.truncated.any() and (fit.data.lower > 0).all()
    return bool(isinstance(fit.model, LocationScale) and fit.model.family == "weibull" and plain)


def _probability(log_hazard: float) -> float:
    return float(-np.expm1(-np.exp(min(log_hazard, 700.0))))


def _log_odds(part: Jet) -> Jet:
    return jets.log(part) - jets.log(1.0 - part)


def _evaluate(quantity: Quantity, theta: Floats) -> Jet:
    with np.errstate(all="ignore"):
        return quantity(jets.variables(theta))


def _log_time(fit: LifeFit, log_hazard: Callable[[float], Quantity], target: float) -> float:
    """Log hours at which the log cumulative hazard reaches ``target``."""
    low, high = -300.0, 600.0
    if float(_evaluate(log_hazard(high), fit.maximum.theta).value[0]) < target:
        raise LifeDataError("the model never reaches that fraction failed: only defective units fail")
    for _ in range(80):
        middle = 0.5 * (low + high)
        reached = float(_evaluate(log_hazard(middle), fit.maximum.theta).value[0]) >= target
        low, high = (low, middle) if reached else (middle, high)
    return 0.5 * (low + high)


def _profile_end(fit: LifeFit, hold: Hold, centre: float, step: float, z: float) -> tuple[float, bool]:
    """Walk from the estimate to where the profile likelihood has fallen by ``z^2/2``; by secants on its signed root."""
    inner, inner_root, theta = 0.0, 0.0, fit.maximum.theta
    outer, outer_root = np.inf, np.inf
    stride, trial = z, z
    for attempt in range(_MOST_STEPS):
        found = _constrained(fit, *hold(centre + trial * step), theta)
        if found is None:
            # Too far for one leap: a shorter one, from which a longer one may follow.
            stride = (trial - inner) / 4
            if stride < 1e-6 * z:
                break
            trial = inner + stride
            continue
        fallen, at = found
        root = float(np.sqrt(max(2 * (fit.maximum.value - fallen), 0.0)))
        if abs(root - z) <= 1e-7 * z:
            return centre + trial * step, True
        if root < z:
            stride = max(stride, 2 * (trial - inner))
            inner, inner_root, theta = trial, root, at
        else:
            outer, outer_root = trial, root
        if outer - inner <= 1e-9 * inner:
            return centre + inner * step, True
        if inner > _FARTHEST_Z:
            return float(np.sign(step) * np.inf), False
        if np.isinf(outer):
            gain = max(inner_root, 0.1 * inner) / inner
            trial = min(max(z / gain * 1.01, 1.1 * inner), inner + stride)
        else:
            trial = inner + (outer - inner) * (z - inner_root) / (outer_root - inner_root)
            margin = (0.02 if attempt < 12 else 0.25) * (outer - inner)
            trial = min(max(trial, inner + margin), outer - margin)
    raise LifeDataError("the likelihood-ratio interval was not found: ask for Wald's")


def _constrained(fit: LifeFit, quantity: Quantity, target: float, start: Floats) -> tuple[float, Floats] | None:
    """Maximize the likelihood with the quantity held at ``target``: Newton on Lagrange's conditions, from ``start``."""
    theta = start.copy()
    multiplier = 0.0
    scale = np.sqrt(np.diag(fit.maximum.covariance))
    here, held = log_likelihood(fit.model, theta, fit.data), _evaluate(quantity, theta)
    for _ in range(25):
        gap = target - float(held.value[0])
        slope = held.slope[:, 0] * scale
        matrix = -(here.curvature[:, :, 0] - multiplier * held.curvature[:, :, 0]) * np.outer(scale, scale)
        direction, multiplier_next = _lagrange_step(matrix, slope, here.slope[:, 0] * scale, gap)
        if direction is None:
            return None
        step = direction * scale
        size = float(np.abs(direction).max())
        length = min(1.0, 2.0 / size) if size > 0 else 1.0
        penalty = 2 * abs(multiplier_next) + 1e-3
        merit = float(here.value[0]) - penalty * abs(gap)
        for _ in range(12):
            candidate = theta + length * step
            there, then = log_likelihood(fit.model, candidate, fit.data), _evaluate(quantity, candidate)
            worth = float(there.value[0]) - penalty * abs(target - float(then.value[0]))
            if np.isfinite(worth) and worth >= merit - 1e-10 * (1 + abs(merit)):
                break
            length /= 3
        else:
            settled = size <= _SETTLED and abs(gap) <= 1e-9 * (1 + abs(target))
            return (float(here.value[0]), theta) if settled else None
        theta, here, held, multiplier = candidate, there, then, multiplier_next
        if size * length <= _NEAR and abs(target - float(held.value[0])) <= 1e-9 * (1 + abs(target)):
            return float(here.value[0]), theta
    return None


def _lagrange_step(matrix: Floats, slope: Floats, gradient: Floats, gap: float) -> tuple[Floats | None, float]:
    """Solve for a step and multiplier; the matrix is made definite across the constraint if it is not."""
    norm = float(slope @ slope)
    if not (norm > 0 and np.isfinite(matrix).all() and np.isfinite(gradient).all()):
        return None, 0.0
    along = slope / norm
    # An orthonormal basis of the directions that leave the quantity alone.
    basis = np.linalg.svd(slope[None])[2][1:].T
    direction = along * gap
    if basis.size:
        inner = basis.T @ matrix @ basis
        values, vectors = np.linalg.eigh(inner)
        values = np.maximum(np.abs(values), 1e-10 * max(float(np.abs(values).max()), 1e-300))
        pull = basis.T @ (gradient - matrix @ direction)
        direction = direction + basis @ (vectors @ ((vectors.T @ pull) / values))
    return direction, float((gradient - matrix @ direction) @ along)

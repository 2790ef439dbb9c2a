"""Which part of new units passes a threshold in use, extrapolated over temperature by the laws."""

from dataclasses import dataclass

import numpy as np

from analysis.degradation.errors import DegradationError, ExtrapolationUnsupported
from analysis.degradation.law_draws import draw_parameters
from analysis.degradation.law_fit import LawFit
from analysis.degradation.law_mixture import LawForecaster
from analysis.degradation.mixed_effects import spread
from analysis.degradation.readout_paths import Floats, ReadoutPaths
from analysis.degradation.thresholds import FARTHEST, Threshold

_PARAMETER_DRAWS = 200
_UNITS = 5000


@dataclass(frozen=True)
class PopulationForecast:
    """The part of a population that has passed by some time.

    Attributes:
        probability: with the estimated parameters, laws weighed.
        low, high: two-sided interval from the parameters' uncertainty and the laws together.
        resolution: the least part that so many drawn units can show.
        equivalent_h: the time in use as hours at the reference temperature, by the best law.
        by_law: each law's own answer.
    """

    probability: float
    low: float
    high: float
    resolution: float
    equivalent_h: float
    by_law: dict[str, float]


def foresee_population(
    laws: LawForecaster,
    paths: ReadoutPaths,
    threshold: Threshold,
    use: tuple[float, float],
    level: float = 0.9,
    seed: int = 0,
) -> PopulationForecast:
    """Return which part of new units has passed ``threshold`` in ``use``: temperature in °C, hours.

    ``paths`` are the readouts that ``laws`` were fitted to; ``level`` is of the interval; ``seed`` makes the draws
    repeatable. Paths do not turn back, so that those beyond the threshold then are those that passed it.

    Raises:
        DegradationError: there is one temperature only.
        ExtrapolationUnsupported: the time is too far beyond what was seen, in hours at the reference temperature.
    """
    temperature_c, hours = use
    best = laws.members[0][0]
    if best.scale.reference_k is None:
        raise DegradationError("use at another temperature needs readouts at two temperatures or more")
    equivalent = hours * _factor(best, best.phi, np.asarray([temperature_c]))[0]
    rates = _factor(best, best.phi, paths.temperature_c)
    seen = float((paths.last_h * rates).max())
    if equivalent > FARTHEST * seen:
        raise ExtrapolationUnsupported(equivalent, seen, FARTHEST)
    generator = np.random.default_rng(seed)
    by_law, pooled, weights = {}, [], []
    for fit, weight in laws.members:
        estimate = _part(fit, fit.phi, threshold, use, generator)
        drawn = [
            _part(fit, phi, threshold, use, generator) for phi in draw_parameters(fit, _PARAMETER_DRAWS, generator)
        ]
        by_law[fit.form.law.name] = estimate
        pooled.append(drawn)
        weights.append(weight)
    values = np.concatenate(pooled)
    shares = np.repeat(np.asarray(weights) / _PARAMETER_DRAWS, _PARAMETER_DRAWS)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(shares[order])
    ends = ((1 - level) / 2, (1 + level) / 2)
    low, high = (float(values[order][min(int(np.searchsorted(reached, part)), len(values) - 1)]) for part in ends)
    probability = float(sum(weight * part for weight, part in zip(weights, by_law.values(), strict=True)))
    # No unit among so many bounds the part from above by the rule of three.
    return PopulationForecast(
        probability,
        min(low, probability),
        max(high, probability, 3.0 / _UNITS if high == 0 else 0.0),
        1.0 / _UNITS,
        float(equivalent),
        by_law,
    )


def _factor(fit: LawFit, phi: Floats, temperature_c: Floats) -> Floats:
    energy = phi[fit.structure.names.index("ea_ev")]
    return np.asarray(np.exp(-energy * fit.scale.inverse_temperatures(temperature_c)))


def _part(
    fit: LawFit, phi: Floats, threshold: Threshold, use: tuple[float, float], generator: np.random.Generator
) -> float:
    temperature_c, hours = use
    z = generator.standard_normal((_UNITS, len(fit.structure.random)))
    theta = spread(fit.structure, phi, z)
    inverse = fit.scale.inverse_temperatures(np.asarray([[temperature_c]]))
    path, _ = fit.form.path(theta, np.asarray([[hours / fit.scale.time_h]]), inverse)
    return float(threshold.beyond(fit.scale.origin + fit.scale.value * path).mean())

"""Slow, obvious twins of :mod:`analysis.reliability`: row by row, by scipy's own distributions."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats
from scipy.optimize import brentq, minimize

Row = tuple[float, float, float]
"""Lower and upper hours, and count."""
Distribution = Callable[[float], tuple[float, float]]
"""Hours to density and probability of having failed."""


def weibull(mu: float, sigma: float) -> Distribution:
    def law(hours: float) -> tuple[float, float]:
        hazard = (hours / math.exp(mu)) ** (1 / sigma)
        return hazard / (sigma * hours) * math.exp(-hazard), 1 - math.exp(-hazard)

    return law


def lognormal(mu: float, sigma: float) -> Distribution:
    frozen = stats.lognorm(sigma, scale=math.exp(mu))
    return lambda hours: (float(frozen.pdf(hours)), float(frozen.cdf(hours)))


def loglogistic(mu: float, sigma: float) -> Distribution:
    frozen = stats.fisk(1 / sigma, scale=math.exp(mu))
    return lambda hours: (float(frozen.pdf(hours)), float(frozen.cdf(hours)))


def generalized_gamma(mu: float, sigma: float, lam: float) -> Distribution:
    shape = lam**-2
    power = abs(lam) / sigma
    scale = math.exp(mu) * shape ** (-sigma / lam)
    frozen = stats.gengamma(shape, math.copysign(power, lam), scale=scale)
    return lambda hours: (float(frozen.pdf(hours)), float(frozen.cdf(hours)))


def defective(part: float, whole: Distribution) -> Distribution:
    return lambda hours: (part * whole(hours)[0], part * whole(hours)[1])


def mixture(part: float, first: Distribution, second: Distribution) -> Distribution:
    return lambda hours: (
        part * first(hours)[0] + (1 - part) * second(hours)[0],
        part * first(hours)[1] + (1 - part) * second(hours)[1],
    )


def log_likelihood(rows: Sequence[Row], law: Distribution, limits: tuple[float, float] = (0.0, math.inf)) -> float:
    """Every row by itself; ``limits`` are of truncation."""
    total = 0.0
    seen = (law(limits[1])[1] if math.isfinite(limits[1]) else 1.0) - (law(limits[0])[1] if limits[0] > 0 else 0.0)
    for lower, upper, count in rows:
        if lower == upper:
            chance = law(lower)[0]
        else:
            chance = (law(upper)[1] if math.isfinite(upper) else 1.0) - (law(lower)[1] if lower > 0 else 0.0)
        if chance <= 0:
            return -math.inf
        total += count * math.log(chance / seen)
    return total


def best_weibull(rows: Sequence[Row]) -> tuple[float, float, float]:
    """``mu``, ``sigma`` and log likelihood by a search that knows no derivative."""

    def worse(theta: np.ndarray) -> float:
        try:
            return -log_likelihood(rows, weibull(theta[0], math.exp(theta[1])))
        except (ValueError, ZeroDivisionError, OverflowError):
            return 1e12

    start = np.asarray([math.log(np.mean([row[0] for row in rows]) + 1.0), -0.3])
    options = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
    found = minimize(worse, start, method="Nelder-Mead", options=options)
    return float(found.x[0]), math.exp(found.x[1]), -float(found.fun)


def probability_bounds(rows: Sequence[Row], hours: float, level: float) -> tuple[float, float]:
    """Likelihood-ratio bounds of a Weibull probability: the profile on a fine grid of sigma, the ends by bisection."""
    _, _, best = best_weibull(rows)
    fall = stats.chi2.ppf(level, 1) / 2

    def gap(v: float) -> float:
        heights = [
            log_likelihood(rows, weibull(math.log(hours) - sigma * v, sigma)) for sigma in np.geomspace(0.2, 5, 120)
        ]
        return best - max(heights) - fall

    mu, sigma, _ = best_weibull(rows)
    centre = (math.log(hours) - mu) / sigma
    low, high = brentq(gap, centre - 4, centre, xtol=1e-3), brentq(gap, centre, centre + 3, xtol=1e-3)
    return 1 - math.exp(-math.exp(low)), 1 - math.exp(-math.exp(high))

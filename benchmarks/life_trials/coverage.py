"""How often intervals of F(t) hold the truth at heavy censoring, on SIMULATED lifetimes."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from analysis.reliability.weibull_bounds import bound_groups
from analysis.reliability.weibull_profile import fit_weibull_groups, group_rows

LEVEL = 0.9


@dataclass(frozen=True)
class Setting:
    """One kind of test: ``devices`` watched until ``expected`` of them are dead on average, then asked at ``factor``.

    ``factor`` is the asked time over that at which watching ends; ``beta`` the Weibull shape.
    """

    devices: int
    expected: float
    factor: float
    beta: float = 0.7

    @property
    def name(self) -> str:
        """In words."""
        censored = 100 * (1 - self.expected / self.devices)
        where = "at the end of the test" if self.factor == 1 else f"at {self.factor:g} times its length"
        return f"{censored:.1f} % censored, {self.expected:g} failures expected, {where}"


SETTINGS = (
    Setting(5000, 50, 1.0),
    Setting(5000, 25, 1.0),
    Setting(5000, 25, 10.0),
    Setting(2000, 10, 1.0),
    Setting(2000, 10, 10.0),
    Setting(2000, 5, 1.0),
)


Draws = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def draw(setting: Setting, sets: int, seed: int = 0) -> Draws:
    """Return hours, failures, groups and counts of ``sets`` sets; watching ends at 1 hour."""
    generator = np.random.default_rng((seed, setting.devices, int(10 * setting.expected), int(10 * setting.factor)))
    scale = (-np.log1p(-setting.expected / setting.devices)) ** (-1 / setting.beta)
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for place in range(sets):
        times = scale * generator.weibull(setting.beta, setting.devices)
        dead = times[times < 1.0]
        columns[0].append(np.append(dead, 1.0))
        columns[1].append(np.append(np.ones(dead.size, np.bool_), False))
        columns[2].append(np.full(dead.size + 1, place))
        columns[3].append(np.append(np.ones(dead.size), setting.devices - dead.size))
    hours, failed, group, count = (np.concatenate(column) for column in columns)
    return hours, failed, group, count


def cover(setting: Setting, method: str, sets: int) -> tuple[float, int, float, float]:
    """Return the part of sets whose interval holds the truth, how many were refused, and the misses on each side."""
    rate = -np.log1p(-setting.expected / setting.devices)
    truth = -np.expm1(-rate * setting.factor**setting.beta)
    low, high = METHODS[method](draw(setting, sets), setting.factor)
    known = np.isfinite(low)
    below, above = high[known] < truth, low[known] > truth
    return float((~below & ~above).mean()), int((~known).sum()), float(below.mean()), float(above.mean())


def _likelihood_ratio(drawn: Draws, asked: float) -> tuple[np.ndarray, np.ndarray]:
    hours, failed, group, count = drawn
    bounds = bound_groups(hours, failed, asked, group, count, LEVEL)
    return bounds.low, bounds.high


def _centre(drawn: Draws, asked: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log cumulative hazard at the time asked for, its standard error, and log sigma."""
    hours, failed, group, count = drawn
    fits = fit_weibull_groups(hours, failed, group, count)
    v = (np.log(asked) - fits.mu) / fits.sigma
    variance = fits.var_mu / fits.sigma**2 + v**2 * fits.var_log_sigma + 2 * v * fits.cov / fits.sigma
    return v, np.sqrt(variance), np.log(fits.sigma)


def _wald(drawn: Draws, asked: float) -> tuple[np.ndarray, np.ndarray]:
    v, error, _ = _centre(drawn, asked)
    z = ndtri(0.5 + LEVEL / 2)
    return -np.expm1(-np.exp(v - z * error)), -np.expm1(-np.exp(v + z * error))


def _posterior(drawn: Draws, asked: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of the posterior with the prior of ``analysis.reliability.posterior``, summed on a grid."""
    hours, failed, group, count = drawn
    v, error, log_sigma = _centre(drawn, asked)
    fits = fit_weibull_groups(hours, failed, group, count)
    rows = group_rows(hours, failed, group, count)
    away = rows.shift - np.log(asked)
    logs = rows.add(rows.dead * rows.x) + fits.failures * away
    widths = np.sqrt(fits.var_log_sigma)
    places = np.linspace(-6, 6, 241)
    density = np.zeros((v.size, places.size))
    heights = []
    for part in np.linspace(-5, 5, 81):
        at = np.where(np.isfinite(log_sigma), log_sigma + part * widths, 0.0)
        total, _, _ = rows.moments(np.exp(at))
        log_total = np.log(total) + away / np.exp(at)
        grid = v[:, None] + places * error[:, None]
        height = fits.failures[:, None] * (grid - at[:, None]) + (logs / np.exp(at))[:, None]
        height = height - np.exp(np.minimum(grid + log_total[:, None], 700.0)) + (at - 0.5 * (at / 1.5) ** 2)[:, None]
        heights.append(height)
    stacked = np.stack(heights)
    density = np.exp(stacked - np.nanmax(stacked, axis=(0, 2))[None, :, None]).sum(axis=0)
    cumulated = np.cumsum(density, axis=1) / density.sum(axis=1)[:, None]
    ends = []
    for part in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        first = (cumulated < part).sum(axis=1).clip(0, places.size - 1)
        ends.append(-np.expm1(-np.exp(np.where(np.isfinite(v), v + places[first] * error, np.nan))))
    return ends[0], ends[1]


METHODS = {"likelihood-ratio": _likelihood_ratio, "wald": _wald, "posterior": _posterior}

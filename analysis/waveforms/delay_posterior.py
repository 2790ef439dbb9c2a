"""The posterior of a delay and an edge width, by zooming in on it.

Amplitude and sign have a flat prior and are integrated out, as is the noise's size: with ``s`` the template and ``y``
the waveform, the likelihood is ``|s|^-1 (1 - (s'y)^2 / (s's y'y))^(-freedom/2)`` (Bernardo & Smith, "Bayesian Theory",
1994, 5.1). The delay's prior is flat over the search, so that the posterior's mean is the estimator of least mean
square error that moves with the waveform (Pitman), and its spread an error that holds below the threshold too, where
the Cramér-Rao bound does not (Van Trees, "Detection, Estimation, and Modulation Theory" I, 1968, 4.2).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.waveforms.delay_statistics import DelayStatistics
from analysis.waveforms.edges import step_response

_DELAYS, _WIDTHS = 33, 9
_COARSE_WIDTHS = 7
_MOST_COARSE = 401
_ROUNDS = 30
_REACH = 6.0
_VALLEY = 0.01


@dataclass(frozen=True)
class WidthPrior:
    """What is known of an edge's width, as the standard deviation of its Gaussian in seconds.

    Log-normal around ``usual_s`` with ``spread`` (0.25 is about 30 % either way); never outside ``least_s`` to
    ``most_s``. When ``usual_s`` is ``None``, width and delay over width are independent, the former flat in its
    logarithm: where samples are so coarse that only the ratio can be seen, wide edges must not win for having more
    delays that fit. ``pole_s`` is the detector's time constant.
    """

    least_s: float
    most_s: float
    usual_s: float | None = None
    spread: float = 0.25
    pole_s: float = 0.0

    def log_density(self, log_widths: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log density, but for a constant, at ``log_widths`` (any shape)."""
        if self.usual_s is None:
            return -log_widths
        return np.asarray(-0.5 * ((log_widths - np.log(self.usual_s)) / self.spread) ** 2, np.float64)


@dataclass(frozen=True)
class Search:
    """Where to look: delays up to ``most_delay_s`` either way in seconds, and widths."""

    most_delay_s: float
    width: WidthPrior


@dataclass(frozen=True)
class Posterior:
    """A delay and a width, in seconds.

    Attributes:
        delay_s, sigma_s: mean and standard deviation.
        width_s: the likeliest edge width.
        elsewhere: probability that the delay is not near the likeliest one, but at another place.
        gain: log likelihood ratio of the likeliest template against none.
    """

    delay_s: float
    sigma_s: float
    width_s: float
    elsewhere: float
    gain: float


@dataclass(frozen=True)
class _Grid:
    """Log posterior of shape ``(delays, widths)`` on a rectangular grid, and the area of a cell."""

    delays: NDArray[np.float64]
    log_widths: NDArray[np.float64]
    values: NDArray[np.float64]
    cell: float


def template(
    statistics: DelayStatistics, delays_s: NDArray[np.float64], width_s: float, pole_s: float
) -> NDArray[np.float64]:
    """Return what the response is at the knots of ``statistics`` for each of ``delays_s``: ``(delays, 1 + knots)``.

    ``width_s`` is the edge's standard deviation and ``pole_s`` the detector's time constant, in seconds.
    """
    response = step_response(statistics.knots_s - delays_s[:, None], width_s, pole_s)
    return np.concatenate([np.ones((delays_s.size, 1)), response], axis=1)


def explore(statistics: DelayStatistics, search: Search) -> Posterior:
    """Return the posterior over ``search`` given ``statistics``."""
    width = search.width
    low, high = float(np.log(width.least_s)), float(np.log(width.most_s))
    count = int(np.clip(2 * search.most_delay_s / width.least_s, 41, _MOST_COARSE)) | 1
    delays = np.linspace(-search.most_delay_s, search.most_delay_s, count)
    log_widths = _around(low, high, (low + high) / 2, (high - low) / 2, _COARSE_WIDTHS)
    coarse = _evaluate(statistics, search, delays, log_widths)
    fine = _zoom(statistics, search, coarse)
    return _summarise(statistics, search, coarse, fine)


def _around(low: float, high: float, centre: float, half: float, count: int) -> NDArray[np.float64]:
    start, stop = max(low, centre - half), min(high, centre + half)
    return np.linspace(start, stop, count) if stop > start else np.asarray([start])


def _evaluate(
    statistics: DelayStatistics, search: Search, delays: NDArray[np.float64], log_widths: NDArray[np.float64]
) -> _Grid:
    columns = []
    for log_width in log_widths:
        shapes = template(statistics, delays, float(np.exp(log_width)), search.width.pole_s)
        energy = np.maximum(np.einsum("dj,dj->d", shapes @ statistics.gram, shapes), 1e-300)
        explained = (shapes @ statistics.product) ** 2 / energy
        rest = np.maximum(1 - explained / statistics.power, 1e-12)
        columns.append(-0.5 * np.log(energy) - statistics.freedom / 2 * np.log(rest))
    values = np.stack(columns, axis=1) + search.width.log_density(log_widths)
    delay_step = delays[1] - delays[0] if delays.size > 1 else 1.0
    width_step = log_widths[1] - log_widths[0] if log_widths.size > 1 else 1.0
    return _Grid(delays, log_widths, values, float(delay_step * width_step))


def _moments(grid: _Grid) -> tuple[float, float, float, float]:
    """Return mean and standard deviation of the delay and of the log width."""
    mass = np.exp(grid.values - grid.values.max())
    mass /= mass.sum()
    by_delay, by_width = mass.sum(axis=1), mass.sum(axis=0)
    delay, log_width = float(by_delay @ grid.delays), float(by_width @ grid.log_widths)
    return (
        delay,
        float(np.sqrt(by_delay @ (grid.delays - delay) ** 2)),
        log_width,
        float(np.sqrt(by_width @ (grid.log_widths - log_width) ** 2)),
    )


def _zoom(statistics: DelayStatistics, search: Search, coarse: _Grid) -> _Grid:
    """Shrink a window around the peak until the grid resolves it."""
    low, high = float(np.log(search.width.least_s)), float(np.log(search.width.most_s))
    most = search.most_delay_s
    row, column = np.unravel_index(int(np.argmax(coarse.values)), coarse.values.shape)
    centre, log_width = float(coarse.delays[row]), float(coarse.log_widths[column])
    half, log_half = 2.0 * float(coarse.delays[1] - coarse.delays[0]), high - low
    grid = coarse
    for _ in range(_ROUNDS):
        delays = _around(-most, most, centre, half, _DELAYS)
        grid = _evaluate(statistics, search, delays, _around(low, high, log_width, log_half, _WIDTHS))
        centre, spread, log_width, log_spread = _moments(grid)
        step = float(grid.delays[1] - grid.delays[0])
        log_step = float(grid.log_widths[1] - grid.log_widths[0]) if grid.log_widths.size > 1 else 0.0
        edge = min(centre + most, most - centre, _REACH * spread)
        wide = half >= edge * 0.7 or half >= most
        if spread > 0.7 * step and (log_spread > 0.5 * log_step or log_half < 0.02) and wide:
            break
        half = float(np.clip(_REACH * max(spread, 0.5 * step), 0.2 * half, 2 * half))
        log_half = float(np.clip(4 * max(log_spread, 0.5 * log_step), 0.01, high - low))
    return grid


def _summarise(statistics: DelayStatistics, search: Search, coarse: _Grid, fine: _Grid) -> Posterior:
    """Put the resolved peak and everything outside its window together."""
    top = max(float(coarse.values.max()), float(fine.values.max()))
    inside = np.exp(fine.values - top).sum(axis=1) * fine.cell
    half = float(fine.delays[1] - fine.delays[0]) / 2
    outside = (coarse.delays < fine.delays[0] - half) | (coarse.delays > fine.delays[-1] + half)
    around = np.where(outside, np.exp(coarse.values - top).sum(axis=1) * coarse.cell, 0.0)
    delays = np.concatenate([fine.delays, coarse.delays])
    mass = np.concatenate([inside, around])
    mass /= mass.sum()
    mean = float(mass @ delays)
    sigma = float(np.sqrt(mass @ (delays - mean) ** 2))
    row, column = np.unravel_index(int(np.argmax(fine.values)), fine.values.shape)
    width_s = float(np.exp(fine.log_widths[column]))
    density = mass / np.concatenate(
        [np.full(fine.delays.size, fine.delays[1] - fine.delays[0]), np.full(coarse.delays.size, _spacing(coarse))]
    )
    counts = np.concatenate([inside >= 0, outside])
    gap_s = float(np.diff(statistics.knots_s).max()) if statistics.knots_s.size > 1 else 0.0
    near_s = max(4 * width_s, gap_s)
    elsewhere = mass_elsewhere(delays, mass, np.where(counts, density, np.nan), near_s)
    null = -0.5 * np.log(max(float(statistics.gram[0, 0]), 1e-300))
    gain = float(fine.values[row, column] - search.width.log_density(fine.log_widths[column : column + 1])[0]) - null
    return Posterior(mean, sigma, width_s, elsewhere, gain)


def _spacing(grid: _Grid) -> float:
    return float(grid.delays[1] - grid.delays[0])


def mass_elsewhere(
    delays: NDArray[np.float64], mass: NDArray[np.float64], density: NDArray[np.float64], near: float
) -> float:
    """Return the ``mass`` beyond where ``density`` first falls to a hundredth of its peak, and not ``near`` the peak.

    All have shape ``(points,)``; ``delays`` in any order and the unit of ``near``. A density of NaN marks points that
    do not count.
    """
    order = np.argsort(delays, kind="stable")
    order = order[np.isfinite(density[order])]
    ranked, weights, places = density[order], mass[order], delays[order]
    peak = int(np.argmax(ranked))
    low = np.flatnonzero(ranked < _VALLEY * ranked[peak])
    first = int(low[low < peak].max(initial=-1))
    last = int(low[low > peak].min(initial=ranked.size))
    here = np.abs(places - places[peak]) <= near
    here[first + 1 : last] = True
    return float(weights[~here].sum())

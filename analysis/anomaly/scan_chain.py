"""Where a scan chain is broken, from laser voltage images at the clock's and at the data's frequency.

A cell whose clock runs shows the clock's frequency. While a periodic pattern is shifted, a cell that data reach shows
the data's frequency too; behind a break none does (principle: US 12105858, as described there; the estimate here is our
own). Cell ``i`` with clock amplitude ``c_i`` has the data amplitude ``rho c_i exp(tau u_i)`` if data reach it and 0 if
not, ``u_i`` standard normal, both under complex noise; ``rho`` is unknown and the same for all. Amplitudes of reached
cells are Rician, of others Rayleigh (Rice, Bell System Technical Journal 24, 1945); the posterior of the first cell
that data do not reach follows by Bayes over all places, no break, and "neither": each cell for itself, which stays
alive for chains that this model does not describe.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

LOCATED_ABOVE = 0.95
LEAST_CELLS = 4
PRIOR_NO_BREAK = 0.2
PRIOR_UNMODELLED = 0.05
_SPREAD = 0.4
_RATIOS = (0.05, 5.0, 41)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_FWHM_FACTOR = 4 * np.log(2)
_REACH = 1.5


class ChainError(ValueError):
    """A scan chain cannot be judged; the message says why."""


@dataclass(frozen=True)
class CellAmplitudes:
    """Complex amplitudes of the cells of a map, complex128 of shape ``(cells,)``, and the noise of each of their parts.

    ``sigma`` is float64 of shape ``(cells,)``, in the unit of the amplitudes.
    """

    values: NDArray[np.complex128]
    sigma: NDArray[np.float64]


@dataclass(frozen=True)
class ChainBreak:
    """Where data stop.

    Attributes:
        verdict: ``located`` (one cell holds at least 0.95), ``ambiguous``, ``no-break`` or ``unmodelled``.
        posterior: float64 of shape ``(cells,)``: that data reach every cell before this one and none from it on.
        no_break, unmodelled: probabilities of these.
        ratio: data amplitude over clock amplitude of reached cells, the likeliest.
        reached: float64 of shape ``(cells,)``: probability that data reach the cell, by its own amplitude alone.
        baseline: first cell below half of the median ratio of data to clock, by eye's rule; ``None`` if there is none.
        clockless: cells whose clock does not stand out of the noise: they say nothing about data.
    """

    verdict: str
    posterior: NDArray[np.float64]
    no_break: float
    unmodelled: float
    ratio: float
    reached: NDArray[np.float64]
    baseline: int | None
    clockless: NDArray[np.int64]


def measure_cells(
    values: NDArray[np.complex128], rows: NDArray[np.float64], columns: NDArray[np.float64], spot_px: float
) -> CellAmplitudes:
    """Return the amplitude of each cell of a map: least squares of Gaussian spots at all cells and an offset.

    ``values`` is complex128 of shape ``(rows, columns)``; ``rows`` and ``columns``, float64 of shape ``(cells,)``, are
    the cells' places in pixels and ``spot_px`` the spot's full width at half maximum. Cells under one spot share its
    signal, and their ``sigma`` says how badly they can be told apart.

    Raises:
        ChainError: a cell lies outside the map, cells cannot be told apart, or a pixel is not finite.
    """
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ChainError("a map is a rectangle of finite numbers")
    outside = (rows < 0) | (rows > values.shape[0] - 1) | (columns < 0) | (columns > values.shape[1] - 1)
    if outside.any() or not np.isfinite(rows + columns).all():
        raise ChainError(f"cell {int(np.flatnonzero(outside | ~np.isfinite(rows + columns))[0])} lies outside the map")
    grid = np.indices(values.shape)
    squares = [(grid[0] - row) ** 2 + (grid[1] - column) ** 2 for row, column in zip(rows, columns, strict=True)]
    near = np.min(squares, axis=0) <= (_REACH * spot_px) ** 2
    shapes = [np.exp(-_FWHM_FACTOR * each[near] / spot_px**2) for each in squares]
    design = np.column_stack([*shapes, np.ones(int(near.sum()))])
    gram = design.T @ design
    if np.linalg.cond(gram) > 1e10:
        raise ChainError("two cells lie so close that their signals cannot be told apart")
    inverse = np.linalg.inv(gram)
    fit = inverse @ (design.T @ values[near])
    residual = values[near] - design @ fit
    freedom = max(1, int(near.sum()) - design.shape[1])
    variance = float(np.sum(np.abs(residual) ** 2)) / (2 * freedom) * _smeared(values, near)
    count = rows.size
    sigma = np.sqrt(np.maximum(np.diag(inverse)[:count] * variance, np.finfo(np.float64).tiny))
    return CellAmplitudes(np.asarray(fit[:count], np.complex128), np.asarray(sigma, np.float64))


def find_break(clock: CellAmplitudes, data: CellAmplitudes) -> ChainBreak:
    """Return where data stop; both hold the cells in the order in which data pass them.

    ``clock`` is measured at the clock's frequency and ``data`` at the data's.

    Raises:
        ChainError: fewer than four cells, they differ in number, or fewer than four show a clock.
    """
    count = clock.values.size
    if count < LEAST_CELLS or data.values.size != count:
        raise ChainError(
            f"{count} cells with a clock and {data.values.size} with data; at least 4, and as many, needed"
        )
    alive = np.abs(clock.values) > 4 * clock.sigma
    if alive.sum() < LEAST_CELLS:
        raise ChainError(f"{int(alive.sum())} cells show the clock's frequency; 4 are needed: is it the right one?")
    ratios = np.geomspace(*_RATIOS)
    on = np.stack([_log_reached(clock, data, ratio) for ratio in ratios])
    off = np.broadcast_to(_log_rice(np.abs(data.values), np.zeros(count), data.sigma), on.shape)
    on, off = np.where(alive, on, 0.0), np.where(alive, off, 0.0)
    before = np.concatenate([np.zeros((ratios.size, 1)), np.cumsum(on, axis=1)], axis=1)
    after = off.sum(axis=1, keepdims=True) - np.concatenate([np.zeros((ratios.size, 1)), np.cumsum(off, axis=1)], 1)
    log_ratio = -np.log(ratios.size)
    places = special.logsumexp(before + after, axis=0) + log_ratio
    neither = special.logsumexp(np.logaddexp(on, off).sum(axis=1)) + log_ratio - int(alive.sum()) * np.log(2)
    prior_break = (1 - PRIOR_NO_BREAK - PRIOR_UNMODELLED) / count
    weights = np.concatenate(
        [places[:-1] + np.log(prior_break), [places[-1] + np.log(PRIOR_NO_BREAK), neither + np.log(PRIOR_UNMODELLED)]]
    )
    posterior = np.exp(weights - special.logsumexp(weights))
    best = int(np.argmax(special.logsumexp(before + after, axis=1)))
    return ChainBreak(
        verdict=_verdict(posterior),
        posterior=posterior[:-2],
        no_break=float(posterior[-2]),
        unmodelled=float(posterior[-1]),
        ratio=float(ratios[best]),
        reached=np.where(alive, special.expit(on[best] - off[best]), 0.5),
        baseline=_by_eye(clock, data, alive),
        clockless=np.flatnonzero(~alive),
    )


def _log_reached(clock: CellAmplitudes, data: CellAmplitudes, ratio: float) -> NDArray[np.float64]:
    """Return the log density of each data amplitude where data reach the cell: Rice's, over the spread of ratios."""
    expected = np.abs(clock.values) * ratio
    terms = [
        np.log(weight) + _log_rice(np.abs(data.values), expected * np.exp(_SPREAD * node), data.sigma)
        for node, weight in zip(_NODES, _WEIGHTS / _WEIGHTS.sum(), strict=True)
    ]
    return np.asarray(special.logsumexp(terms, axis=0), np.float64)


def _log_rice(
    size: NDArray[np.float64], expected: NDArray[np.float64], sigma: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return Rice's log density of ``size``; ``i0e`` keeps the Bessel function within range."""
    size = np.maximum(size, 1e-12 * sigma)
    product = size * expected / sigma**2
    return np.asarray(
        np.log(size / sigma**2) - (size - expected) ** 2 / (2 * sigma**2) + np.log(special.i0e(product)), np.float64
    )


def _smeared(values: NDArray[np.complex128], near: NDArray[np.bool_]) -> float:
    """Return how far the noise of neighbouring pixels away from the cells is correlated: its power at low frequency.

    The variance of means over 3 x 3 pixels, times 9, over that of pixels; 1 for white noise, and 1 where too few pixels
    are away from the cells.
    """
    away = ~near
    blocks = away[: away.shape[0] // 3 * 3, : away.shape[1] // 3 * 3].reshape(away.shape[0] // 3, 3, -1, 3)
    whole = blocks.all(axis=(1, 3))
    if whole.sum() < 16:
        return 1.0
    parts = values[: away.shape[0] // 3 * 3, : away.shape[1] // 3 * 3].reshape(*blocks.shape)
    means = parts.mean(axis=(1, 3))[whole]
    single = float(np.mean(np.abs(values[away] - values[away].mean()) ** 2))
    return max(1.0, 9 * float(np.mean(np.abs(means - means.mean()) ** 2)) / max(single, np.finfo(np.float64).tiny))


def _by_eye(clock: CellAmplitudes, data: CellAmplitudes, alive: NDArray[np.bool_]) -> int | None:
    ratio = np.where(alive, np.abs(data.values) / np.maximum(np.abs(clock.values), 1e-300), np.inf)
    below = np.flatnonzero(ratio < 0.5 * np.median(ratio[alive]))
    return int(below[0]) if below.size else None


def _verdict(posterior: NDArray[np.float64]) -> str:
    if posterior[-1] >= 0.5:
        return "unmodelled"
    if posterior[-2] >= LOCATED_ABOVE:
        return "no-break"
    return "located" if posterior[:-2].max() >= LOCATED_ABOVE else "ambiguous"

"""Delay of every single edge, once the whole waveform has been fitted.

Around each edge what the fit says of everything else is taken away. The levels on both sides have the prior that all
other edges leave for them, so that they cost nothing where there are many, or none where an edge's levels are its own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from analysis.waveforms.delay_posterior import mass_elsewhere
from analysis.waveforms.edges import EdgeTrain, Record, step_response
from analysis.waveforms.noise import NoiseModel
from analysis.waveforms.spike_shape import SpikeShape

MOST_ELSEWHERE = 0.05
MOST_SPREAD = 0.2
LEVELS_DIFFER = 1e-3
"""Probability of levels as different as these, below which every edge gets levels of its own."""
MOST_WINDOW = 512
_POINTS = 33
_ROUNDS = 7
_REACH = 6.0


@dataclass(frozen=True)
class EdgeDelay:
    """Delay of one edge.

    Attributes:
        time_s: when it should come, seconds.
        step: change of the simulated level, 1 for a rising edge.
        delay_s, sigma_s: how much later it comes, and the standard error, of which the trigger's part is the same for
            all edges; ``None`` where that is ambiguous.
        outlier_probability: that it does not belong to the others; ``None`` where it has no delay.
    """

    time_s: float
    step: float
    delay_s: float | None
    sigma_s: float | None
    outlier_probability: float | None = None


@dataclass(frozen=True)
class EdgeScene:
    """What the pooled fit says.

    Attributes:
        own: float64 of shape ``(samples,)``: the net's part of the waveform, noise included.
        swing: its amplitude.
        delay_s, width_s, pole_s: of the pooled fit.
        search_s: how far from there an edge may be.
        noise: of the samples.
        kept: float64 of shape ``(edges,)``: the part of the noise's power, along each edge's slope, that taking away
            everything else has left.
        spike: what all edges have in common besides the step, which is taken away where they all come; it comes later
            with an edge that comes later. ``None`` where there is none.
    """

    own: NDArray[np.float64]
    swing: float
    delay_s: float
    width_s: float
    pole_s: float
    search_s: float
    noise: NoiseModel
    kept: NDArray[np.float64]
    spike: SpikeShape | None = None


@dataclass(frozen=True)
class _Windows:
    """Samples around each edge, whitened on demand: ``(edges, samples)`` each, masked."""

    times: NDArray[np.float64]
    steps: NDArray[np.float64]
    offsets: NDArray[np.float64]
    mask: NDArray[np.float64]
    observed: NDArray[np.float64]
    others: NDArray[np.float64]
    whitener: NDArray[np.float64] | None
    range_s: NDArray[np.float64]
    step_s: float

    def whiten(self, values: NDArray[np.float64], innovation: float) -> NDArray[np.float64]:
        """Whiten along the last axis of ``values``, ``(edges, …, samples)``."""
        mask = self.mask if values.ndim == 2 else self.mask[:, None]
        if self.whitener is None:
            return np.asarray(values * mask / innovation, np.float64)
        return np.asarray(((values * mask) @ self.whitener.T) * mask, np.float64)


def time_edges(record: Record, train: EdgeTrain, scene: EdgeScene) -> tuple[EdgeDelay, ...]:
    """Return the delay of each edge of ``train`` that lies in ``record``, given the pooled ``scene``.

    A delay is refused where another place, or hardly any signal, cannot be excluded.
    """
    last_s = record.t0_s + record.dt_s * (record.values.size - 1)
    inside = train.covering(record.t0_s, last_s)
    if not inside.times_s.size:
        return ()
    windows = _cut(record, inside, scene)
    prior = _levels_elsewhere(record, inside, scene, windows)
    nothing = (np.zeros_like(prior[0]), np.zeros_like(prior[1]))
    coarse = _coarse_delays(windows, scene)
    free = _log_likelihood(windows, scene, nothing, coarse)
    likeliest = np.take_along_axis(coarse, free.argmax(axis=1)[:, None], axis=1)
    if _levels_differ(windows, scene, prior[0], likeliest):
        prior = nothing
    return _explore(windows, scene, prior, coarse)


def _coarse_delays(windows: _Windows, scene: EdgeScene) -> NDArray[np.float64]:
    """Return delays over each edge's range, no further apart than the width: shape ``(edges, points)``."""
    points = int(np.clip(np.ceil(2 * windows.range_s.max() / scene.width_s), _POINTS, 257)) | 1
    return np.asarray(scene.delay_s + windows.range_s[:, None] * np.linspace(-1.0, 1.0, points), np.float64)


def _cut(record: Record, train: EdgeTrain, scene: EdgeScene) -> _Windows:
    times = train.times_s + scene.delay_s
    gaps = np.diff(times, prepend=-np.inf, append=np.inf)
    range_s = np.minimum(scene.search_s, np.maximum(0.5 * np.minimum(gaps[:-1], gaps[1:]), 3 * scene.width_s))
    reach = np.minimum(range_s.max() + 8 * scene.width_s + 5 * scene.pole_s, MOST_WINDOW / 2 * record.dt_s)
    left, right = np.minimum(reach, gaps[:-1] / 2), np.minimum(reach, gaps[1:] / 2)
    left, right = np.maximum(left, 2 * scene.width_s), np.maximum(right, 2 * scene.width_s)
    count = record.values.size
    first = np.clip(np.ceil((times - left - record.t0_s) / record.dt_s), 0, count).astype(np.int64)
    stop = np.clip(np.floor((times + right - record.t0_s) / record.dt_s) + 1, 0, count).astype(np.int64)
    stop = np.maximum(stop, first)
    columns = np.arange(max(1, int((stop - first).max())))
    index = first[:, None] + columns
    mask = (index < stop[:, None]).astype(np.float64)
    index = np.minimum(index, count - 1)
    sampled = record.times_s[index]
    offsets = sampled - train.times_s[:, None]
    model = np.zeros(count)
    for place in range(-1, 2):
        model += _nearest_steps(record, train, scene, place)
    own_step = train.steps[:, None] * step_response(offsets - scene.delay_s, scene.width_s, scene.pole_s)
    others = (model[index] - own_step) * mask
    whitener = None
    if scene.noise.coefficients.size:
        lags = np.abs(np.subtract.outer(columns, columns))
        whitener = np.linalg.inv(np.linalg.cholesky(scene.noise.autocovariance(columns.size)[lags]))
    return _Windows(
        train.times_s, train.steps, offsets, mask, scene.own[index] * mask, others, whitener, range_s, record.dt_s
    )


def _nearest_steps(record: Record, train: EdgeTrain, scene: EdgeScene, place: int) -> NDArray[np.float64]:
    """Return what the nearest edge (``place`` 0) and its neighbours (-1, 1) add to the level before all of them."""
    edges = train.times_s + scene.delay_s
    middles = (edges[1:] + edges[:-1]) / 2
    nearest = np.searchsorted(middles, record.times_s)
    chosen = nearest + place
    known = (chosen >= 0) & (chosen < edges.size)
    chosen = np.clip(chosen, 0, edges.size - 1)
    offset = record.times_s - edges[chosen]
    response = step_response(offset, scene.width_s, scene.pole_s)
    result = np.where(known, train.steps[chosen] * response, 0.0)
    if place == -1:
        levels = train.start + np.concatenate([[0.0], np.cumsum(train.steps)])
        result = result + levels[np.maximum(nearest - 1, 0)]
    return np.asarray(result, np.float64)


def _normal_equations(
    windows: _Windows, scene: EdgeScene, delays: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 2 x 2 matrix and right side of offset and amplitude for ``delays``, shape ``(edges, points)``."""
    shifted = windows.offsets[:, None, :] - delays[..., None]
    response = step_response(shifted, scene.width_s, scene.pole_s)
    model = windows.others[:, None, :] + windows.steps[:, None, None] * response
    if scene.spike is not None:
        moved = scene.spike.at(shifted + scene.delay_s) - scene.spike.at(windows.offsets)[:, None, :]
        model += np.abs(windows.steps)[:, None, None] * moved
    shapes = windows.whiten(model, scene.noise.innovation)
    flat = windows.whiten(windows.mask, scene.noise.innovation)
    observed = windows.whiten(windows.observed, scene.noise.innovation)
    matrix = np.empty((*delays.shape, 2, 2))
    matrix[..., 0, 0] = (flat**2).sum(axis=1)[:, None]
    matrix[..., 0, 1] = matrix[..., 1, 0] = np.einsum("es,eps->ep", flat, shapes)
    matrix[..., 1, 1] = np.einsum("eps,eps->ep", shapes, shapes)
    right = np.empty((*delays.shape, 2))
    right[..., 0] = np.einsum("es,es->e", flat, observed)[:, None]
    right[..., 1] = np.einsum("es,eps->ep", observed, shapes)
    return matrix, right


def _levels_elsewhere(
    record: Record, train: EdgeTrain, scene: EdgeScene, windows: _Windows
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the samples outside each window know of offset and amplitude: precision and its product with them.

    Of shape ``(edges, 2, 2)`` and ``(edges, 2)``. The pooled fit is what outside and inside say together.
    """
    model = np.zeros(record.values.size)
    for place in range(-1, 2):
        model += _nearest_steps(record, train, scene, place)
    columns = np.column_stack([np.ones_like(model), model])
    if scene.noise.coefficients.size:
        columns = scene.noise.whitening(model.size) @ columns
    else:
        columns = columns / scene.noise.innovation
    inside, right = _normal_equations(windows, scene, np.full((windows.times.size, 1), scene.delay_s))
    everything = columns.T @ columns
    values, vectors = np.linalg.eigh(everything - inside[:, 0])
    values = np.where(values > 1e-9 * np.trace(everything), values, 0.0)
    precision = np.asarray(np.einsum("eij,ej,ekj->eik", vectors, values, vectors), np.float64)
    product = everything @ np.asarray([0.0, scene.swing]) - right[:, 0]
    seen = (values > 0)[:, None, :] * vectors
    return precision, np.asarray(np.einsum("eij,ekj,ek->ei", seen, seen, product), np.float64)


def _levels_differ(
    windows: _Windows, scene: EdgeScene, prior: NDArray[np.float64], delays: NDArray[np.float64]
) -> bool:
    """Test whether the levels around each edge scatter more than their noise; ``delays`` are each edge's own."""
    matrix, right = _normal_equations(windows, scene, delays)
    known = (np.linalg.det(prior) > 0) & (np.linalg.cond(matrix[:, 0]) < 1e8)
    if not known.any():
        return False
    expected = np.asarray([0.0, scene.swing])
    inverse = np.linalg.inv(matrix[known, 0])
    offset = np.einsum("eij,ej->ei", inverse, right[known, 0]) - expected
    spread = inverse + np.linalg.pinv(prior[known])
    distance = float(np.einsum("ei,eij,ej->", offset, np.linalg.inv(spread), offset))
    return bool(chi2.sf(distance, 2 * int(known.sum())) < LEVELS_DIFFER)


def _log_likelihood(
    windows: _Windows,
    scene: EdgeScene,
    prior: tuple[NDArray[np.float64], NDArray[np.float64]],
    delays: NDArray[np.float64],
) -> NDArray[np.float64]:
    matrix, right = _normal_equations(windows, scene, delays)
    matrix = (
        matrix + prior[0][:, None] + np.eye(2) * 1e-9 * np.trace(matrix[:, 0], axis1=1, axis2=2)[:, None, None, None]
    )
    right = right + prior[1][:, None]
    solved = np.linalg.solve(matrix, right[..., None])[..., 0]
    return np.asarray(0.5 * (right * solved).sum(axis=-1) - 0.5 * np.log(np.linalg.det(matrix)), np.float64)


def _explore(
    windows: _Windows,
    scene: EdgeScene,
    prior: tuple[NDArray[np.float64], NDArray[np.float64]],
    coarse: NDArray[np.float64],
) -> tuple[EdgeDelay, ...]:
    coarse_values = _log_likelihood(windows, scene, prior, coarse)
    rows = np.arange(windows.times.size)
    low, high = coarse[:, 0], coarse[:, -1]
    centre = coarse[rows, coarse_values.argmax(axis=1)]
    half = 2.0 * (coarse[:, 1] - coarse[:, 0])
    narrow = np.linspace(-1.0, 1.0, _POINTS)
    for _ in range(_ROUNDS):
        start, stop = np.maximum(low, centre - half), np.minimum(high, centre + half)
        fine = (start + stop)[:, None] / 2 + (stop - start)[:, None] / 2 * narrow
        values = _log_likelihood(windows, scene, prior, fine)
        mass = np.exp(values - values.max(axis=1, keepdims=True))
        mass /= mass.sum(axis=1, keepdims=True)
        centre = (mass * fine).sum(axis=1)
        spread = np.sqrt((mass * (fine - centre[:, None]) ** 2).sum(axis=1))
        half = np.clip(_REACH * np.maximum(spread, 0.5 * (fine[:, 1] - fine[:, 0])), 0.2 * half, 2 * half)
    return tuple(
        _state(windows, scene, row, (coarse[row], coarse_values[row]), (fine[row], values[row]))
        for row in range(windows.times.size)
    )


def _state(
    windows: _Windows,
    scene: EdgeScene,
    row: int,
    coarse: tuple[NDArray[np.float64], NDArray[np.float64]],
    fine: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> EdgeDelay:
    """Put the resolved peak and what lies outside it together, and refuse what is ambiguous."""
    top = max(float(coarse[1].max()), float(fine[1].max()))
    fine_step, coarse_step = float(fine[0][1] - fine[0][0]), float(coarse[0][1] - coarse[0][0])
    outside = (coarse[0] < fine[0][0] - fine_step / 2) | (coarse[0] > fine[0][-1] + fine_step / 2)
    delays = np.concatenate([fine[0], coarse[0][outside]])
    density = np.exp(np.concatenate([fine[1], coarse[1][outside]]) - top)
    mass = density * np.concatenate([np.full(fine[0].size, fine_step), np.full(int(outside.sum()), coarse_step)])
    mass /= mass.sum()
    mean = float(mass @ delays)
    sigma = float(np.sqrt(mass @ (delays - mean) ** 2 * scene.kept[row]))
    near_s = max(4 * scene.width_s, windows.step_s)
    elsewhere = mass_elsewhere(delays, mass, density, near_s)
    known = elsewhere <= MOST_ELSEWHERE and 0 < sigma <= MOST_SPREAD * windows.range_s[row]
    time_s, step = float(windows.times[row]), float(windows.steps[row])
    return EdgeDelay(time_s, step, mean if known else None, sigma if known else None)

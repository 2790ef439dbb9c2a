"""The fit of one delay to all edges of a waveform, with the noise taken from what the fit leaves."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from analysis.waveforms.cycles import WaveformError
from analysis.waveforms.delay_posterior import Posterior, Search, explore, template
from analysis.waveforms.delay_statistics import DelayStatistics, Design, Neighbour, Scene, lay_out, multiply, reduce
from analysis.waveforms.edges import EdgeTrain, Record, pair_samples
from analysis.waveforms.noise import NoiseModel, TimingNoise, estimate_noise

LEAST_SAMPLES = 8
MISFIT = 1.1
"""What the fit leaves, over the noise that was given, from which the former is believed: the model does not fit."""
_PASSES = 2
_LEAST_NOISE = 1e-13
_LEAST_GUESS = 0.01


@dataclass(frozen=True)
class DelaySetting:
    """What a delay is estimated with.

    Attributes:
        search: delays and widths that are looked for.
        baseline_terms: terms of the polynomial that the baseline may follow over the record.
        noise: of one sample; ``None`` estimates it from what the fit leaves.
        timing: jitter and trigger.
    """

    search: Search
    baseline_terms: int = 1
    noise: NoiseModel | None = None
    timing: TimingNoise = field(default_factory=TimingNoise)


@dataclass(frozen=True)
class Fit:
    """The pieces of a pooled fit that its edges are judged with; all but ``scale`` in units of it.

    ``scale`` is the waveform's size in its own unit; ``values`` is the waveform less its mean and ``residual`` what no
    part of the fit explains, float64 of shape ``(samples,)`` each; ``nuisance`` has the weights of the nuisances.
    """

    design: Design
    statistics: DelayStatistics
    posterior: Posterior
    noise: NoiseModel
    amplitude: float
    scale: float
    values: NDArray[np.float64]
    nuisance: NDArray[np.float64]
    residual: NDArray[np.float64]


def fit_delay(
    record: Record, train: EdgeTrain, setting: DelaySetting, neighbours: Sequence[Neighbour] = ()
) -> Fit | str:
    """Return the pooled fit of all edges of ``train`` in ``record``, or why there is none.

    ``setting`` says where to look and what is known of the noise; ``neighbours`` are other nets under the spot.

    Raises:
        WaveformError: there are too few samples, one is not finite, or the times are not.
    """
    _check(record)
    values = record.values - record.values.mean()
    scale = float(np.abs(values).max())
    if not scale > 1e-12 * float(np.abs(record.values).max()):
        return "the waveform is constant"
    width = setting.search.width
    reach_s = setting.search.most_delay_s + 4 * width.most_s + 3 * width.pole_s
    scene = Scene(train, neighbours, reach_s, width.least_s, setting.baseline_terms)
    design = lay_out(record, scene)
    if not sum(design.edges):
        return "the simulated net has no edge in the waveform"
    return iterate(design, values / scale, scale, setting)


def iterate(design: Design, values: NDArray[np.float64], scale: float, setting: DelaySetting) -> Fit | str:
    """Fit ``design`` to ``values`` (float64, shape ``(samples,)``), take noise and swing from the fit, and fit again.

    ``values`` are in units of ``scale``; ``setting`` is as in :func:`fit_delay`. Returns why not where that fails.
    """
    given = setting.noise
    swing = float(np.std(values))
    noise = _first_guess(values) if given is None else NoiseModel(given.innovation / scale, given.coefficients)
    products = multiply(design, values, noise.coefficients)
    fit: Fit | None = None
    for _ in range(_PASSES):
        if fit is not None and not np.array_equal(fit.noise.coefficients, noise.coefficients):
            products = multiply(design, values, noise.coefficients)
        statistics = reduce(products, design, noise.innovation, swing)
        if not (statistics.freedom > 1 and statistics.power > 0):
            return "there are too few samples for what has to be fitted"
        posterior = explore(statistics, setting.search)
        shape = template(statistics, np.asarray([posterior.delay_s]), posterior.width_s, setting.search.width.pole_s)[0]
        swing = float(shape @ statistics.product) / max(float(shape @ statistics.gram @ shape), 1e-300)
        nuisance = statistics.weights[:, 0] - statistics.weights[:, 1:] @ shape * swing
        own = np.asarray(design.step @ shape * swing, np.float64)
        residual = np.asarray(values - own - design.nuisance @ nuisance, np.float64)
        fit = Fit(design, statistics, posterior, noise, swing, scale, values, nuisance, residual)
        left = estimate_noise(residual, statistics.freedom)
        if given is None or left.sigma() > MISFIT * noise.sigma():
            noise = left if left.innovation > _LEAST_NOISE else NoiseModel(_LEAST_NOISE, np.empty(0))
    return fit if fit is not None else "nothing was fitted"


def _first_guess(values: NDArray[np.float64]) -> NoiseModel:
    """Return white noise of the size that second differences have, which edges and drift hardly disturb.

    Too much noise would let the priors hold the nuisances down, and what they leave would pass for correlated noise.
    """
    rough = float(np.median(np.abs(np.diff(values, 2)))) / 0.6745 / np.sqrt(6)
    return NoiseModel(max(rough, _LEAST_GUESS * float(np.std(values))), np.empty(0))


def _check(record: Record) -> None:
    if record.values.ndim != 1 or record.values.size < LEAST_SAMPLES:
        raise WaveformError(f"a delay needs {LEAST_SAMPLES} samples or more, not an array of {record.values.shape}")
    if not np.isfinite(record.values).all():
        raise WaveformError("the waveform has samples that are not finite")
    if not (np.isfinite([record.t0_s, record.dt_s]).all() and record.dt_s > 0):
        raise WaveformError(f"samples of {record.dt_s} s from {record.t0_s} s on are no time axis")


def fit_again(fit: Fit, keep: NDArray[np.bool_], setting: DelaySetting) -> Fit | str:
    """Return the fit with ``setting`` to those samples of ``fit`` only that ``keep`` (shape ``(samples,)``) names."""
    design = replace(fit.design, step=fit.design.step[keep], nuisance=fit.design.nuisance[keep])
    return iterate(design, fit.values[keep], fit.scale, setting)


def noise_kept(
    fit: Fit, record: Record, edges: EdgeTrain, response: tuple[float, float], baseline_terms: int
) -> NDArray[np.float64]:
    """Return how much of the noise along each edge's slope is left after the nuisances of ``fit`` are taken away.

    What is fitted to a few edges follows their noise: spikes that are the same at every edge, above all. ``record``
    was fitted, ``edges`` (not looped) lie in it; ``response`` is the edges' delay and width in seconds. The first
    ``baseline_terms`` nuisances do not count. Returns float64 of shape ``(edges,)``, 0.05 to 1.
    """
    delay_s, width_s = response
    pairs = pair_samples(record, edges.times_s + delay_s, 5 * width_s)
    slopes = np.exp(-0.5 * (pairs.offset_s / width_s) ** 2)
    shape = (record.values.size, edges.times_s.size)
    columns = csr_array((slopes, (pairs.sample, pairs.edge)), shape=shape)
    nuisance = fit.design.nuisance
    if fit.noise.coefficients.size:
        whitening = fit.noise.whitening(record.values.size)
        columns, nuisance = csr_array(whitening @ columns), csr_array(whitening @ nuisance)
    else:
        columns, nuisance = columns / fit.noise.innovation, nuisance / fit.noise.innovation
    across = (nuisance.T @ columns).toarray()[baseline_terms:]
    square = (nuisance.T @ nuisance).toarray()[baseline_terms:, baseline_terms:]
    if not square.size:
        return np.ones(edges.times_s.size)
    precision = 1 / (fit.design.widths[baseline_terms:] * max(abs(fit.amplitude), fit.noise.innovation * 1e-6)) ** 2
    taken = (across * np.linalg.solve(square + np.diag(precision), across)).sum(axis=0)
    power = np.asarray(columns.multiply(columns).sum(axis=0), np.float64).ravel()
    return np.asarray(np.clip(1 - taken / np.maximum(power, 1e-300), 0.05, 1.0), np.float64)

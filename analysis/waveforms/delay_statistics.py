"""What a waveform says about one net's step response once everything else in it is allowed for.

The waveform is a level, plus the probed net's steps through an unknown response, plus nuisances: slow baseline, spikes
that go with edges whatever their direction (the gate's, and what N and P drains make of a voltage), and the nets beside
it under the spot, each through a response of its own. Nuisances are linear with normal priors; integrating them out
leaves a Gram matrix over the probed net's response at a few offsets (Bishop, "Pattern Recognition and Machine
Learning", 2006, 3.3). Every delay and edge width is then judged on that matrix, not on the samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, hstack

from analysis.waveforms.edges import EdgeTrain, Record, pair_samples
from analysis.waveforms.noise import NoiseModel

SPIKE = 0.3
"""Expected height of a spike at an edge, as a part of the swing."""
EXACT_KNOTS = 400
NUISANCE_KNOTS = 48
_SAME = 1e-4


@dataclass(frozen=True)
class Neighbour:
    """Another net under the spot: its simulated trace, and the expected size of its swing against the probed net's."""

    train: EdgeTrain
    spread: float


@dataclass(frozen=True)
class Scene:
    """What is known before the waveform is looked at.

    Attributes:
        train: the probed net's trace.
        neighbours: other nets under the spot.
        reach_s: seconds before and after an edge in which its response is of interest.
        finest_s: the narrowest edge that is looked for, standard deviation in seconds.
        baseline_terms: 1 for an offset, 2 for a slope too, and so on.
    """

    train: EdgeTrain
    neighbours: Sequence[Neighbour]
    reach_s: float
    finest_s: float
    baseline_terms: int = 1


@dataclass(frozen=True)
class Design:
    """Sparse regressors of one waveform.

    Attributes:
        step: of shape ``(samples, 1 + knots)``: the settled level, then the response at each knot.
        knots_s: float64 of shape ``(knots,)``, seconds after an edge.
        nuisance: of shape ``(samples, columns)``.
        widths: float64 of shape ``(columns,)``: prior standard deviation in swings, infinite for a flat prior.
        edges: number of rising, and of falling edges in the waveform.
    """

    step: csr_array
    knots_s: NDArray[np.float64]
    nuisance: csr_array
    widths: NDArray[np.float64]
    edges: tuple[int, int]


def lay_out(record: Record, scene: Scene) -> Design:
    """Return the regressors of ``record`` in ``scene``."""
    train = _inside(scene.train, record, scene.reach_s)
    pairs = pair_samples(record, train.times_s, scene.reach_s)
    knots = _knots(pairs.offset_s, scene.reach_s, scene.finest_s)
    step = hstack([_settled(record, train, scene.reach_s), _response(record, train, scene.reach_s, knots)]).tocsr()
    coarse = _coarse(scene.reach_s, max(record.dt_s, scene.finest_s))
    place = np.linspace(-1.0, 1.0, record.values.size)
    parts = [csr_array(place[:, None] ** power) for power in range(scene.baseline_terms)]
    widths = [np.full(scene.baseline_terms, np.inf)]
    rising, falling = int((train.steps > 0).sum()), int((train.steps < 0).sum())
    if rising and falling:
        parts.append(_response(record, train.after_steps(), scene.reach_s, knots))
        widths.append(np.full(knots.size, SPIKE))
    for neighbour in scene.neighbours:
        other = _inside(neighbour.train, record, scene.reach_s)
        parts += [
            _settled(record, other, scene.reach_s),
            _response(record, other, scene.reach_s, coarse),
        ]
        widths.append(np.full(1 + coarse.size, neighbour.spread))
    return Design(step, knots, hstack(parts).tocsr(), np.concatenate(widths), (rising, falling))


def _inside(train: EdgeTrain, record: Record, reach_s: float) -> EdgeTrain:
    last_s = record.t0_s + record.dt_s * (record.values.size - 1)
    return train.covering(record.t0_s - reach_s, last_s + reach_s)


def _knots(offsets_s: NDArray[np.float64], reach_s: float, finest_s: float) -> NDArray[np.float64]:
    """Return the offsets that occur where the sampling keeps step with the edges, else a fine even grid."""
    grain = max(finest_s, 1e-300) * _SAME * 10
    rounded = np.unique(np.rint(offsets_s / grain))
    if 0 < rounded.size <= EXACT_KNOTS:
        return np.asarray(rounded * grain, np.float64)
    count = int(np.clip(np.ceil(4 * reach_s / finest_s), 8, 2 * EXACT_KNOTS)) + 1
    return np.linspace(-reach_s, reach_s, count)


def _coarse(reach_s: float, spacing_s: float) -> NDArray[np.float64]:
    count = int(np.clip(np.ceil(2 * reach_s / spacing_s), 2, NUISANCE_KNOTS)) + 1
    return np.linspace(-reach_s, reach_s, count)


def _settled(record: Record, train: EdgeTrain, reach_s: float) -> csr_array:
    """Return the level that edges more than ``reach_s`` ago have left, as one column."""
    return csr_array(train.level_at(record.times_s - reach_s)[:, None])


def _response(record: Record, train: EdgeTrain, reach_s: float, knots_s: NDArray[np.float64]) -> csr_array:
    """Return what each knot's value of the response adds to the samples: linear between knots."""
    pairs = pair_samples(record, train.times_s, reach_s)
    shape = (record.values.size, knots_s.size)
    if not pairs.sample.size:
        return csr_array(shape)
    if knots_s.size == 1:
        return csr_array((train.steps[pairs.edge], (pairs.sample, np.zeros_like(pairs.sample))), shape=shape)
    right = np.clip(np.searchsorted(knots_s, pairs.offset_s), 1, knots_s.size - 1)
    part = (pairs.offset_s - knots_s[right - 1]) / (knots_s[right] - knots_s[right - 1])
    part = np.clip(part, 0.0, 1.0)
    steps = train.steps[pairs.edge]
    weights = np.concatenate([(1 - part) * steps, part * steps])
    columns = np.concatenate([right - 1, right])
    return csr_array((weights, (np.tile(pairs.sample, 2), columns)), shape=shape)


@dataclass(frozen=True)
class DelayStatistics:
    """All that the waveform says about the probed net's response.

    Attributes:
        knots_s: as in :class:`Design`.
        gram: float64 of shape ``(1 + knots, 1 + knots)``, in units of the noise.
        product: float64 of shape ``(1 + knots,)``.
        power: what is left of the waveform without the net, in units of the noise.
        freedom: degrees of freedom that are left.
        weights: the nuisances' regression: ``weights[:, 0]`` on the waveform, ``weights[:, 1:]`` on the response.
    """

    knots_s: NDArray[np.float64]
    gram: NDArray[np.float64]
    product: NDArray[np.float64]
    power: float
    freedom: float
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Products:
    """Inner products of the columns of a design and a waveform after whitening: the waveform first, then steps.

    ``square`` is float64 of shape ``(nuisances, nuisances)``, ``across`` of ``(nuisances, 2 + knots)`` and ``inner`` of
    ``(2 + knots, 2 + knots)``; ``samples`` says how many there were.
    """

    square: NDArray[np.float64]
    across: NDArray[np.float64]
    inner: NDArray[np.float64]
    samples: int


def multiply(design: Design, values: NDArray[np.float64], coefficients: NDArray[np.float64]) -> Products:
    """Return the products of ``design`` and ``values`` (float64, shape ``(samples,)``) for noise of unit innovation.

    ``coefficients`` are those of the noise's autoregression, see :class:`~analysis.waveforms.noise.NoiseModel`.
    """
    columns = csr_array(hstack([csr_array(values[:, None]), design.step, design.nuisance]))
    if coefficients.size:
        columns = csr_array(NoiseModel(1.0, coefficients).whitening(values.size) @ columns)
    everything = (columns.T @ columns).toarray()
    own = 1 + design.step.shape[1]
    return Products(everything[own:, own:], everything[own:, :own], everything[:own, :own], values.size)


def reduce(products: Products, design: Design, innovation: float, swing: float) -> DelayStatistics:
    """Integrate the nuisances of ``design`` out of its ``products`` with a waveform.

    ``innovation`` is that of the noise and ``swing`` the probed net's amplitude, which scales the nuisances' priors,
    both in the waveform's unit.
    """
    power = 1 / innovation**2
    square, across = products.square * power, products.across * power
    precision = 1 / (design.widths * max(abs(swing), innovation * 1e-6)) ** 2
    floor = max(float(np.trace(square)) / max(1, len(square)), 1e-300) * 1e-12
    factor = cho_factor(square + np.diag(precision + floor), lower=True)
    weights = cho_solve(factor, across)
    used = len(square) - float(np.sum(cho_solve(factor, np.diag(precision + floor)).diagonal()))
    inner = products.inner * power - across.T @ weights
    return DelayStatistics(
        design.knots_s, inner[1:, 1:], inner[1:, 0], float(inner[0, 0]), products.samples - used - 1, weights
    )

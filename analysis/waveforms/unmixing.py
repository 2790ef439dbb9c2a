"""How much of each net is in a waveform: weights of simulated regressors with their uncertainty.

The levels of the cycles are ``z = sum_k w_k x_k + sigma e`` with ``x_k`` the simulated values of the nets under the
spot, seen through the detector. A weight has a normal prior of mean zero, since neither sign nor amplitude of a drain
is known, whose width is the spot's intensity at the drain times an amplitude common to the spot; ``log sigma`` and the
logarithm of amplitude over ``sigma`` are flat. For the evidence half of the prior is near the usual size instead
(:func:`usual_size_gain`). This is ridge regression whose strength the data choose (generalized
ridge, A. E. Hoerl and R. W. Kennard, 1970; Bayesian form: D. V. Lindley and A. F. M. Smith, 1972). Where exactly the
beam was, and what the nets did, are summed over: given both, ``z`` has a Student t distribution in closed form
(J. M. Bernardo and A. F. M. Smith, Bayesian Theory, 1994, 5.4), found through the eigenvalues of ``G X' X G``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.waveforms.comparison import Observation

USUAL_PART = 0.5
"""Part of the prior of amplitudes that is near the usual size, of either sign; the rest is normal around zero."""
USUAL_SIZE, USUAL_SPREAD = 1.0, 0.5
"""Mean and standard deviation of that size."""
RATIOS = np.geomspace(0.05, 50.0, 16)
"""Amplitudes over the noise of one cycle, equally likely beforehand."""
DRAWS = 2000
INTERVAL = (0.025, 0.975)
_ROUNDING = 1e-12
_MOST_GAIN = 500.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SpotModel:
    """What may have been under a spot.

    Attributes:
        values: float64 ``(hypotheses, nets, cycles)``: what the nets do, through the detector, swing 1.
        log_hypotheses: float64 ``(hypotheses,)``, log prior.
        intensities: float64 ``(places, nets)``: of the spot at each net's drain, by place of the beam.
        log_places: float64 ``(places,)``, log prior.
    """

    values: Array
    log_hypotheses: Array
    intensities: Array
    log_places: Array


@dataclass(frozen=True)
class Unmixing:
    """What a waveform says of its spot.

    Attributes:
        log_evidence: of the whole model, against noise alone.
        joint: float64 ``(places, hypotheses)``: their posterior, sum 1.
        draws: float64 ``(draws, nets)``: weights drawn from their posterior, in the waveform's unit.
        hypotheses: int64 ``(draws,)``: under which hypothesis each was drawn.
    """

    log_evidence: float
    joint: Array
    draws: Array
    hypotheses: NDArray[np.int64]

    def contributions(self, toggling: NDArray[np.bool_]) -> Array:
        """Return the draws with the weights of nets that never change put to 0: these show nothing.

        ``toggling`` is bool ``(hypotheses, nets)``.
        """
        return np.where(toggling[self.hypotheses], self.draws, 0.0)


@dataclass(frozen=True)
class Part:
    """A net's part of the waveform: of the sum of all absolute weights; 95 % interval."""

    weight: float
    sigma: float
    low: float
    high: float


def remove_baseline(observation: Observation, values: Array) -> Array:
    """Return ``values``, ``(..., cycles)``, at the cycles of ``observation``, its baseline removed."""
    kept = values[..., observation.covered]
    return np.asarray(kept - (kept @ observation.basis) @ observation.basis.T, np.float64)


@dataclass(frozen=True)
class _Modes:
    """Eigenvalues and axes of ``G X' X G``, and the direction of the data along them, by place and hypothesis."""

    strengths: Array
    axes: Array
    seen: Array

    def gains(self, ratio: float) -> Array:
        return np.asarray(ratio**2 / (1 + ratio**2 * self.strengths), np.float64)

    def remaining(self, ratio: float) -> Array:
        """Return the part of the squared levels that the nets do not explain."""
        return np.asarray(np.maximum(1 - (self.gains(ratio) * self.seen**2).sum(axis=-1), _ROUNDING), np.float64)

    def log_likelihood(self, freedom: int) -> Array:
        """Return it against noise alone, ``(..., ratios)``."""
        terms = [
            -0.5 * np.log1p(ratio**2 * self.strengths).sum(axis=-1) - freedom / 2 * np.log(self.remaining(ratio))
            for ratio in RATIOS
        ]
        return np.stack(terms, axis=-1) + self.log_usual(freedom)

    def log_usual(self, freedom: int) -> Array:
        """Return how much likelier amplitudes near the usual size make it than normal ones alone, ``(..., ratios)``.

        Drains hardly ever modulate by next to nothing, as a normal prior would have it. Net by net, as if their weights
        were independent given the waveform: the mean of the priors' ratio over each one's normal posterior, the
        noise as it is most likely.
        """
        terms = []
        for ratio in RATIOS:
            noise = np.sqrt(self.remaining(ratio) / freedom)[..., None]
            mean = np.einsum("...kj,...j->...k", self.axes, self.gains(ratio) * self.seen) / (ratio * noise)
            variance = np.einsum("...kj,...j->...k", self.axes**2, 1 / (1 + ratio**2 * self.strengths))
            terms.append(np.log1p(USUAL_PART * (np.exp(usual_size_gain(mean, variance)) - 1)).sum(axis=-1))
        return np.stack(terms, axis=-1)


def usual_size_gain(mean: Array, variance: Array) -> Array:
    """Return the log of the mean, over a normal posterior, of the prior near the usual size over the standard normal.

    ``mean`` and ``variance`` (any one shape) are the posterior's under the standard normal prior, which leaves no
    variance above 1. By completing the square, for each of the two signs.
    """
    precision = 1 / variance + 1 / USUAL_SPREAD**2 - 1
    logs = []
    for size in (USUAL_SIZE, -USUAL_SIZE):
        linear = mean / variance + size / USUAL_SPREAD**2
        squares = linear**2 / precision - mean**2 / variance - size**2 / USUAL_SPREAD**2
        logs.append(0.5 * squares - 0.5 * np.log(variance * precision) - np.log(USUAL_SPREAD))
    return np.asarray(np.minimum(np.logaddexp(*logs) - np.log(2), _MOST_GAIN), np.float64)


def _modes(observation: Observation, columns: Array, intensities: Array) -> _Modes:
    """Return the modes of ``columns``, ``(..., nets, cycles)``, under ``intensities``, ``(..., nets)``."""
    direction = observation.residual / np.linalg.norm(observation.residual)
    gram = columns @ np.swapaxes(columns, -1, -2)
    strengths, axes = np.linalg.eigh(gram * intensities[..., :, None] * intensities[..., None, :])
    seen = np.einsum("...kj,...k->...j", axes, (columns @ direction) * intensities)
    return _Modes(np.maximum(strengths, 0.0), axes, seen)


def spot_evidence(observation: Observation, values: Array, intensities: Array) -> Array:
    """Return the log evidence against noise alone of each spot: float64 ``(spots,)``.

    ``observation`` is the waveform; ``values`` are float64 ``(spots, nets, cycles)``, what each spot's nets do, and
    ``intensities`` ``(spots, nets)`` how much of each it sees, 0 for nets that are not there.
    """
    modes = _modes(observation, remove_baseline(observation, values), intensities)
    terms = modes.log_likelihood(observation.freedom)
    return np.asarray(logsumexp(terms, axis=-1) - np.log(RATIOS.size), np.float64)


def unmix(observation: Observation, model: SpotModel, draws: int = DRAWS) -> Unmixing:
    """Return what ``observation`` says of the spot that ``model`` describes, with ``draws`` of the weights.

    The draws come from a fixed seed: the same waveform gives the same answer.
    """
    columns = remove_baseline(observation, model.values)
    modes = _modes(observation, columns[None], model.intensities[:, None])
    terms = modes.log_likelihood(observation.freedom)
    terms = terms + model.log_places[:, None, None] + model.log_hypotheses[None, :, None] - np.log(RATIOS.size)
    total = float(logsumexp(terms))
    posterior = np.exp(terms - total)
    drawn, hypotheses = _draw(observation, model, modes, posterior, draws)
    return Unmixing(total, posterior.sum(axis=2), drawn, hypotheses)


def _draw(
    observation: Observation, model: SpotModel, modes: _Modes, posterior: Array, draws: int
) -> tuple[Array, NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    flat = posterior.ravel()
    chosen = generator.choice(flat.size, draws, p=flat / flat.sum())
    place, hypothesis, ratio = np.unravel_index(chosen, posterior.shape)
    squared = RATIOS[ratio, None] ** 2
    strengths, seen = modes.strengths[place, hypothesis], modes.seen[place, hypothesis]
    gains = squared / (1 + squared * strengths)
    remaining = np.maximum(1 - (gains * seen**2).sum(axis=1), _ROUNDING)
    scale = np.sqrt(remaining / generator.chisquare(observation.freedom, draws))
    along = gains * seen + scale[:, None] * np.sqrt(gains) * generator.normal(size=gains.shape)
    weights = np.einsum("dkj,dj->dk", modes.axes[place, hypothesis], along) * model.intensities[place]
    return weights * float(np.linalg.norm(observation.residual)), np.asarray(hypothesis, np.int64)


def parts_of(weights: Array) -> list[Part]:
    """Return each net's part of the waveform from draws of its ``weights``, float64 ``(draws, nets)``."""
    total = np.abs(weights).sum(axis=1, keepdims=True)
    parts = weights / np.maximum(total, np.finfo(np.float64).tiny)
    low, high = np.quantile(parts, INTERVAL, axis=0)
    return [
        Part(float(mean), float(sigma), float(below), float(above))
        for mean, sigma, below, above in zip(parts.mean(axis=0), parts.std(axis=0), low, high, strict=True)
    ]

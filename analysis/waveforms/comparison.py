"""How well a waveform fits what a net should do: evidence under unknown amplitude, sign, offset, drift and noise.

The levels of the cycles are modelled as ``z = sigma * (rho * x + e) + b0 + b1 * cycle`` with ``x`` the net's value
(0..1), ``e`` standard normal, and flat priors on the baseline and on ``log sigma``. The signal-to-noise ratio ``rho``
(level difference over the noise of one cycle, either sign) has a discrete prior. Evidence is relative to ``rho = 0``.
The integral over ``sigma`` is Laplace's approximation in ``t = |z| / sigma``: with ``c`` the cosine of ``z`` and ``x``
times ``|x|``, ``integral of t^(m-1) exp(-(t^2 - 2 rho c t + rho^2 |x|^2) / 2) dt`` (Bernardo & Smith, "Bayesian
Theory", 1994, chapter 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.waveforms.cycles import CycleLevels, WaveformError

LEAST_CYCLES = 8
_SPREAD = 0.9
_BLOCK = 4096


@dataclass(frozen=True)
class RatioPrior:
    """Prior of the absolute signal-to-noise ratio of one cycle.

    Attributes:
        ratios: float64 of shape ``(k,)``, positive; each is taken with both signs.
        weights: float64 of shape ``(k,)``, sum 1.
    """

    ratios: NDArray[np.float64]
    weights: NDArray[np.float64]


def broad_prior() -> RatioPrior:
    """Return a prior that is flat in the logarithm of the ratio from 0.3 to 30."""
    ratios = np.geomspace(0.3, 30.0, 21)
    return RatioPrior(ratios, np.full(ratios.size, 1.0 / ratios.size))


def prior_around(ratio: float) -> RatioPrior:
    """Return a log-normal prior around ``ratio``, which other waveforms of the session suggest, with broad tails."""
    broad = broad_prior()
    shape = np.exp(-0.5 * (np.log(broad.ratios / ratio) / _SPREAD) ** 2)
    return RatioPrior(broad.ratios, 0.9 * shape / shape.sum() + 0.1 * broad.weights)


@dataclass(frozen=True)
class Observation:
    """A waveform reduced to what matters for comparison.

    Attributes:
        covered: bool of shape ``(cycles,)``: which cycles count.
        residual: float64 of shape ``(covered cycles,)``: levels with the nuisance removed.
        basis: float64 of shape ``(covered cycles, k)``, orthonormal: baseline, drift and neighbours that were removed.
    """

    covered: NDArray[np.bool_]
    residual: NDArray[np.float64]
    basis: NDArray[np.float64]

    @property
    def freedom(self) -> int:
        """Degrees of freedom that are left."""
        return int(self.residual.size - self.basis.shape[1])


def observe(levels: CycleLevels, neighbours: Sequence[NDArray[np.float64]] = ()) -> Observation:
    """Return the observation of ``levels`` with baseline, linear drift and ``neighbours`` projected out.

    Each of ``neighbours`` is float64 of shape ``(cycles,)``, values 0..1 of another net under the spot.

    Raises:
        WaveformError: fewer cycles are left than a comparison needs.
    """
    keep = levels.covered
    count = int(keep.sum())
    columns = [np.ones(count), np.arange(len(keep), dtype=np.float64)[keep]]
    columns += [np.asarray(neighbour, np.float64)[keep] for neighbour in neighbours]
    basis, strength, _ = np.linalg.svd(np.stack(columns, axis=1) / max(1.0, float(count)), full_matrices=False)
    basis = basis[:, strength > 1e-9 * strength[0]]
    if count - basis.shape[1] < LEAST_CYCLES:
        raise WaveformError(f"{count} cycles are too few for a comparison")
    observed = levels.levels[keep]
    return Observation(keep, observed - basis @ (basis.T @ observed), basis)


def log_evidence(observation: Observation, expected: NDArray[np.float64], prior: RatioPrior) -> NDArray[np.float64]:
    """Return the log evidence of each expectation against no signal at all: float64 of shape ``(hypotheses,)``.

    ``expected`` has shape ``(hypotheses, cycles)``, values 0..1; ``prior`` is of the ratio in one cycle. An expectation
    that never changes has evidence 0: ``observation`` should be flat, which is what it is compared with.

    Raises:
        WaveformError: every cycle has the same level, without any noise.
    """
    size = float(np.linalg.norm(observation.residual))
    scale = float(np.abs(observation.residual).max(initial=0.0))
    if scale == 0.0:
        raise WaveformError("the waveform has the same level in every cycle, without any noise")
    pieces = [
        _log_evidence_block(observation, expected[start : start + _BLOCK], prior, size)
        for start in range(0, len(expected), _BLOCK)
    ]
    return np.concatenate(pieces) if pieces else np.empty(0)


def _projected(observation: Observation, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.asarray(expected, np.float64)[:, observation.covered]
    return kept - (kept @ observation.basis) @ observation.basis.T


def _log_evidence_block(
    observation: Observation, expected: NDArray[np.float64], prior: RatioPrior, size: float
) -> NDArray[np.float64]:
    vectors = _projected(observation, expected)
    energy = np.einsum("hc,hc->h", vectors, vectors)
    cosine = vectors @ (observation.residual / size)
    flat = energy < 1e-9 * observation.residual.size
    freedom = observation.freedom
    null = _log_integral(np.zeros(1), np.zeros(1), freedom)[0]
    terms = []
    for ratio, weight in zip(prior.ratios, prior.weights, strict=True):
        for sign in (1.0, -1.0):
            value = _log_integral(sign * ratio * cosine, ratio**2 * energy, freedom)
            terms.append(value + np.log(weight / 2) if weight > 0 else np.full(energy.shape, -np.inf))
    result = np.logaddexp.reduce(np.stack(terms), axis=0) - null
    result[flat] = 0.0
    return np.asarray(result, np.float64)


def _log_integral(slope: NDArray[np.float64], offset: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Return log of the integral over t of ``t^(freedom-1) exp(-(t^2 - 2 slope t + offset) / 2)``."""
    power = freedom - 1
    mode = (slope + np.sqrt(slope**2 + 4 * power)) / 2
    curvature = power / mode**2 + 1
    value = power * np.log(mode) - (mode**2 - 2 * slope * mode + offset) / 2 + 0.5 * np.log(2 * np.pi / curvature)
    return np.asarray(value, np.float64)


@dataclass(frozen=True)
class LevelFit:
    """Least squares of the levels on one expectation: amplitude and noise of one cycle in the waveform's unit."""

    amplitude: float
    noise: float
    correlation: float

    @property
    def ratio(self) -> float:
        """Absolute amplitude over the noise of one cycle; infinite without noise."""
        return abs(self.amplitude) / self.noise if self.noise > 0 else float("inf")


def fit_levels(observation: Observation, expected: NDArray[np.float64]) -> LevelFit:
    """Return the fit of ``observation`` by ``expected`` (float64, shape ``(cycles,)``, 0..1)."""
    vector = _projected(observation, expected[None])[0]
    energy = float(vector @ vector)
    if energy < 1e-9 * vector.size:
        spread = float(np.sqrt(observation.residual @ observation.residual / observation.freedom))
        return LevelFit(0.0, spread, 0.0)
    amplitude = float(vector @ observation.residual) / energy
    rest = observation.residual - amplitude * vector
    noise = float(np.sqrt(rest @ rest / max(1, observation.freedom - 1)))
    size = float(np.linalg.norm(observation.residual))
    return LevelFit(amplitude, noise, amplitude * np.sqrt(energy) / size if size > 0 else 0.0)

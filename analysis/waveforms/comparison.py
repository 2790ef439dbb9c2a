"""How well a waveform fits what the nets under the spot should do: evidence under unknown amplitude, sign and noise.

The levels of the cycles are modelled as ``z = sigma (rho x + rho sum_k g_k u_k n_k + e) + baseline`` with ``x`` the
probed net's value (0..1), ``n_k`` those of its neighbours under the spot, ``g_k`` their expected size from the spot's
intensity, ``u_k`` and ``e`` standard normal. The baseline is a parabola with flat priors, ``log sigma`` has a flat
prior, and the signal-to-noise ratio ``rho`` (level difference over the noise of one cycle, either sign) a discrete one.
Evidence is relative to ``rho = 0``.

The neighbours' weights integrate out in closed form: given ``sigma`` and ``rho``, ``z`` is normal with the covariance
``sigma^2 V^-1``, ``V^-1 = I + rho^2 N G^2 N'``, inverted by the eigenvalues of ``G N' N G``. The integral over
``sigma`` is Laplace's approximation in ``t = sqrt(z' V z) / sigma``:
``integral of t^(m-1) exp(-(t^2 - 2 rho c t + rho^2 e) / 2) dt`` (Bernardo & Smith, "Bayesian Theory", 1994, chapter 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.special import logsumexp

from analysis.waveforms.cycles import CycleLevels, WaveformError

LEAST_CYCLES = 8
BASELINE_TERMS = 3
LEAST_RATIOS = 3
"""Waveforms of a session from which their ratios say what is usual there."""
_SPREAD = 0.6
_BLOCK = 512
_ROUNDING = 1e-12


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


def usual_ratio(ratios: Sequence[Sequence[float]]) -> RatioPrior:
    """Return the prior that the ``ratios`` of a session's waveforms suggest, by net; broad when there are fewer than 3.

    Each net counts once, however often it was probed. Most do what they should, so that their upper middle is usual.
    """
    if sum(map(len, ratios)) < LEAST_RATIOS:
        return broad_prior()
    broad = broad_prior().ratios
    by_net = [float(np.median(own)) for own in ratios if own]
    return prior_around(float(np.clip(np.percentile(by_net, 60), broad[0], broad[-1])))


@dataclass(frozen=True)
class Observation:
    """A waveform reduced to what matters for comparison.

    Attributes:
        covered: bool of shape ``(cycles,)``: which cycles count.
        residual: float64 of shape ``(covered cycles,)``: levels with the baseline removed.
        basis: float64 of shape ``(covered cycles, k)``, orthonormal: the baseline that was removed.
        sizes: of each level that is read in a cycle, one after the other along the cycles' axis: what its signal is
            multiplied by so that its noise is that of the first.
    """

    covered: NDArray[np.bool_]
    residual: NDArray[np.float64]
    basis: NDArray[np.float64]
    sizes: tuple[float, ...] = (1.0,)

    def lay_out(self, *levels: NDArray[Any]) -> NDArray[np.float64]:
        """Return expected ``levels``, of shape ``(..., cycles)`` for each of :attr:`sizes`, as this observation is."""
        sized = [size * np.asarray(part, np.float64) for size, part in zip(self.sizes, levels, strict=True)]
        return np.concatenate(np.broadcast_arrays(*sized), axis=-1)

    def earlier(self, cycles: int) -> "Observation":
        """Return the observation as it were had all of it come ``cycles`` whole cycles earlier in the loop."""
        if not cycles:
            return self
        rows = np.full(self.covered.size, -1)
        rows[self.covered] = np.arange(self.residual.size)
        moved = np.roll(rows.reshape(len(self.sizes), -1), -cycles, axis=1).reshape(-1)
        order = moved[moved >= 0]
        return replace(self, covered=moved >= 0, residual=self.residual[order], basis=self.basis[order])

    @property
    def freedom(self) -> int:
        """Degrees of freedom that are left."""
        return int(self.residual.size - self.basis.shape[1])


@dataclass(frozen=True)
class Expectations:
    """What the nets under the spot do under some hypotheses.

    Attributes:
        values: float64 of shape ``(hypotheses, 1 + k, cycles)``, 0..1: the probed net first, then its neighbours.
        spreads: float64 of shape ``(k,)``: expected size of each neighbour's weight, relative to the probed net's.
    """

    values: NDArray[np.float64]
    spreads: NDArray[np.float64]


def of_one_net(values: NDArray[np.float64]) -> Expectations:
    """Return expectations without neighbours; ``values`` has shape ``(hypotheses, cycles)``, 0..1."""
    return Expectations(values[:, None], np.empty(0))


def observe(levels: CycleLevels) -> Observation:
    """Return the observation of ``levels`` with baseline, linear and quadratic drift projected out.

    Raises:
        WaveformError: fewer cycles are left than a comparison needs, or all have the same level without any noise.
    """
    keep = levels.covered
    count = int(keep.sum())
    place = np.linspace(-1.0, 1.0, len(keep))[keep]
    if count - BASELINE_TERMS < LEAST_CYCLES:
        raise WaveformError(f"{count} cycles are too few for a comparison; {LEAST_CYCLES + BASELINE_TERMS} are needed")
    basis, _ = np.linalg.qr(np.stack([place**power for power in range(BASELINE_TERMS)], axis=1))
    observed = levels.levels[keep]
    offset = observed - observed.mean()
    residual = offset - basis @ (basis.T @ offset)
    if not np.abs(residual).max() > _ROUNDING * np.abs(observed).max():
        raise WaveformError("the waveform has the same level in every cycle, without any noise")
    return Observation(keep, residual, basis)


def observe_both(levels: CycleLevels, edges: CycleLevels) -> Observation:
    """Return the observation of the settled ``levels`` and, after them, of those between, where ``edges`` come.

    Raises:
        WaveformError: as by :func:`observe`, of either.
    """
    first, second = observe(levels), observe(edges)
    (start, stop), (begin, end) = levels.window, edges.window
    size = float(np.sqrt((end - begin) / (stop - start)))
    return Observation(
        np.concatenate([first.covered, second.covered]),
        np.concatenate([first.residual, size * second.residual]),
        block_diag(first.basis, second.basis),
        (1.0, size),
    )


@dataclass(frozen=True)
class _Moments:
    """What evidence needs of the expected values, baseline removed.

    ``overlap`` of shape ``(hypotheses, 1 + k)`` has the products with the residual's direction, ``gram`` of shape
    ``(hypotheses, 1 + k, 1 + k)`` those with each other.
    """

    overlap: NDArray[np.float64]
    gram: NDArray[np.float64]


def log_evidence(observation: Observation, expected: Expectations, prior: RatioPrior) -> NDArray[np.float64]:
    """Return the log evidence of each hypothesis against no signal at all: float64 of shape ``(hypotheses,)``.

    ``expected`` says what the nets do; ``prior`` is of the ratio in one cycle. Where nothing under the spot ever
    changes, evidence is 0: ``observation`` should be flat, which is what it is compared with.
    """
    return mean_over_ratios(evidence_by_ratio(observation, expected, prior.ratios), prior)


def mean_over_ratios(terms: NDArray[np.float64], prior: RatioPrior) -> NDArray[np.float64]:
    """Return the log of the mean of ``exp(terms)`` (shape ``(..., ratios)``) over ``prior``: shape ``(...)``."""
    with np.errstate(divide="ignore"):
        return np.asarray(logsumexp(terms + np.log(prior.weights), axis=-1), np.float64)


def evidence_by_ratio(
    observation: Observation, expected: Expectations, ratios: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return :func:`log_evidence` at each of ``ratios``, both signs: float64 of shape ``(hypotheses, ratios)``.

    ``observation`` and ``expected`` are as there.
    """
    pieces = [np.empty((0, len(ratios)))]
    for start in range(0, len(expected.values), _BLOCK):
        moments = _moments(observation, expected.values[start : start + _BLOCK])
        pieces.append(_log_evidence(moments, expected.spreads, ratios, observation.freedom))
    return np.concatenate(pieces)


def evidence_by_activity(
    observation: Observation,
    good: NDArray[np.float64],
    faulty: Expectations,
    activities: Sequence[float],
    ratios: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return :func:`evidence_by_ratio` of nets that are ``good`` but for a part of the loops.

    ``good`` is float64 of shape ``(1 + k, cycles)``; ``faulty`` has the values while the fault is active, and
    ``activities`` the parts of the loops; ``observation`` and ``ratios`` are as there. Moments of the mean waveform are
    quadratic in the activity, so that the cycles are summed over once. float64 of shape
    ``(hypotheses, activities, ratios)``.
    """
    still = _moments(observation, good[None])
    plain = _removed(observation, good)
    pieces = [np.empty((0, len(activities), len(ratios)))]
    for start in range(0, len(faulty.values), _BLOCK):
        change = faulty.values[start : start + _BLOCK] - good
        moved = _moments(observation, change)
        across = change[..., observation.covered] @ plain.T
        mixed = [
            _Moments(
                still.overlap + part * moved.overlap,
                still.gram + part * (across + across.transpose(0, 2, 1)) + part**2 * moved.gram,
            )
            for part in activities
        ]
        columns = [_log_evidence(moments, faulty.spreads, ratios, observation.freedom) for moments in mixed]
        pieces.append(np.stack(columns, axis=1))
    return np.concatenate(pieces)


def _removed(observation: Observation, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``values`` (shape ``(..., cycles)``) at the covered cycles with the baseline removed."""
    kept = np.asarray(values, np.float64)[..., observation.covered]
    return np.asarray(kept - (kept @ observation.basis) @ observation.basis.T, np.float64)


def _moments(observation: Observation, values: NDArray[np.float64]) -> _Moments:
    kept = values[..., observation.covered]
    direction = observation.residual / np.linalg.norm(observation.residual)
    products = kept @ np.column_stack([direction, observation.basis])
    overlap, baseline = products[..., 0], products[..., 1:]
    return _Moments(overlap, kept @ kept.transpose(0, 2, 1) - baseline @ baseline.transpose(0, 2, 1))


def _log_evidence(
    moments: _Moments, spreads: NDArray[np.float64], ratios: NDArray[np.float64], freedom: int
) -> NDArray[np.float64]:
    strengths, axes = np.linalg.eigh(moments.gram[:, 1:, 1:] * spreads[:, None] * spreads[None, :])
    strengths = np.maximum(strengths, 0.0)
    seen = np.einsum("hkj,hk->hj", axes, moments.overlap[:, 1:] * spreads)
    shared = np.einsum("hkj,hk->hj", axes, moments.gram[:, 1:, 0] * spreads)
    cosine, energy = moments.overlap[:, 0], moments.gram[:, 0, 0]
    null = _log_integral(np.zeros(1), np.zeros(1), freedom)[0]
    terms = []
    for ratio in ratios:
        gain = ratio**2 / (1 + ratio**2 * strengths)
        quadratic = np.maximum(1 - (gain * seen**2).sum(axis=1), _ROUNDING)
        across = ratio * (cosine - (gain * seen * shared).sum(axis=1)) / np.sqrt(quadratic)
        own = ratio**2 * np.maximum(energy - (gain * shared**2).sum(axis=1), 0.0)
        common = -0.5 * np.log1p(ratio**2 * strengths).sum(axis=1) - freedom / 2 * np.log(quadratic)
        both = np.logaddexp(_log_integral(across, own, freedom), _log_integral(-across, own, freedom))
        terms.append(both + common - np.log(2) - null)
    return np.stack(terms, axis=1)


def _log_integral(slope: NDArray[np.float64], offset: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Return log of the integral over t of ``t^(freedom-1) exp(-(t^2 - 2 slope t + offset) / 2)``."""
    power = freedom - 1
    root = np.sqrt(slope**2 + 4 * power)
    mode = np.where(slope > 0, (slope + root) / 2, 2 * power / (root - np.minimum(slope, 0.0)))
    curvature = power / mode**2 + 1
    value = power * np.log(mode) - (mode**2 - 2 * slope * mode + offset) / 2 + 0.5 * np.log(2 * np.pi / curvature)
    return np.asarray(value, np.float64)


@dataclass(frozen=True)
class LevelFit:
    """Least squares of the levels on one expectation: amplitude and noise of one cycle in the waveform's unit."""

    amplitude: float
    noise: float

    @property
    def ratio(self) -> float:
        """Absolute amplitude over the noise of one cycle; infinite without noise."""
        return abs(self.amplitude) / self.noise if self.noise > 0 else float("inf")


def spot_ratio(observation: Observation, expected: Expectations) -> float:
    """Return the signal-to-noise ratio of one cycle that the whole spot speaks for; 0 where nothing should change.

    That is the size of all that the nets in ``expected`` (one hypothesis) explain of ``observation``, over what they
    would at a ratio of 1: a probed net that is stuck, or cannot be told from a neighbour, is not taken for a weak spot.
    What noise alone would explain is taken off.
    """
    columns = _removed(observation, expected.values[0]).T
    sizes = np.concatenate([[1.0], expected.spreads])
    energy = float((np.square(columns).sum(axis=0) * sizes**2).sum())
    weights, _, rank, _ = np.linalg.lstsq(columns, observation.residual, rcond=1e-9)
    explained = columns @ weights
    rest = observation.residual - explained
    noise = float(rest @ rest) / max(1, observation.freedom - int(rank))
    signal = float(explained @ explained) - int(rank) * noise
    if energy <= _ROUNDING * len(columns) or signal <= 0:
        return 0.0
    return float(np.sqrt(signal / energy / noise)) if noise > 0 else float("inf")


def fit_levels(observation: Observation, expected: Expectations) -> LevelFit:
    """Return the least-squares fit of ``observation`` by the one hypothesis in ``expected``, neighbours included."""
    columns = _removed(observation, expected.values[0]).T
    probed = columns[:, 0]
    weights, _, rank, _ = np.linalg.lstsq(columns, observation.residual, rcond=1e-9)
    rest = observation.residual - columns @ weights
    noise = float(np.sqrt(rest @ rest / max(1, observation.freedom - int(rank))))
    toggles = float(probed @ probed) > 1e-9 * probed.size
    return LevelFit(float(weights[0]) if toggles else 0.0, noise)

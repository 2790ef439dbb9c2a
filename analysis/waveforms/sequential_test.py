"""When a waveform needs no more averages: a sequential test between hypotheses about the net under the spot.

After every repeat each hypothesis has its posterior probability; averaging stops as soon as one class of them holds all
but the stated chance of being wrong (the matrix sequential probability ratio test in Baum & Veeravalli, "A sequential
procedure for multihypothesis testing", IEEE Trans. Inf. Theory 40, 1994; Wald's for two). Amplitude, sign, offset,
drift, noise and the weights of other nets under the spot are unknown: a level is ``sigma (r v x + sum_k g_k r u_k n_k +
e) + baseline``, the noise ``sigma`` with the right Haar prior, ``v`` normal around 1 or -1, ``u_k`` and ``e`` standard
normal, and the ratio ``r`` with a discrete prior. The ratio of two such likelihoods of all repeats is a martingale
under either for every noise and baseline (Pérez-Ortiz et al., "E-statistics, group invariance and anytime-valid
testing", Ann. Statist. 52, 2024), so that looking after every repeat costs nothing: among decisions, at most the stated
part is wrong, with amplitudes drawn from their prior.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import f as f_distribution

from analysis.waveforms.comparison import Expectations, RatioPrior
from analysis.waveforms.repeats import RepeatedLevels, log_scale_integral

SPREAD = 0.3
"""Standard deviation of the swing around each ratio of the prior, as a part of it: no gap is left between them."""
_BLOCK = 512
_ROUNDING = 1e-12


def broad_ratios() -> RatioPrior:
    """Return a prior of a cycle's ratio in one repeat that is flat in its logarithm from 0.03 to 30."""
    ratios = np.geomspace(0.03, 30.0, 13)
    return RatioPrior(ratios, np.full(ratios.size, 1.0 / ratios.size))


def ratios_around(usual: float) -> RatioPrior:
    """Return a log-normal prior, a factor 1.8 wide, around the ratio that is ``usual``, with a tenth of it broad."""
    broad = broad_ratios()
    shape = np.exp(-0.5 * (np.log(broad.ratios / usual) / 0.6) ** 2)
    return RatioPrior(broad.ratios, 0.9 * shape / shape.sum() + 0.1 * broad.weights)


@dataclass(frozen=True)
class Alternatives:
    """The hypotheses that a probe shall separate.

    Attributes:
        expected: what the nets under the spot do under each.
        log_prior: float64 of shape ``(hypotheses,)``, log probabilities before the waveform.
        classes: int64 of shape ``(hypotheses,)``, from 0 without gaps: hypotheses of one class need not be told apart.
        besides: float64 of shape ``(k, cycles)``: what any of them may hold a part of, such as the good die's levels in
            an intermittent fault's; it is not held against the fit. ``None`` for nothing.
        ratios: prior of the ratio of the net's swing to the noise of a cycle in one repeat.
    """

    expected: Expectations
    log_prior: NDArray[np.float64]
    classes: NDArray[np.int64]
    besides: NDArray[np.float64] | None = None
    ratios: RatioPrior = field(default_factory=broad_ratios)


@dataclass(frozen=True)
class Fit:
    """What a hypothesis leaves of the mean of some repeats.

    Attributes:
        probability: of leaving as much, or more, if the noise of the repeats averages out.
        left: energy of what is left beyond that noise, over the energy of what is explained; not below 0.
    """

    probability: float
    left: float


@dataclass(frozen=True)
class Decision:
    """The state of the test after some repeats.

    Attributes:
        repeats: how many there are.
        needed: after how many of them the decision was there; ``None`` while there is none.
        decided: the class that was decided for; ``None`` while there is no decision.
        posterior: float64 of shape ``(classes,)``, after all repeats.
        log_joint: float64 of shape ``(hypotheses,)``: log of prior and likelihood of all repeats.
        to_go: further repeats that the decision is expected to take; 0 when decided, infinite when nothing separates
            the two likeliest classes.
        fit: how well the likeliest hypothesis explains the mean of the repeats; ``None`` while one repeat cannot say.
    """

    repeats: int
    needed: int | None
    decided: int | None
    posterior: NDArray[np.float64]
    log_joint: NDArray[np.float64]
    to_go: float
    fit: Fit | None

    @property
    def best(self) -> int:
        """The likeliest hypothesis."""
        return int(np.argmax(self.log_joint))


def log_likelihoods(states: Sequence[RepeatedLevels], expected: Expectations, prior: RatioPrior) -> NDArray[np.float64]:
    """Return the log likelihood of each of ``states`` under each of ``expected`` against noise alone.

    ``states`` are repeats of one waveform after some looks, ``prior`` is of the ratio in one repeat. Returns float64 of
    shape ``(states, hypotheses)``.

    Raises:
        ValueError: there is no state, one has no repeat, or its levels have neither signal nor noise.
    """
    if not states or any(not state.count or not state.power > 0 for state in states):
        raise ValueError("a likelihood needs at least one repeat with noise")
    pieces = [np.empty((len(states), 0))]
    for start in range(0, len(expected.values), _BLOCK):
        pieces.append(_of_block(states, expected.values[start : start + _BLOCK], expected.spreads, prior))
    return np.concatenate(pieces, axis=1)


def _of_block(
    states: Sequence[RepeatedLevels],
    values: NDArray[np.float64],
    spreads: NDArray[np.float64],
    prior: RatioPrior,
) -> NDArray[np.float64]:
    """Woodbury's identity in the eigenvectors of what spreads, neighbours and the swing's own spread together."""
    shapes = states[0].without_baseline(values)
    widths = np.concatenate([[SPREAD], spreads])
    gram = shapes @ shapes.transpose(0, 2, 1)
    strengths, axes = np.linalg.eigh(gram * widths[:, None] * widths)
    totals = np.stack([state.total for state in states], axis=1)
    count, power, freedom = (
        np.asarray([getattr(state, name) for state in states], np.float64) for name in ("count", "power", "freedom")
    )
    products = shapes @ totals / np.sqrt(power)
    seen = np.einsum("hkj,hkl->hjl", axes * widths[:, None], products)
    shared = np.einsum("hkj,hk->hj", axes * widths[:, None], gram[:, 0])[..., None] * count
    grown = np.maximum(strengths, 0.0)[..., None] * count
    null = log_scale_integral(np.zeros_like(freedom), np.zeros_like(freedom), freedom)
    terms = []
    for ratio, weight in zip(prior.ratios, prior.weights, strict=True):
        gain = ratio**2 / (1 + ratio**2 * grown)
        left = np.maximum(1 - (gain * seen**2).sum(axis=1), _ROUNDING)
        slope = ratio * (products[:, 0] - (gain * seen * shared).sum(axis=1)) / np.sqrt(left)
        energy = ratio**2 * np.maximum(gram[:, 0, 0, None] * count - (gain * shared**2).sum(axis=1), 0.0)
        signs = np.logaddexp(log_scale_integral(slope, energy, freedom), log_scale_integral(-slope, energy, freedom))
        common = -0.5 * np.log1p(ratio**2 * grown).sum(axis=1) - freedom / 2 * np.log(left)
        terms.append(signs + common + (math.log(weight / 2) if weight > 0 else -math.inf))
    return np.asarray((logsumexp(np.stack(terms), axis=0) - null).T, np.float64)


def posterior_of_classes(log_joint: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each class's probability, float64 of shape ``(classes,)``, from ``log_joint`` of its hypotheses."""
    shares = np.exp(log_joint - logsumexp(log_joint))
    return np.asarray(np.bincount(classes, weights=shares, minlength=int(classes.max()) + 1), np.float64)


def decide(states: Sequence[RepeatedLevels], alternatives: Alternatives, wrong: float) -> Decision:
    """Return what the first of ``states`` decides that decides anything, and the state of the test after the last.

    ``states`` are the repeats after each look, in order (:meth:`RepeatedLevels.add`), ``alternatives`` what is to be
    told apart, and ``wrong`` the most probability of a wrong decision.

    Raises:
        ValueError: there is no state or no hypothesis, ``wrong`` is not between 0 and 0.5, or see
            :func:`log_likelihoods`.
    """
    if not states or not alternatives.log_prior.size:
        raise ValueError("a sequential test needs a repeat and a hypothesis")
    if not 0 < wrong < 0.5:
        raise ValueError(f"the chance of a wrong decision is between 0 and 0.5, not {wrong}")
    joint = log_likelihoods(states, alternatives.expected, alternatives.ratios) + alternatives.log_prior
    posteriors = np.stack([posterior_of_classes(row, alternatives.classes) for row in joint])
    sure = np.flatnonzero(posteriors.max(axis=1) >= 1 - wrong)
    last, state = joint[-1], states[-1]
    to_go = 0.0 if sure.size else _to_go(state, alternatives, last, wrong)
    return Decision(
        repeats=state.count,
        needed=states[sure[0]].count if sure.size else None,
        decided=int(np.argmax(posteriors[sure[0]])) if sure.size else None,
        posterior=np.asarray(posteriors[-1], np.float64),
        log_joint=np.asarray(last, np.float64),
        to_go=to_go,
        fit=judge_fit(state, _columns_of(alternatives, int(np.argmax(last)))),
    )


def _columns_of(alternatives: Alternatives, place: int) -> NDArray[np.float64]:
    values = alternatives.expected.values[place]
    return values if alternatives.besides is None else np.concatenate([values, alternatives.besides])


def judge_fit(repeats: RepeatedLevels, values: NDArray[np.float64]) -> Fit | None:
    """Return what the least-squares fit of the mean of ``repeats`` by ``values`` (shape ``(k, cycles)``) leaves.

    An F-test against the scatter of the repeats: noise that does not average out, or a waveform unlike ``values``,
    fails it. ``None`` for one repeat, or without noise.
    """
    own = repeats.freedom // max(1, repeats.count)
    between = (repeats.count - 1) * own
    if between < 1 or not repeats.scatter > 0:
        return None
    columns = repeats.without_baseline(values).T
    weights, _, rank, _ = np.linalg.lstsq(columns, repeats.mean, rcond=1e-9)
    explained = columns @ weights
    left = repeats.count * float(np.sum((repeats.mean - explained) ** 2))
    freedom = own - int(rank)
    if freedom < 1:
        return None
    noise = repeats.scatter / between
    beyond = max(0.0, left - freedom * noise) / max(repeats.count * float(explained @ explained), 1e-300)
    return Fit(float(f_distribution.sf(left / freedom / noise, freedom, between)), beyond)


def _to_go(repeats: RepeatedLevels, alternatives: Alternatives, joint: NDArray[np.float64], wrong: float) -> float:
    """Return the expected further repeats if the likeliest hypothesis is true.

    The log likelihood ratio to the likeliest one of another class grows by half the energy between them in each repeat,
    amplitude and neighbours fitted. Where the likeliest has no signal, it is that of the other at its usual ratio.
    """
    best = int(np.argmax(joint))
    others = np.flatnonzero(alternatives.classes != alternatives.classes[best])
    if not others.size:
        return 0.0
    rival = int(others[np.argmax(joint[others])])
    own = repeats.without_baseline(alternatives.expected.values[best]).T
    weights, _, rank, _ = np.linalg.lstsq(own, repeats.mean, rcond=1e-9)
    left = repeats.mean - own @ weights
    freedom = max(1, repeats.freedom - int(rank))
    variance = (repeats.scatter + repeats.count * float(left @ left)) / freedom
    signal = own @ weights
    against = repeats.without_baseline(alternatives.expected.values[rival]).T
    fitted, *_ = np.linalg.lstsq(against, signal, rcond=1e-9)
    growth = 0.5 * float(np.sum((signal - against @ fitted) ** 2)) / max(variance, 1e-300)
    if not float(own[:, 0] @ own[:, 0]) > _ROUNDING:
        usual = float(np.exp(alternatives.ratios.weights @ np.log(alternatives.ratios.ratios)))
        growth = 0.5 * usual**2 * float(against[:, 0] @ against[:, 0])
    if not growth > _ROUNDING:
        return math.inf
    posterior = posterior_of_classes(joint, alternatives.classes)
    held = float(posterior.max())
    missing = math.log((1 - wrong) / wrong) - math.log(max(held, 1e-300) / max(1 - held, 1e-300))
    return float(max(1.0, math.ceil(missing / growth)))

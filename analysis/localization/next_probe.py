"""Which net to probe next: the one whose waveform is expected to tell most about where the fault is.

Under each hypothesis the levels of the cycles are a point in noise, so a measurement's outcome is a mixture of normal
densities. Its entropy is taken by the pairwise estimator of Kolchinsky & Tracey ("Estimating mixture entropy with
pairwise distances", Entropy 19, 2017) with the Bhattacharyya distance ``d^2 / 8``, a lower bound; the information about
the site is the entropy of the outcome less that of the outcome given the site. What neighbours under the spot could
explain as well tells nothing: distances are taken with the covariance that their unknown weights add to the noise.
Guided probing by the same idea with noise-free outcomes cut probes to a fifth (Nakamae et al., e-beam tester).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import Words, pattern_mask, unpack_patterns, without_polarity

MOST_HYPOTHESES = 192
AMPLITUDE_WITHIN = 1.5
"""Factor within which the amplitude of a waveform is taken as unknown."""
MOST_TRIED = 40
"""Nets whose information in noise is worked out, at least."""
_DIGITS = 3
_MULTIPLIERS = np.random.default_rng(0).integers(1, 2**63, 4096, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


@dataclass(frozen=True)
class Hypotheses:
    """The hypotheses that matter, and what every net would do under each.

    Attributes:
        weights: float64 of shape ``(hypotheses,)``, sum 1.
        sites: int64 of shape ``(hypotheses,)``: equal for hypotheses that need not be told apart.
        activities: float64 of shape ``(hypotheses, nets)``: part of the loops in which the fault is active, or of the
            cycle by which the net is late.
        good: uint64 of shape ``(nets, words)``, values without a fault, masked to the patterns.
        values: uint64 of shape ``(hypotheses, nets, words)``, likewise under each hypothesis.
        cycles: number of patterns.
        neighbours: gives by net the fault-free values of the other nets that its spot covers, uint64 ``(k, words)``,
            and their expected weights, float64 ``(k,)``; ``None`` where there are none.
    """

    weights: NDArray[np.float64]
    sites: NDArray[np.int64]
    activities: NDArray[np.float64]
    good: Words
    values: Words
    cycles: int
    neighbours: Callable[[int], tuple[Words, NDArray[np.float64]]] | None = None


def expected_information(hypotheses: Hypotheses, net: int, ratio: float) -> float:
    """Return the information in bits about the site of ``hypotheses`` that net number ``net`` is expected to give.

    ``ratio`` is the signal-to-noise ratio of one cycle. Polarity and offset of the measurement are unknown.
    """
    changed = (hypotheses.values[:, net] != hypotheses.good[net]).any(axis=1)
    if not changed.any():
        return 0.0
    levels, outcomes = _outcomes(hypotheses, net, changed)
    near = _neighbours(hypotheses, net) * ratio
    overlap = np.exp(-(ratio**2) / 8 * _squared_distances(levels, near))
    _, places = np.unique(hypotheses.sites, return_inverse=True)
    joint = np.zeros((int(places.max()) + 1, len(levels)))
    np.add.at(joint, (places, outcomes), hypotheses.weights)
    joint = joint[joint.sum(axis=1) > 0]
    return max(0.0, (_entropy(joint.sum(axis=0, keepdims=True), overlap) - _entropy(joint, overlap)) / float(np.log(2)))


def _outcomes(
    hypotheses: Hypotheses, net: int, changed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distinct levels of ``net``, shape ``(outcomes, cycles)``, and which of them each hypothesis gives."""
    activity = np.where(changed, hypotheses.activities[:, net], 1.0)
    keys = np.column_stack([activity.view(np.uint64), hypotheses.values[:, net]])
    _, first, outcomes = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    good = unpack_patterns(hypotheses.good[net], hypotheses.cycles).astype(np.float64)
    bits = unpack_patterns(hypotheses.values[first, net], hypotheses.cycles).astype(np.float64)
    return good + activity[first, None] * (bits - good), np.asarray(outcomes.reshape(-1), np.int64)


def _neighbours(hypotheses: Hypotheses, net: int) -> NDArray[np.float64]:
    """Return the fault-free values of the nets beside ``net`` times their expected weight: shape ``(k, cycles)``."""
    if hypotheses.neighbours is None:
        return np.empty((0, hypotheses.cycles))
    near, weights = hypotheses.neighbours(net)
    return np.asarray(unpack_patterns(near, hypotheses.cycles) * weights[:, None], np.float64)


def _squared_distances(levels: NDArray[np.float64], near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared distances between rows of ``levels`` in units of the noise.

    Offset and polarity are unknown, the amplitude within a factor of :data:`AMPLITUDE_WITHIN`: the least distance over
    these counts. The noise has the covariance ``I + near' near`` (Woodbury's identity).
    """
    centred = levels - levels.mean(axis=1, keepdims=True)
    beside = near - near.mean(axis=1, keepdims=True)
    across = centred @ beside.T
    inner = np.linalg.solve(np.eye(len(beside)) + beside @ beside.T, across.T)
    products = np.abs(centred @ centred.T - across @ inner)
    energy = np.maximum(np.diag(products), 1e-12)
    scale = np.clip(products / energy, 1 / AMPLITUDE_WITHIN, AMPLITUDE_WITHIN)
    squared = energy[:, None] + scale**2 * energy[None, :] - 2 * scale * products
    return np.asarray(np.maximum(np.minimum(squared, squared.T), 0.0), np.float64)


def _entropy(joint: NDArray[np.float64], overlap: NDArray[np.float64]) -> float:
    """Return the mean entropy in nats of a mixture of outcomes, less that of its noise.

    ``joint`` has the mixtures in rows, each with the sum of its own probability.
    """
    share = joint / joint.sum(axis=1, keepdims=True)
    used = joint > 0
    return float(-(joint[used] * np.log((share @ overlap)[used])).sum())


def most_information(hypotheses: Hypotheses, net: int) -> float:
    """Return the bits about the site that ``net`` would give without noise: no measurement gives more.

    ``hypotheses`` are those of :func:`expected_information`.
    """
    values = without_polarity(hypotheses.values[:, net], pattern_mask(hypotheses.cycles))
    changed = (hypotheses.values[:, net] != hypotheses.good[net]).any(axis=1)
    if not changed.any():
        return 0.0
    mixed = (values * _MULTIPLIERS[: values.shape[1]]).sum(axis=1, dtype=np.uint64) ^ (
        np.where(changed, hypotheses.activities[:, net], 1.0).view(np.uint64)
    )
    _, outcomes = np.unique(mixed, return_inverse=True)
    _, places = np.unique(hypotheses.sites, return_inverse=True)
    joint = np.zeros((int(places.max()) + 1, int(outcomes.max()) + 1))
    np.add.at(joint, (places, outcomes), hypotheses.weights)
    parts = joint[joint > 0]
    return max(0.0, float((parts * np.log2(parts)).sum() - _plogp(joint.sum(axis=0)) - _plogp(joint.sum(axis=1))))


def _plogp(parts: NDArray[Any]) -> float:
    used = parts[parts > 0]
    return float(np.sum(used * np.log2(used)))


def site_entropy(hypotheses: Hypotheses) -> float:
    """Return how many bits are missing about the site of ``hypotheses``."""
    _, places = np.unique(hypotheses.sites, return_inverse=True)
    return max(0.0, -_plogp(np.bincount(places, weights=hypotheses.weights)))


def rank_probes(hypotheses: Hypotheses, nets: Sequence[int], ratio: float) -> list[tuple[int, float]]:
    """Return ``nets`` with their expected bits about the site of ``hypotheses``, most first, equal ones as given.

    ``ratio`` is the signal-to-noise ratio of one cycle. Nets are tried in the order of what they would tell without
    noise, until what is left cannot be the best; what is not tried stands behind those that were.
    """
    bounds = [most_information(hypotheses, net) for net in nets]
    order = sorted(range(len(nets)), key=lambda place: -round(bounds[place], _DIGITS))
    scored: dict[int, float] = {}
    for tried, place in enumerate(order):
        if tried >= MOST_TRIED and bounds[place] <= max(scored.values()):
            break
        if tried >= 4 * MOST_TRIED or bounds[place] <= 0:
            break
        scored[place] = min(bounds[place], expected_information(hypotheses, nets[place], ratio))
    least = min(scored.values(), default=0.0)
    every = [(net, scored.get(place, min(least, bounds[place]))) for place, net in enumerate(nets)]
    return sorted(every, key=lambda item: -round(item[1], _DIGITS))

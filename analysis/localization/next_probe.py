"""Which net to probe next: the one whose waveform is expected to tell most about where the fault is.

Expected information is the entropy of the outcomes, each outcome being a set of hypotheses that the measurement could
not tell apart at the signal-to-noise ratio of the session. Guided probing by the same idea with noise-free outcomes cut
probes to a fifth (Nakamae et al., e-beam tester).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import Words

MOST_HYPOTHESES = 256
_DECISIVE = 4.0


@dataclass(frozen=True)
class Hypotheses:
    """The hypotheses that matter, and what every net would do under each.

    Attributes:
        weights: float64 of shape ``(hypotheses,)``, sum 1.
        sites: int64 of shape ``(hypotheses,)``: net number of the site.
        values: uint64 of shape ``(hypotheses, nets, words)``, masked to the patterns.
    """

    weights: NDArray[np.float64]
    sites: NDArray[np.int64]
    values: Words


def cycles_to_tell_apart(ratio: float) -> int:
    """Return in how many cycles two outcomes must differ to be told apart at the ``ratio`` of a cycle.

    From the matched filter's error ``Q(ratio sqrt(d) / 2)``, held below 2.3 percent.
    """
    return max(1, int(np.ceil((_DECISIVE / max(ratio, 0.05)) ** 2)))


def expected_information(hypotheses: Hypotheses, net: int, ratio: float) -> float:
    """Return the information in bits about the site of ``hypotheses`` that net number ``net`` is expected to give.

    ``ratio`` is the signal-to-noise ratio of one cycle.
    """
    least = cycles_to_tell_apart(ratio)
    order = np.argsort(-hypotheses.weights, kind="stable")
    values = hypotheses.values[:, net]
    representatives: list[Words] = []
    outcomes = np.empty(order.size, np.int64)
    for place in order:
        distances = [int(np.bitwise_count(values[place] ^ known).sum()) for known in representatives]
        nearest = int(np.argmin(distances)) if distances else -1
        if nearest < 0 or distances[nearest] >= least:
            representatives.append(values[place])
            nearest = len(representatives) - 1
        outcomes[place] = nearest
    return _mutual_information(outcomes, hypotheses.sites, hypotheses.weights)


def _mutual_information(outcomes: NDArray[np.int64], sites: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """Return I(site; outcome) = H(site) + H(outcome) - H(site, outcome) in bits."""
    _, site = np.unique(sites, return_inverse=True)
    joint = site * (int(outcomes.max()) + 1) + outcomes
    return max(0.0, _entropy(site, weights) + _entropy(outcomes, weights) - _entropy(joint, weights))


def _entropy(labels: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    mass = np.bincount(labels, weights=weights)
    mass = mass[mass > 0]
    return float(-(mass * np.log2(mass)).sum())


def rank_probes(hypotheses: Hypotheses, nets: Sequence[int], ratio: float) -> list[tuple[int, float]]:
    """Return ``nets`` with their expected bits about the site of ``hypotheses``; ``ratio`` is that of one cycle."""
    if hypotheses.weights.size < 2:
        return [(net, 0.0) for net in nets]
    scored = [(net, expected_information(hypotheses, net, ratio)) for net in nets]
    return sorted(scored, key=lambda item: -item[1])

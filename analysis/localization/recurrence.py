"""Which nets recur among the suspects of a batch of dies more often than random defects would make them.

Chance is the prior itself: each die has one defect, any fault that the patterns detect as likely as the prior says,
whatever the other dies have. Then the likelihood of a die's fail log under a defect at one net, over that under a
random one, has the mean 1, and so has the product over dies of ``1 + part (factor - 1)``: it is an e-value (Vovk &
Wang, Annals of Statistics 49(3), 2021), which exceeds ``1/a`` by chance no more often than ``a``. Nets are called at a
false-discovery rate by the procedure of Benjamini and Hochberg for e-values, which holds however the nets depend on
each other (Wang & Ramdas, JRSS B 84(3), 2022). What a net that was found explains is then taken into the background, as
in the deconvolution of root causes, so that nets which only cannot be told from it are named beside it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

PARTS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Parts of the dies that a systematic defect may have, one as likely as another."""
MOST_RECURRENCES = 20
PASSES = 200
STEADY = 1e-9
"""Passes of the fit of the parts at most, and the change below which they are steady."""


@dataclass(frozen=True)
class Recurrence:
    """A net at which defects recur.

    Attributes:
        net: its number.
        log10_e: decimal logarithm of its e-value against chance.
        part: of the dies, estimated by maximum likelihood together with the other recurrences.
        dies: how many dies have their defect there, in expectation.
        by_chance: how many would by chance.
        members: float64 of shape ``(dies,)``: each die's probability of having it.
        alongside: numbers of nets that recur too, but not beyond what this one explains.
    """

    net: int
    log10_e: float
    part: float
    dies: float
    by_chance: float
    members: NDArray[np.float64]
    alongside: tuple[int, ...]


def find_recurrences(
    factors: NDArray[np.float64], prior: NDArray[np.float64], false_discovery_rate: float
) -> tuple[Recurrence, ...]:
    """Return the nets that recur, the surest first.

    ``factors`` is float64 of shape ``(dies, nets)``: how many times likelier each die's log is if its defect is at each
    net than under a random one. ``prior`` is each net's part of the random defects, float64 of shape ``(nets,)``; nets
    with none are not asked. Of the nets named, beside others too, no more than ``false_discovery_rate`` are wrong in
    the mean over batches, if the dies are independent and random defects fall as the prior says.
    """
    asked = np.flatnonzero(prior > 0)
    if not len(factors) or not asked.size:
        return ()
    # A net that random defects hardly hit shall not be called for one die: that counts as if all nets were alike.
    bounded = np.minimum(factors[:, asked], asked.size)
    log_e = _log_e(bounded)
    left = _called(log_e, false_discovery_rate)
    leaders: list[int] = []
    alongside: list[NDArray[np.int64]] = []
    parts = np.empty(0)
    background = np.ones(len(factors))
    while left.size and len(leaders) < MOST_RECURRENCES:
        strength = _log_e(bounded / background[:, None])
        leaders.append(int(left[np.argmax(strength[left])]))
        parts, background = _fit(bounded[:, leaders])
        called = _called(_log_e(bounded / background[:, None]), false_discovery_rate)
        still = left[np.isin(left, called)]
        still = still[still != leaders[-1]]
        alongside.append(left[~np.isin(left, still) & (left != leaders[-1])])
        left = still
    members = parts * bounded[:, leaders] / background[:, None]
    found = [
        Recurrence(
            net=int(asked[place]),
            log10_e=float(log_e[place] / np.log(10)),
            part=float(parts[rank]),
            dies=float(members[:, rank].sum()),
            by_chance=float(prior[asked[place]] * len(factors)),
            members=members[:, rank],
            alongside=tuple(int(asked[other]) for other in alongside[rank][np.argsort(-log_e[alongside[rank]])]),
        )
        for rank, place in enumerate(leaders)
    ]
    return tuple(sorted(found, key=lambda item: -item.log10_e))


def _log_e(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of each net's e-value, the mean over :data:`PARTS`."""
    by_part = [np.log1p(part * (factors - 1)).sum(axis=0) for part in PARTS]
    return np.asarray(logsumexp(by_part, axis=0) - np.log(len(PARTS)), np.float64)


def _called(log_e: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """Return the nets that are called: the most for which the least e-value is the number asked over rate and count."""
    order = np.argsort(-log_e, kind="stable")
    needed = np.log(log_e.size / (rate * np.arange(1, log_e.size + 1)))
    enough = np.flatnonzero(log_e[order] >= needed)
    return np.asarray(order[: enough[-1] + 1] if enough.size else [], np.int64)


def _fit(factors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the part of each leader, and each die's likelihood under all of them and chance over that under chance.

    ``factors`` is of shape ``(dies, leaders)``. By expectation and maximization (Dempster, Laird & Rubin, 1977).
    """
    parts = np.full(factors.shape[1], 0.5 / factors.shape[1])
    for _ in range(PASSES):
        background = 1 - parts.sum() + factors @ parts
        after = (parts * factors / background[:, None]).mean(axis=0)
        steady = np.abs(after - parts).max() < STEADY
        parts = after
        if steady:
            break
    return parts, np.asarray(1 - parts.sum() + factors @ parts, np.float64)

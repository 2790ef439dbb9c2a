"""Delay faults and slow paths that a fail log leaves: what is simulated in time, and at how many latenesses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.circuits.defects import DelayDefect, SlowPath
from analysis.circuits.faults import Fault
from analysis.circuits.logic_simulation import Words
from analysis.localization.late_suspects import KEPT, LATENESSES, ROUGH, TRUST, keep_likely, late_fails, refined_fails
from analysis.localization.lateness import steps_of
from analysis.localization.priors import PRIORS, shared_prior
from analysis.localization.slow_paths import Grown, grow_slow_paths, path_prior
from analysis.localization.stimulation import Stimulated
from analysis.localization.suspects import Suspects, join, table_of

MOST_LATE, SOME_LATE, LEAST_SIMULATED, LEAST_FINE = 2000, 400, 64, 32
"""Delay faults that are simulated in time: at most in a small circuit and in any; of them in every draw, and at every
lateness, in any circuit."""
WORDS_OF_LATE, WORDS_OF_SIMULATED, FINE_PART = 40_000_000, 10_000_000, 3
"""Of all nets in time under the delay faults that are simulated, and that are in every draw: more of them in small
circuits, where the one fail of a glitch is met in a draw or two only. A part of these is tried at every lateness."""
SEEDS, MOST_PATHS, FINE_PATHS = 6, 64, 12
"""Slow nets that paths are grown from, grown paths that are simulated in every draw, and those at every lateness."""
FAR_BEHIND = 60.0
"""Log evidence behind a static fault from which a delay fault is given up while its lateness is rough."""
EACH_FAIL = 1.0
"""What is added to that for each failing bit while one draw is tried at a few latenesses: a log that hangs on how late
an edge is seems far worse there than it is."""
TOO_FAR = 30.0
"""The same when every draw was tried at some latenesses: no other lateness is tried then."""


@dataclass(frozen=True)
class _Sifted:
    """Places of what is left, its log likelihood (float64 ``(left, KEPT)``) and settings (``(left, KEPT, 2)``)."""

    places: NDArray[np.int64]
    by_lateness: NDArray[np.float64]
    settings: NDArray[np.int64]


def screen_delay_faults(
    stimulated: Stimulated,
    observed: Words,
    faults: Sequence[Fault],
    resembling: NDArray[np.float64],
    best: float,
) -> Suspects:
    """Return the delay faults and slow paths of ``stimulated`` that explain the log when simulated in time.

    Delay faults that cannot, however late, are not tried: ``resembling`` (float64 ``(faults,)``) says how well each of
    ``faults`` explains it if it is late in some of the patterns. ``observed`` is uint64 of shape ``(outputs, words)``,
    ``best`` the score of the best static fault.
    """
    prior = shared_prior(faults)
    words = steps_of(stimulated.circuit) * stimulated.good.size
    tried = _best(prior + resembling, int(np.clip(WORDS_OF_LATE // words, SOME_LATE, MOST_LATE)))
    chosen = [faults[place] for place in tried]
    most = int(np.clip(WORDS_OF_SIMULATED // words, LEAST_SIMULATED, SOME_LATE))
    sifted = _sift(stimulated, observed, chosen, prior[tried] - best, (most, max(LEAST_FINE, most // FINE_PART)))
    left = [chosen[place] for place in sifted.places]
    nets = _suspects(stimulated, left, stimulated.errors(left), prior[tried][sifted.places] + PRIORS["late"], sifted)
    return join([nets, _slow_paths(stimulated, observed, nets, best)])


def _slow_paths(stimulated: Stimulated, observed: Words, nets: Suspects, best: float) -> Suspects:
    """Return the slow paths that explain the log, grown from the slow ``nets`` that do so best."""
    seeds: dict[int, Grown] = {}
    for place in np.argsort(-nets.scores.max(axis=1), kind="stable"):
        item = nets.defects[place]
        if item.net in stimulated.circuit.driver and len(seeds) < SEEDS:
            column = int(nets.scores[place].argmax())
            draw, part = nets.settings[place, column].tolist()
            seeds.setdefault(item.net, Grown(SlowPath((item.net,)), float(nets.scores[place].max()), draw, part))
    grown = sorted(grow_slow_paths(stimulated, observed, list(seeds.values())), key=lambda item: -item.score)
    paths = [item.path for item in grown[:MOST_PATHS]]
    prior = np.asarray([path_prior(stimulated.circuit, path.nets) for path in paths], np.float64)
    sifted = _sift(stimulated, observed, paths, prior - best, (MOST_PATHS, FINE_PATHS))
    left = [paths[place] for place in sifted.places]
    errors = stimulated.errors([Fault(path.net, "slow") for path in left])
    table = _suspects(stimulated, left, errors, prior[sifted.places] + PRIORS["path"], sifted)
    return replace(table, scores=_trust(table.scores)) if left else table


def _trust(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``scores`` (float64 ``(paths, KEPT)``) with what they tell of one path against another times TRUST."""
    each = logsumexp(scores, axis=1, keepdims=True)
    share = TRUST * each
    return np.asarray(scores - each + share - logsumexp(share) + logsumexp(each), np.float64)


def _best(scores: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return the places of the best of ``scores``, best first, at most so many."""
    return np.asarray(np.argsort(-scores, kind="stable")[:most], np.int64)


def _sift(
    stimulated: Stimulated,
    observed: Words,
    defects: Sequence[DelayDefect],
    prior: NDArray[np.float64],
    most: tuple[int, int],
) -> _Sifted:
    """Drop what explains little at a few latenesses, or far less than a static fault; try the best at every one.

    ``prior`` is less the score of the best static fault; ``most`` says how many are tried in every draw, and how many
    of them at every lateness.
    """
    draws, rough = range(len(stimulated.timed_loops)), range(len(LATENESSES))[ROUGH // 2 :: ROUGH]
    chosen = np.arange(len(defects))
    evidence = np.empty((0, len(draws), len(rough)))
    doubt = EACH_FAIL * int(np.bitwise_count(observed & stimulated.mask).sum())
    for *trial, behind in ((draws[:1], rough[1::3], FAR_BEHIND + doubt), (draws, rough, FAR_BEHIND)):
        if not chosen.size:
            break
        evidence = late_fails(stimulated, [defects[place] for place in chosen.tolist()], observed, (trial[0], trial[1]))
        worth = prior[chosen] + logsumexp(evidence, axis=(1, 2))
        kept = _best(worth, most[0])
        kept = kept[worth[kept] > -behind]
        chosen, evidence = chosen[kept], evidence[kept]
    if not chosen.size:
        return _Sifted(chosen, np.empty((0, KEPT)), np.empty((0, KEPT, 2), np.int64))
    worth = prior[chosen] + logsumexp(evidence, axis=(1, 2))
    fine = _best(worth, most[1])
    fine = fine[worth[fine] > -TOO_FAR]
    left = [defects[place] for place in chosen.tolist()]
    return _Sifted(chosen, *keep_likely(refined_fails(stimulated, left, observed, evidence, fine)))


def _suspects(
    stimulated: Stimulated,
    defects: Sequence[DelayDefect],
    errors: Words,
    prior: NDArray[np.float64],
    sifted: _Sifted,
) -> Suspects:
    nothing = np.full(len(defects), -np.inf)
    table = table_of(stimulated, defects, errors, prior[:, None] + sifted.by_lateness, nothing)
    return replace(table, settings=sifted.settings)

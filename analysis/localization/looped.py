"""Suspects of a looped functional pattern, in which the flip-flops run: each simulated to its own steady loop.

The tester sees the primary outputs alone. Single static faults, opens, and delay faults that are a cycle late are
suspects; bridges, pairs of faults and parts of a cycle are not. A machine that does not come back to a state within
:data:`~analysis.circuits.sequential.MOST_LOOPS` loops is no suspect; one that needs several loops to come back counts
as what it does in most of them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.circuits.faults import Fault, list_delay_faults, list_faults, list_opens
from analysis.circuits.logic_simulation import Words, pack_patterns, pattern_mask
from analysis.circuits.sequential import SequentialCircuit, settle_good, simulate_loop
from analysis.localization.evidence import (
    count_fails,
    fail_evidence,
    no_fault_fail_evidence,
    resembling_fail_evidence,
)
from analysis.localization.priors import PRIORS, fault_prior
from analysis.localization.screening import HOPELESS, LEAST_RESEMBLING, Screening
from analysis.localization.stimulation import Shelf, Stimulated
from analysis.localization.suspects import Suspects, unset

MOST_SUSPECTS = 1000
"""Suspects whose every net is kept."""


@dataclass(frozen=True)
class LoopedSuspects(Suspects):
    """Suspects with what all nets do: ``responses`` is uint64 of shape ``(suspects, nets, words)``, a one for a change.

    Delay faults are whole cycles late, so that none of them is ``late`` in the sense of a part of a cycle.
    """

    responses: Words = field(default_factory=lambda: np.empty((0, 0, 0), np.uint64))

    @property
    def late(self) -> NDArray[np.bool_]:
        """None: bool of shape ``(suspects,)``."""
        return np.zeros(len(self), np.bool_)

    def pick(self, places: Sequence[int] | NDArray[np.int64]) -> "LoopedSuspects":
        """Return the suspects at ``places``, in that order."""
        chosen = np.asarray(places, np.int64)
        part = super().pick(chosen)
        return _looped(part, self.responses[chosen])

    def simulate(self, watched: Sequence[int]) -> Words:
        """Return the changes of the nets ``watched``, uint64 of shape ``(suspects, watched, words)``."""
        return self.responses[:, list(watched)]


def _looped(part: Suspects, responses: Words) -> LoopedSuspects:
    names = ("stimulated", "defects", "nets", "errors", "scores", "resembling", "settings")
    return LoopedSuspects(**{name: getattr(part, name) for name in names}, responses=responses)


_SHELF: Shelf[Screening] = Shelf(4)


def screen_loop(
    sequential: SequentialCircuit, patterns: NDArray[np.uint8], fails: NDArray[np.bool_] | None
) -> Screening:
    """Return the suspects that ``fails`` leave when ``sequential`` loops ``patterns``, from the shelf if asked before.

    ``patterns`` is uint8 0/1 of shape ``(cycles, ports)``; ``fails`` is bool of shape ``(cycles, outputs)`` of the
    full-scan view, ``None`` where there is no log.

    Raises:
        UnsettledLoopError: a good die does not come to one steady loop.
    """
    content = hashlib.sha256(np.ascontiguousarray(patterns).tobytes())
    content.update(b"" if fails is None else np.packbits(fails).tobytes())
    key = f"{sequential.circuit.digest}:{sequential.data}:{patterns.shape}:{fails is None}:{content.hexdigest()}"
    return _SHELF.take(key, lambda: _screen_loop(sequential, patterns, fails, key))


def _screen_loop(
    sequential: SequentialCircuit, patterns: NDArray[np.uint8], fails: NDArray[np.bool_] | None, key: str
) -> Screening:
    circuit, cycles = sequential.circuit, len(patterns)
    start = settle_good(sequential, patterns)
    mask = pattern_mask(cycles)
    everything = range(len(circuit.nets))
    (good,) = simulate_loop(sequential, patterns, [None], everything, start)
    stimulated = Stimulated(circuit, cycles, mask, _packed(good.mean)[0], f"loop:{key}")
    classes = {"static": list_faults(circuit), "late": list_delay_faults(circuit), "open": list_opens(circuit)}
    static, faults = classes["static"], [fault for members in classes.values() for fault in members]
    scores = np.concatenate([fault_prior(members) + PRIORS[name] for name, members in classes.items()])
    alike = logsumexp(fault_prior(static), axis=1) + PRIORS["unmodelled"]
    resembling = np.concatenate([alike, np.full(len(faults) - len(static), -np.inf)])
    returned, no_fault = np.ones(len(faults), np.bool_), 0.0
    if fails is not None:
        outputs = [circuit.outputs[place] for place in sequential.observed]
        observed = pack_patterns(fails[:, list(sequential.observed)].astype(np.uint8))
        predicted, returned = _changes(sequential, patterns, faults, outputs, start, stimulated)
        counts = count_fails(predicted, observed, mask)
        scores = scores + fail_evidence(counts)
        resembling = resembling + resembling_fail_evidence(counts)
        no_fault = no_fault_fail_evidence(counts)
    chosen = _hopeful(scores.max(axis=1), resembling, returned)
    some = [faults[place] for place in chosen]
    responses, kept = _changes(sequential, patterns, some, list(everything), start, stimulated)
    nets = np.asarray([(fault.net, -1) for fault in some], np.int64).reshape(-1, 2)
    own = np.stack([responses[np.arange(len(some)), nets[:, 0]], np.zeros((len(some), len(mask)), np.uint64)], axis=1)
    table = Suspects(stimulated, list(some), nets, own, scores[chosen], resembling[chosen], unset(len(some)))
    return Screening(_looped(table, responses).pick(np.flatnonzero(kept)), no_fault)


def _hopeful(
    scores: NDArray[np.float64], resembling: NDArray[np.float64], returned: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the places of those that are not far behind the best, and of some that only resemble something."""
    best = np.where(returned, np.maximum(scores, resembling), -np.inf)
    order = np.argsort(-best, kind="stable")[:MOST_SUSPECTS]
    kept = order[best[order] > best[order[0]] - HOPELESS] if len(order) else order
    alike = np.argsort(-np.where(returned, resembling, -np.inf), kind="stable")[:LEAST_RESEMBLING]
    return np.unique(np.concatenate([kept, alike]))


def _changes(
    sequential: SequentialCircuit,
    patterns: NDArray[np.uint8],
    faults: Sequence[Fault],
    watched: Sequence[int],
    start: NDArray[np.uint8],
    stimulated: Stimulated,
) -> tuple[Words, NDArray[np.bool_]]:
    """Return where each fault changes ``watched`` nets, packed, and whether its machine came back to a state."""
    changes = np.zeros((len(faults), len(watched), len(stimulated.mask)), np.uint64)
    returned = np.zeros(len(faults), np.bool_)
    for chunk in simulate_loop(sequential, patterns, faults, watched, start):
        changes[chunk.machines] = (_packed(chunk.mean) ^ stimulated.good[list(watched)]) & stimulated.mask
        returned[chunk.machines] = chunk.period > 0
    return changes, returned


def _packed(mean: NDArray[np.float32]) -> Words:
    """Return whether each net is 1 in most loops, packed: uint64 of shape ``(machines, nets, words)``."""
    machines, nets, cycles = mean.shape
    bits = (mean > 0.5).reshape(machines * nets, cycles)
    return pack_patterns(bits.T.astype(np.uint8)).reshape(machines, nets, -1)

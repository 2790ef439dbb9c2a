"""Slow paths that explain a log: grown gate by gate from the nets that explain it best when they alone are slow.

What a slow path makes late may be read far from its own end, where its nets branch off, and which of its gates matter
is not to be seen in the failing outputs. So paths are searched for: the most promising one is made longer or shorter by
one gate at either end, each of what comes out is simulated in time at about the lateness of its parent, and so on
(best-first search).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.circuits.defects import SlowPath
from analysis.circuits.logic_simulation import Words
from analysis.circuits.netlist import Circuit
from analysis.localization.late_suspects import LATENESSES, fails_at
from analysis.localization.stimulation import Stimulated

LEAST_GATES = 2
"""A path of one gate is a slow net."""
BROKEN_OFF = 0.1
"""Chance that a path ends at a gate, walking back, instead of at an input."""
GROWN_AT_ONCE = 6
"""Paths that are changed in one round, the most promising ones."""
MOST_GROWN, LEAST_GROWN = 96, 24
"""Paths that are changed at all, in a small circuit and in any."""
WORDS_OF_GROWN = 2_000_000
"""Of all nets in all patterns, over the paths that are changed."""
STRETCHES = (0.8, 1.0, 1.25, 1.6)
"""Latenesses that a changed path is tried at, relative to its parent's."""


@dataclass(frozen=True)
class Grown:
    """A path with the best that is known of it: its score (prior and fails), its draw, and its place in LATENESSES."""

    path: SlowPath
    score: float
    draw: int
    part: int


@dataclass(frozen=True)
class _Neighbours:
    """The gates before and after each net: nets that gates drive only, by net number."""

    before: dict[int, list[int]]
    after: dict[int, list[int]]

    def of(self, nets: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return the paths that are one gate longer or shorter than ``nets`` at one end."""
        longer = [(net, *nets) for net in self.before[nets[0]]] + [(*nets, net) for net in self.after[nets[-1]]]
        return longer + ([nets[1:], nets[:-1]] if len(nets) > LEAST_GATES else [])


def grow_slow_paths(stimulated: Stimulated, observed: Words, seeds: Sequence[Grown]) -> list[Grown]:
    """Return paths that explain the log, in no order, grown from ``seeds``, which may have one gate only.

    ``observed`` is uint64 of shape ``(outputs, words)``, the failing bits at the outputs of ``stimulated``.
    """
    circuit = stimulated.circuit
    neighbours = _neighbours_in(circuit)
    words = stimulated.good.size
    left = int(np.clip(WORDS_OF_GROWN // words, LEAST_GROWN, MOST_GROWN))
    known = {seed.path.nets: seed for seed in seeds}
    grown: set[tuple[int, ...]] = set()
    while left > 0:
        waiting = sorted((item for nets, item in known.items() if nets not in grown), key=lambda item: -item.score)
        chosen = waiting[: min(GROWN_AT_ONCE, left)]
        if not chosen:
            break
        left -= len(chosen)
        grown.update(item.path.nets for item in chosen)
        parents = {nets: item for item in reversed(chosen) for nets in neighbours.of(item.path.nets)}
        new = {nets: parent for nets, parent in parents.items() if nets not in known}
        known.update({item.path.nets: item for item in _score(stimulated, observed, new)})
    return [item for nets, item in known.items() if len(nets) >= LEAST_GATES]


def path_prior(circuit: Circuit, nets: Sequence[int]) -> float:
    """Return the log prior of the path ``nets`` of ``circuit``: of a walk back from any gate, one as likely as another.

    At each gate the walk breaks off, or takes one of the pins, which ends it where an input of the circuit feeds it.
    """
    pins = [len(set(circuit.fan_in[circuit.driver[net]])) for net in nets[1:]]
    first = set(circuit.fan_in[circuit.driver[nets[0]]])
    ending = sum(pin not in circuit.driver for pin in first) / max(1, len(first))
    taken = (len(nets) - 1) * np.log1p(-BROKEN_OFF) - np.log(pins).sum() - np.log(len(circuit.gates))
    return float(taken + np.log(BROKEN_OFF + (1 - BROKEN_OFF) * ending))


def _neighbours_in(circuit: Circuit) -> _Neighbours:
    before, after = defaultdict(list), defaultdict(list)
    for net, pins in zip(circuit.drives, circuit.fan_in, strict=True):
        for pin in dict.fromkeys(pins):
            if pin in circuit.driver:
                before[net].append(pin)
                after[pin].append(net)
    return _Neighbours(before, after)


def _score(stimulated: Stimulated, observed: Words, parents: dict[tuple[int, ...], Grown]) -> list[Grown]:
    """Simulate new paths, each in its parent's draw at about its parent's lateness."""
    usual = np.asarray(LATENESSES)
    paths, draws, parts = [], [], []
    for nets, parent in parents.items():
        tried = {int(np.abs(usual - usual[parent.part] * stretch).argmin()) for stretch in STRETCHES}
        paths += [SlowPath(nets)] * len(tried)
        draws += [parent.draw] * len(tried)
        parts += sorted(tried)
    if not paths:
        return []
    settings = np.stack([np.asarray(draws, np.int64), np.asarray(parts, np.int64)], axis=1)
    evidence = fails_at(stimulated, paths, observed, settings)
    best: dict[tuple[int, ...], Grown] = {}
    for path, draw, part, found in zip(paths, draws, parts, evidence.tolist(), strict=True):
        score = found + path_prior(stimulated.circuit, path.nets)
        if path.nets not in best or score > best[path.nets].score:
            best[path.nets] = Grown(path, score, draw, part)
    return list(best.values())

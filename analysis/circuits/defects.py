"""Defects of two nets: bridges between neighbours, and two faults at once.

A bridge of nets ``a`` and ``b`` is wrong only in patterns in which they differ, and then one of the two has the other's
value: wired-AND, wired-OR, dominant (one net always wins), or Byzantine (which one wins differs from pattern to
pattern; Lamport et al., 1982; Acken & Millman, ITC 1992). In each pattern one net is flipped, so that flips of single
nets tell everything. Feedback through the bridge is not followed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.circuits.faults import Fault
from analysis.circuits.logic_simulation import Words
from analysis.circuits.netlist import Circuit

NEAREST = 10
"""Nets beside each other that a bridge may join: so many nearest ones of each."""
PATH_CODE, PATH_LINK = "PATH:", " > "
"""What a slow path begins with in words, and what stands between its nets, whose names hold no blank."""
BRIDGE_KINDS = ("AND", "OR", "DOMINANT", "DOMINATED", "BYZANTINE")


@dataclass(frozen=True)
class Bridge:
    """A bridge of ``net`` and ``other`` (net numbers).

    ``kind`` is ``AND``, ``OR``, ``DOMINANT`` (``net`` wins), ``DOMINATED`` (``other`` wins) or ``BYZANTINE``.
    """

    net: int
    other: int
    kind: str

    def describe(self, circuit: Circuit) -> str:
        """Return the bridge in words of ``circuit``: ``BRIDGE-AND:G7``."""
        return f"BRIDGE-{self.kind}:{circuit.nets[self.other]}"


@dataclass(frozen=True)
class DoubleFault:
    """Two single faults on one die."""

    first: Fault
    second: Fault

    @property
    def net(self) -> int:
        """Net number of the first site."""
        return self.first.net

    @property
    def other(self) -> int:
        """Net number of the second site."""
        return self.second.net

    def describe(self, circuit: Circuit) -> str:
        """Return both faults in words of ``circuit``: ``SA0 + G7 SA1``."""
        return f"{self.first.describe(circuit)} + {circuit.nets[self.second.net]} {self.second.describe(circuit)}"


@dataclass(frozen=True)
class SlowPath:
    """The gates of a path are slower, each by a part of what the path is late by at its end.

    Path delay fault of G. L. Smith, "Model for delay faults based upon paths", ITC 1985; the gates are slow for every
    path through them.

    Attributes:
        nets: net numbers of the gates that are slow, each fed by the one before it.
    """

    nets: tuple[int, ...]

    @property
    def net(self) -> int:
        """Net number of the site, the first of the path: what is before it is on time."""
        return self.nets[0]

    def describe(self, circuit: Circuit) -> str:
        """Return the path in words of ``circuit``: ``PATH:G10 > G16 > G22``."""
        return PATH_CODE + PATH_LINK.join(circuit.nets[net] for net in self.nets)


Defect = Fault | Bridge | DoubleFault | SlowPath
DelayDefect = Fault | SlowPath
"""A delay fault of a net or a branch, or a slow path."""


def bridge_errors(good: Words, pairs: NDArray[np.int64], kind: str) -> tuple[Words, Words]:
    """Return the patterns in which each net of ``pairs`` (int64, ``(pairs, 2)``) is flipped: uint64 ``(pairs, words)``.

    ``kind`` is as in :class:`Bridge`; of a Byzantine bridge both are all patterns in which the nets differ. ``good`` is
    uint64 of shape ``(nets, words)``.
    """
    first, second = good[pairs[:, 0]], good[pairs[:, 1]]
    differ = first ^ second
    none = np.zeros_like(differ)
    return {
        "AND": (differ & first, differ & second),
        "OR": (differ & ~first, differ & ~second),
        "DOMINANT": (none, differ),
        "DOMINATED": (differ, none),
        "BYZANTINE": (differ, differ),
    }[kind]


def neighbour_pairs(circuit: Circuit, places_um: Mapping[str, tuple[float, float]]) -> NDArray[np.int64]:
    """Return pairs of nets of ``circuit`` that lie beside each other: int64 of shape ``(pairs, 2)``, each pair once.

    ``places_um`` has the drains in micrometres; nets without a place have no neighbours.
    """
    placed = [net for net, name in enumerate(circuit.nets) if name in places_um]
    if len(placed) < 2:
        return np.empty((0, 2), np.int64)
    places = np.asarray([places_um[circuit.nets[net]] for net in placed], np.float64)
    _, near = cKDTree(places).query(places, k=min(NEAREST + 1, len(placed)))
    pairs = np.stack([np.repeat(np.arange(len(placed)), near.shape[1]), near.ravel()], axis=1)
    pairs = np.asarray(placed, np.int64)[pairs[pairs[:, 0] != pairs[:, 1]]]
    return np.asarray(np.unique(np.sort(pairs, axis=1), axis=0), np.int64).reshape(-1, 2)


def complementary(exact: Words, conflicting: Words, first: int, most: int) -> Sequence[int]:
    """Return the faults that best explain what the fault number ``first`` leaves: at most ``most``, best first.

    ``exact`` are the failing patterns that each fault explains to the bit, ``conflicting`` those in which it predicts a
    fail that was not seen: uint64 of shape ``(faults, words)`` each.
    """
    gain = np.bitwise_count(exact & ~exact[first]).sum(axis=1, dtype=np.int64)
    loss = np.bitwise_count(conflicting).sum(axis=1, dtype=np.int64)
    worth = gain - loss
    chosen = np.argpartition(-worth, min(most, worth.size - 1))[:most] if worth.size > most else np.arange(worth.size)
    ranked = chosen[np.argsort(-worth[chosen], kind="stable")]
    return [int(place) for place in ranked if gain[place] > 0 and place != first]

"""A circuit under its patterns, prepared once and kept: what every answer about a die of that product begins with."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.faults import Fault, list_delay_faults, list_faults, list_opens, local_errors
from analysis.circuits.logic_simulation import Words, pack_patterns, pattern_mask, simulate, unpack_patterns
from analysis.circuits.netlist import Circuit
from analysis.localization.lateness import TimedLoop, ToldDelays, draw_loops, steps_of

MOST_KEPT = 4
MOST_DRAWS = 8
"""Draws of the cells' delays that are simulated."""
BYTES_OF_DRAWS = 64 << 20
"""Memory that they may take."""

Kept = TypeVar("Kept")


class Shelf(Generic[Kept]):
    """Keeps the last few of what was made, by a key that names its whole content.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lock = Lock()

    def take(self, key: str, make: Callable[[], Kept]) -> Kept:
        """Return what was made under ``key``; call ``make`` when it is not there (any longer)."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made


@dataclass(frozen=True)
class Stimulated:
    """A circuit with what its nets do in a loop of patterns.

    Attributes:
        circuit: in full-scan view.
        cycles: number of patterns.
        mask: uint64 of shape ``(words,)`` with a one for each pattern.
        good: uint64 of shape ``(nets, words)``, masked.
        key: names circuit, patterns and delays.
        told: what is known of the delays of its cells.
    """

    circuit: Circuit
    cycles: int
    mask: Words
    good: Words
    key: str
    told: ToldDelays | None = None

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """Values without a fault, uint8 0/1 of shape ``(nets, cycles)``."""
        return unpack_patterns(self.good, self.cycles)

    @cached_property
    def static_faults(self) -> list[Fault]:
        """Every static single fault."""
        return list_faults(self.circuit)

    @cached_property
    def delay_faults(self) -> list[Fault]:
        """Every delay fault."""
        return list_delay_faults(self.circuit)

    @cached_property
    def opens(self) -> list[Fault]:
        """Every resistive open that is too weak for a cycle."""
        return list_opens(self.circuit)

    @cached_property
    def timed_loops(self) -> list[TimedLoop]:
        """The good circuit in time under several draws of its cells' delays."""
        bytes_of_one = steps_of(self.circuit) * self.good.nbytes
        count = int(np.clip(BYTES_OF_DRAWS // max(1, bytes_of_one), 2, MOST_DRAWS))
        return draw_loops(self.circuit, self.good, self.cycles, count, self.told)

    def errors(self, faults: Sequence[Fault]) -> Words:
        """Return the patterns in which the gate of each of ``faults`` is wrong: uint64 ``(faults, words)``, masked."""
        return np.asarray(local_errors(self.circuit, self.good, faults, self.cycles) & self.mask, np.uint64)


_SHELF: Shelf[Stimulated] = Shelf()


def stimulate(circuit: Circuit, patterns: NDArray[np.uint8], told: ToldDelays | None = None) -> Stimulated:
    """Return ``circuit`` under ``patterns`` (uint8 0/1, shape ``(cycles, inputs)``), prepared or from the shelf.

    ``told`` is what is known of the delays of its cells.
    """
    content = hashlib.sha256(np.ascontiguousarray(patterns).tobytes()).hexdigest()
    key = f"{circuit.digest}:{patterns.shape}:{content}:{told and told.digest}"
    return _SHELF.take(key, lambda: _stimulate(circuit, patterns, key, told))


def _stimulate(circuit: Circuit, patterns: NDArray[np.uint8], key: str, told: ToldDelays | None) -> Stimulated:
    mask = pattern_mask(len(patterns))
    good = simulate(circuit, pack_patterns(patterns)) & mask
    return Stimulated(circuit, len(patterns), mask, np.asarray(good, np.uint64), key, told)

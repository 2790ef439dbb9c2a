"""What changes in a circuit when some nets are forced to other values: event-driven, bit-parallel, machine-parallel.

A machine is one set of forced nets. Only the machines whose values differ from the good ones are carried from gate to
gate, and a gate is evaluated only where one of its inputs differs (Ulrich & Baker, "Concurrent simulation of nearly
identical digital networks", Computer 7(4), 1974). One flip of a net in every pattern tells the effect of every fault
at that net: a fault that is wrong in the patterns ``E`` changes another net in ``E & flips``, pattern by pattern.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import Words, constant_of, evaluate
from analysis.circuits.netlist import Circuit, fan_in_cone

MOST_MACHINES = 512
"""Machines that are carried at once: what bounds memory."""


@dataclass(frozen=True)
class ChangeChunk:
    """Changes of the watched nets under some machines.

    Attributes:
        machines: places in the list of machines, int64 of shape ``(m,)``.
        changes: uint64 of shape ``(m, watched, words)``: a one where the net differs from its good value.
    """

    machines: NDArray[np.int64]
    changes: Words


@dataclass(frozen=True)
class _Changed:
    """The machines in which a net differs, sorted int64, and its differences, uint64 ``(machines, words)``."""

    rows: NDArray[np.int64]
    words: Words


def propagate(
    circuit: Circuit, good: Words, machines: Sequence[Mapping[int, Words]], watched: Sequence[int]
) -> Iterator[ChangeChunk]:
    """Yield what the forced nets of each of ``machines`` change, chunk by chunk.

    ``good`` is uint64 of shape ``(nets, words)``, the values of ``circuit`` without any force; a machine gives net
    numbers the packed values (shape ``(words,)``) that they are forced to. ``watched`` are net numbers.
    """
    order = sorted(range(len(machines)), key=lambda place: min(machines[place], default=0))
    needed = fan_in_cone(circuit, watched)
    for start in range(0, len(order), MOST_MACHINES):
        places = order[start : start + MOST_MACHINES]
        changes = np.zeros((len(places), len(watched), good.shape[1]), np.uint64)
        columns: dict[int, list[int]] = defaultdict(list)
        for column, net in enumerate(watched):
            columns[net].append(column)
        for net, changed in _changes(circuit, good, [machines[place] for place in places], circuit.readers, needed):
            for column in columns.get(net, ()):
                changes[changed.rows, column] = changed.words
        yield ChangeChunk(np.asarray(places, np.int64), changes)


def propagate_flips(circuit: Circuit, good: Words, sites: Sequence[int], watched: Sequence[int]) -> Words:
    """Return what inverting each of ``sites`` in every pattern changes: uint64 ``(sites, watched, words)``.

    ``good`` is ``circuit``'s, uint64 of shape ``(nets, words)``; ``sites`` and ``watched`` are net numbers.
    """
    machines = [{site: ~good[site]} for site in sites]
    if 0 < len(sites) <= MOST_MACHINES and all(before < after for before, after in pairwise(sites)):
        # One chunk, in this very order: what may be most of the memory is not copied.
        return next(propagate(circuit, good, machines, watched)).changes
    result = np.zeros((len(sites), len(watched), good.shape[1]), np.uint64)
    for chunk in propagate(circuit, good, machines, watched):
        result[chunk.machines] = chunk.changes
    return result


def _changes(
    circuit: Circuit,
    good: Words,
    machines: Sequence[Mapping[int, Words]],
    reads: Mapping[int, int],
    needed: NDArray[np.bool_],
) -> Iterator[tuple[int, _Changed]]:
    """Yield each net that differs in some machine, in topological order; a net is forgotten after its last reader."""
    forced: dict[int, list[int]] = defaultdict(list)
    for row, machine in enumerate(machines):
        for net in machine:
            forced[net].append(row)
    alive: dict[int, _Changed] = {}
    left = dict(reads)
    position = np.empty(len(machines), np.int64)
    for net in range(min(forced, default=len(circuit.nets)), len(circuit.nets)):
        if not needed[net]:
            continue
        gate = circuit.driver.get(net)
        pins = () if gate is None else circuit.fan_in[gate]
        touched = [pin for pin in dict.fromkeys(pins) if pin in alive]
        changed = None
        if touched and gate is not None:
            changed = _evaluate(circuit.gates[gate].function, pins, good, net, alive, position)
        for pin in dict.fromkeys(pins):
            left[pin] -= 1
            if not left[pin]:
                alive.pop(pin, None)
        if net in forced:
            changed = _force(changed, good[net], {row: machines[row][net] for row in forced[net]})
        if changed is None or not changed.rows.size:
            continue
        if left.get(net, 0):
            alive[net] = changed
        yield net, changed


def _evaluate(
    function: str,
    pins: Sequence[int],
    good: Words,
    net: int,
    alive: Mapping[int, _Changed],
    position: NDArray[np.int64],
) -> _Changed | None:
    touched = [alive[pin] for pin in dict.fromkeys(pins) if pin in alive]
    rows = touched[0].rows
    if len(touched) > 1:
        mark = np.zeros(position.size, np.bool_)
        for item in touched:
            mark[item.rows] = True
        rows = np.flatnonzero(mark)
    position[rows] = np.arange(rows.size)
    shape = (rows.size, good.shape[1])
    if constant_of(function, (1, 1)) is not None:
        return None
    operands: list[Words] = []
    for pin in pins:
        if pin not in alive:
            operands.append(np.broadcast_to(good[pin], shape))
            continue
        item = alive[pin]
        if item.rows.size == rows.size:
            operands.append(good[pin] ^ item.words)
            continue
        operand = np.empty(shape, np.uint64)
        operand[:] = good[pin]
        operand[position[item.rows]] ^= item.words
        operands.append(operand)
    difference = evaluate(function, operands) ^ good[net]
    differs = difference.any(axis=1)
    return _Changed(rows, difference) if differs.all() else _Changed(rows[differs], difference[differs])


def _force(changed: _Changed | None, good: Words, forced: Mapping[int, Words]) -> _Changed:
    """Replace what the net does in the machines that force it."""
    rows = np.asarray(list(forced), np.int64)
    words = np.stack(list(forced.values())) ^ good
    if changed is not None:
        free = ~np.isin(changed.rows, rows)
        rows = np.concatenate([rows, changed.rows[free]])
        words = np.concatenate([words, changed.words[free]])
    order = np.argsort(rows)
    order = order[words[order].any(axis=1)]
    return _Changed(rows[order], words[order])

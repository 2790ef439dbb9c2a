"""Single-gate faults: the list of them, and their simulation, many faulty machines at once.

Kinds: ``SA0``/``SA1`` stuck-at at a net (stem), ``SA0:<net>``/``SA1:<net>`` stuck-at at one input pin of a gate,
``SWAP:<function>`` the gate computes another function. A site is the net that the faulty gate drives. An intermittent
fault is one of these, active in a fraction of the loops; it needs no simulation of its own.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import Words, constant_of, evaluate, simulate
from analysis.circuits.netlist import TABLE_PREFIX, Circuit

CHUNK_BYTES = 64 << 20
_SWAPS = {
    "AND": ("NAND", "OR", "NOR", "XOR"),
    "NAND": ("AND", "NOR", "OR", "XOR"),
    "OR": ("NOR", "AND", "NAND", "XOR"),
    "NOR": ("OR", "NAND", "AND", "XNOR"),
    "XOR": ("XNOR", "OR", "AND"),
    "XNOR": ("XOR", "NOR", "NAND"),
    "NOT": ("BUF",),
    "BUF": ("NOT",),
}


@dataclass(frozen=True)
class Fault:
    """A single fault.

    Attributes:
        net: number of the site: the net that the faulty gate drives (or the input net itself).
        kind: ``stem``, ``pin`` or ``swap``.
        value: the stuck value 0 or 1; -1 for a swap.
        pin: place among the gate's inputs for a pin fault; -1 else.
        function: what the gate computes instead, for a swap; empty else.
    """

    net: int
    kind: str
    value: int = -1
    pin: int = -1
    function: str = ""

    def describe(self, circuit: Circuit) -> str:
        """Return the fault in words of ``circuit``: ``SA0``, ``SA1:G3`` (pin fed by net G3) or ``SWAP:NOR``."""
        if self.kind == "swap":
            return f"SWAP:{self.function}"
        if self.kind == "pin":
            return f"SA{self.value}:{circuit.nets[circuit.fan_in[circuit.driver[self.net]][self.pin]]}"
        return f"SA{self.value}"


def list_faults(circuit: Circuit) -> list[Fault]:
    """Return every single fault of ``circuit``: stems of all nets, pins of gates with several inputs, swaps.

    A pin fault of a one-input gate equals a stem fault of its output and is left out.
    """
    faults = [Fault(net, "stem", value) for net in range(len(circuit.nets)) for value in (0, 1)]
    for gate, pins, net in zip(circuit.gates, circuit.fan_in, circuit.drives, strict=True):
        if len(pins) > 1:
            faults += [Fault(net, "pin", value, pin) for pin in range(len(pins)) for value in (0, 1)]
        faults += [Fault(net, "swap", function=other) for other in swapped_functions(gate.function, len(pins))]
    return faults


def swapped_functions(function: str, inputs: int) -> tuple[str, ...]:
    """Return what a gate of ``function`` with that many ``inputs`` may compute instead.

    A truth table may be inverted, or wrong in one of its rows.
    """
    if function.startswith(TABLE_PREFIX):
        bits = function[len(TABLE_PREFIX) :]
        flipped = [bits[:row] + "10"[int(bits[row])] + bits[row + 1 :] for row in range(len(bits))]
        inverse = "".join("10"[int(bit)] for bit in bits)
        return tuple(TABLE_PREFIX + table for table in dict.fromkeys((inverse, *flipped)) if inputs)
    return _SWAPS.get(function, ()) if inputs > 1 or function in ("NOT", "BUF") else ()


@dataclass(frozen=True)
class FaultChunk:
    """Values of watched nets under some faults.

    Attributes:
        faults: places in the list that was simulated, int64 of shape ``(machines,)``.
        values: uint64 of shape ``(machines, watched, words)``.
    """

    faults: NDArray[np.int64]
    values: Words


def simulate_faults(
    circuit: Circuit, stimulus: Words, faults: Sequence[Fault], watched: Sequence[int]
) -> Iterator[FaultChunk]:
    """Simulate each of ``faults`` of ``circuit`` on ``stimulus``; yield the values of ``watched`` nets, chunk by chunk.

    ``stimulus`` is uint64 of shape ``(inputs, words)``; ``watched`` are net numbers. A chunk holds as many faulty
    machines as fit into :data:`CHUNK_BYTES`, sorted by site, so that only gates behind the first site are evaluated.
    """
    good = simulate(circuit, stimulus)
    words = stimulus.shape[1]
    machines = int(max(8, min(1024, CHUNK_BYTES // max(1, len(circuit.nets) * words * 8))))
    order = sorted(range(len(faults)), key=lambda place: faults[place].net)
    for start in range(0, len(order), machines):
        places = order[start : start + machines]
        values = _simulate_chunk(circuit, good, [faults[place] for place in places])
        yield FaultChunk(np.asarray(places, np.int64), np.stack([values[net] for net in watched], axis=1))


def _simulate_chunk(circuit: Circuit, good: Words, faults: list[Fault]) -> dict[int, Words]:
    """Return each net's values under the faults, shape ``(machines, words)``; nets no fault reaches stay good."""
    machines, words = len(faults), good.shape[1]
    by_net: dict[int, list[int]] = defaultdict(list)
    for row, fault in enumerate(faults):
        by_net[fault.net].append(row)
    values: dict[int, Words] = {}
    changed: set[int] = set()
    for net in range(len(circuit.nets)):
        gate = circuit.driver.get(net)
        pins = () if gate is None else circuit.fan_in[gate]
        local = by_net.get(net, ())
        if not local and not any(pin in changed for pin in pins):
            values[net] = np.broadcast_to(good[net], (machines, words))
            continue
        function = "" if gate is None else circuit.gates[gate].function
        constant = constant_of(function, (machines, words))
        if gate is None:
            computed = np.repeat(good[net][None], machines, axis=0)
        elif constant is not None:
            computed = constant
        else:
            computed = np.array(evaluate(function, [values[pin] for pin in pins]))
        for row in local:
            computed[row] = _faulty_value(faults[row], function, [values[pin][row] for pin in pins], words)
        values[net] = computed
        changed.add(net)
    return values


def _faulty_value(fault: Fault, function: str, operands: list[Words], words: int) -> Words:
    stuck = np.full(words, 0xFFFFFFFFFFFFFFFF if fault.value == 1 else 0, np.uint64)
    if fault.kind == "stem":
        return stuck
    if fault.kind == "pin":
        return evaluate(function, [stuck if place == fault.pin else value for place, value in enumerate(operands)])
    return evaluate(fault.function, operands)

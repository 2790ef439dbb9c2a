"""Single-gate faults: the list of them, what they do at their gate, and their simulation.

Kinds: ``SA0``/``SA1`` stuck-at at a net (stem), ``SA0:<net>``/``SA1:<net>`` stuck-at at one input pin of a gate,
``SWAP:<function>`` the gate computes another function; and delay faults: ``STR``/``STF`` the net is slow to rise or to
fall, ``SLOW`` both, ``SLOW:<net>`` at one branch of a net that feeds several pins (a resistive open); ``OPEN`` and
``OPEN:<net>`` opens that are too weak for a cycle (see :mod:`analysis.circuits.resistive_opens`). A site is the net
that the faulty gate drives. An intermittent fault is a static one, active in a fraction of the loops; it needs no
simulation of its own. While a delay fault is late, its net has the value of the pattern before (transition fault model,
Waicukauski et al., IEEE Design & Test 4(2), 1987).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import Words, evaluate, pack_patterns, simulate, unpack_patterns
from analysis.circuits.netlist import TABLE_PREFIX, Circuit
from analysis.circuits.propagation import propagate_flips
from analysis.circuits.resistive_opens import HALF_CYCLES, weak_values

CHUNK_BYTES = 64 << 20
DELAY_KINDS = ("slow", "slow-pin")
OPEN_KINDS = ("open", "open-pin")
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
        kind: ``stem``, ``pin``, ``swap``, ``slow``, ``slow-pin``, ``open`` or ``open-pin``.
        value: the stuck value 0 or 1; for ``slow`` and ``open`` 1 or 0 where only the edges to that value are late; -1
            else.
        pin: place among the gate's inputs for a fault at a pin; -1 else.
        function: what the gate computes instead, for a swap; empty else.
        half_cycles: of an open, cycles in which what is missing to the driver's level halves; 0 else.
    """

    net: int
    kind: str
    value: int = -1
    pin: int = -1
    function: str = ""
    half_cycles: float = 0.0

    def describe(self, circuit: Circuit) -> str:
        """Return the fault in words of ``circuit``: ``SA0``, ``SA1:G3`` (pin fed by net G3) or ``SWAP:NOR``."""
        if self.kind == "swap":
            return f"SWAP:{self.function}"
        if self.kind == "open":
            return {1: "OPEN-STR", 0: "OPEN-STF"}.get(self.value, "OPEN")
        if self.kind == "slow":
            return {1: "STR", 0: "STF"}.get(self.value, "SLOW")
        if self.kind in ("slow-pin", "open-pin"):
            word = {"slow-pin": "SLOW", "open-pin": "OPEN"}[self.kind]
            return f"{word}:{circuit.nets[circuit.fan_in[circuit.driver[self.net]][self.pin]]}"
        if self.kind == "pin":
            return f"SA{self.value}:{circuit.nets[circuit.fan_in[circuit.driver[self.net]][self.pin]]}"
        return f"SA{self.value}"

    @property
    def is_delay(self) -> bool:
        """Whether the fault makes edges late instead of values wrong."""
        return self.kind in DELAY_KINDS


def list_delay_faults(circuit: Circuit) -> list[Fault]:
    """Return the delay faults of ``circuit``: every net slow to rise, fall or both; branches."""
    faults = [Fault(net, "slow", value) for net in range(len(circuit.nets)) for value in (0, 1, -1)]
    for pins, net in zip(circuit.fan_in, circuit.drives, strict=True):
        branches = [place for place, pin in enumerate(pins) if circuit.fan_out[pin] > 1]
        faults += [Fault(net, "slow-pin", pin=place) for place in branches]
    return faults


def list_opens(circuit: Circuit) -> list[Fault]:
    """Return the resistive opens of ``circuit``: of every net, and of each branch of a net that feeds several pins."""
    opens = [Fault(net, "open", half_cycles=half) for net in range(len(circuit.nets)) for half in HALF_CYCLES]
    for pins, net in zip(circuit.fan_in, circuit.drives, strict=True):
        branches = [place for place, pin in enumerate(pins) if circuit.fan_out[pin] > 1]
        opens += [Fault(net, "open-pin", pin=place, half_cycles=half) for place in branches for half in HALF_CYCLES]
    return opens


def list_faults(circuit: Circuit) -> list[Fault]:
    """Return every static single fault of ``circuit``: stems of all nets, pins of gates with several inputs, swaps.

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


def previous_values(values: Words, patterns: int) -> Words:
    """Return packed ``values`` (uint64, shape ``(..., words)``) one pattern earlier in the loop of ``patterns``."""
    bits = unpack_patterns(values, patterns).reshape(-1, patterns)
    return np.asarray(pack_patterns(np.roll(bits, 1, axis=1).T).reshape(values.shape), np.uint64)


def local_errors(circuit: Circuit, good: Words, faults: Sequence[Fault], patterns: int) -> Words:
    """Return the patterns in which the gate of each of ``faults`` is wrong, packed: uint64 of ``(faults, words)``.

    ``good`` is uint64 of shape ``(nets, words)``, the values of ``circuit`` in a loop of ``patterns``.
    """
    before = previous_values(good, patterns) if any(fault.is_delay for fault in faults) else good
    weak = _weak_values(circuit, good, faults, patterns)
    errors = np.empty((len(faults), good.shape[1]), np.uint64)
    for place, fault in enumerate(faults):
        errors[place] = _faulty_value(circuit, good, before, fault, weak.get(place)) ^ good[fault.net]
    return errors


def _weak_values(circuit: Circuit, good: Words, faults: Sequence[Fault], patterns: int) -> dict[int, Words]:
    """Return what is read behind each open of ``faults``, by its place, packed."""
    places = [place for place, fault in enumerate(faults) if fault.kind in OPEN_KINDS]
    if not places:
        return {}
    opens = [faults[place] for place in places]
    nets = [circuit.fan_in[circuit.driver[item.net]][item.pin] if item.pin >= 0 else item.net for item in opens]
    read = weak_values(
        unpack_patterns(good[nets], patterns),
        np.asarray([item.half_cycles for item in opens], np.float64),
        np.asarray([item.value for item in opens], np.int64),
    )
    return dict(zip(places, pack_patterns(read.T), strict=True))


def _faulty_value(circuit: Circuit, good: Words, before: Words, fault: Fault, weak: Words | None) -> Words:
    if fault.kind == "open" and weak is not None:
        return weak
    stuck = np.full(good.shape[1], 0xFFFFFFFFFFFFFFFF if fault.value == 1 else 0, np.uint64)
    if fault.kind == "stem":
        return stuck
    if fault.kind == "slow":
        now, then = good[fault.net], before[fault.net]
        return np.asarray({1: now & then, 0: now | then}.get(fault.value, then), np.uint64)
    gate = circuit.driver[fault.net]
    operands = [good[pin] for pin in circuit.fan_in[gate]]
    if fault.kind == "swap":
        return evaluate(fault.function, operands)
    if weak is not None:
        operands[fault.pin] = weak
    else:
        operands[fault.pin] = stuck if fault.kind == "pin" else before[circuit.fan_in[gate][fault.pin]]
    return evaluate(circuit.gates[gate].function, operands)


def simulate_faults(
    circuit: Circuit, stimulus: Words, faults: Sequence[Fault], watched: Sequence[int]
) -> Iterator[FaultChunk]:
    """Simulate each of ``faults`` of ``circuit`` on ``stimulus``; yield the values of ``watched`` nets, chunk by chunk.

    ``stimulus`` is uint64 of shape ``(inputs, words)``; ``watched`` are net numbers. A fault is a flip of its net in
    the patterns in which its gate is wrong, so that only nets are simulated, not faults. The loop of a delay fault is
    all patterns of the words. A chunk fits into :data:`CHUNK_BYTES`.
    """
    good = simulate(circuit, stimulus)
    words = stimulus.shape[1]
    errors = local_errors(circuit, good, faults, words * 64)
    size = int(max(8, min(1024, CHUNK_BYTES // max(1, len(watched) * words * 8))))
    order = sorted(range(len(faults)), key=lambda place: faults[place].net)
    for start in range(0, len(order), size):
        places = np.asarray(order[start : start + size], np.int64)
        nets = [faults[place].net for place in places]
        sites, rows = np.unique(nets, return_inverse=True)
        flips = propagate_flips(circuit, good, sites.tolist(), watched)
        yield FaultChunk(places, good[list(watched)] ^ (flips[rows] & errors[places, None]))

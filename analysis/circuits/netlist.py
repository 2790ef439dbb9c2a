"""A gate-level circuit as arrays, levelised, in full-scan view.

In full-scan view each flip-flop is cut: its output net is an input of the combinational circuit (the tester sets it)
and its data net an output (the tester reads it).
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FUNCTIONS = ("AND", "NAND", "OR", "NOR", "XOR", "XNOR", "NOT", "BUF", "CONST0", "CONST1")
TABLE_PREFIX = "TABLE:"


class CircuitError(ValueError):
    """The gates do not make a circuit that can be simulated; the message names the net or gate."""


@dataclass(frozen=True)
class LogicGate:
    """``output = function(inputs)``: nets by name.

    ``function`` is one of :data:`FUNCTIONS`, ``DFF``, or ``TABLE:<bits>`` with bit ``i`` the output for the inputs
    whose binary number is ``i``, the first input being the most significant bit.
    """

    output: str
    function: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """Gates of one function and one logic level, which do not wait for each other.

    Attributes:
        function: see :class:`LogicGate`.
        gates: places in ``Circuit.gates``, int64 of shape ``(g,)``.
        pins: net numbers of their inputs, int64 of shape ``(g, inputs)``.
        drives: net numbers of their outputs, int64 of shape ``(g,)``.
    """

    function: str
    gates: NDArray[np.int64]
    pins: NDArray[np.int64]
    drives: NDArray[np.int64]


@dataclass(frozen=True)
class Circuit:
    """A combinational circuit in evaluation order.

    Attributes:
        nets: every net's name; a net's number is its place here.
        inputs: net numbers of primary inputs and flip-flop outputs.
        outputs: net numbers of primary outputs and flip-flop data nets, without repeats.
        output_names: for each entry of ``outputs`` the names by which a tester may call it.
        gates: gates in topological order, flip-flops left out.
        fan_in: for each gate the net numbers of its inputs.
        drives: for each gate the net number of its output.
    """

    nets: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_names: tuple[tuple[str, ...], ...]
    gates: tuple[LogicGate, ...]
    fan_in: tuple[tuple[int, ...], ...]
    drives: tuple[int, ...]

    @cached_property
    def number(self) -> dict[str, int]:
        """Net number by name."""
        return {name: index for index, name in enumerate(self.nets)}

    @cached_property
    def driver(self) -> dict[int, int]:
        """Gate (place in ``gates``) by the net it drives; inputs have none."""
        return {net: gate for gate, net in enumerate(self.drives)}

    @cached_property
    def fan_out(self) -> NDArray[np.int64]:
        """How many gate pins and outputs each net feeds, int64 of shape ``(nets,)``."""
        counts = np.zeros(len(self.nets), np.int64)
        for pins in self.fan_in:
            for net in pins:
                counts[net] += 1
        for net in self.outputs:
            counts[net] += 1
        return counts

    @cached_property
    def readers(self) -> Counter[int]:
        """How many gates read each net, by its number."""
        return Counter(pin for pins in self.fan_in for pin in set(pins))

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """All gates, level by level: after the gates that drive them, those of one function together."""
        level = [0] * len(self.nets)
        members: dict[tuple[int, str, int], list[int]] = {}
        for gate, (pins, net) in enumerate(zip(self.fan_in, self.drives, strict=True)):
            level[net] = 1 + max((level[pin] for pin in pins), default=0)
            members.setdefault((level[net], self.gates[gate].function, len(pins)), []).append(gate)
        return tuple(
            Stage(
                function,
                np.asarray(gates, np.int64),
                np.asarray([self.fan_in[gate] for gate in gates], np.int64).reshape(len(gates), inputs),
                np.asarray([self.drives[gate] for gate in gates], np.int64),
            )
            for (_, function, inputs), gates in sorted(members.items())
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything above: equal circuits have equal digests."""
        parts = (self.nets, self.inputs, self.outputs, [gate.function for gate in self.gates], self.fan_in, self.drives)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @cached_property
    def output_number(self) -> dict[str, int]:
        """Place in ``outputs`` by any name a tester may use."""
        return {name: place for place, names in enumerate(self.output_names) for name in names}


def build_circuit(gates: Sequence[LogicGate], inputs: Sequence[str], outputs: Sequence[str]) -> Circuit:
    """Return the circuit of ``gates`` with the primary ``inputs`` and ``outputs`` (names), flip-flops cut.

    Raises:
        CircuitError: a net has no driver or two, a function is unknown or has the wrong number of inputs, or the
            combinational gates form a loop.
    """
    states = {gate.output: gate.inputs[0] for gate in gates if gate.function == "DFF"}
    logic = [gate for gate in gates if gate.function != "DFF"]
    sources = [*inputs, *states]
    _check_drivers(logic, sources)
    order = _topological_order(logic, sources)
    names = (*sources, *(gate.output for gate in order))
    number = {name: index for index, name in enumerate(names)}
    observed: dict[int, list[str]] = {}
    for name in outputs:
        observed.setdefault(_number_of(number, name), []).append(name)
    for state, data in states.items():
        observed.setdefault(_number_of(number, data), []).extend((data, state))
    return Circuit(
        nets=names,
        inputs=tuple(range(len(sources))),
        outputs=tuple(observed),
        output_names=_unambiguous(observed),
        gates=tuple(order),
        fan_in=tuple(tuple(_number_of(number, net) for net in gate.inputs) for gate in order),
        drives=tuple(number[gate.output] for gate in order),
    )


def _unambiguous(observed: Mapping[int, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Keep each name at one output only: a flip-flop's own output net may itself be a primary output."""
    taken: set[str] = set()
    result: list[tuple[str, ...]] = []
    for names in observed.values():
        free = tuple(dict.fromkeys(name for name in names if name not in taken))
        taken.update(free)
        result.append(free)
    return tuple(result)


def _number_of(number: Mapping[str, int], name: str) -> int:
    try:
        return number[name]
    except KeyError:
        raise CircuitError(f"the net {name} has no driver") from None


def _check_drivers(logic: Sequence[LogicGate], sources: Sequence[str]) -> None:
    driven = [*sources, *(gate.output for gate in logic)]
    if len(set(driven)) != len(driven):
        twice = next(name for name, count in Counter(driven).items() if count > 1)
        raise CircuitError(f"the net {twice} has two drivers")
    for gate in logic:
        table = gate.function.startswith(TABLE_PREFIX)
        if not table and gate.function not in FUNCTIONS:
            raise CircuitError(f"the gate of {gate.output} has the unknown function {gate.function}")
        if table and len(gate.function) - len(TABLE_PREFIX) != 1 << len(gate.inputs):
            raise CircuitError(f"the truth table of {gate.output} does not fit its {len(gate.inputs)} inputs")
        wrong = {"NOT": 1, "BUF": 1, "CONST0": 0, "CONST1": 0}.get(gate.function, len(gate.inputs)) != len(gate.inputs)
        if wrong or (not gate.inputs and not gate.function.startswith(("CONST", TABLE_PREFIX))):
            raise CircuitError(f"the gate of {gate.output} has {len(gate.inputs)} inputs, too many or too few")


def _topological_order(logic: Sequence[LogicGate], sources: Sequence[str]) -> list[LogicGate]:
    """Return the gates with every gate after those that drive it (Kahn's algorithm)."""
    known = set(sources)
    waiting = {gate.output: len(set(gate.inputs) - known) for gate in logic}
    readers: dict[str, list[LogicGate]] = {}
    for gate in logic:
        for net in set(gate.inputs):
            readers.setdefault(net, []).append(gate)
    ready = [gate for gate in logic if waiting[gate.output] == 0]
    order: list[LogicGate] = []
    while ready:
        gate = ready.pop()
        order.append(gate)
        for reader in readers.get(gate.output, ()):
            waiting[reader.output] -= 1
            if waiting[reader.output] == 0:
                ready.append(reader)
    if len(order) != len(logic):
        driven = {gate.output for gate in logic} | set(sources)
        for gate in logic:
            for net in gate.inputs:
                if net not in driven:
                    raise CircuitError(f"the net {net} has no driver")
        stuck = next(name for name, count in waiting.items() if count)
        raise CircuitError(f"the combinational gates form a loop through {stuck}")
    return order


def depth(circuit: Circuit) -> int:
    """Return the number of gates on the longest path of ``circuit``."""
    level = [0] * len(circuit.nets)
    for net, pins in zip(circuit.drives, circuit.fan_in, strict=True):
        level[net] = 1 + max((level[pin] for pin in pins), default=0)
    return max(level, default=0)


def fan_in_cone(circuit: Circuit, nets: Sequence[int]) -> NDArray[np.bool_]:
    """Return which nets of ``circuit`` reach any of ``nets`` (numbers), these included: bool of shape ``(nets,)``."""
    inside = np.zeros(len(circuit.nets), np.bool_)
    inside[list(nets)] = True
    for net, pins in zip(reversed(circuit.drives), reversed(circuit.fan_in), strict=True):
        if inside[net]:
            inside[list(pins)] = True
    return inside


def fan_out_cone(circuit: Circuit, nets: Sequence[int]) -> NDArray[np.bool_]:
    """Return which nets of ``circuit`` any of ``nets`` (numbers) reaches, these included: bool of shape ``(nets,)``."""
    inside = np.zeros(len(circuit.nets), np.bool_)
    inside[list(nets)] = True
    for net, pins in zip(circuit.drives, circuit.fan_in, strict=True):
        inside[net] |= any(inside[pin] for pin in pins)
    return inside


def is_levelised(circuit: Circuit) -> bool:
    """Return whether every gate of ``circuit`` stands after the gates that drive it."""
    ordered = all(max(pins, default=-1) < net for net, pins in zip(circuit.drives, circuit.fan_in, strict=True))
    return ordered and all(before < after for before, after in pairwise(circuit.drives))

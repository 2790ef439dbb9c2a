"""A small, obvious evaluator of netlists in full-scan view: the twin that readers are judged by.

A value is an integer whose bit ``p`` is the net's value in pattern ``p``.
"""

from collections.abc import Mapping
from functools import reduce
from operator import and_, or_, xor

from instruments.records import Gate, Netlist


def gate_value(gate: Gate, inputs: list[int], mask: int) -> int:
    """The output word of a combinational gate; ``mask`` has a 1 for every pattern."""
    name = gate.function
    if name.startswith("TABLE:"):
        bits = name.removeprefix("TABLE:")
        assert len(bits) == 2 ** len(inputs)
        return reduce(or_, (minterm(index, inputs, mask) for index, bit in enumerate(bits) if bit == "1"), 0)
    if name in ("CONST0", "CONST1"):
        return mask if name == "CONST1" else 0
    if name in ("BUF", "NOT"):
        (word,) = inputs
        return word if name == "BUF" else mask & ~word
    inverting = name in ("NAND", "NOR", "XNOR")
    operation = {"AND": and_, "NAND": and_, "OR": or_, "NOR": or_, "XOR": xor, "XNOR": xor}[name]
    word = reduce(operation, inputs)
    return mask & ~word if inverting else word


def minterm(index: int, inputs: list[int], mask: int) -> int:
    """The patterns in which the inputs, first one most significant, make the binary number ``index``."""
    word = mask
    for position, value in enumerate(reversed(inputs)):
        word &= value if index >> position & 1 else ~value
    return word


def scan_view(netlist: Netlist) -> tuple[list[str], dict[str, str]]:
    """Inputs (with flip-flop outputs), and what is observed: output or ``flip-flop output/next`` to its net."""
    flip_flops = [gate for gate in netlist.gates if gate.function == "DFF"]
    inputs = [*netlist.inputs, *(gate.output for gate in flip_flops)]
    observed = {net: net for net in netlist.outputs} | {f"{gate.output}/next": gate.inputs[0] for gate in flip_flops}
    return inputs, observed


def evaluate(netlist: Netlist, stimulus: Mapping[str, int], mask: int) -> dict[str, int]:
    """Observed words for words over the scan-view inputs, by evaluating each net when it is asked for."""
    drivers = {gate.output: gate for gate in netlist.gates if gate.function != "DFF"}
    values = dict(stimulus)
    _, observed = scan_view(netlist)
    for wanted in observed.values():
        stack = [wanted]
        while stack:
            net = stack[-1]
            if net in values:
                stack.pop()
                continue
            missing = [source for source in drivers[net].inputs if source not in values]
            if missing:
                stack += missing
            else:
                values[net] = gate_value(drivers[net], [values[source] for source in drivers[net].inputs], mask)
    return {name: values[net] for name, net in observed.items()}

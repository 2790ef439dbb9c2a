"""Logic and faults one pattern and one machine at a time: the slow, obvious twin of the bit-parallel simulators."""

import random
from collections.abc import Mapping

from analysis.circuits.faults import Fault
from analysis.circuits.netlist import Circuit, LogicGate, build_circuit

SYMMETRIC = ("AND", "NAND", "OR", "NOR", "XOR", "XNOR")


def gate_bit(function: str, inputs: list[int]) -> int:
    """The output of a gate for input bits, by its definition."""
    if function.startswith("TABLE:"):
        row = int("".join(map(str, inputs)) or "0", 2)
        return int(function.removeprefix("TABLE:")[row])
    return {
        "AND": lambda: int(all(inputs)),
        "NAND": lambda: int(not all(inputs)),
        "OR": lambda: int(any(inputs)),
        "NOR": lambda: int(not any(inputs)),
        "XOR": lambda: sum(inputs) % 2,
        "XNOR": lambda: 1 - sum(inputs) % 2,
        "NOT": lambda: 1 - inputs[0],
        "BUF": lambda: inputs[0],
        "CONST0": lambda: 0,
        "CONST1": lambda: 1,
    }[function]()


def simulate_one(circuit: Circuit, pattern: Mapping[str, int], fault: Fault | None = None) -> dict[str, int]:
    """Every net's bit in one pattern, by asking each net's driver in turn until nothing is unknown."""
    drivers = {gate.output: gate for gate in circuit.gates}

    def value_of(net: str) -> int:
        if net in values:
            return values[net]
        faulty = fault is not None and circuit.nets[fault.net] == net
        if faulty and fault is not None and fault.kind == "stem":
            values[net] = fault.value
        elif net not in drivers:
            values[net] = pattern[net]
        else:
            gate = drivers[net]
            inputs = [value_of(pin) for pin in gate.inputs]
            function = gate.function
            if faulty and fault is not None and fault.kind == "pin":
                inputs[fault.pin] = fault.value
            if faulty and fault is not None and fault.kind == "swap":
                function = fault.function
            values[net] = gate_bit(function, inputs)
        return values[net]

    values: dict[str, int] = {}
    for net in circuit.nets:
        value_of(net)
    return values


def random_circuit(seed: int, gates: int = 25, inputs: int = 5) -> Circuit:
    """A random circuit with every gate function, fan-out, reconvergence, truth tables and constants."""
    numbers = random.Random(seed)
    names = [f"i{place}" for place in range(inputs)]
    drawn: list[LogicGate] = []
    for place in range(gates):
        function = numbers.choice([*SYMMETRIC, *SYMMETRIC, "NOT", "BUF", "TABLE", "CONST0", "CONST1"])
        width = {"NOT": 1, "BUF": 1, "CONST0": 0, "CONST1": 0}.get(function, numbers.randint(1, 4))
        if function == "TABLE":
            function = "TABLE:" + "".join(numbers.choice("01") for _ in range(1 << width))
        drawn.append(LogicGate(f"g{place}", function, tuple(numbers.choice(names) for _ in range(width))))
        names.append(f"g{place}")
    outputs = numbers.sample(names[inputs:], 4)
    numbers.shuffle(drawn)
    return build_circuit(drawn, names[:inputs], outputs)


def simulate_forced(circuit: Circuit, pattern: Mapping[str, int], forced: Mapping[str, int]) -> dict[str, int]:
    """Each net's bit in one pattern when some nets have a value whatever drives them."""
    drivers = {gate.output: gate for gate in circuit.gates}
    values: dict[str, int] = {}

    def value_of(net: str) -> int:
        if net not in values:
            if net in forced:
                values[net] = forced[net]
            elif net in drivers:
                values[net] = gate_bit(drivers[net].function, [value_of(pin) for pin in drivers[net].inputs])
            else:
                values[net] = pattern[net]
        return values[net]

    return {net: value_of(net) for net in circuit.nets}

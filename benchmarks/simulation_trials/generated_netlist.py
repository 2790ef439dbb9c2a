"""A netlist of any size with the shape of placed logic: local wires, few long ones, limited depth, many flip-flops.

No claim is made that its cones are those of a product; how large they are is printed with every figure.
"""

import random

from analysis.circuits.netlist import Circuit, LogicGate, build_circuit

FUNCTIONS = ("NAND", "NAND", "NOR", "NOR", "AND", "OR", "XOR", "XNOR", "NOT", "NAND")
DEEPEST = 40
"""Most gates between two flip-flops."""
NEAR, FAR = 80, 4000
"""Nets back from which most inputs, and the long wires, come."""
LONG_WIRES = 0.03
GATES_PER_FLIP_FLOP = 10
TRIES = 4
"""Nets that are looked at for one that nothing reads yet."""


def generate_netlist(gates: int, seed: int = 1) -> Circuit:
    """Return a circuit of that many gates, in full-scan view; equal seeds give equal circuits."""
    numbers = random.Random(seed)
    nets = [f"i{place}" for place in range(64)]
    level = dict.fromkeys(nets, 0)
    unused = dict.fromkeys(nets)
    logic: list[LogicGate] = []
    states: list[str] = []
    for place in range(gates):
        if place % GATES_PER_FLIP_FLOP == 0:
            states.append(f"q{place}")
            nets.append(states[-1])
            level[states[-1]] = 0
            unused[states[-1]] = None
        function = numbers.choice(FUNCTIONS)
        width = 1 if function == "NOT" else numbers.choice((2, 2, 2, 3))
        below = numbers.randint(1, DEEPEST)
        pins = [_draw(numbers, nets, level, unused, below) for _ in range(width)]
        net = f"g{place}"
        logic.append(LogicGate(net, function, tuple(pins)))
        level[net] = 1 + max(level[pin] for pin in pins)
        for pin in pins:
            unused.pop(pin, None)
        unused[net] = None
        nets.append(net)
    dangling = [net for net in unused if net.startswith("g")]
    flops = [LogicGate(state, "DFF", (data,)) for state, data in zip(states, dangling, strict=False)]
    drawn = [f"g{numbers.randrange(gates)}" for _ in states[len(flops) :]]
    flops += [LogicGate(state, "DFF", (data,)) for state, data in zip(states[len(flops) :], drawn, strict=True)]
    return build_circuit([*logic, *flops], nets[:64], dangling[len(states) :] or dangling[:1])


def _draw(numbers: random.Random, nets: list[str], level: dict[str, int], unused: dict[str, None], below: int) -> str:
    """Return a net not too far back of a level below ``below``, rather one that nothing reads yet."""
    reach = FAR if numbers.random() < LONG_WIRES else NEAR
    tries = 0
    while True:
        net = nets[max(0, len(nets) - 1 - numbers.randrange(reach))]
        tries += 1
        if level[net] < below and (net in unused or tries >= TRIES):
            return net

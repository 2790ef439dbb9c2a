"""The demonstration's circuit: an 8-bit accumulator with ALU, comparator, parity and CRC, about 360 gates.

Written by this project, from known blocks, so that anybody can check that it adds.
"""

from dataclasses import dataclass, field

WIDTH = 8
CELL_WIDTHS_UM = {"NOT": 1.38, "BUF": 1.84, "NAND": 1.38, "NOR": 1.38, "AND": 2.3, "OR": 2.3, "XOR": 3.22, "XNOR": 3.22}
ROW_HEIGHT_UM = 2.72
ROW_WIDTH_UM = 60.0


@dataclass(frozen=True)
class DemoGate:
    """``output = function(inputs)``; a ``DFF`` has its data net as the input."""

    output: str
    function: str
    inputs: tuple[str, ...]


@dataclass
class DemoCircuit:
    """Ports and gates of the circuit, flip-flops included."""

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    gates: list[DemoGate] = field(default_factory=list)

    def gate(self, output: str, function: str, *inputs: str) -> str:
        """Add a gate and return its output net."""
        self.gates.append(DemoGate(output, function, inputs))
        return output

    def to_bench(self) -> str:
        """Return the circuit as ISCAS ``.bench`` text."""
        lines = ["# 8-bit accumulator of the demonstration"]
        lines += [f"INPUT({net})" for net in self.inputs]
        lines += [f"OUTPUT({net})" for net in self.outputs]
        lines += [f"{gate.output} = {gate.function}({', '.join(gate.inputs)})" for gate in self.gates]
        return "\n".join(lines) + "\n"


def build_accumulator() -> DemoCircuit:
    """Return the accumulator: ``acc' = op(acc, d)``, with carry, zero, comparison, parity and a CRC of the result."""
    circuit = DemoCircuit()
    data = [f"d{bit}" for bit in range(WIDTH)]
    select = ["op0", "op1", "op2"]
    circuit.inputs += [*data, *select, "cin", "load", "clear"]
    acc = [f"acc{bit}" for bit in range(WIDTH)]
    inverted = {net: circuit.gate(f"{net}_n", "NOT", net) for net in select}
    operand = [circuit.gate(f"b{bit}", "XOR", data[bit], "op2") for bit in range(WIDTH)]
    total, carry = _add(circuit, acc, operand)
    lines = [_pick(circuit, bit, (total[bit], acc[bit], operand[bit]), select, inverted) for bit in range(WIDTH)]
    _compare(circuit, acc, data)
    _fold(circuit, lines)
    circuit.gate("carry", "BUF", carry)
    circuit.outputs += ["carry"]
    keep = circuit.gate("keep", "NOT", "clear")
    hold = circuit.gate("load_n", "NOT", "load")
    for bit in range(WIDTH):
        new = circuit.gate(f"ld{bit}", "NAND", lines[bit], "load")
        old = circuit.gate(f"hd{bit}", "NAND", acc[bit], hold)
        either = circuit.gate(f"mx{bit}", "NAND", new, old)
        circuit.gate(f"nx{bit}", "AND", either, keep)
        circuit.gate(acc[bit], "DFF", f"nx{bit}")
        circuit.outputs.append(lines[bit])
    return circuit


def _add(circuit: DemoCircuit, left: list[str], right: list[str]) -> tuple[list[str], str]:
    """Add a ripple-carry adder; return the sum bits and the last carry."""
    carry, total = "cin", []
    for bit, (a, b) in enumerate(zip(left, right, strict=True)):
        propagate = circuit.gate(f"p{bit}", "XOR", a, b)
        generate = circuit.gate(f"g{bit}_n", "NAND", a, b)
        passed = circuit.gate(f"t{bit}_n", "NAND", propagate, carry)
        total.append(circuit.gate(f"s{bit}", "XOR", propagate, carry))
        carry = circuit.gate(f"c{bit + 1}", "NAND", generate, passed)
    return total, carry


def _pick(
    circuit: DemoCircuit, bit: int, nets: tuple[str, str, str], select: list[str], inverted: dict[str, str]
) -> str:
    """Choose sum, and, or, xor of one bit by ``op1 op0``; return the ALU's output net."""
    total, a, b = nets
    both = circuit.gate(f"and{bit}", "AND", a, b)
    any_ = circuit.gate(f"or{bit}", "OR", a, b)
    differ = circuit.gate(f"xor{bit}", "XOR", a, b)
    terms = []
    for place, (net, one, zero) in enumerate(
        (
            (total, inverted["op1"], inverted["op0"]),
            (both, inverted["op1"], select[0]),
            (any_, select[1], inverted["op0"]),
            (differ, select[1], select[0]),
        )
    ):
        gate = circuit.gate(f"sel{bit}_{place}", "AND", one, zero)
        terms.append(circuit.gate(f"m{bit}_{place}", "NAND", net, gate))
    return circuit.gate(f"y{bit}", "NAND", *terms)


def _compare(circuit: DemoCircuit, left: list[str], right: list[str]) -> None:
    """Add outputs ``eq`` and ``gt`` of two words."""
    same = [circuit.gate(f"eq{bit}", "XNOR", left[bit], right[bit]) for bit in range(WIDTH)]
    low = circuit.gate("eq_low", "AND", *same[:4])
    high = circuit.gate("eq_high", "AND", *same[4:])
    circuit.gate("eq", "AND", low, high)
    greater = "gt0_"
    circuit.gate("d0_n", "NOT", right[0])
    circuit.gate(greater, "AND", left[0], "d0_n")
    for bit in range(1, WIDTH):
        none = circuit.gate(f"d{bit}_n", "NOT", right[bit])
        here = circuit.gate(f"gt{bit}_here", "NAND", left[bit], none)
        below = circuit.gate(f"gt{bit}_below", "NAND", same[bit], greater)
        greater = circuit.gate(f"gt{bit}_", "NAND", here, below)
    circuit.gate("gt", "BUF", greater)
    circuit.outputs += ["eq", "gt"]


def _fold(circuit: DemoCircuit, word: list[str]) -> None:
    """Add ``zero``, ``parity`` and a 4-bit CRC (x^4 + x + 1) of a word with its flip-flops."""
    pairs = [circuit.gate(f"par{place}", "XOR", word[2 * place], word[2 * place + 1]) for place in range(4)]
    halves = [circuit.gate("par_low", "XOR", pairs[0], pairs[1]), circuit.gate("par_high", "XOR", pairs[2], pairs[3])]
    circuit.gate("parity", "XOR", *halves)
    nothing = [circuit.gate(f"nor{place}", "NOR", word[2 * place], word[2 * place + 1]) for place in range(4)]
    circuit.gate("zero", "AND", *nothing)
    state = [f"crc{bit}" for bit in range(4)]
    for step, net in enumerate(word):
        back = circuit.gate(f"fb{step}", "XOR", state[3], net)
        first = circuit.gate(f"crc1_{step}", "XOR", state[0], back)
        state = [back, first, state[1], state[2]]
    for bit, net in enumerate(state):
        circuit.gate(f"crc_next{bit}", "BUF", net)
        circuit.gate(f"crc{bit}", "DFF", f"crc_next{bit}")
        circuit.outputs.append(f"crc_next{bit}")
    circuit.outputs += ["parity", "zero"]


def place_in_rows(circuit: DemoCircuit) -> dict[str, tuple[float, float]]:
    """Return the place in micrometres of the drain that drives each net: cells side by side in rows.

    Primary inputs are driven by input buffers, which come first.
    """
    places: dict[str, tuple[float, float]] = {}
    x_um, row = 0.0, 0
    cells = [(net, "BUF") for net in circuit.inputs] + [(gate.output, gate.function) for gate in circuit.gates]
    for net, function in cells:
        width = CELL_WIDTHS_UM.get(function, 9.2)
        if x_um + width > ROW_WIDTH_UM:
            x_um, row = 0.0, row + 1
        places[net] = (round(x_um + width / 2, 3), round((row + 0.5) * ROW_HEIGHT_UM, 3))
        x_um += width
    return places

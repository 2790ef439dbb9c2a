"""Circuits made for the benchmark, of other widths and structures than the public ones: what nothing was tuned on."""

from collections.abc import Sequence

import numpy as np

from services.demo.circuit import DemoCircuit


def build_multiplier(width: int) -> DemoCircuit:
    """Return an array multiplier of two words of ``width`` bits: carry-save rows, then a ripple of carries."""
    left, right = [f"a{bit}" for bit in range(width)], [f"b{bit}" for bit in range(width)]
    circuit = DemoCircuit([*left, *right], [], [])
    product = [[circuit.gate(f"p{i}_{j}", "AND", left[j], right[i]) for j in range(width)] for i in range(width)]
    carries: list[str] = []
    row, low = product[0], [product[0][0]]
    for i in range(1, width):
        sums, outs = [], []
        for j in range(width):
            terms = [product[i][j], *([row[j + 1]] if j + 1 < width else []), *(carries[j : j + 1])]
            total, carry = _add(circuit, f"r{i}_{j}", terms)
            sums.append(total)
            outs.append(carry)
        row, carries = sums, [carry for carry in outs if carry]
        low.append(row[0])
    before: list[str] = []
    for j in range(1, width):
        total, carry = _add(circuit, f"f{j}", [row[j], *(carries[j - 1 : j]), *before])
        low.append(total)
        before = [carry] if carry else []
    circuit.outputs += [*low, *before]
    return circuit


def _add(circuit: DemoCircuit, name: str, terms: Sequence[str]) -> tuple[str, str]:
    """Add one to three bits with XOR, AND and OR gates; return sum and carry, empty where there is none."""
    if len(terms) == 1:
        return terms[0], ""
    half = circuit.gate(f"{name}_x", "XOR", terms[0], terms[1])
    both = circuit.gate(f"{name}_c", "AND", terms[0], terms[1])
    if len(terms) == 2:
        return half, both
    total = circuit.gate(f"{name}_s", "XOR", half, terms[2])
    late = circuit.gate(f"{name}_d", "AND", half, terms[2])
    return total, circuit.gate(f"{name}_o", "OR", both, late)


def build_shifter(width: int) -> DemoCircuit:
    """Return a barrel rotator of ``width`` bits, a power of two, of NAND multiplexers, with the parity of its word."""
    word, select = [f"d{bit}" for bit in range(width)], [f"s{bit}" for bit in range(width.bit_length() - 1)]
    circuit = DemoCircuit([*word, *select], [], [])
    for stage, net in enumerate(select):
        inverse = circuit.gate(f"n{stage}", "NOT", net)
        moved = word[2**stage :] + word[: 2**stage]
        word = [
            circuit.gate(
                f"y{stage}_{bit}",
                "NAND",
                circuit.gate(f"k{stage}_{bit}", "NAND", inverse, stay),
                circuit.gate(f"m{stage}_{bit}", "NAND", net, move),
            )
            for bit, (stay, move) in enumerate(zip(word, moved, strict=True))
        ]
    circuit.outputs += word
    parity = word
    while len(parity) > 1:
        parity = [
            circuit.gate(f"q{len(parity)}_{place}", "XOR", *pair)
            for place, pair in enumerate(zip(parity[::2], parity[1::2], strict=True))
        ]
    circuit.outputs += parity
    return circuit


def build_arbiter(width: int) -> DemoCircuit:
    """Return a priority arbiter with masks: AND-OR chains of NOR and NAND gates, as control logic has them."""
    wants, masks = [f"w{bit}" for bit in range(width)], [f"k{bit}" for bit in range(width)]
    circuit = DemoCircuit([*wants, *masks], [], [])
    busy = ""
    for bit, (want, mask) in enumerate(zip(wants, masks, strict=True)):
        open_ = circuit.gate(f"o{bit}", "NOT", mask)
        asks = circuit.gate(f"a{bit}", "AND", want, open_)
        if not busy:
            circuit.gate(f"g{bit}", "BUF", asks)
            busy = asks
        else:
            none = circuit.gate(f"n{bit}", "NOT", asks)
            circuit.gate(f"g{bit}", "NOR", busy, none)
            idle = circuit.gate(f"i{bit}", "NOR", busy, asks)
            busy = circuit.gate(f"b{bit}", "NOT", idle)
        circuit.outputs.append(f"g{bit}")
    circuit.outputs.append(busy)
    return circuit


def build_random(gates: int, inputs: int, seed: int) -> DemoCircuit:
    """Return ``gates`` wired at random to nets shortly before them; what no gate reads is an output.

    There are at most so many ``inputs``; ``seed`` draws functions and wires.
    """
    numbers = np.random.default_rng(seed)
    nets = [f"x{place}" for place in range(inputs)]
    circuit = DemoCircuit(list(nets), [], [])
    used: set[str] = set()
    for place in range(gates):
        function = str(numbers.choice(["NAND", "NOR", "AND", "OR", "XOR", "NOT"], p=[0.3, 0.2, 0.15, 0.15, 0.1, 0.1]))
        count = (
            1 if function == "NOT" else 2 if function == "XOR" else int(numbers.choice([2, 3, 4], p=[0.6, 0.3, 0.1]))
        )
        window = nets[-(2 * inputs) :]
        chosen = [window[int(pick)] for pick in numbers.choice(len(window), count, replace=False)]
        used.update(chosen)
        nets.append(circuit.gate(f"z{place}", function, *chosen))
    circuit.inputs[:] = [net for net in circuit.inputs if net in used]
    circuit.outputs += [net for net in nets[inputs:] if net not in used]
    return circuit


def build_made() -> dict[str, DemoCircuit]:
    """Return what ``--made`` runs, by name."""
    return {
        "multiplier6": build_multiplier(6),
        "shifter16": build_shifter(16),
        "arbiter24": build_arbiter(24),
        "random150": build_random(150, 16, 7),
    }

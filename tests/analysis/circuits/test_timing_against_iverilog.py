"""Timing simulation against Icarus Verilog, where it is installed: gate primitives with delays of rise and fall."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from analysis.circuits.delays import Delays, typical_delays
from analysis.circuits.netlist import Circuit
from analysis.circuits.timing_simulation import NEVER, simulate_pairs
from tests.naive.logic import random_circuit

pytestmark = pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs iverilog")

PRIMITIVE = ("AND", "NAND", "OR", "NOR", "XOR", "XNOR", "NOT", "BUF")
PAIRS = 8
CYCLE_FS = 10_000_000


def verilog(circuit: Circuit, delays: Delays, before: np.ndarray, after: np.ndarray) -> str:
    """A module that applies each pair, waits a cycle after each pattern, and prints every change of every net."""
    names = [circuit.nets[net] for net in circuit.inputs]
    lines = ["`timescale 1fs/1fs", "module top;", f"reg {', '.join(names)};"]
    for gate, (pins, net) in enumerate(zip(circuit.fan_in, circuit.drives, strict=True)):
        kind, out = circuit.gates[gate].function.lower(), circuit.nets[net]
        times = f"#({delays.rise_fs[gate, 0]}, {delays.fall_fs[gate, 0]})"
        lines += [f"wire {out};", f"{kind} {times} ({out}, {', '.join(circuit.nets[pin] for pin in pins)});"]
    lines += [f'always @({net}) $display("%0t {net}", $time);' for net in circuit.nets]
    lines.append("initial begin")
    for pair in range(len(before)):
        for row in (before[pair], after[pair]):
            lines += [f"{name} = {bit};" for name, bit in zip(names, row, strict=True)] + [f"#{CYCLE_FS};"]
    return "\n".join([*lines, "$finish; end", "endmodule", ""])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equals_icarus(seed: int, tmp_path: Path) -> None:
    circuit = random_circuit(seed, gates=60, inputs=8)
    if not all(gate.function in PRIMITIVE for gate in circuit.gates):
        circuit = _primitive(circuit)
    generator = np.random.default_rng(seed)
    width = typical_delays(circuit).rise_fs.shape[1]
    rise, fall = (np.repeat(generator.integers(1, 99_999, (len(circuit.gates), 1)), width, axis=1) for _ in range(2))
    start = np.zeros(len(circuit.inputs), np.int64)
    delays = Delays(rise, fall, start, start)
    before, after = generator.integers(0, 2, (2, PAIRS, len(circuit.inputs)), dtype=np.uint8)
    found = simulate_pairs(circuit, delays, before, after, range(len(circuit.nets)))

    (tmp_path / "top.v").write_text(verilog(circuit, delays, before, after))
    subprocess.run(["iverilog", "-o", "top.vvp", "top.v"], cwd=tmp_path, check=True)
    shown = subprocess.run(["vvp", "-n", "top.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    expected: dict[tuple[str, int], list[int]] = {}
    for line in shown.splitlines():
        time, _, net = line.partition(" ")
        cycle, rest = divmod(int(time), CYCLE_FS)
        if net in circuit.number and cycle % 2:
            expected.setdefault((net, cycle // 2), []).append(rest)
    transitions = 0
    for net, name in enumerate(circuit.nets):
        for pair in range(PAIRS):
            times = found.times_fs[net, pair]
            assert times[times < NEVER].tolist() == expected.get((name, pair), []), (name, pair)
            transitions += int(found.counts[net, pair])
    assert transitions > 100


def _primitive(circuit: Circuit) -> Circuit:
    """The same circuit with every gate that Verilog has no primitive for replaced by a NAND or a NOT."""
    from analysis.circuits.netlist import LogicGate, build_circuit

    gates = []
    for gate in circuit.gates:
        inputs = gate.inputs or (circuit.nets[0],)
        function = gate.function if gate.function in PRIMITIVE else ("NAND" if len(inputs) > 1 else "NOT")
        gates.append(LogicGate(gate.output, function, inputs))
    names = [circuit.nets[net] for net in circuit.inputs]
    return build_circuit(gates, names, [circuit.nets[net] for net in circuit.outputs])

"""Random circuits, written as .bench and as Verilog by small writers, are read back as they were."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.records import Gate, Netlist
from instruments.simulation.bench_netlist import BenchNetlistAdapter
from instruments.simulation.verilog_netlist import VerilogNetlistAdapter
from tests.instruments.simulation.sources import read_netlist, written

WIDE = ("AND", "NAND", "OR", "NOR", "XOR", "XNOR")
SINGLE = ("NOT", "BUF", "DFF")
NAMES = st.sampled_from(["n{}", "N_{}_", "bus[{}]", "top.u1/n{}", "$x{}", "a-{}"])


@st.composite
def circuits(draw: st.DrawFn) -> Netlist:
    """A loop-free circuit: each gate reads inputs, flip-flops or earlier gates."""
    inputs = [draw(NAMES).format(i) for i in range(draw(st.integers(1, 5)))]
    names = [draw(NAMES).format(i + 100) for i in range(draw(st.integers(1, 15)))]
    functions = [draw(st.sampled_from((*WIDE, *SINGLE))) for _ in names]
    state = [name for name, function in zip(names, functions, strict=True) if function == "DFF"]
    gates = []
    for index, (name, function) in enumerate(zip(names, functions, strict=True)):
        known = names if function == "DFF" else [*names[:index], *state]
        count = 1 if function in SINGLE else draw(st.integers(2, 4))
        sources = tuple(draw(st.sampled_from([*inputs, *known])) for _ in range(count))
        gates.append(Gate(name, function, function, name, sources))
    outputs = draw(st.lists(st.sampled_from([*names, *inputs]), min_size=1, max_size=4, unique=True))
    return Netlist("circuit", tuple(inputs), tuple(outputs), tuple(draw(st.permutations(gates))))


def bench_text(circuit: Netlist) -> str:
    lines = [f"INPUT({net})" for net in circuit.inputs] + [f"OUTPUT({net})" for net in circuit.outputs]
    lines += [f"{gate.output} = {gate.function}({', '.join(gate.inputs)})" for gate in circuit.gates]
    return "\n".join(lines) + "\n"


def verilog_text(circuit: Netlist) -> str:
    """Escaped names throughout; an output that is also an input or read twice goes through an assign."""
    ports = [f"input \\{net} " for net in ("clock", *circuit.inputs)]
    ports += [f"output \\out:{net} " for net in circuit.outputs]
    lines = [f"module circuit({', '.join(ports)});"]
    lines += [f"  wire \\{gate.output} ;" for gate in circuit.gates]
    for gate in circuit.gates:
        if gate.function == "DFF":
            lines.append(f"  dff \\i:{gate.output} (.Q(\\{gate.output} ), .CK(clock), .D(\\{gate.inputs[0]} ));")
        else:
            nets = ", ".join(f"\\{net} " for net in (gate.output, *gate.inputs))
            lines.append(f"  {gate.function.lower()} \\i:{gate.output} ({nets});")
    lines += [f"  assign \\out:{net} = \\{net} ;" for net in circuit.outputs]
    return "\n".join([*lines, "endmodule"]) + "\n"


@settings(max_examples=60, deadline=None)
@given(circuits())
def test_bench_reads_back_equal(circuit: Netlist) -> None:
    with tempfile.TemporaryDirectory() as folder:
        netlist = read_netlist(BenchNetlistAdapter(), written(Path(folder), "circuit.bench", bench_text(circuit)))
    assert (netlist.inputs, netlist.outputs, netlist.gates) == (circuit.inputs, circuit.outputs, circuit.gates)


@settings(max_examples=60, deadline=None)
@given(circuits())
def test_verilog_reads_back_equal(circuit: Netlist) -> None:
    with tempfile.TemporaryDirectory() as folder:
        netlist = read_netlist(VerilogNetlistAdapter(), written(Path(folder), "circuit.v", verilog_text(circuit)))
    assert netlist.inputs == ("clock", *circuit.inputs)
    assert netlist.outputs == tuple(f"out:{net}" for net in circuit.outputs)
    read = {(gate.output, gate.function, gate.inputs) for gate in netlist.gates if gate.cell != "assign"}
    assert read == {(gate.output, gate.function, gate.inputs) for gate in circuit.gates}
    assert len(netlist.gates) == len(circuit.gates) + len(circuit.outputs)
    assigned = {gate.output: gate.inputs for gate in netlist.gates if gate.cell == "assign"}
    assert assigned == {f"out:{net}": (net,) for net in circuit.outputs}

"""Building circuits: order, full-scan view, names, refusals."""

import pytest

from analysis.circuits.netlist import CircuitError, LogicGate, build_circuit, depth, is_levelised
from tests.naive.logic import random_circuit


def test_gates_come_after_their_drivers() -> None:
    for seed in range(30):
        assert is_levelised(random_circuit(seed))


def test_flip_flops_are_cut() -> None:
    gates = [LogicGate("q", "DFF", ("d",)), LogicGate("d", "XOR", ("q", "a")), LogicGate("y", "NOT", ("q",))]
    circuit = build_circuit(gates, ["a"], ["y"])
    assert [circuit.nets[net] for net in circuit.inputs] == ["a", "q"]
    assert [circuit.nets[net] for net in circuit.outputs] == ["y", "d"]
    assert circuit.output_number == {"y": 0, "d": 1, "q": 1}
    assert [gate.output for gate in circuit.gates] == ["d", "y"] or [gate.output for gate in circuit.gates] == [
        "y",
        "d",
    ]
    assert depth(circuit) == 1


def test_a_state_that_is_an_output_keeps_its_own_name() -> None:
    gates = [LogicGate("q", "DFF", ("d",)), LogicGate("d", "NOT", ("a",))]
    circuit = build_circuit(gates, ["a"], ["q"])
    assert circuit.output_names == (("q",), ("d",))


def test_fan_out_counts_pins_and_outputs() -> None:
    gates = [LogicGate("x", "AND", ("a", "a")), LogicGate("y", "NOT", ("x",))]
    circuit = build_circuit(gates, ["a"], ["x", "y"])
    assert dict(zip(circuit.nets, circuit.fan_out.tolist(), strict=True)) == {"a": 2, "x": 2, "y": 1}


@pytest.mark.parametrize(
    ("gates", "outputs", "message"),
    [
        ([LogicGate("y", "NOT", ("b",))], ["y"], "the net b has no driver"),
        ([LogicGate("y", "NOT", ("a",))], ["z"], "the net z has no driver"),
        ([LogicGate("y", "NOT", ("a",)), LogicGate("y", "BUF", ("a",))], ["y"], "the net y has two drivers"),
        ([LogicGate("a", "NOT", ("a",))], ["a"], "the net a has two drivers"),
        ([LogicGate("y", "MAJ", ("a",))], ["y"], "the gate of y has the unknown function MAJ"),
        ([LogicGate("y", "TABLE:011", ("a",))], ["y"], "the truth table of y does not fit its 1 inputs"),
        ([LogicGate("y", "NOT", ("a", "a"))], ["y"], "the gate of y has 2 inputs, too many or too few"),
        ([LogicGate("y", "AND", ())], ["y"], "the gate of y has 0 inputs, too many or too few"),
        (
            [LogicGate("x", "NOT", ("y",)), LogicGate("y", "NOT", ("x",))],
            ["y"],
            "the combinational gates form a loop through x",
        ),
    ],
)
def test_refusals_name_the_net(gates: list[LogicGate], outputs: list[str], message: str) -> None:
    with pytest.raises(CircuitError) as caught:
        build_circuit(gates, ["a"], outputs)
    assert str(caught.value) == message

"""Resistive opens: charging step by step, what depends on the past, and what they do in a circuit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.circuits.faults import Fault, list_opens, local_errors
from analysis.circuits.logic_simulation import pack_patterns, simulate, unpack_patterns
from analysis.circuits.netlist import LogicGate, build_circuit
from analysis.circuits.resistive_opens import weak_levels, weak_values
from tests.naive.logic import gate_bit, random_circuit


def charged(driven: list[int], half: float, edge: int, steps: int = 60, loops: int = 8) -> list[float]:
    """The same by small steps of a resistor and a capacitor, many loops long."""
    level = float(driven[0])
    levels = []
    for target in driven * loops:
        weak = edge in (-1, target)
        for _ in range(steps):
            level += (target - level) * (np.log(2) / half / steps) if weak else target - level
        levels.append(level)
    return levels[-len(driven) :]


@settings(max_examples=6, deadline=None)
@given(
    driven=st.lists(st.integers(0, 1), min_size=6, max_size=12),
    half=st.sampled_from([0.4, 1.5, 4.0]),
    edge=st.sampled_from([-1, 0, 1]),
)
def test_levels_are_those_of_a_charged_capacitance(driven: list[int], half: float, edge: int) -> None:
    found = weak_levels(np.asarray([driven], np.uint8), np.asarray([half]), np.asarray([edge]))[0]
    np.testing.assert_allclose(found, charged(driven, half, edge), rtol=0, atol=1e-2)


def test_an_edge_after_a_long_run_is_lost_and_one_after_a_short_run_is_not() -> None:
    driven = np.asarray([[0] * 20 + [1, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1]], np.uint8)
    read = weak_values(driven, np.asarray([1.5]), np.asarray([-1]))
    # The 0 after the long run of 1s that ends the loop and the lone 1 after the long run of 0s do not arrive; the last
    # lone 0 does, since the net was only half charged.
    assert read[0].tolist() == [1] + [0] * 19 + [0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1]
    only_rise = weak_values(driven, np.asarray([1.5]), np.asarray([1]))
    assert (only_rise <= driven).all()
    assert (weak_values(driven, np.asarray([0.9]), np.asarray([-1])) == driven).all()


def test_errors_in_a_circuit_are_those_of_its_gate() -> None:
    circuit = random_circuit(11, gates=20)
    bits = np.random.default_rng(11).integers(0, 2, (50, len(circuit.inputs)), dtype=np.uint8)
    good = simulate(circuit, pack_patterns(bits))
    values = unpack_patterns(good, 50)
    faults = list_opens(circuit)
    found = unpack_patterns(local_errors(circuit, good, faults, 50), 50)
    for place in range(0, len(faults), 5):
        fault = faults[place]
        half, edge = np.asarray([fault.half_cycles]), np.asarray([-1])
        if fault.kind == "open":
            expected = weak_values(values[[fault.net]], half, edge)[0]
        else:
            gate = circuit.driver[fault.net]
            pins = values[list(circuit.fan_in[gate])]
            pins[fault.pin] = weak_values(pins[[fault.pin]], half, edge)[0]
            expected = [gate_bit(circuit.gates[gate].function, column.tolist()) for column in pins.T]
        assert (found[place] ^ values[fault.net]).tolist() == list(expected)
    assert found.any()


def test_names_and_list() -> None:
    circuit = build_circuit([LogicGate("y", "NAND", ("a", "b")), LogicGate("z", "NOT", ("a",))], ["a", "b"], ["y", "z"])
    opens = list_opens(circuit)
    assert len(opens) == 2 * (4 + 2)
    assert {item.describe(circuit) for item in opens} == {"OPEN", "OPEN:a"}
    assert not any(item.is_delay for item in opens)
    assert Fault(0, "open", 1, half_cycles=2.0).describe(circuit) == "OPEN-STR"


@pytest.mark.parametrize("length", [1, 64, 65])
def test_nothing_happens_on_a_constant_net(length: int) -> None:
    driven = np.ones((1, length), np.uint8)
    assert (weak_values(driven, np.asarray([4.0]), np.asarray([-1])) == 1).all()

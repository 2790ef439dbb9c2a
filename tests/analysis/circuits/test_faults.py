"""The fault list, and simulation of many faulty machines at once against one fault, one pattern at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.circuits import faults as faults_module
from analysis.circuits.faults import (
    Fault,
    list_delay_faults,
    list_faults,
    local_errors,
    previous_values,
    simulate_faults,
    swapped_functions,
)
from analysis.circuits.logic_simulation import pack_patterns, simulate, unpack_patterns
from analysis.circuits.netlist import Circuit, LogicGate, build_circuit
from tests.naive.logic import random_circuit, simulate_one

PATTERNS = 9


def all_values(circuit: Circuit, bits: np.ndarray, faults: list[Fault]) -> np.ndarray:
    """Values of every net under every fault: shape ``(faults, nets, patterns)``."""
    values = np.full((len(faults), len(circuit.nets), len(bits)), 255, np.uint8)
    for chunk in simulate_faults(circuit, pack_patterns(bits), faults, range(len(circuit.nets))):
        values[chunk.faults] = unpack_patterns(chunk.values, len(bits))
    return values


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_the_naive_twin(seed: int) -> None:
    circuit = random_circuit(seed, gates=15, inputs=4)
    bits = np.random.default_rng(seed).integers(0, 2, (PATTERNS, len(circuit.inputs)), dtype=np.uint8)
    faults = list_faults(circuit)
    values = all_values(circuit, bits, faults)
    for place, fault in enumerate(faults):
        for index in range(PATTERNS):
            row = {circuit.nets[net]: int(bit) for net, bit in zip(circuit.inputs, bits[index], strict=True)}
            expected = simulate_one(circuit, row, fault)
            found = {name: int(values[place, net, index]) for name, net in circuit.number.items()}
            assert found == expected, fault.describe(circuit)


def test_chunks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = random_circuit(3)
    bits = np.random.default_rng(3).integers(0, 2, (130, len(circuit.inputs)), dtype=np.uint8)
    faults = list_faults(circuit)
    whole = all_values(circuit, bits, faults)
    monkeypatch.setattr(faults_module, "CHUNK_BYTES", 1)
    assert len(list(simulate_faults(circuit, pack_patterns(bits), faults, [0]))) > 1
    assert (all_values(circuit, bits, faults) == whole).all()


def test_the_list_of_a_small_circuit() -> None:
    circuit = build_circuit([LogicGate("y", "NAND", ("a", "b")), LogicGate("z", "NOT", ("y",))], ["a", "b"], ["z"])
    described = [f"{circuit.nets[fault.net]} {fault.describe(circuit)}" for fault in list_faults(circuit)]
    assert described == [
        "a SA0", "a SA1", "b SA0", "b SA1", "y SA0", "y SA1", "z SA0", "z SA1",
        "y SA0:a", "y SA1:a", "y SA0:b", "y SA1:b",
        "y SWAP:AND", "y SWAP:NOR", "y SWAP:OR", "y SWAP:XOR",
        "z SWAP:BUF",
    ]  # fmt: skip


def test_swapped_tables_are_inverted_or_wrong_in_one_row() -> None:
    assert swapped_functions("TABLE:0110", 2) == (
        "TABLE:1001", "TABLE:1110", "TABLE:0010", "TABLE:0100", "TABLE:0111",
    )  # fmt: skip
    assert swapped_functions("CONST1", 0) == ()
    assert swapped_functions("AND", 1) == ()
    assert swapped_functions("TABLE:01", 1) == ("TABLE:10", "TABLE:11", "TABLE:00")


def test_no_faults_give_no_chunks() -> None:
    circuit = random_circuit(1)
    assert list(simulate_faults(circuit, np.zeros((len(circuit.inputs), 1), np.uint64), [], [0])) == []


def test_a_late_edge_has_the_value_of_the_pattern_before() -> None:
    circuit = build_circuit([LogicGate("y", "AND", ("a", "b")), LogicGate("z", "NOT", ("a",))], ["a", "b"], ["y", "z"])
    bits = np.array([[0, 1], [1, 1], [1, 0], [1, 1]], np.uint8)
    good = simulate(circuit, pack_patterns(bits))
    faults = {
        fault.describe(circuit) + fault.kind: fault
        for fault in list_delay_faults(circuit)
        if fault.net == circuit.number["y"]
    }
    found = unpack_patterns(local_errors(circuit, good, list(faults.values()), 4), 4)
    by_name = dict(zip(faults, found.tolist(), strict=True))
    assert by_name == {
        "STRslow": [0, 1, 0, 1],
        "STFslow": [1, 0, 1, 0],
        "SLOWslow": [1, 1, 1, 1],
        "SLOW:aslow-pin": [1, 1, 0, 0],
    }


def test_previous_values_go_round_the_loop() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (77, 3), dtype=np.uint8)
    assert (unpack_patterns(previous_values(pack_patterns(bits), 77), 77) == np.roll(bits.T, 1, axis=1)).all()

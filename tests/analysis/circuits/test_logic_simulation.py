"""Bit-parallel simulation against gate by gate, pattern by pattern."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.circuits.logic_simulation import (
    evaluate,
    pack_patterns,
    pattern_mask,
    simulate,
    unpack_patterns,
    without_polarity,
)
from analysis.circuits.netlist import CircuitError, LogicGate, build_circuit
from tests.naive.logic import random_circuit, simulate_one


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), patterns=st.integers(1, 150))
def test_equals_the_naive_twin(seed: int, patterns: int) -> None:
    circuit = random_circuit(seed)
    bits = np.random.default_rng(seed).integers(0, 2, (patterns, len(circuit.inputs)), dtype=np.uint8)
    values = unpack_patterns(simulate(circuit, pack_patterns(bits)), patterns)
    for index in range(patterns):
        row = {circuit.nets[net]: int(bit) for net, bit in zip(circuit.inputs, bits[index], strict=True)}
        expected = simulate_one(circuit, row)
        assert {name: int(values[net, index]) for name, net in circuit.number.items()} == expected


@given(patterns=st.integers(1, 200), nets=st.integers(0, 5), seed=st.integers(0, 1000))
def test_packing_and_back(patterns: int, nets: int, seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (patterns, nets), dtype=np.uint8)
    words = pack_patterns(bits)
    assert words.shape == (nets, -(-patterns // 64))
    assert (unpack_patterns(words, patterns) == bits.T).all()
    assert int(np.bitwise_count(pattern_mask(patterns)).sum()) == patterns


def test_no_patterns_give_no_words() -> None:
    circuit = build_circuit([LogicGate("y", "NOT", ("a",))], ["a"], ["y"])
    assert simulate(circuit, pack_patterns(np.empty((0, 1), np.uint8))).shape == (2, 0)


def test_a_stimulus_of_the_wrong_height_is_refused() -> None:
    circuit = build_circuit([LogicGate("y", "NOT", ("a",))], ["a"], ["y"])
    with pytest.raises(CircuitError, match="the circuit has 1 inputs, the stimulus 2 rows"):
        simulate(circuit, np.zeros((2, 1), np.uint64))


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(CircuitError, match="the function MUX of 1 operands cannot be evaluated"):
        evaluate("MUX", [np.zeros(1, np.uint64)])


def test_without_polarity_an_inverted_net_looks_the_same() -> None:
    bits = np.random.default_rng(5).integers(0, 2, (100, 3), dtype=np.uint8)
    words, inverse, mask = pack_patterns(bits), pack_patterns(1 - bits), pattern_mask(100)
    assert (without_polarity(words, mask) == without_polarity(inverse, mask)).all()
    assert (without_polarity(words, mask)[:, 0] & np.uint64(1) == 0).all()

"""Forced nets, carried through the circuit, against the naive twin; and the identity that a fault is a flip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.circuits import propagation
from analysis.circuits.logic_simulation import pack_patterns, simulate, unpack_patterns
from analysis.circuits.propagation import propagate, propagate_flips
from tests.naive.logic import random_circuit, simulate_forced

PATTERNS = 64


def scene(seed: int) -> tuple:
    circuit = random_circuit(seed, gates=20, inputs=4)
    bits = np.random.default_rng(seed).integers(0, 2, (PATTERNS, len(circuit.inputs)), dtype=np.uint8)
    return circuit, bits, simulate(circuit, pack_patterns(bits))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_the_naive_twin_for_two_forced_nets(seed: int) -> None:
    circuit, bits, good = scene(seed)
    numbers = np.random.default_rng(seed + 1)
    machines, plain = [], []
    for _ in range(6):
        nets = numbers.choice(len(circuit.nets), 2, replace=False)
        values = numbers.integers(0, 2, (2, PATTERNS), dtype=np.uint8)
        machines.append({int(net): pack_patterns(value[:, None])[0] for net, value in zip(nets, values, strict=True)})
        plain.append({circuit.nets[net]: value for net, value in zip(nets, values, strict=True)})
    watched = list(range(len(circuit.nets)))
    for chunk in propagate(circuit, good, machines, watched):
        values = unpack_patterns(good[None] ^ chunk.changes, PATTERNS)
        for row, machine in enumerate(chunk.machines):
            for index in (0, 17, 63):
                inputs = {circuit.nets[net]: int(bit) for net, bit in zip(circuit.inputs, bits[index], strict=True)}
                forced = {net: int(value[index]) for net, value in plain[machine].items()}
                expected = simulate_forced(circuit, inputs, forced)
                assert {name: values[row, net, index] for name, net in circuit.number.items()} == expected


def test_chunks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, _, good = scene(4)
    sites, watched = list(range(len(circuit.nets))), [*circuit.outputs, 3, 3]
    whole = propagate_flips(circuit, good, sites, watched)
    assert whole.any()
    monkeypatch.setattr(propagation, "MOST_MACHINES", 3)
    assert (propagate_flips(circuit, good, sites, watched) == whole).all()
    assert (whole[:, -1] == whole[:, -2]).all()


def test_nothing_forced_changes_nothing() -> None:
    circuit, _, good = scene(5)
    assert propagate_flips(circuit, good, [], [0]).shape == (0, 1, good.shape[1])
    net = circuit.drives[0]
    (chunk,) = propagate(circuit, good, [{net: good[net]}], list(range(len(circuit.nets))))
    assert not chunk.changes.any()

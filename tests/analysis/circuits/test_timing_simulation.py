"""Timing simulation against an event queue that knows one gate at a time, and its rules one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.circuits.delays import Delays, slow_down, typical_delays
from analysis.circuits.faults import Fault, list_delay_faults
from analysis.circuits.netlist import Circuit, CircuitError, LogicGate, build_circuit
from analysis.circuits.timing_simulation import NEVER, PAIRS_AT_ONCE, simulate_loop_pairs, simulate_pairs
from tests.naive.logic import random_circuit, simulate_one
from tests.naive.timing import run_events


def drawn_delays(circuit: Circuit, seed: int) -> Delays:
    """Delays from 1 to 12 fs, so that many events meet; each pin and edge its own."""
    generator = np.random.default_rng(seed)
    shape = typical_delays(circuit).rise_fs.shape
    inputs = len(circuit.inputs)
    rise, fall = generator.integers(1, 13, (2, *shape))
    source_rise, source_fall = generator.integers(0, 9, (2, inputs))
    return Delays(rise, fall, source_rise, source_fall)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_the_event_queue(seed: int) -> None:
    circuit = random_circuit(seed, gates=25, inputs=6)
    delays = drawn_delays(circuit, seed)
    before, after = np.random.default_rng(seed).integers(0, 2, (2, 4, len(circuit.inputs)), dtype=np.uint8)
    found = simulate_pairs(circuit, delays, before, after, range(len(circuit.nets)))
    arcs = {
        (circuit.nets[net], pin): (int(delays.rise_fs[gate, pin]), int(delays.fall_fs[gate, pin]))
        for gate, net in enumerate(circuit.drives)
        for pin in range(len(circuit.fan_in[gate]))
    }
    names = [circuit.nets[net] for net in circuit.inputs]
    for pair in range(len(before)):
        settled = simulate_one(circuit, dict(zip(names, before[pair].tolist(), strict=True)))
        changes = [
            (int((delays.source_rise_fs if bit else delays.source_fall_fs)[place]), name, int(bit))
            for place, (name, bit) in enumerate(zip(names, after[pair], strict=True))
        ]
        expected = run_events(circuit.gates, arcs, settled, changes)
        for net, name in enumerate(circuit.nets):
            assert found.initial[net, pair] == settled[name]
            times = found.times_fs[net, pair]
            assert times[times < NEVER].tolist() == expected[name], (name, pair)
        goal = simulate_one(circuit, dict(zip(names, after[pair].tolist(), strict=True)))
        assert dict(zip(circuit.nets, found.final[:, pair].tolist(), strict=True)) == goal


def chain() -> Circuit:
    return build_circuit([LogicGate("x", "NOT", ("a",)), LogicGate("y", "NAND", ("a", "x"))], ["a"], ["y"])


def test_a_glitch_lives_only_when_it_is_longer_than_the_delay() -> None:
    start = np.zeros(1, np.int64)
    low, high = np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8)
    for inverter, expected in ((5, []), (6, [6, 12]), (7, [6, 13]), (9, [6, 15])):
        times = np.asarray([[inverter, 0], [6, 6]], np.int64)
        circuit = chain()
        assert [gate.output for gate in circuit.gates] == ["x", "y"]
        found = simulate_pairs(circuit, Delays(times, times, start, start), low, high, [circuit.number["y"]])
        assert found.times_fs[found.times_fs < NEVER].tolist() == expected


def test_samples_and_settling() -> None:
    circuit = build_circuit([LogicGate("y", "NOT", ("a",))], ["a"], ["y"])
    delays = Delays(*(np.asarray([[time]], np.int64) for time in (10, 20)), np.asarray([3]), np.asarray([4]))
    found = simulate_loop_pairs(circuit, delays, np.asarray([[0], [1], [1]], np.uint8), [1])
    assert found.settling_fs.tolist() == [[14, 23, 0]]
    assert found.counts.tolist() == [[1, 1, 0]]
    assert found.sample(13).tolist() == [[0, 1, 0]]
    assert found.sample(14).tolist() == [[1, 1, 0]]
    assert found.sample(23).tolist() == found.final.tolist() == [[1, 0, 0]]


def test_typical_delays_are_by_logical_effort() -> None:
    gates = [LogicGate("x", "NAND", ("a", "b")), LogicGate("y", "NOT", ("x",)), LogicGate("z", "AND", ("x", "a"))]
    circuit = build_circuit(gates, ["a", "b"], ["y", "z"])
    delays = typical_delays(circuit, tau_fs=3000)
    by_net = {circuit.nets[net]: delays.rise_fs[gate].tolist() for gate, net in enumerate(circuit.drives)}
    assert by_net == {"x": [14_000, 14_000], "y": [6_000, 0], "z": [16_000, 16_000]}


def test_a_delay_fault_makes_its_edges_late_and_no_others() -> None:
    circuit = random_circuit(8, gates=20, inputs=6)
    delays = typical_delays(circuit)
    bits = np.random.default_rng(8).integers(0, 2, (PAIRS_AT_ONCE + 5, len(circuit.inputs)), dtype=np.uint8)
    good = simulate_loop_pairs(circuit, delays, bits, range(len(circuit.nets)))
    strobe = int(good.settling_fs.max())
    assert (good.sample(strobe) == good.final).all()
    late = 0
    for fault in list_delay_faults(circuit)[::9]:
        found = simulate_loop_pairs(
            circuit, slow_down(circuit, delays, fault, 10 * strobe), bits, range(len(circuit.nets))
        )
        assert (found.final == good.final).all()
        wrong = found.sample(strobe) != good.final
        late += int(wrong.any())
        if fault.value == 1:
            assert (good.final[fault.net][wrong[fault.net]] == 1).all()
        if fault.value == 0:
            assert (good.final[fault.net][wrong[fault.net]] == 0).all()
    assert late > 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda delays: Delays(delays.rise_fs * 0, *_rest(delays)), "the gate of x has no delay from a"),
        (lambda delays: Delays(delays.rise_fs[:1], *_rest(delays)), "delays of 1 gates and 1 inputs do not fit"),
    ],
)
def test_delays_that_do_not_fit_are_refused(spoil, message: str) -> None:
    circuit = chain()
    bits = np.zeros((2, 1), np.uint8)
    with pytest.raises(CircuitError, match=message):
        simulate_loop_pairs(circuit, spoil(typical_delays(circuit)), bits, [0])
    with pytest.raises(CircuitError, match="do not fit 1 inputs"):
        simulate_loop_pairs(circuit, typical_delays(circuit), np.zeros((2, 3), np.uint8), [0])
    with pytest.raises(CircuitError, match="SA0 by 5 fs is no delay fault"):
        slow_down(circuit, typical_delays(circuit), Fault(0, "stem", 0), 5)


def _rest(delays: Delays):
    return delays.fall_fs, delays.source_rise_fs, delays.source_fall_fs

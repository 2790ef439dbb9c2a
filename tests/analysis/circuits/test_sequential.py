"""Looped functional patterns: every faulty machine against one that is clocked cycle by cycle."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.circuits import sequential as sequential_module
from analysis.circuits.faults import Fault, list_delay_faults, list_faults, list_opens
from analysis.circuits.netlist import CircuitError, LogicGate
from analysis.circuits.sequential import (
    SequentialCircuit,
    UnsettledLoopError,
    build_sequential,
    settle_good,
    simulate_loop,
)
from tests.naive.sequential import Machine

CYCLES = 6
LOOPS = 16


def drawn(seed: int) -> SequentialCircuit:
    """Fourteen gates and four flip-flops, with feedback."""
    numbers = random.Random(seed)
    states = [f"q{place}" for place in range(4)]
    nets = ["i0", "i1", "i2", *states]
    gates = []
    for place in range(14):
        function = numbers.choice(["AND", "NAND", "OR", "NOR", "XOR", "NOT", "BUF", "TABLE:0111", "CONST1"])
        width = {"NOT": 1, "BUF": 1, "CONST1": 0}.get(function, 2)
        gates.append(LogicGate(f"g{place}", function, tuple(numbers.choice(nets) for _ in range(width))))
        nets.append(f"g{place}")
    gates += [LogicGate(state, "DFF", (numbers.choice(nets[7:]),)) for state in states]
    return build_sequential(gates, ["i0", "i1", "i2"], ["g13"])


def expected_loop(
    circuit: SequentialCircuit, fault: Fault | None, patterns: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, int]:
    """The mean of each net over the period, from many loops of one machine."""
    machine = Machine(circuit, fault, start.tolist())
    starts, loops = [], []
    for _ in range(LOOPS):
        starts.append((machine.state, machine.before, machine.meant_before, machine.level or 0.0))
        loops.append([list(machine.step(row).values()) for row in patterns.tolist()])
    order = [*circuit.circuit.inputs, *circuit.circuit.drives]
    history = np.asarray(loops)[:, :, np.argsort(order)]
    period = next(length for length in range(1, LOOPS) if alike(starts[-1], starts[-1 - length]))
    return history[-1 - period : -1].mean(axis=0).T, period


def alike(one: tuple, other: tuple) -> bool:
    return one[:3] == other[:3] and abs(one[3] - other[3]) < 1e-4


@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_machines_that_are_clocked(seed: int) -> None:
    circuit = drawn(seed)
    generator = np.random.default_rng(seed)
    patterns = generator.integers(0, 2, (CYCLES, 3), dtype=np.uint8)
    start = generator.integers(0, 2, 4, dtype=np.uint8)
    faults = [None, *list_faults(circuit.circuit), *list_delay_faults(circuit.circuit), *list_opens(circuit.circuit)]
    (chunk,) = simulate_loop(circuit, patterns, faults, range(len(circuit.circuit.nets)), start)
    for place in range(seed % 17, len(faults), 17):
        mean, period = expected_loop(circuit, faults[place], patterns, start)
        if chunk.period[place]:
            assert chunk.period[place] == period
            np.testing.assert_allclose(chunk.mean[place], mean, rtol=0, atol=1e-6)
        else:
            assert np.isnan(chunk.mean[place]).all()
    assert (chunk.period > 0).mean() > 0.9


def test_chunks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = drawn(4)
    patterns = np.random.default_rng(4).integers(0, 2, (5, 3), dtype=np.uint8)
    faults = list_faults(circuit.circuit)
    start = np.zeros(4, np.uint8)
    (whole,) = simulate_loop(circuit, patterns, faults, [5], start)
    monkeypatch.setattr(sequential_module, "MACHINES_AT_ONCE", 10)
    parts = list(simulate_loop(circuit, patterns, faults, [5], start))
    assert len(parts) > 1
    np.testing.assert_array_equal(np.concatenate([part.mean for part in parts]), whole.mean)


def toggle() -> SequentialCircuit:
    """A flip-flop that a reset clears and that toggles else."""
    gates = [
        LogicGate("q", "DFF", ("d",)),
        LogicGate("n", "NOT", ("q",)),
        LogicGate("d", "AND", ("n", "run")),
    ]
    return build_sequential(gates, ["run"], ["q"])


def test_a_loop_with_a_reset_settles_and_one_without_is_refused() -> None:
    circuit = toggle()
    assert settle_good(circuit, np.asarray([[1], [1], [0]], np.uint8)).tolist() == [0]
    with pytest.raises(UnsettledLoopError) as caught:
        settle_good(circuit, np.asarray([[1], [1], [1]], np.uint8))
    assert str(caught.value) == (
        "the loop does not bring a good die to one steady state: 1 of 1 flip-flops depend on the power-up state "
        "after 12 loops; add the reset to the loop, or give the patterns in full-scan view"
    )


def test_a_broken_reset_makes_the_loop_twice_as_long() -> None:
    circuit = toggle()
    patterns = np.asarray([[1], [1], [0]], np.uint8)
    broken = Fault(circuit.circuit.number["run"], "stem", 1)
    (chunk,) = simulate_loop(circuit, patterns, [None, broken], [circuit.states[0]], np.zeros(1, np.uint8))
    assert chunk.period.tolist() == [1, 2]
    assert chunk.mean[:, 0].tolist() == [[0, 1, 0], [0.5, 0.5, 0.5]]


def test_what_does_not_fit_is_refused() -> None:
    circuit = toggle()
    with pytest.raises(CircuitError, match=r"a loop of shape \(3, 2\) does not fit 1 primary inputs"):
        settle_good(circuit, np.zeros((3, 2), np.uint8))
    with pytest.raises(CircuitError, match=r"a start of shape \(2,\) does not fit 1 flip-flops"):
        next(simulate_loop(circuit, np.zeros((3, 1), np.uint8), [None], [0], np.zeros(2, np.uint8)))
    with pytest.raises(CircuitError, match="cannot be simulated in a loop"):
        next(simulate_loop(circuit, np.zeros((3, 1), np.uint8), [Fault(0, "odd")], [0], np.zeros(1, np.uint8)))

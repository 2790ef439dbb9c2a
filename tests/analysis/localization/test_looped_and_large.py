"""Functional loops, resistive opens, large circuits cut to what a die needs: dies made by plain machines."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.circuits.faults import Fault, list_faults, list_opens
from analysis.circuits.netlist import CircuitError, LogicGate
from analysis.circuits.sequential import UnsettledLoopError, build_sequential
from analysis.localization import confinement, screening, weighing
from analysis.localization.localizer import localize_fault
from analysis.localization.problem import ProbedWaveform, Problem
from analysis.localization.stimulation import Shelf
from benchmarks.simulation_trials.generated_netlist import generate_netlist
from tests.naive.logic import simulate_one
from tests.naive.sequential import Machine

CYCLE_S = 1e-8
SAMPLES = 20


def waveform(net: str, bits: np.ndarray, seed: int) -> ProbedWaveform:
    """Twenty samples a cycle, noise of a third of the swing."""
    values = np.repeat(np.asarray(bits, float), SAMPLES)
    values += np.random.default_rng(seed).normal(0, 0.33, values.size)
    return ProbedWaveform(net, values, 0.0, CYCLE_S / SAMPLES)


def counter() -> list[LogicGate]:
    """Three bits that count while ``run`` is 1, and are cleared by ``clear``; two outputs."""
    gates = [LogicGate("c0", "BUF", ("run",)), LogicGate("keep", "NOT", ("clear",))]
    for bit in range(3):
        gates += [
            LogicGate(f"q{bit}", "DFF", (f"d{bit}",)),
            LogicGate(f"t{bit}", "XOR", (f"q{bit}", f"c{bit}")),
            LogicGate(f"d{bit}", "AND", (f"t{bit}", "keep")),
            LogicGate(f"c{bit + 1}", "AND", (f"q{bit}", f"c{bit}")),
        ]
    return [*gates, LogicGate("even", "NOR", ("q0", "q2")), LogicGate("top", "NAND", ("q1", "q2"))]


def looped_problem(fault: Fault | None, probed: list[str]) -> Problem:
    sequential = build_sequential(counter(), ["run", "clear"], ["even", "top"])
    circuit = sequential.circuit
    patterns = np.random.default_rng(3).integers(0, 2, (96, 2), dtype=np.uint8)
    patterns[:, 0] |= patterns[::-1, 0]
    patterns[:, 1] &= np.arange(96) % 12 == 0
    patterns[0] = (0, 1)
    seen = {}
    for name, here in (("good", None), ("die", fault)):
        machine = Machine(sequential, here, [0, 1, 0])
        loops = [[machine.step(row) for row in patterns.tolist()] for _ in range(3)]
        seen[name] = np.asarray([[values[net] for net in range(len(circuit.nets))] for values in loops[-1]])
    fails = np.zeros((96, len(circuit.outputs)), np.bool_)
    for place in sequential.observed:
        net = circuit.outputs[place]
        fails[:, place] = seen["good"][:, net] != seen["die"][:, net]
    waves = [waveform(net, seen["die"][:, circuit.number[net]], place) for place, net in enumerate(probed)]
    return Problem(circuit, patterns, fails, waves, CYCLE_S, sequential=sequential)


@pytest.mark.parametrize("kind", ["pin", "slow", "open"])
def test_a_fault_in_a_functional_loop_is_among_the_first(kind: str) -> None:
    circuit = build_sequential(counter(), ["run", "clear"], ["even", "top"]).circuit
    net = circuit.number["t1"]
    fault = {
        "stem": Fault(net, "stem", 1),
        "pin": Fault(net, "pin", 0, pin=0),
        "swap": Fault(net, "swap", function="OR"),
        "slow": Fault(net, "slow", 1),
        "open": Fault(net, "open", half_cycles=1.5),
    }[kind]
    answer = localize_fault(looped_problem(fault, ["d1", "t1", "q0"]))
    assert "t1" in [item.net for item in answer.candidates[:2]]
    first = answer.candidates[0]
    assert first.net == "t1" or "t1" in first.equivalent or answer.candidates[1].posterior > 0.1
    assert answer.no_fault < 0.01


def test_a_good_die_in_a_functional_loop_has_no_fault() -> None:
    answer = localize_fault(looped_problem(None, ["d1", "t1", "q2"]))
    assert answer.verdict == "no-fault"


def test_a_loop_that_does_not_settle_is_refused() -> None:
    problem = looped_problem(None, [])
    patterns = problem.patterns.copy()
    patterns[:, 1] = 0
    with pytest.raises(UnsettledLoopError, match="add the reset to the loop"):
        localize_fault(replace(problem, patterns=patterns))


def plain_die(circuit, fault: Fault, patterns: np.ndarray) -> Problem:
    """What a plain simulation of one fault fails; of an open pattern by pattern with its charge."""
    names = [circuit.nets[net] for net in circuit.inputs]
    fails = np.zeros((len(patterns), len(circuit.outputs)), np.bool_)
    for cycle, row in enumerate(patterns.tolist()):
        pattern = dict(zip(names, row, strict=True))
        good, wrong = simulate_one(circuit, pattern), simulate_one(circuit, pattern, fault)
        fails[cycle] = [good[circuit.nets[net]] != wrong[circuit.nets[net]] for net in circuit.outputs]
    return Problem(circuit, patterns, fails, [], CYCLE_S)


def test_a_large_circuit_gives_the_answer_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = generate_netlist(150)
    patterns = np.random.default_rng(5).integers(0, 2, (64, len(circuit.inputs)), dtype=np.uint8)
    for place in (333,):
        problem = plain_die(circuit, list_faults(circuit)[place], patterns)
        assert problem.fails is not None
        assert problem.fails.any()
        whole = localize_fault(problem)
        with monkeypatch.context() as patch:
            patch.setattr(weighing, "MOST_GATES", 10)
            patch.setattr(confinement, "MOST_GATES", 10)
            part = localize_fault(problem)
        assert [item.net for item in part.candidates[:3]] == [item.net for item in whole.candidates[:3]]
        expected = [item.posterior for item in whole.candidates[:3]]
        assert [item.posterior for item in part.candidates[:3]] == pytest.approx(expected, abs=0.02)


def test_little_memory_gives_the_same_suspects(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = generate_netlist(60)
    patterns = np.random.default_rng(5).integers(0, 2, (64, len(circuit.inputs)), dtype=np.uint8)
    problem = plain_die(circuit, list_faults(circuit)[40], patterns)
    assert problem.fails is not None
    few = np.zeros_like(problem.fails)
    few[np.flatnonzero(problem.fails.any(axis=1))[:1]] = True
    places = {net: (0.3 * (place % 8), 0.3 * (place // 8)) for place, net in enumerate(circuit.nets)}
    for fails in (problem.fails, problem.fails & few):
        asked = replace(problem, fails=fails, places_um=places)
        found = []
        for flips, faults in ((screening.FLIP_BYTES, screening.FAULT_BYTES), (1, 1)):
            with monkeypatch.context() as patch:
                patch.setattr(screening, "FLIP_BYTES", flips)
                patch.setattr(screening, "FAULT_BYTES", faults)
                patch.setattr(screening, "_SHELF", Shelf(1))
                found.append(localize_fault(asked))
        usual, little = found
        assert [(item.net, item.fault) for item in little.candidates] == [
            (item.net, item.fault) for item in usual.candidates
        ]
        expected = [item.posterior for item in usual.candidates]
        assert [item.posterior for item in little.candidates] == pytest.approx(expected, abs=1e-6)


def test_a_large_circuit_without_any_hint_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = generate_netlist(50)
    patterns = np.zeros((64, len(circuit.inputs)), np.uint8)
    monkeypatch.setattr(weighing, "MOST_GATES", 10)
    monkeypatch.setattr(confinement, "MOST_GATES", 10)
    with pytest.raises(CircuitError, match="a circuit of 50 gates needs a fail log or a waveform"):
        localize_fault(Problem(circuit, patterns, None, [], CYCLE_S))


def test_an_open_is_located_from_what_it_does_over_cycles() -> None:
    sequential = build_sequential(
        [LogicGate("x", "XOR", ("a", "b")), LogicGate("y", "NAND", ("x", "c")), LogicGate("z", "NOR", ("x", "d"))],
        ["a", "b", "c", "d"],
        ["y", "z"],
    )
    circuit = sequential.circuit
    net = circuit.number["x"]
    fault = next(item for item in list_opens(circuit) if item.net == net and item.half_cycles > 2)
    patterns = np.random.default_rng(9).integers(0, 2, (128, 4), dtype=np.uint8)
    good, die = Machine(sequential, None, []), Machine(sequential, fault, [])
    loops = [[(good.step(row), die.step(row)) for row in patterns.tolist()] for _ in range(3)][-1]
    fails = np.asarray([[one[out] != other[out] for out in circuit.outputs] for one, other in loops])
    answer = localize_fault(Problem(circuit, patterns, fails, [], CYCLE_S))
    assert (answer.candidates[0].net, answer.candidates[0].fault) == ("x", "OPEN")
    assert answer.candidates[0].posterior > 0.9

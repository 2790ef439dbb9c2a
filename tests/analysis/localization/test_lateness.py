"""Late edges bit by bit in time: against plain definitions, and against an event simulator of its own."""

from itertools import pairwise

import numpy as np
import pytest

from analysis.circuits.defects import SlowPath
from analysis.circuits.faults import Fault, list_delay_faults
from analysis.circuits.logic_simulation import pack_patterns, pattern_mask, simulate, unpack_patterns
from analysis.circuits.netlist import LogicGate, build_circuit
from analysis.localization.late_suspects import (
    KEPT,
    LATENESSES,
    keep_likely,
    late_fails,
    late_levels,
    late_machine,
    lateness_steps,
    usual_settings,
)
from analysis.localization.lateness import (
    LateNet,
    TimedLoop,
    ToldDelays,
    delay_edges,
    draw_loops,
    propagate_late,
)
from analysis.localization.stimulation import stimulate
from analysis.localization.window_levels import levels_within
from benchmarks.localization_trials.timed_die import SlowNet, run_timed
from services.demo.circuit import DemoCircuit
from services.demo.die import Stimulus, random_stimulus
from tests.analysis.localization.scenes import circuit_of

CYCLES = 70


def small_circuit() -> DemoCircuit:
    """Reconvergent paths of unequal length, so that there are glitches."""
    circuit = DemoCircuit(["a", "b", "c", "d"], [], [])
    for place, (left, right) in enumerate(
        (("a", "b"), ("g0", "c"), ("g1", "a"), ("g2", "d"), ("g1", "g3"), ("g4", "b"))
    ):
        circuit.gate(f"g{place}", ("NAND", "XOR", "NOR", "AND", "XNOR", "OR")[place], left, right)
    circuit.outputs += ["g4", "g5", "g3"]
    return circuit


DEMO = small_circuit()
CIRCUIT = circuit_of(DEMO)
STIMULUS: Stimulus = random_stimulus(DEMO, CYCLES, 1)
COLUMNS = {net: place for place, net in enumerate(STIMULUS.nets)}
PATTERNS = np.ascontiguousarray(STIMULUS.bits[:, [COLUMNS[CIRCUIT.nets[net]] for net in CIRCUIT.inputs]])
STIMULATED = stimulate(CIRCUIT, PATTERNS)


@pytest.mark.parametrize(("rise", "fall"), [(0, 3), (7, 0), (1, 0), (19, 0), (0, 19), (4, 4), (19, 19)])
def test_an_edge_waits_until_the_net_has_been_there_that_long(rise: int, fall: int) -> None:
    steps = 20
    wave = np.repeat(np.random.default_rng(1).integers(0, 2, steps * CYCLES // 5, dtype=np.uint8), 5)
    packed = pack_patterns(wave.reshape(CYCLES, steps)).reshape(steps, -1)
    found = unpack_patterns(delay_edges(packed, [(rise, fall)], CYCLES)[0], CYCLES).T.reshape(-1)
    past = np.stack([np.roll(wave, step) for step in range(max(rise, fall) + 1)])
    wanted = past[-1] if rise == fall else past.min(axis=0) if rise else past.max(axis=0)
    assert found.tolist() == wanted.tolist()


def test_a_good_die_in_time_settles_at_its_logic() -> None:
    for loop in draw_loops(CIRCUIT, STIMULATED.good, CYCLES, 3):
        assert (unpack_patterns(loop.good[:, -1], CYCLES) == STIMULATED.bits).all()
        assert loop.delays.min() >= 1


@pytest.mark.parametrize("fault", [item for item in list_delay_faults(CIRCUIT) if item.kind == "slow"][12::3], ids=str)
def test_late_machines_equal_an_event_simulator(fault: Fault) -> None:
    """Gate delays in whole steps: every step of every net, glitches and all."""
    loop = STIMULATED.timed_loops[1]
    step_s, late = 1e-12, 17
    delays = {CIRCUIT.nets[net]: loop.delays[gate] * step_s for gate, net in enumerate(CIRCUIT.drives)}
    machine = late_machine(fault, late, loop.slowness)
    (own,) = machine
    slow = SlowNet(CIRCUIT.nets[fault.net], own.rise * step_s, own.fall * step_s)
    timed = run_timed(DEMO, STIMULUS, delays, loop.steps * step_s, slow)
    values = {net: loop.good[net] for net in range(len(CIRCUIT.nets))}
    values |= {net: moved[0] for net, _, moved in propagate_late(loop, [machine], range(len(CIRCUIT.nets)))}
    for net, name in enumerate(CIRCUIT.nets):
        bits = unpack_patterns(values[net], CYCLES)
        for cycle in range(1, CYCLES, 9):
            for step in range(0, loop.steps, 5):
                wanted = timed.value_at(name, (cycle * loop.steps + step + 0.5) * step_s)
                assert bits[step, cycle] == wanted, (name, cycle, step)


@pytest.mark.parametrize("names", [("g0", "g1", "g3"), ("g1", "g4", "g5"), ("g1", "g2", "g3", "g4", "g5")])
def test_slow_paths_equal_an_event_simulator_with_slower_gates(names: tuple[str, ...]) -> None:
    """Every step of every net; what a path adds comes together along it."""
    loop = STIMULATED.timed_loops[1]
    step_s, late = 1e-12, 17
    delays = {CIRCUIT.nets[net]: loop.delays[gate] * step_s for gate, net in enumerate(CIRCUIT.drives)}
    machine = late_machine(SlowPath(tuple(CIRCUIT.number[name] for name in names)), late, loop.slowness)
    assert [item.net for item in machine] == sorted(CIRCUIT.number[name] for name in names)
    assert sum(item.rise for item in machine) == late
    for item in machine:
        assert item.rise == item.fall
        delays[CIRCUIT.nets[item.net]] += item.rise * step_s
    timed = run_timed(DEMO, STIMULUS, delays, loop.steps * step_s)
    values = {net: loop.good[net] for net in range(len(CIRCUIT.nets))}
    values |= {net: moved[0] for net, _, moved in propagate_late(loop, [machine], range(len(CIRCUIT.nets)))}
    for net, name in enumerate(CIRCUIT.nets):
        bits = unpack_patterns(values[net], CYCLES)
        for cycle in range(1, CYCLES, 9):
            for step in range(0, loop.steps, 5):
                wanted = timed.value_at(name, (cycle * loop.steps + step + 0.5) * step_s)
                assert bits[step, cycle] == wanted, (name, cycle, step)


def test_machines_with_one_and_with_several_late_nets_do_not_disturb_each_other() -> None:
    loop = STIMULATED.timed_loops[0]
    net = CIRCUIT.number
    machines = [
        (LateNet(net["g0"], 3, 0),),
        (LateNet(net["g0"], 2, 2), LateNet(net["g1"], 4, 4), LateNet(net["g4"], 1, 1)),
        (LateNet(net["g1"], 0, 5),),
        (LateNet(net["g1"], 4, 4), LateNet(net["g5"], 0, 6)),
    ]
    together = {}
    for moved, places, values in propagate_late(loop, machines, range(len(CIRCUIT.nets))):
        together |= {(moved, int(place)): row for place, row in zip(places, values, strict=True)}
    for place, machine in enumerate(machines):
        alone = {moved: rows[0] for moved, _, rows in propagate_late(loop, [machine], range(len(CIRCUIT.nets)))}
        assert sorted(alone) == sorted(moved for moved, own in together if own == place)
        for moved, values in alone.items():
            assert (together[moved, place] == values).all()


def test_levels_may_reach_into_the_next_cycle() -> None:
    steps, cycles = 4, 3
    wave = np.array([0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 1], np.uint8)
    packed = pack_patterns(wave.reshape(cycles, steps)).reshape(steps, -1)
    assert levels_within(packed, (0.5, 1.25), cycles).tolist() == pytest.approx([1.0, 0.0, 1 / 3])
    assert levels_within(packed, (-0.25, 0.25), cycles).tolist() == pytest.approx([0.5, 1.0, 0.0])


def test_the_fault_that_made_the_log_explains_it_best_and_its_levels_follow() -> None:
    """Its own draw, which the evidence may also have in others, is among what is kept."""
    faults = [fault for fault in list_delay_faults(CIRCUIT) if fault.kind == "slow"]
    true = faults.index(Fault(CIRCUIT.number["g1"], "slow", -1))
    loop = STIMULATED.timed_loops[2]
    steps = lateness_steps(LATENESSES[19], loop)
    observed = np.zeros((len(CIRCUIT.outputs), loop.good.shape[2]), np.uint64)
    for net, _, values in propagate_late(loop, [late_machine(faults[true], steps, loop.slowness)], CIRCUIT.outputs):
        observed[list(CIRCUIT.outputs).index(net)] = (values[0, -1] ^ loop.good[net, -1]) & STIMULATED.mask
    assert observed.any()
    draws = range(len(STIMULATED.timed_loops))
    evidence = late_fails(STIMULATED, faults, observed, (draws, range(len(LATENESSES))))
    kept, settings = keep_likely(evidence)
    assert int(np.logaddexp.reduce(kept, axis=1).argmax()) == true
    assert np.logaddexp.reduce(kept, axis=1) == pytest.approx(np.log(np.exp(evidence).mean(axis=(1, 2))))
    (levels,) = late_levels(STIMULATED, faults, settings, [CIRCUIT.number["g1"], CIRCUIT.number["a"]], (0.5, 1.0))
    assert levels.shape == (len(faults), KEPT, 3, 2, CYCLES)
    good = levels_within(loop.good[CIRCUIT.number["a"]], (0.5, 1.0), CYCLES)
    assert np.abs(levels[true, :, 1, 1] - good).max() < 0.1
    assert (
        np.abs(levels[true, 0, 1, 0] - levels_within(loop.good[CIRCUIT.number["g1"]], (0.5, 1.0), CYCLES)).max() > 0.3
    )


def test_latenesses_that_explain_a_log_alike_are_kept_from_the_first_to_the_last() -> None:
    """Some draws want a later edge than others; from there on all latenesses are as good, as one cycle is missed."""
    evidence = np.full((1, 4, len(LATENESSES)), -60.0)
    for draw, first in enumerate((14, 16, 20, 24)):
        evidence[0, draw, first:] = -2.0
    kept, settings = keep_likely(evidence)
    places = np.sort(settings[0, :, 1])
    assert places[0] <= 18
    assert places[-1] >= 32
    assert np.diff(places).max() <= 5
    assert all(evidence[0, draw, place] == -2.0 for draw, place in settings[0])
    assert np.logaddexp.reduce(kept[0]) == pytest.approx(np.log(np.exp(evidence).mean()))
    assert kept[0].min() > kept[0].max() - 1.5


def test_where_the_log_tells_one_lateness_the_next_likeliest_stand_beside_it() -> None:
    evidence = np.linspace(-400.0, -500.0, len(LATENESSES))[None, None, :].repeat(2, axis=1)
    evidence[0, :, 20] = -2.0
    _, settings = keep_likely(evidence)
    assert sorted(settings[0, :, 1].tolist()) == [0, 1, 2, 3, 20]


def test_without_a_log_every_lateness_is_open() -> None:
    settings = usual_settings(3, 2)
    assert settings.shape == (3, KEPT, 2)
    assert set(settings[0, :, 0]) == {0, 1}
    assert len(set(settings[0, :, 1])) == KEPT


def test_told_delays_take_their_part_of_the_cycle() -> None:
    gates = [LogicGate("x", "NOT", ("a",)), LogicGate("y", "NOT", ("x",)), LogicGate("z", "AND", ("y", "b"))]
    circuit = build_circuit(gates, ["a", "b"], ["z"])
    patterns = np.asarray([[0, 1], [1, 1], [0, 0], [1, 0], [0, 1]], np.uint8)
    good = simulate(circuit, pack_patterns(patterns)) & pattern_mask(5)
    told = ToldDelays({"x": 0.2, "y": 0.1, "a": 0.25, "b": 0.0}, spread=0.0)
    loops = draw_loops(circuit, good, 5, 3, told)
    for loop, corner in zip(loops, (1.05, 0.975, 0.9), strict=True):
        steps = loop.steps

        def first(net: str, loop: TimedLoop = loop) -> int:
            """The step at which the net first has the second pattern's value."""
            bits = unpack_patterns(loop.good[circuit.number[net]], 5)[:, 1]
            return int(np.flatnonzero(bits == bits[-1])[0])

        assert first("a") == round(0.25 * corner * steps)
        assert first("x") == round(0.45 * corner * steps)
        assert first("y") == round(0.55 * corner * steps)
        assert not ((loop.good[:, -1] ^ good) & pattern_mask(5)).any()
    # z is not told: around the usual one, as widely as if nothing were.
    parts = [loop.delays[circuit.driver[circuit.number["z"]]] / loop.steps for loop in loops]
    assert all(0.15 * 2 / 3 * 0.85 < part < 0.15 * 4 / 3 * 1.1 for part in parts)
    slow = draw_loops(circuit, good, 5, 1, ToldDelays({"x": 0.9, "y": 0.9, "z": 0.9}, spread=0.0))
    assert not ((slow[0].good[:, -1] ^ good) & pattern_mask(5)).any()


@pytest.mark.parametrize(("rise_s", "fall_s"), [(9e-11, 0.0), (0.0, 9e-11), (3e-10, 2e-10)])
def test_no_edge_of_the_event_simulator_goes_to_the_level_that_is(rise_s: float, fall_s: float) -> None:
    delays = {gate.output: 5e-11 for gate in DEMO.gates}
    for gate in DEMO.gates:
        loop = run_timed(DEMO, STIMULUS, delays, 4e-10, SlowNet(gate.output, rise_s, fall_s))
        for net, events in loop.events.items():
            levels = [loop.start[net], *(level for _, level in events)]
            assert all(before != after for before, after in pairwise(levels)), net

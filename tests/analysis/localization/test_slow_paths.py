"""Slow paths: how they are grown, what they are worth before any evidence, at which gate they are reported.

Dies are made by the event simulator of the benchmark, whose delays no draw of the analysis has.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from analysis.circuits.defects import Defect, SlowPath
from analysis.circuits.faults import Fault
from analysis.circuits.logic_simulation import pack_patterns
from analysis.circuits.netlist import Circuit, LogicGate
from analysis.circuits.sequential import build_sequential
from analysis.localization.candidates import rank_candidates
from analysis.localization.late_suspects import LATENESSES
from analysis.localization.localizer import localize_fault
from analysis.localization.posterior import Posterior
from analysis.localization.problem import ProbedWaveform, Problem
from analysis.localization.sites import choose_sites
from analysis.localization.slow_paths import BROKEN_OFF, Grown, grow_slow_paths, path_prior
from analysis.localization.stimulation import stimulate
from analysis.localization.suspects import Suspects, table_of
from analysis.localization.weighing import screen_die
from tests.analysis.localization.slow_path_dies import CIRCUIT, INPUTS, probe, problem_of, slow_die

STIMULATED = stimulate(CIRCUIT, INPUTS)


def path(*names: str) -> SlowPath:
    return SlowPath(tuple(CIRCUIT.number[name] for name in names))


def named(nets: Sequence[int]) -> tuple[str, ...]:
    return tuple(CIRCUIT.nets[net] for net in nets)


CARRY = ("p0", "t0", "c1", "t1", "c2", "s2")


def test_paths_are_grown_from_one_slow_gate_to_most_of_those_that_are() -> None:
    problem = problem_of(slow_die(CARRY, 0.5))
    assert problem.fails is not None
    observed = pack_patterns(problem.fails.astype(np.uint8))
    middle = LATENESSES.index(min(LATENESSES, key=lambda part: abs(part - 0.4)))
    seed = Grown(SlowPath((CIRCUIT.number["c2"],)), -1e6, 0, middle)
    grown = grow_slow_paths(STIMULATED, observed, [seed])
    assert len({item.path for item in grown}) == len(grown) > 20
    for item in grown:
        assert len(item.path.nets) >= 2
        for before, after in zip(item.path.nets, item.path.nets[1:], strict=False):
            assert before in CIRCUIT.fan_in[CIRCUIT.driver[after]]
    best = max(grown, key=lambda item: item.score)
    assert len(set(named(best.path.nets)) & set(CARRY)) >= 3
    long = max(item.score for item in grown if len(set(named(item.path.nets)) & set(CARRY)) >= 4)
    assert long > best.score - 3
    elsewhere = [item.score for item in grown if len(set(named(item.path.nets)) & set(CARRY)) <= 1]
    assert max(elsewhere) < best.score - 5


def test_nothing_is_grown_from_nothing() -> None:
    assert grow_slow_paths(STIMULATED, np.zeros((len(CIRCUIT.outputs), 2), np.uint64), []) == []


def walks_back(circuit: Circuit, nets: tuple[int, ...], chance: float) -> dict[tuple[int, ...], float]:
    """Every walk from the last gate of ``nets`` on back, with its chance: it breaks off, or goes on to any pin."""
    found = {nets: chance}
    pins = sorted(set(circuit.fan_in[circuit.driver[nets[0]]]))
    for pin in pins:
        if pin in circuit.driver:
            found |= walks_back(circuit, (pin, *nets), chance * (1 - BROKEN_OFF) / len(pins))
    return found


def test_the_prior_of_a_path_is_the_chance_that_a_walk_back_goes_along_it() -> None:
    """Enumerated: walks that break off or come to an input are all."""
    walks: dict[tuple[int, ...], float] = {}
    for net in CIRCUIT.drives:
        walks |= walks_back(CIRCUIT, (net,), 1 / len(CIRCUIT.gates))
    assert len(walks) > 60
    for nets, chance in walks.items():
        pins = set(CIRCUIT.fan_in[CIRCUIT.driver[nets[0]]])
        to_inputs = sum(pin not in CIRCUIT.driver for pin in pins) / len(pins)
        ends = BROKEN_OFF + (1 - BROKEN_OFF) * to_inputs
        assert path_prior(CIRCUIT, nets) == pytest.approx(np.log(chance * ends))
    assert sum(np.exp(path_prior(CIRCUIT, nets)) for nets in walks) == pytest.approx(1.0)


def weigh(masses: Sequence[tuple[Defect, float]]) -> tuple[Suspects, Posterior]:
    """A table of these suspects, and a posterior that has each as likely as stated."""
    defects: list[Fault | SlowPath] = [item for item, _ in masses if isinstance(item, Fault | SlowPath)]
    faults = [Fault(item.net, "slow") if isinstance(item, SlowPath) else item for item in defects]
    nothing = np.full(len(defects), -np.inf)
    errors = STIMULATED.errors(faults)
    table = table_of(STIMULATED, defects, errors, np.zeros((len(defects), 5)), nothing)
    probability = np.asarray([mass for _, mass in masses])
    sites = choose_sites(table, probability)
    spread = probability[:, None] * np.asarray([[0.6, 0.1, 0.1, 0.1, 0.1]])
    return table, Posterior(spread, 1 - float(probability.sum()), np.zeros(len(defects)), sites, 0.0)


def slow(name: str) -> Fault:
    return Fault(CIRCUIT.number[name], "slow")


def test_paths_are_gathered_at_the_gate_that_they_share() -> None:
    paths = [path("p0", "t0", "c1"), path("c1", "t1"), path("g0", "c1", "s1")]
    table, posterior = weigh([(item, 0.2) for item in paths])
    assert named(posterior.sites) == ("c1",) * 3
    assert posterior.of_sites(len(CIRCUIT.nets))[CIRCUIT.number["c1"]] == pytest.approx(0.6)
    (first,) = rank_candidates(table, posterior, [])
    assert (first.net, first.posterior) == ("c1", pytest.approx(0.6))


def test_a_slow_net_counts_for_its_own_gate_and_other_suspects_stay_where_they_are() -> None:
    """Both gates of the path are as sure by paths alone; the gate's own delay fault decides."""
    own = [(path("t1", "c2"), 0.3), (slow("t1"), 0.1)]
    assert named(weigh(own)[1].sites) == ("t1", "t1")
    assert named(weigh([own[0], (slow("c2"), 0.1)])[1].sites) == ("c2", "c2")
    others: list[tuple[Defect, float]] = [(Fault(CIRCUIT.number["s3"], "stem", 1), 0.2), (slow("p3"), 0.1)]
    assert named(weigh([*own, *others])[1].sites) == ("t1", "t1", "s3", "p3")
    assert named(weigh(others)[1].sites) == ("s3", "p3")


def test_paths_without_a_gate_in_common_have_sites_of_their_own() -> None:
    _, posterior = weigh([(path("t1", "c2", "s2"), 0.3), (path("p0", "t0"), 0.3), (path("c2", "s2"), 0.1)])
    first, second, third = named(posterior.sites)
    assert first == third
    assert first in ("c2", "s2")
    assert second in ("p0", "t0")


@pytest.mark.parametrize(
    ("names", "middle"),
    [(("t0", "c1", "t1"), "c1"), (CARRY[:5], "c1"), (("p0", "t0", "c1", "t1", "c2", "t2", "c3"), "t1")],
)
def test_of_gates_that_are_equally_sure_it_is_the_middle_one(names: tuple[str, ...], middle: str) -> None:
    assert named(weigh([(path(*names), 0.4)])[1].sites) == (middle,)


def test_a_path_is_told_where_paths_together_are_likelier_than_all_else_there() -> None:
    """None of the paths alone is as likely as the slow net."""
    paths: list[tuple[Defect, float]] = [
        (path("c1", "t1"), 0.2),
        (path("t1", "c2"), 0.15),
        (path("g0", "c1", "t1"), 0.1),
    ]
    table, posterior = weigh([*paths, (slow("t1"), 0.3)])
    (first,) = rank_candidates(table, posterior, [])
    assert (first.net, first.fault, first.posterior) == ("t1", "PATH:c1 > t1", pytest.approx(0.75))
    table, posterior = weigh([*paths, (slow("t1"), 0.5)])
    (first,) = rank_candidates(table, posterior, [])
    assert (first.net, first.fault) == ("t1", "SLOW")


@pytest.mark.parametrize(("names", "code"), [(CARRY, ("PATH:", "SLOW")), (("p1", "t1", "c2"), ("PATH:",))])
def test_a_die_with_a_slow_path_ends_at_one_of_its_gates(names: tuple[str, ...], code: tuple[str, ...]) -> None:
    """A path that explains no more than its surest gate alone may be told as that gate."""
    die = slow_die(names, 0.6 if len(names) < 4 else 0.5)
    waveforms: list[ProbedWaveform] = []
    for _ in range(5):
        answer = localize_fault(problem_of(die, waveforms))
        if answer.decided:
            break
        waveforms.append(probe(die, answer.next_probes[0].net))
    first = answer.candidates[0]
    assert answer.verdict == "located"
    assert first.net in names
    assert first.fault.startswith(code)
    assert first.activity == 1.0
    if first.fault.startswith("PATH:"):
        told = first.fault.removeprefix("PATH:").split(" > ")
        assert first.net in told
        assert len(set(told) & set(names)) >= 2


@pytest.mark.parametrize(("names", "part"), [(CARRY, 0.5), (("p1", "t1", "c2"), 0.6), (("t1", "c2", "t2", "c3"), 0.4)])
def test_waveforms_of_a_slow_path_have_their_ratio_and_no_wrong_delay(names: tuple[str, ...], part: float) -> None:
    """Against the events of the generator: edges are late there, not values wrong by a whole cycle."""
    die = slow_die(names, part)
    answer = localize_fault(problem_of(die, [probe(die, net) for net in names]))
    assert answer.candidates[0].net in names
    ratios = [waveform.snr or 0.0 for waveform in answer.waveforms]
    assert np.median(ratios) == pytest.approx(die.options.snr_per_cycle, rel=0.4)
    stated = 0
    for waveform in answer.waveforms:
        if waveform.skew_s is None or waveform.skew_sigma_s is None:
            assert waveform.delay.refused
            continue
        stated += 1
        places = np.asarray([time / die.cycle_s % 1 for time, _ in die.loop.events[waveform.net]])
        skew, sigma = waveform.skew_s / die.cycle_s, waveform.skew_sigma_s / die.cycle_s
        assert places.min() - 3 * sigma < skew < places.max() + 3 * sigma
    assert stated < len(names)


def test_a_slow_path_is_not_said_to_look_like_another_site() -> None:
    """By whole cycles it does what a slow net at its beginning does; in time it does not."""
    path = SlowPath(tuple(CIRCUIT.number[name] for name in ("p1", "t1", "c2")))
    table, posterior = weigh([(path, 0.5), (slow("p1"), 0.3), (slow("s3"), 0.1)])
    ranked = rank_candidates(table, posterior, [])
    assert len(ranked) >= 2
    assert all(candidate.equivalent == () for candidate in ranked)


def test_in_a_functional_loop_no_path_is_a_suspect() -> None:
    gates = [
        LogicGate("q", "DFF", ("d",)),
        LogicGate("n", "XOR", ("q", "run")),
        LogicGate("d", "AND", ("n", "keep")),
        LogicGate("y", "NAND", ("d", "run")),
    ]
    sequential = build_sequential(gates, ["run", "keep"], ["y"])
    patterns = np.random.default_rng(2).integers(0, 2, (40, 2), dtype=np.uint8)
    fails = np.zeros((40, len(sequential.circuit.outputs)), np.bool_)
    fails[5::7, sequential.observed[0]] = True
    answer = screen_die(Problem(sequential.circuit, patterns, fails, [], 1e-8, sequential=sequential)).suspects
    assert {getattr(item, "kind", "") for item in answer.defects} >= {"stem", "slow"}
    assert not any(isinstance(item, SlowPath) for item in answer.defects)
    assert (choose_sites(answer, np.ones(len(answer))) == answer.nets[:, 0]).all()

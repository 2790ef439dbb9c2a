"""Finding the failing gate on the demonstration's circuit: verdicts, ranks, equivalence, refusals."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from analysis.circuits.netlist import LogicGate, build_circuit
from analysis.localization.localizer import localize_fault
from analysis.localization.mixture import Spot, spot_weight
from analysis.localization.problem import ProbedWaveform, Problem
from analysis.results import LOCATED_ABOVE, VERDICTS, Localization
from analysis.waveforms.cycles import WaveformError
from services.demo.circuit import build_accumulator
from services.demo.die import SimulatedDie
from services.demo.machine import HiddenFault
from tests.analysis.localization.scenes import circuit_of, make_die, probe, problem_of

DEMO = build_accumulator()
CIRCUIT = circuit_of(DEMO)


def guided(die: SimulatedDie, probes: int = 5) -> Localization:
    """Probe what the localizer asks for."""
    waveforms: list[ProbedWaveform] = []
    for _ in range(probes):
        answer = localize_fault(problem_of(die, CIRCUIT, waveforms))
        waveforms.append(probe(die, answer.next_probes[0].net))
    return localize_fault(problem_of(die, CIRCUIT, waveforms))


@pytest.mark.parametrize(
    ("fault", "described"),
    [
        (HiddenFault("c4", "stuck-0"), "SA0"),
        (HiddenFault("y3", "pin-stuck-1", 1), "SA1:m3_1"),
        (HiddenFault("eq_low", "swap", function="OR"), "SWAP:OR"),
        (HiddenFault("c4", "swap", function="AND", activity=0.5), "SWAP:AND"),
    ],
)
def test_each_kind_of_fault_is_located(fault: HiddenFault, described: str) -> None:
    answer = guided(make_die(DEMO, fault, 11))
    assert answer.verdict == "located"
    first = answer.candidates[0]
    assert (first.net, first.fault) == (fault.net, described)
    assert first.posterior >= LOCATED_ABOVE
    assert abs(first.activity - fault.activity) <= 0.2


def test_a_good_die_has_no_fault() -> None:
    answer = guided(make_die(DEMO, None, 12))
    assert answer.verdict == "no-fault"
    assert max(waveform.p_faulty for waveform in answer.waveforms) < 0.5


def test_a_passing_log_is_stronger_than_an_unknown_one() -> None:
    die = make_die(DEMO, None, 13)
    problem = problem_of(die, CIRCUIT, [probe(die, "c4")])
    passing = replace(problem, fails=np.zeros((256, len(CIRCUIT.outputs)), np.bool_))
    assert localize_fault(passing).no_fault > localize_fault(problem).no_fault
    assert localize_fault(passing).verdict == "no-fault"


def test_without_waveforms_the_fail_log_ranks() -> None:
    fault = HiddenFault("c4", "stuck-0")
    answer = localize_fault(problem_of(make_die(DEMO, fault, 14), CIRCUIT, []))
    assert fault.net in [item.net for item in answer.candidates[:5]]
    assert answer.waveforms == ()
    assert answer.verdict in VERDICTS


def test_probabilities_are_probabilities() -> None:
    answer = guided(make_die(DEMO, HiddenFault("c4", "stuck-0"), 15), 3)
    total = sum(item.posterior for item in answer.candidates) + answer.no_fault + answer.unmodelled
    assert 0.99 < total < 1.0 + 1e-9
    assert all(0 <= item.p_faulty <= 1 and 0 <= item.p_faulty_alone <= 1 for item in answer.waveforms)
    posteriors = [item.posterior for item in answer.candidates]
    assert posteriors == sorted(posteriors, reverse=True)
    bits = [item.bits for item in answer.next_probes]
    assert all(round(a, 3) >= round(b, 3) for a, b in pairwise(bits))
    assert all(item.x_um is not None and item.seconds > 0 for item in answer.next_probes)


def test_sites_that_differ_by_polarity_only_are_equivalent() -> None:
    """A gate that computes its inverse, and an inverter behind it that does not invert."""
    fault = HiddenFault("g0_n", "swap", function="AND")
    answer = guided(make_die(DEMO, fault, 16))
    first = answer.candidates[0]
    assert first.net == fault.net or fault.net in first.equivalent


def test_a_neighbour_of_the_fault_does_not_mislead() -> None:
    """Probes beside the faulty net, none on it: its waveform is in theirs, and the hypothesis moves it there too."""
    fault = HiddenFault("s3", "stuck-1")
    die = make_die(DEMO, fault, 17, snr=3.0)
    beside = [net for net, _ in die.under_spot(fault.net)][:4]
    answer = localize_fault(problem_of(die, CIRCUIT, [probe(die, net) for net in beside]))
    assert answer.candidates[0].net == fault.net


def test_a_site_of_a_double_fault_is_among_the_first() -> None:
    """Two stuck nets anywhere: found as a pair, or said to be outside the model, and never something else for sure."""
    numbers = np.random.default_rng(18)
    ones = (1 << 256) - 1
    nets = [gate.output for gate in DEMO.gates if gate.function != "DFF"]
    located_wrong, among_first, dies = 0, 0, 8
    for seed in range(dies):
        pair = [str(net) for net in numbers.choice(nets, 2, replace=False)]
        die = make_die(DEMO, None, 100 + seed, forced={pair[0]: 0, pair[1]: ones})
        answer = guided(die, 3)
        located_wrong += answer.verdict == "located" and answer.candidates[0].net not in pair
        among_first += any(item.net in pair for item in answer.candidates[:5])
    assert located_wrong == 0
    assert among_first >= dies * 0.8


def cone(net: str) -> set[str]:
    """The nets that a net reaches through gates."""
    reached = {net}
    grown = True
    while grown:
        more = {gate.output for gate in DEMO.gates if gate.function != "DFF" and reached & set(gate.inputs)}
        grown = not more <= reached
        reached |= more
    return reached


def test_wired_bridges_do_not_point_elsewhere() -> None:
    """Two nets tied together, each the AND of both: a site of the bridge is among the first, or it is unmodelled."""
    numbers = np.random.default_rng(23)
    nets = [gate.output for gate in DEMO.gates if gate.function != "DFF"]
    good = make_die(DEMO, None, 1)
    wrong, among_first, dies = 0, 0, 0
    while dies < 8:
        pair = [str(net) for net in numbers.choice(nets, 2, replace=False)]
        if pair[1] in cone(pair[0]) or pair[0] in cone(pair[1]):
            continue
        both = sum(
            1 << cycle for cycle in range(256) if good.does(pair[0])[cycle] > 0 and good.does(pair[1])[cycle] > 0
        )
        die = make_die(DEMO, None, 200 + dies, forced=dict.fromkeys(pair, both))
        if not die.fails:
            continue
        dies += 1
        answer = guided(die, 3)
        near = {source for gate in DEMO.gates if gate.output in pair for source in gate.inputs} | set(pair)
        near |= {gate.output for gate in DEMO.gates if set(gate.inputs) & set(pair)}
        wrong += answer.verdict == "located" and answer.candidates[0].net not in near
        among_first += any(item.net in pair for item in answer.candidates[:5])
    assert wrong <= 1
    assert among_first >= dies * 0.6


def test_an_unknown_net_is_refused_by_name() -> None:
    die = make_die(DEMO, None, 19)
    waveform = replace(probe(die, "c4"), net="c99")
    with pytest.raises(WaveformError, match="a waveform was probed on c99, a net that the circuit does not have"):
        localize_fault(problem_of(die, CIRCUIT, [waveform]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full(8192, 0.5), "the waveform on c4: the waveform has the same level in every cycle, without any noise"),
        (np.full(8192, np.nan), "the waveform on c4: the waveform has samples that are not finite"),
        (np.zeros(32), "the waveform on c4: the waveform covers 1 of the 256 cycles of the pattern loop"),
        (np.zeros(0), "the waveform on c4: the waveform has no samples"),
    ],
)
def test_a_broken_waveform_is_refused_with_its_net(values: np.ndarray, message: str) -> None:
    problem = problem_of(make_die(DEMO, None, 20), CIRCUIT, [ProbedWaveform("c4", values, 0.0, 3.125e-10)])
    with pytest.raises(WaveformError, match=message):
        localize_fault(problem)


def test_progress_goes_from_little_to_all() -> None:
    heard: list[float] = []
    die = make_die(DEMO, HiddenFault("c4", "stuck-0"), 21)
    localize_fault(problem_of(die, CIRCUIT, [probe(die, "c4")]), lambda part, _message: heard.append(part))
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_the_same_problem_gives_the_same_answer() -> None:
    die = make_die(DEMO, HiddenFault("y3", "pin-stuck-1", 1), 22)
    problem = problem_of(die, CIRCUIT, [probe(die, "y3"), probe(die, "m3_1")])
    assert localize_fault(problem) == localize_fault(problem)


SMALL = """t1 AND a one, t3 XOR t1 b, t4 XNOR t3 d, q NOT t4, t5 OR q zero, y NAND t5 c, z XOR t3 c"""


def crowded_die(seed: int) -> Problem:
    """A small circuit whose ``t3`` is stuck at 0, all of its nets 30 nm from each other: more than ten in each spot."""
    gates = [LogicGate(net, function, tuple(pins)) for net, function, *pins in map(str.split, SMALL.split(", "))]
    gates += [LogicGate("one", "CONST1", ()), LogicGate("zero", "CONST0", ())]
    circuit = build_circuit(gates, ["a", "b", "c", "d"], ["y", "z"])
    numbers = np.random.default_rng(seed)
    patterns = numbers.integers(0, 2, (64, 4), dtype=np.uint8)

    def run(*, stuck: bool) -> dict[str, np.ndarray]:
        a, b, c, d = patterns.T
        t3 = np.zeros_like(a) if stuck else a ^ b
        t4 = 1 - (t3 ^ d)
        values = {"a": a, "b": b, "c": c, "d": d, "t1": a, "t3": t3, "t4": t4, "q": 1 - t4, "t5": 1 - t4}
        return values | {"y": 1 - ((1 - t4) & c), "z": t3 ^ c, "one": np.ones_like(a), "zero": np.zeros_like(a)}

    good, bad = run(stuck=False), run(stuck=True)
    places = {net: (0.03 * (index % 4), 0.03 * (index // 4)) for index, net in enumerate(circuit.nets)}
    waveforms = []
    for net in ("t3", "q", "z", "y"):
        own, spot = places[net], Spot(*places[net], 250.0, 30.0)
        weights = {other: spot_weight(spot, *place) for other, place in places.items()}
        total = sum(bad[other] * weights[other] * numbers.choice((-1, 1)) * numbers.uniform(0.6, 1.4) for other in bad)
        values = np.repeat(total, 16) + numbers.normal(0, 1.0, 64 * 16)
        waveforms.append(ProbedWaveform(net, values, 0.0, 1e-8 / 16, Spot(*own, 250.0, 30.0)))
    fails = np.stack([good[circuit.nets[net]] != bad[circuit.nets[net]] for net in circuit.outputs], axis=1)
    stimulus = np.stack([patterns[:, "abcd".index(circuit.nets[net])] for net in circuit.inputs], axis=1)
    return Problem(circuit, np.ascontiguousarray(stimulus), fails, waveforms, 1e-8, places)


@pytest.mark.parametrize("seed", range(6))
def test_no_wrong_suspect_is_certain_where_many_nets_are_in_the_spot(seed: int) -> None:
    answer = localize_fault(crowded_die(seed))
    assert max(len(item.mixture) for item in answer.waveforms) > 10
    first = answer.candidates[0]
    assert answer.verdict != "located" or first.net == "t3"
    assert "t3" in [item.net for item in answer.candidates[:3]]

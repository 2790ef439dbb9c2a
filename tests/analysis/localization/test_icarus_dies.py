"""The benchmark's dies made by Icarus Verilog against those of its plain generator; how their netlists are read."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import localization
from benchmarks.localization import Bench, Settings, measure_circuit
from benchmarks.localization_trials.circuits import read_circuit, sky130_netlist
from benchmarks.localization_trials.defects import BRIDGES, STRATA, DefectSource
from benchmarks.localization_trials.dies import Bridge, Defect, Die, DieGenerator, PlainDies
from benchmarks.localization_trials.icarus.dies import IcarusDie, IcarusDies
from benchmarks.localization_trials.icarus.netlist import map_gate, read_netlist
from benchmarks.localization_trials.icarus.simulation import read_dump
from benchmarks.localization_trials.timed_die import SlowNet, SlowPath, TimedDie
from services.demo.circuit import DemoCircuit, DemoGate, build_accumulator
from services.demo.die import DieOptions, SimulatedDie, random_stimulus
from services.demo.machine import HiddenFault

needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None or shutil.which("vvp") is None, reason="needs iverilog"
)
PATTERNS = 96
DRAWS = 3
FEMTO = 1e15


def tangle() -> DemoCircuit:
    """Reconvergent paths, a net twice into one gate, a flip-flop, and names that Verilog must escape."""
    circuit = DemoCircuit(["a", "b", "c[0]", "d"], [], [])
    circuit.gate("u1", "NAND", "a", "b", "c[0]")
    circuit.gate("u2", "XOR", "u1", "d")
    circuit.gate("wire", "NOR", "u2", "q")
    circuit.gate("u4", "AND", "u1", "u2", "a", "q")
    circuit.gate("u5.x", "XNOR", "wire", "u4")
    circuit.gate("u6", "OR", "u5.x", "b", "b")
    circuit.gate("u7", "NOT", "u6")
    circuit.gate("u8", "BUF", "u5.x")
    circuit.gate("q", "DFF", "u7")
    circuit.outputs += ["u8", "u4", "u6"]
    return circuit


CIRCUITS = {"tangle": tangle(), "accumulator": build_accumulator()}


class Kept:
    """A generator that remembers the last defect it was asked for, with its seed and its die."""

    def __init__(self, generator: DieGenerator) -> None:
        self.generator, self.timing = generator, generator.timing
        self.last: tuple[Defect, int, Die] | None = None

    def make(self, defect: Defect, seed: int) -> Die:
        die = self.generator.make(defect, seed)
        self.last = defect, seed, die
        return die


def generators(
    circuit: DemoCircuit, netlist: Path | None = None, snr: float = 2.0
) -> tuple[DefectSource, Kept, IcarusDies]:
    """Both generators of a circuit, and what draws its defects."""
    stimulus = random_stimulus(circuit, PATTERNS, 3)
    options = DieOptions(patterns=PATTERNS, pitch_scale=0.095, stimulus_seed=3, snr_per_cycle=snr)
    kept = Kept(PlainDies(circuit, stimulus, options))
    return DefectSource(circuit, PATTERNS, kept), kept, IcarusDies(circuit, stimulus, options, netlist)


def pairs(
    source: DefectSource, kept: Kept, icarus: IcarusDies, stratum: str
) -> Iterator[tuple[Defect, Die, IcarusDie]]:
    """Some defects of a stratum, each with the die of either generator."""
    for seed in range(DRAWS):
        source.draw(stratum, seed + 1)
        assert kept.last is not None
        defect, own, die = kept.last
        yield defect, die, icarus.make(defect, own)


def check_agreement(source: DefectSource, kept: Kept, icarus: IcarusDies, stratum: str) -> None:
    for defect, plain, die in pairs(source, kept, icarus, stratum):
        assert sorted(plain.fails) == die.fails, defect
        assert bool(die.fails) == (stratum != "golden")
        assert plain.places_um == die.places_um
        if isinstance(plain, SimulatedDie):
            for net in plain.places_um:
                assert die.does(net) == pytest.approx(plain.does(net)), (defect, net)
        else:
            assert isinstance(plain, TimedDie)
            check_edges(plain, die)


def check_edges(plain: TimedDie, die: IcarusDie) -> None:
    """Every edge of every net within the loop, to the rounding of its delays."""
    loop = die.loops[0][1]
    end = loop.cycles * loop.cycle_fs
    for net, events in plain.loop.events.items():
        expected = [(time * FEMTO, level) for time, level in events if time * FEMTO < end - 1000]
        found = [(time, level) for time, level in loop.edges[net] if time < end - 1000]
        assert [level for _, level in found] == [level for _, level in expected], net
        assert np.allclose([time for time, _ in found], [time for time, _ in expected], rtol=0, atol=200), net
        assert loop.start[net] == plain.loop.start[net]


@needs_icarus
@pytest.mark.parametrize("stratum", STRATA)
@pytest.mark.parametrize("name", CIRCUITS)
def test_agrees_with_the_plain_generator(name: str, stratum: str) -> None:
    check_agreement(*generators(CIRCUITS[name]), stratum)


@needs_icarus
@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["b01", "s27", "c432"])
def test_agrees_where_there_is_a_netlist(shared_data: Path, name: str) -> None:
    circuit = read_circuit(shared_data / "circuits" / f"{name}.bench")
    netlist = sky130_netlist(shared_data / "circuits", name)
    assert netlist is not None
    made = generators(circuit, netlist)
    # Gates of c432 that are two cells deep take longer than the plain generator's, so that late edges differ.
    for stratum in STRATA if name != "c432" else (*BRIDGES, "pin", "swap", "stem", "intermittent"):
        check_agreement(*made, stratum)


@needs_icarus
@pytest.mark.parametrize(("rise_s", "fall_s"), [(9e-11, 0.0), (0.0, 9e-11), (9e-11, 9e-11), (3e-10, 2e-10)])
def test_late_edges_overtake_as_in_the_plain_generator(rise_s: float, fall_s: float) -> None:
    _, kept, icarus = generators(CIRCUITS["tangle"])
    for net in ("u2", "wire", "u5.x"):
        plain = kept.make(SlowNet(net, rise_s, fall_s), 1)
        assert isinstance(plain, TimedDie)
        check_edges(plain, icarus.make(SlowNet(net, rise_s, fall_s), 1))


@needs_icarus
@pytest.mark.parametrize("extra_s", [(2e-11, 7e-11, 4e-11), (1.2e-10, 1e-12, 9e-11), (3e-10, 2e-10, 1e-10)])
def test_gates_along_a_slow_path_are_slower_as_in_the_plain_generator(extra_s: tuple[float, ...]) -> None:
    """Each gate by its own time; the third delays make edges of two cycles meet."""
    _, kept, icarus = generators(CIRCUITS["tangle"])
    for nets in (("u1", "u2", "wire"), ("u2", "u4", "u5.x"), ("u5.x", "u6", "u7")):
        slow = SlowPath(nets, extra_s)
        plain, die = kept.make(slow, 1), icarus.make(slow, 1)
        assert isinstance(plain, TimedDie)
        assert sorted(plain.fails) == die.fails
        check_edges(plain, die)


@needs_icarus
def test_the_cycle_leaves_the_margin_of_the_plain_generator() -> None:
    _, kept, icarus = generators(CIRCUITS["tangle"])
    assert icarus.timing[1] == pytest.approx(kept.timing[1], rel=1e-4)


@needs_icarus
def test_the_same_waveforms_but_for_the_delays_of_cells() -> None:
    # Without noise; the beam, the weights, the trigger and the drift are drawn alike by both.
    _, kept, icarus = generators(CIRCUITS["tangle"], snr=1e9)
    defect = HiddenFault("u4", "pin-stuck-1", pin=3, activity=0.4)
    plain, die = kept.make(defect, 5), icarus.make(defect, 5)
    for net in ("u4", "u5.x", "wire"):
        theirs, ours = plain.measure(net), die.measure(net)
        assert (ours.dt_s, ours.x_um, ours.y_um) == (theirs.dt_s, theirs.x_um, theirs.y_um)
        within = np.arange(ours.values.size) % 32
        settled = (within >= 8) & (within < 31)
        assert np.abs(ours.values - theirs.values)[settled].max() < 1e-6 * np.ptp(theirs.values)
        assert np.abs(ours.values - theirs.values).max() > 0.05 * np.ptp(theirs.values)


@needs_icarus
def test_gates_of_every_width_compute_what_they_should() -> None:
    inputs = [f"i{place}" for place in range(9)]
    circuit = DemoCircuit(inputs, [], [])
    for function in ("AND", "NAND", "OR", "NOR", "XOR", "XNOR"):
        for width in range(1, 10):
            circuit.outputs.append(circuit.gate(f"{function}{width}", function, *inputs[:width]))
    stimulus = random_stimulus(circuit, 512, 4)
    die = IcarusDies(circuit, stimulus, DieOptions(patterns=512)).make(None, 1)
    for width in range(1, 10):
        bits = stimulus.bits[:, [stimulus.nets.index(net) for net in inputs[:width]]]
        for function, value in (("AND", bits.all(1)), ("OR", bits.any(1)), ("XOR", bits.sum(1) % 2 == 1)):
            inverted = {"AND": "NAND", "OR": "NOR", "XOR": "XNOR"}[function]
            assert np.array_equal(die.does(f"{function}{width}"), value)
            assert np.array_equal(die.does(f"{inverted}{width}"), ~value)


@needs_icarus
def test_a_bridge_that_feeds_itself_back_is_refused() -> None:
    _, _, icarus = generators(CIRCUITS["tangle"])
    with pytest.raises(ValueError, match="at no logic level"):
        icarus.make(Bridge("dominant", "u7", "u6"), 1)


@needs_icarus
def test_the_benchmark_localizes_these_dies() -> None:
    settings = Settings(
        dies=3,
        snr=4.0,
        placement_nm=30.0,
        probes=2,
        seed=3,
        mix=("stem", "slow", "golden"),
        generator="icarus",
    )
    outcomes = measure_circuit(Bench("accumulator", build_accumulator(), settings))
    assert [outcome.stratum for outcome in outcomes] == ["stem", "slow", "golden"]
    assert outcomes[0].top == 1
    assert outcomes[2].verdict != "located"


def test_the_benchmark_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", ["localization", "--generator", "icarus"])
    with pytest.raises(SystemExit):
        localization.main()
    assert "Icarus Verilog is not installed" in capsys.readouterr().err


NETLIST = """
// a gate of five inputs is two cells, and pins may come in any order
module top(CK, a, b, c, d, e, y);
  input CK, a, b, c, d, e;
  output y; wire y__t0, q;
  sky130_fd_sc_hd__dfxtp_1 F (.CLK(CK), .D(y), .Q(q));
  sky130_fd_sc_hd__and2_2 U0 (.X(y__t0), .B(b), .A(a));
  sky130_fd_sc_hd__nand4_1 U1 (.A(y__t0), .B(c), .C(d), .D(e), .Y(y));
endmodule
"""


def wide() -> DemoCircuit:
    circuit = DemoCircuit(["a", "b", "c", "d", "e"], ["y"], [])
    circuit.gate("y", "NAND", "a", "b", "c", "d", "e")
    circuit.gate("q", "DFF", "y")
    return circuit


def test_a_netlist_gives_each_gate_its_cells(tmp_path: Path) -> None:
    (tmp_path / "top.v").write_text(NETLIST)
    netlist = read_netlist(tmp_path / "top.v", wide())
    inner, last = netlist.cells["y"]
    assert (inner.kind, inner.output, inner.inputs) == ("and2", "y__t0", ("a", "b"))
    assert (last.kind, last.output, last.inputs) == ("nand4", "y", ("y__t0", "c", "d", "e"))
    gate = wide().gates[0]
    assert [netlist.pin_of(gate, pin) for pin in range(5)] == [(0, 0), (0, 1), (1, 1), (1, 2), (1, 3)]
    with pytest.raises(ValueError, match="no input z"):
        netlist.pin_of(replace(gate, inputs=("z",)), 0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("nand4_1", "a221oi_1", "no cell that is known"),
        (".D(e)", ".E(e)", "no cell that is known"),
        ("endmodule", "assign y = a; endmodule", "cannot read 'assign"),
        (".Y(y)", ".Y(z)", "drives no net y"),
        (".B(c)", ".B(q)", "fed by other nets"),
        ("endmodule", "sky130_fd_sc_hd__inv_1 U9 (.A(a), .Y(z)); endmodule", "no gate of the circuit"),
    ],
)
def test_a_netlist_of_another_circuit_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    (tmp_path / "top.v").write_text(NETLIST.replace(old, new))
    with pytest.raises(ValueError, match=reason):
        read_netlist(tmp_path / "top.v", wide())


@pytest.mark.parametrize("gate", [DemoGate("y", "TABLE:10", ("a",)), DemoGate("y", "CONST1", ())])
def test_a_gate_that_no_cells_make_is_refused(gate: DemoGate) -> None:
    with pytest.raises(ValueError, match="no sky130 cells"):
        map_gate(gate)


DUMP = """$scope module die $end
$var wire 1 ! \\a[0] $end
$var reg 1 " b $end
$enddefinitions $end
#0
$dumpvars
x!
0"
$end
#5
1!
#10
0!
1"
#12
1!
"""


def test_a_dump_is_read_from_the_beginning_of_the_loop() -> None:
    start, edges = read_dump(DUMP.splitlines(keepends=True), 10)
    assert start == {"a[0]": 1, "b": 0}
    assert edges == {"a[0]": [(0, 0), (2, 1)], "b": [(0, 1)]}


@pytest.mark.parametrize(
    ("begin", "text", "reason"), [(3, DUMP, "a\\[0\\] and 0 other"), (10, DUMP + "x!\n", "leaves")]
)
def test_a_dump_without_logic_levels_is_refused(begin: int, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_dump(text.splitlines(keepends=True), begin)

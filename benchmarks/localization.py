"""Localization: simulated dies with one hidden gate fault each, found from the fail log and five probes.

Dies come from ``services.demo``, whose simulator shares no code with the analysis; measurements are SIMULATED. Stems,
pins, swapped gates and intermittent faults take turns. Two protocols: ``guided`` measures the first of the localizer's
next probes and asks again; ``planned`` measures the first five that it names from the fail log alone. Beside them the
classical ways: ranking by the fail log alone (single location at a time), and the guided back-trace from a failing
output, here with waveforms that are read without error.
"""

import argparse
import os
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.faults import list_faults, simulate_faults
from analysis.circuits.logic_simulation import pack_patterns
from analysis.circuits.netlist import Circuit, LogicGate, build_circuit
from analysis.localization.localizer import ProbedWaveform, Problem, localize_fault
from analysis.localization.mixture import Spot
from analysis.results import Localization
from benchmarks.report import Row, print_rows
from instruments.adapter import HEAD_BYTES, Source
from instruments.records import Netlist
from instruments.simulation.bench_netlist import BenchNetlistAdapter
from services.demo.circuit import DemoCircuit, build_accumulator
from services.demo.die import DieOptions, SimulatedDie, circuit_of, list_hidden_faults, observed_nets, random_stimulus
from services.demo.machine import HiddenFault, detected, run

STRATA = ("stem", "pin", "swap", "intermittent")
GOLDEN_EACH = 10
PLANNED_EACH = 5
PATTERNS = 256
PITCH_SCALE = 0.095
TIE = 1e-6
DEFAULT_DIES = 4
BINS = 10


@dataclass(frozen=True)
class Settings:
    """What a run measures: dies per circuit, signal-to-noise ratio per cycle, beam placement error, probes, seed."""

    dies: int
    snr: float
    placement_nm: float
    probes: int
    seed: int


@dataclass
class Tally:
    """What came out for one circuit: one entry per faulty die, ranks from 1, golden dies counted apart."""

    stratum: list[str] = field(default_factory=list)
    rank: list[float] = field(default_factory=list)
    top: list[float] = field(default_factory=list)
    top_collapsed: list[bool] = field(default_factory=list)
    planned_top: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    verdict: list[str] = field(default_factory=list)
    probes_to_located: list[int] = field(default_factory=list)
    slat_top: list[float] = field(default_factory=list)
    trace_probes: list[int] = field(default_factory=list)
    neighbours: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    false_alarms: int = 0
    golden: int = 0


class Bench:
    """One circuit with its patterns, and everything that its dies share."""

    def __init__(self, name: str, circuit: DemoCircuit, settings: Settings) -> None:
        self.name = name
        self.demo = circuit
        self.settings = settings
        gates = [LogicGate(gate.output, gate.function, gate.inputs) for gate in circuit.gates]
        self.circuit: Circuit = build_circuit(gates, circuit.inputs, circuit.outputs)
        self.stimulus = random_stimulus(circuit, PATTERNS, settings.seed)
        columns = {net: place for place, net in enumerate(self.stimulus.nets)}
        order = [columns[self.circuit.nets[net]] for net in self.circuit.inputs]
        self.patterns = np.ascontiguousarray(self.stimulus.bits[:, order])
        self.good = run(circuit.gates, self.stimulus.packed, PATTERNS)
        self.observed = observed_nets(circuit)
        self.flips = self._flips()

    def _flips(self) -> dict[str, tuple[int, ...]]:
        """Return which bits of each observed net change when a net is inverted throughout."""
        ones = (1 << PATTERNS) - 1
        flips = {}
        for net in self.good:
            values = run(self.demo.gates, self.stimulus.packed, PATTERNS, forced={net: self.good[net] ^ ones})
            flips[net] = tuple(values[out] ^ self.good[out] for out in self.observed)
        return flips

    def hidden_faults(self, generator: np.random.Generator) -> list[tuple[str, HiddenFault]]:
        """Return random detected faults, the strata in turn."""
        chosen: list[tuple[str, HiddenFault]] = []
        by_kind = {kind: list_hidden_faults(self.demo, (kind,)) for kind in ("stuck", "pin", "swap")}
        for place in range(self.settings.dies):
            stratum = STRATA[place % len(STRATA)]
            for _ in range(1000):
                kind = {"stem": "stuck", "intermittent": str(generator.choice(list(by_kind)))}.get(stratum, stratum)
                fault = by_kind[kind][int(generator.integers(len(by_kind[kind])))]
                faulty = run(self.demo.gates, self.stimulus.packed, PATTERNS, fault)
                if detected(self.observed, self.good, faulty):
                    break
            else:
                raise RuntimeError(f"{self.name}: the patterns detect no {stratum} fault")
            if stratum == "intermittent":
                activity = float(generator.uniform(0.2, 0.8))
                fault = HiddenFault(fault.net, fault.kind, fault.pin, fault.function, activity)
            chosen.append((stratum, fault))
        return chosen

    def die(self, seed: int, fault: HiddenFault | None) -> SimulatedDie:
        """Return a die with ``fault``, or a good one."""
        options = DieOptions(
            seed=seed,
            fault=fault,
            golden=fault is None,
            patterns=PATTERNS,
            snr_per_cycle=self.settings.snr,
            placement_sigma_nm=self.settings.placement_nm,
            pitch_scale=PITCH_SCALE,
            stimulus_seed=self.settings.seed,
        )
        return SimulatedDie(self.demo, options)

    def localize(self, die: SimulatedDie, waveforms: Sequence[ProbedWaveform]) -> Localization:
        """Ask the localizer; as in a session, an empty fail log is an unknown one."""
        fails: NDArray[np.bool_] | None = None
        if die.fails:
            fails = np.zeros((PATTERNS, len(self.circuit.outputs)), np.bool_)
            for cycle, net in die.fails:
                fails[cycle, self.circuit.output_number[net]] = True
        cycle_s = die.options.timing.cycle_s
        beam = Spot(0.0, 0.0, die.options.optics.spot_fwhm_nm, die.options.placement_sigma_nm)
        return localize_fault(Problem(self.circuit, self.patterns, fails, waveforms, cycle_s, die.places_um, beam=beam))

    def probe(self, die: SimulatedDie, net: str) -> ProbedWaveform:
        """Measure ``net``."""
        probe = die.measure(net)
        spot = Spot(probe.x_um, probe.y_um, die.options.optics.spot_fwhm_nm, die.options.placement_sigma_nm)
        return ProbedWaveform(net, probe.values, 0.0, probe.dt_s, spot)

    def guided(self, die: SimulatedDie) -> tuple[Localization, list[str], int]:
        """Probe what the localizer asks for; return its last answer, the nets, and the probes until ``located``."""
        waveforms: list[ProbedWaveform] = []
        located = self.settings.probes + 1
        while True:
            answer = self.localize(die, waveforms)
            if answer.verdict == "located":
                located = min(located, len(waveforms))
            if len(waveforms) == self.settings.probes or not answer.next_probes:
                return answer, [waveform.net for waveform in waveforms], located
            waveforms.append(self.probe(die, answer.next_probes[0].net))

    def planned(self, die: SimulatedDie) -> Localization:
        """Probe the first nets that the localizer names from the fail log alone."""
        nets = [item.net for item in self.localize(die, []).next_probes[: self.settings.probes]]
        return self.localize(die, [self.probe(die, net) for net in nets])

    def slat_sites(self, die: SimulatedDie) -> list[str]:
        """Return the nets whose inversion fails exactly the observed outputs in every failing pattern."""
        seen = dict.fromkeys(self.observed, 0)
        for cycle, net in die.fails:
            seen[net] |= 1 << cycle
        failing = 0
        for bits in seen.values():
            failing |= bits
        wanted = tuple(seen[net] for net in self.observed)
        return [net for net, flips in self.flips.items() if tuple(bits & failing for bits in flips) == wanted]

    def back_trace(self, die: SimulatedDie) -> int:
        """Return how many probes a depth-first walk back from the first failing output needs to stop at the gate."""
        if die.fault is None:
            raise ValueError("there is nothing to trace in a good die")
        faulty = run(self.demo.gates, self.stimulus.packed, PATTERNS, die.fault)
        drivers = {gate.output: gate for gate in self.demo.gates if gate.function != "DFF"}
        here, probes, known = die.fails[0][1], 0, set()
        while here in drivers:
            wrong = None
            for net in drivers[here].inputs:
                probes += net not in known
                known.add(net)
                if faulty[net] != self.good[net]:
                    wrong = net
                    break
            if wrong is None:
                break
            here = wrong
        return probes


def measure_circuit(bench: Bench, *, planned: bool = True) -> Tally:
    """Run every die of one circuit, every fifth by the ``planned`` protocol too, and one good die for ten."""
    generator = np.random.default_rng(bench.settings.seed)
    tally = Tally()
    for place, (stratum, fault) in enumerate(bench.hidden_faults(generator)):
        die = bench.die(1000 + place, fault)
        if not die.fails:
            die = bench.die(5000 + place, fault)
        started = time.perf_counter()
        answer, nets, located = bench.guided(die)
        tally.seconds.append(time.perf_counter() - started)
        tally.stratum.append(stratum)
        tally.probes_to_located.append(located)
        tally.neighbours += [len(die.under_spot(net)) for net in nets]
        tally.verdict.append(answer.verdict)
        _score(tally, answer, fault.net)
        if planned and place % PLANNED_EACH == 0:
            tally.planned_top.append(_rank(bench.planned(die), fault.net)[1])
        sites = bench.slat_sites(die)
        tally.slat_top.append(1 / len(sites) if fault.net in sites else 0.0)
        tally.trace_probes.append(bench.back_trace(die) if die.fails else 0)
    for place in range(max(1, bench.settings.dies // GOLDEN_EACH)):
        answer, _, _ = bench.guided(bench.die(9000 + place, None))
        tally.golden += 1
        tally.false_alarms += answer.verdict != "no-fault"
    return tally


def _rank(answer: Localization, net: str) -> tuple[float, float]:
    """Return the mean rank of ``net`` among those of its posterior, and its part of the first place."""
    posteriors = {item.net: item.posterior for item in answer.candidates}
    if net not in posteriors:
        return float("inf"), 0.0
    own = posteriors[net]
    above = sum(value > own * (1 + TIE) for value in posteriors.values())
    tied = sum(abs(value - own) <= TIE * own for value in posteriors.values())
    return above + (tied + 1) / 2, 1 / tied if above == 0 else 0.0


def _score(tally: Tally, answer: Localization, net: str) -> None:
    rank, top = _rank(answer, net)
    first = answer.candidates[0] if answer.candidates else None
    tally.rank.append(rank)
    tally.top.append(top)
    tally.top_collapsed.append(first is not None and (first.net == net or net in first.equivalent))
    tally.confidence.append(0.0 if first is None else first.posterior)


def calibration_error(confidence: Sequence[float], correct: Sequence[float]) -> float:
    """Return the expected calibration error: mean gap between confidence and hits over bins of equal width."""
    places = np.minimum((np.asarray(confidence) * BINS).astype(int), BINS - 1)
    gaps = np.bincount(places, weights=np.asarray(confidence) - np.asarray(correct), minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def rows_of(tallies: dict[str, Tally], settings: Settings) -> list[Row]:
    """Return the rows: per circuit first, then over all dies."""
    rows, probes = [], settings.probes
    for name, tally in tallies.items():
        located = [verdict == "located" for verdict in tally.verdict]
        rows += [
            Row(
                f"{name}: top-1 of {len(tally.top)} faults, {probes} guided probes", _mean(tally.top), "part", ">= 0.9"
            ),
            Row(f"{name}: top-1, sites that differ by polarity only as one", _mean(tally.top_collapsed), "part"),
            Row(f"{name}: top-5", _mean([rank <= 5 for rank in tally.rank]), "part"),
            Row(
                f"{name}: top-1, {probes} probes planned from the fail log, {len(tally.planned_top)} dies",
                _mean(tally.planned_top),
                "part",
            ),
            Row(f"{name}: top-1 of the fail log alone (SLAT)", _mean(tally.slat_top), "part"),
            Row(f"{name}: located within {probes} probes", _mean(located), "part"),
            Row(f"{name}: seconds a die ({probes + 1} answers)", _mean(tally.seconds), "s"),
        ]
    everything = Tally()
    for tally in tallies.values():
        for attribute, values in vars(tally).items():
            setattr(everything, attribute, getattr(everything, attribute) + values)
    return rows + _overall(everything, probes)


def _overall(dies: Tally, probes: int) -> list[Row]:
    located = [top for top, verdict in zip(dies.top, dies.verdict, strict=True) if verdict == "located"]
    alike = [top for top, verdict in zip(dies.top_collapsed, dies.verdict, strict=True) if verdict == "located"]
    error = calibration_error(dies.confidence, dies.top)
    users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    memory_mb = max(resource.getrusage(user).ru_maxrss for user in users) / 1024
    done = _mean([count <= probes for count in dies.trace_probes])
    rows = [
        Row("all: top-1, guided probes", _mean(dies.top), "part", ">= 0.9"),
        Row("all: top-1, sites that differ by polarity only as one", _mean(dies.top_collapsed), "part", ">= 0.9"),
        Row("all: top-1, planned probes", _mean(dies.planned_top), "part"),
        Row("all: top-1 of the fail log alone (SLAT)", _mean(dies.slat_top), "part"),
        Row(f"all: wrong among {len(located)} located", 1 - _mean(located) if located else 0.0, "part", "<= 0.02"),
        Row(f"all: wrong among {len(located)} located, polarity aside", 1 - _mean(alike) if alike else 0.0, "part"),
        Row("all: calibration error of the first posterior", error, "part", "<= 0.03"),
        Row(f"all: false alarms on {dies.golden} good dies", dies.false_alarms / dies.golden, "part", "<= 0.02"),
        Row("all: probes until located, the budget and one where not", _mean(dies.probes_to_located), "probes"),
        Row("all: probes of a back-trace that reads waveforms without error", _mean(dies.trace_probes), "probes"),
        Row(f"all: such back-traces done within {probes} probes", done, "part"),
        Row("all: neighbours under the spot", _mean(dies.neighbours), "nets"),
        Row("all: seconds a die", _mean(dies.seconds), "s"),
        Row("peak resident memory of a process", memory_mb, "MB", "<= 1000"),
    ]
    for stratum in STRATA:
        top = [value for value, name in zip(dies.top, dies.stratum, strict=True) if name == stratum]
        if top:
            rows.append(Row(f"all: top-1, {stratum} faults", _mean(top), "part"))
    return rows


def fault_simulation_rows(bench: Bench) -> list[Row]:
    """Time the simulation of every single fault of a circuit against big integers, one faulty machine at a time."""
    stimulus, faults = pack_patterns(bench.patterns), list_faults(bench.circuit)
    started = time.perf_counter()
    for _ in simulate_faults(bench.circuit, stimulus, faults, bench.circuit.outputs):
        pass
    ours_s = time.perf_counter() - started
    hidden = list_hidden_faults(bench.demo)[::50]
    started = time.perf_counter()
    for fault in hidden:
        run(bench.demo.gates, bench.stimulus.packed, PATTERNS, fault)
    theirs_s = (time.perf_counter() - started) / len(hidden) * len(faults)
    size = f"{bench.name}, {len(bench.circuit.gates)} gates, {len(faults)} faults, {PATTERNS} patterns"
    return [
        Row(f"fault simulation of {size}", ours_s, "s"),
        Row("fault simulation against big integers, one machine at a time", theirs_s / ours_s, "ratio", ">= 3"),
    ]


def _mean(values: Sequence[float] | Sequence[bool]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def read_circuits(folder: Path | None) -> dict[str, DemoCircuit]:
    """Return every ``.bench`` circuit of ``folder``; the demonstration's own where there is none."""
    if folder is None or not folder.is_dir():
        return {"accumulator": build_accumulator()}
    return {path.stem: read_circuit(path) for path in sorted(folder.glob("*.bench"))}


def read_circuit(path: Path) -> DemoCircuit:
    """Return the circuit of a ``.bench`` file."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    source = Source(path=path, name=path.name, size_bytes=path.stat().st_size, head=head, members={})
    (record,) = list(BenchNetlistAdapter().read(source)[1])
    if not isinstance(record, Netlist):
        raise TypeError(f"{path.name} holds no netlist")
    return circuit_of(record)


def default_folder() -> Path:
    """Return the folder of circuits among the sample files beside the project."""
    configured = os.environ.get("FAULTLIGHT_SHARED_DATA")
    shared = Path(configured) if configured else Path(__file__).resolve().parents[2] / "shared" / "data"
    return shared / "circuits"


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--circuits", type=Path, default=default_folder(), help="folder of .bench files")
    parser.add_argument("--only", nargs="*", default=None, help="names of the circuits to run")
    parser.add_argument("--dies", type=int, default=DEFAULT_DIES, help="faulty dies per circuit")
    parser.add_argument("--snr", type=float, default=2.0, help="signal-to-noise ratio of one cycle")
    parser.add_argument("--placement-nm", type=float, default=30.0, help="standard deviation of the beam's place")
    parser.add_argument("--probes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes; a circuit is measured by one of them")
    options = parser.parse_args()
    settings = Settings(options.dies, options.snr, options.placement_nm, options.probes, options.seed)
    circuits = read_circuits(options.circuits)
    names = [name for name in circuits if options.only is None or name in options.only]
    benches = [Bench(name, circuits[name], settings) for name in names]
    if options.workers > 1:
        with ProcessPoolExecutor(options.workers) as pool:
            tallies = dict(zip(names, pool.map(measure_circuit, benches), strict=True))
    else:
        tallies = {bench.name: measure_circuit(bench) for bench in benches}
    largest = max(benches, key=lambda bench: len(bench.circuit.gates))
    print_rows(rows_of(tallies, settings) + fault_simulation_rows(largest), as_json=options.json)


if __name__ == "__main__":
    main()

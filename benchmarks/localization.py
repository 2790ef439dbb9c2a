"""Localization: simulated dies with hidden defects, found from the fail log and the probes that the localizer asks for.

Dies come from ``services.demo`` and ``benchmarks.localization_trials``, or as sky130 cells from Icarus Verilog
(``--generator icarus``); neither shares its logic with the analysis. Measurements are SIMULATED. Each die is probed
where the localizer wants until it says stop. Beside it the classical ways: ranking by the fail log alone (single
location at a time), and the guided back-trace from a failing output, here with waveforms that are read without error;
and what nobody can beat who does not know amplitudes.
"""

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.faults import list_faults, simulate_faults
from analysis.circuits.logic_simulation import pack_patterns
from analysis.circuits.netlist import Circuit, LogicGate, build_circuit
from analysis.localization.lateness import ToldDelays
from analysis.localization.localizer import localize_fault
from analysis.localization.mixture import Spot
from analysis.localization.problem import ProbedWaveform, Problem
from analysis.results import Localization
from benchmarks.localization_trials.circuits import default_folder, read_circuits, sky130_netlist
from benchmarks.localization_trials.defects import SINGLE, STRATA, DefectSource, Trial, Undetected
from benchmarks.localization_trials.dies import Die, DieGenerator, PlainDies
from benchmarks.localization_trials.icarus.dies import IcarusDies
from benchmarks.localization_trials.icarus.simulation import installed
from benchmarks.localization_trials.large_die import large_die_rows
from benchmarks.localization_trials.limits import SingleFaultLimit
from benchmarks.localization_trials.made_circuits import build_made
from benchmarks.localization_trials.scores import Outcome, compare_paths, rank_of, rows_of
from benchmarks.report import Row, print_rows
from services.demo.circuit import DemoCircuit
from services.demo.die import DieOptions, list_hidden_faults, observed_nets, random_stimulus
from services.demo.machine import run

PITCH_SCALE = 0.095
AVERAGES = 200_000
GENERATORS = {"plain": "plain Python", "icarus": "Icarus Verilog, in sky130 cells"}


@dataclass(frozen=True)
class Settings:
    """What a run measures: dies by circuit, their mix, signal-to-noise ratio of a cycle, placement error, budget.

    ``told`` is the relative error of the cells' delays that the localizer is told; ``None`` tells it nothing.
    ``generator`` is what makes the dies: ``plain`` or ``icarus``. ``late_cycles`` is by how many tester cycles every
    waveform comes later than its times say.
    """

    dies: int
    snr: float
    placement_nm: float
    probes: int
    seed: int
    patterns: int = 256
    mix: tuple[str, ...] = STRATA
    told: float | None = None
    generator: str = "plain"
    late_cycles: float = 0.0


class Bench:
    """One circuit with its patterns, and everything that its dies share.

    ``netlist`` is its sky130 netlist where there is one; only dies of Icarus Verilog need it.
    """

    def __init__(self, name: str, circuit: DemoCircuit, settings: Settings, netlist: Path | None = None) -> None:
        self.name, self.demo, self.settings = name, circuit, settings
        gates = [LogicGate(gate.output, gate.function, gate.inputs) for gate in circuit.gates]
        self.circuit: Circuit = build_circuit(gates, circuit.inputs, circuit.outputs)
        self.stimulus = random_stimulus(circuit, settings.patterns, settings.seed)
        columns = {net: place for place, net in enumerate(self.stimulus.nets)}
        order = [columns[self.circuit.nets[net]] for net in self.circuit.inputs]
        self.patterns = np.ascontiguousarray(self.stimulus.bits[:, order])
        self.good = run(circuit.gates, self.stimulus.packed, settings.patterns)
        self.observed = observed_nets(circuit)
        self.flips = self._flips()
        options = DieOptions(
            patterns=settings.patterns,
            snr_per_cycle=settings.snr,
            placement_sigma_nm=settings.placement_nm,
            pitch_scale=PITCH_SCALE,
            stimulus_seed=settings.seed,
        )
        generator: DieGenerator = (
            IcarusDies(circuit, self.stimulus, options, netlist)
            if settings.generator == "icarus"
            else PlainDies(circuit, self.stimulus, options)
        )
        self.source = DefectSource(circuit, settings.patterns, generator)

    def _flips(self) -> dict[str, tuple[int, ...]]:
        """Return which bits of each observed net change when a net is inverted throughout."""
        patterns = self.settings.patterns
        ones = (1 << patterns) - 1
        flips = {}
        for net in self.good:
            values = run(self.demo.gates, self.stimulus.packed, patterns, forced={net: self.good[net] ^ ones})
            flips[net] = tuple(values[out] ^ self.good[out] for out in self.observed)
        return flips

    def localize(self, die: Die, waveforms: Sequence[ProbedWaveform]) -> Localization:
        """Ask the localizer; as in a session, an empty fail log is an unknown one."""
        fails: NDArray[np.bool_] | None = None
        if die.fails:
            fails = np.zeros((self.settings.patterns, len(self.circuit.outputs)), np.bool_)
            for cycle, net in die.fails:
                fails[cycle, self.circuit.output_number[net]] = True
        cycle_s = die.cycle_s
        beam = Spot(0.0, 0.0, die.options.optics.spot_fwhm_nm, die.options.placement_sigma_nm)
        problem = Problem(self.circuit, self.patterns, fails, waveforms, cycle_s, die.places_um, AVERAGES, beam)
        return localize_fault(replace(problem, delays=self.tell(cycle_s)))

    def tell(self, cycle_s: float) -> ToldDelays | None:
        """Return the delays of the timed dies, each off by an error of its own, as a library's would be."""
        if self.settings.told is None:
            return None
        delays = self.source.generator.timing[0]
        errors = np.random.default_rng(self.settings.seed).normal(0, self.settings.told, len(delays))
        return ToldDelays(
            {net: own * (1 + off) / cycle_s for (net, own), off in zip(delays.items(), errors, strict=True)}
        )

    def probe(self, die: Die, net: str) -> ProbedWaveform:
        """Measure ``net``; the loop goes on while a late trigger is waited for."""
        probe = die.measure(net)
        spot = Spot(probe.x_um, probe.y_um, die.options.optics.spot_fwhm_nm, die.options.placement_sigma_nm)
        late = round(self.settings.late_cycles * die.cycle_s / probe.dt_s)
        return ProbedWaveform(net, np.roll(probe.values, late), 0.0, probe.dt_s, spot)

    def trial(self, trial: Trial) -> Outcome:
        """Probe what the localizer asks for until it says stop or the budget is spent."""
        waveforms: list[ProbedWaveform] = []
        seconds, spent_s, expected = [], 0.0, 0.0
        while True:
            started = time.perf_counter()
            answer = self.localize(trial.die, waveforms)
            seconds.append(time.perf_counter() - started)
            expected = expected if waveforms else answer.expected_probes
            enough = answer.decided and (waveforms or trial.die.fails)
            if enough or len(waveforms) == self.settings.probes or not answer.next_probes:
                break
            spent_s += answer.next_probes[0].seconds
            waveforms.append(self.probe(trial.die, answer.next_probes[0].net))
        rank, top = rank_of(answer, trial.sites)
        first = answer.candidates[0] if answer.candidates else None
        named = set() if first is None else {first.net, *first.equivalent}
        single = trial.stratum in SINGLE
        return Outcome(
            circuit=self.name,
            stratum=trial.stratum,
            rank=rank,
            top=top,
            collapsed=bool(named & set(trial.sites)),
            confidence=0.0 if first is None else first.posterior,
            verdict=answer.verdict,
            decided=answer.decided,
            probes=len(waveforms),
            expected=expected,
            minutes=spent_s / 60,
            trace_probes=self.back_trace(trial.die) if single else None,
            slat_top=self.slat_top(trial) if single else None,
            limit_top=self.limit_top(trial.die) if single else None,
            seconds=tuple(seconds),
            told_path=compare_paths(answer, trial.sites) if trial.stratum == "path" else None,
            neighbours=tuple(len(trial.die.under_spot(waveform.net)) for waveform in waveforms),
        )

    @cached_property
    def _limit(self) -> SingleFaultLimit:
        return SingleFaultLimit(self.demo, self.stimulus)

    def limit_top(self, die: Die) -> tuple[float, float]:
        """Return top-1 of whoever sees all nets without noise, without the sign of their waveforms and with it."""
        return self._limit.top(die, sign_known=False), self._limit.top(die, sign_known=True)

    def slat_top(self, trial: Trial) -> float:
        """Return the expected top-1 among nets whose inversion fails exactly what was seen in every failing pattern."""
        seen = dict.fromkeys(self.observed, 0)
        for cycle, net in trial.die.fails:
            seen[net] |= 1 << cycle
        failing = 0
        for bits in seen.values():
            failing |= bits
        wanted = tuple(seen[net] for net in self.observed)
        sites = [net for net, flips in self.flips.items() if tuple(bits & failing for bits in flips) == wanted]
        return 1 / len(sites) if trial.sites[0] in sites else 0.0

    def back_trace(self, die: Die) -> int:
        """Return how many probes a depth-first walk back from the first failing output needs to stop at the gate."""
        faulty = run(self.demo.gates, self.stimulus.packed, self.settings.patterns, die.fault)
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


def measure_circuit(bench: Bench) -> list[Outcome]:
    """Run every die of one circuit, the strata in turn."""
    outcomes = []
    for place in range(bench.settings.dies):
        stratum = bench.settings.mix[place % len(bench.settings.mix)]
        try:
            trial = bench.source.draw(stratum, bench.settings.seed * 10_000 + place)
        except Undetected:
            continue
        outcomes.append(bench.trial(trial))
    return outcomes


def undetected_rows(benches: Sequence[Bench]) -> list[Row]:
    """Return the part of the drawn defects of each stratum that the patterns do not detect; they are not counted."""
    rows = []
    for stratum in STRATA:
        tried = sum(bench.source.tried[stratum] for bench in benches)
        if tried and stratum != "golden":
            part = sum(bench.source.missed[stratum] for bench in benches) / tried
            rows.append(Row(f"{stratum}: drawn but not detected by the patterns, not counted", part, "part"))
    return rows


def fault_simulation_rows(bench: Bench) -> list[Row]:
    """Time the simulation of every single fault of a circuit against big integers, one faulty machine at a time."""
    patterns = bench.settings.patterns
    stimulus, faults = pack_patterns(bench.patterns), list_faults(bench.circuit)
    started = time.perf_counter()
    for _ in simulate_faults(bench.circuit, stimulus, faults, bench.circuit.outputs):
        pass
    ours_s = time.perf_counter() - started
    hidden = list_hidden_faults(bench.demo)[::50]
    started = time.perf_counter()
    for fault in hidden:
        run(bench.demo.gates, bench.stimulus.packed, patterns, fault)
    theirs_s = (time.perf_counter() - started) / len(hidden) * len(faults)
    size = f"{bench.name}, {len(bench.circuit.gates)} gates, {len(faults)} faults, {patterns} patterns"
    return [
        Row(f"fault simulation of {size}", ours_s, "s"),
        Row("fault simulation against big integers, one machine at a time", theirs_s / ours_s, "ratio", ">= 3"),
    ]


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--circuits", type=Path, default=default_folder(), help="folder of .bench files")
    parser.add_argument("--made", action="store_true", help="circuits made for the benchmark instead of the folder's")
    parser.add_argument("--large", action="store_true", help="nothing but the cost of one large die")
    parser.add_argument("--only", nargs="*", default=None, help="names of the circuits to run")
    parser.add_argument("--mix", nargs="*", choices=STRATA, default=STRATA, help="strata of defects, in turn")
    parser.add_argument("--dies", type=int, default=len(STRATA), help="dies per circuit")
    parser.add_argument("--snr", type=float, default=2.0, help="signal-to-noise ratio of one cycle")
    parser.add_argument("--placement-nm", type=float, default=30.0, help="standard deviation of the beam's place")
    parser.add_argument("--patterns", type=int, default=256, help="random patterns in the loop")
    parser.add_argument("--probes", type=int, default=12, help="most probes of one die")
    parser.add_argument("--told", type=float, default=None, help="tell the cells' delays, with this relative error")
    parser.add_argument("--generator", choices=GENERATORS, default="plain", help="what simulates the dies")
    parser.add_argument(
        "--late-cycles", type=float, default=0.0, help="tester cycles by which the trigger is late, unsaid"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes; a circuit is measured by one of them")
    options = parser.parse_args()
    if options.large:
        print_rows(large_die_rows(), as_json=options.json)
        return
    if options.generator == "icarus" and not installed():
        parser.error("Icarus Verilog is not installed: there is no iverilog or no vvp on the path")
    settings = Settings(
        options.dies,
        options.snr,
        options.placement_nm,
        options.probes,
        options.seed,
        options.patterns,
        tuple(options.mix),
        options.told,
        options.generator,
        options.late_cycles,
    )
    circuits = build_made() if options.made else read_circuits(options.circuits)
    names = [name for name in circuits if options.only is None or name in options.only]
    if not names:
        parser.error(f"there is no circuit to run in {options.circuits}")
    folder = None if options.made else options.circuits
    benches = [Bench(name, circuits[name], settings, sky130_netlist(folder, name)) for name in names]
    if options.workers > 1:
        with ProcessPoolExecutor(options.workers) as pool:
            measured = list(pool.map(measure_circuit, benches))
    else:
        measured = [measure_circuit(bench) for bench in benches]
    outcomes = [outcome for circuit in measured for outcome in circuit]
    largest = max(benches, key=lambda bench: len(bench.circuit.gates))
    rows = [Row(f"dies made by {GENERATORS[settings.generator]}", len(outcomes), "dies")]
    rows += rows_of(outcomes, settings.snr) + undetected_rows(benches) + fault_simulation_rows(largest)
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()

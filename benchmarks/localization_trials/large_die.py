"""What a large die costs: an array multiplier of 24 by 24 bits under 512 patterns, probed where the localizer asks.

It runs in a process of its own, so that its memory is its own. The analysis computes in one thread; times are of the
processor, as other work on a shared machine would count otherwise, with the wall clock beside them.
"""

import multiprocessing
import resource
import time
from dataclasses import dataclass

import numpy as np

from analysis.circuits.netlist import LogicGate, build_circuit
from analysis.localization.localizer import localize_fault
from analysis.localization.mixture import Spot
from analysis.localization.problem import ProbedWaveform, Problem
from benchmarks.localization_trials.made_circuits import build_multiplier
from benchmarks.report import Row
from services.demo.die import DieOptions, SimulatedDie
from services.demo.machine import HiddenFault

WIDTH, PATTERNS, UPDATES = 24, 512, 5
FAULT = HiddenFault("r12_9_s", "stuck-0", activity=0.4)
"""An intermittent one, which the fail log alone does not locate as surely."""
PLACEMENT_NM, PITCH_SCALE, AVERAGES = 30.0, 0.095, 200_000


@dataclass(frozen=True)
class Cost:
    """Seconds of the processor and of the wall clock for each answer, memory at the end, and where the fault stood."""

    gates: int
    processor_s: tuple[float, ...]
    wall_s: tuple[float, ...]
    memory_mb: float
    first: str


def large_die_rows() -> list[Row]:
    """Measure one die; return its rows."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        cost = pool.apply(measure_large_die)
    size = f"{cost.gates} gates, {PATTERNS} patterns"
    return [
        Row(f"{size}: first answer, simulation included, processor", cost.processor_s[0], "s"),
        Row(f"{size}: first answer, wall clock", cost.wall_s[0], "s"),
        Row(f"{size}: posterior update of one probe, longest, processor", max(cost.processor_s[1:]), "s", "<= 1"),
        Row(f"{size}: posterior update of one probe, longest, wall clock", max(cost.wall_s[1:]), "s"),
        Row(f"{size}: peak resident memory", cost.memory_mb, "MB", "<= 600"),
        Row(f"{size}: the fault's site stands first", float(cost.first == FAULT.net), "part"),
    ]


def measure_large_die() -> Cost:
    """Localize a die of the multiplier, probing as it asks, whether or not it has said stop."""
    demo = build_multiplier(WIDTH)
    options = DieOptions(
        seed=3, fault=FAULT, patterns=PATTERNS, snr_per_cycle=2.0, pitch_scale=PITCH_SCALE, stimulus_seed=1
    )
    die = SimulatedDie(demo, options)
    gates = [LogicGate(gate.output, gate.function, gate.inputs) for gate in demo.gates]
    circuit = build_circuit(gates, demo.inputs, demo.outputs)
    columns = {net: place for place, net in enumerate(die.stimulus.nets)}
    patterns = np.ascontiguousarray(die.stimulus.bits[:, [columns[circuit.nets[net]] for net in circuit.inputs]])
    fails = np.zeros((PATTERNS, len(circuit.outputs)), np.bool_)
    for cycle, net in die.fails:
        fails[cycle, circuit.output_number[net]] = True
    beam = Spot(0.0, 0.0, options.optics.spot_fwhm_nm, PLACEMENT_NM)
    waveforms: list[ProbedWaveform] = []
    processor, wall, first = [], [], ""
    for _ in range(1 + UPDATES):
        cycle_s = options.timing.cycle_s
        problem = Problem(circuit, patterns, fails, list(waveforms), cycle_s, die.places_um, AVERAGES, beam)
        started = time.process_time(), time.perf_counter()
        answer = localize_fault(problem)
        processor.append(time.process_time() - started[0])
        wall.append(time.perf_counter() - started[1])
        first = answer.candidates[0].net
        probe = die.measure(answer.next_probes[0].net)
        spot = Spot(probe.x_um, probe.y_um, beam.fwhm_nm, PLACEMENT_NM)
        waveforms.append(ProbedWaveform(probe.net, probe.values, 0.0, probe.dt_s, spot))
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Cost(len(circuit.gates), tuple(processor), tuple(wall), memory_mb, first)

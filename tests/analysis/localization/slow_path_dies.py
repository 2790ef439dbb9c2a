"""Dies with slow paths on a ripple-carry adder: made by the benchmark's event simulator, whose delays no draw has."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.localization.mixture import Spot
from analysis.localization.problem import ProbedWaveform, Problem
from benchmarks.localization_trials.dies import PlainDies
from benchmarks.localization_trials.timed_die import SlowPath, TimedDie
from services.demo.circuit import DemoCircuit
from services.demo.die import DieOptions, random_stimulus
from services.demo.session_files import SessionTables, document_of, write_session_files
from tests.analysis.localization.scenes import circuit_of

PATTERNS = 128
BITS = 4


def ripple_carry_adder() -> DemoCircuit:
    """The carry of each bit goes through two gates to the next; sums branch off all along."""
    circuit = DemoCircuit([f"{word}{bit}" for bit in range(BITS) for word in "ab"] + ["c0"], [], [])
    for bit in range(BITS):
        circuit.gate(f"p{bit}", "XOR", f"a{bit}", f"b{bit}")
        circuit.gate(f"g{bit}", "NAND", f"a{bit}", f"b{bit}")
        circuit.gate(f"t{bit}", "NAND", f"p{bit}", f"c{bit}")
        circuit.gate(f"c{bit + 1}", "NAND", f"g{bit}", f"t{bit}")
        circuit.outputs.append(circuit.gate(f"s{bit}", "XOR", f"p{bit}", f"c{bit}"))
    circuit.outputs.append(f"c{BITS}")
    return circuit


DEMO = ripple_carry_adder()
CIRCUIT = circuit_of(DEMO)
STIMULUS = random_stimulus(DEMO, PATTERNS, 1)
DIES = PlainDies(DEMO, STIMULUS, DieOptions(patterns=PATTERNS, pitch_scale=0.095, stimulus_seed=1, snr_per_cycle=2.0))
COLUMNS = {net: place for place, net in enumerate(STIMULUS.nets)}
INPUTS = np.ascontiguousarray(STIMULUS.bits[:, [COLUMNS[CIRCUIT.nets[net]] for net in CIRCUIT.inputs]])


def slow_die(names: Sequence[str], part: float) -> TimedDie:
    """A die whose gates of a path are slower by equal parts of ``part`` of a cycle."""
    die = DIES.make(SlowPath(tuple(names), (part * DIES.timing[1] / len(names),) * len(names)), 3)
    assert isinstance(die, TimedDie)
    assert die.fails
    return die


def problem_of(die: TimedDie, waveforms: Sequence[ProbedWaveform] = ()) -> Problem:
    """What the analysis is told about a die."""
    fails = np.zeros((PATTERNS, len(CIRCUIT.outputs)), np.bool_)
    for cycle, net in die.fails:
        fails[cycle, CIRCUIT.output_number[net]] = True
    beam = Spot(0.0, 0.0, die.options.optics.spot_fwhm_nm, die.options.placement_sigma_nm)
    return Problem(CIRCUIT, INPUTS, fails, waveforms, die.cycle_s, die.places_um, averages=1000, beam=beam)


def probe(die: TimedDie, net: str) -> ProbedWaveform:
    """A measured waveform of a net."""
    seen = die.measure(net)
    spot = Spot(seen.x_um, seen.y_um, die.options.optics.spot_fwhm_nm, die.options.placement_sigma_nm)
    return ProbedWaveform(net, seen.values, 0.0, seen.dt_s, spot)


def write_slow_session(folder: Path, die: TimedDie) -> None:
    """Write the session of a die that is not probed yet into an empty folder."""
    tables = SessionTables(DEMO, STIMULUS.nets, STIMULUS.bits, die.fails, die.places_um)
    fwhm_nm = die.options.optics.spot_fwhm_nm
    document = document_of(
        "SLOW-1", role="suspect", spot_fwhm_nm=fwhm_nm, cycle_s=die.cycle_s, cycles=PATTERNS, waveforms=[]
    )
    write_session_files(folder, tables, document)

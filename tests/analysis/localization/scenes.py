"""Problems with a known fault for the tests, measured by the demonstration's die, whose simulator is its own."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.circuits.netlist import Circuit, LogicGate, build_circuit
from analysis.localization.mixture import Spot
from analysis.localization.problem import ProbedWaveform, Problem
from services.demo.circuit import DemoCircuit
from services.demo.die import DieOptions, SimulatedDie
from services.demo.machine import HiddenFault

PATTERNS = 256
PITCH_SCALE = 0.095


def make_die(
    demo: DemoCircuit,
    fault: HiddenFault | None,
    seed: int,
    *,
    snr: float = 2.0,
    forced: Mapping[str, int] | None = None,
) -> SimulatedDie:
    """A die on the usual bench: 30 nm placement, three to five neighbours under the spot."""
    options = DieOptions(
        seed=seed,
        fault=fault,
        golden=fault is None and not forced,
        forced=forced or {},
        patterns=PATTERNS,
        snr_per_cycle=snr,
        pitch_scale=PITCH_SCALE,
        stimulus_seed=1,
    )
    return SimulatedDie(demo, options)


def circuit_of(demo: DemoCircuit) -> Circuit:
    """The same circuit for the analysis."""
    gates = [LogicGate(gate.output, gate.function, gate.inputs) for gate in demo.gates]
    return build_circuit(gates, demo.inputs, demo.outputs)


def problem_of(die: SimulatedDie, circuit: Circuit, waveforms: Sequence[ProbedWaveform]) -> Problem:
    """What the analysis is told about a die."""
    columns = {net: place for place, net in enumerate(die.stimulus.nets)}
    patterns = np.ascontiguousarray(die.stimulus.bits[:, [columns[circuit.nets[net]] for net in circuit.inputs]])
    fails = None
    if die.fails:
        fails = np.zeros((PATTERNS, len(circuit.outputs)), np.bool_)
        for cycle, net in die.fails:
            fails[cycle, circuit.output_number[net]] = True
    beam = Spot(0.0, 0.0, die.options.optics.spot_fwhm_nm, die.options.placement_sigma_nm)
    cycle_s = die.options.timing.cycle_s
    return Problem(circuit, patterns, fails, waveforms, cycle_s, die.places_um, averages=1000, beam=beam)


def probe(die: SimulatedDie, net: str) -> ProbedWaveform:
    """A measured waveform of a net."""
    measured = die.measure(net)
    spot = Spot(measured.x_um, measured.y_um, die.options.optics.spot_fwhm_nm, die.options.placement_sigma_nm)
    return ProbedWaveform(net, measured.values, 0.0, measured.dt_s, spot)

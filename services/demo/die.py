"""A die with a hidden fault: what its nets do, what the tester logs, what a laser on one of its nets would record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.waveforms.forward_model import (
    Drain,
    Optics,
    Timing,
    add_noise,
    noise_for_cycle_ratio,
    probe_waveform,
)
from instruments.records import Netlist
from services.demo.beam import Beam
from services.demo.circuit import DemoCircuit, DemoGate, build_accumulator, place_in_rows
from services.demo.machine import HiddenFault, detected, run
from services.demo.session_files import SessionTables, document_of, write_session_files, write_waveform

SPIKE = 0.1
DRIFT = 0.1
FAULT_KINDS = ("stuck", "pin", "swap")
_SWAPS = {
    "AND": ("NAND", "OR", "NOR"),
    "NAND": ("AND", "NOR", "OR"),
    "OR": ("NOR", "AND", "NAND"),
    "NOR": ("OR", "NAND", "AND"),
    "XOR": ("XNOR", "OR"),
    "XNOR": ("XOR", "NOR"),
    "NOT": ("BUF",),
    "BUF": ("NOT",),
}


@dataclass(frozen=True)
class DieOptions:
    """How the die and its measurement are made.

    ``fault`` ``None`` takes a random fault that the patterns detect; ``golden`` makes a good die; ``forced`` gives nets
    packed values that no gate would, for defects which are no single-gate fault. ``snr_per_cycle`` is the swing of the
    probed net over the noise of a cycle's mean; the beam is off by ``placement_sigma_nm`` (each axis); ``pitch_scale``
    shrinks the placement from sky130's to that of a dense node, so that neighbours lie under the spot.
    ``stimulus_seed`` separates the patterns from everything else that is random; ``None`` takes ``seed``.
    """

    seed: int = 20
    fault: HiddenFault | None = None
    golden: bool = False
    forced: Mapping[str, int] = field(default_factory=dict)
    patterns: int = 256
    probes: int = 8
    snr_per_cycle: float = 4.0
    placement_sigma_nm: float = 30.0
    pitch_scale: float = 0.12
    file_format: str = "lecroy_trc"
    stimulus_seed: int | None = None
    optics: Optics = field(default_factory=Optics)
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True)
class DieTruth:
    """What is hidden: never written into the session."""

    net: str | None
    fault: str
    failing_bits: int
    probes: tuple[str, ...]


@dataclass(frozen=True)
class Probe:
    """A measured waveform: reflectance in arbitrary units from time 0 at ``dt_s``; where the beam was meant to be."""

    net: str
    values: NDArray[np.float64]
    dt_s: float
    x_um: float
    y_um: float


@dataclass(frozen=True)
class Stimulus:
    """Random patterns of the nets that the tester drives: uint8 of shape ``(patterns, nets)`` and packed by net."""

    nets: tuple[str, ...]
    bits: NDArray[np.uint8]
    packed: dict[str, int]


class SimulatedDie:
    """A die of ``circuit`` with the defect that ``options`` name, on the tester and under the laser.

    Attributes:
        fault: the hidden fault; ``None`` for a good die or another defect.
        fails: the tester's failing bits as ``(cycle, output net)``.
        places_um: place of the drain of each net in micrometres.
        last_weights: what the last measurement saw: nets with their weights, the probed one first.
    """

    def __init__(self, circuit: DemoCircuit, options: DieOptions) -> None:
        self.circuit = circuit
        self.options = options
        self._generator = np.random.default_rng(options.seed)
        seed = options.seed if options.stimulus_seed is None else options.stimulus_seed
        self.stimulus = random_stimulus(circuit, options.patterns, seed)
        good = run(circuit.gates, self.stimulus.packed, options.patterns)
        self.fault = options.fault
        if self.fault is None and not options.golden and not options.forced:
            self.fault = self._random_fault(good)
        faulty = run(circuit.gates, self.stimulus.packed, options.patterns, self.fault, options.forced)
        self.fails = self._failing_bits(good, faulty)
        activity = 1.0 if self.fault is None else self.fault.activity
        self._good = {net: self._unpack(value) for net, value in good.items()}
        self._does = {net: self._good[net] + activity * (self._unpack(faulty[net]) - self._good[net]) for net in good}
        self.last_weights: list[tuple[str, float]] = []
        scale = options.pitch_scale
        self.places_um = {net: (x * scale, y * scale) for net, (x, y) in place_in_rows(circuit).items()}
        self._beam = Beam(self.places_um, options.optics.spot_fwhm_nm, options.placement_sigma_nm)

    @property
    def cycle_s(self) -> float:
        """The tester's cycle in seconds."""
        return self.options.timing.cycle_s

    def does(self, net: str) -> NDArray[np.float64]:
        """Return the values of ``net`` by cycle, 0..1, means over loops for an intermittent fault."""
        return self._does[net]

    def _unpack(self, value: int) -> NDArray[np.float64]:
        return np.asarray([value >> cycle & 1 for cycle in range(self.options.patterns)], np.float64)

    def _random_fault(self, good: Mapping[str, int]) -> HiddenFault:
        faults = list_hidden_faults(self.circuit)
        for place in self._generator.permutation(len(faults)):
            fault = faults[int(place)]
            faulty = run(self.circuit.gates, self.stimulus.packed, self.options.patterns, fault)
            if detected(observed_nets(self.circuit), good, faulty):
                return fault
        raise ValueError("no fault of this circuit is detected by these patterns")

    def _failing_bits(self, good: Mapping[str, int], faulty: Mapping[str, int]) -> list[tuple[int, str]]:
        """Return what the tester logs in one loop: an intermittent fault is active in some of the cycles."""
        fails = []
        for net in observed_nets(self.circuit):
            difference = good[net] ^ faulty[net]
            fails += [(cycle, net) for cycle in range(difference.bit_length()) if difference >> cycle & 1]
        if self.fault is not None and self.fault.activity < 1.0:
            active = self._generator.random(self.options.patterns) < self.fault.activity
            fails = [(cycle, net) for cycle, net in fails if active[cycle]]
        return sorted(fails)

    def under_spot(self, net: str, off_um: tuple[float, float] = (0.0, 0.0)) -> list[tuple[str, float]]:
        """Return the other nets that a beam on ``net``, off by ``off_um``, sees, with their intensity."""
        return self._beam.near(net, self._does, off_um)

    def measure(self, net: str) -> Probe:
        """Put the laser on ``net`` and record one averaged loop; every call draws its own noise and beam placement."""
        options, generator = self.options, self._generator
        self.last_weights = self._beam.draw_weights(net, self._does, generator)
        own = self.last_weights[0][1]
        drains = [Drain(self._does[name], weight, SPIKE) for name, weight in self.last_weights]
        timing = Timing(options.timing.cycle_s, options.timing.dt_s, delay_s=float(generator.normal(0.0, 100e-12)))
        level = options.optics.reflectance * options.optics.modulation * abs(own)
        per_cycle = round(options.timing.cycle_s / options.timing.dt_s)
        sigma = noise_for_cycle_ratio(level, options.snr_per_cycle, per_cycle)
        values = add_noise(probe_waveform(drains, options.optics, timing), sigma, DRIFT * level, generator)
        return Probe(net, values, options.timing.dt_s, *self.places_um[net])

    def choose_probes(self) -> tuple[str, ...]:
        """Choose as an engineer half-way through would: around the fault, along its cone, some nets that are well."""
        toggling = [gate.output for gate in self.circuit.gates if np.ptp(self._good[gate.output]) > 0]
        chosen: list[str] = []
        if self.fault is not None:
            fault = self.fault
            driver = next((gate for gate in self.circuit.gates if gate.output == fault.net), None)
            near = [fault.net, *(driver.inputs if driver is not None else ())]
            wrong = [net for net in toggling if (self._good[net] != self._does[net]).any()]
            chosen = [*near, *(wrong[int(place)] for place in self._generator.permutation(len(wrong))[:2])]
        others = [toggling[int(place)] for place in self._generator.permutation(len(toggling))]
        picked = list(dict.fromkeys([*chosen, *others]))[: self.options.probes]
        return tuple(picked[int(place)] for place in self._generator.permutation(len(picked)))


def random_stimulus(circuit: DemoCircuit, patterns: int, seed: int) -> Stimulus:
    """Return random patterns of the primary inputs that matter and of the flip-flops' outputs."""
    states = [gate.output for gate in circuit.gates if gate.function == "DFF"]
    used = {net for gate in circuit.gates for net in gate.inputs} | set(circuit.outputs)
    nets = tuple(net for net in [*circuit.inputs, *states] if net in used)
    bits = np.random.default_rng(seed).integers(0, 2, (patterns, len(nets)), dtype=np.uint8)
    packed = {net: int("".join(map(str, bits[::-1, place])), 2) for place, net in enumerate(nets)}
    return Stimulus(nets, bits, packed)


def observed_nets(circuit: DemoCircuit) -> list[str]:
    """Return the nets that the tester compares in full-scan view: primary outputs and flip-flops' data nets."""
    data = [gate.inputs[0] for gate in circuit.gates if gate.function == "DFF"]
    return list(dict.fromkeys([*circuit.outputs, *data]))


def list_hidden_faults(circuit: DemoCircuit, kinds: Sequence[str] = FAULT_KINDS) -> list[HiddenFault]:
    """Return the faults that may be hidden in ``circuit``."""
    faults: list[HiddenFault] = []
    for gate in circuit.gates:
        if gate.function == "DFF":
            continue
        if "stuck" in kinds:
            faults += [HiddenFault(gate.output, "stuck-0"), HiddenFault(gate.output, "stuck-1")]
        if "pin" in kinds and len(gate.inputs) > 1:
            faults += [
                HiddenFault(gate.output, f"pin-stuck-{v}", pin) for pin in range(len(gate.inputs)) for v in (0, 1)
            ]
        if "swap" in kinds and (len(gate.inputs) > 1 or gate.function in ("NOT", "BUF")):
            faults += [HiddenFault(gate.output, "swap", function=other) for other in _SWAPS.get(gate.function, ())]
    return faults


def circuit_of(netlist: Netlist) -> DemoCircuit:
    """Return ``netlist`` as a circuit of the demonstration; a clock, which only flip-flops use, is left out."""
    gates = [DemoGate(gate.output, gate.function, gate.inputs) for gate in netlist.gates]
    used = {net for gate in gates for net in gate.inputs} | set(netlist.outputs)
    return DemoCircuit([net for net in netlist.inputs if net in used], list(netlist.outputs), gates)


def make_session(folder: Path, options: DieOptions) -> DieTruth:
    """Write a session of the demonstration's circuit into the empty ``folder``; return the truth."""
    return write_session(folder, SimulatedDie(build_accumulator(), options))


def make_session_for(
    folder: Path, netlist: Netlist, options: DieOptions, probes: Sequence[str] | None = None
) -> DieTruth:
    """Write a session of any netlist into the empty ``folder``; return the truth.

    ``probes`` names the nets to probe; without it they are chosen.
    """
    return write_session(folder, SimulatedDie(circuit_of(netlist), options), probes)


def write_session(folder: Path, die: SimulatedDie, probes: Sequence[str] | None = None) -> DieTruth:
    """Probe ``die`` at ``probes`` (chosen without them) and write its session into ``folder``; return the truth."""
    chosen = tuple(probes) if probes is not None else die.choose_probes()
    entries: list[dict[str, object]] = []
    for index, net in enumerate(chosen, 1):
        probe = die.measure(net)
        file = write_waveform(folder, index, probe.values, probe.dt_s, die.options.file_format)
        place = {"x_um": probe.x_um, "y_um": probe.y_um, "placement_sigma_nm": die.options.placement_sigma_nm}
        entries.append({"file": file, "net": net, **place})
    tables = SessionTables(die.circuit, die.stimulus.nets, die.stimulus.bits, die.fails, die.places_um)
    document = document_of(
        f"DEMO-{die.options.seed:04d}",
        role="golden" if die.options.golden else "suspect",
        spot_fwhm_nm=die.options.optics.spot_fwhm_nm,
        cycle_s=die.options.timing.cycle_s,
        cycles=die.options.patterns,
        waveforms=entries,
    )
    write_session_files(folder, tables, document)
    site = None if die.fault is None else die.fault.net
    return DieTruth(site, str(die.fault or "none"), len(die.fails), chosen)

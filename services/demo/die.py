"""A die with a hidden fault: a whole probing session, written as the instruments would write it, labelled simulated."""

import csv
import json
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
    spot_intensity,
)
from instruments.records import Netlist
from services.demo.circuit import DemoCircuit, DemoGate, build_accumulator, place_in_rows
from services.demo.machine import HiddenFault, run
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc, write_time_reflectance_csv

LEAST_INTENSITY = 0.05
ADC_CODES = 40_000
_SWAPS = {
    "AND": "NAND",
    "NAND": "AND",
    "OR": "NOR",
    "NOR": "OR",
    "XOR": "XNOR",
    "XNOR": "XOR",
    "NOT": "BUF",
    "BUF": "NOT",
}


@dataclass(frozen=True)
class DieOptions:
    """How the die and its measurement are made.

    ``fault`` ``None`` takes a random fault that the patterns detect; ``golden`` makes a good die. ``snr_per_cycle`` is
    the swing of the probed net over the noise of a cycle's mean; the beam is off by ``placement_sigma_nm`` (each axis);
    ``pitch_scale`` shrinks the placement from sky130's to that of a dense node, so that neighbours lie under the spot.
    """

    seed: int = 20
    fault: HiddenFault | None = None
    golden: bool = False
    patterns: int = 256
    probes: int = 8
    snr_per_cycle: float = 4.0
    placement_sigma_nm: float = 30.0
    pitch_scale: float = 0.12
    file_format: str = "lecroy_trc"
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
class _Machine:
    """Good and faulty values of every net, as arrays: float64 of shape ``(cycles,)`` by net."""

    good: dict[str, NDArray[np.float64]]
    faulty: dict[str, NDArray[np.float64]]


def make_session(folder: Path, options: DieOptions) -> DieTruth:
    """Write a session of the demonstration's circuit into the empty ``folder``; return the truth."""
    return _make(folder, build_accumulator(), options)


def make_session_for(
    folder: Path, netlist: Netlist, options: DieOptions, probes: Sequence[str] | None = None
) -> DieTruth:
    """Write a session of any netlist into the empty ``folder``; return the truth.

    ``probes`` names the nets to probe; without it they are chosen.
    """
    gates = [DemoGate(gate.output, gate.function, gate.inputs) for gate in netlist.gates]
    return _make(folder, DemoCircuit(list(netlist.inputs), list(netlist.outputs), gates), options, probes)


def _make(folder: Path, circuit: DemoCircuit, options: DieOptions, probes: Sequence[str] | None = None) -> DieTruth:
    generator = np.random.default_rng(options.seed)
    states = [gate.output for gate in circuit.gates if gate.function == "DFF"]
    used = {net for gate in circuit.gates for net in gate.inputs} | set(circuit.outputs)
    driven = [net for net in [*circuit.inputs, *states] if net in used]
    bits = generator.integers(0, 2, (options.patterns, len(driven)), dtype=np.uint8)
    stimulus = {net: int("".join(map(str, bits[::-1, place])), 2) for place, net in enumerate(driven)}
    good = run(circuit.gates, stimulus, options.patterns)
    fault = None if options.golden else options.fault or _random_fault(circuit, stimulus, options.patterns, generator)
    faulty = run(circuit.gates, stimulus, options.patterns, fault)
    fails = _failing_bits(circuit, good, faulty, fault, generator)
    activity = 1.0 if fault is None else fault.activity
    machine = _averaged(good, faulty, options.patterns, activity)
    places = {net: (x * options.pitch_scale, y * options.pitch_scale) for net, (x, y) in place_in_rows(circuit).items()}
    chosen = tuple(probes) if probes is not None else _choose_probes(circuit, machine, fault, options, generator)
    _write_tables(folder, circuit, (driven, bits), fails, places)
    entries = [
        _write_probe(folder, index, net, machine, places, options, generator) for index, net in enumerate(chosen, 1)
    ]
    _write_document(folder, options, entries)
    return DieTruth(None if fault is None else fault.net, str(fault or "none"), len(fails), chosen)


def observed_nets(circuit: DemoCircuit) -> list[str]:
    """Return the nets that the tester compares in full-scan view: primary outputs and flip-flops' data nets."""
    data = [gate.inputs[0] for gate in circuit.gates if gate.function == "DFF"]
    return list(dict.fromkeys([*circuit.outputs, *data]))


def list_hidden_faults(circuit: DemoCircuit, kinds: Sequence[str] = ("stuck", "pin", "swap")) -> list[HiddenFault]:
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
        if "swap" in kinds and gate.function in _SWAPS:
            faults.append(HiddenFault(gate.output, "swap", function=_SWAPS[gate.function]))
    return faults


def _random_fault(
    circuit: DemoCircuit, stimulus: Mapping[str, int], patterns: int, generator: np.random.Generator
) -> HiddenFault:
    good = run(circuit.gates, stimulus, patterns)
    faults = list_hidden_faults(circuit)
    for place in generator.permutation(len(faults)):
        faulty = run(circuit.gates, stimulus, patterns, faults[int(place)])
        if any(good[net] != faulty[net] for net in observed_nets(circuit)):
            return faults[int(place)]
    raise ValueError("no fault of this circuit is detected by these patterns")


def _failing_bits(
    circuit: DemoCircuit,
    good: Mapping[str, int],
    faulty: Mapping[str, int],
    fault: HiddenFault | None,
    generator: np.random.Generator,
) -> list[tuple[int, str]]:
    """Return what the tester logs: every differing bit, or a random part of them for an intermittent fault."""
    fails = []
    for net in observed_nets(circuit):
        difference = good[net] ^ faulty[net]
        fails += [(cycle, net) for cycle in range(difference.bit_length()) if difference >> cycle & 1]
    if fault is not None and fault.activity < 1.0:
        fails = [fail for fail in fails if generator.random() < fault.activity]
    return sorted(fails)


def _averaged(good: Mapping[str, int], faulty: Mapping[str, int], patterns: int, activity: float) -> _Machine:
    def unpack(value: int) -> NDArray[np.float64]:
        return np.asarray([value >> cycle & 1 for cycle in range(patterns)], np.float64)

    healthy = {net: unpack(value) for net, value in good.items()}
    broken = {net: healthy[net] + activity * (unpack(value) - healthy[net]) for net, value in faulty.items()}
    return _Machine(healthy, broken)


def _choose_probes(
    circuit: DemoCircuit,
    machine: _Machine,
    fault: HiddenFault | None,
    options: DieOptions,
    generator: np.random.Generator,
) -> tuple[str, ...]:
    """Choose as an engineer half-way through would: around the fault, along its cone, and some nets that are well."""
    toggling = [gate.output for gate in circuit.gates if np.ptp(machine.good[gate.output]) > 0]
    chosen: list[str] = []
    if fault is not None:
        driver = next((gate for gate in circuit.gates if gate.output == fault.net), None)
        near = [fault.net, *(driver.inputs if driver is not None else ())]
        wrong = [net for net in toggling if (machine.good[net] != machine.faulty[net]).any()]
        chosen = [*near, *(wrong[int(place)] for place in generator.permutation(len(wrong))[:2])]
    others = [toggling[int(place)] for place in generator.permutation(len(toggling))]
    picked = list(dict.fromkeys([*chosen, *others]))[: options.probes]
    return tuple(picked[int(place)] for place in generator.permutation(len(picked)))


def _write_probe(
    folder: Path,
    index: int,
    net: str,
    machine: _Machine,
    places: Mapping[str, tuple[float, float]],
    options: DieOptions,
    generator: np.random.Generator,
) -> dict[str, object]:
    """Write one waveform file; return its entry in the session's document."""
    x_um, y_um = places.get(net, (-1.0, -1.0))
    off = generator.normal(0.0, options.placement_sigma_nm / 1e3, 2)
    drains = [Drain(machine.faulty[net], float(generator.choice((-1.0, 1.0)) * generator.uniform(0.6, 1.4)), 0.1)]
    swing = abs(drains[0].weight)
    for other, (there_x, there_y) in places.items():
        distance_nm = 1e3 * float(np.hypot(there_x - x_um - off[0], there_y - y_um - off[1]))
        intensity = spot_intensity(distance_nm, options.optics.spot_fwhm_nm)
        if other != net and intensity > LEAST_INTENSITY:
            drains.append(Drain(machine.faulty[other], intensity * float(generator.choice((-1.0, 1.0))), 0.1))
    timing = Timing(options.timing.cycle_s, options.timing.dt_s, delay_s=float(generator.normal(0.0, 100e-12)))
    clean = probe_waveform(drains, options.optics, timing)
    level = options.optics.reflectance * options.optics.modulation * swing
    per_cycle = round(options.timing.cycle_s / options.timing.dt_s)
    sigma = noise_for_cycle_ratio(level, options.snr_per_cycle, per_cycle)
    values = add_noise(clean, sigma, 0.1 * level, generator)
    file = _write_waveform(folder, index, values, options)
    return {"file": file, "net": net, "x_um": x_um, "y_um": y_um, "placement_sigma_nm": options.placement_sigma_nm}


def _write_waveform(folder: Path, index: int, values: NDArray[np.float64], options: DieOptions) -> str:
    dt_s = options.timing.dt_s
    if options.file_format == "csv":
        write_time_reflectance_csv(folder / f"probe_{index:04d}.csv", 0.0, dt_s, values)
        return f"probe_{index:04d}.csv"
    gain = float(np.ptp(values)) / ADC_CODES
    offset = float(values.mean())
    codes = np.rint((values - offset) / gain).astype(np.int16)
    path = folder / f"probe_{index:04d}.trc"
    write_lecroy_trc(path, codes[None], Scaling(gain, offset, dt_s, 0.0), averages=200_000, instrument="SIMULATED")
    return path.name


def _write_tables(
    folder: Path,
    circuit: DemoCircuit,
    stimulus: tuple[list[str], NDArray[np.uint8]],
    fails: Sequence[tuple[int, str]],
    places: Mapping[str, tuple[float, float]],
) -> None:
    driven, bits = stimulus
    used = {*driven, *(gate.output for gate in circuit.gates)}
    shown = DemoCircuit([net for net in circuit.inputs if net in used], circuit.outputs, circuit.gates)
    (folder / "netlist.bench").write_text(shown.to_bench())
    tables: dict[str, tuple[Sequence[object], Sequence[Sequence[object]]]] = {
        "patterns.csv": (["cycle", *driven], [[cycle, *row] for cycle, row in enumerate(bits.tolist())]),
        "fails.csv": (["cycle", "output"], fails),
        "placement.csv": (
            ["instance", "net", "x_um", "y_um"],
            [[f"u_{net}", net, f"{x:.4f}", f"{y:.4f}"] for net, (x, y) in places.items()],
        ),
    }
    for name, (header, rows) in tables.items():
        with (folder / name).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)


def _write_document(folder: Path, options: DieOptions, entries: list[dict[str, object]]) -> None:
    document = {
        "schema": "faultlight.probing-session/1",
        "session": f"DEMO-{options.seed:04d}",
        "role": "golden" if options.golden else "suspect",
        "simulated": True,
        "unit": {"program": "demo", "product": "P1", "lot": "L1", "wafer": "W03", "x": 4, "y": options.seed},
        "technique": "LVP",
        "laser": {"wavelength_nm": 1340, "power_mw": 0.1},
        "spot_fwhm_nm": options.optics.spot_fwhm_nm,
        "stimulus": {
            "cycle_s": options.timing.cycle_s,
            "cycles": options.patterns,
            "averages": 200_000,
            "vdd_v": 0.8,
            "temperature_c": 25,
        },
        "netlist": "netlist.bench",
        "patterns": "patterns.csv",
        "fails": "fails.csv",
        "placement": "placement.csv",
        "waveforms": entries,
    }
    (folder / "session.json").write_text(json.dumps(document, indent=1) + "\n")

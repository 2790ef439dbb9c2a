"""Delays of gates and sources, whole femtoseconds: typical ones where nothing is known, and late ones of a defect.

Typical delays are by logical effort (Sutherland, Sproull & Harris, "Logical Effort", 1999): a stage takes
``tau (g h + p)``, with ``g`` the effort and ``p`` the parasitic of its kind and ``h`` the number of pins it feeds, all
pins alike. They are an assumption about an unknown library, good for which edge comes first, not for picoseconds.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.faults import Fault
from analysis.circuits.netlist import Circuit, CircuitError

TYPICAL_TAU_FS = 5_000
"""Femtoseconds of one unit of logical effort where the user gives none."""


@dataclass(frozen=True)
class Delays:
    """How long after an edge at an input its gate's output follows.

    Attributes:
        rise_fs, fall_fs: from each pin to a rising or falling output, int64 of shape ``(gates, most pins)``, 0 past a
            gate's last pin.
        source_rise_fs, source_fall_fs: when each input of the circuit changes after the start of a cycle, int64 of
            shape ``(inputs,)``.
    """

    rise_fs: NDArray[np.int64]
    fall_fs: NDArray[np.int64]
    source_rise_fs: NDArray[np.int64]
    source_fall_fs: NDArray[np.int64]

    def check(self, circuit: Circuit) -> None:
        """Raise :class:`CircuitError` where a gate of ``circuit`` has no delay of at least 1 fs from some pin."""
        if len(self.rise_fs) != len(circuit.gates) or len(self.source_rise_fs) != len(circuit.inputs):
            raise CircuitError(
                f"delays of {len(self.rise_fs)} gates and {len(self.source_rise_fs)} inputs do not fit a circuit of "
                f"{len(circuit.gates)} gates and {len(circuit.inputs)} inputs"
            )
        for gate, pins in enumerate(circuit.fan_in):
            for pin in range(len(pins)):
                if min(self.rise_fs[gate, pin], self.fall_fs[gate, pin]) < 1:
                    raise CircuitError(
                        f"the gate of {circuit.nets[circuit.drives[gate]]} has no delay from {circuit.nets[pins[pin]]}"
                    )
        if min(self.source_rise_fs.min(initial=0), self.source_fall_fs.min(initial=0)) < 0:
            raise CircuitError("an input changes before its cycle starts")


def typical_delays(circuit: Circuit, tau_fs: int = TYPICAL_TAU_FS) -> Delays:
    """Return delays of ``circuit`` by logical effort of ``tau_fs``, rise and fall alike; inputs change at the start."""
    shape = (len(circuit.gates), max((len(pins) for pins in circuit.fan_in), default=0))
    times = np.zeros(shape, np.int64)
    for gate, pins in enumerate(circuit.fan_in):
        load = max(1, int(circuit.fan_out[circuit.drives[gate]]))
        times[gate, : len(pins)] = max(1, round(tau_fs * _effort_delay(circuit.gates[gate].function, len(pins), load)))
    start = np.zeros(len(circuit.inputs), np.int64)
    return Delays(times, times.copy(), start, start.copy())


def _effort_delay(function: str, inputs: int, load: int) -> float:
    """Return ``g h + p`` in units of tau; a gate that does not invert is the inverting one and an inverter."""
    if function in ("XOR", "XNOR"):
        return 4.0 * load + 2.0 * inputs
    if function in ("AND", "OR"):
        inverting = {"AND": "NAND", "OR": "NOR"}[function]
        return _effort_delay(inverting, inputs, 1) + _effort_delay("NOT", 1, load)
    if function == "BUF":
        return _effort_delay("NOT", 1, 1) + _effort_delay("NOT", 1, load)
    effort = {"NOT": 1.0, "NOR": (2 * inputs + 1) / 3}.get(function, (inputs + 2) / 3)
    return effort * load + inputs


def slow_down(circuit: Circuit, delays: Delays, fault: Fault, extra_fs: int) -> Delays:
    """Return ``delays`` of ``circuit`` with a delay ``fault`` of ``extra_fs``: edges of its net, or of one pin.

    Raises:
        CircuitError: ``fault`` is no delay fault, or ``extra_fs`` is negative.
    """
    if not fault.is_delay or extra_fs < 0:
        raise CircuitError(f"{fault.describe(circuit)} by {extra_fs} fs is no delay fault")
    edges = {1: ("rise",), 0: ("fall",)}.get(fault.value, ("rise", "fall"))
    gate = circuit.driver.get(fault.net)
    changed = {}
    for edge in edges:
        name = f"source_{edge}_fs" if gate is None else f"{edge}_fs"
        times = getattr(delays, name).copy()
        if gate is None:
            times[circuit.inputs.index(fault.net)] += extra_fs
        elif fault.pin >= 0:
            times[gate, fault.pin] += extra_fs
        else:
            times[gate, : len(circuit.fan_in[gate])] += extra_fs
        changed[name] = times
    return replace(delays, **changed)

"""What is known of a die and asked about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.netlist import Circuit
from analysis.circuits.sequential import SequentialCircuit
from analysis.localization.lateness import ToldDelays
from analysis.localization.mixture import Layout, Spot
from analysis.waveforms.alignment import Acquisition


@dataclass(frozen=True)
class ProbedWaveform:
    """A waveform with the net that the laser was on.

    ``values`` is float64 of shape ``(samples,)`` in arbitrary units; sample ``i`` was taken at ``t0_s + i * dt_s``
    seconds. ``spot`` says where the beam was, when that is known, and ``acquisition`` what is known of edges and noise.
    """

    net: str
    values: NDArray[np.float64]
    t0_s: float
    dt_s: float
    spot: Spot | None = None
    acquisition: Acquisition | None = None


@dataclass(frozen=True)
class Problem:
    """Everything known about a die.

    Attributes:
        circuit: in full-scan view.
        patterns: uint8 0/1 of shape ``(cycles, inputs)`` in the order of ``circuit.inputs``.
        fails: bool of shape ``(cycles, outputs)``, the tester's failing bits; ``None`` when there is no fail log.
        waveforms: what was probed.
        cycle_s: seconds of one tester cycle.
        places_um: place of each net's drain in micrometres, where known.
        averages: loops averaged for one waveform, for the time a probe takes; ``None`` when unknown.
        beam: width and placement error of the spot for the next probes (its place does not count); ``None`` if unknown.
        sequential: the circuit with its flip-flops where the loop is a functional pattern in which they run; then
            ``patterns`` has the primary inputs only. ``None`` in full-scan view.
        watched: names of further nets that are looked at.
        delays: what is known of the delays of the cells; not used in a functional loop.
    """

    circuit: Circuit
    patterns: NDArray[np.uint8]
    fails: NDArray[np.bool_] | None
    waveforms: Sequence[ProbedWaveform]
    cycle_s: float
    places_um: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    averages: int | None = None
    beam: Spot | None = None
    sequential: SequentialCircuit | None = None
    watched: tuple[str, ...] = ()
    delays: ToldDelays | None = None

    @cached_property
    def layout(self) -> Layout:
        """The places of the drains."""
        return Layout(self.places_um)

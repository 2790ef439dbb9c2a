"""What a hidden defect is, what a die on the tester and under the laser is, and the generator in plain Python.

A generator makes a die of a defect; the two that there are share no code in how a circuit computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from benchmarks.localization_trials.timed_die import SlowNet, SlowPath, TimedDie, gate_delays, run_timed
from services.demo.circuit import DemoCircuit
from services.demo.die import DieOptions, Probe, SimulatedDie, Stimulus
from services.demo.machine import HiddenFault, run

CYCLE_MARGIN = 1.05
"""The cycle over the latest event of a good die."""
CALM_CYCLE_S = 1e-7
"""A cycle in which every circuit settles."""
LEAST_LATEST_S = 1e-10


@dataclass(frozen=True)
class Bridge:
    """Two joined nets; neither may depend on the other.

    ``kind`` is ``dominant`` (both have what drives ``first``), ``wired-and``, ``wired-or``, or ``byzantine``: both
    have what drives ``first`` in the cycles whose bit of ``side`` is set, else what drives ``second``.
    """

    kind: str
    first: str
    second: str
    side: int = 0


@dataclass(frozen=True)
class StuckNets:
    """Nets that are stuck at once, each at its value."""

    values: Mapping[str, int]


Defect = HiddenFault | SlowNet | SlowPath | Bridge | StuckNets | None
"""``None`` is a good die."""


class Die(Protocol):
    """A die on the tester and under the laser."""

    @property
    def options(self) -> DieOptions:
        """How it is measured."""

    @property
    def fault(self) -> HiddenFault | None:
        """Its single fault, where its defect is one."""

    @property
    def cycle_s(self) -> float:
        """The tester's cycle in seconds."""

    @property
    def fails(self) -> list[tuple[int, str]]:
        """The tester's failing bits as ``(cycle, output net)``."""

    @property
    def places_um(self) -> dict[str, tuple[float, float]]:
        """Place of the drain of each net in micrometres."""

    def measure(self, net: str) -> Probe:
        """Put the laser on ``net`` and record one averaged loop."""

    def under_spot(self, net: str) -> list[tuple[str, float]]:
        """Return the other nets that a beam on ``net`` sees, with their intensity."""


class DieGenerator(Protocol):
    """Makes dies of one circuit.

    Attributes:
        timing: the delay of each gate and the cycle at which slow nets are looked for, in seconds.
    """

    timing: tuple[Mapping[str, float], float]

    def make(self, defect: Defect, seed: int) -> Die:
        """Return a die with ``defect``; ``seed`` is for all that is random about it and its measurements."""


class PlainDies:
    """Makes dies by the simulators of ``services.demo`` and of :mod:`benchmarks.localization_trials.timed_die`.

    Args:
        circuit: of the demonstration's kind.
        stimulus: the looped patterns.
        options: how dies are measured.
    """

    def __init__(self, circuit: DemoCircuit, stimulus: Stimulus, options: DieOptions) -> None:
        self.circuit, self.stimulus, self.options = circuit, stimulus, options
        self.patterns = len(stimulus.bits)
        self.good = run(circuit.gates, stimulus.packed, self.patterns)
        delays = gate_delays(circuit, 1)
        calm = run_timed(circuit, stimulus, delays, CALM_CYCLE_S)
        self.timing: tuple[Mapping[str, float], float] = (
            delays,
            CYCLE_MARGIN * max(calm.last_event_s(), LEAST_LATEST_S),
        )

    def make(self, defect: Defect, seed: int) -> Die:
        """Return a die with ``defect``; ``seed`` is for all that is random about it and its measurements."""
        options = replace(self.options, seed=seed)
        if isinstance(defect, SlowNet | SlowPath):
            return TimedDie(self.circuit, replace(options, golden=True), self.stimulus, defect, self.timing)
        if isinstance(defect, HiddenFault):
            return SimulatedDie(self.circuit, replace(options, fault=defect))
        if defect is None:
            return SimulatedDie(self.circuit, replace(options, golden=True))
        return SimulatedDie(self.circuit, replace(options, forced=self._forced(defect)))

    def _forced(self, defect: Bridge | StuckNets) -> dict[str, int]:
        ones = (1 << self.patterns) - 1
        if isinstance(defect, StuckNets):
            return {net: ones * value for net, value in defect.values.items()}
        here, there = self.good[defect.first], self.good[defect.second]
        joined = {
            "dominant": here,
            "wired-and": here & there,
            "wired-or": here | there,
            "byzantine": (here & defect.side) | (there & ~defect.side),
        }[defect.kind]
        return {defect.first: joined, defect.second: joined}

"""A simulated die whose gates take time: an event simulator in plain lists that shares no code with the analysis.

Every net's whole loop is a list of events; a gate answers each event of its inputs after its own delay (transport
delay), and a slow net some of its edges later still. The tester reads its outputs at the end of each cycle.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from analysis.waveforms.forward_model import add_noise, noise_for_cycle_ratio
from services.demo.beam import Beam
from services.demo.circuit import DemoCircuit, DemoGate, place_in_rows
from services.demo.die import DieOptions, Probe, Stimulus, observed_nets
from services.demo.machine import HiddenFault

SAMPLES_PER_CYCLE = 32
EDGE_S = 25e-12
DRIFT = 0.1
Events = list[tuple[float, int]]


@dataclass(frozen=True)
class SlowNet:
    """``net`` makes its rising edges later by ``rise_s`` seconds and its falling ones by ``fall_s``."""

    net: str
    rise_s: float
    fall_s: float

    def __str__(self) -> str:
        return f"{self.net} slow to rise by {self.rise_s * 1e12:.0f} ps, to fall by {self.fall_s * 1e12:.0f} ps"


@dataclass(frozen=True)
class SlowPath:
    """The gates that drive ``nets``, from the one after an input to an output, are slower by ``extra_s`` seconds."""

    nets: tuple[str, ...]
    extra_s: tuple[float, ...]

    def __str__(self) -> str:
        return f"{' > '.join(self.nets)} slow by {sum(self.extra_s) * 1e12:.0f} ps in all"


@dataclass(frozen=True)
class TimedLoop:
    """What every net does in a loop: its level before the run-in and its events, in seconds from the first cycle."""

    start: Mapping[str, int]
    events: Mapping[str, Events]
    cycle_s: float
    cycles: int

    def value_at(self, net: str, time_s: float) -> int:
        """Return the level of ``net`` just after ``time_s``."""
        events = self.events[net]
        place = bisect_right(events, (time_s, 2))
        return events[place - 1][1] if place else self.start[net]

    def last_event_s(self) -> float:
        """Return how late in its cycle any event comes."""
        cycles = [time / self.cycle_s for events in self.events.values() for time, _ in events]
        return max((place - math.floor(place + 1e-9) for place in cycles), default=0.0) * self.cycle_s


def gate_delays(circuit: DemoCircuit, seed: int) -> dict[str, float]:
    """Return the delay of each gate in seconds: 40 to 80 ps."""
    numbers = np.random.default_rng(seed)
    return {gate.output: float(numbers.uniform(40e-12, 80e-12)) for gate in circuit.gates if gate.function != "DFF"}


def run_timed(
    circuit: DemoCircuit,
    stimulus: Stimulus,
    delays: Mapping[str, float],
    cycle_s: float,
    slow: SlowNet | None = None,
) -> TimedLoop:
    """Return a loop of ``stimulus`` after its last pattern; every input switches at its cycle's beginning."""
    bits = np.concatenate([stimulus.bits[-1:], stimulus.bits])
    start: dict[str, int] = {}
    events: dict[str, Events] = {}
    for place, net in enumerate(stimulus.nets):
        column = bits[:, place].tolist()
        start[net] = column[0]
        changes = [(float(k - 1) * cycle_s, column[k]) for k in range(1, len(column)) if column[k] != column[k - 1]]
        events[net] = _late(changes, slow, net, start[net])
    waiting = [gate for gate in circuit.gates if gate.function != "DFF"]
    while waiting:
        later = []
        for gate in waiting:
            if any(net not in events for net in gate.inputs):
                later.append(gate)
                continue
            start[gate.output], changes = _respond(gate, start, events, delays[gate.output])
            events[gate.output] = _late(changes, slow, gate.output, start[gate.output])
        if len(later) == len(waiting):
            raise ValueError(f"the gates of {later[0].output} and others form a loop, or miss an input")
        waiting = later
    return TimedLoop(start, events, cycle_s, len(stimulus.bits))


def _late(events: Events, slow: SlowNet | None, net: str, start: int) -> Events:
    """Delay edges of a net whose level was ``start``; an edge that would come before an earlier one replaces it."""
    if slow is None or slow.net != net:
        return events
    result: Events = []
    for time, value in events:
        moved = time + (slow.rise_s if value else slow.fall_s)
        while result and result[-1][0] >= moved:
            result.pop()
        if value != (result[-1][1] if result else start):
            result.append((moved, value))
    return result


def _respond(
    gate: DemoGate, start: Mapping[str, int], events: Mapping[str, Events], delay_s: float
) -> tuple[int, Events]:
    levels = [start[net] for net in gate.inputs]
    first = value = _evaluate(gate.function, levels)
    merged = sorted((time, place, level) for place, net in enumerate(gate.inputs) for time, level in events[net])
    result: Events = []
    for index, (time, place, level) in enumerate(merged):
        levels[place] = level
        if index + 1 < len(merged) and merged[index + 1][0] == time:
            continue
        new = _evaluate(gate.function, levels)
        if new != value:
            result.append((time + delay_s, new))
            value = new
    return first, result


def _evaluate(function: str, levels: list[int]) -> int:
    if function.startswith("TABLE:"):
        return int(function[6 + int("".join(map(str, levels)), 2)])
    if function in ("CONST0", "CONST1"):
        return int(function[-1])
    if function in ("AND", "NAND"):
        value = int(all(levels))
    elif function in ("OR", "NOR"):
        value = int(any(levels))
    else:
        value = sum(levels) % 2
    return 1 - value if function in ("NAND", "NOR", "XNOR", "NOT") else value


class TimedDie:
    """A die with a slow net or path, or a good one, on the tester and under the laser at speed.

    Args:
        circuit: what it is made of.
        options: how it is measured; its timing and fault do not count.
        stimulus: the looped patterns.
        slow: the defect.
        timing: gate delays and the cycle, in seconds.
    """

    fault: HiddenFault | None = None

    def __init__(
        self,
        circuit: DemoCircuit,
        options: DieOptions,
        stimulus: Stimulus,
        slow: SlowNet | SlowPath | None,
        timing: tuple[Mapping[str, float], float],
    ) -> None:
        delays, self.cycle_s = timing
        self.options, self.stimulus, self.slow = options, stimulus, slow
        self._generator = np.random.default_rng(options.seed)
        good = run_timed(circuit, stimulus, delays, self.cycle_s)
        if isinstance(slow, SlowPath):
            slower = {net: delays[net] + extra_s for net, extra_s in zip(slow.nets, slow.extra_s, strict=True)}
            self.loop = run_timed(circuit, stimulus, {**delays, **slower}, self.cycle_s)
        else:
            self.loop = good if slow is None else run_timed(circuit, stimulus, delays, self.cycle_s, slow)
        self.fails = self._read(circuit, good)
        scale = options.pitch_scale
        self.places_um = {net: (x * scale, y * scale) for net, (x, y) in place_in_rows(circuit).items()}
        self._beam = Beam(self.places_um, options.optics.spot_fwhm_nm, options.placement_sigma_nm)

    def _read(self, circuit: DemoCircuit, good: TimedLoop) -> list[tuple[int, str]]:
        """Return the failing bits: what the tester reads at each cycle's end against what it should."""
        strobes = [(cycle, (cycle + 1) * self.cycle_s * (1 - 1e-9)) for cycle in range(self.loop.cycles)]
        return [
            (cycle, net)
            for cycle, time in strobes
            for net in observed_nets(circuit)
            if self.loop.value_at(net, time) != good.value_at(net, time)
        ]

    def under_spot(self, net: str) -> list[tuple[str, float]]:
        """Return the other nets that a beam on ``net`` sees, with their intensity."""
        return self._beam.near(net, self.loop.events)

    def measure(self, net: str) -> Probe:
        """Put the laser on ``net`` and record one averaged loop; every call draws its own noise and beam placement."""
        options, generator = self.options, self._generator
        weights = self._beam.draw_weights(net, self.loop.events, generator)
        own = weights[0][1]
        total = np.zeros(self.loop.cycles * SAMPLES_PER_CYCLE)
        for name, weight in weights:
            total += weight * self._trace(name)
        level = options.optics.reflectance * options.optics.modulation
        sigma = noise_for_cycle_ratio(level * abs(own), options.snr_per_cycle, SAMPLES_PER_CYCLE)
        clean = np.asarray(options.optics.reflectance + level * total, np.float64)
        values = add_noise(clean, sigma, DRIFT * level * abs(own), generator)
        return Probe(net, values, self.cycle_s / SAMPLES_PER_CYCLE, *self.places_um[net])

    def _trace(self, net: str) -> NDArray[np.float64]:
        """Return the level of ``net`` at every sample, edges smoothed."""
        dt_s = self.cycle_s / SAMPLES_PER_CYCLE
        times = (np.arange(self.loop.cycles * SAMPLES_PER_CYCLE) + 0.5) * dt_s
        trace = np.full(times.size, float(self.loop.start[net]))
        for time, value in self.loop.events[net]:
            first, last = np.searchsorted(times, [time - 5 * EDGE_S, time + 5 * EDGE_S])
            step = 1.0 if value else -1.0
            trace[first:last] += step * 0.5 * (1 + erf((times[first:last] - time) / (np.sqrt(2) * EDGE_S)))
            trace[last:] += step
        return trace

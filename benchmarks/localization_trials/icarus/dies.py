"""Dies made of sky130 cells by Icarus Verilog.

Optics and detector are those of the plain generator's dies, but a waveform has every edge where the simulator puts it,
glitches too, also on a tester that is so slow that the settled levels would do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from analysis.waveforms.forward_model import add_noise, edge_sigma_s, noise_for_cycle_ratio
from benchmarks.localization_trials.dies import CALM_CYCLE_S, CYCLE_MARGIN, LEAST_LATEST_S, Bridge, Defect
from benchmarks.localization_trials.icarus.die_module import DieModule, Parts
from benchmarks.localization_trials.icarus.netlist import map_circuit, read_netlist
from benchmarks.localization_trials.icarus.simulation import Loop, Run, simulate
from benchmarks.localization_trials.timed_die import DRIFT as DRIFT_AT_SPEED
from benchmarks.localization_trials.timed_die import EDGE_S, SAMPLES_PER_CYCLE, SlowNet, SlowPath, gate_delays
from services.demo.beam import Beam
from services.demo.circuit import DemoCircuit, place_in_rows
from services.demo.die import DRIFT, SPIKE, DieOptions, Probe, Stimulus, observed_nets
from services.demo.machine import HiddenFault

TRIGGER_SIGMA_S = 100e-12
REACH = 5
"""How far from an edge its shape is computed, in its standard deviations."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Recorder:
    """How an oscilloscope records a loop.

    Attributes:
        dt_s: between samples.
        first_s: time of the first sample.
        edge_s: standard deviation of a smoothed edge.
        spike: height of the gate's spike at an edge, as a part of the swing.
        trigger_sigma_s: standard deviation of the trigger's delay.
        drift: size of the slow drift, as a part of the swing.
    """

    dt_s: float
    first_s: float
    edge_s: float
    spike: float
    trigger_sigma_s: float
    drift: float

    def trace(self, loop: Loop, net: str, delay_s: float) -> Array:
        """Return the smoothed level of ``net`` at every sample of ``loop``, whose trigger is late by ``delay_s``."""
        samples = round(loop.cycles * loop.cycle_fs * 1e-15 / self.dt_s)
        times = np.arange(samples) * self.dt_s + self.first_s - delay_s
        trace = np.full(samples, float(loop.start[net]))
        for time_fs, level in loop.edges[net]:
            first, last = np.searchsorted(times, time_fs * 1e-15 + np.asarray([-REACH, REACH]) * self.edge_s)
            offset = (times[first:last] - time_fs * 1e-15) / self.edge_s
            step = 2.0 * level - 1.0
            trace[first:last] += step * 0.5 * (1 + erf(offset / np.sqrt(2))) + self.spike * np.exp(-0.5 * offset**2)
            trace[last:] += step
        return trace


@dataclass(frozen=True)
class Behaviour:
    """What a die does: the mixture of ``loops`` by their parts, what the tester logs, and its single fault if any."""

    loops: Sequence[tuple[float, Loop]]
    fails: list[tuple[int, str]]
    fault: HiddenFault | None


class IcarusDie:
    """A simulated die on the tester and under the laser.

    Args:
        options: how it is measured; its fault does not count.
        places_um: place of each net's drain in micrometres.
        behaviour: what it does.
        recorder: of its waveforms.
        generator: draws noise and the beam's place.

    Attributes:
        fails: the tester's failing bits as ``(cycle, output net)``.
        fault: its single fault, where its defect is one.
        cycle_s: the tester's cycle in seconds.
    """

    def __init__(
        self,
        options: DieOptions,
        places_um: dict[str, tuple[float, float]],
        behaviour: Behaviour,
        recorder: Recorder,
        generator: np.random.Generator,
    ) -> None:
        self.options, self.places_um, self.recorder = options, places_um, recorder
        self.loops, self.fails, self.fault = behaviour.loops, behaviour.fails, behaviour.fault
        self.cycle_s = self.loops[0][1].cycle_fs * 1e-15
        self._generator = generator
        self._beam = Beam(places_um, options.optics.spot_fwhm_nm, options.placement_sigma_nm)

    def does(self, net: str) -> Array:
        """Return the level of ``net`` at the end of each cycle, 0..1, means over loops for an intermittent fault."""
        return np.asarray(sum(part * loop.strobe(net) for part, loop in self.loops), np.float64)

    def under_spot(self, net: str) -> list[tuple[str, float]]:
        """Return the other nets that a beam on ``net`` sees, with their intensity."""
        return self._beam.near(net, self.loops[0][1].edges)

    def measure(self, net: str) -> Probe:
        """Put the laser on ``net`` and record one averaged loop; every call draws its own noise and beam placement."""
        options, generator, recorder = self.options, self._generator, self.recorder
        weights = self._beam.draw_weights(net, self.loops[0][1].edges, generator)
        delay_s = float(generator.normal(0.0, recorder.trigger_sigma_s)) if recorder.trigger_sigma_s else 0.0
        total = sum(
            weight * part * recorder.trace(loop, name, delay_s)
            for name, weight in weights
            for part, loop in self.loops
            if part > 0
        )
        level = options.optics.reflectance * options.optics.modulation
        swing = level * abs(weights[0][1])
        sigma = noise_for_cycle_ratio(swing, options.snr_per_cycle, round(self.cycle_s / recorder.dt_s))
        clean = np.asarray(options.optics.reflectance + level * total, np.float64)
        values = add_noise(clean, sigma, recorder.drift * swing, generator)
        return Probe(net, values, recorder.dt_s, *self.places_um[net])


class IcarusDies:
    """Makes dies of one circuit.

    Args:
        circuit: of the demonstration's kind.
        stimulus: the looped patterns.
        options: how dies are measured.
        netlist: the circuit's sky130 netlist; ``None`` maps its gates to cells.

    Raises:
        ValueError: the circuit cannot be had in cells.
    """

    def __init__(
        self, circuit: DemoCircuit, stimulus: Stimulus, options: DieOptions, netlist: Path | None = None
    ) -> None:
        self.stimulus, self.options = stimulus, options
        cells = map_circuit(circuit) if netlist is None else read_netlist(netlist, circuit)
        delays = gate_delays(circuit, 1)
        self._parts = Parts(circuit, cells, stimulus.nets, delays)
        self._observed = observed_nets(circuit)
        scale = options.pitch_scale
        self.places_um = {net: (x * scale, y * scale) for net, (x, y) in place_in_rows(circuit).items()}
        timing = options.timing
        settled_fs, calm_fs = round(timing.cycle_s * 1e15), round(CALM_CYCLE_S * 1e15)
        text = DieModule(self._parts, None).text(len(stimulus.bits))
        settled, calm = simulate(text, [self._run(settled_fs), self._run(calm_fs)])
        at_speed_s = CYCLE_MARGIN * max(calm.last_edge_fs * 1e-15, LEAST_LATEST_S)
        self.timing: tuple[Mapping[str, float], float] = (delays, at_speed_s)
        (at_speed,) = simulate(text, [self._run(round(at_speed_s * 1e15))])
        self._good = {loop.cycle_fs: loop for loop in (settled, at_speed)}
        sigma_s = edge_sigma_s(options.optics, timing)
        self._settled = Recorder(timing.dt_s, 0.0, sigma_s, SPIKE, TRIGGER_SIGMA_S, DRIFT)
        dt_s = at_speed.cycle_fs * 1e-15 / SAMPLES_PER_CYCLE
        self._at_speed = Recorder(dt_s, dt_s / 2, EDGE_S, 0.0, 0.0, DRIFT_AT_SPEED)
        self._cycles_fs = {False: settled_fs, True: at_speed.cycle_fs}

    def make(self, defect: Defect, seed: int) -> IcarusDie:
        """Return a die with ``defect``; ``seed`` is for all that is random about it and its measurements."""
        options, generator = replace(self.options, seed=seed), np.random.default_rng(seed)
        fast = isinstance(defect, SlowNet | SlowPath)
        recorder, good = self._at_speed if fast else self._settled, self._good[self._cycles_fs[fast]]
        fault = defect if isinstance(defect, HiddenFault) else None
        if defect is None:
            return IcarusDie(options, self.places_um, Behaviour([(1.0, good)], [], None), recorder, generator)
        runs = [self._run(good.cycle_fs, side=defect.side if isinstance(defect, Bridge) else 0)]
        if fault is not None and fault.activity < 1.0:
            active = generator.random(good.cycles) < fault.activity
            runs.append(self._run(good.cycle_fs, active.astype(np.uint8)))
        loops = simulate(DieModule(self._parts, defect).text(good.cycles), runs)
        part = 1.0 if fault is None else fault.activity
        mixture = [(part, loops[0]), (1.0 - part, good)]
        behaviour = Behaviour(mixture, self._failing_bits(good, loops[-1]), fault)
        return IcarusDie(options, self.places_um, behaviour, recorder, generator)

    def _run(self, cycle_fs: int, active: NDArray[np.uint8] | None = None, side: int = 0) -> Run:
        """Return a loop in which the defect is always active unless told; ``side`` has one bit for each cycle."""
        bits = self.stimulus.bits
        sides = np.asarray([side >> cycle & 1 for cycle in range(len(bits))], np.uint8)
        active = np.ones(len(bits), np.uint8) if active is None else active
        return Run(np.column_stack([bits, active, sides]), cycle_fs)

    def _failing_bits(self, good: Loop, bad: Loop) -> list[tuple[int, str]]:
        return sorted(
            (int(cycle), net) for net in self._observed for cycle in np.flatnonzero(good.strobe(net) != bad.strobe(net))
        )

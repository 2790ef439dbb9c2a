"""Timing simulation: when each net changes after the inputs change, for many pairs of patterns at once.

A net's waveform in one pair is its value before and the times of its transitions. Gates are evaluated stage by stage
on whole waveforms, all pairs and all gates of a stage at once (Holst, Imhof & Wunderlich, IEEE TCAD 34(9), 2015).

Delays are inertial, as of a Verilog primitive (IEEE 1364-2005, 7.14): an output whose new value is not reached before
the inputs ask for the old one again does not change. An edge takes the delay of the pin that changed, of several that
change at once the smallest (14.2.5). Each pair starts from the settled values of its first pattern; whether they
settle within the tester's cycle is told by :meth:`PairWaveforms.settling_fs`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.delays import Delays
from analysis.circuits.logic_simulation import constant_of, evaluate, pack_patterns, simulate, unpack_patterns
from analysis.circuits.netlist import Circuit, CircuitError, Stage

NEVER = np.int64(2**62)
"""Fills the times after a net's last transition."""
MOST_PINS = 16
"""Inputs of a gate whose truth table is still looked up."""
PAIRS_AT_ONCE = 128
CHUNK_BYTES = 128 << 20
"""What the waveforms of the pairs that are simulated at once may take, at eight transitions a net."""

Times = NDArray[np.int64]


@dataclass(frozen=True)
class PairWaveforms:
    """Waveforms of some nets.

    Attributes:
        initial: values before the inputs change, uint8 0/1 of shape ``(nets, pairs)``.
        times_fs: increasing times of transitions after the start of the cycle, int64 of shape ``(nets, pairs, k)``,
            :data:`NEVER` after the last one.
    """

    initial: NDArray[np.uint8]
    times_fs: Times

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of transitions, int64 of shape ``(nets, pairs)``."""
        return np.asarray((self.times_fs < NEVER).sum(axis=-1), np.int64)

    @property
    def final(self) -> NDArray[np.uint8]:
        """Settled values, uint8 0/1 of shape ``(nets, pairs)``."""
        return np.asarray(self.initial ^ (self.counts & 1).astype(np.uint8), np.uint8)

    @property
    def settling_fs(self) -> NDArray[np.int64]:
        """Time of the last transition, int64 of shape ``(nets, pairs)``; 0 where there is none."""
        return np.asarray(np.where(self.times_fs < NEVER, self.times_fs, 0).max(axis=-1, initial=0), np.int64)

    def sample(self, time_fs: int) -> NDArray[np.uint8]:
        """Return the values at ``time_fs``, a transition at that very time included: uint8 ``(nets, pairs)``."""
        return np.asarray(self.initial ^ ((self.times_fs <= time_fs).sum(axis=-1) & 1).astype(np.uint8), np.uint8)


def simulate_pairs(
    circuit: Circuit, delays: Delays, before: NDArray[np.uint8], after: NDArray[np.uint8], watched: Sequence[int]
) -> PairWaveforms:
    """Return the waveforms of the ``watched`` nets when the inputs go from each row of ``before`` to that of ``after``.

    Both are uint8 0/1 of shape ``(pairs, inputs)`` in the order of ``circuit.inputs``; ``watched`` are net numbers.

    Raises:
        CircuitError: the patterns or the ``delays`` do not fit the circuit, or a gate has more than 16 inputs.
    """
    if before.shape != after.shape or before.ndim != 2 or before.shape[1] != len(circuit.inputs):
        raise CircuitError(
            f"patterns of shapes {before.shape} and {after.shape} do not fit {len(circuit.inputs)} inputs"
        )
    delays.check(circuit)
    size = max(1, min(PAIRS_AT_ONCE, CHUNK_BYTES // (64 * len(circuit.nets))))
    kept = []
    for first in range(0, len(before), size):
        initial, times = _simulate_some(circuit, delays, before[first : first + size], after[first : first + size])
        kept.append((initial[list(watched)], times[list(watched)]))
    most = max((int((times < NEVER).sum(axis=-1).max(initial=0)) for _, times in kept), default=0)
    shape = (len(watched), len(before), most)
    result = PairWaveforms(np.empty(shape[:2], np.uint8), np.full(shape, NEVER))
    start = 0
    for initial, times in kept:
        end = start + initial.shape[1]
        result.initial[:, start:end] = initial
        width = min(most, times.shape[-1])
        result.times_fs[:, start:end, :width] = times[..., :width]
        start = end
    return result


def simulate_loop_pairs(
    circuit: Circuit, delays: Delays, patterns: NDArray[np.uint8], watched: Sequence[int]
) -> PairWaveforms:
    """Return the waveforms of a loop of ``patterns`` (uint8 0/1, shape ``(cycles, inputs)``): pair ``i`` ends in ``i``.

    ``circuit``, ``delays`` and ``watched`` are as in :func:`simulate_pairs`.
    """
    return simulate_pairs(circuit, delays, np.roll(patterns, 1, axis=0), patterns, watched)


def _simulate_some(
    circuit: Circuit, delays: Delays, before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], Times]:
    pairs = len(before)
    initial = unpack_patterns(simulate(circuit, pack_patterns(before)), pairs)
    times = np.full((len(circuit.nets), pairs, 4), NEVER)
    sources = list(circuit.inputs)
    rises = np.broadcast_to(delays.source_rise_fs, after.shape)
    start = np.where(after.astype(np.bool_), rises, delays.source_fall_fs)
    times[sources, :, 0] = np.where(before != after, start, NEVER).T
    for stage in circuit.stages:
        if constant_of(stage.function, (1,)) is not None:
            continue
        found = _simulate_stage(stage, delays, initial, times)
        if found.shape[-1] > times.shape[-1]:
            more = found.shape[-1] - times.shape[-1]
            times = np.concatenate([times, np.full((*times.shape[:2], more), NEVER)], axis=-1)
        times[stage.drives, :, : found.shape[-1]] = found
    return initial, times


def _simulate_stage(stage: Stage, delays: Delays, initial: NDArray[np.uint8], times: Times) -> Times:
    """Return the transitions of the stage's outputs: int64 of shape ``(gates, pairs, k)``."""
    gates, inputs = stage.pins.shape
    if inputs > MOST_PINS:
        raise CircuitError(f"a gate of {inputs} inputs is too wide for timing simulation; at most {MOST_PINS}")
    pairs = initial.shape[1]
    merged = np.moveaxis(times[stage.pins], 1, 2)
    used = int((merged < NEVER).sum(axis=-1).max(initial=0))
    merged = merged[..., :used].reshape(gates * pairs, inputs * used)
    order = np.argsort(merged, axis=1, kind="stable")
    merged = np.take_along_axis(merged, order, axis=1)
    events = int((merged < NEVER).sum(axis=1).max(initial=0))
    state = _Outputs(
        _table(stage.function, inputs),
        np.repeat(delays.rise_fs[stage.gates, :inputs], pairs, axis=0),
        np.repeat(delays.fall_fs[stage.gates, :inputs], pairs, axis=0),
        initial[stage.pins].transpose(0, 2, 1).reshape(gates * pairs, inputs),
        events,
    )
    for time, pin, last in _steps(merged[:, :events], order[:, :events] // max(1, used)):
        state.follow(time, pin, last)
    return state.transitions().reshape(gates, pairs, -1)


def _steps(times: Times, pins: NDArray[np.int64]) -> Iterator[tuple[Times, NDArray[np.int64], NDArray[np.bool_]]]:
    """Yield the events of all rows in step: time, pin, and whether it is the last one at that time."""
    for step in range(times.shape[1]):
        is_last = np.ones(len(times), np.bool_)
        if step + 1 < times.shape[1]:
            is_last = times[:, step + 1] != times[:, step]
        yield times[:, step], pins[:, step], is_last & (times[:, step] < NEVER)


def _table(function: str, inputs: int) -> NDArray[np.bool_]:
    """Return the truth table, the first input being the most significant bit of the row number."""
    rows = np.arange(1 << inputs, dtype=np.uint64)
    operands = [(rows >> np.uint64(inputs - 1 - pin)) & np.uint64(1) for pin in range(inputs)]
    return np.asarray(evaluate(function, operands) & np.uint64(1), np.bool_)


class _Outputs:
    """The outputs of many gates of one function while their inputs change, one row each."""

    def __init__(
        self, table: NDArray[np.bool_], rise_fs: Times, fall_fs: Times, inputs: NDArray[np.uint8], events: int
    ) -> None:
        self._table = table
        self._rise_fs, self._fall_fs = rise_fs, fall_fs
        self._rows = np.arange(len(inputs))
        self._weights = 1 << np.arange(inputs.shape[1] - 1, -1, -1, dtype=np.int64)
        self._code = inputs.astype(np.int64) @ self._weights
        self._value = table[self._code]
        self._due = np.full(len(inputs), NEVER)
        self._fastest_rise = np.full(len(inputs), NEVER)
        self._fastest_fall = np.full(len(inputs), NEVER)
        self._count = np.zeros(len(inputs), np.int64)
        self._times = np.full((len(inputs), events), NEVER)

    def follow(self, time: Times, pin: NDArray[np.int64], last: NDArray[np.bool_]) -> None:
        """Toggle ``pin`` of each row at ``time``; where that is the ``last`` event of its time, see what follows."""
        happens = time < NEVER
        self._code = np.where(happens, self._code ^ self._weights[pin], self._code)
        self._fastest_rise = np.minimum(self._fastest_rise, self._rise_fs[self._rows, pin])
        self._fastest_fall = np.minimum(self._fastest_fall, self._fall_fs[self._rows, pin])
        self._commit(last & (self._due <= time))
        wanted = self._table[self._code]
        waiting = self._due < NEVER
        self._due[last & waiting & (wanted == self._value)] = NEVER
        starts = last & ~waiting & (wanted != self._value)
        delay = np.where(wanted, self._fastest_rise, self._fastest_fall)
        self._due[starts] = (time + delay)[starts]
        self._fastest_rise[last] = NEVER
        self._fastest_fall[last] = NEVER

    def _commit(self, rows: NDArray[np.bool_]) -> None:
        """Let the outputs of ``rows`` change as they are due to."""
        places = np.flatnonzero(rows)
        self._times[places, self._count[places]] = self._due[places]
        self._count[places] += 1
        self._value[places] ^= True
        self._due[places] = NEVER

    def transitions(self) -> Times:
        """Return all transitions after the last event, int64 of shape ``(rows, k)``."""
        self._commit(self._due < NEVER)
        return self._times[:, : int(self._count.max(initial=0))]

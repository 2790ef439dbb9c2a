"""What late edges do in a loop of patterns: time in steps, one bit per pattern, many faulty machines at once.

A gate that takes ``d`` steps gives ``out[t] = f(in[t - d])`` (transport delay), so that time is one more axis of the
bit-parallel simulation; before step 0 a pattern has what the pattern before it had at the end of the cycle. A net that
is slow to rise is 1 only after it has been 1 for as long as it is late; one that is slow to do both is only shifted.
Only machines whose values differ from the good ones are carried from gate to gate.

Several draws of the cells' delays are simulated. Where nobody tells them, each is scaled so that the latest event of a
good die comes within the cycle, as a tester at speed has it; where they are told (:class:`ToldDelays`), so that they
take the part of the cycle that they do, and the draws are of what is left open.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import Words, constant_of, evaluate, pattern_mask
from analysis.circuits.netlist import Circuit, fan_in_cone

LEAST_STEPS, MOST_STEPS = 48, 128
STEPS_OF_A_GATE = 3
SPREAD = 1 / 3
"""Half of the range of a cell's delay, relative to the usual one."""
FILLED = (0.38, 0.98)
"""Part of the cycle that the latest event of a good die takes, least and most; most draws are near the most: delays
are looked for at speed."""
TOLD_SPREAD = 0.1
"""The same of a cell whose delay is told: variation on a die, edges and pins that differ, and the file's own error."""
CORNERS = (0.9, 1.05)
"""What all told delays of a die may be multiplied by, least and most: the die's corner, supply and temperature."""
SLOWNESS = (0.4, 1.6)
"""Least and most of how slow a gate of a slow path gets, relative to the mean."""
MOST_BYTES = 2 << 20
"""Of one net's values in all the machines that are carried at once: what bounds memory."""


@dataclass(frozen=True)
class LateNet:
    """Late edges.

    Attributes:
        net: whose edges are late; where ``pin`` is given, those that this net's gate sees at that input.
        rise, fall: by how many steps.
        pin: place among the inputs of the gate that drives ``net``; -1 for the net itself, the only choice where a
            machine has several late nets.
    """

    net: int
    rise: int
    fall: int
    pin: int = -1


LateMachine = tuple[LateNet, ...]
"""A faulty machine: its late nets, at least one, in the order of their numbers; each delays what reaches it."""


@dataclass(frozen=True)
class ToldDelays:
    """What a file says of the delays of a circuit's cells.

    Attributes:
        parts: by net, the delay of the gate that drives it as a part of the cycle; of an input, how late it changes.
        spread: half of the range of a told delay, relative to it.
    """

    parts: Mapping[str, float]
    spread: float = TOLD_SPREAD

    @cached_property
    def digest(self) -> str:
        """Names all of this."""
        return hashlib.sha256(repr((sorted(self.parts.items()), self.spread)).encode()).hexdigest()


@dataclass(frozen=True)
class TimedLoop:
    """A good circuit in time.

    Attributes:
        circuit: what is simulated.
        cycles: number of patterns in the loop.
        delays: int64 of shape ``(gates,)``, steps.
        good: uint64 of shape ``(nets, steps, words)``.
        slowness: float64 of shape ``(nets,)``: how slow each net's gate gets where a path is slow, against the others.
    """

    circuit: Circuit
    cycles: int
    delays: NDArray[np.int64]
    good: Words
    slowness: NDArray[np.float64]

    @property
    def steps(self) -> int:
        """Steps of a cycle."""
        return int(self.good.shape[1])


@dataclass(frozen=True)
class _Moved:
    rows: NDArray[np.int64]
    values: Words


@dataclass(frozen=True)
class _Timing:
    """A draw: delays ``relative`` by gate and ``starts`` by input in units of ``scale`` steps, ``slowness`` by net."""

    relative: NDArray[np.float64]
    starts: NDArray[np.float64]
    slowness: NDArray[np.float64]
    scale: float
    steps: int


def draw_loops(
    circuit: Circuit, good: Words, cycles: int, count: int, told: ToldDelays | None = None
) -> list[TimedLoop]:
    """Return ``count`` draws of ``circuit`` in time, its ``cycles`` patterns as in ``good`` (uint64 ``(nets, words)``).

    ``told`` is what is known of the delays. The seed is fixed, so that answers do not depend on chance.
    """
    generator = np.random.default_rng(0)
    if told is not None:
        corners = np.linspace(CORNERS[1], CORNERS[0], count)
        return [_draw_told(circuit, good, cycles, generator, told, float(corner)) for corner in corners]
    least, most = FILLED
    parts = most - (most - least) * np.linspace(0, 1, count) ** 2
    return [_draw_loop(circuit, good, cycles, generator, float(part)) for part in parts]


def _draw_loop(circuit: Circuit, good: Words, cycles: int, generator: np.random.Generator, filled: float) -> TimedLoop:
    relative, starts = generator.uniform(1 - SPREAD, 1 + SPREAD, len(circuit.gates)), np.zeros(len(circuit.inputs))
    slowness = generator.uniform(*SLOWNESS, len(circuit.nets))
    steps, latest = steps_of(circuit), _longest(circuit, relative)
    whole = _Timing(relative, starts, slowness, steps / max(latest, 1e-9) * 0.99, steps)
    loop = _timed(circuit, good, cycles, whole)
    moving = (loop.good[:, 1:] != loop.good[:, :-1]).any(axis=(0, 2))
    last = int(np.flatnonzero(moving)[-1]) + 1 if moving.any() else steps
    return _settled(circuit, good, cycles, replace(whole, scale=whole.scale * filled * steps / last))


def _draw_told(
    circuit: Circuit, good: Words, cycles: int, generator: np.random.Generator, told: ToldDelays, corner: float
) -> TimedLoop:
    """Draw around told delays; of a gate that is not told, around the usual one, as widely as if nothing were."""
    gates = np.asarray([told.parts.get(circuit.nets[net], np.nan) for net in circuit.drives])
    untold = np.isnan(gates)
    usual = (
        float(np.median(gates[~untold])) if not untold.all() else 1.0 / max(1.0, _longest(circuit, np.ones(len(gates))))
    )
    spread = np.where(untold, SPREAD, told.spread)
    relative = np.where(untold, usual, gates) * generator.uniform(1 - spread, 1 + spread)
    starts = np.asarray([told.parts.get(circuit.nets[net], 0.0) for net in circuit.inputs])
    steps = steps_of(circuit)
    slowness = generator.uniform(*SLOWNESS, len(circuit.nets))
    return _settled(circuit, good, cycles, _Timing(relative, starts, slowness, steps * corner, steps))


def _settled(circuit: Circuit, good: Words, cycles: int, timing: _Timing) -> TimedLoop:
    """Return the loop, its delays shortened until the good die has its values at the end of every cycle."""
    latest = _longest(circuit, timing.relative)
    loop = _timed(circuit, good, cycles, timing)
    while ((loop.good[:, -1] ^ good) & pattern_mask(cycles)).any() and timing.scale * latest > 1:
        timing = replace(timing, scale=timing.scale * 0.96)
        loop = _timed(circuit, good, cycles, timing)
    return loop


def steps_of(circuit: Circuit) -> int:
    """Return in how many steps a cycle of ``circuit`` is divided: a few for each gate of the longest path."""
    depth = _longest(circuit, np.ones(len(circuit.gates)))
    return int(np.clip(STEPS_OF_A_GATE * depth, LEAST_STEPS, MOST_STEPS))


def _longest(circuit: Circuit, delays: NDArray[np.float64]) -> float:
    arrival = np.zeros(len(circuit.nets))
    for gate, (pins, net) in enumerate(zip(circuit.fan_in, circuit.drives, strict=True)):
        arrival[net] = delays[gate] + max((arrival[pin] for pin in pins), default=0.0)
    return float(arrival.max(initial=0.0))


def _timed(circuit: Circuit, good: Words, cycles: int, timing: _Timing) -> TimedLoop:
    """Simulate the good circuit; delays are rounded so that the error does not add up along a path."""
    relative, scale, steps = timing.relative, timing.scale, timing.steps
    values = np.empty((len(circuit.nets), steps, good.shape[1]), np.uint64)
    values[list(circuit.inputs)] = good[list(circuit.inputs), None]
    exact = np.zeros(len(circuit.nets))
    whole = np.zeros(len(circuit.nets), np.int64)
    exact[list(circuit.inputs)] = timing.starts * scale
    for net in np.flatnonzero(exact > 0).tolist():
        whole[net] = min(steps - 1, round(exact[net]))
        values[net] = earlier(values[net], int(whole[net]), cycles)
    delays = np.zeros(len(circuit.gates), np.int64)
    for gate, (pins, net) in enumerate(zip(circuit.fan_in, circuit.drives, strict=True)):
        last = max(pins, key=lambda pin: exact[pin], default=None)
        before, taken = (0.0, 0) if last is None else (exact[last], int(whole[last]))
        exact[net] = before + relative[gate] * scale
        delays[gate] = min(steps - 1, max(0, round(exact[net]) - taken))
        whole[net] = taken + delays[gate]
        function = circuit.gates[gate].function
        constant = constant_of(function, values[net].shape)
        if constant is not None:
            values[net] = constant
            continue
        values[net] = evaluate(function, [earlier(values[pin], int(delays[gate]), cycles) for pin in pins])
    return TimedLoop(circuit, cycles, delays, values, timing.slowness)


def earlier(values: Words, steps: int, cycles: int) -> Words:
    """Return ``values`` (uint64, ``(..., steps, words)``) as they were ``steps`` before, in a loop of ``cycles``."""
    if not steps:
        return values
    return np.concatenate([_pattern_before(values[..., -steps:, :], cycles), values[..., :-steps, :]], axis=-2)


def _pattern_before(values: Words, cycles: int) -> Words:
    one, last = np.uint64(1), np.uint64((cycles - 1) % 64)
    result = values << one
    result[..., 1:] |= values[..., :-1] >> np.uint64(63)
    result[..., 0] |= values[..., (cycles - 1) // 64] >> last & one
    return np.asarray(result, np.uint64)


def delay_edges(values: Words, delays: Sequence[tuple[int, int]], cycles: int) -> Words:
    """Return ``values`` (uint64, ``(steps, words)``) under each of ``delays``: ``(delays, steps, words)``.

    ``cycles`` is the number of patterns in the loop. A delay is by how many steps rising edges are late and by how many
    falling ones, which are equal, or one of them is 0. An edge that would come before an earlier one replaces it.
    """
    steps = len(values)
    long = np.concatenate([_pattern_before(values, cycles), values])
    both: list[list[Words]] = [[long], [long]]
    for table, meet in zip(both, (np.bitwise_and, np.bitwise_or), strict=True):
        while 2 ** len(table) <= 1 + max(max(delay) for delay in delays):
            half = 2 ** (len(table) - 1)
            table.append(meet(table[-1][half:], table[-1][:-half]))
    result = np.empty((len(delays), *values.shape), np.uint64)
    for place, (rise, fall) in enumerate(delays):
        late = max(rise, fall)
        if rise == fall:
            result[place] = long[steps - late : 2 * steps - late]
            continue
        level = (late + 1).bit_length() - 1
        table, meet = (both[0], np.bitwise_and) if rise else (both[1], np.bitwise_or)
        rest = late + 1 - 2**level
        piece = table[level]
        meet(piece[len(piece) - steps :], piece[len(piece) - steps - rest : len(piece) - rest], out=result[place])
    return result


def propagate_late(
    loop: TimedLoop, machines: Sequence[LateMachine], watched: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.int64], Words]]:
    """Yield ``watched`` nets that differ from ``loop``: net, places in ``machines``, values.

    The places are int64, the values uint64 of shape ``(places, steps, words)``.
    """
    order = sorted(range(len(machines)), key=lambda place: machines[place][0].net)
    needed, wanted = fan_in_cone(loop.circuit, list(watched)), set(watched)
    most = max(64, MOST_BYTES // max(1, loop.good[0].nbytes))
    for start in range(0, len(order), most):
        places = np.asarray(order[start : start + most], np.int64)
        for net, moved in _moves(loop, [machines[place] for place in places], needed):
            if net in wanted:
                yield net, places[moved.rows], moved.values


def _moves(loop: TimedLoop, machines: Sequence[LateMachine], needed: NDArray[np.bool_]) -> Iterator[tuple[int, _Moved]]:
    circuit = loop.circuit
    late: dict[int, list[tuple[int, LateNet]]] = defaultdict(list)
    for row, machine in enumerate(machines):
        for item in machine:
            late[item.net].append((row, item))
    left = dict(circuit.readers)
    alive: dict[int, _Moved] = {}
    for net in range(min(late, default=len(circuit.nets)), len(circuit.nets)):
        if not needed[net]:
            continue
        gate = circuit.driver.get(net)
        pins = () if gate is None else circuit.fan_in[gate]
        touched = [alive[pin] for pin in dict.fromkeys(pins) if pin in alive]
        moved = _answer(loop, net, touched, alive) if touched else None
        if net in late:
            moved = _delay(loop, net, moved, late[net])
        for pin in dict.fromkeys(pins):
            left[pin] -= 1
            if not left[pin]:
                alive.pop(pin, None)
        if moved is None or not moved.rows.size:
            continue
        if left.get(net, 0):
            alive[net] = moved
        yield net, moved


def _answer(loop: TimedLoop, net: int, touched: Sequence[_Moved], alive: dict[int, _Moved]) -> _Moved | None:
    circuit, gate = loop.circuit, loop.circuit.driver[net]
    function, delay = circuit.gates[gate].function, int(loop.delays[gate])
    if constant_of(function, (1, 1)) is not None:
        return None
    rows = touched[0].rows if len(touched) == 1 else np.unique(np.concatenate([item.rows for item in touched]))
    operands: list[Words] = []
    for pin in circuit.fan_in[gate]:
        plain = earlier(loop.good[pin], delay, loop.cycles)
        if pin not in alive:
            operands.append(np.broadcast_to(plain, (rows.size, *plain.shape)))
            continue
        item = alive[pin]
        moved = earlier(item.values, delay, loop.cycles)
        if item.rows.size < rows.size:
            every = np.empty((rows.size, *plain.shape), np.uint64)
            every[:] = plain
            every[np.searchsorted(rows, item.rows)] = moved
            moved = every
        operands.append(moved)
    return _differing(loop, net, rows, np.ascontiguousarray(evaluate(function, operands)))


def _differing(loop: TimedLoop, net: int, rows: NDArray[np.int64], values: Words) -> _Moved:
    differs = (values != loop.good[net]).any(axis=(1, 2))
    return _Moved(rows, values) if differs.all() else _Moved(rows[differs], values[differs])


def _delay(loop: TimedLoop, net: int, moved: _Moved | None, own: Sequence[tuple[int, LateNet]]) -> _Moved:
    """Add the machines whose edges are late here, and delay those of them that differ here already."""
    if moved is not None:
        moved, own = _delay_moved(loop, moved, own)
    rows, values = [], []
    for pin in sorted({machine.pin for _, machine in own}):
        here = [(row, machine) for row, machine in own if machine.pin == pin]
        rows.append(np.asarray([row for row, _ in here], np.int64))
        values.append(_late_values(loop, net, pin, [(machine.rise, machine.fall) for _, machine in here]))
    if moved is not None:
        rows.append(moved.rows)
        values.append(moved.values)
    every, changed = np.concatenate(rows), np.concatenate(values)
    order = np.argsort(every)
    return _differing(loop, net, every[order], changed[order])


def _delay_moved(
    loop: TimedLoop, moved: _Moved, own: Sequence[tuple[int, LateNet]]
) -> tuple[_Moved, list[tuple[int, LateNet]]]:
    """Return ``moved`` with the edges of its machines late, and those of ``own`` that are not among them."""
    places = {row: place for place, row in enumerate(moved.rows.tolist())}
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, item in own:
        if row in places:
            alike[item.rise, item.fall].append(places[row])
    values = moved.values.copy()
    for (rise, fall), here in alike.items():
        if rise == fall:
            values[here] = earlier(values[here], rise, loop.cycles)
            continue
        for place in here:
            values[place] = delay_edges(values[place], [(rise, fall)], loop.cycles)[0]
    return replace(moved, values=values), [(row, item) for row, item in own if row not in places]


def _late_values(loop: TimedLoop, net: int, pin: int, delays: Sequence[tuple[int, int]]) -> Words:
    good, cycles = loop.good, loop.cycles
    if pin < 0:
        return delay_edges(good[net], delays, cycles)
    gate = loop.circuit.driver[net]
    pins, delay = loop.circuit.fan_in[gate], int(loop.delays[gate])
    late = earlier(delay_edges(good[pins[pin]], delays, cycles), delay, cycles)
    operands = [
        late if place == pin else np.broadcast_to(earlier(good[other], delay, cycles), late.shape)
        for place, other in enumerate(pins)
    ]
    return evaluate(loop.circuit.gates[gate].function, operands)

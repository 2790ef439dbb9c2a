"""Many faulty machines at once, 64 in a word, one pattern after another."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.faults import Fault
from analysis.circuits.logic_simulation import Words, constant_of, evaluate
from analysis.circuits.netlist import Circuit, CircuitError, Stage
from analysis.circuits.resistive_opens import STEADY, THRESHOLD

KINDS = ("stem", "pin", "swap", "slow", "slow-pin", "open", "open-pin")
REMEMBERING = ("slow", "slow-pin", "open", "open-pin")
"""Those to which the cycle before matters."""


@dataclass(frozen=True)
class _Force:
    """Bits of an array of words: the rows of ``places``, kept where ``keep`` is 1, then set where ``ones`` is 1."""

    places: NDArray[np.int64]
    keep: Words
    ones: Words

    def apply(self, values: Words) -> None:
        values[self.places] = values[self.places] & self.keep | self.ones


@dataclass(frozen=True)
class _Late:
    """Machines in which rows are late: 1 in ``rise`` or ``fall`` where edges to 1 or to 0 are."""

    places: NDArray[np.int64]
    rise: Words
    fall: Words

    def apply(self, values: Words, now: Words, before: Words) -> None:
        """Replace the rows of ``values`` that are late: ``now`` is what they should be, ``before`` what they were."""
        wrong = (now & ~before & self.rise) | (~now & before & self.fall)
        values[self.places] ^= wrong


@dataclass(frozen=True)
class _Weak:
    """Opens, one a machine: bits of an array of words, and the level that each has got to."""

    places: NDArray[np.int64]
    machines: NDArray[np.int64]
    rest: NDArray[np.float64]
    edges: NDArray[np.int64]
    levels: NDArray[np.float64]

    def apply(self, values: Words, fresh: bool) -> None:
        """Replace the bits of ``values`` by what is read behind the opens a cycle later; ``fresh``: settled before."""
        words, shift = self.machines // 64, (self.machines % 64).astype(np.uint64)
        driven = ((values[self.places, words] >> shift) & np.uint64(1)).astype(np.float64)
        free = (self.edges >= 0) & (self.edges != driven)
        missing = np.where(free | fresh, 0.0, self.rest)
        self.levels[:] = driven + (self.levels - driven) * missing
        wrong = (np.abs(self.levels - driven) >= THRESHOLD - STEADY).astype(np.uint64) << shift
        np.bitwise_xor.at(values, (self.places, words), wrong)


@dataclass(frozen=True)
class _Swap:
    """Gates (rows of a stage) that compute another ``function`` in the machines of ``mask``."""

    function: str
    rows: NDArray[np.int64]
    mask: Words


@dataclass(frozen=True)
class _Group:
    """A stage, or the circuit's inputs, with the faults of all machines there."""

    stage: Stage | None
    nets: NDArray[np.int64]
    stems: _Force | None = None
    late: _Late | None = None
    pins: _Force | None = None
    late_pins: _Late | None = None
    swaps: tuple[_Swap, ...] = field(default=())
    weak: _Weak | None = None
    weak_pins: _Weak | None = None


class Machines:
    """Machines of one circuit, each with one of ``faults`` or none (``None``).

    The value of a late net or pin is that of the cycle before (transition fault model, see
    :mod:`analysis.circuits.faults`); in the very first cycle nothing is late.

    Raises:
        CircuitError: a fault is of a kind that cannot be simulated so.
    """

    def __init__(self, circuit: Circuit, faults: Sequence[Fault | None]) -> None:
        self._words = -(-len(faults) // 64)
        self._delayed = np.asarray([fault is not None and fault.kind in REMEMBERING for fault in faults], np.bool_)
        by_net: dict[int, list[tuple[int, Fault]]] = defaultdict(list)
        for machine, fault in enumerate(faults):
            if fault is None:
                continue
            if fault.kind not in KINDS:
                raise CircuitError(f"the fault {fault.describe(circuit)} cannot be simulated in a loop")
            by_net[fault.net].append((machine, fault))
        self._late_nets = _remembered(circuit, faults, "slow")
        self._late_pins = _remembered(circuit, faults, "slow-pin")
        sources = np.asarray(circuit.inputs, np.int64)
        self._groups = [_source_group(sources, by_net, self._words)]
        self._groups += [_stage_group(stage, by_net, self._words) for stage in circuit.stages]
        shape = (len(circuit.nets), self._words)
        self._raw = np.zeros(shape, np.uint64)
        self._values = np.zeros(shape, np.uint64)
        self._fresh = True

    @property
    def delayed(self) -> NDArray[np.bool_]:
        """Which machines are late or weak somewhere and so depend on the cycle before: bool ``(machines,)``."""
        return self._delayed

    def remembered(self) -> NDArray[np.float64]:
        """Return what a late or weak net or pin of each machine has in the last cycle; else 0: float64 ``(machines,)``.

        Of a weak one it is the level.
        """
        result = np.zeros(len(self._delayed))
        for places, nets, values in ((*self._late_nets, self._raw), (*self._late_pins, self._values)):
            words = values[nets, places // 64]
            result[places] = (words >> (places % 64).astype(np.uint64)) & np.uint64(1)
        for group in self._groups:
            for weak in (group.weak, group.weak_pins):
                if weak is not None:
                    result[weak.machines] = weak.levels
        return result

    def evaluate(self, inputs: Words) -> Words:
        """Return every net's value in the next cycle, uint64 of shape ``(nets, words)``: a view until the next call.

        Of ``inputs``, of the same shape, the rows of the circuit's inputs count.
        """
        values, raw = self._values, self._raw
        old_values, old_raw = (values, raw) if self._fresh else (values.copy(), raw.copy())
        for group in self._groups:
            found = inputs[group.nets] if group.stage is None else self._evaluate_stage(group, values, old_values)
            raw[group.nets] = found
            if group.stems is not None:
                group.stems.apply(found)
            if group.late is not None and not self._fresh:
                nets = group.nets[group.late.places]
                group.late.apply(found, raw[nets], old_raw[nets])
            if group.weak is not None:
                group.weak.apply(found, self._fresh)
            values[group.nets] = found
        self._fresh = False
        return values

    def _evaluate_stage(self, group: _Group, values: Words, old: Words) -> Words:
        stage = group.stage
        assert stage is not None
        shape = (len(stage.drives), self._words)
        constant = constant_of(stage.function, shape)
        if constant is not None:
            return constant
        flat = values[stage.pins.T.reshape(-1)]
        if group.pins is not None:
            group.pins.apply(flat)
        if group.late_pins is not None and not self._fresh:
            nets = stage.pins.T.reshape(-1)[group.late_pins.places]
            group.late_pins.apply(flat, values[nets], old[nets])
        if group.weak_pins is not None:
            group.weak_pins.apply(flat, self._fresh)
        operands = list(flat.reshape(stage.pins.shape[1], *shape))
        found = evaluate(stage.function, operands)
        if stage.function == "BUF":
            found = found.copy()
        for swap in group.swaps:
            other = evaluate(swap.function, [operand[swap.rows] for operand in operands])
            found[swap.rows] ^= (found[swap.rows] ^ other) & swap.mask
        return found


def _remembered(
    circuit: Circuit, faults: Sequence[Fault | None], kind: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the machines with a fault of ``kind`` and the nets whose value before counts, int64 each."""
    found = [(machine, fault) for machine, fault in enumerate(faults) if fault is not None and fault.kind == kind]
    nets = [circuit.fan_in[circuit.driver[fault.net]][fault.pin] if fault.pin >= 0 else fault.net for _, fault in found]
    return np.asarray([machine for machine, _ in found], np.int64), np.asarray(nets, np.int64)


def _bits(rows: Sequence[tuple[int, int]], words: int) -> tuple[NDArray[np.int64], Words]:
    """Return the distinct places of ``rows`` (place, machine), and for each the word of its machines."""
    places = np.unique([place for place, _ in rows])
    mask = np.zeros((len(places), words), np.uint64)
    for place, machine in rows:
        mask[np.searchsorted(places, place), machine // 64] |= np.uint64(1) << np.uint64(machine % 64)
    return places, mask


def _force(rows: Sequence[tuple[int, int, int]], words: int) -> _Force | None:
    """Make a force of (place, machine, value)."""
    if not rows:
        return None
    places, mask = _bits([row[:2] for row in rows], words)
    ones = np.zeros_like(mask)
    with_ones = [row[:2] for row in rows if row[2]]
    if with_ones:
        some, bits = _bits(with_ones, words)
        ones[np.searchsorted(places, some)] = bits
    return _Force(places, ~mask, ones)


def _late(rows: Sequence[tuple[int, int, int]], words: int) -> _Late | None:
    """Make lateness of (place, machine, value that the late edges go to, or -1 for both)."""
    if not rows:
        return None
    places, _ = _bits([row[:2] for row in rows], words)
    masks = []
    for value in (1, 0):
        mask = np.zeros((len(places), words), np.uint64)
        chosen = [row[:2] for row in rows if row[2] in (value, -1)]
        if chosen:
            some, bits = _bits(chosen, words)
            mask[np.searchsorted(places, some)] = bits
        masks.append(mask)
    return _Late(places, *masks)


def _weak(rows: Sequence[tuple[int, int, Fault]]) -> _Weak | None:
    """Make opens of (place, machine, fault)."""
    if not rows:
        return None
    return _Weak(
        np.asarray([place for place, _, _ in rows], np.int64),
        np.asarray([machine for _, machine, _ in rows], np.int64),
        np.asarray([2.0 ** (-1.0 / fault.half_cycles) for _, _, fault in rows]),
        np.asarray([fault.value for _, _, fault in rows], np.int64),
        np.zeros(len(rows)),
    )


def _weak_nets(nets: NDArray[np.int64], by_net: dict[int, list[tuple[int, Fault]]]) -> _Weak | None:
    """Make the opens at ``nets``."""
    return _weak(
        [
            (row, machine, fault)
            for row, net in enumerate(nets.tolist())
            for machine, fault in by_net.get(net, ())
            if fault.kind == "open"
        ]
    )


def _source_group(nets: NDArray[np.int64], by_net: dict[int, list[tuple[int, Fault]]], words: int) -> _Group:
    stems, late = _at_nets(nets, by_net)
    return _Group(None, nets, _force(stems, words), _late(late, words), weak=_weak_nets(nets, by_net))


def _at_nets(
    nets: NDArray[np.int64], by_net: dict[int, list[tuple[int, Fault]]]
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Return the stuck and the late nets among ``nets``: place, machine, value."""
    found: dict[str, list[tuple[int, int, int]]] = {"stem": [], "slow": []}
    for row, net in enumerate(nets.tolist()):
        for machine, fault in by_net.get(net, ()):
            if fault.kind in found:
                found[fault.kind].append((row, machine, fault.value))
    return found["stem"], found["slow"]


def _stage_group(stage: Stage, by_net: dict[int, list[tuple[int, Fault]]], words: int) -> _Group:
    stems, late = _at_nets(stage.drives, by_net)
    gates = len(stage.drives)
    pins: dict[str, list[tuple[int, int, int]]] = {"pin": [], "slow-pin": []}
    swaps: dict[str, list[tuple[int, int]]] = defaultdict(list)
    weak: list[tuple[int, int, Fault]] = []
    for row, net in enumerate(stage.drives.tolist()):
        for machine, fault in by_net.get(net, ()):
            if fault.kind in pins:
                pins[fault.kind].append((fault.pin * gates + row, machine, fault.value))
            elif fault.kind == "swap":
                swaps[fault.function].append((row, machine))
            elif fault.kind == "open-pin":
                weak.append((fault.pin * gates + row, machine, fault))
    return _Group(
        stage,
        stage.drives,
        _force(stems, words),
        _late(late, words),
        _force(pins["pin"], words),
        _late(pins["slow-pin"], words),
        tuple(_Swap(function, *_bits(rows, words)) for function, rows in swaps.items()),
        _weak_nets(stage.drives, by_net),
        _weak(weak),
    )

"""Sequential circuits under a looped functional pattern: the flip-flops run, and the loop comes to a steady state.

While a tester loops a pattern, the flip-flops go on from one loop to the next. A machine whose state at the start of
a loop returns does the same from then on; a waveform averaged over many loops shows the mean over that period. Faulty
machines are simulated 64 to a word, one cycle after another (parallel fault simulation: Seshu, IEEE Trans. Electronic
Computers EC-14, 1965). Clocks are ideal: each flip-flop takes its data once a cycle.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.faults import Fault
from analysis.circuits.logic_simulation import pack_patterns, unpack_patterns
from analysis.circuits.machine_words import Machines
from analysis.circuits.netlist import Circuit, CircuitError, LogicGate, build_circuit

MOST_LOOPS = 12
"""Loops after which a machine whose state has not returned is given up."""
MACHINES_AT_ONCE = 2048
CHUNK_BYTES = 128 << 20
"""What the means of the machines that are simulated at once may take."""
SAME_LEVEL = 1e-4
"""Difference of a weak net's levels, in parts of the supply, below which it is taken to have returned."""
STARTS = 64
"""Random power-up states from which the good machine must come to the same loop."""


@dataclass(frozen=True)
class SequentialCircuit:
    """A circuit with its flip-flops.

    Attributes:
        circuit: in full-scan view.
        ports: net numbers of the primary inputs, in the order of the pattern's columns.
        states: net numbers of the flip-flops' outputs.
        data: net numbers of their data inputs, in the same order.
        observed: places among ``circuit.outputs`` of the primary outputs, which are all that a tester sees.
    """

    circuit: Circuit
    ports: tuple[int, ...]
    states: tuple[int, ...]
    data: tuple[int, ...]
    observed: tuple[int, ...]


class UnsettledLoopError(CircuitError):
    """The loop does not bring the good die from any power-up state to one and the same steady state."""


def build_sequential(gates: Sequence[LogicGate], inputs: Sequence[str], outputs: Sequence[str]) -> SequentialCircuit:
    """Return the circuit of ``gates`` (with ``DFF``s), primary ``inputs`` and ``outputs``, all by name.

    Raises:
        CircuitError: as of :func:`~analysis.circuits.netlist.build_circuit`.
    """
    circuit = build_circuit(gates, inputs, outputs)
    flops = [gate for gate in gates if gate.function == "DFF"]
    return SequentialCircuit(
        circuit,
        tuple(circuit.number[name] for name in inputs),
        tuple(circuit.number[gate.output] for gate in flops),
        tuple(circuit.number[gate.inputs[0]] for gate in flops),
        tuple(sorted({circuit.outputs.index(circuit.number[name]) for name in outputs})),
    )


@dataclass(frozen=True)
class LoopChunk:
    """What some machines do in the steady loop.

    Attributes:
        machines: places in the list of machines, int64 of shape ``(m,)``.
        mean: float32 of shape ``(m, watched, cycles)``: part of the loops in which the net is 1; NaN where the state
            did not return.
        period: loops after which the state returns, int64 of shape ``(m,)``; 0 where it did not.
    """

    machines: NDArray[np.int64]
    mean: NDArray[np.float32]
    period: NDArray[np.int64]


def settle_good(sequential: SequentialCircuit, patterns: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint8]:
    """Return the state of a good ``sequential`` at the start of the steady loop, uint8 0/1 ``(flip-flops,)``.

    ``patterns`` is uint8 0/1 of shape ``(cycles, ports)``. :data:`STARTS` states drawn by ``seed``, all 0 and all 1
    among them, must end in the same one: found by trying, not proven.

    Raises:
        UnsettledLoopError: they do not; the message says how many flip-flops differ.
        CircuitError: the patterns do not fit.
    """
    _check(sequential, patterns)
    flops = len(sequential.states)
    starts = np.random.default_rng(seed).integers(0, 2, (STARTS, flops), dtype=np.uint8)
    starts[0], starts[1] = 0, 1
    machines = Machines(sequential.circuit, [None] * STARTS)
    state = pack_patterns(starts)
    for _ in range(MOST_LOOPS):
        before, (_, state) = state, _run(sequential, patterns, machines, state, [])
        bits = unpack_patterns(state, STARTS)
        if (bits == bits[:, :1]).all() and (state == before).all():
            return np.ascontiguousarray(bits[:, 0])
    differ = int((bits != bits[:, :1]).any(axis=1).sum())
    reason = f"{differ} of {flops} flip-flops depend on the power-up state" if differ else "its state does not return"
    raise UnsettledLoopError(
        f"the loop does not bring a good die to one steady state: {reason} after {MOST_LOOPS} loops; "
        "add the reset to the loop, or give the patterns in full-scan view"
    )


def simulate_loop(
    sequential: SequentialCircuit,
    patterns: NDArray[np.uint8],
    faults: Sequence[Fault | None],
    watched: Sequence[int],
    start: NDArray[np.uint8],
) -> Iterator[LoopChunk]:
    """Yield what each of ``faults`` does to ``watched`` nets of ``sequential`` in its steady loop; ``None``: none.

    ``patterns`` is uint8 0/1 of shape ``(cycles, ports)``; ``start`` the state in which every machine starts, uint8
    0/1 of shape ``(flip-flops,)``.

    Raises:
        CircuitError: the patterns or the start do not fit, or a fault cannot be simulated in a loop.
    """
    _check(sequential, patterns)
    if start.shape != (len(sequential.states),):
        raise CircuitError(f"a start of shape {start.shape} does not fit {len(sequential.states)} flip-flops")
    bytes_of_one = 4 * max(1, len(watched) * len(patterns))
    size = max(1, min(MACHINES_AT_ONCE, CHUNK_BYTES // bytes_of_one))
    for first in range(0, len(faults), size):
        some = faults[first : first + size]
        mean, period = _steady(sequential, patterns, some, watched, start)
        yield LoopChunk(np.arange(first, first + len(some)), mean, period)


def _check(sequential: SequentialCircuit, patterns: NDArray[np.uint8]) -> None:
    if patterns.ndim != 2 or not len(patterns) or patterns.shape[1] != len(sequential.ports):
        raise CircuitError(f"a loop of shape {patterns.shape} does not fit {len(sequential.ports)} primary inputs")


def _steady(
    sequential: SequentialCircuit,
    patterns: NDArray[np.uint8],
    faults: Sequence[Fault | None],
    watched: Sequence[int],
    start: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Run loops until every machine's state returns; average each over its own period."""
    count = len(faults)
    machines = Machines(sequential.circuit, faults)
    state = pack_patterns(np.broadcast_to(start, (count, len(start))))
    mean = np.full((count, len(watched), len(patterns)), np.nan, np.float32)
    period = np.zeros(count, np.int64)
    states, shown = [np.vstack([unpack_patterns(state, count), machines.remembered()])], []
    for loop in range(1, MOST_LOOPS + 1):
        values, state = _run(sequential, patterns, machines, state, watched)
        shown.append(values)
        states.append(np.vstack([unpack_patterns(state, count), machines.remembered()]))
        for length in range(1, loop + 1):
            returned = (np.abs(states[loop] - states[loop - length]) < SAME_LEVEL).all(axis=0)
            if length == loop:
                # Before the first loop there was no cycle from which a late machine could have its value.
                returned &= ~machines.delayed
            fresh = np.flatnonzero(returned & (period == 0))
            if fresh.size:
                last = np.stack([unpack_patterns(item, count)[..., fresh] for item in shown[loop - length : loop]])
                mean[fresh] = last.mean(axis=0, dtype=np.float32).transpose(2, 1, 0)
                period[fresh] = length
        if (period > 0).all():
            break
    return mean, period


def _run(
    sequential: SequentialCircuit,
    patterns: NDArray[np.uint8],
    machines: Machines,
    state: NDArray[np.uint64],
    watched: Sequence[int],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Run one loop; return the watched values, uint64 ``(cycles, watched, words)``, and the state after it."""
    shown = np.empty((len(patterns), len(watched), state.shape[1]), np.uint64)
    ports, states, data = list(sequential.ports), list(sequential.states), list(sequential.data)
    inputs = np.empty((len(sequential.circuit.nets), state.shape[1]), np.uint64)
    full = np.where(patterns, ~np.uint64(0), np.uint64(0))
    for cycle, row in enumerate(full):
        inputs[ports] = row[:, None]
        inputs[states] = state
        values = machines.evaluate(inputs)
        state = values[data]
        shown[cycle] = values[list(watched)]
    return shown, state

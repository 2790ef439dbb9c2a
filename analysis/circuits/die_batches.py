"""Fail logs of many dies of one product against all faults at once, with torch on the CPU or on a card.

What each fault does at the outputs is simulated once for the product and its patterns, bit-parallel over patterns and
machines: on a card stage by stage, on the CPU event-driven. Each die's fail log is then compared with all of it, of
which only the outputs that fail need to be looked at. Everything is integers, so that every device gives the same
numbers. A machine is one net inverted in every pattern, as in :mod:`analysis.circuits.propagation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.circuits.faults import Fault, local_errors
from analysis.circuits.logic_simulation import Words, constant_of, evaluate, simulate
from analysis.circuits.netlist import Circuit, CircuitError
from analysis.circuits.propagation import propagate_flips

CHUNK_BYTES = {"cpu": 16 << 20, "cuda": 1 << 30}
"""What the values of the machines that are simulated at once may take: a CPU's cache counts, a card's memory."""
COMPARED_BYTES = {"cpu": 1 << 20, "cuda": 256 << 20}
"""The same for the comparison of faults with fail logs."""
_PAIRS, _FOURS, _EIGHTS = 0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F
_BYTES_SUM = 0x0101010101010101


@dataclass(frozen=True)
class DieCounts:
    """How each fault's prediction meets each die's fail log: int64 of shape ``(dies, faults)`` each.

    Attributes:
        explained: failing bits that were predicted.
        missed: predicted bits that did not fail, in cycles in which some predicted bit did.
        idle: predicted bits in cycles in which none of them failed.
        unexplained: failing bits that were not predicted.
        active_cycles, idle_cycles: cycles of either sort.
    """

    explained: NDArray[np.int64]
    missed: NDArray[np.int64]
    idle: NDArray[np.int64]
    unexplained: NDArray[np.int64]
    active_cycles: NDArray[np.int64]
    idle_cycles: NDArray[np.int64]


class FaultDictionary:
    """What every one of some faults does at the outputs of a circuit, kept on a device.

    Args:
        circuit: in full-scan view.
        stimulus: packed patterns of its inputs, uint64 of shape ``(inputs, words)``.
        mask: uint64 of shape ``(words,)`` with a one for each pattern.
        faults: single faults; the loop of delay faults and opens is all patterns.
        device: see :func:`analysis.device.choose_device`.
    """

    def __init__(
        self, circuit: Circuit, stimulus: Words, mask: Words, faults: Sequence[Fault], device: torch.device
    ) -> None:
        good = simulate(circuit, stimulus)
        patterns = int(np.bitwise_count(mask).sum())
        errors = local_errors(circuit, good, faults, patterns) & mask
        nets = np.asarray([fault.net for fault in faults], np.int64)
        sites, rows = np.unique(nets, return_inverse=True)
        flips = _flip_outputs(circuit, good, sites, device)
        places = torch.from_numpy(rows.reshape(-1)).to(device)
        self.mask = to_device(mask, device)
        self.predicted = flips[places] & to_device(errors, device)[:, None]
        """int64 of shape ``(faults, outputs, words)``: a one where the fault fails an output."""
        self._sums = sum_outputs(self.predicted)
        self._total = _weigh(self._sums, None)
        self._some = _any_sum(self._sums)

    @property
    def detected(self) -> NDArray[np.bool_]:
        """Which of the faults fail an output in some pattern, bool of shape ``(faults,)``."""
        return (self._total > 0).cpu().numpy()

    def compare(self, fails: Words) -> DieCounts:
        """Compare with the ``fails`` of many dies, packed: uint64 of shape ``(dies, outputs, words)``.

        Raises:
            CircuitError: the shape does not fit the circuit and its patterns.
        """
        if fails.ndim != 3 or fails.shape[1:] != tuple(self.predicted.shape[1:]):
            raise CircuitError(
                f"fail logs of shape {fails.shape} do not fit (dies, outputs, words) of {tuple(self.predicted.shape)}"
            )
        every = np.arange(len(self.predicted))
        columns = [self.count(log, every) for log in fails]
        stacked = np.stack(columns, axis=1) if columns else np.empty((6, 0, len(every)), np.int64)
        return DieCounts(*stacked)

    def count(self, log: Words, faults: NDArray[np.int64]) -> NDArray[np.int64]:
        """Compare the faults at places ``faults`` with one die's ``log``, uint64 of shape ``(outputs, words)``.

        Returns int64 of shape ``(6, faults)``: the counts of :class:`DieCounts` in their order.
        """
        device = self.predicted.device
        observed = to_device(log, device) & self.mask
        words = observed.shape[1]
        count = count_ones(observed).sum()
        failing = torch.nonzero(observed.any(dim=1)).reshape(-1)
        # With no output that fails, one stands for all: its hits are none.
        failing = failing if len(failing) else failing.new_zeros(min(1, len(observed)))
        seen, places = observed[failing], torch.from_numpy(faults).to(device)
        size = max(1, COMPARED_BYTES[device.type] // max(1, 8 * len(failing) * words))
        parts = [torch.empty((6, 0), dtype=torch.int64, device=device)]
        for first in range(0, len(faults), size):
            some = places[first : first + size]
            hits = sum_outputs(self.predicted[some[:, None], failing] & seen)
            active = _any_sum(hits)
            explained = _weigh(hits, None)
            during = _weigh([plane[some] for plane in self._sums], active)
            cycles, idle_cycles = count_ones(active).sum(dim=1), count_ones(self._some[some] & ~active).sum(dim=1)
            idle = self._total[some] - during
            parts.append(torch.stack((explained, during - explained, idle, count - explained, cycles, idle_cycles)))
        return torch.cat(parts, dim=1).cpu().numpy()


def _flip_outputs(circuit: Circuit, good: Words, sites: NDArray[np.int64], device: torch.device) -> torch.Tensor:
    """Return what inverting each of ``sites`` changes at the outputs, simulated as suits the ``device``."""
    if device.type == "cuda":
        return invert_nets(circuit, good, sites, device)
    return to_device(propagate_flips(circuit, good, sites.tolist(), circuit.outputs), device)


def to_device(words: Words, device: torch.device) -> torch.Tensor:
    """Return packed ``words`` (uint64) on ``device``, as int64 with the same bits."""
    return torch.from_numpy(np.ascontiguousarray(words).view(np.int64)).to(device)


def count_ones(words: torch.Tensor) -> torch.Tensor:
    """Return the number of ones in each of ``words`` (int64): int64 of the same shape.

    By adding neighbours (Knuth, TAOCP 4A, 7.1.3, eq. 62), since torch has no instruction for it.
    """
    twos = words - ((words >> 1) & _PAIRS)
    fours = (twos & _FOURS) + ((twos >> 2) & _FOURS)
    eights = (fours + (fours >> 4)) & _EIGHTS
    return ((eights * _BYTES_SUM) >> 56) & 0xFF


def sum_outputs(words: torch.Tensor) -> list[torch.Tensor]:
    """Return how many outputs have a one, pattern by pattern, as binary digits: the least significant plane first.

    ``words`` is int64 of shape ``(faults, outputs, words)``, a plane of ``(faults, words)``. By full adders, three
    words to two (carry-save addition; Knuth, TAOCP 4A, 7.1.3, "sideways addition").
    """
    planes = []
    here = words
    while here.shape[1]:
        carries = []
        while here.shape[1] > 1:
            third = max(1, here.shape[1] // 3)
            a, b = here[:, :third], here[:, third : 2 * third]
            if here.shape[1] == 2:
                carries.append(a & b)
                here = a ^ b
                break
            c, differ = here[:, 2 * third : 3 * third], a ^ b
            carries.append((a & b) | (c & differ))
            here = torch.cat([differ ^ c, here[:, 3 * third :]], dim=1)
        planes.append(here[:, 0])
        here = torch.cat(carries, dim=1) if carries else here[:, :0]
    return planes


def _any_sum(planes: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return in which patterns the sum is not 0."""
    result = planes[0]
    for plane in planes[1:]:
        result = result | plane
    return result


def _weigh(planes: Sequence[torch.Tensor], where: torch.Tensor | None) -> torch.Tensor:
    """Return the sum over patterns (of ``where``) of the numbers with the digits ``planes``: int64 ``(faults,)``."""
    total = torch.zeros(len(planes[0]), dtype=torch.int64, device=planes[0].device)
    for digit, plane in enumerate(planes):
        total += count_ones(plane if where is None else plane & where).sum(dim=1) << digit
    return total


def invert_nets(circuit: Circuit, good: Words, sites: NDArray[np.int64], device: torch.device) -> torch.Tensor:
    """Return what inverting each of ``sites`` (net numbers, int64) changes at the outputs of ``circuit``.

    ``good`` is uint64 of shape ``(nets, words)``. The answer is int64 of shape ``(sites, outputs, words)`` on
    ``device``. All machines of a chunk run through all gates: regular work for a card, more of it than the event-driven
    simulation of :mod:`analysis.circuits.propagation` does.
    """
    nets, words = good.shape
    values = to_device(good, device)
    outputs = torch.as_tensor(circuit.outputs, dtype=torch.int64, device=device)
    result = torch.empty((len(sites), len(outputs), words), dtype=torch.int64, device=device)
    size = int(max(1, min(len(sites), CHUNK_BYTES[device.type] // (8 * nets * words))))
    stages = [
        (stage, torch.from_numpy(stage.pins).to(device), torch.from_numpy(stage.drives).to(device))
        for stage in circuit.stages
        if constant_of(stage.function, (1,)) is None
    ]
    for first in range(0, len(sites), size):
        some = torch.from_numpy(sites[first : first + size]).to(device)
        machines = torch.arange(len(some), device=device)
        state = values[:, None].expand(nets, len(some), words).clone()
        state[some, machines] ^= -1
        # A gate that is itself a site keeps its inverted value whatever its inputs do: it is written once more.
        flipped = state[some, machines]
        for stage, pins, drives in stages:
            state[drives] = evaluate(stage.function, [state[column] for column in pins.T])
            state[some, machines] = flipped
        result[first : first + size] = (state[outputs] ^ values[outputs, None]).transpose(0, 1)
    return result

"""Delays of gates from a library's tables over input transition and load (non-linear delay model).

Transitions are carried through the circuit gate by gate, of several the longest (graph-based timing analysis, as in
Sapatnekar, "Timing", 2004, ch. 5); between the points of a table both are linear, and beyond its ends continued.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.delays import Delays
from analysis.circuits.netlist import Circuit

RISE, FALL = 0, 1
FROM = {"positive_unate": ((RISE,), (FALL,)), "negative_unate": ((FALL,), (RISE,))}
"""Edges of the input that make the output rise, and fall; of any other sense both do either."""
BOTH = ((RISE, FALL), (RISE, FALL))


@dataclass(frozen=True)
class DelayTable:
    """One table of one edge of the output.

    Attributes:
        edge: :data:`RISE` or :data:`FALL` of the output.
        sense: ``positive_unate``, ``negative_unate`` or anything else.
        slews_s, loads_f: increasing, float64 of shapes ``(s,)`` and ``(l,)``: input transitions and loads.
        delay_s, transition_s: float64 of shape ``(s, l)``.
    """

    edge: int
    sense: str
    slews_s: NDArray[np.float64]
    loads_f: NDArray[np.float64]
    delay_s: NDArray[np.float64]
    transition_s: NDArray[np.float64]

    def look_up(self, slew_s: float, load_f: float) -> tuple[float, float]:
        """Return delay and output transition, seconds, at an input transition ``slew_s`` and a load ``load_f``."""
        row, down = _place(self.slews_s, slew_s)
        column, right = _place(self.loads_f, load_f)
        weights = np.outer([1 - down, down][: len(self.slews_s)], [1 - right, right][: len(self.loads_f)])
        here = slice(row, row + 2), slice(column, column + 2)
        return float((self.delay_s[here] * weights).sum()), float((self.transition_s[here] * weights).sum())


def _place(axis: NDArray[np.float64], value: float) -> tuple[int, float]:
    """Return the interval of ``axis`` for ``value`` and how far in it, beyond 0 and 1 outside of the axis."""
    if len(axis) == 1:
        return 0, 0.0
    place = int(np.clip(np.searchsorted(axis, value) - 1, 0, len(axis) - 2))
    return place, float((value - axis[place]) / (axis[place + 1] - axis[place]))


def look_up_delays(
    circuit: Circuit,
    tables: Mapping[tuple[int, int], Sequence[DelayTable]],
    loads_f: NDArray[np.float64],
    usual: Delays,
    source_slew_s: float,
) -> Delays:
    """Return the delays of ``circuit`` from ``tables``, by net that is driven and place of the pin (0 for an input).

    ``loads_f`` is float64 of shape ``(nets,)``; ``source_slew_s`` the transition of what drives the inputs of the
    circuit (for a flip-flop's output, of its clock). Where there is no table the delay is that of ``usual`` and the
    transition that of the source. Of several tables of a pin and edge the slowest counts.
    """
    slews = np.full((len(circuit.nets), 2), source_slew_s)
    start = np.stack([usual.source_rise_fs, usual.source_fall_fs])
    for place, net in enumerate(circuit.inputs):
        given = tables.get((net, 0), ())
        for edge in {table.edge for table in given}:
            found = [table.look_up(source_slew_s, loads_f[net]) for table in given if table.edge == edge]
            start[edge, place] = max(0, round(max(delay for delay, _ in found) * 1e15))
            slews[net, edge] = max(transition for _, transition in found)
    times = np.stack([usual.rise_fs, usual.fall_fs])
    for gate, (pins, net) in enumerate(zip(circuit.fan_in, circuit.drives, strict=True)):
        transitions: list[list[float]] = [[], []]
        for place, pin in enumerate(pins):
            delays: list[list[float]] = [[], []]
            for table in tables.get((net, place), ()):
                for cause in FROM.get(table.sense, BOTH)[table.edge]:
                    delay, transition = table.look_up(slews[pin, cause], loads_f[net])
                    delays[table.edge].append(delay)
                    transitions[table.edge].append(transition)
            for edge in (RISE, FALL):
                if delays[edge]:
                    times[edge, gate, place] = max(1, round(max(delays[edge]) * 1e15))
        for edge in (RISE, FALL):
            if transitions[edge]:
                slews[net, edge] = max(transitions[edge])
    return Delays(times[RISE], times[FALL], start[RISE], start[FALL])

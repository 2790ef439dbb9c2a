"""Timing one event at a time from a priority queue: the obvious twin of the timing simulation of whole waveforms.

Inertial delays: a gate has at most one change ahead of it, and when its inputs want the old value back it is off.
"""

import heapq
from collections.abc import Mapping, Sequence

from analysis.circuits.netlist import LogicGate
from tests.naive.logic import gate_bit

Arcs = Mapping[tuple[str, int], tuple[int, int]]
"""By output net and place of the pin: the delays of a rising and of a falling output."""


def run_events(
    gates: Sequence[LogicGate],
    arcs: Arcs,
    before: Mapping[str, int],
    changes: Sequence[tuple[int, str, int]],
) -> dict[str, list[int]]:
    """The times at which each net changes; ``before`` has all settled values, ``changes`` what inputs do when."""
    value = dict(before)
    history: dict[str, list[int]] = {net: [] for net in value}
    queue: list[tuple[int, int, str, int]] = []
    ahead: dict[str, int] = {}
    ticket = 0
    for time, net, bit in changes:
        if value[net] != bit:
            ticket += 1
            heapq.heappush(queue, (time, ticket, net, bit))
            ahead[net] = ticket
    while queue:
        now = queue[0][0]
        moved = set()
        while queue and queue[0][0] == now:
            _, number, net, bit = heapq.heappop(queue)
            if ahead.get(net) == number:
                del ahead[net]
                value[net] = bit
                history[net].append(now)
                moved.add(net)
        for gate in gates:
            hit = [place for place, pin in enumerate(gate.inputs) if pin in moved]
            if not hit:
                continue
            wanted = gate_bit(gate.function, [value[pin] for pin in gate.inputs])
            if gate.output in ahead:
                if wanted == value[gate.output]:
                    del ahead[gate.output]
            elif wanted != value[gate.output]:
                delay = min(arcs[gate.output, place][0 if wanted else 1] for place in hit)
                ticket += 1
                heapq.heappush(queue, (now + delay, ticket, gate.output, wanted))
                ahead[gate.output] = ticket
    return history

"""A part of a large circuit that is enough for one die: what the suspects reach, with the good values of the rest.

A net that no suspect reaches has its good value always, so that it can be an input of a smaller circuit that is
stimulated with that value: nothing is approximated. (Dynamic partitioning of the netlist by the fail log, as in
commercial diagnosis servers.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import pack_patterns, simulate, unpack_patterns
from analysis.circuits.netlist import Circuit, fan_in_cone, fan_out_cone


@dataclass(frozen=True)
class Region:
    """A smaller circuit.

    Attributes:
        circuit: its gates and nets have the names that they have in the whole.
        nets: number in the whole circuit of each of its nets, int64 of shape ``(nets,)``.
        outputs: places of its outputs among the whole circuit's, int64 of shape ``(outputs,)``.
    """

    circuit: Circuit
    nets: NDArray[np.int64]
    outputs: NDArray[np.int64]

    def stimulus(self, whole: Circuit, patterns: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the values of its inputs when ``whole`` has ``patterns``: uint8 of shape ``(cycles, inputs)``.

        ``patterns`` is uint8 0/1 of shape ``(cycles, inputs of whole)``.
        """
        good = simulate(whole, pack_patterns(patterns))
        chosen = good[self.nets[list(self.circuit.inputs)]]
        return np.ascontiguousarray(unpack_patterns(chosen, len(patterns)).T)


def extract_region(circuit: Circuit, suspects: NDArray[np.bool_], watched: Sequence[int]) -> Region:
    """Return the part of ``circuit`` that the ``suspects`` can change, and the nets ``watched`` besides.

    ``suspects`` is bool of shape ``(nets,)``; ``watched`` are net numbers, which keep their good values where no
    suspect reaches them. The gates that drive suspects are in the region, so that every fault at a suspect is.
    """
    changed = fan_out_cone(circuit, np.flatnonzero(suspects).tolist())
    gates = [gate for gate, net in enumerate(circuit.drives) if changed[net]]
    used = changed.copy()
    used[list(watched)] = True
    for gate in gates:
        used[list(circuit.fan_in[gate])] = True
    driven = {circuit.drives[gate] for gate in gates}
    sources = [int(net) for net in np.flatnonzero(used) if net not in driven]
    nets = [*sources, *(circuit.drives[gate] for gate in gates)]
    number = {net: place for place, net in enumerate(nets)}
    outputs = [place for place, net in enumerate(circuit.outputs) if changed[net]]
    part = Circuit(
        nets=tuple(circuit.nets[net] for net in nets),
        inputs=tuple(range(len(sources))),
        outputs=tuple(number[circuit.outputs[place]] for place in outputs),
        output_names=tuple(circuit.output_names[place] for place in outputs),
        gates=tuple(circuit.gates[gate] for gate in gates),
        fan_in=tuple(tuple(number[pin] for pin in circuit.fan_in[gate]) for gate in gates),
        drives=tuple(number[circuit.drives[gate]] for gate in gates),
    )
    return Region(part, np.asarray(nets, np.int64), np.asarray(outputs, np.int64))


def suspects_of(circuit: Circuit, failing: Sequence[int], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the nets of ``circuit`` that can be wrong: those that reach a failing net, and their partners in bridges.

    ``failing`` are net numbers of outputs that failed or of nets that were probed; ``pairs`` the nets that a bridge
    may join, int64 of shape ``(pairs, 2)``. The answer is bool of shape ``(nets,)``.
    """
    suspects = fan_in_cone(circuit, failing)
    bridged = pairs[suspects[pairs].any(axis=1)]
    suspects[np.unique(bridged)] = True
    return suspects

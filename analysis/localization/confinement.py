"""Large circuits: what of one is enough for one die, so that an answer costs what the failing cone costs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.netlist import Circuit, CircuitError
from analysis.circuits.regions import extract_region, suspects_of

MOST_GATES = 5_000
"""Gates of a circuit that is simulated whole."""


def confine(
    circuit: Circuit,
    patterns: NDArray[np.uint8],
    fails: NDArray[np.bool_] | None,
    watched: Sequence[int],
    pairs: NDArray[np.int64],
) -> tuple[Circuit, NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Return a smaller circuit with its patterns and fails; the same where ``circuit`` is small.

    ``patterns`` is uint8 0/1 of shape ``(cycles, inputs)``; ``fails`` bool of ``(cycles, outputs)`` or ``None``;
    ``watched`` are the nets that were probed or lie under a spot, which stay in it; ``pairs`` those that a bridge may
    join, int64 of shape ``(pairs, 2)``. Suspects are what reaches a failing output or, where nothing failed, a watched
    net.

    Raises:
        CircuitError: the circuit is large, and neither a fail nor a waveform says where to look.
    """
    if len(circuit.gates) <= MOST_GATES:
        return circuit, patterns, fails
    failing = [] if fails is None else [circuit.outputs[place] for place in np.flatnonzero(fails.any(axis=0))]
    begin = failing or list(watched)
    if not begin:
        raise CircuitError(
            f"a circuit of {len(circuit.gates)} gates needs a fail log or a waveform that says where to look"
        )
    region = extract_region(circuit, suspects_of(circuit, begin, pairs), watched)
    part = None if fails is None else np.ascontiguousarray(fails[:, region.outputs])
    return region.circuit, region.stimulus(circuit, patterns), part

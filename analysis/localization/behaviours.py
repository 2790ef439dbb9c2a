"""What chosen nets do: in a good die, and under the likeliest fault of each of the first suspects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import unpack_patterns
from analysis.localization.candidates import best_told
from analysis.localization.posterior import likeliest
from analysis.localization.weighing import WeighedDie


@dataclass(frozen=True)
class SuspectBehaviour:
    """A suspect site with what it makes nets do.

    Attributes:
        net: the site.
        fault: its likeliest fault there, as among the candidates.
        posterior: of the site, all its faults together.
        activity: part of the loops in which the fault is active.
        changes: uint8 0/1 of shape ``(nets, cycles)``: where a net differs while it is; a delay fault counts as a
            whole cycle late.
    """

    net: str
    fault: str
    posterior: float
    activity: float
    changes: NDArray[np.uint8]


def good_values(die: WeighedDie, nets: Sequence[int]) -> NDArray[np.uint8]:
    """Return what ``nets`` (numbers) of ``die`` do without a fault, uint8 0/1 of shape ``(nets, cycles)``."""
    stimulated = die.screening.suspects.stimulated
    return np.asarray(unpack_patterns(stimulated.good[list(nets)], stimulated.cycles), np.uint8)


def suspect_behaviours(die: WeighedDie, nets: Sequence[int], most: int) -> tuple[SuspectBehaviour, ...]:
    """Return what ``nets`` (numbers) do under each of the ``most`` likeliest sites of ``die``, likeliest first."""
    suspects, posterior = die.screening.suspects, die.posterior
    if not len(suspects):
        return ()
    circuit = suspects.stimulated.circuit
    mass = posterior.of_sites(len(circuit.nets))
    order = [int(net) for net in np.argsort(-mass, kind="stable")[:most] if mass[net] > 0]
    places = best_told(suspects, posterior, order, posterior.faults.max(axis=1))
    chosen = suspects.pick(places)
    changes = chosen.simulate(list(nets))
    return tuple(
        SuspectBehaviour(
            net=circuit.nets[net],
            fault=suspects.defects[place].describe(circuit),
            posterior=min(1.0, float(mass[net])),
            activity=likeliest(posterior, place, late=bool(suspects.late[place])),
            changes=np.asarray(unpack_patterns(changes[rank], suspects.stimulated.cycles), np.uint8),
        )
        for rank, (net, place) in enumerate(zip(order, places, strict=True))
    )

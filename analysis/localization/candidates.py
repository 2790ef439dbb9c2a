"""Ranked candidate sites of a posterior, with the sites that no measurement so far can tell apart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.defects import SlowPath
from analysis.circuits.logic_simulation import Words, without_polarity
from analysis.localization.posterior import Posterior, likeliest
from analysis.localization.suspects import Suspects
from analysis.results import Candidate

MOST_CANDIDATES = 50
NEGLIGIBLE = 1e-6


def rank_candidates(suspects: Suspects, posterior: Posterior, watched: Sequence[int]) -> tuple[Candidate, ...]:
    """Return the sites of ``suspects`` by their probability in ``posterior``, likeliest first.

    ``watched`` are the nets that were measured: with the outputs they say which sites look the same.
    """
    circuit = suspects.stimulated.circuit
    mass = posterior.of_sites(len(circuit.nets))
    suspicion = mass + np.bincount(posterior.sites, weights=posterior.resembling, minlength=mass.size)
    order = [int(net) for net in np.argsort(-suspicion, kind="stable")[:MOST_CANDIDATES]]
    order = [net for net in order if suspicion[net] > NEGLIGIBLE]
    likely = posterior.faults.max(axis=1) + posterior.resembling
    best = best_told(suspects, posterior, order, likely)
    signatures = _signatures(suspects.pick(best), watched)
    twins: dict[bytes, list[int]] = {}
    for net, signature in zip(order, signatures, strict=True):
        twins.setdefault(signature, []).append(net)
    return tuple(
        Candidate(
            net=circuit.nets[net],
            fault=suspects.defects[place].describe(circuit),
            posterior=min(1.0, float(mass[net])),
            activity=likeliest(posterior, place, late=bool(suspects.late[place])),
            equivalent=tuple(circuit.nets[twin] for twin in sorted(twins[signature]) if twin != net),
        )
        for net, place, signature in zip(order, best, signatures, strict=True)
    )


def best_told(suspects: Suspects, posterior: Posterior, nets: Sequence[int], likely: NDArray[np.float64]) -> list[int]:
    """Return the place among ``suspects`` of the one that is told of each of ``nets``, sites of ``posterior``.

    ``likely`` is float64 of shape ``(suspects,)``, how likely each is. The likeliest is told; of the paths where these
    together are likelier than all else, for one path shares what it explains with many like it.
    """
    paths = np.asarray([isinstance(item, SlowPath) for item in suspects.defects], np.bool_)
    return [_best_of(np.flatnonzero(posterior.sites == net), likely, paths) for net in nets]


def _best_of(places: NDArray[np.int64], likely: NDArray[np.float64], paths: NDArray[np.bool_]) -> int:
    own = paths[places]
    along = bool(own.all()) or likely[places[own]].sum() > likely[places[~own]].sum()
    told = places[own == along]
    return int(told[np.argmax(likely[told])])


def _signatures(suspects: Suspects, watched: Sequence[int]) -> list[bytes]:
    """Return all that can be observed of each suspect: fails, and watched nets but for their polarity.

    A slow path is like itself only: how late which of its nets are is not in these values.
    """
    stimulated = suspects.stimulated
    outputs = list(stimulated.circuit.outputs)
    changes = suspects.simulate([*outputs, *watched])
    values: Words = changes[:, len(outputs) :] ^ stimulated.good[list(watched)]
    seen: NDArray[np.uint64] = without_polarity(values, stimulated.mask)
    return [
        fails.tobytes() + levels.tobytes() + (repr(defect.nets).encode() if isinstance(defect, SlowPath) else b"")
        for fails, levels, defect in zip(changes[:, : len(outputs)], seen, suspects.defects, strict=True)
    ]

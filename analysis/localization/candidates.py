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
    sites = posterior.sites
    mass = posterior.of_sites(len(circuit.nets))
    suspicion = mass + np.bincount(sites, weights=posterior.resembling, minlength=mass.size)
    order = [int(net) for net in np.argsort(-suspicion, kind="stable")[:MOST_CANDIDATES]]
    order = [net for net in order if suspicion[net] > NEGLIGIBLE]
    likely = posterior.faults.max(axis=1) + posterior.resembling
    paths = np.asarray([isinstance(item, SlowPath) for item in suspects.defects], np.bool_)
    best = [_best_told(np.flatnonzero(sites == net), likely, paths) for net in order]
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


def _best_told(places: NDArray[np.int64], likely: NDArray[np.float64], paths: NDArray[np.bool_]) -> int:
    """Return the likeliest of ``places``: of the paths where these together are likelier than all else, for one path
    shares what it explains with many like it."""
    own = paths[places]
    along = likely[places[own]].sum() > likely[places[~own]].sum()
    told = places[own == along]
    return int(told[np.argmax(likely[told])])


def _signatures(suspects: Suspects, watched: Sequence[int]) -> list[bytes]:
    """Return all that can be observed of each suspect: fails, and watched nets but for their polarity."""
    stimulated = suspects.stimulated
    outputs = list(stimulated.circuit.outputs)
    changes = suspects.simulate([*outputs, *watched])
    values: Words = changes[:, len(outputs) :] ^ stimulated.good[list(watched)]
    seen: NDArray[np.uint64] = without_polarity(values, stimulated.mask)
    return [fails.tobytes() + levels.tobytes() for fails, levels in zip(changes[:, : len(outputs)], seen, strict=True)]

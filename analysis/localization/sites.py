"""The net that each suspect is reported at: its own, and of a slow path the gate that is most surely slow."""

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.defects import SlowPath
from analysis.localization.suspects import Suspects

AS_SURE = 0.01
"""Relative difference below which gates are equally surely slow."""


def choose_sites(suspects: Suspects, mass: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the net number of the site of each of ``suspects``, int64 of shape ``(suspects,)``.

    ``mass`` is the probability of each, float64 of the same shape. Paths that explain a log alike differ in some gates
    and share others. A gate is defective with the probability of its own faults and of all paths through it: paths
    are gathered at the gate for which that is most, then those that are left at the next; of equal gates in a row at
    the middle one, which is the least likely to be beyond the end of what is slow.
    """
    sites = suspects.nets[:, 0].copy()
    paths = [(place, defect) for place, defect in enumerate(suspects.defects) if isinstance(defect, SlowPath)]
    if not paths:
        return sites
    rows = np.asarray([place for place, _ in paths], np.int64)
    members = np.zeros((len(paths), len(suspects.stimulated.circuit.nets)), np.bool_)
    for row, (_, path) in enumerate(paths):
        members[row, list(path.nets)] = True
    others = np.delete(np.arange(len(sites)), rows)
    alone = np.bincount(sites[others], weights=mass[others], minlength=members.shape[1])
    left = np.ones(len(paths), np.bool_)
    while left.any():
        through = mass[rows[left]] @ members[left]
        chosen = _middle_of_surest(np.where(members[left].any(axis=0), alone + through, -1.0))
        own = left & members[:, chosen]
        sites[rows[own]] = chosen
        left &= ~own
    return sites


def _middle_of_surest(probability: NDArray[np.float64]) -> int:
    surest = np.flatnonzero(probability >= probability.max() * (1 - AS_SURE))
    return int(surest[len(surest) // 2])

"""Which defect a repair run worked on: by its id, or by where it was, with both positions' uncertainty.

By place each defect within reach has the density of its distance under the two covariances; against them stands a
uniform density of things that are in no list. A run is joined when one defect holds nearly all of the probability.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import cKDTree

from analysis.coordinates.affine import Array, Points

SURE = 0.95
UNLISTED_RATIO = 0.1
"""Things in no list that a run may have been on, over the listed ones: a default without a source."""
CONFLICT = 1e-4
_REACH_SIGMAS = 5.0
"""Distance in standard deviations beyond which a defect is no candidate."""


@dataclass(frozen=True)
class Joined:
    """One run's defect.

    Attributes:
        defect: index of the defect, ``None`` when there is none that is sure enough.
        by: ``id`` or ``place``; ``None`` when not joined.
        probability: of the defect by place; 1 by id without positions to check.
        distance_um: between the two, ``None`` without positions.
        p_distance: probability of a distance as large or larger if they are the same.
        reason: why it is not joined, or what is odd; ``""`` otherwise.
    """

    defect: int | None
    by: Literal["id", "place"] | None
    probability: float
    distance_um: float | None
    p_distance: float | None
    reason: str


def join_by_id(run_ids: Sequence[str], defect_ids: Sequence[str]) -> list[int | None]:
    """Return for each of ``run_ids`` the index in ``defect_ids``; ``None`` for an empty, unknown or repeated id."""
    places: dict[str, int | None] = {}
    for index, identity in enumerate(defect_ids):
        places[identity] = None if identity in places else index
    return [places.get(identity) if identity else None for identity in run_ids]


def check_id(run: Points, defect: Points, run_index: int, defect_index: int) -> Joined:
    """Return a join by id, checked by place.

    Args:
        run, defect: positions of all runs and of all defects in one frame, um.
        run_index, defect_index: which two have the same id.
    """
    offset = run.xy[run_index] - defect.xy[defect_index]
    covariance = run.covariance[run_index] + defect.covariance[defect_index]
    distance = float(np.hypot(*offset))
    chance = _chance(offset, covariance)
    if chance < CONFLICT:
        reason = f"the ids agree but the places are {distance:.3g} um apart (p = {chance:.1g})"
        return Joined(None, None, 0.0, distance, chance, reason)
    return Joined(defect_index, "id", 1.0, distance, chance, "")


def join_by_place(run: Points, defects: Points, unlisted_ratio: float = UNLISTED_RATIO) -> list[Joined]:
    """Return the defect of each run.

    Args:
        run: ``n`` positions of the runs, um, with covariance.
        defects: ``m`` positions in the same frame, with covariance.
        unlisted_ratio: things in no list over the listed ones, in the same area.

    Raises:
        ValueError: the ratio is not above 0.
    """
    if not (math.isfinite(unlisted_ratio) and unlisted_ratio > 0):
        raise ValueError(f"the ratio of unlisted to listed things is above 0, not {unlisted_ratio}")
    count = len(defects.xy)
    if not count:
        return [Joined(None, None, 0.0, None, None, "there are no defects") for _ in run.xy]
    density = unlisted_ratio * count / _area(defects, run)
    return [_join_one(run.xy[index], run.covariance[index], defects, density) for index in range(len(run.xy))]


def have_near(xy: Array, others: Array, sigma_um: float) -> NDArray[np.bool_]:
    """Return which of ``xy`` have one of ``others`` within the reach of :func:`join_by_place`, bool ``(n,)``.

    Args:
        xy, others: float64 ``(n, 2)`` and ``(m, 2)``, finite positions in one frame, um; either may be empty.
        sigma_um: standard deviation of each coordinate of both.
    """
    if not (len(xy) and len(others)):
        return np.zeros(len(xy), np.bool_)
    reach_um = _REACH_SIGMAS * math.sqrt(2) * sigma_um
    return np.asarray(cKDTree(others).query(xy)[0] <= reach_um)


def _area(defects: Points, run: Points) -> float:
    """Return the area over which things may lie: the bounding box of all, and of a few deviations at the least."""
    every = np.concatenate([defects.xy, run.xy])
    spread = float(np.sqrt(max(defects.covariance[:, 0, 0].max(), defects.covariance[:, 1, 1].max())))
    wide = np.maximum(np.ptp(every, axis=0), max(20 * spread, 1.0))
    return float(np.prod(wide))


def _join_one(xy: Array, covariance: Array, defects: Points, density: float) -> Joined:
    total = defects.covariance + covariance
    offsets = defects.xy - xy
    if np.linalg.det(total).min() <= 0:
        raise ValueError("a run and a defect are both placed without any uncertainty: give their standard deviations")
    squared = np.einsum("ni,nij,nj->n", offsets, np.linalg.inv(total), offsets)
    densities = np.exp(-squared / 2) / (2 * math.pi * np.sqrt(np.linalg.det(total)))
    densities[squared > _REACH_SIGMAS**2] = 0.0
    shares = densities / (densities.sum() + density)
    best = int(np.argmax(shares)) if densities.any() else int(np.argmin(squared))
    distance = float(np.hypot(*offsets[best]))
    chance = float(stats.chi2.sf(squared[best], 2))
    if not densities.any():
        return Joined(None, None, 0.0, distance, chance, f"no defect is near: the nearest is {distance:.3g} um away")
    if shares[best] < SURE:
        within = int((shares > 0.01).sum())
        reason = f"{within} defects may be meant, the likeliest with {shares[best]:.2f}"
        return Joined(None, None, float(shares[best]), distance, chance, reason)
    return Joined(best, "place", float(shares[best]), distance, chance, "")


def _chance(offset: Array, covariance: Array) -> float:
    if np.linalg.det(covariance) <= 0:
        return 1.0 if not offset.any() else 0.0
    return float(stats.chi2.sf(float(offset @ np.linalg.inv(covariance) @ offset), 2))

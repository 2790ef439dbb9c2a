"""Which defects of two inspections are the same defect: by where they lie and how well that is known.

Prior: a defect of the first inspection is found again by the second with probability ``found_again``; other defects of
the second lie anywhere, ``density`` to the square micrometre. Then a pair at the distance ``d`` with the sum ``S`` of
both covariances has the weight ``w = found_again N(d; 0, S) / ((1 - found_again) density)`` against none, and a
one-to-one assignment is as probable as the product of its pairs' weights.

The marginal probability of each pair is found by belief propagation (J. L. Williams and R. A. Lau, IEEE Trans. Aerosp.
Electron. Syst. 50, 2014), which converges and is exact where no two defects compete twice; the assignment that is given
is the most probable one (linear sum assignment on the logarithms).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from analysis.coordinates.affine import Points

Array = NDArray[np.float64]

FOUND_AGAIN = 0.8
GATE = 1e-6
"""Pairs farther apart than all but this part of true ones are not looked at."""
_ROUNDS = 2000
_SETTLED = 1e-9


class MatchingFailed(RuntimeError):  # noqa: N818
    """Belief propagation has not converged; with the covariances as they are it should have."""


@dataclass(frozen=True)
class Match:
    """A pair that may be one defect.

    Attributes:
        first, second: places in the two inspections.
        probability: that they are the same, all rivals weighed.
        distance_um: between the two.
        deviations: the same in standard deviations (Mahalanobis).
        assigned: whether it is in the most probable one-to-one assignment.
    """

    first: int
    second: int
    probability: float
    distance_um: float
    deviations: float
    assigned: bool


@dataclass(frozen=True)
class Matching:
    """What two inspections have in common.

    Attributes:
        matches: the likeliest first.
        first_alone: probability of each defect of the first that the second has none for it, ``(n,)``.
        second_alone: the same of the second, ``(m,)``.
        density: of unrelated defects that was used, per square micrometre.
    """

    matches: tuple[Match, ...]
    first_alone: Array
    second_alone: Array
    density: float


def match_defects(
    first: Points, second: Points, area_um2: float, *, found_again: float = FOUND_AGAIN, density: float | None = None
) -> Matching:
    """Return which of ``first`` are which of ``second``.

    Args:
        first, second: ``n`` and ``m`` defects in one frame, micrometres, with covariances; each needs an error.
        area_um2: that both inspections cover.
        found_again: probability that the second inspection finds a defect of the first.
        density: of defects in the second that are not in the first; taken as all of them if it is not given, which
            makes chance matches look likelier and so errs to the side of no match.

    Raises:
        ValueError: a defect has no error at all, or an argument cannot be.
        MatchingFailed: the probabilities did not settle.
    """
    if not 0 < found_again < 1:
        raise ValueError(f"the probability of finding a defect again is between 0 and 1, not {found_again}")
    if not (math.isfinite(area_um2) and area_um2 > 0):
        raise ValueError(f"the inspected area is positive, not {area_um2}")
    density = max(len(second.xy), 1) / area_um2 if density is None else density
    if not (math.isfinite(density) and density > 0):
        raise ValueError(f"the density of other defects is positive, not {density}")
    rows, columns, squared, logarithms = _gated(first, second)
    logarithms += math.log(found_again / (1 - found_again)) - math.log(density)
    shape = (len(first.xy), len(second.xy))
    probability = _marginals(rows, columns, logarithms, shape)
    chosen = _most_probable(rows, columns, logarithms, shape)
    away = np.linalg.norm(first.xy[rows] - second.xy[columns], axis=1)
    found = [
        Match(
            int(rows[k]), int(columns[k]), float(probability[k]), float(away[k]), math.sqrt(squared[k]), bool(chosen[k])
        )
        for k in np.lexsort((columns, rows, -probability))
    ]
    alone: list[Array] = [
        np.clip(1.0 - np.bincount(side, weights=probability, minlength=count), 0.0, 1.0).astype(np.float64)
        for side, count in ((rows, shape[0]), (columns, shape[1]))
    ]
    return Matching(tuple(found), alone[0], alone[1], density)


def _gated(first: Points, second: Points) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Return the pairs within the gate: places, squared Mahalanobis distance, log density of the difference."""
    bound = float(stats.chi2.isf(GATE, 2))
    widest = [float(np.linalg.eigvalsh(each.covariance)[:, -1].max(initial=0.0)) for each in (first, second)]
    reach = math.sqrt(bound * sum(widest))
    if len(first.xy) and len(second.xy):
        near = cKDTree(first.xy).query_ball_tree(cKDTree(second.xy), reach)
    else:
        near = [[] for _ in range(len(first.xy))]
    rows = np.repeat(np.arange(len(near)), [len(each) for each in near])
    columns = np.asarray([place for each in near for place in each], np.int64)
    covariance = first.covariance[rows] + second.covariance[columns]
    determinant = np.linalg.det(covariance)
    if (determinant <= 0).any():
        raise ValueError("two defects are both without an error in some direction: nothing tells same from near")
    difference = first.xy[rows] - second.xy[columns]
    squared = np.einsum("ki,kij,kj->k", difference, np.linalg.inv(covariance), difference)
    kept = squared <= bound
    logarithm = -0.5 * squared - math.log(2 * math.pi) - 0.5 * np.log(np.where(determinant > 0, determinant, 1.0))
    return rows[kept], columns[kept], squared[kept], logarithm[kept]


def _marginals(rows: NDArray[np.int64], columns: NDArray[np.int64], logarithms: Array, shape: tuple[int, int]) -> Array:
    """Return the probability of each pair by belief propagation between rows and columns."""
    weight = np.exp(np.minimum(logarithms, 600.0))
    back = np.ones(len(weight))
    for _ in range(_ROUNDS):
        incoming = weight * back
        total = np.bincount(rows, weights=incoming, minlength=shape[0])
        forth = weight / (1 + np.maximum(total[rows] - incoming, 0.0))
        total = np.bincount(columns, weights=forth, minlength=shape[1])
        new = 1 / (1 + np.maximum(total[columns] - forth, 0.0))
        settled = bool(np.all(np.abs(new - back) <= _SETTLED * (1 + np.abs(back))))
        back = new
        if settled:
            break
    else:
        raise MatchingFailed(f"the probabilities of {len(weight)} pairs have not settled after {_ROUNDS} rounds")
    incoming = weight * back
    total = np.bincount(rows, weights=incoming, minlength=shape[0])
    probability: Array = incoming / (1 + total[rows])
    return probability


def _most_probable(
    rows: NDArray[np.int64], columns: NDArray[np.int64], logarithms: Array, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which pairs are in the most probable assignment; those against the odds never are."""
    chosen = np.zeros(len(rows), np.bool_)
    useful = np.flatnonzero(logarithms > 0)
    graph = sparse.coo_matrix(
        (np.ones(len(useful)), (rows[useful], shape[0] + columns[useful])), shape=(sum(shape), sum(shape))
    )
    _, labels = connected_components(graph, directed=False)
    order = useful[np.argsort(labels[rows[useful]], kind="stable")]
    for group in np.split(order, np.flatnonzero(np.diff(labels[rows[order]])) + 1) if len(order) else []:
        here, there = np.unique(rows[group]), np.unique(columns[group])
        gain = np.zeros((len(here), len(there)))
        gain[np.searchsorted(here, rows[group]), np.searchsorted(there, columns[group])] = logarithms[group]
        best = set(zip(*(side.tolist() for side in linear_sum_assignment(gain, maximize=True)), strict=True))
        for pair in group:
            place = (int(np.searchsorted(here, rows[pair])), int(np.searchsorted(there, columns[pair])))
            chosen[pair] = place in best
    return chosen

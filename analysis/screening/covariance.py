"""Outliers of several tests together: parts whose readings are each usual and whose combination is not.

Centre and covariance are those of the part ``core`` of readings whose covariance has the smallest determinant (P. J.
Rousseeuw and K. Van Driessen, "A fast algorithm for the minimum covariance determinant estimator", Technometrics 41,
1999), then of all readings within the 97.5 % ellipsoid of those; so outliers do not hide themselves.

The squared distances of normal readings are chi-squared only for very many parts; with few, their tail is longer and a
chi-squared limit throws good parts out (J. Hardin and D. Rocke, J. Comput. Graph. Stat. 14, 2005). The estimate moves
with every change of axes, so the distances' distribution depends on the numbers of parts and tests alone: the factor
by which the chi-squared limit is stretched comes from simulated normal readings of the same numbers.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from scipy.stats import chi2

from analysis.screening.errors import Collinear, ScreeningError, TooFewParts

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CORE = 0.75
PARTS_FOR_TEST = 5
MOST_TESTS = 20
SIMULATIONS = 199
MOST_SIMULATED_PARTS = 400
_STARTS, _KEPT, _MOST_STEPS = 20, 3, 50
_WITHIN = 0.975
_SINGULAR = 1e-12


@dataclass(frozen=True)
class RobustDistances:
    """Distances of parts from the bulk of them.

    Attributes:
        squared: float64 ``(parts,)``, squared Mahalanobis distance; NaN where a reading is missing.
        outside: bool ``(parts,)``, beyond the limit.
        limit: of the squared distance.
        chi_squared_limit: what it would be for very many parts.
        stretch: their ratio, from simulated normal readings.
        centre: float64 ``(tests,)`` in the tests' units.
        covariance: float64 ``(tests, tests)``.
        parts: with all readings.
        false_alarm: chance that any part of a normal group lies outside.
    """

    squared: Floats
    outside: NDArray[np.bool_]
    limit: float
    chi_squared_limit: float
    stretch: float
    centre: Floats
    covariance: Floats
    parts: int
    false_alarm: float


def robust_distances(
    values: ArrayLike, false_alarm: float = 0.05, sigmas: float = 0.0, core: float = CORE
) -> RobustDistances:
    """Return how far parts lie from the bulk in all tests together.

    ``values`` are float64 ``(parts, tests)``, each column in its test's unit. The limit is crossed by some part of a
    normal group with a chance of ``false_alarm`` or less, and no part beyond it is more usual than a reading ``sigmas``
    standard deviations out is in one test. ``core`` is the part of the parts that centre and covariance start from.

    Raises:
        TooFewParts: fewer than five parts with all readings for each test, or 20.
        Collinear: a test follows from the others, or is constant for most parts.
        ScreeningError: fewer than two tests, more than 20, or a ``false_alarm`` or ``core`` out of range.
    """
    given = np.asarray(values, np.float64)
    if given.ndim != 2 or not 2 <= given.shape[1] <= MOST_TESTS:
        tests = given.shape[1] if given.ndim == 2 else given.ndim
        raise ScreeningError(f"tests are screened together in twos to {MOST_TESTS}s, not {tests}: name fewer")
    if not (1 / (SIMULATIONS + 1) <= false_alarm < 1 and 0.5 <= core <= 1):
        raise ScreeningError(f"a false alarm is 1/{SIMULATIONS + 1} to 1 and a core 0.5 to 1: {false_alarm}, {core}")
    whole = np.isfinite(given).all(axis=1)
    parts, tests = int(whole.sum()), given.shape[1]
    least = max(20, PARTS_FOR_TEST * tests)
    if parts < least:
        raise TooFewParts(parts, least, f"a covariance of {tests} tests")
    scaled, middle, scale = _scaled(given[whole])
    centre, covariance = (each[0] for each in minimum_determinant(scaled[None], core))
    squared = np.full(len(given), np.nan)
    squared[whole] = squared_distances(scaled, centre, covariance)
    tail = min(-math.expm1(math.log1p(-false_alarm) / parts), 2 * float(ndtr(-sigmas)))
    asymptotic = float(chi2.isf(tail, tests))
    stretch = finite_sample_stretch(_fewer(parts, tests), tests, false_alarm, core)
    limit = asymptotic * stretch
    return RobustDistances(
        squared, np.asarray(squared > limit, np.bool_), limit, asymptotic, stretch,
        middle + scale * centre, covariance * np.outer(scale, scale), parts, false_alarm,
    )  # fmt: skip


def _scaled(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return ``values`` in units of their spread about the median, which keeps determinants in range."""
    middle = np.median(values, axis=0)
    scale = np.median(np.abs(values - middle), axis=0)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise Collinear(values.shape[1], int((scale > 0).sum()))
    return (values - middle) / scale, middle, scale


def squared_distances(values: Floats, centre: Floats, covariance: Floats) -> Floats:
    """Return squared Mahalanobis distances of ``values`` ``(parts, tests)`` from ``centre`` ``(tests,)``.

    ``covariance`` is ``(tests, tests)``. Float64 ``(parts,)``.

    Raises:
        Collinear: it has no inverse in double precision.
    """
    size = np.sqrt(np.diag(covariance))
    if not (np.isfinite(size).all() and (size > 0).all()):
        raise Collinear(centre.size, int((size > 0).sum()))
    eigen, axes = np.linalg.eigh(covariance / np.outer(size, size))
    if eigen[0] < _SINGULAR * eigen[-1]:
        raise Collinear(centre.size, int((eigen >= _SINGULAR * eigen[-1]).sum()))
    along = ((values - centre) / size) @ (axes / np.sqrt(eigen))
    return np.asarray((along**2).sum(axis=1), np.float64)


def minimum_determinant(values: Floats, core: float = CORE) -> tuple[Floats, Floats]:
    """Return the reweighted centre and covariance of each of several groups of readings.

    ``values`` are float64 ``(groups, parts, tests)``; the results ``(groups, tests)`` and ``(groups, tests, tests)``.
    ``core`` is the part of the parts with the smallest determinant. Always the same for the same readings: searches
    start from subsets drawn with a fixed seed.

    Raises:
        Collinear: that part of some group lies on a plane.
    """
    groups, parts, tests = values.shape
    size = min(parts, max(math.ceil(core * parts), (parts + tests + 1) // 2))
    numbers = np.random.default_rng(0)
    begun = []
    for _ in range(_STARTS):
        drawn = numbers.choice(parts, min(parts, 2 * (tests + 1)), replace=False)
        members: Integers = np.broadcast_to(drawn, (groups, drawn.size))
        for _ in range(2):
            members = _closest(values, members, size)
        begun.append(members)
    logarithms = np.stack([_log_determinant(values, members) for members in begun])
    best = np.full(groups, np.inf)
    chosen: Integers = np.zeros((groups, size), np.int64)
    for order in np.argsort(logarithms, axis=0, kind="stable")[:_KEPT]:
        started = np.stack(begun)[order, np.arange(groups)]
        now, members = _converge(values, started, size)
        better = now < best
        best, chosen = np.where(better, now, best), np.where(better[:, None], members, chosen)
    for group in np.flatnonzero(~np.isfinite(best)):
        core_values = values[group, chosen[group]]
        raise Collinear(tests, int(np.linalg.matrix_rank(core_values - core_values.mean(axis=0))))
    centre, covariance = _moments(values, _weights(chosen, parts), size / parts)
    reach = float(chi2.ppf(_WITHIN, tests))
    near = np.stack([squared_distances(*each) <= reach for each in zip(values, centre, covariance, strict=True)])
    return _moments(values, near.astype(np.float64), _WITHIN)


def _weights(members: Integers, parts: int) -> Floats:
    weights = np.zeros((len(members), parts))
    np.put_along_axis(weights, members, 1.0, axis=1)
    return weights


def _moments(values: Floats, weights: Floats, part: float = 1.0) -> tuple[Floats, Floats]:
    """Mean and covariance of weighted readings: the innermost ``part`` of normal ones, made consistent for all."""
    tests = values.shape[-1]
    factor = part / float(chi2.cdf(chi2.ppf(part, tests), tests + 2)) if part < 1 else 1.0
    count = weights.sum(axis=1)
    centre = (weights[:, None] @ values)[:, 0] / count[:, None]
    away = (values - centre[:, None]) * weights[..., None]
    return centre, factor * (away.swapaxes(1, 2) @ away) / (count[:, None, None] - 1)


def _closest(values: Floats, members: Integers, size: int) -> Integers:
    """One concentration step of each group: the ``size`` readings closest to the moments of its ``members``."""
    centre, covariance = _moments(values, _weights(members, values.shape[1]))
    away = values - centre[:, None]
    # A ridge far below the readings' scale of 1 lets a flat start move on; it does not reach the result.
    inverse = np.linalg.inv(covariance + 1e-9 * np.eye(values.shape[2]))
    return np.asarray(np.argpartition(((away @ inverse) * away).sum(axis=2), size - 1, axis=1)[:, :size], np.int64)


def _log_determinant(values: Floats, members: Integers) -> Floats:
    _, covariance = _moments(values, _weights(members, values.shape[1]))
    sign, logarithm = np.linalg.slogdet(covariance)
    return np.asarray(np.where(sign > 0, logarithm, -np.inf), np.float64)


def _converge(values: Floats, members: Integers, size: int) -> tuple[Floats, Integers]:
    now = _log_determinant(values, members)
    for _ in range(_MOST_STEPS):
        members = _closest(values, members, size)
        before, now = now, _log_determinant(values, members)
        if not (now < before - 1e-12).any():
            break
    return now, members


def _fewer(parts: int, tests: int) -> int:
    """Round down to two digits: groups share simulations, and fewer parts stretch the limit rather more."""
    used = min(parts, MOST_SIMULATED_PARTS)
    digits: int = 10 ** max(0, len(str(used)) - 2)
    return max(used // digits * digits, PARTS_FOR_TEST * tests, 20)


@lru_cache(maxsize=256)
def finite_sample_stretch(parts: int, tests: int, false_alarm: float = 0.05, core: float = CORE) -> float:
    """Return by what the chi-squared limit is to be stretched for ``parts`` parts and ``tests`` tests, at least 1.

    The largest squared distance of each of 199 simulated normal groups is compared with its chi-squared limit at
    ``false_alarm``; ``core`` as in :func:`robust_distances`.
    """
    numbers = np.random.default_rng(1)
    drawn = numbers.standard_normal((SIMULATIONS, parts, tests))
    groups = zip(drawn, *minimum_determinant(drawn, core), strict=True)
    largest = [float(squared_distances(*group).max()) for group in groups]
    limit = float(chi2.isf(-math.expm1(math.log1p(-false_alarm) / parts), tests))
    rank = math.ceil((SIMULATIONS + 1) * (1 - false_alarm))
    return max(1.0, sorted(largest)[min(rank, SIMULATIONS) - 1] / limit)

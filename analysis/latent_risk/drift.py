"""Whether units still look like those a model was learned from, and whether its probabilities still come true.

Population stability index over the reference's deciles, missing values as a bin of their own. Its size alone says
nothing when units are few: against chance it is, scaled by both counts, chi-squared with one degree of freedom less
than bins (Yurdakul, "Statistical properties of population stability index", 2018), adjusted for the number of features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.anomaly.thresholds import false_discovery_adjusted
from analysis.latent_risk.evidence import Flags, Floats

SHIFTING, DRIFTED = 0.1, 0.25
"""Usual limits of the index: below the first stable, above the second another population."""

LEAST_BY_CHANCE = 0.01
BINS = 10
LEAST_UNITS = 20
_HALF = 0.5


@dataclass(frozen=True)
class ReferenceBins:
    """What values looked like: inner edges (float64, rising) and how many fell between them, missing ones last."""

    edges: Floats
    counts: Floats


def make_reference(values: Floats) -> ReferenceBins:
    """Return the deciles of ``values`` (float64 ``(units,)``, missing NaN) and the counts between them.

    Where the least value is a decile itself, what lies below it has a bin of its own, as what lies above the largest.
    """
    known = values[np.isfinite(values)]
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = np.unique(np.quantile(known, inner)) if known.size else np.zeros(0)
    if edges.size and edges[0] <= known.min():
        edges = np.concatenate([[np.nextafter(known.min(), -np.inf)], edges])
    return ReferenceBins(edges, count_bins(values, edges))


def count_bins(values: Floats, edges: Floats) -> Floats:
    """Return how many of ``values`` (float64 ``(units,)``) fall between rising ``edges``: float64 ``(edges + 2,)``."""
    known = np.isfinite(values)
    inside = np.bincount(np.searchsorted(edges, values[known], "left"), minlength=edges.size + 1)
    return np.append(inside, (~known).sum()).astype(np.float64)


@dataclass(frozen=True)
class Stability:
    """The index of one feature or score, the probability of as much by chance (adjusted), and what it means."""

    name: str
    index: float
    by_chance: float
    verdict: str


def judge_stability(references: Mapping[str, ReferenceBins], values: Mapping[str, Floats]) -> list[Stability]:
    """Compare ``values`` (float64 ``(units,)`` by name) with ``references`` by name; the most changed first."""
    names = [name for name in references if name in values]
    found = [_index(references[name], values[name]) for name in names]
    chance = false_discovery_adjusted(np.asarray([each[1] for each in found], np.float64))
    judged = [
        Stability(name, index, float(part), _verdict(index, float(part), values[name].size))
        for name, (index, _), part in zip(names, found, chance, strict=True)
    ]
    return sorted(judged, key=lambda each: (-each.index, each.name))


def _index(reference: ReferenceBins, values: Floats) -> tuple[float, float]:
    counts = count_bins(values, reference.edges)
    used = (reference.counts + counts) > 0
    before, now = reference.counts[used] + _HALF, counts[used] + _HALF
    before, now = before / before.sum(), now / now.sum()
    index = float(((now - before) * np.log(now / before)).sum())
    known, asked = reference.counts.sum(), counts.sum()
    scale = known * asked / (known + asked) if asked and known else 0.0
    return index, float(stats.chi2.sf(index * scale, max(int(used.sum()) - 1, 1)))


def _verdict(index: float, by_chance: float, count: int) -> str:
    if count < LEAST_UNITS:
        return "too few units"
    if by_chance > LEAST_BY_CHANCE or index < SHIFTING:
        return "stable"
    return "drifted" if index >= DRIFTED else "shifting"


@dataclass(frozen=True)
class CalibrationPeriod:
    """Units of one stretch of time: how many there were, failures that were said, failures seen, by chance."""

    from_s: float
    to_s: float
    units: int
    expected: float
    seen: int
    p_value: float


def follow_calibration(time_s: Floats, probability: Floats, failed: Flags, periods: int = 6) -> list[CalibrationPeriod]:
    """Return said and seen failures in ``periods`` stretches of equally many units, in the order of time.

    ``time_s`` (seconds), ``probability`` (0..1) and ``failed`` have shape ``(units,)``. The p-values are those
    of :func:`failures_p_value`.
    """
    order = np.argsort(time_s, kind="stable")
    return [
        CalibrationPeriod(
            float(time_s[rows[0]]),
            float(time_s[rows[-1]]),
            rows.size,
            float(probability[rows].sum()),
            int(failed[rows].sum()),
            failures_p_value(probability[rows], int(failed[rows].sum())),
        )
        for rows in np.array_split(order, periods)
        if rows.size
    ]


_MOST_CONVOLVED = 2000


def failures_p_value(probability: Floats, failed: int) -> float:
    """Return the two-sided probability of a number of failures as improbable as ``failed``.

    ``probability`` of each unit, float64 ``(units,)``, is taken as right and independent. Exact for up to 2000 units
    (Poisson binomial, by convolution), beyond that by the normal distribution.
    """
    expected = float(probability.sum())
    if probability.size > _MOST_CONVOLVED:
        spread = float(np.sqrt((probability * (1 - probability)).sum()))
        return float(min(1.0, 2 * stats.norm.sf((abs(failed - expected) - _HALF) / spread))) if spread else 1.0
    mass = np.ones(1)
    for part in probability:
        mass = np.convolve(mass, [1 - part, part])
    below, above = mass[: failed + 1].sum(), mass[failed:].sum()
    return float(min(1.0, 2 * min(below, above)))

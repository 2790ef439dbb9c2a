"""How good probabilities are: ranking, scores, calibration and sets, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from analysis.anomaly.thresholds import rate_interval
from analysis.latent_risk.evidence import Flags, Floats

LEVEL = 0.95
BINS = 10
DRAWS = 1000
_AT_THE_END = 1e-12
_COVERAGE_DRAWS = 4000


def log_losses(probability: Floats, failed: Flags) -> Floats:
    """Return the logarithmic score of each unit, nats, float64 ``(units,)``: smaller is better.

    ``probability`` of failing is float64 ``(units,)`` in 0..1, ``failed`` bool ``(units,)``.
    """
    with np.errstate(divide="ignore"):
        return -np.where(failed, np.log(probability), np.log1p(-probability))


def area_under_roc(scores: Floats, failed: Flags) -> float:
    """Return the probability that a failed unit scores above a surviving one, ties half; NaN with one class only.

    ``scores`` is float64 ``(units,)``, ``failed`` bool ``(units,)``.
    """
    positive = int(failed.sum())
    negative = failed.size - positive
    if not positive or not negative:
        return float("nan")
    ranks = float(stats.rankdata(scores)[failed].sum())
    return (ranks - positive * (positive + 1) / 2) / (positive * negative)


def area_interval(area: float, failed: int, survived: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of ``area`` at ``level`` for ``failed`` and ``survived`` units.

    Method 5 of Newcombe (Statistics in Medicine 25, 2006, part 2): all areas that the one seen does not contradict; it
    has a width at an area of 1, where those by variance have none.
    """
    if not failed or not survived or not np.isfinite(area):
        return 0.0, 1.0
    z = float(stats.norm.ppf((1 + level) / 2))
    half = (failed + survived) / 2 - 1

    def excess(true: float) -> float:
        spread = (1 - true) / (2 - true) + true / (1 + true)
        variance = true * (1 - true) / (failed * survived) * (1 + half * spread)
        return (area - true) ** 2 - z * z * variance

    # At an area of 0 or 1 the equation holds there too; the other root is meant.
    inner = min(max(area, _AT_THE_END), 1 - _AT_THE_END)
    low = float(optimize.brentq(excess, 0.0, inner)) if area > 0 else 0.0
    high = float(optimize.brentq(excess, inner, 1.0)) if area < 1 else 1.0
    return low, high


@dataclass(frozen=True)
class CalibrationBin:
    """Units with like probabilities: their mean probability, how many there are and how many failed, 95 % interval."""

    probability: float
    count: int
    failed: int
    interval: tuple[float, float]


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities mean what they say.

    Attributes:
        error: expected calibration error: mean distance of said and seen, weighed by units, over bins of equally many.
        error_by_chance: what it would be on average if every probability were exactly right; read ``error`` against it.
        expected, seen: failures that were said, and that there were.
        p_value: of so different a number of failures if the probabilities were right (normal approximation).
        slope: of the outcome's log odds on the said ones; 1 is right, below 1 is too sure; NaN where it is not told.
        bins: said against seen.
    """

    error: float
    error_by_chance: float
    expected: float
    seen: int
    p_value: float
    slope: float
    bins: tuple[CalibrationBin, ...]


def judge_calibration(probability: Floats, failed: Flags, seed: int = 0) -> Calibration:
    """Compare ``probability`` (float64 ``(units,)``) with ``failed`` (bool ``(units,)``); ``seed`` draws chance."""
    order = np.argsort(probability, kind="stable")
    groups = [rows for rows in np.array_split(order, BINS) if rows.size]
    generator = np.random.default_rng(seed)
    by_chance = [
        _error(probability, generator.uniform(size=failed.size) < probability, groups) for _ in range(DRAWS // 5)
    ]
    expected, variance = float(probability.sum()), float((probability * (1 - probability)).sum())
    p_value = float(2 * stats.norm.sf(abs(failed.sum() - expected) / np.sqrt(variance))) if variance > 0 else 1.0
    bins = tuple(
        CalibrationBin(
            float(probability[rows].mean()),
            rows.size,
            int(failed[rows].sum()),
            rate_interval(int(failed[rows].sum()), rows.size),
        )
        for rows in groups
    )
    error = _error(probability, failed, groups)
    slope = calibration_slope(probability, failed)
    return Calibration(error, float(np.mean(by_chance)), expected, int(failed.sum()), p_value, slope, bins)


def _error(probability: Floats, failed: Flags, groups: list[np.ndarray]) -> float:
    apart = [rows.size * abs(float(probability[rows].mean()) - float(failed[rows].mean())) for rows in groups]
    return sum(apart) / max(failed.size, 1)


def calibration_slope(probability: Floats, failed: Flags) -> float:
    """Return the slope of a logistic regression of ``failed`` (bool ``(units,)``) on the log odds of ``probability``.

    ``probability`` is float64 ``(units,)``. NaN where a class is missing or the classes lie apart: there is none.
    """
    if failed.all() or not failed.any():
        return float("nan")
    odds = special.logit(np.clip(probability, 1e-12, 1 - 1e-12))
    if odds[failed].min() > odds[~failed].max() or np.ptp(odds) == 0:
        return float("nan")
    sign = np.where(failed, 1.0, -1.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        margin = sign * (parameters[0] + parameters[1] * odds)
        slope = -sign * special.expit(-margin)
        return float(-special.log_expit(margin).sum()), np.asarray([slope.sum(), slope @ odds])

    return float(optimize.minimize(loss, np.asarray([0.0, 1.0]), jac=True, method="BFGS").x[1])


def difference_interval(first: Floats, second: Floats, failed: Flags, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean of ``first - second`` (float64 ``(units,)``) by a bootstrap within classes.

    ``failed`` (bool ``(units,)``) tells the classes, whose sizes stay as they are; ``seed`` draws.
    """
    apart = first - second
    generator = np.random.default_rng(seed)
    total = np.zeros(DRAWS)
    for rows in (apart[failed], apart[~failed]):
        if rows.size:
            total += generator.choice(rows, (DRAWS, rows.size)).sum(axis=1) if rows.size < 4096 else _normal_sum(
                rows, generator
            )  # fmt: skip
    low, high = np.quantile(total / max(apart.size, 1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _normal_sum(rows: Floats, generator: np.random.Generator) -> Floats:
    """Draw sums of many rows: they are normal."""
    return np.asarray(generator.normal(rows.sum(), rows.std() * np.sqrt(rows.size), DRAWS), np.float64)


def caught_part(probability: Floats, failed: Flags, part: float) -> float:
    """Return the part of failing units among the ``part`` (0..1) of units that are most suspected; ties by order.

    ``probability`` is float64 ``(units,)``, ``failed`` bool ``(units,)``; NaN where none failed.
    """
    if not failed.any():
        return float("nan")
    count = int(np.ceil(part * failed.size))
    worst = np.argsort(-probability, kind="stable")[:count]
    return float(failed[worst].sum() / failed.sum())


def coverage_by_chance(groups: Sequence[tuple[int, int]], alpha: float) -> tuple[float, float]:
    """Return where 95 % of the parts of units lie that conformal sets hold, if known and asked units are alike.

    ``groups`` are known examples and units asked of them. The part that a threshold among ``n`` examples holds is
    beta distributed (Vovk, "Conditional validity of inductive conformal predictors", ACML 2012), the units held of it
    binomially. Groups that share examples go up and down together, so that all are taken to. ``alpha`` is in 0..1.
    """
    total = sum(asked for _, asked in groups)
    if not total:
        return 0.0, 1.0
    generator = np.random.default_rng(0)
    place = (np.arange(_COVERAGE_DRAWS) + 0.5) / _COVERAGE_DRAWS
    held = np.zeros(_COVERAGE_DRAWS)
    for known, asked in groups:
        beyond = int(np.floor(alpha * (known + 1) + 1e-9))
        part = stats.beta.ppf(place, known + 1 - beyond, beyond) if beyond else np.ones(_COVERAGE_DRAWS)
        held += generator.binomial(asked, part)
    low, high = np.quantile(held / total, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

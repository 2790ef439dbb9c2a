"""Thresholds that keep what they promise: class-conditional conformal p-values, and control of false discoveries.

A conformal p-value compares a score with those of calibration examples that the model was not learned from. If they
are exchangeable with the new one, a threshold at ``alpha`` gives false alarms in at most a part ``alpha`` of the cases,
whatever the score (Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005). Kept apart by class
("Mondrian", chapter 4.5 there) the promise holds in every class, rare ones too. The coverage that a given calibration
set will have is beta distributed (Vovk, "Conditional validity of inductive conformal predictors", ACML 2012), which
gives its interval here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats


class CalibrationError(ValueError):
    """A threshold cannot be given; the message says how many calibration examples it would need."""


@dataclass(frozen=True)
class Threshold:
    """A threshold and the false-alarm rate that it will really have.

    Attributes:
        value: scores above it are alarms, in the score's unit.
        alpha: the promised rate, 0..1.
        expected_rate: mean of the rate over calibration sets of this size.
        rate_interval: 95 % interval of the rate of this calibration set.
        count: calibration examples.
    """

    value: float
    alpha: float
    expected_rate: float
    rate_interval: tuple[float, float]
    count: int


def conformal_threshold(calibration: NDArray[np.float64], alpha: float) -> Threshold:
    """Return the threshold with false alarms in at most a part ``alpha`` (0..1) of the normal cases.

    ``calibration`` is float64 of shape ``(n,)``: scores of normal cases that the model was not learned from; higher is
    stranger. It is the ``ceil((n + 1) (1 - alpha))``-th smallest of them.

    Raises:
        CalibrationError: ``n < 1 / alpha - 1``, or a score is not finite.
    """
    _check(calibration, alpha)
    count = calibration.size
    rank = int(np.ceil((count + 1) * (1 - alpha) - 1e-9))
    if rank > count:
        needed = int(np.ceil(1 / alpha - 1e-9)) - 1
        raise CalibrationError(f"{count} normal examples cannot promise {alpha:.3g} false alarms; {needed} are needed")
    above = count + 1 - rank
    low, high = (float(special.betaincinv(above, rank, part)) for part in (0.025, 0.975))
    value = float(np.partition(calibration, rank - 1)[rank - 1])
    return Threshold(value, alpha, above / (count + 1), (low, high), count)


def conformal_p_values(
    scores: NDArray[np.float64], calibration: NDArray[np.float64], ties: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the p-value of each of ``scores``: float64 of shape ``(n,)``, small for those above ``calibration``.

    ``calibration`` is float64 of shape ``(m,)``, scores of the class that is tested. Equal scores count as above, which
    is on the safe side; with ``ties``, uniform random numbers of shape ``(n,)``, as that part of them, which makes
    p-values exactly uniform.

    Raises:
        CalibrationError: there is no calibration score, or one is not finite.
    """
    _check(calibration, 0.5)
    ordered = np.sort(calibration)
    above = ordered.size - np.searchsorted(ordered, scores, "right")
    equal = ordered.size - np.searchsorted(ordered, scores, "left") - above
    part = np.ones(scores.shape) if ties is None else ties
    return np.asarray((above + part * (equal + 1)) / (ordered.size + 1), np.float64)


def prediction_sets(
    scores: Mapping[str, NDArray[np.float64]],
    calibration: Mapping[str, NDArray[np.float64]],
    alpha: float,
    generator: np.random.Generator,
) -> dict[str, NDArray[np.bool_]]:
    """Return by class which cases may belong to it: bool of shape ``(n,)``; each class errs in a part ``alpha``.

    ``scores`` has by class how badly each case fits it, float64 of shape ``(n,)``; ``calibration`` the same of examples
    of that class. ``generator`` breaks ties. A case may belong to several classes, or to none.

    Raises:
        CalibrationError: a class has too few examples for ``alpha``.
    """
    sets = {}
    for name, values in scores.items():
        known = calibration[name]
        if known.size < np.ceil(1 / alpha - 1e-9) - 1:
            needed = int(np.ceil(1 / alpha - 1e-9)) - 1
            raise CalibrationError(
                f"class {name}: {known.size} examples cannot promise {alpha:.3g} errors; {needed} are needed"
            )
        sets[name] = conformal_p_values(values, known, generator.uniform(size=values.shape)) > alpha
    return sets


def false_discovery_adjusted(p_values: NDArray[np.float64], *, any_dependence: bool = False) -> NDArray[np.float64]:
    """Return the adjusted p-values of Benjamini and Hochberg (JRSS B 57, 1995): float64, the shape of ``p_values``.

    Taking all that are at most ``q`` keeps the expected part of false ones among them at ``q`` or below, for
    independent or positively dependent tests; with ``any_dependence`` for any, at a price of ``log n`` (Benjamini and
    Yekutieli, Annals of Statistics 29, 2001). A NaN is no test and stays NaN.

    Raises:
        ValueError: a p-value lies outside 0..1.
    """
    flat = np.asarray(p_values, np.float64).ravel()
    tested = np.flatnonzero(np.isfinite(flat))
    if tested.size < flat.size and np.isinf(flat).any():
        raise ValueError("a p-value is infinite")
    values = flat[tested]
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError("a p-value lies outside 0..1")
    order = np.argsort(values, kind="stable")
    count = values.size
    penalty = float(np.sum(1 / np.arange(1, count + 1))) if any_dependence else 1.0
    stepped = values[order] * count * penalty / np.arange(1, count + 1)
    adjusted = np.full(flat.shape, np.nan)
    adjusted[tested[order]] = np.minimum(1.0, np.minimum.accumulate(stepped[::-1])[::-1])
    return adjusted.reshape(np.shape(p_values))


def rate_interval(alarms: int, count: int) -> tuple[float, float]:
    """Return the exact 95 % interval (Clopper-Pearson) of a rate seen as ``alarms`` among ``count`` cases."""
    low = float(stats.beta.ppf(0.025, alarms, count - alarms + 1)) if alarms else 0.0
    high = float(stats.beta.ppf(0.975, alarms + 1, count - alarms)) if alarms < count else 1.0
    return low, high


def _check(calibration: NDArray[np.float64], alpha: float) -> None:
    if not 0 < alpha < 1:
        raise CalibrationError(f"a part of false alarms lies between 0 and 1, not at {alpha}")
    if not calibration.size:
        raise CalibrationError("there is no calibration example")
    if not np.isfinite(calibration).all():
        raise CalibrationError("a calibration score is not finite")

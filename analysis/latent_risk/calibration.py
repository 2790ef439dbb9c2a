"""From log odds to probabilities that mean what they say: identity, Platt, beta or isotonic, chosen by later data.

Platt ("Probabilistic outputs for support vector machines", 1999, with his targets for small samples), beta calibration
(Kull, Silva Filho, Flach, AISTATS 2017) and isotonic regression (Zadrozny, Elkan, KDD 2002). The interval of a
probability is that of a Venn-Abers predictor (Vovk, Petej, UAI 2014): isotonic regressions with the unit itself taken
as surviving and as failed; with few failures it is wide, as it should be.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import optimize, special

from analysis.latent_risk.evidence import Flags, Floats
from analysis.latent_risk.measures import log_losses

METHODS = ("identity", "platt", "beta", "isotonic")
LEAST_FOR_ISOTONIC = 50
"""Failures and survivors below which steps would be noise."""


@dataclass(frozen=True)
class Calibrator:
    """A monotone map of log odds to probability.

    Attributes:
        method: one of :data:`METHODS`.
        parameters: float64: ``(slope, intercept)`` of Platt, ``(a, b, c)`` of beta.
        knots: float64 ``(2, steps)`` of isotonic: log odds, probabilities.
        limit: no probability below it or above one minus it: so many units were calibrated on (rule of succession).
    """

    method: str
    parameters: Floats = field(default_factory=lambda: np.zeros(0))
    knots: Floats = field(default_factory=lambda: np.zeros((2, 0)))
    limit: float = 0.0

    def apply(self, odds: Floats) -> Floats:
        """Return the probability of failing, float64 ``(units,)``, for the log ``odds``, float64 ``(units,)``."""
        if self.method == "identity":
            found = special.expit(odds)
        elif self.method == "platt":
            found = special.expit(self.parameters[0] * odds + self.parameters[1])
        elif self.method == "beta":
            found = special.expit(_beta_features(odds) @ self.parameters[:2] + self.parameters[2])
        elif self.method == "isotonic":
            found = np.interp(odds, self.knots[0], self.knots[1])
        else:
            raise ValueError(f"there is no calibration {self.method!r}")
        return np.asarray(np.clip(found, self.limit, 1 - self.limit), np.float64)


def _beta_features(odds: Floats) -> Floats:
    """``ln s`` and ``-ln(1 - s)`` of ``s = expit(odds)``."""
    return np.stack([special.log_expit(odds), -special.log_expit(-odds)], axis=1)


def fit_calibrator(method: str, odds: Floats, failed: Flags) -> Calibrator:
    """Return the calibration of ``odds`` (float64 ``(units,)``) by ``method``; ``failed`` is bool ``(units,)``."""
    limit = 1 / (failed.size + 2)
    if method == "identity":
        return Calibrator(method, limit=limit)
    positive, negative = int(failed.sum()), int((~failed).sum())
    target = np.where(failed, (positive + 1) / (positive + 2), 1 / (negative + 2))
    if method == "platt":
        return Calibrator(method, _fit_monotone(odds[:, None], target), limit=limit)
    if method == "beta":
        return Calibrator(method, _fit_monotone(_beta_features(odds), target), limit=limit)
    order = np.argsort(odds, kind="stable")
    found = optimize.isotonic_regression(failed[order].astype(np.float64))
    starts = found.blocks[:-1]
    counts = np.diff(found.blocks)
    middle = np.add.reduceat(odds[order], starts) / counts
    # Half a unit either way: a step without a failure is not a probability of nothing.
    level = (np.add.reduceat(failed[order], starts) + 0.5) / (counts + 1)
    return Calibrator(method, knots=np.stack([middle, np.maximum.accumulate(level)]), limit=limit)


def _fit_monotone(features: Floats, target: Floats) -> Floats:
    """Logistic regression on ``features`` (units, k) of ``target`` in 0..1, slopes not negative, intercept last."""
    count = features.shape[1]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        odds = features @ parameters[:count] + parameters[count]
        apart = special.expit(odds) - target
        value = -(target * special.log_expit(odds) + (1 - target) * special.log_expit(-odds)).sum()
        return float(value), np.concatenate([features.T @ apart, [apart.sum()]])

    start = np.concatenate([np.ones(count), [0.0]])
    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[*([(1e-6, None)] * count), (None, None)]
    )
    return np.asarray(found.x, np.float64)


@dataclass(frozen=True)
class CalibratorChoice:
    """The calibrator, and the log score (nats) of each method on units later than those it was fitted to."""

    calibrator: Calibrator
    scores: dict[str, float]
    reason: str


def choose_calibrator(odds: Floats, failed: Flags) -> CalibratorChoice:
    """Choose by the later half of ``odds`` (float64 ``(units,)``, in the order of time), then fit to all of them.

    A method counts as better than a simpler one when its mean log score is lower by more than the standard error of the
    difference. ``failed`` is bool ``(units,)`` and must have both classes.
    """
    half = odds.size // 2
    early, late = failed[:half], failed[half:]
    if min(early.sum(), (~early).sum(), late.sum(), (~late).sum()) < 5:
        reason = "too few failures to compare calibrations: Platt's"
        return CalibratorChoice(fit_calibrator("platt", odds, failed), {}, reason)
    allowed = METHODS if min(early.sum(), (~early).sum()) >= LEAST_FOR_ISOTONIC else METHODS[:3]
    losses = {name: log_losses(fit_calibrator(name, odds[:half], early).apply(odds[half:]), late) for name in allowed}
    best = allowed[0]
    for name in allowed[1:]:
        gain = losses[best] - losses[name]
        if gain.mean() > gain.std() / np.sqrt(gain.size):
            best = name
    left_out = "" if len(allowed) == len(METHODS) else f"; isotonic needs {LEAST_FOR_ISOTONIC} of each class"
    reason = f"best log score on the later half of held-out units, simpler ones first{left_out}"
    scores = {name: float(each.mean()) for name, each in losses.items()}
    return CalibratorChoice(fit_calibrator(best, odds, failed), scores, reason)


def venn_abers(odds: Floats, known_odds: Floats, failed: Flags) -> tuple[Floats, Floats]:
    """Return the two probabilities of an inductive Venn-Abers predictor, low and high: float64 ``(units,)`` each.

    ``odds`` are asked, float64 ``(units,)``; ``known_odds`` with ``failed`` (float64, bool ``(known,)``) are held out.
    """
    knots, place_of = np.unique(known_odds, return_inverse=True)
    weight = np.bincount(place_of).astype(np.float64)
    level = np.bincount(place_of, weights=failed) / weight
    places = np.searchsorted(knots, odds, "left")
    tied = (places < knots.size) & (knots[np.minimum(places, knots.size - 1)] == odds)
    low, high = np.zeros(odds.size), np.zeros(odds.size)
    for key in np.unique(2 * places + tied):
        rows, at = 2 * places + tied == key, key // 2
        for answer, made in ((0.0, low), (1.0, high)):
            levels, weights = level, weight
            if key % 2:
                levels, weights = level.copy(), weight.copy()
                levels[at] = (level[at] * weight[at] + answer) / (weight[at] + 1)
                weights[at] += 1
            else:
                levels, weights = np.insert(level, at, answer), np.insert(weight, at, 1.0)
            made[rows] = optimize.isotonic_regression(levels, weights=weights).x[at]
    return low, high

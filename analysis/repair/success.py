"""How probably a repair holds, by tool and recipe: partial pooling beside the raw rate, and which of them ships.

Each group's success is binomial, its rate from a beta distribution that all groups share (A. Gelman et al., Bayesian
Data Analysis, 2013, ch. 5.3); mean and concentration of that are integrated on a grid. Every model is judged by what it
would have said of each run from the runs before it (A. P. Dawid, J. R. Stat. Soc. A 147, 278, 1984): by the logarithmic
score and by Brier's. The pooled model ships only when it beats both simple rates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, expit, logsumexp
from scipy.stats import beta, norm

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
MODELS = ("pooled", "raw-rate", "overall-rate")
FEWEST_JUDGED = 20
_LOGITS, _LOGS = (-7.0, 7.0), (math.log(0.3), math.log(1000.0))
"""Limits of the shared distribution's mean, as a logit, and of its concentration, as a logarithm."""
_REACH = 5.5
_MOST_FITS = 100
_BINS = 5


@dataclass(frozen=True)
class Rate:
    """A probability of success.

    Attributes:
        probability: expected.
        low, high: 95 %, central.
        successes, runs: what it rests on.
    """

    probability: float
    low: float
    high: float
    successes: int
    runs: int


@dataclass(frozen=True)
class Score:
    """How a model's predictions did.

    Attributes:
        log_score: mean of minus the logarithm of the probability of what happened; less is better.
        brier: mean squared difference; less is better.
    """

    log_score: float
    brier: float


@dataclass(frozen=True)
class Judged:
    """The models beside each other on runs that they had not seen.

    Attributes:
        scores: by model.
        judged: how many runs were predicted.
        ships: the model that is used.
        reason: why.
        difference: log score of the better simple rate less that of the pooled model, with its standard error.
        calibration: of the shipped model's predictions in bins: (mean predicted, part that succeeded, runs).
        p_calibrated: Spiegelhalter's test of the shipped model, two-sided; ``None`` when nothing was judged.
    """

    scores: dict[str, Score]
    judged: int
    ships: str
    reason: str
    difference: tuple[float, float] | None
    calibration: tuple[tuple[float, float, int], ...]
    p_calibrated: float | None


def pool_rates(successes: Integers, runs: Integers) -> list[Rate]:
    """Return each group's rate with what the groups share.

    Args:
        successes, runs: int64 ``(g,)``, by group; a group without runs gets what a new one would.

    Raises:
        ValueError: there is no group, or more successes than runs.
    """
    _check(successes, runs)
    weights, mean, concentration = _grid(successes, runs)
    above = successes[:, None] + mean * concentration
    below = runs[:, None] - successes[:, None] + (1 - mean) * concentration
    found = []
    for index in range(successes.size):
        expected = float(weights @ (above[index] / (above[index] + below[index])))
        low, high = (_quantile(weights, above[index], below[index], part) for part in (0.025, 0.975))
        found.append(Rate(expected, low, high, int(successes[index]), int(runs[index])))
    return found


def raw_rate(successes: int, runs: int) -> Rate:
    """Return the rate of ``successes`` in ``runs`` by itself: half a success and half a failure added (Jeffreys)."""
    _check(np.array([successes]), np.array([runs]))
    low, high = beta.ppf([0.025, 0.975], successes + 0.5, runs - successes + 0.5)
    return Rate((successes + 0.5) / (runs + 1), float(low), float(high), successes, runs)


def _check(successes: Integers, runs: Integers) -> None:
    if not successes.size:
        raise ValueError("there is no group of runs")
    if (successes < 0).any() or (successes > runs).any():
        raise ValueError("successes are between none and all of the runs")


def _grid(successes: Integers, runs: Integers) -> tuple[Array, Array, Array]:
    """Return weights of the shared beta distributions and their means and concentrations, all ``(k,)``.

    A coarse grid over all there can be finds where the posterior is, a finer one is laid there.
    """
    seen = runs > 0
    good, bad = successes[seen, None], (runs - successes)[seen, None]
    logits, logs = np.linspace(*_LOGITS, 29), np.linspace(*_LOGS, 15)
    weights = _weigh(good, bad, logits, logs)
    logits = _closer(logits, weights.sum(axis=1), _LOGITS, 33)
    logs = _closer(logs, weights.sum(axis=0), _LOGS, 21)
    mean, concentration = np.meshgrid(expit(logits), np.exp(logs), indexing="ij")
    return _weigh(good, bad, logits, logs).ravel(), mean.ravel(), concentration.ravel()


def _closer(axis: Array, weights: Array, limits: tuple[float, float], nodes: int) -> Array:
    """Return an axis around where the weights are, within the limits."""
    middle = float(weights @ axis)
    width = max(math.sqrt(float(weights @ (axis - middle) ** 2)), float(axis[1] - axis[0]) / 2)
    return np.linspace(max(limits[0], middle - _REACH * width), min(limits[1], middle + _REACH * width), nodes)


def _weigh(good: Integers, bad: Integers, logits: Array, logs: Array) -> Array:
    """Return the posterior's weights of shared distributions, ``(logits, logs)``, of sum 1."""
    mean, concentration = expit(logits)[:, None], np.exp(logs)[None, :]
    above, below = (mean * concentration).ravel(), ((1 - mean) * concentration).ravel()
    # Uniform in the mean and in the root of one over the concentration, seen from their logit and logarithm.
    prior = (np.log(mean) + np.log1p(-mean) - np.log(concentration) / 2).ravel()
    total = prior + np.sum(betaln(good + above, bad + below) - betaln(above, below), axis=0)
    return np.asarray(np.exp(total - logsumexp(total)).reshape(logits.size, logs.size))


def _quantile(weights: Array, above: Array, below: Array, part: float) -> float:
    kept = weights > 1e-5 * weights.max()
    share = weights[kept] / weights[kept].sum()
    low, high = 0.0, 1.0
    for _ in range(26):
        middle = (low + high) / 2
        low, high = (middle, high) if share @ betainc(above[kept], below[kept], middle) < part else (low, middle)
    return low if part < 0.5 else high  # outwards: a rate may lie nearer to 0 or 1 than the bisection tells


def judge_models(groups: Sequence[int], outcomes: Sequence[bool], first: int | None = None) -> Judged:
    """Predict each run from those before it by every model, and say which ships.

    Args:
        groups: index of each run's group, in the order of time.
        outcomes: whether each run succeeded.
        first: runs that are only learned from; ``None``: a third of them, at least 10.

    Raises:
        ValueError: the two differ in length.
    """
    group, outcome = np.asarray(groups, np.int64), np.asarray(outcomes, np.bool_)
    if group.shape != outcome.shape:
        raise ValueError(f"{group.size} groups and {outcome.size} outcomes")
    start = max(10, group.size // 3) if first is None else first
    judged = max(0, group.size - start)
    if judged < FEWEST_JUDGED:
        reason = f"{group.size} runs are too few to judge models on {FEWEST_JUDGED} that come later"
        return Judged({}, judged, "raw-rate", reason, None, (), None)
    predicted = {name: np.empty(judged) for name in MODELS}
    step = max(1, math.ceil(judged / _MOST_FITS))
    for begin in range(start, group.size, step):
        rows = slice(begin, min(begin + step, group.size))
        _predict(
            group, outcome, rows, {name: part[begin - start : rows.stop - start] for name, part in predicted.items()}
        )
    later = outcome[start:]
    scores = {name: _score(part, later) for name, part in predicted.items()}
    ships, reason, difference = _choose(scores, predicted, later)
    return Judged(
        scores,
        judged,
        ships,
        reason,
        difference,
        _calibrate(predicted[ships], later),
        _spiegelhalter(predicted[ships], later),
    )


def _predict(group: Integers, outcome: NDArray[np.bool_], rows: slice, into: dict[str, Array]) -> None:
    """Write what each model says of the runs ``rows`` from those before them."""
    count = int(group.max()) + 1
    runs = np.bincount(group[: rows.start], minlength=count)
    successes = np.bincount(group[: rows.start], outcome[: rows.start].astype(float), minlength=count).astype(np.int64)
    weights, mean, concentration = _grid(successes, runs)
    asked = group[rows]
    expected = (successes[asked, None] + mean * concentration) / (runs[asked, None] + concentration)
    into["pooled"][:] = expected @ weights
    into["raw-rate"][:] = (successes[asked] + 0.5) / (runs[asked] + 1)
    into["overall-rate"][:] = (successes.sum() + 0.5) / (runs.sum() + 1)


def _losses(predicted: Array, outcome: NDArray[np.bool_]) -> Array:
    return np.asarray(-np.log(np.where(outcome, predicted, 1 - predicted)))


def _score(predicted: Array, outcome: NDArray[np.bool_]) -> Score:
    return Score(float(_losses(predicted, outcome).mean()), float(np.mean((predicted - outcome) ** 2)))


def _choose(
    scores: dict[str, Score], predicted: dict[str, Array], outcome: NDArray[np.bool_]
) -> tuple[str, str, tuple[float, float]]:
    simple = min(("raw-rate", "overall-rate"), key=lambda name: scores[name].log_score)
    moved = _losses(predicted[simple], outcome) - _losses(predicted["pooled"], outcome)
    difference = float(moved.mean()), float(moved.std(ddof=1) / math.sqrt(moved.size))
    wins = all(
        scores["pooled"].log_score < scores[name].log_score and scores["pooled"].brier < scores[name].brier
        for name in ("raw-rate", "overall-rate")
    )
    if wins:
        return "pooled", f"it beats both simple rates on {outcome.size} later runs, by both scores", difference
    return simple, f"partial pooling does not beat it on {outcome.size} later runs", difference


def _calibrate(predicted: Array, outcome: NDArray[np.bool_]) -> tuple[tuple[float, float, int], ...]:
    parts = np.array_split(np.argsort(predicted, kind="stable"), _BINS)
    return tuple(
        (float(predicted[part].mean()), float(outcome[part].mean()), int(part.size)) for part in parts if part.size
    )


def _spiegelhalter(predicted: Array, outcome: NDArray[np.bool_]) -> float:
    """Return the p-value of Brier's score being what the predictions themselves expect."""
    difference = float(np.sum((outcome - predicted) * (1 - 2 * predicted)))
    variance = float(np.sum((1 - 2 * predicted) ** 2 * predicted * (1 - predicted)))
    return 1.0 if variance == 0 else float(2 * norm.sf(abs(difference) / math.sqrt(variance)))

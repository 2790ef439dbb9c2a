"""How good a model is on units that came later than all it was learned from, beside the plain models it has to beat."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.anomaly.thresholds import rate_interval
from analysis.latent_risk.baselines import Baseline
from analysis.latent_risk.evidence import Evidence, Flags, Floats
from analysis.latent_risk.measures import (
    Calibration,
    area_interval,
    area_under_roc,
    caught_part,
    coverage_by_chance,
    difference_interval,
    judge_calibration,
    log_losses,
)
from analysis.latent_risk.patterns import Subset, outcomes_failed
from analysis.latent_risk.risk_model import RiskModel, RiskScores, score_units

CAUGHT_PARTS = (0.01, 0.05)


@dataclass(frozen=True)
class Performance:
    """How probabilities did on units with known outcomes.

    Attributes:
        units, failed: how many.
        area, area_interval: area under the ROC curve, 95 % (Newcombe).
        log_loss, brier: mean scores, nats and squared; smaller is better.
        loss_of_failed, loss_of_survived: the logarithmic score by class.
        caught: part of failing units among the most suspected 1 % and 5 %.
    """

    units: int
    failed: int
    area: float
    area_interval: tuple[float, float]
    log_loss: float
    brier: float
    loss_of_failed: float
    loss_of_survived: float
    caught: tuple[float, ...]


@dataclass(frozen=True)
class SetCoverage:
    """Of a class: how many units, the part whose set holds it with 95 %, and how many sets hold nothing else.

    ``by_chance`` is where 95 % of such parts lie if the promise holds: few examples behind the sets move them too.
    """

    units: int
    covered: float
    interval: tuple[float, float]
    by_chance: tuple[float, float]
    alone: int


@dataclass(frozen=True)
class PatternPerformance:
    """A subset of the modalities on the units that have it, all else hidden, beside its best single modality."""

    members: Subset
    performance: Performance
    calibration: Calibration
    best_single: Performance | None


@dataclass(frozen=True)
class Comparison:
    """A plain model on the same units; ``loss_difference`` is the model's log score less the plain one's, with 95 %."""

    name: str
    performance: Performance
    loss_difference: float
    interval: tuple[float, float]

    @property
    def beaten(self) -> bool:
        """Whether the model is better by more than chance."""
        return self.interval[1] < 0


@dataclass(frozen=True)
class Evaluation:
    """What is known of a model from later units.

    Attributes:
        performance, calibration: of the units that got an answer, as they came.
        refused, refused_failed: units without one, and how many of them failed.
        coverage: of the conformal sets, of the units that failed and that survived.
        patterns: by subset of the modalities.
        comparisons: with plain models, on the same units.
    """

    performance: Performance
    calibration: Calibration
    refused: int
    refused_failed: int
    coverage: tuple[SetCoverage, SetCoverage]
    patterns: tuple[PatternPerformance, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def beats_baselines(self) -> bool:
        """Whether every plain model is beaten."""
        return bool(self.comparisons) and all(each.beaten for each in self.comparisons)


def judge_performance(probability: Floats, failed: Flags) -> Performance:
    """Return how ``probability`` (float64 ``(units,)``, 0..1) did where ``failed`` (bool ``(units,)``)."""
    losses = log_losses(probability, failed)
    area = area_under_roc(probability, failed)
    positive = int(failed.sum())
    return Performance(
        failed.size,
        positive,
        area,
        area_interval(area, positive, failed.size - positive),
        float(losses.mean()),
        float(((probability - failed) ** 2).mean()),
        float(losses[failed].mean()) if positive else float("nan"),
        float(losses[~failed].mean()) if positive < failed.size else float("nan"),
        tuple(caught_part(probability, failed, part) for part in CAUGHT_PARTS),
    )


def evaluate_model(model: RiskModel, evidence: Evidence, baselines: Sequence[Baseline] = ()) -> Evaluation | None:
    """Return how ``model`` does on ``evidence``; ``None`` where it answers none of the units with a known outcome.

    ``baselines`` are asked about the same units.

    Raises:
        WrongFeatures: the evidence has other features than the model.
    """
    known = evidence.known()
    failed = outcomes_failed(known.outcome)
    scores = score_units(model, known)
    answered = np.isfinite(scores.probability)
    if not answered.any():
        return None
    probability = scores.probability[answered]
    found = failed[answered]
    asked = known.select(answered)
    losses = log_losses(probability, found)
    return Evaluation(
        judge_performance(probability, found),
        judge_calibration(probability, found),
        int((~answered).sum()),
        int(failed[~answered].sum()),
        (
            cover_class(model, scores, answered & failed, fail=True),
            cover_class(model, scores, answered & ~failed, fail=False),
        ),
        tuple(
            judge_pattern(model, known, failed, members) for members in model.fusions if _seen(model, known, members)
        ),
        tuple(_compare(each, asked, found, losses) for each in baselines),
    )


def cover_class(model: RiskModel, scores: RiskScores, rows: Flags, *, fail: bool) -> SetCoverage:
    """Return how the sets of ``scores`` by ``model`` do on answered ``rows`` (bool ``(units,)``) of one class.

    ``fail`` says of which.
    """
    own, other = (scores.may_fail, scores.may_survive) if fail else (scores.may_survive, scores.may_fail)
    count, covered = int(rows.sum()), int(own[rows].sum())
    part = covered / count if count else float("nan")
    asked = Counter(scores.fusion[row] for row in np.flatnonzero(rows))
    known = {members: int((model.fusions[members].known_failed == fail).sum()) for members in asked}
    by_chance = coverage_by_chance([(known[members], units) for members, units in asked.items()], model.alpha)
    seen = rate_interval(covered, count) if count else (0.0, 1.0)
    return SetCoverage(count, part, seen, by_chance, int((own & ~other)[rows].sum()))


def _seen(model: RiskModel, evidence: Evidence, members: Subset) -> bool:
    there = {each.name: each.present for each in evidence.modalities}
    names = [model.modalities[member] for member in members]
    return all(name in there for name in names) and bool(np.logical_and.reduce([there[name] for name in names]).any())


def judge_pattern(model: RiskModel, evidence: Evidence, failed: Flags, members: Subset) -> PatternPerformance:
    """Return how ``model`` does with nothing but ``members`` on the units of ``evidence`` that have all of them.

    ``failed`` is bool ``(units,)``. The best single modality is that of the development, so that nothing is chosen by
    the outcomes here.
    """
    names = [model.modalities[member] for member in members]
    there = np.logical_and.reduce([each.present for each in evidence.modalities if each.name in names])
    hidden = [name for name in evidence.names if name not in names]
    asked, outcome = evidence.select(there).without(hidden), failed[there]
    probability = score_units(model, asked, bounded=False).probability
    rows = np.isfinite(probability)
    single = None
    if len(members) > 1:
        best = _best_single(model, members)
        others = [name for name in names if name != model.modalities[best]]
        alone = score_units(model, asked.without(others), bounded=False)
        both = rows & np.isfinite(alone.probability)
        single = judge_performance(alone.probability[both], outcome[both])
    return PatternPerformance(
        members,
        judge_performance(probability[rows], outcome[rows]),
        judge_calibration(probability[rows], outcome[rows]),
        single,
    )


def _best_single(model: RiskModel, members: Subset) -> int:
    losses = {member: model.fusions[(member,)].log_loss for member in members if (member,) in model.fusions}
    return min(losses, key=lambda member: (losses[member], member))


def _compare(baseline: Baseline, asked: Evidence, failed: Flags, losses: Floats) -> Comparison:
    probability = baseline.probability(asked)
    other = log_losses(probability, failed)
    low, high = difference_interval(losses, other, failed)
    return Comparison(
        baseline.name, judge_performance(probability, failed), float((losses - other).mean()), (low, high)
    )

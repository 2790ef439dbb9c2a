"""The fused model: one probability of failing in the field for a unit, from whatever is known of it.

Late fusion: each modality has a head of its own, so that a missing one is left out instead of being filled in. The log
odds of an answer are a sum: what all units with these modalities have in common, what each modality adds, and what the
calibration changes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.anomaly.thresholds import conformal_p_values
from analysis.latent_risk.calibration import venn_abers
from analysis.latent_risk.drift import ReferenceBins
from analysis.latent_risk.evidence import Evidence, EvidenceError, Flags, Floats, Modality
from analysis.latent_risk.heads import Head
from analysis.latent_risk.patterns import PatternFusion, Subset

ALPHA = 0.1
NOTHING_PRESENT = "nothing is known of the unit"


class WrongFeatures(EvidenceError):  # noqa: N818
    """The evidence has other features than the model was learned from; the message names them."""


@dataclass(frozen=True)
class RiskModel:
    """A model as it is kept.

    Attributes:
        modalities: names.
        features: by modality the names of its columns.
        heads: by modality; ``None`` where too few outcomes allowed one.
        fusions: by subset of the modalities' indexes.
        alpha: each class is wrongly left out of the sets in at most this part of its units.
        references: what each feature (``modality.feature``) looked like when it was learned, and each head's score
            (``score of modality``) and the probability's log odds (``score``) of units held out.
    """

    modalities: tuple[str, ...]
    features: tuple[tuple[str, ...], ...]
    heads: tuple[Head | None, ...]
    fusions: dict[Subset, PatternFusion]
    alpha: float = ALPHA
    references: Mapping[str, ReferenceBins] = field(default_factory=dict)


@dataclass(frozen=True)
class RiskScores:
    """What a model says of units; arrays have one entry, or row, for each.

    Attributes:
        probability: float64, of failing in the field; NaN where refused.
        low, high: float64, Venn-Abers probabilities.
        may_fail, may_survive: bool, the class-conditional conformal set; both true: the evidence does not tell.
        base, calibration: float64, log odds of all such units, and what the calibration adds.
        contributions: float64 ``(units, modalities)``, log odds; 0 where not used. ``base``, its sum and
            ``calibration`` add up to the log odds of ``probability``.
        present: bool ``(units, modalities)``.
        scores: float64 ``(units, modalities)``, log odds of the heads; NaN where there is none.
        outside: int64 ``(units, modalities)``, index of the feature for which the modality was not believed, or -1.
        fusion: the subset whose fusion answered; empty where refused.
        refusal: why there is no answer, or ``""``.
    """

    probability: Floats
    low: Floats
    high: Floats
    may_fail: Flags
    may_survive: Flags
    base: Floats
    calibration: Floats
    contributions: Floats
    present: Flags
    scores: Floats
    outside: NDArray[np.intp]
    fusion: tuple[Subset, ...]
    refusal: tuple[str, ...]


def align_features(model: RiskModel, evidence: Evidence) -> Evidence:
    """Return ``evidence`` with the modalities and features of ``model`` in its order; modalities it lacks are missing.

    Raises:
        WrongFeatures: a modality of the model has other features in the evidence.
    """
    given = {each.name: each for each in evidence.modalities}
    made = []
    for name, features in zip(model.modalities, model.features, strict=True):
        found = given.get(name)
        if found is None:
            made.append(Modality(name, features, np.full((len(evidence.units), len(features)), np.nan)))
            continue
        missing = [each for each in features if each not in found.features]
        if missing:
            raise WrongFeatures(f"{name} lacks {', '.join(missing[:5])}, which the model was learned from")
        order = [found.features.index(each) for each in features]
        made.append(Modality(name, features, found.values[:, order]))
    return Evidence(evidence.units, evidence.time_s, evidence.outcome, evidence.known_at_s, tuple(made))


def unknown_features(model: RiskModel, evidence: Evidence) -> list[str]:
    """Return the columns of ``evidence`` that ``model`` does not use, as ``modality.feature``."""
    named = zip(model.modalities, model.features, strict=True)
    known = {f"{name}.{each}" for name, columns in named for each in columns}
    given = (f"{each.name}.{feature}" for each in evidence.modalities for feature in each.features)
    return [name for name in given if name not in known]


def score_units(model: RiskModel, evidence: Evidence, *, bounded: bool = True) -> RiskScores:
    """Return what ``model`` says of the units in ``evidence``; without bounds and sets unless ``bounded``.

    Raises:
        WrongFeatures: see :func:`align_features`.
    """
    aligned = align_features(model, evidence)
    count, width = len(aligned.units), len(model.modalities)
    present, outside = aligned.present, np.full((count, width), -1)
    scores = np.full((count, width), np.nan)
    for column, (head, modality) in enumerate(zip(model.heads, aligned.modalities, strict=True)):
        rows = np.flatnonzero(present[:, column])
        if head is None or not rows.size:
            continue
        outside[rows, column] = head.preparation.outside(modality.values[rows])
        believed = rows[outside[rows, column] < 0]
        if believed.size:
            scores[believed, column] = head.score(modality.values[believed])
    made = _Answers.empty(count, width)
    for subset, rows in _by_subset(np.isfinite(scores)):
        fusion = model.fusions.get(subset)
        if fusion is not None:
            made.fill(rows, fusion, scores[rows], model.alpha if bounded else None)
            made.fusion[rows] = [subset] * rows.size
    refusals = tuple(
        "" if made.fusion[row] else _refusal(model, present[row], outside[row], np.isfinite(scores[row]))
        for row in range(count)
    )
    return RiskScores(
        made.probability, made.low, made.high, made.may_fail, made.may_survive, made.base, made.calibration,
        made.contributions, present, scores, outside, tuple(made.fusion), refusals,
    )  # fmt: skip


class _Answers:
    """Answers while they are made."""

    def __init__(self, count: int, width: int) -> None:
        self.probability, self.low, self.high, self.base, self.calibration = (np.full(count, np.nan) for _ in range(5))
        self.may_fail, self.may_survive = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        self.contributions = np.zeros((count, width))
        self.fusion = np.empty(count, object)
        self.fusion[:] = [()] * count

    @staticmethod
    def empty(count: int, width: int) -> "_Answers":
        return _Answers(count, width)

    def fill(self, rows: NDArray[np.intp], fusion: PatternFusion, scores: Floats, alpha: float | None) -> None:
        used = list(fusion.used)
        odds = fusion.stack.fuse(scores[:, used])
        probability = fusion.calibrator.apply(odds)
        self.probability[rows] = probability
        self.base[rows] = fusion.stack.intercept + fusion.stack.weights @ fusion.mean_scores
        self.contributions[rows[:, None], used] = (scores[:, used] - fusion.mean_scores) * fusion.stack.weights
        self.calibration[rows] = special.logit(probability) - odds
        if alpha is not None:
            low, high = venn_abers(odds, fusion.known_odds, fusion.known_failed)
            self.low[rows], self.high[rows] = np.minimum(low, probability), np.maximum(high, probability)
            self.may_fail[rows] = _may_be(-odds, -fusion.known_odds[fusion.known_failed], alpha)
            self.may_survive[rows] = _may_be(odds, fusion.known_odds[~fusion.known_failed], alpha)


def _may_be(strangeness: Floats, known: Floats, alpha: float) -> Flags:
    """A class with too few examples to promise anything is never left out."""
    if known.size < enough_for(alpha):
        return np.ones(strangeness.shape, np.bool_)
    return np.asarray(conformal_p_values(strangeness, known) > alpha, np.bool_)


def enough_for(alpha: float) -> int:
    """Return how many examples of a class are needed to promise that at most a part ``alpha`` (0..1) is left out."""
    return int(np.ceil(1 / alpha - 1e-9)) - 1


def _by_subset(known: Flags) -> Iterator[tuple[Subset, NDArray[np.intp]]]:
    patterns, place = np.unique(known, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.any():
            yield tuple(int(each) for each in np.flatnonzero(pattern)), np.flatnonzero(place.ravel() == number)


def _refusal(model: RiskModel, present: Flags, outside: NDArray[np.intp], scored: Flags) -> str:
    if not present.any():
        return NOTHING_PRESENT
    reasons = []
    for column, name in enumerate(model.modalities):
        if not present[column]:
            continue
        if outside[column] >= 0:
            feature = model.features[column][outside[column]]
            reasons.append(f"{name}.{feature} lies far outside what the model has seen")
        elif model.heads[column] is None:
            reasons.append(f"too few outcomes were known with {name}")
    if not scored.any():
        return "; ".join(reasons)
    told = " and ".join(name for name, there in zip(model.modalities, scored, strict=True) if there)
    return f"the model has no fusion for {told}: too few outcomes were known with it"


def watched_values(model: RiskModel, evidence: Evidence) -> dict[str, Floats]:
    """Return what drift is watched in: each feature of ``evidence``, each head's score, and the answer's log odds.

    By the names of ``model.references``, float64 ``(units,)`` each, missing NaN.

    Raises:
        WrongFeatures: see :func:`align_features`.
    """
    aligned, found = align_features(model, evidence), score_units(model, evidence, bounded=False)
    values = {
        f"{each.name}.{feature}": each.values[:, column]
        for each in aligned.modalities
        for column, feature in enumerate(each.features)
    }
    values |= {f"score of {name}": found.scores[:, column] for column, name in enumerate(model.modalities)}
    return values | {"score": np.asarray(special.logit(found.probability), np.float64)}

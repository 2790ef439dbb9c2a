"""Learning a fused model from units whose outcome is known, in the order of time, and holding the last ones out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from analysis.latent_risk.drift import ReferenceBins, make_reference
from analysis.latent_risk.evidence import (
    MOST_MODALITIES,
    Evidence,
    EvidenceError,
    Flags,
    Floats,
    Modality,
    TooFewOutcomes,
    refuse_few_outcomes,
    refuse_repeated_units,
)
from analysis.latent_risk.folds import BLOCKS, FIRST_PART, TimeBlocks, hold_out_last, make_blocks
from analysis.latent_risk.heads import Head, HeadKind, fit_head, head_kinds
from analysis.latent_risk.measures import log_losses
from analysis.latent_risk.patterns import (
    FIRST_STACKED,
    LEAST_EVENTS,
    HeldOut,
    choose_fusions,
    forward_odds,
    outcomes_failed,
)
from analysis.latent_risk.risk_model import ALPHA, RiskModel, watched_values

Progress = Callable[[float, str], None]
LEAST_TO_FIT = 5
"""Failures and survivors that a head is fitted from."""

STRETCHES = 4
"""Of time, into which the first block is cut."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is learned.

    Attributes:
        held_out_part: the last part (0..1) of the units, on which nothing is chosen.
        first_part: part (0..1) of the others that is only learned from.
        blocks: into which the rest is cut.
        alpha: of the conformal sets.
        trees: of a forest; 0 leaves forests out.
        seed: of the forests.
    """

    held_out_part: float = 0.3
    first_part: float = FIRST_PART
    blocks: int = BLOCKS
    alpha: float = ALPHA
    trees: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.held_out_part < 1 and 0 < self.first_part < 1 and 0 < self.alpha < 1):
            raise EvidenceError("held_out_part, first_part and alpha lie between 0 and 1")
        if self.blocks < FIRST_STACKED + 1 or self.trees < 0:
            raise EvidenceError(f"at least {FIRST_STACKED + 1} blocks are needed, and no negative number of trees")


@dataclass(frozen=True)
class HeadChoice:
    """Which head a modality got; ``scores``: held-out log score (nats) of each kind tried, calibrated alike."""

    modality: str
    kind: HeadKind | None
    scores: dict[str, float]
    reason: str


@dataclass(frozen=True)
class Trained:
    """A model, how its heads were chosen, and the units it was learned from and is judged by, in the order of time."""

    model: RiskModel
    choices: tuple[HeadChoice, ...]
    development: Evidence
    held_out: Evidence
    left_out: int
    blocks: TimeBlocks


def train_model(evidence: Evidence, settings: TrainingSettings, progress: Progress | None = None) -> Trained:
    """Return the model learned from all but the last units of ``evidence`` with a known outcome.

    ``settings`` say how; ``progress`` is told the part done (0..1) and what is done.

    Raises:
        BadEvidence: a unit stands twice.
        TooFewOutcomes: too few units failed or survived, in either part.
        EvidenceError: there are too many modalities, or too few distinct times.
    """
    if len(evidence.modalities) > MOST_MODALITIES:
        raise EvidenceError(f"{len(evidence.modalities)} modalities; at most {MOST_MODALITIES} can be fused")
    known = evidence.known()
    refuse_repeated_units(known)
    refuse_few_outcomes(known.outcome, 2 * LEAST_EVENTS, "outcomes known")
    development, held_out, left_out = hold_out_last(known, settings.held_out_part)
    refuse_few_outcomes(development.outcome, LEAST_EVENTS, "units to learn from")
    refuse_few_outcomes(held_out.outcome, LEAST_TO_FIT, "units held out at the end")
    blocks = make_blocks(development, settings.first_part, settings.blocks)
    if blocks.count < FIRST_STACKED + 1:
        raise EvidenceError(
            f"the units were judged at too few different times: {blocks.count + 1} blocks of time can be made of them, "
            f"{FIRST_STACKED + 2} are needed"
        )
    failed = outcomes_failed(development.outcome)
    tell = progress or (lambda _part, _message: None)
    choices, heads, scores = [], [], []
    for number, modality in enumerate(development.modalities):
        tell(number / (len(development.modalities) + 1), f"learning {modality.name}")
        kinds = head_kinds(settings.trees, settings.seed, traces=modality.is_trace)
        choice, found = choose_head(modality, failed, blocks, kinds)
        there = modality.present
        head = None
        if choice.kind is not None:
            head = fit_head(choice.kind, modality.features, modality.values[there], failed[there])
        choices.append(choice)
        heads.append(head)
        scores.append(found)
    tell(len(choices) / (len(choices) + 1), "fusing")
    held = HeldOut(np.stack(scores, axis=1), development.present, failed, blocks)
    fusions = choose_fusions(held, evidence.names)
    if not fusions:
        raise TooFewOutcomes(
            f"no modality was known of at least {LEAST_EVENTS} held-out units that failed and as many that survived: "
            + "; ".join(f"{each.modality}: {each.reason}" for each in choices)
        )
    features = tuple(each.features for each in development.modalities)
    model = RiskModel(evidence.names, features, tuple(heads), fusions, settings.alpha)
    model = replace(model, references=_references(model, development, held_out))
    return Trained(model, tuple(choices), development, held_out, left_out, blocks)


def _references(model: RiskModel, development: Evidence, held_out: Evidence) -> dict[str, ReferenceBins]:
    """Features as they were learned from; scores of units held out, for those learned from score too well."""
    features, scores = watched_values(model, development), watched_values(model, held_out)
    return {
        name: make_reference(scores[name] if name.startswith("score") else values) for name, values in features.items()
    }


def choose_head(
    modality: Modality, failed: Flags, blocks: TimeBlocks, kinds: tuple[HeadKind, ...]
) -> tuple[HeadChoice, Floats]:
    """Return the best of ``kinds`` for ``modality``, and its held-out scores: float64 ``(units,)``, NaN where none.

    Compared by the log score of held-out units after each was calibrated on the blocks before; a kind counts as better
    than a simpler one by more than a standard error. ``failed`` is bool ``(units,)``, ``blocks`` their order in time.
    """
    there = modality.present
    losses: dict[str, Floats] = {}
    best: tuple[HeadKind, Floats, Floats] | None = None
    for kind in kinds:
        scores = held_out_scores(modality, failed, blocks, kind)
        odds = forward_odds(HeldOut(scores[:, None], there[:, None], failed, blocks), (0,))
        rows = np.isfinite(odds)
        if min(failed[rows].sum(), (~failed[rows]).sum()) < LEAST_EVENTS:
            continue
        loss = log_losses(np.clip(1 / (1 + np.exp(-odds[rows])), 1e-9, 1 - 1e-9), failed[rows])
        losses[name_kind(kind)] = loss
        gain = np.zeros(1) if best is None else best[2] - loss
        if best is None or gain.mean() > gain.std() / np.sqrt(gain.size):
            best = kind, scores, loss
    if best is None:
        reason = f"fewer than {LEAST_EVENTS} held-out units with it failed, or survived"
        return HeadChoice(modality.name, None, {}, reason), np.full(failed.size, np.nan)
    told = {name: float(each.mean()) for name, each in losses.items()}
    reason = "best held-out log score; a less simple head must be better by a standard error"
    return HeadChoice(modality.name, best[0], told, reason), best[1]


def name_kind(kind: HeadKind) -> str:
    """Return ``kind`` in a word or two."""
    name = f"forest of {kind.trees}" if kind.trees else f"logistic, ridge {kind.ridge:g}"
    return f"{name}, of samples" if kind.samples_only else name


def held_out_scores(modality: Modality, failed: Flags, blocks: TimeBlocks, kind: HeadKind) -> Floats:
    """Return log odds of each unit by a head of ``kind`` that has not seen it: float64 ``(units,)``.

    A later block of ``blocks`` is scored by what was known before it. Of the first one, each stretch of time is scored
    by the others: nothing is compared on it, but stacks and calibrations that knew only the later blocks would take
    the rate of failures of those few units for that of all.

    NaN for units without ``modality``, of the first block also without an outcome when the next began, and where fewer
    than :data:`LEAST_TO_FIT` of a class had been seen. ``failed`` is bool ``(units,)``.

    The ridge of ``kind`` is that of a head of all units. One of fewer gets a weaker one in proportion: it would draw
    scores together that the final head spreads, and calibrations and sets made from them would be too sure.
    """
    there = modality.present
    scores = np.full(failed.size, np.nan)
    for learn, ask in _turns(there, blocks):
        if ask.any() and min(failed[learn].sum(), (~failed[learn]).sum()) >= LEAST_TO_FIT:
            like_final = replace(kind, ridge=kind.ridge * float(there.sum() / learn.sum()))
            head: Head = fit_head(like_final, modality.features, modality.values[learn], failed[learn])
            scores[ask] = head.score(modality.values[ask])
    return scores


def _turns(there: Flags, blocks: TimeBlocks) -> Iterator[tuple[Flags, Flags]]:
    """Yield which units ``there`` are learned from and which are asked about, turn by turn."""
    first = there & blocks.known_before(1)
    for stretch in np.array_split(np.flatnonzero(first), STRETCHES):
        ask = np.zeros_like(first)
        ask[stretch] = True
        yield first & ~ask, ask
    for number in range(1, blocks.count + 1):
        yield there & blocks.known_before(number), there & (blocks.block == number)

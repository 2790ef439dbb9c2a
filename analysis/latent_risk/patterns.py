"""Which modalities are used when some are there: for every subset its own fusion, no worse than its best member.

For each subset of the modalities the candidates are a stack over all of them and what was chosen for the subsets that
lack one. They are compared on the same units, scored forward in time. A candidate that ranks or scores worse than the
best single modality is out; of the others the best logarithmic score wins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from analysis.latent_risk.calibration import Calibrator, choose_calibrator
from analysis.latent_risk.evidence import FAILED, Flags, Floats
from analysis.latent_risk.folds import TimeBlocks
from analysis.latent_risk.measures import area_under_roc, log_losses
from analysis.latent_risk.stacking import Stack, fit_stack

Subset = tuple[int, ...]
FIRST_STACKED = 3
"""Blocks 1 and 2 are only learned from by the stacks."""

LEAST_EVENTS = 10
"""Failures and survivors that a stack, and a comparison, needs."""

LEAST_EXACT = 25
"""Failures and survivors with exactly these modalities from which on only they count for the calibration."""

EVENTS_PER_WEIGHT = 10
"""Failures, or survivors, for each weight of a stack from which on its own units calibrate it."""

MOST_KEPT = 20_000
_DOUBTFUL_Z = 3.0


@dataclass(frozen=True)
class HeldOut:
    """Scores that no head has seen the outcome of.

    Attributes:
        scores: float64 ``(units, modalities)``, log odds; NaN where the modality is absent or nothing was learned yet.
        present: bool ``(units, modalities)``.
        failed: bool ``(units,)``.
        blocks: the units in time.
    """

    scores: Floats
    present: Flags
    failed: Flags
    blocks: TimeBlocks


@dataclass(frozen=True)
class PatternFusion:
    """What is done with units of which just the modalities ``members`` are known.

    Attributes:
        members: indexes of the modalities that are there.
        used: those that the answer rests on.
        stack: of their scores.
        mean_scores: float64 ``(used,)``, the scores' means: a contribution is told against them.
        calibrator: of the fused log odds.
        known_odds: float64 ``(known,)``, held-out log odds, in the order of time, for sets and intervals.
        known_failed: bool ``(known,)``, their outcomes.
        population: ``exact`` or ``superset``: whether these units had just these modalities, or others too.
        reason: why these are used.
        log_loss, best_single_log_loss: nats, on the same held-out units; NaN where nothing could be compared.
        area, best_single_area: the same as areas under the ROC curve.
        calibration_reason: why this calibration.
        doubts: what is doubtful about it.
    """

    members: Subset
    used: Subset
    stack: Stack
    mean_scores: Floats
    calibrator: Calibrator
    known_odds: Floats
    known_failed: Flags
    population: str
    reason: str
    log_loss: float = float("nan")
    best_single_log_loss: float = float("nan")
    area: float = float("nan")
    best_single_area: float = float("nan")
    calibration_reason: str = ""
    doubts: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class _Choice:
    used: Subset
    reason: str
    log_loss: float = float("nan")
    best_single_log_loss: float = float("nan")
    area: float = float("nan")
    best_single_area: float = float("nan")


def subsets(modalities: int) -> Iterator[Subset]:
    """Yield every subset of ``modalities`` indexes but the empty one, small ones first."""
    for size in range(1, modalities + 1):
        yield from combinations(range(modalities), size)


def forward_odds(held: HeldOut, used: Subset) -> Floats:
    """Return held-out log odds of a stack over ``used``: float64 ``(units,)``, NaN where there is none.

    Each block of ``held`` from :data:`FIRST_STACKED` on is fused by a stack over the blocks before it.
    """
    scores = held.scores[:, list(used)]
    complete = np.isfinite(scores).all(axis=1)
    odds = np.full(scores.shape[0], np.nan)
    for number in range(FIRST_STACKED, held.blocks.count + 1):
        learn = complete & held.blocks.known_before(number)
        ask = complete & (held.blocks.block == number)
        if ask.any() and _events(held.failed[learn]) >= LEAST_EVENTS:
            odds[ask] = fit_stack(scores[learn], held.failed[learn]).fuse(scores[ask])
    return odds


def _events(failed: Flags) -> int:
    return int(min(failed.sum(), (~failed).sum()))


def choose_fusions(held: HeldOut, names: tuple[str, ...]) -> dict[Subset, PatternFusion]:
    """Return the fusion of every subset of the modalities ``names`` that ``held`` allows one for."""
    odds: dict[Subset, Floats] = {}
    chosen: dict[Subset, _Choice] = {}
    for members in subsets(len(names)):
        choice = _choose(held, members, odds, chosen, names)
        if choice is not None:
            chosen[members] = choice
    made = {members: _complete(held, members, choice, odds) for members, choice in chosen.items()}
    return {members: fusion for members, fusion in made.items() if fusion is not None}


def _choose(
    held: HeldOut,
    members: Subset,
    odds: dict[Subset, Floats],
    chosen: dict[Subset, _Choice],
    names: tuple[str, ...],
) -> _Choice | None:
    odds[members] = forward_odds(held, members)
    smaller = [chosen[rest] for rest in combinations(members, len(members) - 1) if rest in chosen]
    if len(members) == 1:
        rows = np.isfinite(odds[members])
        if _events(held.failed[rows]) < LEAST_EVENTS:
            return None
        loss, area = _measure(odds[members][rows], held.failed[rows])
        return _Choice(members, "the only modality", loss, loss, area, area)
    if not smaller:
        return None
    singles = [(member,) for member in members if (member,) in chosen]
    candidates = list(dict.fromkeys([*singles, *(each.used for each in smaller), members]))
    rows = np.logical_and.reduce([np.isfinite(odds[each]) for each in candidates])
    if _events(held.failed[rows]) < LEAST_EVENTS:
        best = min(smaller, key=lambda each: (each.log_loss, each.used))
        told = " and ".join(names[each] for each in members)
        return _Choice(
            best.used,
            f"fewer than {LEAST_EVENTS} held-out failures, or survivors, had all of {told}; {best.reason}",
            best.log_loss,
            best.best_single_log_loss,
            best.area,
            best.best_single_area,
        )
    return _compare(held.failed[rows], {each: odds[each][rows] for each in candidates}, singles, members)


def _compare(failed: Flags, odds: dict[Subset, Floats], singles: Sequence[Subset], members: Subset) -> _Choice:
    measured = {each: _measure(found, failed) for each, found in odds.items()}
    single = min(singles, key=lambda each: (measured[each][0], each))
    loss, area = measured[single]
    good = [each for each, found in measured.items() if found[0] <= loss and found[1] >= area]
    used = min(good, key=lambda each: (measured[each][0], len(each), each))
    if used == members:
        reason = "the stack scores best on held-out units"
    elif members in good:
        reason = "fewer modalities score better on held-out units than all"
    elif measured[members][0] > loss:
        reason = "fallback: the stack of all scores worse on held-out units than one modality alone"
    else:
        reason = "fallback: the stack of all ranks held-out units worse than one modality alone"
    return _Choice(used, reason, measured[used][0], loss, measured[used][1], area)


def _measure(odds: Floats, failed: Flags) -> tuple[float, float]:
    probability = np.asarray(Calibrator("identity", limit=1e-9).apply(odds), np.float64)
    return float(log_losses(probability, failed).mean()), area_under_roc(odds, failed)


def _complete(held: HeldOut, members: Subset, choice: _Choice, odds: dict[Subset, Floats]) -> PatternFusion | None:
    used = list(choice.used)
    scores = held.scores[:, used]
    learn = np.asarray(np.isfinite(scores).all(axis=1), np.bool_)
    stack = fit_stack(scores[learn], held.failed[learn])
    found = odds[choice.used]
    if _events(held.failed[learn]) >= EVENTS_PER_WEIGHT * (len(used) + 1):
        # So few weights from so many failures fit no chance: the stack itself may be asked about them, and it is the
        # one that will answer. Its heads have not seen these outcomes.
        found = np.where(learn, stack.fuse(np.where(learn[:, None], scores, 0.0)), np.nan)
    there = np.isfinite(found) & held.present[:, list(members)].all(axis=1)
    others = [each for each in range(held.present.shape[1]) if each not in members]
    exact = there & ~held.present[:, others].any(axis=1)
    population = "exact" if _events(held.failed[exact]) >= LEAST_EXACT else "superset"
    rows = np.flatnonzero(exact if population == "exact" else there)
    if _events(held.failed[rows]) < 1:
        rows = np.flatnonzero(np.isfinite(found))
    calibration = choose_calibrator(found[rows], held.failed[rows])
    # Heads of the first block know another rate of failures than the final ones: sets are made from later units.
    later = rows[held.blocks.block[rows] > 0]
    if _events(held.failed[later]) >= 1:
        rows = later
    known, failed = found[rows], held.failed[rows]
    doubts = () if population == "exact" else _absence_doubts(calibration.calibrator.apply(found[exact]),
                                                              held.failed[exact])  # fmt: skip
    return PatternFusion(
        members,
        choice.used,
        stack,
        scores[learn].mean(axis=0),
        calibration.calibrator,
        known[-MOST_KEPT:],
        failed[-MOST_KEPT:],
        population,
        choice.reason,
        choice.log_loss,
        choice.best_single_log_loss,
        choice.area,
        choice.best_single_area,
        calibration.reason,
        doubts,
    )


def _absence_doubts(probability: Floats, failed: Flags) -> tuple[str, ...]:
    """Absence may itself tell something: units with just these modalities may fail more, or less, than others."""
    if not failed.size:
        return ()
    expected = float(probability.sum())
    spread = float(np.sqrt((probability * (1 - probability)).sum()))
    if abs(failed.sum() - expected) <= _DOUBTFUL_Z * spread:
        return ()
    return (
        f"{int(failed.sum())} of {failed.size} units with just these modalities failed where {expected:.1f} were "
        "expected of units that have others too: that the others are missing tells something",
    )


def outcomes_failed(outcome: np.ndarray) -> Flags:
    """Return which of ``outcome`` (int8 ``(units,)``) failed, bool ``(units,)``."""
    return np.asarray(outcome == FAILED, np.bool_)
